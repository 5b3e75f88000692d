/* claim.h - taking the device for ourselves */
#ifndef STOPD_WIPE_CLAIM_H
#define STOPD_WIPE_CLAIM_H

#include "wipe/wipe.h"

/* Held until the device is closed. A conflict is a refusal that names who holds it, where that can
 * be known. */
int claim(struct wipe *w, struct error **err);

#endif
