/* disk-sysfs.h - what the kernel tells of a block device in its folder, found by its number */
#ifndef STOPD_ENGINE_DISK_SYSFS_H
#define STOPD_ENGINE_DISK_SYSFS_H

#include "stopd/base.h"

#include <dirent.h>
#include <limits.h>
#include <sys/types.h>

struct sysfs_device {
    char folder[PATH_MAX]; /* the device's own, with all links resolved */
    char disk[PATH_MAX];   /* of the whole disk: the same, unless it is a partition */
    bool is_partition;
    dev_t disk_number;
};

int sysfs_find_device(dev_t number, struct sysfs_device *ret); /* 0 or a negative errno */
/* An attribute without blanks at its ends, cut to size; "" where there is none. */
void sysfs_attribute(const char *folder, const char *name, char *ret, size_t size);
uint64_t sysfs_count(const char *folder, const char *name); /* 0: there is none */
/* "259:0" as a number. 0 or -EINVAL. */
int devno_from_text(const char *text, dev_t *ret);

DIR *open_folder(const char *folder, const char *name); /* NULL: there is none */
static inline void closedir_cleanup(DIR **d)
{
    if (*d)
        closedir(*d);
}

#endif
