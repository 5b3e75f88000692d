/* tenancy.h - is all of an NVM subsystem this instance's? */
#ifndef STOPD_WIPE_TENANCY_H
#define STOPD_WIPE_TENANCY_H

#include "wipe/wipe.h"

/* Opens the request's companions that are namespaces of the device's subsystem. w->tenancy.why_not
 * then says "" where every namespace there is the device or one of them, and nothing stands against
 * clearing those too; else why not. */
int tenancy_survey(struct wipe *w, struct error **err);
/* Claims them, before a command that reaches them; once. */
int tenancy_claim(struct wipe *w, struct error **err);
/* As the guards' look, for those that are claimed. */
bool tenancy_refuses(struct wipe *w, struct refusal *ret);
void tenancy_clear(struct wipe *w);

#endif
