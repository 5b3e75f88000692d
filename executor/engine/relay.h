/* relay.h - the outbox's way to one sink: a thread that reads committed events and delivers them
 *
 * Any thread may call these functions, save that relay_stop() ends all use of the relay. */
#ifndef STOPD_ENGINE_RELAY_H
#define STOPD_ENGINE_RELAY_H

#include "engine/sink-report.h"
#include "stopd/upstream.h"

struct relay;

struct relay_settings {
    const char *name;          /* upstream.NAME */
    struct upstream *upstream; /* taken, also where relay_start() fails */
    const char *journal_path;
    /* Something is to be stored, in the order in which it is told: what is set aside before the
     * cursor that is past it. A cursor at leisure, for an older one only means that a sink which
     * cannot tell what it has gets events again. On the relay's thread; it must not wait for the
     * thread that calls relay_stop(). Takes the report. Returns 0, or a negative errno: it was not
     * taken down. Not called any more once relay_stop() has returned. */
    int (*report)(void *userdata, struct sink_report *report);
    void *userdata;
    usec_t backoff_least, backoff_most; /* after a failure; 0: a second, a minute */
};

/* Begins at once with what the sink has not got. Settings are copied. */
int relay_start(const struct relay_settings *settings, struct relay **ret, struct error **err);

/* Events up to this sequence are committed. Cheap enough for every turn of the loop. To be called
 * once at the start too, so that the lag is known before the sink is reached. */
void relay_notify(struct relay *r, uint64_t sequence);

/* The cursor has been put back (journal_rewind()), for the so-manieth time since the start:
 * delivery goes on from there. */
void relay_rewind(struct relay *r, uint64_t after, unsigned rewinds);
/* There are dead letters in the journal that are to be sent again, with marks up to this one. */
void relay_replay_letters(struct relay *r, uint64_t mark);

struct relay_status {
    uint64_t delivered;   /* or set aside: up to here; 0: nothing yet, or not known yet */
    uint64_t lag;         /* so many sequences behind the newest that was notified or read */
    uint64_t events;      /* delivered since the start */
    uint64_t failures;    /* since the start */
    uint64_t set_aside;   /* refusals since the start */
    uint64_t missed;      /* no longer in the journal when it was their turn */
    bool failing;         /* the last try failed */
    usec_t failing_since; /* realtime, while failing */
    usec_t busy_since;    /* monotonic: the sink has been at work since then; 0: it is not */
    char error[256];      /* the last one, also when well again; "": none yet */
};
void relay_status(struct relay *r, struct relay_status *ret);

/* Lets the batch end that is being delivered, for bound at most, and no other begin; a sink that
 * can be interrupted is then. One that hangs all the same is abandoned: its thread frees everything
 * if it ever comes back. Returns 0, or -ETIMEDOUT for an abandoned one. What is not delivered stays
 * in the journal. r may be NULL. */
int relay_stop(struct relay *r, usec_t bound);

#endif
