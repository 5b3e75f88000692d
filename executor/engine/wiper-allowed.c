/* wiper-allowed.c - what may ever be cleared, whatever names it
 *
 * Links are resolved, and of a device the kernel's own name has to be under the globs as well, so
 * that neither a link nor a node under another name widens what may be cleared. The helper asks the
 * same before it touches anything; here it decides which disks are local at all.
 */
#include "engine/wiper-internal.h"

#include "engine/disk-sysfs.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

static bool is_under(const struct wipe_list *globs, const char *path)
{
    for (size_t i = 0; i < globs->n; i++)
        if (fnmatch(globs->items[i], path, FNM_PATHNAME | FNM_PERIOD) == 0)
            return true;
    return false;
}

/* "/dev/cciss/c0d0" is the kernel's "cciss!c0d0". */
static bool kernel_name(dev_t number, char *ret, size_t size)
{
    struct sysfs_device d;

    if (sysfs_find_device(number, &d) < 0)
        return false;
    snprintf(ret, size, "/dev/%s", strrchr(d.folder, '/') + 1);
    for (char *c = ret; (c = strchr(c, '!'));)
        *c = '/';
    return true;
}

bool is_allowed(const struct wiper_config *c, const char *resolved)
{
    struct disk_node node;
    char name[PATH_MAX + 8];

    if (disk_node_of(resolved, &node) < 0)
        return false;
    if (node.kind == DISK_FILE)
        return is_under(&c->files, resolved);
    return node.kind == DISK_BLOCK && is_under(&c->devices, resolved) &&
           kernel_name(node.number, name, sizeof(name)) && is_under(&c->devices, name);
}
