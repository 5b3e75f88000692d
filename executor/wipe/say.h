/* say.h - the lines of a clear beside its progress */
#ifndef STOPD_WIPE_SAY_H
#define STOPD_WIPE_SAY_H

#include "wipe/wipe.h"

int say_identity(struct wipe *w, struct error **err);
int say_plan(struct wipe *w, bool *is_refused, struct error **err);
int say_claimed(struct wipe *w, struct error **err);
int say_method(struct wipe *w, const struct rung *rung, struct error **err);
int say_setback(struct wipe *w, const struct rung *rung, const char *message, struct error **err);
int say_cleared(struct wipe *w, usec_t took, struct error **err);
int say_verified(struct wipe *w, struct error **err);
int say_error(struct report *report, enum wipe_outcome outcome, const struct refusal *refusal,
              const char *message, uint64_t durable);

#endif
