/* wiper-named.c - what a survey says of one disk */
#include "engine/wiper-survey.h"

#include <string.h>

const struct sighting *survey_find(const struct survey *v, const uuid_t domain)
{
    for (size_t i = 0; i < v->domains.n; i++)
        if (uuid_compare(v->domains.items[i].domain, domain) == 0)
            return &v->domains.items[i];
    return NULL;
}

static bool has_untold_device(const struct instance *i)
{
    for (size_t k = 0; k < i->n_pci_devices; k++)
        if (!*i->pci_devices[k].address)
            return true;
    return false;
}

int survey_is_whole(const struct survey *v, const uuid_t domain, struct error **err)
{
    for (size_t i = 0; i < v->domains.n; i++) {
        const struct sighting *s = &v->domains.items[i];
        char text[UUID_TEXT_SIZE];

        if (uuid_compare(s->domain, domain) == 0)
            continue;
        if (s->instance && s->save_is_untold)
            return error_set(err, ERROR_UNKNOWN,
                             "which disks the saved image of domain %s names cannot be told (start "
                             "it, or remove the image with virsh managedsave-remove)",
                             s->instance->name);
        if (s->instance && s->state != DOMAIN_UNKNOWN) {
            if (!has_untold_device(s->instance))
                continue;
            return error_set(err, ERROR_UNKNOWN,
                             "which PCI device domain %s passes through cannot be told",
                             s->instance->name);
        }
        uuid_unparse_lower(s->domain, text);
        return error_set(err, ERROR_UNKNOWN,
                         "which disks domain %s names cannot be told at present",
                         s->instance ? s->instance->name : text);
    }
    for (size_t i = 0; i < v->n_untold; i++) {
        const struct untold_disk *d = &v->untold[i];

        if (uuid_compare(d->domain->domain, domain) != 0)
            return error_set(err, ERROR_UNKNOWN,
                             "what disk %s of domain %s is cannot be told (volume %s of pool %s): "
                             "%s",
                             d->target ? d->target : "without a target", d->domain->instance->name,
                             d->volume->volume, d->volume->pool, error_message(d->volume->error));
    }
    return 0;
}

int wanted_disk_find(const char *device, struct wanted_disk *ret)
{
    int r = disk_node_of(device, &ret->node);

    ret->device = device;
    return r < 0 ? r : disk_node_controllers(&ret->node, &ret->controllers);
}

static int check_disks(const struct survey *v, const uuid_t domain, const struct wanted_disk *disk,
                       struct error **err)
{
    for (size_t i = 0; i < v->n; i++) {
        const struct named_disk *d = &v->disks[i];

        if (uuid_compare(d->domain->domain, domain) == 0)
            continue;
        if (disk_nodes_share(&d->node, &disk->node) || text_equal(d->source, disk->device))
            return error_set(err, ERROR_CONFLICT, "%s is named by domain %s too (%s, as %s)",
                             disk->device, d->domain->instance->name, d->target, d->source);
    }
    return 0;
}

static int check_devices(const struct sighting *s, const struct wanted_disk *disk,
                         struct error **err)
{
    for (size_t i = 0; s->instance && i < s->instance->n_pci_devices; i++) {
        const char *address = s->instance->pci_devices[i].address;

        if (pci_addresses_have(&disk->controllers, address))
            return error_set(err, ERROR_CONFLICT,
                             "%s hangs on the PCI device %s, which domain %s passes through",
                             disk->device, address, s->instance->name);
    }
    return 0;
}

int survey_check_others(const struct survey *v, const uuid_t domain, const struct wanted_disk *disk,
                        struct error **err)
{
    int r = check_disks(v, domain, disk, err);

    for (size_t i = 0; i < v->domains.n && r == 0; i++)
        if (uuid_compare(v->domains.items[i].domain, domain) != 0)
            r = check_devices(&v->domains.items[i], disk, err);
    return r;
}
