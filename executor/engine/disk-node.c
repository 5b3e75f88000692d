/* disk-node.c - which device or file a path stands for
 *
 * Theory of operation. The kernel tells everything that is asked here in sysfs, under the device's
 * number. A partition is a stretch of its disk, so that it is told apart from its neighbours and
 * not from the disk. A volume or an array stands on other devices (slaves/); a loop device is a
 * file under another name. All of it is reading of small text files; no device is opened, so that
 * nothing here waits for one that hangs.
 *
 * Sharing is not symmetrical in what it looks at: what one node *is* is compared with what the
 * other is and stands on, and never what both stand on, since most volumes of a host stand on one
 * disk.
 */
#include "engine/disk-node.h"

#include "engine/disk-controllers.h"
#include "engine/disk-sysfs.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Volumes on arrays on loops on files on … */
#define DEPTH_MAX 8

/* --- Pieces -------------------------------------------------------------------------------- */

static bool pieces_share(const struct disk_piece *a, const struct disk_piece *b)
{
    return a->device == b->device && a->inode == b->inode && a->start < b->start + b->sectors &&
           b->start < a->start + a->sectors;
}

static bool is_among(const struct disk_piece *piece, const struct disk_node *node)
{
    if (pieces_share(piece, &node->self) ||
        (node->has_backing && pieces_share(piece, &node->backing)))
        return true;
    for (size_t i = 0; i < node->n_beneath; i++)
        if (pieces_share(piece, &node->beneath[i]))
            return true;
    return false;
}

static bool is_part_of(const struct disk_node *a, const struct disk_node *b)
{
    return is_among(&a->self, b) || (a->has_backing && is_among(&a->backing, b));
}

bool disk_nodes_share(const struct disk_node *a, const struct disk_node *b)
{
    if (a->kind == DISK_OTHER || b->kind == DISK_OTHER)
        return false;
    return is_part_of(a, b) || is_part_of(b, a);
}

static struct disk_piece file_piece(const struct stat *st)
{
    return (struct disk_piece){.device = st->st_dev, .inode = st->st_ino, .sectors = UINT64_MAX};
}

static int add_beneath(struct disk_node *node, struct disk_piece piece)
{
    if (node->n_beneath == DISK_PIECES_MAX)
        return -E2BIG;
    node->beneath[node->n_beneath++] = piece;
    return 0;
}

/* --- Block devices ------------------------------------------------------------------------- */

/* All of a disk is a piece without an end: its size can change under us, its bytes stay its own. */
static int block_piece(const struct sysfs_device *d, struct disk_piece *ret)
{
    *ret = (struct disk_piece){.device = d->disk_number, .sectors = UINT64_MAX};
    if (!d->is_partition)
        return 0;
    ret->start = sysfs_count(d->folder, "start");
    ret->sectors = sysfs_count(d->folder, "size");
    return ret->sectors > 0 ? 0 : -ENXIO;
}

static int add_block(dev_t number, struct disk_node *node, int depth);

static int add_slaves(const struct sysfs_device *d, struct disk_node *node, int depth)
{
    _cleanup_(closedir) DIR *slaves = open_folder(d->disk, "slaves");
    const struct dirent *e;
    int r = 0;

    while (r == 0 && slaves && (e = readdir(slaves))) {
        char attribute[NAME_MAX + 16], text[32];
        dev_t number;

        if (e->d_name[0] == '.')
            continue;
        snprintf(attribute, sizeof(attribute), "slaves/%s/dev", e->d_name);
        sysfs_attribute(d->disk, attribute, text, sizeof(text));
        r = devno_from_text(text, &number);
        if (r == 0)
            r = add_block(number, node, depth + 1);
    }
    return r;
}

static int add_backing_file(const struct sysfs_device *d, struct disk_node *node, int depth)
{
    char path[PATH_MAX];
    struct stat st;

    sysfs_attribute(d->disk, "loop/backing_file", path, sizeof(path));
    /* A file that was unlinked has no path by which anybody could name it. */
    if (!*path || stat(path, &st) < 0)
        return 0;
    if (S_ISBLK(st.st_mode))
        return add_block(st.st_rdev, node, depth + 1);
    if (depth > 0 || d->is_partition)
        return add_beneath(node, file_piece(&st));
    node->backing = file_piece(&st);
    node->has_backing = true;
    return 0;
}

static int add_foundations(const struct sysfs_device *d, struct disk_node *node, int depth)
{
    int r = depth == DEPTH_MAX ? -E2BIG : add_slaves(d, node, depth);

    return r < 0 ? r : add_backing_file(d, node, depth);
}

static int add_block(dev_t number, struct disk_node *node, int depth)
{
    struct sysfs_device d;
    struct disk_piece piece;
    int r = sysfs_find_device(number, &d);

    if (r == 0)
        r = block_piece(&d, &piece);
    if (r == 0)
        r = add_beneath(node, piece);
    return r < 0 ? r : add_foundations(&d, node, depth);
}

int disk_node_of_number(dev_t number, struct disk_node *ret)
{
    struct disk_node node = {.kind = DISK_BLOCK, .number = number};
    struct sysfs_device d;
    int r = sysfs_find_device(number, &d);

    if (r == 0)
        r = block_piece(&d, &node.self);
    if (r == 0)
        r = add_foundations(&d, &node, 0);
    if (r == 0)
        *ret = node;
    return r;
}

int disk_node_of(const char *path, struct disk_node *ret)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return -errno;
    if (S_ISBLK(st.st_mode))
        return disk_node_of_number(st.st_rdev, ret);
    *ret = (struct disk_node){.kind = DISK_OTHER};
    if (S_ISREG(st.st_mode)) {
        ret->kind = DISK_FILE;
        ret->self = file_piece(&st);
    }
    return 0;
}

/* --- Controllers --------------------------------------------------------------------------- */

int disk_node_controllers(const struct disk_node *node, struct pci_addresses *ret)
{
    *ret = (struct pci_addresses){0};
    return node->kind == DISK_BLOCK ? disk_controllers("/sys", node->number, ret) : 0;
}
