/* verify.h - does the device read as zeros? */
#ifndef STOPD_WIPE_VERIFY_H
#define STOPD_WIPE_VERIFY_H

#include "wipe/wipe.h"

#define VERIFY_BLOCK 4096
/* ln(1e-6) / ln(1 - 1e-4), rounded up: so many random blocks miss a residue of 1 in 10,000 with a
 * chance of at most 1 in a million. */
#define VERIFY_SAMPLES 138149

/* Reads what w->verification.mode says and fills in the rest of it. What is not zero: ERROR_IO and
 * w->has_lied. */
int verify(struct wipe *w, struct error **err);
/* Is nothing there that libblkid knows? *found: the name of what it found, or "". */
int verify_signature(const struct storage_device *d, char *found, size_t size, struct error **err);

#endif
