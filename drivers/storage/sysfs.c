/* sysfs.c - reading the kernel's attributes of a device */
#include "sysfs.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int sysfs_find(const char *sys, unsigned major, unsigned minor, struct sysfs_block *ret)
{
    char link[PATH_MAX];
    char probe[PATH_MAX + 16];

    snprintf(link, sizeof(link), "%s/dev/block/%u:%u", sys, major, minor);
    if (!realpath(link, ret->folder))
        return -errno;
    strcpy(ret->disk, ret->folder);
    snprintf(probe, sizeof(probe), "%s/partition", ret->folder);
    ret->is_partition = access(probe, F_OK) == 0;
    if (ret->is_partition)
        dirname(ret->disk);
    return 0;
}

void sysfs_text(const char *folder, const char *attribute, char *ret, size_t size)
{
    char path[2 * PATH_MAX];
    _cleanup_(close) int fd = -1;
    ssize_t n;
    size_t start = 0;

    ret[0] = '\0';
    snprintf(path, sizeof(path), "%s/%s", folder, attribute);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, ret, size - 1);
    if (n < 0)
        return;
    while (n > 0 && isspace((unsigned char)ret[n - 1]))
        n--;
    ret[n] = '\0';
    while (isspace((unsigned char)ret[start]))
        start++;
    memmove(ret, ret + start, strlen(ret + start) + 1);
}

uint64_t sysfs_number(const char *folder, const char *attribute)
{
    char text[32];

    sysfs_text(folder, attribute, text, sizeof(text));
    return strtoull(text, NULL, 10);
}

void sysfs_link(const char *folder, const char *attribute, char *ret, size_t size)
{
    char path[2 * PATH_MAX], target[PATH_MAX];
    ssize_t n;

    snprintf(path, sizeof(path), "%s/%s", folder, attribute);
    n = readlink(path, target, sizeof(target) - 1);
    target[n < 0 ? 0 : n] = '\0';
    snprintf(ret, size, "%s", n < 0 ? "" : basename(target));
}
