/* relay.c - the outbox's way to one sink
 *
 * Theory of operation. A sink may be slow, away for days, or hang; so each has a thread, and a
 * connection of its own to read the journal by. The thread knows one number, the sequence up to
 * which the sink has everything. It reads what is behind it, hands it over, moves the number on and
 * tells the engine, which stores it as the sink's cursor. The cursor in the journal may be older
 * than the truth: a sink that knows its last event says so when it is opened, and what the journal
 * has up to there is not sent again.
 *
 * The engine's notice that there are new events is only a hint: the thread looks into the journal,
 * and sleeps when there is nothing behind its number and no notice came since before it looked.
 *
 * Whatever fails, the sink or the reading, is tried again from the opening on, after a pause that
 * grows and is never the same for two hosts whose common sink went away. The operator hears of it
 * once, and once of its end; the rest is in the status.
 *
 * A stop waits for the batch that is out, not for the outbox to be empty: the journal keeps the
 * rest. A thread that does not come back from its sink is left to itself, with all that it uses; it
 * must not call back then, which is what the second mutex is for. It is apart from the first so
 * that the callback may take locks under which others call relay_notify().
 */
#include "engine/relay-internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define BACKOFF_LEAST USEC_PER_SEC
#define BACKOFF_MOST (60 * USEC_PER_SEC)

static struct timespec timespec_of(usec_t monotonic)
{
    return (struct timespec){.tv_sec = (time_t)(monotonic / USEC_PER_SEC),
                             .tv_nsec = (long)(monotonic % USEC_PER_SEC * 1000)};
}

void relay_notify(struct relay *r, uint64_t sequence)
{
    pthread_mutex_lock(&r->lock);
    if (sequence > r->newest) {
        r->newest = sequence;
        if (r->waiting)
            pthread_cond_signal(&r->wake);
    }
    pthread_mutex_unlock(&r->lock);
}

static void tell_cursor(struct relay *r)
{
    pthread_mutex_lock(&r->calling);
    if (!r->silent)
        r->cursor(r->userdata, r->name, r->position);
    pthread_mutex_unlock(&r->calling);
}

/* --- Waiting --------------------------------------------------------------------------------- */

static bool is_stopping(struct relay *r, uint64_t *newest)
{
    bool stopping;

    pthread_mutex_lock(&r->lock);
    stopping = r->stopping;
    if (newest)
        *newest = r->newest;
    pthread_mutex_unlock(&r->lock);
    return stopping;
}

/* Until something newer than this is committed, or the relay is to stop. */
static void wait_for_news(struct relay *r, uint64_t known)
{
    pthread_mutex_lock(&r->lock);
    r->waiting = true;
    while (!r->stopping && r->newest <= known)
        pthread_cond_wait(&r->wake, &r->lock);
    r->waiting = false;
    pthread_mutex_unlock(&r->lock);
}

/* Anywhere between the least pause and three times the last one. */
static usec_t next_backoff(struct relay *r)
{
    usec_t most = 3 * (r->backoff > 0 ? r->backoff : r->backoff_least);

    if (most > r->backoff_most)
        most = r->backoff_most;
    r->backoff = r->backoff_least + arc4random_uniform((uint32_t)(most - r->backoff_least + 1));
    return r->backoff;
}

static void pause_after_failure(struct relay *r)
{
    const struct timespec until = timespec_of(moment_now().monotonic + next_backoff(r));

    pthread_mutex_lock(&r->lock);
    while (!r->stopping && pthread_cond_timedwait(&r->wake, &r->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&r->lock);
}

/* --- Delivering ------------------------------------------------------------------------------ */

static int read_position(struct relay *r, struct error **err)
{
    uint64_t cursor;
    int result = journal_reader_open(r->journal_path, &r->reader, err);

    if (result >= 0)
        result = journal_read_cursor(r->reader, r->name, &cursor, err);
    if (result > 0 && cursor > r->position)
        relay_move_to(r, cursor, 0);
    return result;
}

/* The sink may have more than the cursor says. */
static int open_sink(struct relay *r, struct error **err)
{
    char last_id[UUID_TEXT_SIZE] = "";
    uint64_t last;
    int result;

    relay_set_busy(r, true);
    result = r->upstream->ops->open(r->upstream, last_id, err);
    relay_set_busy(r, false);
    if (result < 0 || !last_id[0])
        return result;
    result = journal_read_event_sequence(r->reader, last_id, &last, err);
    if (result > 0 && last > r->position) {
        relay_move_to(r, last, 0);
        tell_cursor(r);
    }
    return result;
}

static int deliver(struct relay *r, struct error **err)
{
    struct batch *b = &r->batch;
    size_t delivered = 0;
    int result;

    relay_set_busy(r, true);
    result = r->upstream->ops->deliver(r->upstream, b->events, b->n, &delivered, err);
    relay_set_busy(r, false);
    if (delivered > 0) {
        relay_note_gap(r, b->events[0].sequence);
        relay_move_to(r, b->events[delivered - 1].sequence, delivered);
        tell_cursor(r);
    }
    if (result >= 0 && delivered < b->n)
        return error_set(err, ERROR_INTERNAL, "it took %zu of %zu events and gave no reason",
                         delivered, b->n);
    return result;
}

/* What stands before an event that cannot be read is delivered first. */
static int read_batch(struct relay *r, struct error **err)
{
    _cleanup_(error_free) struct error *e = NULL;

    if (batch_read(&r->batch, r->reader, r->position, &e) < 0 && r->batch.n == 0)
        return error_move(err, &e);
    return 0;
}

/* Opens everything and delivers until something fails, or the relay is to stop. */
static int deliver_all(struct relay *r, struct error **err)
{
    uint64_t known;
    int result = read_position(r, err);

    if (result >= 0)
        result = open_sink(r, err);
    while (result >= 0 && !is_stopping(r, &known)) {
        result = read_batch(r, err);
        if (result >= 0 && r->batch.n > 0)
            result = deliver(r, err);
        if (result >= 0) {
            r->backoff = 0;
            relay_note_success(r);
        }
        if (result >= 0 && r->batch.n == 0)
            wait_for_news(r, known);
        batch_clear(&r->batch);
    }
    journal_reader_close(take(r->reader));
    return result;
}

/* --- The thread's life ----------------------------------------------------------------------- */

static void relay_free(struct relay *r)
{
    if (!r)
        return;
    if (r->upstream)
        r->upstream->ops->free(r->upstream);
    pthread_mutex_destroy(&r->lock);
    pthread_mutex_destroy(&r->calling);
    pthread_cond_destroy(&r->wake);
    pthread_cond_destroy(&r->gone);
    batch_free(&r->batch);
    free(r->name);
    free(r->journal_path);
    free(r);
}
DEFINE_CLEANUP(struct relay *, relay_free);

static void *relay_main(void *userdata)
{
    struct relay *r = userdata;
    bool abandoned;

    while (!is_stopping(r, NULL)) {
        _cleanup_(error_free) struct error *e = NULL;

        if (deliver_all(r, &e) < 0) {
            relay_note_failure(r, e);
            pause_after_failure(r);
        }
    }
    pthread_mutex_lock(&r->lock);
    r->ended = true;
    abandoned = r->abandoned;
    pthread_cond_signal(&r->gone);
    pthread_mutex_unlock(&r->lock);
    if (abandoned)
        relay_free(r);
    return NULL;
}

static struct relay *relay_new(const struct relay_settings *settings)
{
    struct relay *r = calloc(1, sizeof(*r));
    pthread_condattr_t monotonic;

    if (!r)
        return NULL;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&r->wake, &monotonic);
    pthread_cond_init(&r->gone, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&r->lock, NULL);
    pthread_mutex_init(&r->calling, NULL);
    r->cursor = settings->cursor;
    r->userdata = settings->userdata;
    r->backoff_least = settings->backoff_least ? settings->backoff_least : BACKOFF_LEAST;
    r->backoff_most = settings->backoff_most ? settings->backoff_most : BACKOFF_MOST;
    return r;
}

/* Signals are the loop's business, never a sink's. */
static int start_thread(struct relay *r)
{
    char name[16];
    sigset_t all, former;
    int errnum;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &former);
    errnum = pthread_create(&r->thread, NULL, relay_main, r);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    if (errnum == 0) {
        snprintf(name, sizeof(name), "sink %s", r->name);
        pthread_setname_np(r->thread, name);
    }
    return errnum;
}

int relay_start(const struct relay_settings *settings, struct relay **ret, struct error **err)
{
    _cleanup_(relay_free) struct relay *r = relay_new(settings);
    int errnum;

    if (!r) {
        settings->upstream->ops->free(settings->upstream);
        return error_no_memory(err);
    }
    r->upstream = settings->upstream;
    if (text_replace(&r->name, settings->name) < 0 ||
        text_replace(&r->journal_path, settings->journal_path) < 0 ||
        batch_init(&r->batch, r->upstream->ops->batch) < 0)
        return error_no_memory(err);
    errnum = start_thread(r);
    if (errnum != 0)
        return error_set_errno(err, ERROR_INTERNAL, errnum, "starting a thread for sink %s",
                               r->name);
    *ret = take(r);
    return 0;
}

/* Leaves the thread to itself; from here on it may free r at any moment. False: it has ended just
 * now. */
static bool abandon(struct relay *r)
{
    bool abandoned;

    pthread_mutex_lock(&r->calling);
    r->silent = true;
    pthread_mutex_unlock(&r->calling);
    pthread_mutex_lock(&r->lock);
    abandoned = r->abandoned = !r->ended;
    if (abandoned)
        pthread_detach(r->thread);
    pthread_mutex_unlock(&r->lock);
    return abandoned;
}

int relay_stop(struct relay *r, usec_t bound)
{
    struct timespec until;
    bool ended;

    if (!r)
        return 0;
    until = timespec_of(moment_now().monotonic + bound);
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    pthread_cond_signal(&r->wake);
    while (!r->ended && pthread_cond_timedwait(&r->gone, &r->lock, &until) == 0)
        ;
    ended = r->ended;
    pthread_mutex_unlock(&r->lock);
    if (!ended && abandon(r))
        return -ETIMEDOUT;
    pthread_join(r->thread, NULL);
    relay_free(r);
    return 0;
}
