/* instance.c - the instance as a value: its words, its copies, what can be asked of it */
#include "stopd/instance.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

DEFINE_ENUM_WORDS(enum network_kind, network_kind, NETWORK_MAX, "vpc", "classic");
DEFINE_ENUM_WORDS(enum charge_kind, charge_kind, CHARGE_MAX, "PostPaid", "PrePaid");
DEFINE_ENUM_WORDS(enum account_status, account_status, ACCOUNT_MAX, "ok", "expired", "arrears");
DEFINE_ENUM_WORDS(enum stop_method, stop_method, METHOD_MAX, "", "acpi", "agent", "agent,acpi");
DEFINE_ENUM_WORDS(enum timeout_action, timeout_action, ON_TIMEOUT_MAX, "", "fail", "force");
DEFINE_ENUM_WORDS(enum stopped_mode, stopped_mode, STOPPED_MODE_MAX, "", "KeepCharging",
                  "StopCharging");
DEFINE_ENUM_WORDS(enum disk_source, disk_source, DISK_SOURCE_MAX, "block", "file", "other");

struct instance *instance_new(void)
{
    return calloc(1, sizeof(struct instance));
}

static void local_disk_clear(struct local_disk *d)
{
    free(d->target);
    free(d->serial);
    free(d->eui64);
    free(d->nguid);
    free(d->wwn);
}

void instance_free(struct instance *i)
{
    if (!i)
        return;
    for (size_t k = 0; k < i->n_locks; k++)
        free(i->locks[k]);
    for (size_t k = 0; k < i->n_local_disks; k++)
        local_disk_clear(&i->local_disks[k]);
    for (size_t k = 0; k < i->n_disks; k++) {
        free(i->disks[k].target);
        free(i->disks[k].source);
    }
    for (size_t k = 0; k < i->n_relatives; k++) {
        free(i->relatives[k].target);
        free(i->relatives[k].path);
        free(i->relatives[k].pool);
        free(i->relatives[k].volume);
    }
    free(i->relatives);
    free(i->pci_devices);
    free(i->locks);
    free(i->local_disks);
    free(i->disks);
    free(i->name);
    free(i->id);
    free(i->type);
    free(i->public_ip);
    free(i->metadata_error);
    free(i);
}

const char *instance_public_id(const struct instance *i)
{
    return is_set(i->id) ? i->id : i->name;
}

/* Room for one more element behind n, all zero. */
static void *grow(void *items, size_t n, size_t size)
{
    char *grown = reallocarray(items, n + 1, size);

    if (grown)
        memset(grown + n * size, 0, size);
    return grown;
}

int instance_add_lock(struct instance *i, const char *reason)
{
    char **locks;

    if (instance_is_locked_for(i, reason))
        return 0;
    locks = grow(i->locks, i->n_locks, sizeof(*locks));
    if (!locks)
        return -ENOMEM;
    i->locks = locks;
    if (text_replace(&locks[i->n_locks], reason) < 0)
        return -ENOMEM;
    i->n_locks++;
    return 0;
}

int instance_add_disk(struct instance *i, const char *target, const char *source,
                      enum disk_source kind)
{
    struct disk *disks = grow(i->disks, i->n_disks, sizeof(*disks));
    struct disk *disk;

    if (!disks)
        return -ENOMEM;
    i->disks = disks;
    disk = &disks[i->n_disks++];
    disk->kind = kind;
    if (text_replace(&disk->target, target) < 0 || text_replace(&disk->source, source) < 0)
        return -ENOMEM;
    return 0;
}

static bool has_relative(const struct instance *i, const struct disk_relative *wanted)
{
    for (size_t k = 0; k < i->n_relatives; k++) {
        const struct disk_relative *d = &i->relatives[k];

        if (text_equal(d->target, wanted->target) && text_equal(d->path, wanted->path) &&
            text_equal(d->pool, wanted->pool) && text_equal(d->volume, wanted->volume))
            return true;
    }
    return false;
}

int instance_add_relative(struct instance *i, const char *target, const char *path,
                          const char *pool, const char *volume)
{
    const struct disk_relative wanted = {(char *)target, (char *)path, (char *)pool,
                                         (char *)volume};
    struct disk_relative *relatives, *added;

    if (has_relative(i, &wanted))
        return 0;
    relatives = grow(i->relatives, i->n_relatives, sizeof(*relatives));
    if (!relatives)
        return -ENOMEM;
    i->relatives = relatives;
    added = &relatives[i->n_relatives++];
    return text_replace(&added->target, target) < 0 || text_replace(&added->path, path) < 0 ||
                   text_replace(&added->pool, pool) < 0 || text_replace(&added->volume, volume) < 0
               ? -ENOMEM
               : 0;
}

int instance_add_pci_device(struct instance *i, const char *address)
{
    struct pci_device *devices;

    for (size_t k = 0; k < i->n_pci_devices; k++)
        if (text_equal(i->pci_devices[k].address, address))
            return 0;
    devices = grow(i->pci_devices, i->n_pci_devices, sizeof(*devices));
    if (!devices)
        return -ENOMEM;
    i->pci_devices = devices;
    snprintf(devices[i->n_pci_devices++].address, PCI_ADDRESS_SIZE, "%s", address);
    return 0;
}

struct local_disk *instance_add_local_disk(struct instance *i)
{
    struct local_disk *disks = grow(i->local_disks, i->n_local_disks, sizeof(*disks));

    if (!disks)
        return NULL;
    i->local_disks = disks;
    return &disks[i->n_local_disks++];
}

bool instance_is_locked_for(const struct instance *i, const char *reason)
{
    for (size_t k = 0; k < i->n_locks; k++)
        if (text_equal(i->locks[k], reason))
            return true;
    return false;
}

bool instance_is_of_family(const struct instance *i, const char *const *families, size_t n_families)
{
    for (size_t k = 0; i->type && k < n_families; k++) {
        size_t length = strlen(families[k]);

        if (strncmp(i->type, families[k], length) == 0 &&
            (i->type[length] == '.' || i->type[length] == '\0'))
            return true;
    }
    return false;
}

static int copy_lists(struct instance *to, const struct instance *from)
{
    for (size_t k = 0; k < from->n_locks; k++)
        if (instance_add_lock(to, from->locks[k]) < 0)
            return -ENOMEM;
    for (size_t k = 0; k < from->n_disks; k++) {
        const struct disk *d = &from->disks[k];

        if (instance_add_disk(to, d->target, d->source, d->kind) < 0)
            return -ENOMEM;
    }
    for (size_t k = 0; k < from->n_relatives; k++) {
        const struct disk_relative *d = &from->relatives[k];

        if (instance_add_relative(to, d->target, d->path, d->pool, d->volume) < 0)
            return -ENOMEM;
    }
    for (size_t k = 0; k < from->n_pci_devices; k++)
        if (instance_add_pci_device(to, from->pci_devices[k].address) < 0)
            return -ENOMEM;
    for (size_t k = 0; k < from->n_local_disks; k++) {
        const struct local_disk *d = &from->local_disks[k];
        struct local_disk *copy = instance_add_local_disk(to);

        if (!copy || text_replace(&copy->target, d->target) < 0 ||
            text_replace(&copy->serial, d->serial) < 0 ||
            text_replace(&copy->eui64, d->eui64) < 0 || text_replace(&copy->nguid, d->nguid) < 0 ||
            text_replace(&copy->wwn, d->wwn) < 0)
            return -ENOMEM;
    }
    return 0;
}

struct instance *instance_copy(const struct instance *i)
{
    _cleanup_(instance_free) struct instance *copy = instance_new();

    if (!copy)
        return NULL;
    uuid_copy(copy->uuid, i->uuid);
    copy->network = i->network;
    copy->charge = i->charge;
    copy->account = i->account;
    copy->spot = i->spot;
    copy->economical = i->economical;
    copy->has_passthrough_nvme = i->has_passthrough_nvme;
    copy->stop = i->stop;
    copy->vcpus = i->vcpus;
    copy->memory_kib = i->memory_kib;
    if (text_replace(&copy->name, i->name) < 0 || text_replace(&copy->id, i->id) < 0 ||
        text_replace(&copy->type, i->type) < 0 ||
        text_replace(&copy->public_ip, i->public_ip) < 0 ||
        text_replace(&copy->metadata_error, i->metadata_error) < 0 || copy_lists(copy, i) < 0)
        return NULL;
    return take(copy);
}
