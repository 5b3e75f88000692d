/* attempt.h - one rung of the ladder, from its first mark to the last block verified */
#ifndef STOPD_WIPE_ATTEMPT_H
#define STOPD_WIPE_ATTEMPT_H

#include "wipe/wipe.h"

/* w->state says where to begin. After a failure w->refusal tells a guard's stop from a method's
 * setback, and w->has_lied what kind of setback. */
int attempt(struct wipe *w, const struct rung *rung, struct error **err);

#endif
