/* census.h - how often what was exercised, so that what never was is seen */
#ifndef STOPD_SIMULATION_CENSUS_H
#define STOPD_SIMULATION_CENSUS_H

#include "stopd/base.h"

/* Counts one more. group: "rule", "answer", "call" …; name: which of it. */
void census_count(const char *group, const char *name);

/* What one process has counted goes to where all of them see it, and is told from there. */
struct census;
struct census *census_shared(void);
void census_add(struct census *all);
void census_print(const struct census *all);

#endif
