/* stream.h - the daemon's events as they happen */
#ifndef STOPD_CLI_STREAM_H
#define STOPD_CLI_STREAM_H

#include "cli/cli.h"

struct stream {
    uint64_t after; /* the sequence of the last event that was taken; 0: none */
    /* One event, a CloudEvent. */
    void (*each)(void *userdata, json_object *event);
    /* Now and then, at least once a second, and after events. May be NULL. */
    void (*turn)(void *userdata);
    /* The daemon is away, told once for each time; it is waited for. */
    void (*away)(void *userdata);
    void *userdata;
};

/* Follows the events behind stream->after until the program is ended. It only returns with an
 * error: the daemon was not reached, or refused; once it has answered it is waited for whenever it
 * is away. */
int stream_follow(struct cli *cli, struct stream *stream, struct error **err);

/* The sequence of a CloudEvent of ours; 0: it has none. */
uint64_t event_sequence(json_object *event);
/* One line about an event, for a person. */
void event_print(json_object *event, FILE *to);

#endif
