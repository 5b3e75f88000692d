/* places.c - where partitions lay before a clear
 *
 * Their table is gone afterwards; the file systems' first blocks, whose places it told, are read
 * all the same. */
#include "wipe/places.h"

#include <limits.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#define SECTOR 512

int places_remember(struct wipe *w, struct error **err)
{
    const struct footprint *f = &w->scene.footprint;

    w->places = calloc(f->n ? 2 * f->n : 1, sizeof(*w->places));
    if (!w->places)
        return error_no_memory(err);
    for (size_t i = 0; i < f->n; i++) {
        char folder[PATH_MAX];
        uint64_t start, end;

        if (f->nodes[i].role != NODE_PARTITION)
            continue;
        snprintf(folder, sizeof(folder), "%s/dev/block/%u:%u", w->scene.sys,
                 major(f->nodes[i].number), minor(f->nodes[i].number));
        start = sysfs_number(folder, "start") * SECTOR;
        end = start + sysfs_number(folder, "size") * SECTOR;
        if (start < w->device->size)
            w->places[w->n_places++] = start;
        if (end < w->device->size)
            w->places[w->n_places++] = end;
    }
    return 0;
}
