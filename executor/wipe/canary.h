/* canary.h - marks that are written before a clear and have to be gone after it */
#ifndef STOPD_WIPE_CANARY_H
#define STOPD_WIPE_CANARY_H

#include "wipe/wipe.h"

#define CANARY_SIZE 4096
#define CANARIES_MAX 256

/* Where they are to be on a device of this size: one in each stratum, at a place that the seed
 * says. Returns how many. Block-aligned, ascending, different from each other. */
size_t canary_places(const char *seed, uint64_t size, uint64_t ret[static CANARIES_MAX]);
/* What is written at a place: text that says what it is, and a pattern that no two places share. */
void canary_fill(const char *seed, uint64_t place, unsigned char ret[static CANARY_SIZE]);

/* Writes them from w->state.durable on and reads them back: a device that does not keep what it was
 * given could not prove later that it is gone. */
int canaries_place(struct wipe *w, struct error **err);
/* After a command for the whole device. ERROR_IO and w->has_lied if one is still there; *is_zero:
 * is nothing but zeros where they were? */
int canaries_gone(struct wipe *w, bool *is_zero, struct error **err);

#endif
