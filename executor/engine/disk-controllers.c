/* disk-controllers.c - the PCI devices that a disk hangs on
 *
 * Theory of operation. The path of a disk's folder in sysfs has the PCI device that it hangs on in
 * it, save for an NVMe namespace with several paths, which hangs on its subsystem. And without such
 * paths joined there is more than one way to a namespace all the same. So every controller with the
 * name of the disk's subsystem counts. A volume, an array and a loop device hang on what their
 * disks hang on.
 */
#include "engine/disk-controllers.h"

#include "engine/disk-sysfs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Volumes on arrays on loops on … */
#define DEPTH_MAX 8
#define NQN_SIZE 257

static int add_subsystem(const char *sys, const char *disk, struct pci_addresses *ret)
{
    _cleanup_(closedir) DIR *all = NULL;
    const struct dirent *e;
    char nqn[NQN_SIZE], theirs[NQN_SIZE];
    int r = 0;

    sysfs_attribute(disk, "device/subsysnqn", nqn, sizeof(nqn));
    if (!*nqn)
        return 0;
    all = open_folder(sys, "class/nvme");
    while (r == 0 && all && (e = readdir(all))) {
        char link[PATH_MAX + NAME_MAX], folder[PATH_MAX];

        if (e->d_name[0] == '.')
            continue;
        snprintf(link, sizeof(link), "%s/class/nvme/%s", sys, e->d_name);
        sysfs_attribute(link, "subsysnqn", theirs, sizeof(theirs));
        if (text_equal(theirs, nqn) && realpath(link, folder))
            r = pci_addresses_add_path(ret, folder);
    }
    return r;
}

static int add_disk(const char *sys, dev_t number, int depth, struct pci_addresses *ret);

static int add_slaves(const char *sys, const char *disk, int depth, struct pci_addresses *ret)
{
    _cleanup_(closedir) DIR *slaves = open_folder(disk, "slaves");
    const struct dirent *e;
    int r = 0;

    while (r == 0 && slaves && (e = readdir(slaves))) {
        char attribute[NAME_MAX + 16], text[32];
        dev_t number;

        if (e->d_name[0] == '.')
            continue;
        snprintf(attribute, sizeof(attribute), "slaves/%s/dev", e->d_name);
        sysfs_attribute(disk, attribute, text, sizeof(text));
        r = devno_from_text(text, &number);
        if (r == 0)
            r = add_disk(sys, number, depth + 1, ret);
    }
    return r;
}

static int add_backing(const char *sys, const char *disk, int depth, struct pci_addresses *ret)
{
    char path[PATH_MAX];
    struct stat st;

    sysfs_attribute(disk, "loop/backing_file", path, sizeof(path));
    if (!*path || stat(path, &st) < 0 || !S_ISBLK(st.st_mode))
        return 0;
    return add_disk(sys, st.st_rdev, depth + 1, ret);
}

static int add_disk(const char *sys, dev_t number, int depth, struct pci_addresses *ret)
{
    char path[PATH_MAX + 16], disk[PATH_MAX];
    int r;

    if (depth > DEPTH_MAX)
        return -E2BIG;
    snprintf(path, sizeof(path), "%s/dev/block/%u:%u", sys, major(number), minor(number));
    if (!realpath(path, disk))
        return -errno;
    snprintf(path, sizeof(path), "%s/partition", disk);
    if (access(path, F_OK) == 0)
        *strrchr(disk, '/') = '\0';
    r = pci_addresses_add_path(ret, disk);
    if (r == 0)
        r = add_subsystem(sys, disk, ret);
    if (r == 0)
        r = add_slaves(sys, disk, depth, ret);
    return r < 0 ? r : add_backing(sys, disk, depth, ret);
}

int disk_controllers(const char *sys, dev_t number, struct pci_addresses *ret)
{
    return add_disk(sys, number, 0, ret);
}
