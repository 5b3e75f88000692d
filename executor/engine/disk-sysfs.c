/* disk-sysfs.c - what the kernel tells of a block device */
#include "engine/disk-sysfs.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

void sysfs_attribute(const char *folder, const char *name, char *ret, size_t size)
{
    char path[PATH_MAX + NAME_MAX];
    _cleanup_(close) int fd = -1;
    ssize_t n;
    size_t blanks = 0;

    ret[0] = '\0';
    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
        return;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, ret, size - 1);
    while (n > 0 && isspace((unsigned char)ret[n - 1]))
        n--;
    ret[n < 0 ? 0 : n] = '\0';
    while (isspace((unsigned char)ret[blanks]))
        blanks++;
    memmove(ret, ret + blanks, strlen(ret + blanks) + 1);
}

uint64_t sysfs_count(const char *folder, const char *name)
{
    char text[32];

    sysfs_attribute(folder, name, text, sizeof(text));
    return strtoull(text, NULL, 10);
}

int devno_from_text(const char *text, dev_t *ret)
{
    unsigned major, minor;
    int used = 0;

    if (sscanf(text, "%u:%u%n", &major, &minor, &used) != 2 || text[used])
        return -EINVAL;
    *ret = makedev(major, minor);
    return 0;
}

int sysfs_find_device(dev_t number, struct sysfs_device *ret)
{
    char path[PATH_MAX + 16], text[32];

    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(number), minor(number));
    if (!realpath(path, ret->folder))
        return -errno;
    memcpy(ret->disk, ret->folder, sizeof(ret->disk));
    ret->disk_number = number;
    snprintf(path, sizeof(path), "%s/partition", ret->folder);
    ret->is_partition = access(path, F_OK) == 0;
    if (!ret->is_partition)
        return 0;
    *strrchr(ret->disk, '/') = '\0';
    sysfs_attribute(ret->disk, "dev", text, sizeof(text));
    return devno_from_text(text, &ret->disk_number);
}

DIR *open_folder(const char *folder, const char *name)
{
    char path[PATH_MAX + 32];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return opendir(path);
}
