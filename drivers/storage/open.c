/* open.c - which driver a device is for */
#include "storage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "block.h"
#include "file.h"
#include "nvme.h"

/* A path is looked at before it is opened, because opening alone does things to some devices (a
 * tape, a watchdog). What was opened is then compared with what was looked at. */
static int open_for_looking(const char *path, struct stat *st, int *ret, struct error **err)
{
    _cleanup_(close) int fd = -1;
    struct stat before;

    if (stat(path, &before) < 0)
        return error_set_errno(err, ERROR_IO, errno, "looking at %s", path);
    if (!S_ISBLK(before.st_mode) && !S_ISREG(before.st_mode))
        return error_set(err, ERROR_UNSUPPORTED, "%s is neither a block device nor a file", path);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY);
    if (fd < 0)
        return error_set_errno(err, ERROR_IO, errno, "opening %s", path);
    if (fstat(fd, st) < 0)
        return error_set_errno(err, ERROR_IO, errno, "looking at %s", path);
    if (st->st_dev != before.st_dev || st->st_ino != before.st_ino ||
        st->st_rdev != before.st_rdev || (st->st_mode & S_IFMT) != (before.st_mode & S_IFMT))
        return error_set(err, ERROR_CONFLICT, "%s became another file while it was opened", path);
    *ret = fd;
    fd = -1;
    return 0;
}

static int open_block(const char *path, int fd, const struct stat *st,
                      const struct storage_seam *seam, struct storage_device **ret,
                      struct error **err)
{
    struct sysfs_block sysfs;
    uint32_t nsid;
    int r = sysfs_find(seam->sys, major(st->st_rdev), minor(st->st_rdev), &sysfs);

    if (r < 0)
        return error_set_errno(err, ERROR_IO, r, "finding %s in sysfs", path);
    /* The kernel hands an ioctl on a partition to its disk, and one on a volume of a single piece
     * to what that lies on; both would be called a namespace. Their folders have no nsid. */
    if (!sysfs.is_partition && nvme_is_namespace(fd, seam, &nsid) &&
        sysfs_number(sysfs.folder, "nsid") == nsid)
        return nvme_open_device(path, fd, seam, ret, err);
    return block_open(path, fd, seam, ret, err);
}

int storage_open_through(const char *path, const struct storage_seam *seam,
                         struct storage_device **ret, struct error **err)
{
    _cleanup_(close) int fd = -1;
    char resolved[PATH_MAX];
    struct stat st;
    int r;

    if (!realpath(path, resolved))
        return error_set_errno(err, ERROR_IO, errno, "resolving %s", path);
    r = open_for_looking(resolved, &st, &fd, err);
    if (r < 0)
        return r;
    r = S_ISREG(st.st_mode) ? file_open(resolved, fd, ret, err)
                            : open_block(resolved, fd, &st, seam, ret, err);
    if (r >= 0)
        fd = -1;
    return r;
}

int storage_open(const char *path, struct storage_device **ret, struct error **err)
{
    return storage_open_through(path, &storage_seam_kernel, ret, err);
}

void storage_close(struct storage_device *d)
{
    if (d)
        d->ops->close(d);
}
