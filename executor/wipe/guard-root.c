/* guard-root.c - is the device a link of the chain that the host's root stands on?
 *
 * Theory of operation. From the device of the root file system (ours, and that of process 1, which
 * a sandbox may have taken us away from) the chain is walked downwards: a partition stands on its
 * disk, device mapper and md on their slaves. Nothing of it may be cleared, mounted or not. Where
 * the root has a device number of its own (btrfs, an overlay), its source is taken.
 */
#include "wipe/guard.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "wipe/guard-mounts.h"
#include "wipe/text.h"

/* Deeper than any stack of devices that works. */
#define DEPTH_MAX 16

static int walk(const struct scene *s, const char *folder, int depth, struct refusal *ret,
                struct error **err);

static int walk_slaves(const struct scene *s, const char *folder, int depth, struct refusal *ret,
                       struct error **err)
{
    char slaves[PATH_MAX + 16];
    _cleanup_(closedir) DIR *d = NULL;
    struct dirent *e;
    int r = 0;

    snprintf(slaves, sizeof(slaves), "%s/slaves", folder);
    d = opendir(slaves);
    while (d && r == 0 && (e = readdir(d))) {
        char below[2 * PATH_MAX];

        if (e->d_name[0] == '.')
            continue;
        snprintf(below, sizeof(below), "%s/%s", slaves, e->d_name);
        r = walk(s, below, depth + 1, ret, err);
    }
    return r;
}

static int walk(const struct scene *s, const char *folder, int depth, struct refusal *ret,
                struct error **err)
{
    char resolved[PATH_MAX], number[32], probe[PATH_MAX + 16];
    const struct node *node;
    unsigned major, minor;
    int r;

    if (depth > DEPTH_MAX)
        return error_set(err, ERROR_IO, "the root stands on more devices than can be followed");
    if (!realpath(folder, resolved))
        return error_set_errno(err, ERROR_IO, errno, "following the root down to %s", folder);
    sysfs_text(resolved, "dev", number, sizeof(number));
    if (sscanf(number, "%u:%u", &major, &minor) != 2)
        return error_set(err, ERROR_IO, "%s has no device number", resolved);
    node = footprint_find(&s->footprint, true, makedev(major, minor));
    if (node)
        return refuse_node(ret, s, node, "/", "carries the host's root file system");
    snprintf(probe, sizeof(probe), "%s/partition", resolved);
    r = walk_slaves(s, resolved, depth, ret, err);
    if (r || access(probe, F_OK) < 0)
        return r;
    *strrchr(resolved, '/') = '\0';
    return walk(s, resolved, depth + 1, ret, err);
}

/* The last mount on "/" is the one that is seen. */
static int source_of_root(const char *mountinfo, char *ret, size_t size, struct error **err)
{
    _cleanup_(fclose) FILE *f = fopen(mountinfo, "re");
    _cleanup_(freep) char *line = NULL;
    size_t room = 0;
    struct mount m;

    *ret = '\0';
    if (!f)
        return error_set_errno(err, ERROR_IO, errno, "opening %s", mountinfo);
    while (getline(&line, &room, f) >= 0)
        if (mountinfo_parse(line, &m) && text_equal(m.point, "/"))
            snprintf(ret, size, "%s", m.source);
    return 0;
}

static int walk_root(const struct scene *s, const char *root, const char *mountinfo,
                     struct refusal *ret, struct error **err)
{
    char folder[PATH_MAX], source[PATH_MAX];
    struct stat st;
    dev_t device;
    int r;

    if (stat(root, &st) < 0)
        return error_set_errno(err, ERROR_IO, errno, "looking at %s", root);
    device = st.st_dev;
    if (major(device) == 0) {
        r = source_of_root(mountinfo, source, sizeof(source), err);
        if (r < 0)
            return r;
        /* A root in memory or over the network stands on no device. */
        if (source[0] != '/' || stat(source, &st) < 0 || !S_ISBLK(st.st_mode))
            return 0;
        device = st.st_rdev;
    }
    snprintf(folder, sizeof(folder), "%s/dev/block/%u:%u", s->sys, major(device), minor(device));
    return walk(s, folder, 0, ret, err);
}

int guard_root_chain(const struct scene *s, struct refusal *ret, struct error **err)
{
    static const char *const whose[] = {"self", "1"};

    for (size_t i = 0; !s->footprint.is_file && i < ELEMENTSOF(whose); i++) {
        char root[PATH_MAX], mountinfo[PATH_MAX];
        int r;

        snprintf(root, sizeof(root), "%s/%s/root/.", s->proc, whose[i]);
        snprintf(mountinfo, sizeof(mountinfo), "%s/%s/mountinfo", s->proc, whose[i]);
        r = walk_root(s, root, mountinfo, ret, err);
        if (r)
            return r;
    }
    return 0;
}
