/* commands.h - StopInstance commands from a queue, given to the engine like the API's */
#ifndef STOPD_DAEMON_COMMANDS_H
#define STOPD_DAEMON_COMMANDS_H

#include "engine/request.h"
#include "stopd/queue.h"

#include <stdio.h>

struct commands;

struct commands_settings {
    struct queue *queue; /* taken, also where commands_start() fails */
    const char *host_id; /* copied */
    usec_t max_age;      /* an older command is refused */
    /* Hands a request to the engine, and returns at once. */
    void (*post)(void *userdata, struct request *r);
    void *userdata;
};

/* Begins to take commands. */
int commands_start(const struct commands_settings *settings, struct commands **ret,
                   struct error **err);
void commands_set_max_age(struct commands *c, usec_t max_age);
/* In the Prometheus text format. c may be NULL. */
void commands_write_metrics(struct commands *c, FILE *f);

/* Takes no more. What is with the engine is still settled when its answer comes. c may be NULL. */
void commands_quiesce(struct commands *c);
/* All that the engine answers is answered: settles the rest and ends. One that hangs in its queue
 * is left, and said so; what it had comes again. c may be NULL. */
void commands_stop(struct commands *c);

#endif
