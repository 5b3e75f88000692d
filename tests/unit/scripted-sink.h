/* scripted-sink.h - a sink that fails and hangs as a test tells it to, and remembers what it got */
#ifndef STOPD_TESTS_SCRIPTED_SINK_H
#define STOPD_TESTS_SCRIPTED_SINK_H

#include "engine/sink-report.h"
#include "stopd/upstream.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

/* Longer than anything takes; a condition that has not come by then is a failure. */
#define PATIENCE 30

struct scripted_sink {
    struct upstream upstream;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* anything below */
    /* What it is to do */
    unsigned opens_to_fail, deliveries_to_fail;
    size_t accepts; /* of a delivery that fails, so many first */
    bool hangs;     /* in the next delivery, until this is false again */
    bool can_be_interrupted;
    uint64_t refuses;   /* this sequence, for good */
    usec_t leave_alone; /* after a delivery that fails, for so long */
    char last_id[UUID_TEXT_SIZE];
    /* What happened */
    unsigned opens, deliveries;
    usec_t opened_at[32];
    uint64_t got[4096];
    size_t n_got;
    usec_t delivered_at[32];
    bool is_hanging, freed;
    /* That the relay told */
    uint64_t cursor;
    unsigned cursors;
    unsigned rewinds; /* in its last report */
    bool deaf;        /* reports are not taken down */
    struct {
        enum sink_news news;
        uint64_t sequence;
        uint64_t cursor; /* at that moment */
        char reason[64];
    } letters[64];
    size_t n_letters;
};

static inline int scripted_open(struct upstream *u, char last_id[static UUID_TEXT_SIZE],
                                struct error **err)
{
    struct scripted_sink *s = (struct scripted_sink *)u;
    bool fails;

    pthread_mutex_lock(&s->lock);
    if (s->opens < 32)
        s->opened_at[s->opens] = moment_now().monotonic;
    s->opens++;
    fails = s->opens_to_fail > 0;
    s->opens_to_fail -= fails;
    memcpy(last_id, s->last_id, UUID_TEXT_SIZE);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return fails ? error_set(err, ERROR_IO, "the sink does not open") : 0;
}

static inline int scripted_deliver(struct upstream *u, const struct upstream_event *events,
                                   size_t n, size_t *delivered, struct error **err)
{
    struct scripted_sink *s = (struct scripted_sink *)u;
    bool fails, refuses = false;

    pthread_mutex_lock(&s->lock);
    s->is_hanging = s->hangs;
    pthread_cond_broadcast(&s->changed);
    while (s->hangs)
        pthread_cond_wait(&s->changed, &s->lock);
    s->is_hanging = false;
    if (s->deliveries < 32)
        s->delivered_at[s->deliveries] = moment_now().monotonic;
    fails = s->deliveries_to_fail > 0;
    s->deliveries_to_fail -= fails;
    if (fails && s->leave_alone)
        u->not_before = moment_now().monotonic + s->leave_alone;
    if (fails && n > s->accepts)
        n = s->accepts;
    for (size_t i = 0; i < n && !refuses; i++) {
        refuses = events[i].sequence == s->refuses;
        if (refuses)
            n = i;
        else if (s->n_got < 4096)
            s->got[s->n_got++] = events[i].sequence;
    }
    *delivered = n;
    s->deliveries++;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    if (refuses)
        return error_set(err, ERROR_REFUSED, "no number %llu", (unsigned long long)s->refuses);
    return fails ? error_set(err, ERROR_IO, "the sink takes no more") : 0;
}

static inline void scripted_interrupt(struct upstream *u)
{
    struct scripted_sink *s = (struct scripted_sink *)u;

    pthread_mutex_lock(&s->lock);
    if (s->can_be_interrupted)
        s->hangs = false;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static inline void scripted_free(struct upstream *u)
{
    struct scripted_sink *s = (struct scripted_sink *)u;

    pthread_mutex_lock(&s->lock);
    s->freed = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* The relay's callback. */
static inline int scripted_report(void *userdata, struct sink_report *r)
{
    struct scripted_sink *s = userdata;
    bool is_deaf;

    pthread_mutex_lock(&s->lock);
    is_deaf = s->deaf;
    if (!is_deaf && r->news == SINK_MOVED) {
        s->cursor = r->sequence;
        s->cursors++;
    } else if (!is_deaf && s->n_letters < 64) {
        s->letters[s->n_letters].news = r->news;
        s->letters[s->n_letters].sequence = r->sequence;
        s->letters[s->n_letters].cursor = s->cursor;
        strncpy(s->letters[s->n_letters].reason, r->reason ? r->reason : "", 63);
        s->n_letters++;
    }
    s->rewinds = r->rewinds;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    sink_report_free(r);
    return is_deaf ? -12 : 0;
}

static inline void scripted_init(struct scripted_sink *s)
{
    static const struct upstream_ops ops = {
        .type = "scripted",
        .open = scripted_open,
        .deliver = scripted_deliver,
        .interrupt = scripted_interrupt,
        .free = scripted_free,
    };

    memset(s, 0, sizeof(*s));
    s->upstream.ops = &ops;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
}

/* Waits until the condition on s holds. */
#define await(s, condition)                                                     \
    do {                                                                        \
        struct timespec until_;                                                 \
        int late_ = 0;                                                          \
        clock_gettime(CLOCK_REALTIME, &until_);                                 \
        until_.tv_sec += PATIENCE;                                              \
        pthread_mutex_lock(&(s)->lock);                                         \
        while (!(condition) && late_ == 0)                                      \
            late_ = pthread_cond_timedwait(&(s)->changed, &(s)->lock, &until_); \
        pthread_mutex_unlock(&(s)->lock);                                       \
        if (late_)                                                              \
            fail_msg("not within %d s: %s", PATIENCE, #condition);              \
    } while (0)

/* Changes what it is to do. */
#define tell(s, change)                        \
    do {                                       \
        pthread_mutex_lock(&(s)->lock);        \
        change;                                \
        pthread_cond_broadcast(&(s)->changed); \
        pthread_mutex_unlock(&(s)->lock);      \
    } while (0)

#endif
