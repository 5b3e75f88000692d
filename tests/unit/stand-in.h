/* stand-in.h - a stand-in for the engine, which answers what it is told to
 *
 * It does so on a thread of its own, as the engine would: at once, or for the kinds that are held,
 * when they are released. */
#ifndef STOPD_TESTS_STAND_IN_H
#define STOPD_TESTS_STAND_IN_H

#include "engine/request.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct stand_in {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ended;
    struct request *waiting;      /* to be answered, or held */
    bool held[REQUEST_KIND_MAX];  /* a wait that is not held ends at its deadline */
    unsigned n[REQUEST_KIND_MAX]; /* how many came */
    enum error_code code;         /* what is answered: */
    const char *message;
    const char *request_id;    /* of a stop */
    const char *body;          /* JSON */
    struct command last;       /* the last stop's */
    const char *const *slices; /* of instances: behind 0, 1, … */
    char last_id[256];         /* the last instance_id, operation_id or sink */
    char last_request_id[UUID_TEXT_SIZE], last_principal[256];
    uint64_t last_after;
    usec_t last_wait;
};

#define INSTANCES                                                                     \
    "{\"instances\":["                                                                \
    "{\"instanceId\":\"i-3\",\"name\":\"guest3\",\"uuid\":\"00000000-0000-0000-0000-" \
    "00000000000a\","                                                                 \
    "\"state\":\"Stopping\",\"certain\":true},"                                       \
    "{\"instanceId\":\"i-1\",\"name\":\"guest1\",\"uuid\":\"00000000-0000-0000-0000-" \
    "00000000000b\","                                                                 \
    "\"state\":\"Running\",\"certain\":true},"                                        \
    "{\"instanceId\":\"i-2\",\"name\":\"guest2\",\"uuid\":\"00000000-0000-0000-0000-" \
    "00000000000c\","                                                                 \
    "\"state\":\"Stopped\",\"certain\":false}]}"

static inline bool is_wait(const struct request *r)
{
    return r->kind == REQUEST_WAIT_OPERATION || r->kind == REQUEST_WAIT_EVENTS;
}

static inline void stand_in_answer(struct stand_in *s, struct request *r)
{
    struct answer *a = calloc(1, sizeof(*a));
    const char *body = s->body;

    if (!body && r->kind == REQUEST_INSTANCES)
        body = s->slices ? s->slices[r->after] : INSTANCES;
    if (!body && r->kind == REQUEST_METRICS)
        body = "{\"text\":\"stopd_operations 1\\n\"}";
    a->code = s->code;
    a->message = s->message ? strdup(s->message) : NULL;
    if (r->kind == REQUEST_STOP && s->code == ERROR_NONE)
        snprintf(a->request_id, sizeof(a->request_id), "%s",
                 s->request_id ? s->request_id : r->command.request_id);
    if (s->code == ERROR_NONE && body && !is_wait(r))
        a->body = json_tokener_parse(body);
    r->reply(r, a);
}

static inline void *stand_in_run(void *userdata)
{
    struct stand_in *s = userdata;

    pthread_mutex_lock(&s->lock);
    for (;;) {
        usec_t now = moment_now().monotonic, next = now + USEC_PER_SEC;
        struct request *ready = NULL, **place = &s->waiting;
        struct timespec until;

        while (*place) {
            struct request *r = *place;

            if (s->ended ||
                (is_wait(r) ? !s->held[r->kind] && r->deadline <= now : !s->held[r->kind])) {
                *place = r->next;
                r->next = ready;
                ready = r;
                continue;
            }
            if (is_wait(r) && r->deadline < next)
                next = r->deadline;
            place = &r->next;
        }
        while (ready) {
            struct request *r = ready;

            ready = r->next;
            stand_in_answer(s, r);
        }
        if (s->ended && !s->waiting)
            break;
        until =
            (struct timespec){(time_t)(next / USEC_PER_SEC), (long)(next % USEC_PER_SEC * 1000)};
        if (!s->ended)
            pthread_cond_timedwait(&s->changed, &s->lock, &until);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* Answers from here on, until it is ended. */
static inline void stand_in_begin(struct stand_in *s)
{
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, &monotonic);
    pthread_create(&s->thread, NULL, stand_in_run, s);
}

static inline void stand_in_end(struct stand_in *s)
{
    pthread_mutex_lock(&s->lock);
    s->ended = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    command_clear(&s->last);
}

static inline void stand_in_post(void *userdata, struct request *r)
{
    struct stand_in *s = userdata;
    const char *id = r->instance_id ? r->instance_id : r->operation_id ? r->operation_id : r->sink;

    pthread_mutex_lock(&s->lock);
    s->n[r->kind]++;
    snprintf(s->last_id, sizeof(s->last_id), "%s", id ? id : "");
    snprintf(s->last_request_id, sizeof(s->last_request_id), "%s", r->request_id);
    snprintf(s->last_principal, sizeof(s->last_principal), "%s", r->principal.name);
    s->last_after = r->after;
    if (r->kind == REQUEST_CLEAR)
        text_replace(&s->last.traceparent, r->command.traceparent);
    s->last_wait = r->wait;
    if (r->kind == REQUEST_STOP) {
        command_clear(&s->last);
        s->last = r->command;
        s->last.instance_id = strdup(r->command.instance_id);
        s->last.fingerprint = strdup(r->command.fingerprint);
        s->last.client_token = NULL;
        s->last.traceparent = NULL;
        text_replace(&s->last.client_token, r->command.client_token);
        text_replace(&s->last.traceparent, r->command.traceparent);
    }
    r->deadline = moment_now().monotonic + r->wait;
    r->next = s->waiting;
    s->waiting = r;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static inline void stand_in_hold(struct stand_in *s, enum request_kind kind, bool held)
{
    pthread_mutex_lock(&s->lock);
    s->held[kind] = held;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* Answers every wait, as if what is waited for had come. */
static inline void stand_in_wake(struct stand_in *s)
{
    pthread_mutex_lock(&s->lock);
    for (struct request *r = s->waiting; r; r = r->next)
        r->deadline = 0;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static inline unsigned stand_in_count(struct stand_in *s, enum request_kind kind)
{
    unsigned n;

    pthread_mutex_lock(&s->lock);
    n = s->n[kind];
    pthread_mutex_unlock(&s->lock);
    return n;
}

/* What the last wait was for. */
static inline uint64_t stand_in_last_after(struct stand_in *s)
{
    uint64_t after;

    pthread_mutex_lock(&s->lock);
    after = s->last_after;
    pthread_mutex_unlock(&s->lock);
    return after;
}

#endif
