/* route.h - which handler a path and a method lead to, and who may take that way */
#ifndef STOPD_API_ROUTE_H
#define STOPD_API_ROUTE_H

#include "api/exchange.h"

struct route {
    const char *pattern; /* {} stands for one segment, which becomes the exchange's argument; there
                            may be a second one */
    unsigned verbs;      /* enum verb, or-ed */
    enum right right;    /* the least that the caller must have */
    void (*handle)(struct exchange *x);
};

/* All there is, for dispatching and for metrics. */
const struct route *routes_all(size_t *n);

/* The request is whole: the checks of contract section 3 as far as they are every route's, in its
 * order, then the handler. */
void route_dispatch(struct exchange *x);

/* The handlers, by file. */
void ecs_handle(struct exchange *x);       /* ecs.c */
void describe_handle(struct exchange *x);  /* describe.c: an action of ecs.c's */
void instances_handle(struct exchange *x); /* v1.c */
void instance_handle(struct exchange *x);
void operations_handle(struct exchange *x);
void operation_handle(struct exchange *x);
void cancel_handle(struct exchange *x);
void retry_handle(struct exchange *x);
void clear_handle(struct exchange *x); /* storage.c */
void certificates_handle(struct exchange *x);
void events_handle(struct exchange *x);       /* events.c */
void event_stream_handle(struct exchange *x); /* event-stream.c: a form of events.c's */
void sinks_handle(struct exchange *x);        /* sinks.c */
void sink_replay_handle(struct exchange *x);
void letters_handle(struct exchange *x);
void letters_replay_handle(struct exchange *x);
void letters_drop_handle(struct exchange *x);
void livez_handle(struct exchange *x); /* health.c */
void readyz_handle(struct exchange *x);
void metrics_handle(struct exchange *x);

#endif
