/* shrink.h - a bad life told as briefly as it can be */
#ifndef STOPD_SIMULATION_SHRINK_H
#define STOPD_SIMULATION_SHRINK_H

#include "simulation/fate.h"

/* Finds few of the things that happened in a life that are enough to break the same rule, tells
 * that story, and says how to live it again. happened: all of them; they are left as they are. */
void shrink(uint64_t seed, const struct fates *happened, const char *broken);

#endif
