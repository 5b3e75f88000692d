/* sight.h - can we see every process, and all that it has open? */
#ifndef STOPD_WIPE_SIGHT_H
#define STOPD_WIPE_SIGHT_H

#include "stopd/error.h"

/* 0, or an error that says what hides them. */
int sight_is_whole(const char *proc, struct error **err);

#endif
