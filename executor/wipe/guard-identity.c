/* guard-identity.c - is this a device that may be cleared, the one that was meant, and nobody
 * else's? */
#include "wipe/guard.h"

#include "engine/disk-controllers.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static bool is_under(const struct wipe_list *globs, const char *path)
{
    for (size_t i = 0; i < globs->n; i++)
        if (fnmatch(globs->items[i], path, FNM_PATHNAME | FNM_PERIOD) == 0)
            return true;
    return false;
}

static void join(const struct wipe_list *globs, char *ret, size_t size)
{
    size_t n = 0;

    snprintf(ret, size, "nothing");
    for (size_t i = 0; i < globs->n && n < size; i++)
        n += (size_t)snprintf(ret + n, size - n, "%s%s", i ? ", " : "", globs->items[i]);
}

/* Resolved links are matched, and for a block device the kernel's own name for it as well, so that
 * neither a link nor a node under another name widens what may be cleared. */
int guard_allowed(const struct scene *s, struct refusal *ret, struct error **err)
{
    const struct storage_device *d = s->device;
    const struct wipe_list *globs =
        d->kind == STORAGE_FILE ? &s->request->allow_files : &s->request->allow_devices;
    char kernel_name[PATH_MAX], allowed[256];

    if (s->request->kind != STORAGE_KIND_MAX && s->request->kind != d->kind)
        return refuse(ret, d->path, "%s is a %s, not a %s", d->path,
                      d->kind == STORAGE_FILE ? "file" : "block device",
                      d->kind == STORAGE_FILE ? "block device" : "file");
    snprintf(kernel_name, sizeof(kernel_name), "%s", d->path);
    if (d->kind == STORAGE_BLOCK)
        for (size_t i = 0; i < s->footprint.n; i++)
            if (s->footprint.nodes[i].role == NODE_SELF)
                snprintf(kernel_name, sizeof(kernel_name), "/dev/%s", s->footprint.nodes[i].name);
    if (is_under(globs, d->path) && is_under(globs, kernel_name))
        return 0;
    join(globs, allowed, sizeof(allowed));
    return refuse(ret, is_under(globs, d->path) ? kernel_name : d->path,
                  "%s is not among the %s that may be cleared (%s)",
                  is_under(globs, d->path) ? kernel_name : d->path,
                  d->kind == STORAGE_FILE ? "files" : "devices", allowed);
}

int guard_identity(const struct scene *s, struct refusal *ret, struct error **err)
{
    enum identity_key key = identity_mismatch(s->identity, &s->request->identity);
    const char *found, *word;

    if (key == IDENTITY_KEY_MAX)
        return 0;
    found = s->identity->value[key];
    word = identity_key_to_string(key);
    if (!*found)
        return refuse(ret, word, "%s has no %s, and %s was expected", s->device->path, word,
                      s->request->identity.value[key]);
    return refuse(ret, word, "the %s of %s is %s, and %s was expected", word, s->device->path,
                  found, s->request->identity.value[key]);
}

/* --- Read-only ------------------------------------------------------------------------------- */

static int file_is_read_only(const struct scene *s, struct refusal *ret, struct error **err)
{
    const struct storage_device *d = s->device;
    struct statvfs fs;
    int flags = 0;

    if (fstatvfs(d->look_fd, &fs) < 0)
        return error_set_errno(err, ERROR_IO, errno, "looking at the file system of %s", d->path);
    if (fs.f_flag & ST_RDONLY)
        return refuse(ret, d->path, "the file system of %s is mounted read-only", d->path);
    /* Not every file system knows them. */
    if (ioctl(d->look_fd, FS_IOC_GETFLAGS, &flags) == 0 && flags & (FS_IMMUTABLE_FL | FS_APPEND_FL))
        return refuse(ret, d->path, "%s is marked as %s", d->path,
                      flags & FS_IMMUTABLE_FL ? "immutable" : "append-only");
    return 0;
}

int guard_read_only(const struct scene *s, struct refusal *ret, struct error **err)
{
    int is_read_only = 0;

    if (s->device->look_fd < 0)
        return 0;
    if (s->footprint.is_file)
        return file_is_read_only(s, ret, err);
    if (ioctl(s->device->look_fd, BLKROGET, &is_read_only) < 0)
        return error_set_errno(err, ERROR_IO, errno, "asking whether %s is read-only",
                               s->device->path);
    if (is_read_only)
        return refuse(ret, s->device->path, "%s is read-only", s->device->path);
    return 0;
}

/* --- Others' ---------------------------------------------------------------------------------- */

/* A device that is passed through takes along what hangs on it. */
static int look_at_devices(const struct scene *s, struct refusal *ret, struct error **err)
{
    struct pci_addresses ours = {0};
    int r = 0;

    for (size_t i = 0; i < s->footprint.n && r == 0; i++)
        if (s->footprint.nodes[i].role == NODE_SELF)
            r = disk_controllers(s->sys, s->footprint.nodes[i].number, &ours);
    if (r < 0)
        return error_set_errno(err, ERROR_IO, r, "looking for the PCI devices that %s hangs on",
                               s->device->path);
    for (size_t i = 0; i < s->request->n_others; i++) {
        const struct wipe_other *o = &s->request->others[i];

        if (!o->source && pci_addresses_have(&ours, o->pci))
            return refuse(ret, o->domain,
                          "%s hangs on the PCI device %s, which the domain %s passes through",
                          s->device->path, o->pci, o->domain);
    }
    return 0;
}

/* What other domains name is compared by what it leads to. A path that leads nowhere names nothing
 * that is here; but if it reads like ours, something has just been moved away from under it, and
 * that is a doubt. */
int guard_other_domain(const struct scene *s, struct refusal *ret, struct error **err)
{
    for (size_t i = 0; i < s->request->n_others; i++) {
        const struct wipe_other *o = &s->request->others[i];
        _cleanup_(error_free) struct error *error = NULL;
        const struct node *node = NULL;
        bool is_ours =
            text_equal(o->source, s->request->device) || text_equal(o->source, s->device->path);
        struct stat st;

        if (!o->source)
            continue;
        if (!is_ours && scene_resolves(s, o->source, &node, &is_ours, &error) < 0) {
            if (stat(o->source, &st) < 0 && (errno == ENOENT || errno == ENOTDIR))
                continue;
            return error_move(err, &error);
        }
        /* A sibling partition that a domain names is its own affair until it is used. */
        if (is_ours && !(node && node->role == NODE_SIBLING))
            return refuse(ret, o->domain, "the domain %s names it too, as %s", o->domain,
                          o->source);
    }
    return look_at_devices(s, ret, err);
}

int guard_shared_namespace(const struct scene *s, struct refusal *ret, struct error **err)
{
    if (!s->neighbours || !is_set(s->neighbours->foreign_controller))
        return 0;
    return refuse(ret, s->neighbours->foreign_controller, "%s can be used by others: %s",
                  s->device->path, s->neighbours->foreign_controller);
}
