/* events.h - what the two forms of /v1/events share */
#ifndef STOPD_API_EVENTS_H
#define STOPD_API_EVENTS_H

#include "api/exchange.h"

/* Calls each for up to limit events behind a sequence. */
int events_read(struct exchange *x, uint64_t after, unsigned limit,
                int (*each)(void *userdata, const struct upstream_event *e), void *userdata,
                struct error **err);
/* The question that is answered when there is an event behind this sequence, or after a slice. NULL
 * when out of memory. */
struct request *events_wait(const struct exchange *x, uint64_t after, usec_t slice);

#endif
