/* guard-identity.c - is this a device that may be cleared, and the one that was meant? */
#include "wipe/guard.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

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

/* Resolved links are matched, and for a block device the kernel's own name for it as well, so that neither a link nor a
 * node under another name widens what may be cleared. */
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
    return refuse(ret, word, "the %s of %s is %s, and %s was expected", word, s->device->path, found,
                  s->request->identity.value[key]);
}
