/* random.h - numbers that a seed gives again and again: where canaries sit and what is sampled */
#ifndef STOPD_WIPE_RANDOM_H
#define STOPD_WIPE_RANDOM_H

#include "stopd/wipe-protocol.h"

/* A counter-based generator (the finalizer of SplitMix64 over seed and counter): any number of the
 * sequence can be had at once, so that nothing needs to be kept. Not for secrets. */
struct random {
    uint64_t key[2];
};

int random_new_seed(char ret[static WIPE_SEED_SIZE]); /* from the kernel; 0 or a negative errno */
struct random random_of_seed(const char *seed, uint64_t stream);
uint64_t random_at(const struct random *r, uint64_t index);
/* At least 0 and less than n (> 0). */
uint64_t random_below(const struct random *r, uint64_t index, uint64_t n);

#endif
