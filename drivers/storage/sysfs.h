/* sysfs.h - reading the kernel's attributes of a device */
#ifndef STOPD_STORAGE_SYSFS_H
#define STOPD_STORAGE_SYSFS_H

#include "stopd/base.h"

#include <limits.h>

/* The folder of a block device, with all links resolved, and that of the disk it is a part of (the same, for a
 * whole disk). 0 or a negative errno. */
struct sysfs_block {
    char folder[PATH_MAX];
    char disk[PATH_MAX];
    bool is_partition;
};

int sysfs_find(const char *sys, unsigned major, unsigned minor, struct sysfs_block *ret);

/* The text of folder/attribute without blanks at its ends; "" where there is none. */
void sysfs_text(const char *folder, const char *attribute, char *ret, size_t size);
/* 0 where there is none or it is no number. */
uint64_t sysfs_number(const char *folder, const char *attribute);
/* The last component of the link folder/attribute, or "". */
void sysfs_link(const char *folder, const char *attribute, char *ret, size_t size);

#endif
