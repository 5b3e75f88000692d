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
    void (*cursor)(void *userdata, const char *sink, uint64_t sequence);
    void *userdata;
    usec_t backoff_least, backoff_most;
    pthread_t thread;

    /* The thread's own */
    struct journal_reader *reader;
    uint64_t position; /* the sink has everything up to here */
    usec_t backoff;    /* the last pause */
    struct batch batch;

    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t wake;  /* news, or stopping */
    pthread_cond_t gone;  /* ended */
    bool waiting;         /* for news */
    bool stopping, ended, abandoned;
    uint64_t newest;
    struct relay_status status; /* without its lag */

    pthread_mutex_t calling; /* held over a callback */
    bool silent;
};

/* The thread says how it fares; relay-status.c. */

/* The sink has everything up to here, so many events of it from this delivery. */
void relay_move_to(struct relay *r, uint64_t sequence, uint64_t events);
/* The sink is at work, and may hang there. */
void relay_set_busy(struct relay *r, bool busy);
/* These two log what is new about it. */
void relay_note_failure(struct relay *r, const struct error *e);
void relay_note_success(struct relay *r);
/* The first event that is delivered behind r->position. */
void relay_note_gap(struct relay *r, uint64_t first);

#endif
