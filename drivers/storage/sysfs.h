/* sysfs.h - where the kernel keeps its attributes of a block device; reading them is in
 * storage.h */
#ifndef STOPD_STORAGE_SYSFS_H
#define STOPD_STORAGE_SYSFS_H

#include "stopd/storage.h"

#include <limits.h>

/* The folder of a block device, with all links resolved, and that of the disk it is a part of (the
 * same, for a whole disk). 0 or a negative errno. */
struct sysfs_block {
    char folder[PATH_MAX];
    char disk[PATH_MAX];
    bool is_partition;
};

int sysfs_find(const char *sys, unsigned major, unsigned minor, struct sysfs_block *ret);

#endif
