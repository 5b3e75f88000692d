/* owed.c - is something that a domain names owed a clear?
 *
 * Theory of operation. Each marker's disk is found where it is now (it may have another number
 * since, even another name), and compared by number with what each path of the domain stands for.
 * A disk that is not to be found on this host is compared by the path that it had: it may come back
 * under it.
 */
#include "hook/owed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int refuse(const struct marker *m, const char *what, const char *name, struct error **err)
{
    return error_set(err, ERROR_DISK_STATUS,
                     "%s%s is a local disk of instance %s (%s, %s) that is owed a clear (RequestId "
                     "%s). Wait for its end ('stopctl show %s'), or, where that has given up, "
                     "'stopctl retry %s'; where stopd does not know of it any more, 'stopctl clear "
                     "%s --confirm'.",
                     what, name, m->instance_id, m->target, m->device, m->request_id, m->request_id,
                     m->request_id, m->instance_id);
}

static int refuse_source(const struct marker *m, const struct domain_source *s, struct error **err)
{
    char what[128] = "";

    if (is_set(s->target))
        snprintf(what, sizeof(what), "disk %s, ", s->target);
    return refuse(m, what, s->path, err);
}

struct owed {
    const struct marker *marker;
    bool is_here;
    struct disk_node node;
};

static int check_source(const struct domain_source *s, const struct owed *owed, size_t n,
                        struct error **err)
{
    struct disk_node node;
    int r = disk_node_of(s->path, &node);

    if (r == -E2BIG)
        return error_set(err, ERROR_DISK_STATUS,
                         "what %s stands on cannot be told apart, and local disks are owed a clear",
                         s->path);
    for (size_t i = 0; i < n; i++) {
        const struct owed *o = &owed[i];

        if (r == 0 && o->is_here ? disk_nodes_share(&o->node, &node)
                                 : text_equal(o->marker->device, s->path))
            return refuse_source(o->marker, s, err);
    }
    return 0;
}

static int check_controllers(const struct domain_sources *s, const struct marker *m,
                             struct error **err)
{
    for (size_t i = 0; i < s->n_controllers; i++)
        if (pci_addresses_have(&m->controllers, s->controllers[i]))
            return refuse(m, "behind the passed-through PCI device ", s->controllers[i], err);
    return 0;
}

int check_owed(const struct domain_sources *s, const struct marker_list *l, struct error **err)
{
    _cleanup_(freep) struct owed *owed = calloc(l->n + 1, sizeof(*owed));
    int r = 0;

    if (!owed)
        return error_no_memory(err);
    if (s->untold)
        return error_set(err, ERROR_DISK_STATUS,
                         "which disk %s is cannot be told, and local disks are owed a clear",
                         s->untold);
    for (size_t i = 0; i < l->n && r == 0; i++) {
        owed[i].marker = &l->items[i];
        owed[i].is_here = marker_find(&l->items[i], &owed[i].node) == 0;
        r = check_controllers(s, &l->items[i], err);
    }
    for (size_t i = 0; i < s->n && r == 0; i++)
        r = check_source(&s->items[i], owed, l->n, err);
    return r;
}
