/* rate.h - api.rate: how many StopInstance calls a caller may make in a second */
#ifndef STOPD_API_RATE_H
#define STOPD_API_RATE_H

#include "stopd/base.h"

struct rate;
/* per_second 0: no bound. NULL when out of memory. */
struct rate *rate_new(unsigned per_second);
void rate_free(struct rate *r);
DEFINE_CLEANUP(struct rate *, rate_free);
/* Counts a call at this monotonic time and returns 0, or, without counting it, for how long the
 * caller has to wait. */
usec_t rate_take(struct rate *r, const char *caller, usec_t now);

#endif
