/* libvirt-volume.c - which path on this host a storage pool's volume is
 *
 * Theory of operation. libvirt knows a volume's path while its pool is active and has been read. A
 * domain may be defined on one whose pool is not, or on a volume that is not there yet; most pools
 * are folders of some kind, whose volumes lie in them under their names, so that the path can be
 * told all the same. Pools of a network have no paths on this host. Of the others nothing is
 * guessed.
 */
#include "drivers/hypervisor/domain-xml.h"
#include "drivers/hypervisor/libvirt-driver.h"
#include "drivers/hypervisor/libvirt-errors.h"

#include <errno.h>
#include <stdio.h>
#include <libvirt/virterror.h>

static void pool_free(virStoragePoolPtr pool)
{
    if (pool)
        virStoragePoolFree(pool);
}
DEFINE_CLEANUP(virStoragePoolPtr, pool_free);

static void volume_free(virStorageVolPtr volume)
{
    if (volume)
        virStorageVolFree(volume);
}
DEFINE_CLEANUP(virStorageVolPtr, volume_free);

/* By the pool's definition alone. */
static int path_in_pool(virStoragePoolPtr pool, const char *volume, char **ret, struct error **err)
{
    static const char *const folders[] = {"dir", "fs", "netfs", "logical", "disk", "zfs"};
    static const char *const networks[] = {"rbd", "gluster", "sheepdog", "iscsi-direct"};
    _cleanup_(freep) char *xml = virStoragePoolGetXMLDesc(pool, 0);
    _cleanup_(freep) char *type = NULL;
    _cleanup_(freep) char *folder = NULL;

    if (!xml)
        return libvirt_error(err, "read the pool %s", virStoragePoolGetName(pool));
    if (pool_xml_read(xml, &type, &folder, err) < 0)
        return error_context(err, "the pool %s", virStoragePoolGetName(pool));
    if (text_index(networks, ELEMENTSOF(networks), type) >= 0)
        return 0;
    if (text_index(folders, ELEMENTSOF(folders), type) < 0 || !is_set(folder))
        return error_set(err, ERROR_UNKNOWN, "the pool %s has to be active for that",
                         virStoragePoolGetName(pool));
    if (asprintf(ret, "%s/%s", folder, volume) < 0) {
        *ret = NULL;
        return error_no_memory(err);
    }
    return 0;
}

int libvirt_find_volume(struct hypervisor *h, const char *pool_name, const char *volume_name,
                        char **ret, struct error **err)
{
    _cleanup_(lease_end) struct connection *c = NULL;
    _cleanup_(pool_free) virStoragePoolPtr pool = NULL;
    _cleanup_(volume_free) virStorageVolPtr volume = NULL;
    _cleanup_(freep) char *path = NULL;
    int r = lease_begin(libvirt_of(h), &c, err);

    if (r < 0)
        return r;
    pool = virStoragePoolLookupByName(c->conn, pool_name);
    if (!pool)
        return libvirt_error(err, "look for the pool %s", pool_name);
    volume = virStorageVolLookupByName(pool, volume_name);
    if (volume)
        path = virStorageVolGetPath(volume);
    if (!volume && (libvirt_failed_with(VIR_ERR_NO_STORAGE_VOL) ||
                    libvirt_failed_with(VIR_ERR_OPERATION_INVALID)))
        r = path_in_pool(pool, volume_name, &path, err);
    else if (!path)
        r = libvirt_error(err, "look for the volume %s of the pool %s", volume_name, pool_name);
    if (r < 0)
        return r;
    *ret = path && path[0] == '/' ? take(path) : NULL;
    return 0;
}
