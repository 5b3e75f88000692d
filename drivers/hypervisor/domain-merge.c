/* domain-merge.c - the live definition and the one of the next start, made one
 *
 * Theory of operation. A persistent domain that runs has two definitions, which drift apart: "virsh
 * define" changes the inactive one only, metadata can be set on either, disks attached to either.
 * What forbids or endangers counts from both: a lock in either refuses, an account that is not in
 * order in either does, a disk of either is one that the domain names. What describes the run that
 * is there now is the live one's. Where the two contradict each other about what the instance *is*,
 * its id, its type (and so whether its disks are cleared) or the identity of a local disk, nothing
 * is guessed: that is a metadata error.
 */
#include "drivers/hypervisor/domain-metadata.h"

#include <errno.h>

static bool has_metadata(const struct instance *i)
{
    return i->id || i->metadata_error;
}

/* Takes over what only metadata says; `to` has none of it. */
static int adopt_metadata(struct instance *to, const struct instance *from)
{
    to->network = from->network;
    to->charge = from->charge;
    to->account = from->account;
    to->spot = from->spot;
    to->economical = from->economical;
    to->stop = from->stop;
    return text_replace(&to->id, from->id) < 0 || text_replace(&to->type, from->type) < 0 ||
                   text_replace(&to->public_ip, from->public_ip) < 0
               ? -ENOMEM
               : 0;
}

static int merge_identity(struct instance *live, const struct instance *inactive)
{
    int r = 0;

    if (!text_equal(live->id, inactive->id))
        r = metadata_refuse(live, "the live definition has the id '%s', the inactive one '%s'",
                            live->id ? live->id : "", inactive->id ? inactive->id : "");
    if (r == 0 && !text_equal(live->type, inactive->type))
        r = metadata_refuse(live, "the live definition has the type '%s', the inactive one '%s'",
                            live->type ? live->type : "", inactive->type ? inactive->type : "");
    if (live->account == ACCOUNT_OK)
        live->account = inactive->account;
    /* With an error by now, but to be found by its id all the same. */
    if (r == 0 && !live->id)
        r = text_replace(&live->id, inactive->id);
    return r;
}

static int merge_local_disk(struct instance *live, const struct local_disk *disk)
{
    struct local_disk *added;

    for (size_t k = 0; k < live->n_local_disks; k++) {
        const struct local_disk *d = &live->local_disks[k];

        if (!text_equal(d->target, disk->target))
            continue;
        if (text_equal(d->serial, disk->serial) && text_equal(d->eui64, disk->eui64) &&
            text_equal(d->nguid, disk->nguid) && text_equal(d->wwn, disk->wwn))
            return 0;
        return metadata_refuse(
            live,
            "the live and the inactive definition differ about the identity of local disk '%s'",
            disk->target ? disk->target : "");
    }
    added = instance_add_local_disk(live);
    if (!added || text_replace(&added->target, disk->target) < 0 ||
        text_replace(&added->serial, disk->serial) < 0 ||
        text_replace(&added->eui64, disk->eui64) < 0 ||
        text_replace(&added->nguid, disk->nguid) < 0 || text_replace(&added->wwn, disk->wwn) < 0)
        return -ENOMEM;
    return 0;
}

static bool names_disk(const struct instance *i, const struct disk *disk)
{
    for (size_t k = 0; k < i->n_disks; k++)
        if (text_equal(i->disks[k].target, disk->target) &&
            text_equal(i->disks[k].source, disk->source) && i->disks[k].kind == disk->kind)
            return true;
    return false;
}

int instance_merge_disks(struct instance *live, const struct instance *inactive)
{
    for (size_t k = 0; k < inactive->n_disks; k++) {
        const struct disk *d = &inactive->disks[k];

        if (!names_disk(live, d) && instance_add_disk(live, d->target, d->source, d->kind) < 0)
            return -ENOMEM;
    }
    for (size_t k = 0; k < inactive->n_relatives; k++) {
        const struct disk_relative *d = &inactive->relatives[k];

        if (instance_add_relative(live, d->target, d->path, d->pool, d->volume) < 0)
            return -ENOMEM;
    }
    for (size_t k = 0; k < inactive->n_pci_devices; k++)
        if (instance_add_pci_device(live, inactive->pci_devices[k].address) < 0)
            return -ENOMEM;
    live->has_passthrough_nvme |= inactive->has_passthrough_nvme;
    return 0;
}

int instance_merge(struct instance *live, const struct instance *inactive)
{
    int r = 0;

    if (!has_metadata(live))
        r = adopt_metadata(live, inactive);
    else if (has_metadata(inactive))
        r = merge_identity(live, inactive);
    if (r == 0 && inactive->metadata_error)
        r = metadata_refuse(live, "in the inactive definition: %s", inactive->metadata_error);
    for (size_t k = 0; k < inactive->n_locks && r == 0; k++)
        r = instance_add_lock(live, inactive->locks[k]);
    for (size_t k = 0; k < inactive->n_local_disks && r == 0; k++)
        r = merge_local_disk(live, &inactive->local_disks[k]);
    return r < 0 ? r : instance_merge_disks(live, inactive);
}
