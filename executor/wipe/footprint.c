/* footprint.c - all the ways by which somebody can get at the device
 *
 * Theory of operation. A disk can be reached through its own node, through those of its partitions,
 * and through character devices that take raw commands: an NVMe namespace's generic node and its
 * controllers, a SCSI disk's sg and bsg. A partition can be reached through the whole disk too, and
 * what its siblings are used for keeps the disk in use. All of it is read from sysfs under the
 * device's own number. Numbers are what is compared later, never paths: libvirt gives each QEMU a
 * /dev of its own.
 */
#include "wipe/footprint.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "wipe/text.h"

int footprint_add(struct footprint *f, enum node_role role, bool is_block, const char *folder,
                  const char *name, struct error **err)
{
    unsigned major, minor;
    struct node *nodes;
    char number[32];

    sysfs_text(folder, "dev", number, sizeof(number));
    if (sscanf(number, "%u:%u", &major, &minor) != 2)
        return error_set(err, ERROR_IO, "%s has no device number", folder);
    if (footprint_find(f, is_block, makedev(major, minor)))
        return 0;
    nodes = reallocarray(f->nodes, f->n + 1, sizeof(*nodes));
    if (!nodes)
        return error_no_memory(err);
    f->nodes = nodes;
    nodes[f->n] =
        (struct node){.role = role, .is_block = is_block, .number = makedev(major, minor)};
    snprintf(nodes[f->n].name, sizeof(nodes[f->n].name), "%s", name);
    f->n++;
    return 0;
}

int footprint_add_all(struct footprint *f, enum node_role role, bool is_block, const char *folder,
                      const char *prefix, const char *attribute, struct error **err)
{
    _cleanup_(closedir) DIR *d = opendir(folder);
    struct dirent *e;

    if (!d)
        return errno == ENOENT || errno == ENOTDIR
                   ? 0
                   : error_set_errno(err, ERROR_IO, errno, "reading %s", folder);
    while ((e = readdir(d))) {
        char entry[PATH_MAX], probe[PATH_MAX + 32];
        int r;

        if (e->d_name[0] == '.' || strncmp(e->d_name, prefix, strlen(prefix)) != 0)
            continue;
        if ((size_t)snprintf(entry, sizeof(entry), "%s/%s", folder, e->d_name) >= sizeof(entry))
            return error_set(err, ERROR_IO, "%s has too long a name", folder);
        snprintf(probe, sizeof(probe), "%s/%s", entry, attribute);
        if (access(probe, F_OK) < 0)
            continue;
        r = footprint_add(f, role, is_block, entry, e->d_name, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int add_scsi(struct footprint *f, const char *disk, struct error **err)
{
    static const char *const folders[] = {"device/scsi_generic", "device/bsg"};

    for (size_t i = 0; i < ELEMENTSOF(folders); i++) {
        char folder[PATH_MAX + 64];
        int r;

        snprintf(folder, sizeof(folder), "%s/%s", disk, folders[i]);
        r = footprint_add_all(f, NODE_CONTROLLER, false, folder, "", "dev", err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int take_block(dev_t number, const char *sys, struct footprint *f, struct error **err)
{
    char link[PATH_MAX], own[PATH_MAX], disk[PATH_MAX], probe[PATH_MAX + 16];
    bool is_partition;
    int r;

    snprintf(link, sizeof(link), "%s/dev/block/%u:%u", sys, major(number), minor(number));
    if (!realpath(link, own))
        return error_set_errno(err, ERROR_IO, errno, "finding block device %u:%u in sysfs",
                               major(number), minor(number));
    snprintf(probe, sizeof(probe), "%s/partition", own);
    is_partition = access(probe, F_OK) == 0;
    strcpy(disk, own);
    if (is_partition)
        *strrchr(disk, '/') = '\0';
    r = footprint_add(f, NODE_SELF, true, own, strrchr(own, '/') + 1, err);
    if (r >= 0 && is_partition)
        r = footprint_add(f, NODE_WHOLE, true, disk, strrchr(disk, '/') + 1, err);
    if (r >= 0)
        r = footprint_add_all(f, is_partition ? NODE_SIBLING : NODE_PARTITION, true, disk, "",
                              "partition", err);
    if (r >= 0)
        r = footprint_add_nvme(f, disk, sys, err);
    return r < 0 ? r : add_scsi(f, disk, err);
}

int footprint_take_block(dev_t number, const char *sys, struct footprint *ret, struct error **err)
{
    struct footprint f = {0};
    int r = take_block(number, sys, &f, err);

    if (r < 0) {
        footprint_clear(&f);
        return r;
    }
    *ret = f;
    return 0;
}

int footprint_take(int fd, const char *sys, struct footprint *ret, struct error **err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return error_set_errno(err, ERROR_IO, errno, "looking at the device");
    if (S_ISBLK(st.st_mode))
        return footprint_take_block(st.st_rdev, sys, ret, err);
    *ret = (struct footprint){.is_file = true, .device = st.st_dev, .inode = st.st_ino};
    return 0;
}

void footprint_clear(struct footprint *f)
{
    free(f->nodes);
    *f = (struct footprint){0};
}

const struct node *footprint_find(const struct footprint *f, bool is_block, dev_t number)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->nodes[i].is_block == is_block && f->nodes[i].number == number)
            return &f->nodes[i];
    return NULL;
}

const struct node *footprint_find_name(const struct footprint *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++)
        if (text_equal(f->nodes[i].name, name))
            return &f->nodes[i];
    return NULL;
}

bool footprint_is_file(const struct footprint *f, dev_t device, ino_t inode)
{
    return f->is_file && f->device == device && f->inode == inode;
}
