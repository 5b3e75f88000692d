/* upstream.h - a sink: somewhere that events are reported to
 *
 * Each sink runs on a thread of its own and may block there. It is handed events in the order of
 * their sequence, and handed them again after a failure or a crash: an event's id is the same each
 * time. */
#ifndef STOPD_UPSTREAM_H
#define STOPD_UPSTREAM_H

#include "stopd/error.h"

struct upstream_event {
    uint64_t sequence;
    const char *id; /* a UUID, fixed when the event was written */
    const char *instance_id;
    const char *type; /* stopd.instance.state.v1 … */
    const char *body; /* the CloudEvent in JSON, one line, no newline at its end */
    size_t body_size;
};

struct upstream;
struct upstream_ops {
    const char *type; /* upstream.NAME.type */
    size_t batch;     /* the most events that it wants at a time; 0: a few hundred */
    /* Opens, or opens again after a failure. last_id: where the sink itself knows, the id of the
     * last event that it holds, else "": delivery goes on behind it, so that a crash between
     * delivery and the cursor doubles nothing. A sink that does so must refuse no event: what it
     * refused before its last event, and stopd died before it was written down, would be lost. */
    int (*open)(struct upstream *u, char last_id[static UUID_TEXT_SIZE], struct error **err);
    /* Delivers a batch. *delivered: how many of its first are durably there, also where it fails;
     * where it does not, one at least. ERROR_REFUSED: the event behind these will never be taken,
     * whatever is tried; it is set aside with the error's message as the reason, and delivery goes
     * on behind it. Any other error: all that is not delivered is tried again. */
    int (*deliver)(struct upstream *u, const struct upstream_event *events, size_t n,
                   size_t *delivered, struct error **err);
    /* What is out is to end soon, as failed, and so is all that is still begun. From any thread, at
     * any time before free; may be NULL. */
    void (*interrupt)(struct upstream *u);
    void (*free)(struct upstream *u);
};

struct upstream {
    const struct upstream_ops *ops;
    /* Set by an open or a deliver that fails, where the sink has said when to come again: not
     * before then (monotonic). 0 before each. */
    usec_t not_before;
};

#endif
