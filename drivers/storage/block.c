/* block.c - block devices: disks, partitions, logical volumes, loops
 *
 * Theory of operation. What a device is and what it can do is asked of the kernel: through the
 * descriptor where an ioctl tells it, else in sysfs under the descriptor's own device number, never
 * by name. A partition has its disk's serial and WWN, and its place on that disk.
 *
 * A device is open twice: for looking, through the page cache, from the beginning; and for writing,
 * unbuffered and exclusively, from the claim on. The second is opened through the first one's
 * /proc/self/fd, so that both are the same device whatever happens to names meanwhile. O_EXCL keeps
 * out the kernel's own users (a mount, swap, device mapper); flock on the whole disk keeps udev
 * from probing it. Neither keeps out a QEMU: the guards look for that.
 */
#include "block.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "transfer.h"

#define SECTOR 512 /* sysfs counts in these, whatever the device's blocks are */
/* udev holds its shared lock for as long as it probes a device that has just changed. */
#define LOCK_TRIES 30
#define LOCK_PAUSE (100 * USEC_PER_MSEC)

static struct block_device *of(struct storage_device *d)
{
    return (struct block_device *)d;
}

static int size_now(const struct block_device *b, uint64_t *ret, struct error **err)
{
    int fd = b->base.fd >= 0 ? b->base.fd : b->base.look_fd;
    int r = b->seam->block(fd, BLKGETSIZE64, ret);

    return r < 0 ? error_set_errno(err, ERROR_IO, r, "reading the size of %s", b->base.path) : 0;
}

int block_identify(struct storage_device *d, struct storage_identity *ret, struct error **err)
{
    struct block_device *b = of(d);
    const char *disk = b->sysfs.disk, *own = b->sysfs.folder;
    struct storage_identity i = {0};
    uint64_t size;
    int r = size_now(b, &size, err);

    if (r < 0)
        return r;
    identity_set(&i, IDENTITY_SIZE, "%" PRIu64, size);
    identity_set(&i, IDENTITY_DEVNO, "%u:%u", major(b->devno), minor(b->devno));
    sysfs_text(disk, "device/serial", i.value[IDENTITY_SERIAL], IDENTITY_VALUE_SIZE);
    if (!*i.value[IDENTITY_SERIAL]) /* virtio-blk has it here */
        sysfs_text(disk, "serial", i.value[IDENTITY_SERIAL], IDENTITY_VALUE_SIZE);
    sysfs_text(disk, "device/model", i.value[IDENTITY_MODEL], IDENTITY_VALUE_SIZE);
    sysfs_text(disk, "device/firmware_rev", i.value[IDENTITY_FIRMWARE], IDENTITY_VALUE_SIZE);
    if (!*i.value[IDENTITY_FIRMWARE])
        sysfs_text(disk, "device/rev", i.value[IDENTITY_FIRMWARE], IDENTITY_VALUE_SIZE);
    sysfs_text(disk, "wwid", i.value[IDENTITY_WWN], IDENTITY_VALUE_SIZE);
    if (!*i.value[IDENTITY_WWN])
        sysfs_text(disk, "device/wwid", i.value[IDENTITY_WWN], IDENTITY_VALUE_SIZE);
    sysfs_text(disk, "diskseq", i.value[IDENTITY_SEQUENCE], IDENTITY_VALUE_SIZE);
    sysfs_text(own, "dm/uuid", i.value[IDENTITY_VOLUME], IDENTITY_VALUE_SIZE);
    if (b->sysfs.is_partition)
        identity_set(&i, IDENTITY_PARTITION, "%" PRIu64 "+%" PRIu64,
                     sysfs_number(own, "start") * SECTOR, size);
    *ret = i;
    return 0;
}

int block_facts(struct storage_device *d, struct storage_facts *ret, struct error **err)
{
    struct block_device *b = of(d);
    struct storage_facts f = {.block_size = d->block_size};
    char rotational[8];

    sysfs_text(b->sysfs.disk, "device/vendor", f.maker, sizeof(f.maker));
    sysfs_text(b->sysfs.disk, "queue/rotational", rotational, sizeof(rotational));
    snprintf(f.media, sizeof(f.media), "%s%s", b->sysfs.is_partition ? "partition of a " : "",
             text_equal(rotational, "1") ? "rotating or virtual disk"
                                         : "solid-state or virtual disk");
    snprintf(f.layout, sizeof(f.layout), "blocks of %u bytes", d->block_size);
    *ret = f;
    return 0;
}

int block_offer(struct storage_device *d, enum clear_method method, struct storage_offer *ret,
                struct error **err)
{
    struct block_device *b = of(d);
    struct storage_offer o = {.level = LEVEL_CLEAR, .reach = REACH_SPAN};
    const char *attribute = NULL;

    if (b->is_zoned) { /* nor could it be marked, or made zeros after a format */
        snprintf(o.why, sizeof(o.why), "it is a zoned device, which cannot be written to at will");
        *ret = o;
        return 0;
    }
    switch (method) {
    case CLEAR_WRITE_ZEROES:
        attribute = "queue/write_zeroes_max_bytes";
        snprintf(o.technique, sizeof(o.technique),
                 "Write Zeroes, without deallocation, over all addressable blocks");
        break;
    case CLEAR_OVERWRITE:
        o.is_available = true;
        snprintf(o.why, sizeof(o.why), "every device can be written to");
        snprintf(o.technique, sizeof(o.technique), "one pass of zeros over all addressable blocks");
        break;
    case CLEAR_DISCARD:
        attribute = "queue/discard_max_bytes";
        o.level = LEVEL_NONE; /* it is a hint: what is read afterwards is all that counts */
        snprintf(o.technique, sizeof(o.technique), "deallocation of all addressable blocks");
        break;
    case CLEAR_PUNCH_HOLE:
        snprintf(o.why, sizeof(o.why), "it is for files");
        break;
    default:
        snprintf(o.why, sizeof(o.why), "it is not a whole NVMe namespace");
        break;
    }
    if (attribute) {
        uint64_t most = sysfs_number(b->sysfs.disk, attribute);

        o.is_available = most > 0;
        snprintf(o.why, sizeof(o.why), "%s is %" PRIu64, strchr(attribute, '/') + 1, most);
    }
    *ret = o;
    return 0;
}

/* --- The claim ------------------------------------------------------------------------------- */

/* The node that udev locks: the whole disk's, under the kernel's own name for it. */
static int open_disk(const struct block_device *b)
{
    const char *name = strrchr(b->sysfs.disk, '/') + 1;
    char path[PATH_MAX];
    _cleanup_(close) int fd = -1;
    struct stat st;
    char number[32], found[32];
    int result;

    snprintf(path, sizeof(path), "/dev/%s", name);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    sysfs_text(b->sysfs.disk, "dev", number, sizeof(number));
    snprintf(found, sizeof(found), "%u:%u", major(st.st_rdev), minor(st.st_rdev));
    if (!S_ISBLK(st.st_mode) || !text_equal(number, found))
        return -ENXIO;
    result = fd;
    fd = -1;
    return result;
}

static int lock(const struct block_device *b, int fd, struct error **err)
{
    for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
        if (errno != EWOULDBLOCK)
            return error_set_errno(err, ERROR_IO, errno, "locking %s", b->base.path);
        if (i == LOCK_TRIES)
            return error_set(err, ERROR_CONFLICT, "another process holds a lock on %s",
                             b->base.path);
        b->seam->sleep(LOCK_PAUSE);
    }
    return 0;
}

int block_claim(struct storage_device *d, struct error **err)
{
    struct block_device *b = of(d);
    _cleanup_(close) int fd = -1, lock_fd = -1;
    char path[64];
    struct stat st;
    int r;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", d->look_fd);
    fd = open(path, O_RDWR | O_EXCL | O_DIRECT | O_CLOEXEC);
    if (fd < 0 && errno == EBUSY)
        return error_set(err, ERROR_CONFLICT, "the kernel says that %s is in exclusive use",
                         d->path);
    if (fd < 0)
        return error_set_errno(err, ERROR_IO, errno, "opening %s for writing", d->path);
    if (fstat(fd, &st) < 0 || !S_ISBLK(st.st_mode) || st.st_rdev != b->devno)
        return error_set(err, ERROR_CONFLICT, "%s became another device while it was opened",
                         d->path);
    lock_fd = open_disk(b);
    if (lock_fd < 0)
        return error_set_errno(err, ERROR_IO, lock_fd, "opening the disk of %s to lock it",
                               d->path);
    r = lock(b, lock_fd, err);
    if (r < 0)
        return r;
    d->fd = fd;
    b->lock_fd = lock_fd;
    fd = lock_fd = -1;
    return 0;
}

/* --- Opening and closing --------------------------------------------------------------------- */

static const struct storage_ops block_ops = {
    .name = "block",
    .identify = block_identify,
    .facts = block_facts,
    .offer = block_offer,
    .claim = block_claim,
    .clear = block_clear,
    .flush = block_flush,
    .read = block_read,
    .write = block_write,
    .close = block_close,
};

int block_init(struct block_device *b, const char *path, int fd, const struct storage_seam *seam,
               struct error **err)
{
    char zoned[32];
    struct stat st;
    int block_size, r;

    *b = (struct block_device){
        .base = {.ops = &block_ops, .kind = STORAGE_BLOCK, .look_fd = fd, .fd = -1},
        .seam = seam,
        .lock_fd = -1,
    };
    if (text_replace(&b->base.path, path) < 0)
        return error_no_memory(err);
    if (fstat(fd, &st) < 0)
        return error_set_errno(err, ERROR_IO, errno, "looking at %s", path);
    b->devno = st.st_rdev;
    r = sysfs_find(seam->sys, major(b->devno), minor(b->devno), &b->sysfs);
    if (r < 0)
        return error_set_errno(err, ERROR_IO, r, "finding %s in sysfs", path);
    r = size_now(b, &b->base.size, err);
    if (r < 0)
        return r;
    if (b->base.size == 0)
        return error_set(err, ERROR_UNSUPPORTED, "%s has no media", path);
    r = seam->block(fd, BLKSSZGET, &block_size);
    if (r < 0)
        return error_set_errno(err, ERROR_IO, r, "reading the block size of %s", path);
    if (block_size < SECTOR || block_size > TRANSFER_ALIGNMENT)
        return error_set(err, ERROR_UNSUPPORTED, "%s has blocks of %d bytes", path, block_size);
    b->base.block_size = (uint32_t)block_size;
    sysfs_text(b->sysfs.disk, "queue/zoned", zoned, sizeof(zoned));
    b->is_zoned = is_set(zoned) && !text_equal(zoned, "none");
    return 0;
}

int block_open(const char *path, int fd, const struct storage_seam *seam,
               struct storage_device **ret, struct error **err)
{
    struct block_device *b = malloc(sizeof(*b));
    int r;

    if (!b)
        return error_no_memory(err);
    r = block_init(b, path, fd, seam, err);
    if (r < 0) {
        free(b->base.path);
        free(b);
        return r;
    }
    *ret = &b->base;
    return 0;
}

void block_close(struct storage_device *d)
{
    struct block_device *b = of(d);

    close_cleanup(&d->fd);
    close_cleanup(&b->lock_fd);
    close_cleanup(&d->look_fd);
    free(d->path);
    free(b);
}
