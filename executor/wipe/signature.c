/* signature.c - what libblkid recognizes on a device: file systems, partition tables, RAID and LVM
 * members */
#include <blkid.h>
#include <errno.h>
#include <stdio.h>

#include "wipe/verify.h"

static void probe_cleanup(blkid_probe *p)
{
    blkid_free_probe(*p);
}

static const char *value(blkid_probe p, const char *name)
{
    const char *data = NULL;

    return blkid_probe_lookup_value(p, name, &data, NULL) == 0 ? data : NULL;
}

int verify_signature(const struct storage_device *d, char *found, size_t size, struct error **err)
{
    _cleanup_(probe) blkid_probe p = NULL;
    const char *what;
    int r;

    *found = '\0';
    if (d->look_fd < 0)
        return 0;
    p = blkid_new_probe();
    if (!p)
        return error_no_memory(err);
    if (blkid_probe_set_device(p, d->look_fd, 0, (blkid_loff_t)d->size) < 0 ||
        blkid_probe_enable_superblocks(p, 1) < 0 ||
        blkid_probe_set_superblocks_flags(p, BLKID_SUBLKS_TYPE) < 0 ||
        blkid_probe_enable_partitions(p, 1) < 0)
        return error_set(err, ERROR_IO, "libblkid does not take %s", d->path);
    r = blkid_do_safeprobe(p);
    if (r == -1)
        return error_set(err, ERROR_IO, "libblkid cannot read %s", d->path);
    if (r == 1)
        return 0;
    what = value(p, "TYPE");
    if (!what)
        what = value(p, "PTTYPE");
    snprintf(found, size, "%s", r == -2 ? "more than one kind" : what ? what : "some kind");
    return 0;
}
