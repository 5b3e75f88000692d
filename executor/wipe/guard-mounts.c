/* guard-mounts.c - mounted file systems and swap
 *
 * Theory of operation. A mount is looked for in every mount namespace that some process lives in,
 * our own one first and each once. A mount's device number tells, except for file systems of many
 * devices, which have a number of their own: for those the source is looked at too, and btrfs lists
 * its devices in sysfs.
 */
#include "wipe/guard-mounts.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "wipe/inode-set.h"
#include "wipe/sight.h"
#include "wipe/text.h"

bool mountinfo_parse(char *line, struct mount *ret)
{
    unsigned major, minor;
    char *rest, *field, *separator;
    int used = 0;

    /* id parent major:minor root mount-point options [optional…] - type source super-options */
    if (sscanf(line, "%*d %*d %u:%u %n", &major, &minor, &used) < 2 || used == 0)
        return false;
    rest = line + used;
    if (!strsep(&rest, " ") || !(field = strsep(&rest, " ")) || !rest)
        return false;
    ret->device = makedev(major, minor);
    ret->point = field;
    separator = strstr(rest, " - ");
    if (!separator)
        return false;
    rest = separator + 3;
    ret->type = strsep(&rest, " ");
    ret->source = strsep(&rest, " \n");
    if (!ret->source)
        return false;
    text_unescape(ret->point);
    text_unescape(ret->source);
    return true;
}

/* Its source is resolved under root, which is another process's where the mount is. Only nodes:
 * other sources may be on a file server that hangs. */
static const struct node *node_of_source(const struct scene *s, const char *root,
                                         const char *source)
{
    char path[2 * PATH_MAX];
    struct stat st;

    if (strncmp(source, "/dev/", strlen("/dev/")) != 0)
        return NULL;
    snprintf(path, sizeof(path), "%s%s", root, source);
    if (stat(path, &st) < 0 || !S_ISBLK(st.st_mode))
        return NULL;
    return footprint_find(&s->footprint, true, st.st_rdev);
}

int mounts_look(const struct scene *s, const char *mountinfo, const char *root, const char *whose,
                struct refusal *ret, struct error **err)
{
    _cleanup_(fclose) FILE *f = fopen(mountinfo, "re");
    _cleanup_(freep) char *line = NULL;
    size_t size = 0;

    if (!f)
        return error_set_errno(err, ERROR_IO, errno, "opening %s", mountinfo);
    while (errno = 0, getline(&line, &size, f) >= 0) {
        const struct node *node;
        struct mount m;
        char use[512];

        if (!mountinfo_parse(line, &m))
            return error_set(err, ERROR_IO, "%s has a line that is not understood", mountinfo);
        node = footprint_find(&s->footprint, true, m.device);
        if (!node)
            node = node_of_source(s, root, m.source);
        if (!node)
            continue;
        snprintf(use, sizeof(use), "is mounted on %s%s", m.point, whose);
        return refuse_node(ret, s, node, m.point, use);
    }
    return ferror(f) ? error_set_errno(err, ERROR_IO, errno, "reading %s", mountinfo) : 0;
}

static int look_at_btrfs(const struct scene *s, struct refusal *ret, struct error **err)
{
    char folder[PATH_MAX];
    _cleanup_(closedir) DIR *all = NULL;
    struct dirent *e;

    snprintf(folder, sizeof(folder), "%s/fs/btrfs", s->sys);
    all = opendir(folder);
    while (all && (e = readdir(all))) {
        for (size_t i = 0; i < s->footprint.n; i++) {
            char member[2 * PATH_MAX];

            snprintf(member, sizeof(member), "%s/%s/devices/%s", folder, e->d_name,
                     s->footprint.nodes[i].name);
            if (access(member, F_OK) == 0)
                return refuse_node(ret, s, &s->footprint.nodes[i], e->d_name,
                                   "is part of a mounted btrfs");
        }
    }
    return 0;
}

/* --- Mount namespaces ------------------------------------------------------------------------ */

static void inode_set_cleanup(struct inode_set *s)
{
    inode_set_clear(s);
}

/* What is not shown to us is not known; usually there is one reason for all of it. */
static int cannot_look(const struct scene *s, const char *path, int errnum, struct error **err)
{
    int r = sight_is_whole(s->proc, err);

    return r < 0 ? r : error_set_errno(err, ERROR_FORBIDDEN, errnum, "looking at %s", path);
}

/* *is_new: the namespace of the process is one that was not seen yet. */
static int meet(const struct scene *s, const char *process, struct inode_set *seen, bool *is_new,
                struct error **err)
{
    char path[PATH_MAX + 16];
    struct stat st;

    *is_new = false;
    snprintf(path, sizeof(path), "%s/ns/mnt", process);
    if (stat(path, &st) < 0) /* a process on its way out has none */
        return errno == ENOENT || errno == ESRCH ? 0 : cannot_look(s, path, errno, err);
    if (inode_set_has(seen, st.st_dev, st.st_ino))
        return 0;
    if (inode_set_add(seen, st.st_dev, st.st_ino) < 0)
        return error_no_memory(err);
    *is_new = true;
    return 0;
}

static int look_at_namespace_of(const struct scene *s, const char *process, struct inode_set *seen,
                                struct refusal *ret, struct error **err)
{
    char mountinfo[PATH_MAX + 16], root[PATH_MAX + 16], who[384], whose[512];
    bool is_new;
    int r = meet(s, process, seen, &is_new, err);

    snprintf(mountinfo, sizeof(mountinfo), "%s/mountinfo", process);
    if (r < 0 || !is_new || access(mountinfo, F_OK) < 0)
        return r;
    snprintf(root, sizeof(root), "%s/root", process);
    process_name(process, who, sizeof(who));
    snprintf(whose, sizeof(whose), " in the mount namespace of %s", who);
    return mounts_look(s, mountinfo, root, whose, ret, err);
}

static int look_at_namespaces(const struct scene *s, struct refusal *ret, struct error **err)
{
    _cleanup_(inode_set) struct inode_set seen = {0};
    _cleanup_(closedir) DIR *d = opendir(s->proc);
    char process[PATH_MAX];
    struct dirent *e;
    bool is_new;
    int r;

    if (!d)
        return error_set_errno(err, ERROR_IO, errno, "reading %s", s->proc);
    /* Our own one has been looked through. */
    snprintf(process, sizeof(process), "%s/self", s->proc);
    r = meet(s, process, &seen, &is_new, err);
    while (r == 0 && (errno = 0, e = readdir(d))) {
        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        snprintf(process, sizeof(process), "%s/%s", s->proc, e->d_name);
        r = look_at_namespace_of(s, process, &seen, ret, err);
    }
    return r == 0 && errno ? error_set_errno(err, ERROR_IO, errno, "reading %s", s->proc) : r;
}

int guard_mounted(const struct scene *s, struct refusal *ret, struct error **err)
{
    char path[PATH_MAX];
    int r;

    snprintf(path, sizeof(path), "%s/self/mountinfo", s->proc);
    r = mounts_look(s, path, "", "", ret, err);
    if (r == 0)
        r = look_at_btrfs(s, ret, err);
    return r ? r : look_at_namespaces(s, ret, err);
}

/* --- Swap ------------------------------------------------------------------------------------ */

bool swaps_parse(char *line, char **ret)
{
    static const char deleted[] = " (deleted)";
    size_t n = strcspn(line, " \t\n");

    if (n == 0)
        return false;
    line[n] = '\0';
    text_unescape(line);
    n = strlen(line);
    if (n > sizeof(deleted) && text_equal(line + n - (sizeof(deleted) - 1), deleted))
        line[n - (sizeof(deleted) - 1)] = '\0';
    *ret = line;
    return true;
}

int guard_swap(const struct scene *s, struct refusal *ret, struct error **err)
{
    char path[PATH_MAX];
    _cleanup_(fclose) FILE *f = NULL;
    _cleanup_(freep) char *line = NULL;
    size_t size = 0;

    snprintf(path, sizeof(path), "%s/swaps", s->proc);
    f = fopen(path, "re");
    if (!f)
        return error_set_errno(err, ERROR_IO, errno, "opening %s", path);
    if (getline(&line, &size, f) < 0 || strncmp(line, "Filename", strlen("Filename")) != 0)
        return error_set(err, ERROR_IO, "%s has no heading", path);
    while (errno = 0, getline(&line, &size, f) >= 0) {
        const struct node *node;
        bool is_ours = false;
        char *swap;
        int r;

        if (!swaps_parse(line, &swap))
            return error_set(err, ERROR_IO, "%s has a line that is not understood", path);
        r = scene_resolves(s, swap, &node, &is_ours, err);
        if (r < 0)
            return r;
        if (is_ours)
            return refuse_node(ret, s, node, swap, "is swapped on");
    }
    return ferror(f) ? error_set_errno(err, ERROR_IO, errno, "reading %s", path) : 0;
}
