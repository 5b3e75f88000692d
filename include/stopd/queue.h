/* queue.h - a command queue: somewhere that StopInstance commands for this host come from
 *
 * Delivery is at least once: a message comes again until the queue knows that it was settled. One
 * thread opens and takes; another may settle at the same time. Both may block there, save that
 * stop() makes next() return. */
#ifndef STOPD_QUEUE_H
#define STOPD_QUEUE_H

#include "stopd/error.h"

struct queue_message {
    const char *body; /* not terminated */
    size_t body_size;
    const char *id;    /* given by its sender, the same however often it is sent; NULL: none */
    uint64_t sequence; /* its place in the queue, the same at each delivery */
    usec_t sent_at;    /* realtime, by the queue's clock */
    const char *traceparent; /* NULL: none */
    const char *reply_to;    /* where its sender waits for an answer; NULL: nowhere */
};

/* What becomes of a message. */
enum queue_verdict {
    QUEUE_DONE,    /* what it asked for is on the disk: it does not come again */
    QUEUE_REFUSED, /* it will not be done: it does not come again. The answer goes out once the
                      queue has confirmed that */
    QUEUE_LATER,   /* not now: it comes again after a delay */
    QUEUE_LEFT,    /* nobody knows: it comes again when the queue has waited long enough */
};

struct queue;
struct queue_ops {
    /* Connects, or connects again after a failure. */
    int (*open)(struct queue *q, struct error **err);
    /* The next message: 1, and it is the caller's until settled; 0: none came for a while. most: so
     * many may come before the caller is full. */
    int (*next)(struct queue *q, unsigned most, struct queue_message **ret, struct error **err);
    /* Takes m, also where it fails; then it comes again. answer: for m->reply_to, or NULL. delay:
     * of QUEUE_LATER. */
    int (*settle)(struct queue *q, struct queue_message *m, enum queue_verdict verdict,
                  usec_t delay, const char *answer, struct error **err);
    /* From any thread: next() returns 0 from now on, and gives nothing. */
    void (*stop)(struct queue *q);
    void (*free)(struct queue *q);
};

struct queue {
    const struct queue_ops *ops;
    const char *name; /* who commands from here are taken to come from: "nats:STOPD_COMMANDS" */
};

#endif
