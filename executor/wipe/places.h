/* places.h - where partitions lay before a clear */
#ifndef STOPD_WIPE_PLACES_H
#define STOPD_WIPE_PLACES_H

#include "wipe/wipe.h"

/* Fills w->places with where partitions of the device begin and end. */
int places_remember(struct wipe *w, struct error **err);

#endif
