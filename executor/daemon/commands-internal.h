/* commands-internal.h - what the files of the commands share among themselves */
#ifndef STOPD_DAEMON_COMMANDS_INTERNAL_H
#define STOPD_DAEMON_COMMANDS_INTERNAL_H

#include "daemon/commands.h"
#include "stopd/log.h"

#include <pthread.h>
#include <stdatomic.h>

enum commands_counter {
    COMMANDS_ACCEPTED,
    COMMANDS_REFUSED,
    COMMANDS_DEFERRED,
    COMMANDS_UNKNOWN,
    COMMANDS_FAILURES, /* of the queue itself */
    COMMANDS_COUNTER_MAX,
};

/* A message that is with the engine, and then its answer, which is to be settled. */
struct pending {
    struct commands *commands;
    struct queue_message *message;
    uint64_t sequence;
    struct answer *answer; /* NULL: there was no memory for one */
    struct pending *next, *next_answered;
};

struct commands {
    struct queue *queue;
    char *host_id;
    void (*post)(void *userdata, struct request *r);
    void *userdata;
    _Atomic usec_t max_age;
    _Atomic uint64_t counters[COMMANDS_COUNTER_MAX];
    atomic_bool connected;
    pthread_t taker, settler;

    pthread_mutex_t posting; /* held over a post */
    bool quiescing;          /* takes no more, and posts no more */

    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t changed;
    struct pending *pending; /* all, with the engine or answered */
    unsigned n_pending;
    struct pending *answered, **answered_end;
    bool stopping;    /* ends when all that is answered is settled */
    unsigned running; /* threads */
    bool abandoned;
};

/* commands.c, on the taker's thread: a message has come. Takes m. */
void commands_handle(struct commands *c, struct queue_message *m);
/* commands.c, on the settler's thread. */
int commands_settle(struct commands *c, struct pending *p, struct error **err);

/* commands-threads.c */

/* NULL: it is with the engine already, or there is no memory. */
struct pending *commands_admit(struct commands *c, struct queue_message *m);
/* From any thread: p is to be settled with this answer, which is taken. */
void commands_answered(struct pending *p, struct answer *a);

#endif
