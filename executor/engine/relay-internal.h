/* relay-internal.h - what the relay's files share among themselves */
#ifndef STOPD_ENGINE_RELAY_INTERNAL_H
#define STOPD_ENGINE_RELAY_INTERNAL_H

#include "engine/relay-batch.h"
#include "engine/relay.h"

#include <pthread.h>

struct relay {
    /* Set before the thread starts */
    char *name;
    char *journal_path;
    struct upstream *upstream;
    int (*report)(void *userdata, struct sink_report *report);
    void *userdata;
    usec_t backoff_least, backoff_most;
    pthread_t thread;

    /* The thread's own */
    struct journal_reader *reader;
    uint64_t position;          /* the sink has everything up to here */
    bool rewound;               /* and more than that: somebody put the position back */
    unsigned rewinds;           /* so often */
    uint64_t marks_done, marks; /* dead letters with marks between these are to be sent again */
    usec_t backoff;             /* the last pause */
    struct batch batch;

    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t wake;  /* news, or stopping */
    pthread_cond_t gone;  /* ended */
    bool waiting;         /* for news */
    bool stopping, ended, abandoned;
    uint64_t newest;
    struct {
        bool rewind;
        uint64_t after;
        unsigned rewinds;
        uint64_t mark;          /* 0: none */
    } wish;                     /* what was asked for since the thread looked last */
    struct relay_status status; /* without its lag */

    pthread_mutex_t calling; /* held over a callback */
    bool silent;
};

/* --- relay-deliver.c ------------------------------------------------------------------------- */

/* Opens the journal and the sink, and finds the position. */
int relay_open(struct relay *r, struct error **err);
/* Sends dead letters that are wanted, then the events behind the position, as far as they make a
 * batch. 1: there were some of these; 0: none. */
int relay_deliver(struct relay *r, struct error **err);

/* --- relay.c --------------------------------------------------------------------------------- */

/* Is it to stop, or to go on from elsewhere? */
bool relay_is_called(struct relay *r);

/* --- relay-status.c: the thread says how it fares -------------------------------------------- */

/* The sink has everything up to here, so many events of it from this delivery. */
void relay_move_to(struct relay *r, uint64_t sequence, uint64_t events);
/* So many dead letters are delivered. */
void relay_count_delivered(struct relay *r, uint64_t events);
/* The sink is at work, and may hang there. */
void relay_set_busy(struct relay *r, bool busy);
/* These two log what is new about it. After a success pauses begin anew. */
void relay_note_failure(struct relay *r, const struct error *e);
void relay_note_success(struct relay *r);
/* The sink will never take this one. */
void relay_note_set_aside(struct relay *r, const struct upstream_event *event, const char *reason);
/* The first event that is delivered behind r->position. */
void relay_note_gap(struct relay *r, uint64_t first);

#endif
