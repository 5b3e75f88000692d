/* file.c - image files
 *
 * Theory of operation. A file is its device and inode; its path is only how it was found. It is
 * claimed with a write lock of the open file description over all of it, which takes in the bytes
 * from 100 and from 200 on by which QEMU tells other QEMUs that it has an image open: whoever has
 * one of them keeps us out, and we keep out whoever would take one. flock, of which other programs
 * think, is taken besides.
 *
 * What is a hole stays a hole. It has nothing to clear, and writing zeros into the holes of an
 * image of many terabytes would fill the file system below it. So an overwrite goes over the data
 * alone, and marks are written only there.
 *
 * What the file system keeps elsewhere (blocks it gave back or moved, snapshots, its journal) no
 * one can reach through the file. The certificate says so.
 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "file-clear.h"
#include "transfer.h"

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

/* File systems by their numbers; those that are not here are not known to punch holes. */
static const struct {
    long number;
    const char *name;
} file_systems[] = {
    {EXT4_SUPER_MAGIC, "ext4"}, {XFS_SUPER_MAGIC, "xfs"},   {BTRFS_SUPER_MAGIC, "btrfs"},
    {TMPFS_MAGIC, "tmpfs"},     {F2FS_SUPER_MAGIC, "f2fs"},
};

static const char *file_system(int fd)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) < 0)
        return NULL;
    for (size_t i = 0; i < ELEMENTSOF(file_systems); i++)
        if ((long)fs.f_type == file_systems[i].number)
            return file_systems[i].name;
    return NULL;
}

static int file_identify(struct storage_device *d, struct storage_identity *ret, struct error **err)
{
    struct storage_identity i = {0};
    struct stat st;

    if (fstat(d->fd >= 0 ? d->fd : d->look_fd, &st) < 0)
        return error_set_errno(err, ERROR_IO, errno, "looking at %s", d->path);
    identity_set(&i, IDENTITY_SIZE, "%jd", (intmax_t)st.st_size);
    identity_set(&i, IDENTITY_DEVICE, "%u:%u", major(st.st_dev), minor(st.st_dev));
    identity_set(&i, IDENTITY_INODE, "%ju", (uintmax_t)st.st_ino);
    *ret = i;
    return 0;
}

static int file_facts(struct storage_device *d, struct storage_facts *ret, struct error **err)
{
    const char *name = file_system(d->look_fd);
    struct storage_facts f = {.block_size = d->block_size};

    snprintf(f.media, sizeof(f.media), "file on %s", name ? name : "another file system");
    *ret = f;
    return 0;
}

static int file_offer(struct storage_device *d, enum clear_method method, struct storage_offer *ret,
                      struct error **err)
{
    struct storage_offer o = {.level = LEVEL_CLEAR, .reach = REACH_SPAN};

    switch (method) {
    case CLEAR_OVERWRITE:
        o.is_available = true;
        snprintf(o.why, sizeof(o.why), "every file can be written to");
        snprintf(o.technique, sizeof(o.technique), "one pass of zeros over all data of the file");
        break;
    case CLEAR_PUNCH_HOLE:
        o.is_available = file_system(d->look_fd) != NULL;
        snprintf(o.why, sizeof(o.why), "the file system is %sknown to punch holes",
                 o.is_available ? "" : "not ");
        snprintf(o.technique, sizeof(o.technique), "deallocation of all blocks of the file");
        break;
    case CLEAR_WRITE_ZEROES:
        snprintf(o.why, sizeof(o.why),
                 "in a file it only marks blocks as unwritten, and leaves what is in them");
        break;
    default:
        snprintf(o.why, sizeof(o.why), "it is not for files");
        break;
    }
    *ret = o;
    return 0;
}

/* --- The claim ------------------------------------------------------------------------------- */

static int lock(const struct storage_device *d, int fd, struct error **err)
{
    /* From the first byte to the end, wherever that is. */
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (fcntl(fd, F_OFD_SETLK, &all) < 0) {
        if (errno != EAGAIN && errno != EACCES)
            return error_set_errno(err, ERROR_IO, errno, "locking %s", d->path);
        if (fcntl(fd, F_OFD_GETLK, &all) < 0)
            all.l_start = 0;
        return error_set(err, ERROR_CONFLICT, "somebody holds a lock on %s, from byte %jd on",
                         d->path, (intmax_t)all.l_start);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK
                   ? error_set(err, ERROR_CONFLICT, "somebody holds a lock on %s", d->path)
                   : error_set_errno(err, ERROR_IO, errno, "locking %s", d->path);
    return 0;
}

static int file_claim(struct storage_device *d, struct error **err)
{
    _cleanup_(close) int fd = -1;
    struct stat before, now;
    char path[64];
    int r;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", d->look_fd);
    fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
    /* Not every file system has a way around the page cache. */
    if (fd < 0 && errno == EINVAL)
        fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, ERROR_IO, errno, "opening %s for writing", d->path);
    if (fstat(fd, &now) < 0 || fstat(d->look_fd, &before) < 0 || now.st_dev != before.st_dev ||
        now.st_ino != before.st_ino)
        return error_set(err, ERROR_CONFLICT, "%s became another file while it was opened",
                         d->path);
    r = lock(d, fd, err);
    if (r < 0)
        return r;
    d->fd = fd;
    fd = -1;
    return 0;
}

/* --- Opening and closing --------------------------------------------------------------------- */

static void file_close(struct storage_device *d)
{
    close_cleanup(&d->fd);
    close_cleanup(&d->look_fd);
    free(d->path);
    free(d);
}

static const struct storage_ops file_ops = {
    .name = "file",
    .identify = file_identify,
    .facts = file_facts,
    .offer = file_offer,
    .claim = file_claim,
    .clear = file_clear,
    .flush = file_flush,
    .read = file_read,
    .write = file_write,
    .close = file_close,
};

int file_open(const char *path, int fd, struct storage_device **ret, struct error **err)
{
    struct storage_device *d;
    struct stat st;

    if (fstat(fd, &st) < 0)
        return error_set_errno(err, ERROR_IO, errno, "looking at %s", path);
    if (st.st_size == 0)
        return error_set(err, ERROR_UNSUPPORTED, "%s is empty", path);
    d = malloc(sizeof(*d));
    if (!d)
        return error_no_memory(err);
    *d = (struct storage_device){
        .ops = &file_ops,
        .kind = STORAGE_FILE,
        .size = (uint64_t)st.st_size,
        .block_size = TRANSFER_ALIGNMENT,
        .path = strdup(path),
        .look_fd = fd,
        .fd = -1,
    };
    if (!d->path) {
        free(d);
        return error_no_memory(err);
    }
    *ret = d;
    return 0;
}
