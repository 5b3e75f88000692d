/* disk-find.c - where the disk of an identity is now
 *
 * Theory of operation. What is owed a clear may have to be found again after the host has been down
 * and up, when its number and even its name in /dev may be another disk's. A disk that has a name
 * of its own (WWN, serial number, volume) is looked for by it: first where it was, then among all
 * that the kernel knows. One that has none (a loop device, a virtual disk without a serial number)
 * has within one boot its number, and the kernel's count of disks tells a disk from another that
 * took its number; over a boot only the path is left, and the size.
 *
 * Names are compared as the kernel tells them in sysfs. No device is opened.
 */
#include "engine/disk-node.h"

#include "base/json.h"
#include "engine/disk-sysfs.h"
#include "stopd/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR ((uint64_t)512) /* sysfs counts in these, whatever the device's blocks are */

int disk_boot_id(char ret[static UUID_TEXT_SIZE])
{
    char text[64];
    uuid_t parsed;

    sysfs_attribute("/proc/sys/kernel/random", "boot_id", text, sizeof(text));
    if (uuid_parse(text, parsed) < 0)
        return -ENODATA;
    uuid_unparse_lower(parsed, ret);
    return 0;
}

int disk_file_birth(const char *path, char ret[static FILE_BIRTH_SIZE])
{
    struct statx found;

    if (statx(AT_FDCWD, path, 0, STATX_BTIME, &found) < 0)
        return -errno;
    if (!(found.stx_mask & STATX_BTIME))
        return -ENODATA;
    snprintf(ret, FILE_BIRTH_SIZE, "%" PRId64 ".%09" PRIu32, (int64_t)found.stx_btime.tv_sec,
             found.stx_btime.tv_nsec);
    return 0;
}

/* --- Is it this one? ----------------------------------------------------------------------- */

enum likeness { IS_ANOTHER, IS_NAMELESS, IS_THE_ONE }; /* NAMELESS: nothing speaks against it */

/* Where the kernel tells what an identity holds; names tell disks from each other. */
static const struct {
    enum identity_key key;
    bool is_name;
    const char *attributes[2];
} told[] = {
    {IDENTITY_WWN, true, {"wwid", "device/wwid"}},
    {IDENTITY_SERIAL, true, {"device/serial", "serial"}},
    {IDENTITY_VOLUME, true, {"dm/uuid", NULL}},
    {IDENTITY_NSID, false, {"nsid", NULL}},
};

/* What was recorded, as text. False: nothing was. */
static bool recorded(json_object *identity, enum identity_key key,
                     char ret[static IDENTITY_VALUE_SIZE])
{
    json_object *value;

    ret[0] = '\0';
    if (json_object_object_get_ex(identity, identity_key_to_string(key), &value) && value)
        identity_normalize(key, json_object_get_string(value), ret);
    return ret[0];
}

static bool is_named(json_object *identity)
{
    char value[IDENTITY_VALUE_SIZE];

    for (size_t i = 0; i < ELEMENTSOF(told); i++)
        if (told[i].is_name && recorded(identity, told[i].key, value))
            return true;
    return false;
}

static bool now_told(const struct sysfs_device *d, size_t i, char ret[static IDENTITY_VALUE_SIZE])
{
    char raw[IDENTITY_VALUE_SIZE] = "";

    for (size_t k = 0; k < 2 && told[i].attributes[k] && !*raw; k++)
        sysfs_attribute(d->disk, told[i].attributes[k], raw, sizeof(raw));
    identity_normalize(told[i].key, raw, ret);
    return ret[0];
}

static bool is_equal_where_recorded(json_object *identity, enum identity_key key, const char *now)
{
    char then[IDENTITY_VALUE_SIZE];

    return !recorded(identity, key, then) || text_equal(then, now);
}

/* A whole disk, or the same stretch of it. */
static bool is_same_stretch(const struct sysfs_device *d, json_object *identity)
{
    char then[IDENTITY_VALUE_SIZE], now[IDENTITY_VALUE_SIZE] = "";

    if (d->is_partition)
        snprintf(now, sizeof(now), "%" PRIu64 "+%" PRIu64, sysfs_count(d->folder, "start") * SECTOR,
                 sysfs_count(d->folder, "size") * SECTOR);
    recorded(identity, IDENTITY_PARTITION, then);
    return text_equal(then, now);
}

static bool is_same_size(const struct sysfs_device *d, json_object *identity)
{
    char size[32];

    snprintf(size, sizeof(size), "%" PRIu64, sysfs_count(d->folder, "size") * SECTOR);
    return is_equal_where_recorded(identity, IDENTITY_SIZE, size);
}

/* The kernel counts its disks since the boot, from 5.15 on. */
static bool is_another_since(const struct sysfs_device *d, json_object *identity)
{
    char sequence[32];

    sysfs_attribute(d->disk, "diskseq", sequence, sizeof(sequence));
    return *sequence && !is_equal_where_recorded(identity, IDENTITY_SEQUENCE, sequence);
}

static enum likeness compare(const struct sysfs_device *d, json_object *identity, bool same_boot)
{
    bool name_is_equal = false;

    if (!is_same_stretch(d, identity))
        return IS_ANOTHER;
    for (size_t i = 0; i < ELEMENTSOF(told); i++) {
        char then[IDENTITY_VALUE_SIZE], now[IDENTITY_VALUE_SIZE];

        if (!recorded(identity, told[i].key, then) || !now_told(d, i, now))
            continue;
        if (!text_equal(then, now))
            return IS_ANOTHER;
        name_is_equal |= told[i].is_name;
    }
    if (is_named(identity))
        return name_is_equal ? IS_THE_ONE : IS_ANOTHER;
    if (!is_same_size(d, identity) || (same_boot && is_another_since(d, identity)))
        return IS_ANOTHER;
    return IS_NAMELESS;
}

static enum likeness compare_number(dev_t number, json_object *identity, bool same_boot)
{
    struct sysfs_device d;

    return sysfs_find_device(number, &d) < 0 ? IS_ANOTHER : compare(&d, identity, same_boot);
}

/* --- Where is it? -------------------------------------------------------------------------- */

static int find_among_all(json_object *identity, bool same_boot, struct disk_node *ret)
{
    _cleanup_(closedir) DIR *all = open_folder("/sys", "class/block");
    const struct dirent *e;

    while (all && (e = readdir(all))) {
        char attribute[NAME_MAX + 8], text[32];
        dev_t number;

        snprintf(attribute, sizeof(attribute), "%s/dev", e->d_name);
        sysfs_attribute("/sys/class/block", attribute, text, sizeof(text));
        if (devno_from_text(text, &number) == 0 &&
            compare_number(number, identity, same_boot) == IS_THE_ONE)
            return disk_node_of_number(number, ret);
    }
    return all ? -ENODEV : -errno;
}

static int find_block(const char *path, json_object *identity, bool same_boot,
                      struct disk_node *ret)
{
    struct disk_node there;
    char text[IDENTITY_VALUE_SIZE];
    dev_t number;
    int r;

    if (!is_named(identity) && same_boot && recorded(identity, IDENTITY_DEVNO, text) &&
        devno_from_text(text, &number) == 0) {
        if (compare_number(number, identity, same_boot) == IS_ANOTHER)
            return -ENODEV;
        return disk_node_of_number(number, ret);
    }
    r = disk_node_of(path, &there);
    if (r == 0 && there.kind == DISK_BLOCK &&
        compare_number(there.number, identity, same_boot) != IS_ANOTHER) {
        *ret = there;
        return 0;
    }
    return is_named(identity) ? find_among_all(identity, same_boot, ret) : -ENODEV;
}

/* The number of a file system may be another after a boot; an inode's is not. */
static int find_file(const char *path, json_object *identity, bool same_boot, struct disk_node *ret)
{
    char device[IDENTITY_VALUE_SIZE], inode[IDENTITY_VALUE_SIZE];
    struct disk_node node = {.kind = DISK_FILE, .self = {.sectors = UINT64_MAX}};
    int r;

    if (!recorded(identity, IDENTITY_INODE, inode))
        return -EINVAL;
    node.self.inode = (ino_t)strtoull(inode, NULL, 10);
    if (same_boot && recorded(identity, IDENTITY_DEVICE, device) &&
        devno_from_text(device, &node.self.device) == 0) {
        *ret = node;
        return 0;
    }
    r = disk_node_of(path, &node);
    if (r < 0)
        return r;
    if (node.kind != DISK_FILE || node.self.inode != (ino_t)strtoull(inode, NULL, 10))
        return -ENODEV;
    *ret = node;
    return 0;
}

int disk_node_find(const char *path, enum disk_source kind, json_object *identity, bool same_boot,
                   struct disk_node *ret)
{
    if (kind == DISK_FILE)
        return find_file(path, identity, same_boot, ret);
    return find_block(path, identity, same_boot, ret);
}
