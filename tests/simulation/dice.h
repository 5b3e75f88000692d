/* dice.h - chance that can be had again: a small generator with a seed (xoshiro256**) */
#ifndef STOPD_SIMULATION_DICE_H
#define STOPD_SIMULATION_DICE_H

#include "stopd/base.h"

struct dice {
    uint64_t state[4];
};

void dice_seed(struct dice *d, uint64_t seed);
uint64_t dice_next(struct dice *d);
/* 0 to n - 1; 0 where n is 0. */
uint32_t dice_below(struct dice *d, uint32_t n);
bool dice_percent(struct dice *d, uint32_t percent);
/* Between two times, both possible. */
usec_t dice_between(struct dice *d, usec_t least, usec_t most);

#endif
