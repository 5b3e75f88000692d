/* progress.h - how far clears have come, for the event stream */
#ifndef STOPD_API_PROGRESS_H
#define STOPD_API_PROGRESS_H

#include "api/exchange.h"

#include <stdio.h>

/* Writes how far each clear is that is under way, as server-sent events without an id, if that is
 * not what was written the last time (*last, the caller's to free). *soon: look again before long.
 * 1: something was written; 0; or negative. */
int progress_write(struct exchange *x, char **last, FILE *to, bool *soon, struct error **err);

#endif
