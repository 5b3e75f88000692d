/* commands-threads.c - the two threads that take commands and settle them
 *
 * Theory of operation. A queue that cannot be reached is opened again after a pause that grows and
 * differs from host to host; the operator hears of it once, and once of its end. Going down has two
 * steps: first no more is posted, and once the engine has answered all that it will, the settler
 * does the rest and ends. A thread that does not come back from its queue is left to itself with
 * all that it uses, as a sink's is.
 */
#include "daemon/commands-internal.h"
#include "stopd/thread.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#define PENDING_MOST 256
#define BACKOFF_LEAST USEC_PER_SEC
#define BACKOFF_MOST (60 * USEC_PER_SEC)
#define PATIENCE (3 * USEC_PER_SEC)

/* --- What is with the engine ----------------------------------------------------------------- */

struct pending *commands_admit(struct commands *c, struct queue_message *m)
{
    struct pending *p = calloc(1, sizeof(*p));
    bool known = false;

    if (!p)
        return NULL;
    *p = (struct pending){.commands = c, .message = m, .sequence = m->sequence};
    pthread_mutex_lock(&c->lock);
    for (const struct pending *other = c->pending; other && !known; other = other->next)
        known = other->sequence == m->sequence;
    if (!known) {
        p->next = c->pending;
        c->pending = p;
        c->n_pending++;
    }
    pthread_mutex_unlock(&c->lock);
    if (!known)
        return p;
    free(p);
    return NULL;
}

void commands_answered(struct pending *p, struct answer *a)
{
    struct commands *c = p->commands;

    pthread_mutex_lock(&c->lock);
    p->answer = a;
    *c->answered_end = p;
    c->answered_end = &p->next_answered;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static void forget(struct commands *c, struct pending *p)
{
    pthread_mutex_lock(&c->lock);
    for (struct pending **link = &c->pending; *link; link = &(*link)->next)
        if (*link == p) {
            *link = p->next;
            c->n_pending--;
            break;
        }
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    answer_free(p->answer);
    free(p);
}

/* --- Failures -------------------------------------------------------------------------------- */

static void note_failure(struct commands *c, bool *failing, const struct error *e)
{
    atomic_store(&c->connected, false);
    atomic_fetch_add(&c->counters[COMMANDS_FAILURES], 1);
    if (!*failing)
        log_error("no commands are taken from %s: %s; they wait there, and it is tried again",
                  c->queue->name, error_message(e));
    *failing = true;
}

static void note_success(struct commands *c, bool *failing)
{
    atomic_store(&c->connected, true);
    if (*failing)
        log_notice("commands are taken from %s again", c->queue->name);
    *failing = false;
}

static bool is_quiescing(struct commands *c)
{
    bool quiescing;

    pthread_mutex_lock(&c->posting);
    quiescing = c->quiescing;
    pthread_mutex_unlock(&c->posting);
    return quiescing;
}

/* Anywhere between the least pause and three times the last one; a stop ends it. */
static void pause_after_failure(struct commands *c, usec_t *backoff)
{
    usec_t most = 3 * (*backoff > 0 ? *backoff : BACKOFF_LEAST);
    struct timespec until;

    if (most > BACKOFF_MOST)
        most = BACKOFF_MOST;
    *backoff = BACKOFF_LEAST + arc4random_uniform((uint32_t)(most - BACKOFF_LEAST + 1));
    until = timespec_of(moment_now().monotonic + *backoff);
    pthread_mutex_lock(&c->lock);
    while (!c->stopping && pthread_cond_timedwait(&c->changed, &c->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&c->lock);
}

/* --- The threads ----------------------------------------------------------------------------- */

/* How many more there is room for; 0: it is time to stop. */
static unsigned wait_for_room(struct commands *c)
{
    unsigned room;

    pthread_mutex_lock(&c->lock);
    while (!c->stopping && c->n_pending >= PENDING_MOST)
        pthread_cond_wait(&c->changed, &c->lock);
    room = c->stopping ? 0 : PENDING_MOST - c->n_pending;
    pthread_mutex_unlock(&c->lock);
    return room;
}

static int take_all(struct commands *c, bool *failing, usec_t *backoff, struct error **err)
{
    int r = c->queue->ops->open(c->queue, err);

    while (r >= 0 && !is_quiescing(c)) {
        struct queue_message *m = NULL;
        unsigned room = wait_for_room(c);

        if (room == 0)
            break;
        r = c->queue->ops->next(c->queue, room, &m, err);
        if (r >= 0 && !is_quiescing(c)) {
            note_success(c, failing);
            *backoff = 0;
        }
        if (r > 0)
            commands_handle(c, m);
    }
    return r;
}

static void commands_free(struct commands *c)
{
    if (!c)
        return;
    for (struct pending *p = c->pending, *next; p; p = next) {
        next = p->next;
        if (p->message)
            c->queue->ops->settle(c->queue, p->message, QUEUE_LEFT, 0, NULL, NULL);
        answer_free(p->answer);
        free(p);
    }
    c->queue->ops->free(c->queue);
    pthread_mutex_destroy(&c->posting);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->changed);
    free(c->host_id);
    free(c);
}

/* The last thread of those that were left frees everything. */
static void end_thread(struct commands *c)
{
    bool last;

    pthread_mutex_lock(&c->lock);
    last = --c->running == 0 && c->abandoned;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    if (last)
        commands_free(c);
}

static void *taker_main(void *userdata)
{
    struct commands *c = userdata;
    bool failing = false;
    usec_t backoff = 0;

    while (!is_quiescing(c)) {
        _cleanup_(error_free) struct error *e = NULL;

        if (take_all(c, &failing, &backoff, &e) < 0) {
            note_failure(c, &failing, e);
            pause_after_failure(c, &backoff);
        }
    }
    end_thread(c);
    return NULL;
}

/* NULL: it is time to stop. */
static struct pending *next_answered(struct commands *c)
{
    struct pending *p;

    pthread_mutex_lock(&c->lock);
    while (!c->answered && !c->stopping)
        pthread_cond_wait(&c->changed, &c->lock);
    p = c->answered;
    if (p) {
        c->answered = p->next_answered;
        if (!c->answered)
            c->answered_end = &c->answered;
    }
    pthread_mutex_unlock(&c->lock);
    return p;
}

static void *settler_main(void *userdata)
{
    struct commands *c = userdata;
    struct pending *p;

    while ((p = next_answered(c))) {
        _cleanup_(error_free) struct error *e = NULL;

        /* It comes again. Why is the taker's to say, who meets the same. */
        if (commands_settle(c, p, &e) < 0)
            log_debug("settling a command from %s: %s", c->queue->name, error_message(e));
        forget(c, p);
    }
    end_thread(c);
    return NULL;
}

/* --- Up and down ----------------------------------------------------------------------------- */

static struct commands *commands_new(const struct commands_settings *settings)
{
    struct commands *c = calloc(1, sizeof(*c));

    if (!c) {
        settings->queue->ops->free(settings->queue);
        return NULL;
    }
    c->queue = settings->queue;
    c->post = settings->post;
    c->userdata = settings->userdata;
    c->answered_end = &c->answered;
    atomic_store(&c->max_age, settings->max_age);
    pthread_mutex_init(&c->posting, NULL);
    pthread_mutex_init(&c->lock, NULL);
    condition_init(&c->changed);
    if (text_replace(&c->host_id, settings->host_id) < 0) {
        commands_free(c);
        return NULL;
    }
    return c;
}

static int start_threads(struct commands *c)
{
    int r = thread_start(&c->settler, "settle commands", settler_main, c);

    c->running = r == 0;
    if (r == 0) {
        c->running++;
        r = thread_start(&c->taker, "take commands", taker_main, c);
        if (r < 0)
            c->running--;
    }
    return r;
}

static void begin_stop(struct commands *c)
{
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

int commands_start(const struct commands_settings *settings, struct commands **ret,
                   struct error **err)
{
    struct commands *c = commands_new(settings);
    int r;

    if (!c)
        return error_no_memory(err);
    r = start_threads(c);
    if (r < 0) {
        begin_stop(c);
        if (c->running > 0)
            pthread_join(c->settler, NULL);
        commands_free(c);
        return error_set_errno(err, ERROR_INTERNAL, r, "starting threads for commands");
    }
    *ret = c;
    return 0;
}

void commands_set_max_age(struct commands *c, usec_t max_age)
{
    if (c)
        atomic_store(&c->max_age, max_age);
}

void commands_quiesce(struct commands *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->posting);
    c->quiescing = true;
    pthread_mutex_unlock(&c->posting);
    c->queue->ops->stop(c->queue);
}

void commands_stop(struct commands *c)
{
    const struct timespec until = timespec_of(moment_now().monotonic + PATIENCE);
    bool ended;

    if (!c)
        return;
    begin_stop(c);
    pthread_mutex_lock(&c->lock);
    while (c->running > 0 && pthread_cond_timedwait(&c->changed, &c->lock, &until) == 0)
        ;
    ended = c->running == 0;
    if (!ended) {
        c->abandoned = true;
        pthread_detach(c->settler);
        pthread_detach(c->taker);
        log_warning("%s hangs and was left; what it has not settled comes again", c->queue->name);
    }
    pthread_mutex_unlock(&c->lock);
    if (!ended)
        return;
    pthread_join(c->settler, NULL);
    pthread_join(c->taker, NULL);
    commands_free(c);
}

void commands_write_metrics(struct commands *c, FILE *f)
{
    static const char *const outcomes[] = {"accepted", "refused", "deferred", "unknown"};

    if (!c)
        return;
    fprintf(f,
            "# HELP stopd_queue_connected Whether commands are being taken from the queue.\n"
            "# TYPE stopd_queue_connected gauge\n"
            "stopd_queue_connected %d\n",
            atomic_load(&c->connected));
    fprintf(f,
            "# HELP stopd_queue_commands_total Commands from the queue, by what became of them.\n"
            "# TYPE stopd_queue_commands_total counter\n");
    for (size_t i = 0; i < ELEMENTSOF(outcomes); i++)
        fprintf(f, "stopd_queue_commands_total{outcome=\"%s\"} %" PRIu64 "\n", outcomes[i],
                atomic_load(&c->counters[i]));
    fprintf(f,
            "# HELP stopd_queue_failures_total Times that the queue could not be used.\n"
            "# TYPE stopd_queue_failures_total counter\n"
            "stopd_queue_failures_total %" PRIu64 "\n",
            atomic_load(&c->counters[COMMANDS_FAILURES]));
}
