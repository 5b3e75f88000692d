/* footprint-nvme.c - what else leads to an NVMe namespace
 *
 * Theory of operation. A namespace can be reached through every controller of its subsystem, by
 * commands to the controller's own node, and through the namespace's generic node. Where the kernel
 * does not join several controllers into one disk (multipath off), the same namespace is there as
 * several disks, each with partitions and a generic node: aliases of which the kernel does not know
 * that they are one. All that have our subsystem's name and our namespace id are ours.
 */
#include "wipe/footprint.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "wipe/text.h"

#define NQN_SIZE 257

/* "nvme0n1": a disk's name, as against "nvme0" and a path's "nvme0c1n1". */
static bool is_disk_name(const char *name)
{
    unsigned controller, namespace;
    int used = 0;

    return sscanf(name, "nvme%un%u%n", &controller, &namespace, &used) == 2 && !name[used];
}

/* ng0n1 is nvme0n1's. */
static int add_generic(struct footprint *f, const char *disk_name, const char *sys,
                       struct error **err)
{
    char folder[PATH_MAX], name[64];

    snprintf(name, sizeof(name), "ng%s", disk_name + strlen("nvme"));
    snprintf(folder, sizeof(folder), "%s/class/nvme-generic/%s", sys, name);
    return access(folder, F_OK) == 0 ? footprint_add(f, NODE_CONTROLLER, false, folder, name, err)
                                     : 0;
}

static int add_controllers(struct footprint *f, const char *nqn, const char *sys,
                           struct error **err)
{
    char folder[PATH_MAX];
    _cleanup_(closedir) DIR *d = NULL;
    struct dirent *e;
    int r = 0;

    snprintf(folder, sizeof(folder), "%s/class/nvme", sys);
    d = opendir(folder);
    if (!d)
        return error_set_errno(err, ERROR_IO, errno, "reading %s", folder);
    while (r >= 0 && (e = readdir(d))) {
        char controller[PATH_MAX + 256], theirs[NQN_SIZE];

        if (e->d_name[0] == '.')
            continue;
        snprintf(controller, sizeof(controller), "%s/%s", folder, e->d_name);
        sysfs_text(controller, "subsysnqn", theirs, sizeof(theirs));
        if (text_equal(theirs, nqn))
            r = footprint_add(f, NODE_CONTROLLER, false, controller, e->d_name, err);
    }
    return r;
}

static int add_alias(struct footprint *f, const char *folder, const char *name, const char *sys,
                     struct error **err)
{
    int r = footprint_add(f, NODE_ALIAS, true, folder, name, err);

    if (r >= 0)
        r = footprint_add_all(f, NODE_ALIAS, true, folder, name, "partition", err);
    return r < 0 ? r : add_generic(f, name, sys, err);
}

static int add_aliases(struct footprint *f, const char *nqn, const char *nsid, const char *own,
                       const char *sys, struct error **err)
{
    char folder[PATH_MAX];
    _cleanup_(closedir) DIR *d = NULL;
    struct dirent *e;
    int r = 0;

    snprintf(folder, sizeof(folder), "%s/block", sys);
    d = opendir(folder);
    if (!d)
        return error_set_errno(err, ERROR_IO, errno, "reading %s", folder);
    while (r >= 0 && (e = readdir(d))) {
        char disk[PATH_MAX + 256], their_nqn[NQN_SIZE], their_nsid[16];

        if (!is_disk_name(e->d_name) || text_equal(e->d_name, own))
            continue;
        snprintf(disk, sizeof(disk), "%s/%s", folder, e->d_name);
        sysfs_text(disk, "device/subsysnqn", their_nqn, sizeof(their_nqn));
        sysfs_text(disk, "nsid", their_nsid, sizeof(their_nsid));
        if (text_equal(their_nqn, nqn) && text_equal(their_nsid, nsid))
            r = add_alias(f, disk, e->d_name, sys, err);
    }
    return r;
}

int footprint_add_nvme(struct footprint *f, const char *disk, const char *sys, struct error **err)
{
    const char *name = strrchr(disk, '/') + 1;
    char nqn[NQN_SIZE], nsid[16];
    int r;

    if (!is_disk_name(name))
        return 0;
    sysfs_text(disk, "device/subsysnqn", nqn, sizeof(nqn));
    sysfs_text(disk, "nsid", nsid, sizeof(nsid));
    if (!is_set(nqn) || !is_set(nsid))
        return error_set(err, ERROR_IO,
                         "sysfs does not say which namespace of which subsystem %s is", name);
    r = add_generic(f, name, sys, err);
    if (r >= 0)
        r = add_controllers(f, nqn, sys, err);
    return r < 0 ? r : add_aliases(f, nqn, nsid, name, sys, err);
}
