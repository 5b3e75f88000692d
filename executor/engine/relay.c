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
 * grows and is never the same for two hosts whose common sink went away, nor shorter than the sink
 * asked for. The operator hears of it once, and once of its end; the rest is in the status.
 *
 * An event that the sink refuses for good is told to the engine as a dead letter, ahead of the
 * number that is past it; the engine writes the two in this order or together. Somebody may want
 * dead letters again, or events from an older number on: the journal knows that first, and the
 * thread is only told to look. Since reports of what was done before may still be under way to the
 * engine, each says of how many such changes of the number its relay knew.
 *
 * A stop waits for the batch that is out, not for the outbox to be empty: the journal keeps the
 * rest. A thread that does not come back from its sink is left to itself, with all that it uses; it
 * must not call back then, which is what the second mutex is for. It is apart from the first so
 * that the callback may take locks under which others call relay_notify().
 */
#include "engine/relay-internal.h"
#include "stopd/log.h"
#include "stopd/thread.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define BACKOFF_LEAST USEC_PER_SEC
#define BACKOFF_MOST (60 * USEC_PER_SEC)
#define INTERRUPTED_PATIENCE (2 * USEC_PER_SEC)

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

void relay_rewind(struct relay *r, uint64_t after, unsigned rewinds)
{
    pthread_mutex_lock(&r->lock);
    r->wish.rewind = true;
    r->wish.after = after;
    r->wish.rewinds = rewinds;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
}

void relay_replay_letters(struct relay *r, uint64_t mark)
{
    pthread_mutex_lock(&r->lock);
    r->wish.mark = mark;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
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

bool relay_is_called(struct relay *r)
{
    bool called;

    pthread_mutex_lock(&r->lock);
    called = r->stopping || r->wish.rewind;
    pthread_mutex_unlock(&r->lock);
    return called;
}

static void take_wishes(struct relay *r)
{
    bool rewind;

    pthread_mutex_lock(&r->lock);
    rewind = r->wish.rewind;
    if (rewind) {
        r->position = r->status.delivered = r->wish.after;
        r->rewinds = r->wish.rewinds;
        r->rewound = true;
    }
    if (r->wish.mark > r->marks)
        r->marks = r->wish.mark;
    r->wish.rewind = false;
    r->wish.mark = 0;
    pthread_mutex_unlock(&r->lock);
    if (rewind)
        log_notice("sink %s gets the events behind sequence %llu once more", r->name,
                   (unsigned long long)r->position);
}

/* Until something newer than this is committed, or something is wanted of the relay. */
static void wait_for_news(struct relay *r, uint64_t known)
{
    pthread_mutex_lock(&r->lock);
    r->waiting = true;
    while (!r->stopping && r->newest <= known && !r->wish.rewind && r->wish.mark == 0)
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
    usec_t again = moment_now().monotonic + next_backoff(r), not_before = r->upstream->not_before;
    struct timespec until;

    if (not_before > again)
        again = not_before + arc4random_uniform((uint32_t)r->backoff_least + 1);
    until = timespec_of(again);
    pthread_mutex_lock(&r->lock);
    while (!r->stopping && pthread_cond_timedwait(&r->wake, &r->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&r->lock);
}

/* --- The thread's life ----------------------------------------------------------------------- */

/* Opens everything and delivers until something fails, or the relay is to stop. */
static int deliver_all(struct relay *r, struct error **err)
{
    uint64_t known;
    int result = relay_open(r, err);

    while (result >= 0 && !is_stopping(r, &known)) {
        take_wishes(r);
        result = relay_deliver(r, err);
        if (result >= 0)
            relay_note_success(r);
        if (result == 0)
            wait_for_news(r, known);
    }
    journal_reader_close(take(r->reader));
    return result;
}

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

    if (!r)
        return NULL;
    condition_init(&r->wake);
    condition_init(&r->gone);
    pthread_mutex_init(&r->lock, NULL);
    pthread_mutex_init(&r->calling, NULL);
    r->report = settings->report;
    r->userdata = settings->userdata;
    r->backoff_least = settings->backoff_least ? settings->backoff_least : BACKOFF_LEAST;
    r->backoff_most = settings->backoff_most ? settings->backoff_most : BACKOFF_MOST;
    return r;
}

int relay_start(const struct relay_settings *settings, struct relay **ret, struct error **err)
{
    _cleanup_(relay_free) struct relay *r = relay_new(settings);
    char name[16];
    int started;

    if (!r) {
        settings->upstream->ops->free(settings->upstream);
        return error_no_memory(err);
    }
    r->upstream = settings->upstream;
    if (text_replace(&r->name, settings->name) < 0 ||
        text_replace(&r->journal_path, settings->journal_path) < 0 ||
        batch_init(&r->batch, r->upstream->ops->batch) < 0)
        return error_no_memory(err);
    snprintf(name, sizeof(name), "sink %s", r->name);
    started = thread_start(&r->thread, name, relay_main, r);
    if (started < 0)
        return error_set_errno(err, ERROR_INTERNAL, started, "starting a thread for sink %s",
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

static bool wait_for_end(struct relay *r, usec_t bound)
{
    const struct timespec until = timespec_of(moment_now().monotonic + bound);
    bool ended;

    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    pthread_cond_signal(&r->wake);
    while (!r->ended && pthread_cond_timedwait(&r->gone, &r->lock, &until) == 0)
        ;
    ended = r->ended;
    pthread_mutex_unlock(&r->lock);
    return ended;
}

int relay_stop(struct relay *r, usec_t bound)
{
    bool ended;

    if (!r)
        return 0;
    ended = wait_for_end(r, bound);
    if (!ended && r->upstream->ops->interrupt) {
        r->upstream->ops->interrupt(r->upstream);
        ended = wait_for_end(r, INTERRUPTED_PATIENCE);
    }
    if (!ended && abandon(r))
        return -ETIMEDOUT;
    pthread_join(r->thread, NULL);
    relay_free(r);
    return 0;
}
