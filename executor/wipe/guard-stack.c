/* guard-stack.c - what stands on top of the device: device mapper, md, loops, storage targets
 *
 * Theory of operation. Holders are in sysfs, except for those that open a device like any program
 * does. A loop is one of them: it shows neither in holders/ nor in O_EXCL, so every loop is asked
 * what is below it. An NVMe or SCSI target exports a device by path, which configfs tells.
 */
#include "wipe/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "wipe/text.h"

/* --- Holders --------------------------------------------------------------------------------- */

static void name_of_holder(const struct scene *s, const char *holder, char *ret, size_t size)
{
    char folder[PATH_MAX + 256], name[192];

    snprintf(folder, sizeof(folder), "%s/block/%s", s->sys, holder);
    sysfs_text(folder, "dm/name", name, sizeof(name));
    if (is_set(name))
        snprintf(ret, size, "%s (%s)", holder, name);
    else
        snprintf(ret, size, "%s", holder);
}

int guard_held(const struct scene *s, struct refusal *ret, struct error **err)
{
    for (size_t i = 0; i < s->footprint.n; i++) {
        const struct node *node = &s->footprint.nodes[i];
        char folder[PATH_MAX], culprit[512], use[640];
        _cleanup_(closedir) DIR *d = NULL;
        struct dirent *e;

        if (!node->is_block)
            continue;
        snprintf(folder, sizeof(folder), "%s/dev/block/%u:%u/holders", s->sys, major(node->number),
                 minor(node->number));
        d = opendir(folder);
        if (!d)
            return error_set_errno(err, ERROR_IO, errno, "reading %s", folder);
        while ((e = readdir(d))) {
            if (e->d_name[0] == '.')
                continue;
            name_of_holder(s, e->d_name, culprit, sizeof(culprit));
            snprintf(use, sizeof(use), "is held by %s", culprit);
            return refuse_node(ret, s, node, culprit, use);
        }
    }
    return 0;
}

/* --- Loops ----------------------------------------------------------------------------------- */

/* The kernel's encoding of a device number in 64 bits, which is not the C library's. */
static dev_t device_of_kernel(uint64_t n)
{
    return makedev((unsigned)(n >> 8) & 0xfff, (unsigned)((n & 0xff) | ((n >> 12) & 0xfff00)));
}

/* -ENXIO: nothing is below it (any more). */
static int ask_loop(const char *name, struct loop_info64 *ret)
{
    char path[300];
    _cleanup_(close) int fd = -1;

    snprintf(path, sizeof(path), "/dev/%s", name);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 || ioctl(fd, LOOP_GET_STATUS64, ret) < 0 ? -errno : 0;
}

static int look_at_loop(const struct scene *s, const char *name, char *backing, struct refusal *ret,
                        struct error **err)
{
    static const char deleted[] = " (deleted)";
    struct loop_info64 info = {0};
    const struct node *node = NULL;
    bool is_ours = false;
    size_t n = strlen(backing);
    int r = ask_loop(name, &info);
    char use[PATH_MAX];

    if (r == -ENXIO)
        return 0;
    if (r >= 0) {
        if (info.lo_rdevice)
            node = footprint_find(&s->footprint, true, device_of_kernel(info.lo_rdevice));
        is_ours = node || footprint_is_file(&s->footprint, device_of_kernel(info.lo_device),
                                            (ino_t)info.lo_inode);
    } else {
        if (n > sizeof(deleted) && text_equal(backing + n - (sizeof(deleted) - 1), deleted))
            backing[n - (sizeof(deleted) - 1)] = '\0';
        r = scene_resolves(s, backing, &node, &is_ours, err);
        if (r < 0)
            return error_context(err, "what %s stands on", name);
    }
    if (!is_ours)
        return 0;
    snprintf(use, sizeof(use), "has the loop device %s on top of it", name);
    return refuse_node(ret, s, node, name, use);
}

int guard_loop(const struct scene *s, struct refusal *ret, struct error **err)
{
    char folder[PATH_MAX];
    _cleanup_(closedir) DIR *d = NULL;
    struct dirent *e;

    snprintf(folder, sizeof(folder), "%s/block", s->sys);
    d = opendir(folder);
    if (!d)
        return error_set_errno(err, ERROR_IO, errno, "reading %s", folder);
    while ((e = readdir(d))) {
        char loop[2 * PATH_MAX], backing[PATH_MAX];
        int r;

        if (strncmp(e->d_name, "loop", 4) != 0)
            continue;
        snprintf(loop, sizeof(loop), "%s/%s", folder, e->d_name);
        sysfs_text(loop, "loop/backing_file", backing, sizeof(backing));
        r = is_set(backing) ? look_at_loop(s, e->d_name, backing, ret, err) : 0;
        if (r)
            return r;
    }
    return 0;
}

/* --- Targets --------------------------------------------------------------------------------- */

static int look_at_export(const struct scene *s, const char *entry, const char *attribute,
                          const char *name, struct refusal *ret, struct error **err)
{
    const struct node *node = NULL;
    char path[PATH_MAX], use[512];
    bool is_ours = false;
    int r;

    sysfs_text(entry, attribute, path, sizeof(path));
    if (path[0] != '/')
        return 0;
    r = scene_resolves(s, path, &node, &is_ours, err);
    if (r < 0)
        return error_context(err, "what %s exports", name);
    if (!is_ours)
        return 0;
    snprintf(use, sizeof(use), "is exported by the storage target %s", name);
    return refuse_node(ret, s, node, name, use);
}

static int look_below(const struct scene *s, const char *folder, const char *name,
                      const char *attribute, struct refusal *ret, struct error **err)
{
    _cleanup_(closedir) DIR *d = opendir(folder);
    struct dirent *e;
    int r = 0;

    while (d && r == 0 && (e = readdir(d))) {
        char entry[4 * PATH_MAX];

        if (e->d_name[0] == '.')
            continue;
        snprintf(entry, sizeof(entry), "%s/%s", folder, e->d_name);
        r = look_at_export(s, entry, attribute, name, ret, err);
    }
    return r;
}

/* folder/X + middle + /Y/attribute, for every X and Y: paths of what is exported. */
static int look_at_exports(const struct scene *s, const char *folder, const char *middle,
                           const char *attribute, struct refusal *ret, struct error **err)
{
    _cleanup_(closedir) DIR *d = opendir(folder);
    struct dirent *e;
    int r = 0;

    while (d && r == 0 && (e = readdir(d))) {
        char below[3 * PATH_MAX];

        if (e->d_name[0] == '.')
            continue;
        snprintf(below, sizeof(below), "%s/%s%s", folder, e->d_name, middle);
        r = look_below(s, below, e->d_name, attribute, ret, err);
    }
    return r;
}

int guard_target(const struct scene *s, struct refusal *ret, struct error **err)
{
    static const struct {
        const char *module, *folder, *middle, *attribute;
    } targets[] = {
        {"nvmet", "kernel/config/nvmet/subsystems", "/namespaces", "device_path"},
        {"target_core_mod", "kernel/config/target/core", "", "udev_path"},
    };

    for (size_t i = 0; i < ELEMENTSOF(targets); i++) {
        char module[PATH_MAX], folder[PATH_MAX];
        int r;

        snprintf(module, sizeof(module), "%s/module/%s", s->sys, targets[i].module);
        snprintf(folder, sizeof(folder), "%s/%s", s->sys, targets[i].folder);
        if (access(folder, F_OK) < 0) {
            /* The module is there, what it exports cannot be seen. */
            if (access(module, F_OK) == 0)
                return error_set(err, ERROR_IO,
                                 "%s is loaded and %s is not there (is configfs mounted?)",
                                 targets[i].module, folder);
            continue;
        }
        r = look_at_exports(s, folder, targets[i].middle, targets[i].attribute, ret, err);
        if (r)
            return r;
    }
    return 0;
}
