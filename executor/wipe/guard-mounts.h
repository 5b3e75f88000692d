/* guard-mounts.h - reading mount tables, our own and other processes' */
#ifndef STOPD_WIPE_GUARD_MOUNTS_H
#define STOPD_WIPE_GUARD_MOUNTS_H

#include "wipe/guard.h"

struct mount {
    dev_t device;
    char *point, *type, *source; /* within the line */
};

/* A line of mountinfo, which it cuts into pieces. */
bool mountinfo_parse(char *line, struct mount *ret);
/* A line of /proc/swaps likewise: the file or device. */
bool swaps_parse(char *line, char **ret);

/* As a guard, over one mount table. root: where its sources are to be resolved, "" for our own;
 * whose: what is said of it behind the mount point (" in the mount namespace of process 12"). */
int mounts_look(const struct scene *s, const char *mountinfo, const char *root, const char *whose,
                struct refusal *ret, struct error **err);

#endif
