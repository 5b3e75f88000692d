/* relay.h - the outbox's way to one sink: a thread that reads committed events and delivers them
 *
 * Any thread may call these functions, save that relay_stop() ends all use of the relay. */
#ifndef STOPD_ENGINE_RELAY_H
#define STOPD_ENGINE_RELAY_H

#include "stopd/upstream.h"

struct relay;

struct relay_settings {
    const char *name;          /* upstream.NAME */
    struct upstream *upstream; /* taken, also where relay_start() fails */
    const char *journal_path;
    /* Everything up to sequence is delivered: to be stored by journal_put_cursor(), at leisure, for
     * an older cursor only means that a sink which cannot tell what it has gets events again. On
     * the relay's thread; it must not wait for the thread that calls relay_stop(). Not called any
     * more once that has returned. */
    void (*cursor)(void *userdata, const char *sink, uint64_t sequence);
    void *userdata;
    usec_t backoff_least, backoff_most; /* after a failure; 0: a second, a minute */
};

/* Begins at once with what the sink has not got. Settings are copied. */
int relay_start(const struct relay_settings *settings, struct relay **ret, struct error **err);

/* Events up to this sequence are committed. Cheap enough for every turn of the loop. To be called
 * once at the start too, so that the lag is known before the sink is reached. */
void relay_notify(struct relay *r, uint64_t sequence);

struct relay_status {
    uint64_t delivered;   /* up to this sequence; 0: nothing yet, or not known yet */
    uint64_t lag;         /* so many sequences behind the newest that was notified or read */
    uint64_t events;      /* delivered since the start */
    uint64_t failures;    /* since the start */
    uint64_t missed;      /* no longer in the journal when it was their turn */
    bool failing;         /* the last try failed */
    usec_t failing_since; /* realtime, while failing */
    usec_t busy_since;    /* monotonic: the sink has been at work since then; 0: it is not */
    char error[256];      /* the last one, also when well again; "": none yet */
};
void relay_status(struct relay *r, struct relay_status *ret);

/* Lets the batch end that is being delivered, for bound at most, and no other begin. A sink that
 * hangs longer is abandoned: its thread frees everything if it ever comes back. Returns 0, or
 * -ETIMEDOUT for an abandoned one. What is not delivered stays in the journal. r may be NULL. */
int relay_stop(struct relay *r, usec_t bound);

#endif
