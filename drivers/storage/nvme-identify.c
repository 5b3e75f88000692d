/* nvme-identify.c - who a namespace is, and who else is there
 *
 * Theory of operation. An admin command goes to a controller and names a namespace by number; the
 * kernel does not check that it is the descriptor's. So the number is asked for on the descriptor
 * itself (NVME_IOCTL_ID) each time, and what Identify says of it is compared with what was said
 * before. Numbers in device names are the kernel's and mean nothing here.
 *
 * The neighbours are the other namespaces of the subsystem. The controller lists all that are
 * allocated if it can manage namespaces; otherwise those that it sees itself, which is all of them
 * if it is the only controller.
 */
#include "nvme.h"

#include <ctype.h>
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Fixed-width text, blank-padded. */
static void set_text(struct storage_identity *i, enum identity_key key, const char *text, size_t n)
{
    while (n > 0 && (isspace((unsigned char)text[n - 1]) || !text[n - 1]))
        n--;
    identity_set(i, key, "%.*s", (int)n, text);
}

/* All zeros: it has none. */
static void set_bytes(struct storage_identity *i, enum identity_key key, const uint8_t *bytes,
                      size_t n)
{
    char text[2 * 16 + 1];
    bool any = false;

    for (size_t k = 0; k < n; k++) {
        snprintf(text + 2 * k, 3, "%02x", bytes[k]);
        any = any || bytes[k];
    }
    if (any)
        identity_set(i, key, "%s", text);
}

/* The descriptors say more than Identify Namespace has room for (the UUID); a controller may have
 * none. */
static void set_descriptors(struct storage_identity *i, const uint8_t *list)
{
    for (size_t at = 0; at + 4 <= NVME_IDENTIFY_DATA_SIZE && list[at + 1] != 0;) {
        uint8_t type = list[at], length = list[at + 1];
        const uint8_t *id = list + at + 4;

        at += 4u + length;
        if (at > NVME_IDENTIFY_DATA_SIZE)
            return;
        if (type == NVME_NIDT_EUI64 && length == NVME_NIDT_EUI64_LEN)
            set_bytes(i, IDENTITY_EUI64, id, length);
        if (type == NVME_NIDT_NGUID && length == NVME_NIDT_NGUID_LEN)
            set_bytes(i, IDENTITY_NGUID, id, length);
        if (type == NVME_NIDT_UUID && length == NVME_NIDT_UUID_LEN)
            set_bytes(i, IDENTITY_UUID, id, length);
    }
}

static const struct nvme_lbaf *layout_of(const struct nvme_id_ns *ns, unsigned *ret_index)
{
    *ret_index = (ns->flbas & NVME_NS_FLBAS_LOWER_MASK) |
                 (unsigned)(ns->flbas & NVME_NS_FLBAS_HIGHER_MASK) >> 1;
    return &ns->lbaf[*ret_index];
}

static int check_size(const struct nvme_device *n, const struct storage_identity *i,
                      struct error **err)
{
    unsigned index;
    const struct nvme_lbaf *layout = layout_of(&n->ns, &index);
    uint64_t size = le64toh(n->ns.nsze) << (layout->ds & 63);
    char text[32];

    snprintf(text, sizeof(text), "%" PRIu64, size);
    if (!text_equal(text, i->value[IDENTITY_SIZE]))
        return error_set(err, ERROR_IO, "the kernel says that %s has %s bytes, the controller %s",
                         n->block.base.path, i->value[IDENTITY_SIZE], text);
    return 0;
}

int nvme_identify_device(struct storage_device *d, struct storage_identity *ret, struct error **err)
{
    struct nvme_device *n = nvme_of(d);
    uint8_t descriptors[NVME_IDENTIFY_DATA_SIZE] = {0};
    struct storage_identity i;
    uint32_t nsid;
    int r = block_identify(d, &i, err);

    if (r < 0)
        return r;
    r = n->block.seam->nvme_nsid(nvme_fd(n), &nsid);
    if (r < 0)
        return error_set_errno(err, ERROR_IO, r, "asking for the namespace id of %s", d->path);
    n->nsid = nsid;
    r = nvme_identify_raw(n, NVME_IDENTIFY_CNS_CTRL, 0, &n->controller, err);
    if (r >= 0)
        r = nvme_identify_raw(n, NVME_IDENTIFY_CNS_NS, nsid, &n->ns, err);
    if (r >= 0)
        r = check_size(n, &i, err);
    if (r < 0)
        return r;
    if (nvme_identify_raw(n, NVME_IDENTIFY_CNS_NS_DESC_LIST, nsid, descriptors, NULL) < 0)
        memset(descriptors, 0, sizeof(descriptors));
    set_text(&i, IDENTITY_SERIAL, n->controller.sn, sizeof(n->controller.sn));
    set_text(&i, IDENTITY_MODEL, n->controller.mn, sizeof(n->controller.mn));
    set_text(&i, IDENTITY_FIRMWARE, n->controller.fr, sizeof(n->controller.fr));
    identity_set(&i, IDENTITY_NSID, "%u", nsid);
    set_bytes(&i, IDENTITY_EUI64, n->ns.eui64, sizeof(n->ns.eui64));
    set_bytes(&i, IDENTITY_NGUID, n->ns.nguid, sizeof(n->ns.nguid));
    set_descriptors(&i, descriptors);
    *ret = i;
    return 0;
}

int nvme_facts(struct storage_device *d, struct storage_facts *ret, struct error **err)
{
    struct nvme_device *n = nvme_of(d);
    unsigned index;
    const struct nvme_lbaf *layout = layout_of(&n->ns, &index);
    const uint8_t *oui = n->controller.ieee;
    struct storage_facts f = {.block_size = d->block_size,
                              .identify_controller = &n->controller,
                              .identify_namespace = &n->ns};

    /* The controller has no name of its maker, only numbers that registries keep. */
    snprintf(f.maker, sizeof(f.maker), "PCI vendor 0x%04x, IEEE OUI %02x-%02x-%02x",
             le16toh(n->controller.vid), oui[2], oui[1], oui[0]);
    snprintf(f.media, sizeof(f.media), "NVMe namespace");
    snprintf(f.layout, sizeof(f.layout), "LBA format %u: %u bytes of data, %u of metadata", index,
             1u << (layout->ds & 31), le16toh(layout->ms));
    *ret = f;
    return 0;
}

/* --- Neighbours ------------------------------------------------------------------------------ */

static int add_namespaces(struct nvme_device *n, struct storage_neighbours *ret, struct error **err)
{
    bool manages = le16toh(n->controller.oacs) & NVME_CTRL_OACS_NS_MGMT;
    struct nvme_ns_list list = {0};
    int r = nvme_identify_raw(
        n, manages ? NVME_IDENTIFY_CNS_ALLOCATED_NS_LIST : NVME_IDENTIFY_CNS_NS_ACTIVE_LIST, 0,
        &list, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < NVME_ID_NS_LIST_MAX && list.ns[i]; i++)
        if (le32toh(list.ns[i]) != n->nsid && ret->n < STORAGE_NEIGHBOURS_MAX)
            ret->nsids[ret->n++] = le32toh(list.ns[i]);
    if (list.ns[NVME_ID_NS_LIST_MAX - 1])
        snprintf(ret->unknown, sizeof(ret->unknown),
                 "the subsystem has more namespaces than fit in a list");
    else if (!manages && n->controller.cmic & NVME_CTRL_CMIC_MULTI_CTRL)
        snprintf(ret->unknown, sizeof(ret->unknown),
                 "the subsystem may have namespaces that only its other controllers show");
    return 0;
}

/* Is a controller with this number of the same subsystem one of this host's NVMe controllers? */
static bool is_of_this_host(const struct nvme_device *n, unsigned number)
{
    char folder[PATH_MAX], nqn[NVME_NQN_LENGTH + 1], own[NVME_NQN_LENGTH + 1];
    struct dirent *e;
    bool found = false;
    DIR *d;

    snprintf(own, sizeof(own), "%.*s", NVME_NQN_LENGTH, n->controller.subnqn);
    snprintf(folder, sizeof(folder), "%s/class/nvme", n->block.seam->sys);
    d = opendir(folder);
    while (d && !found && (e = readdir(d))) {
        char entry[PATH_MAX + 256], text[16];

        if (e->d_name[0] == '.')
            continue;
        snprintf(entry, sizeof(entry), "%s/%s", folder, e->d_name);
        sysfs_text(entry, "subsysnqn", nqn, sizeof(nqn));
        sysfs_text(entry, "cntlid", text, sizeof(text));
        found = text_equal(nqn, own) && is_set(text) && strtoul(text, NULL, 10) == number;
    }
    if (d)
        closedir(d);
    return found;
}

/* A shared namespace may be attached to a controller that a guest or another host has. */
static void look_for_foreigners(struct nvme_device *n, struct storage_neighbours *ret)
{
    struct nvme_ctrl_list list = {0};

    if (!(n->ns.nmic & NVME_NS_NMIC_SHARED) || !(n->controller.cmic & NVME_CTRL_CMIC_MULTI_CTRL))
        return;
    if (nvme_identify_raw(n, NVME_IDENTIFY_CNS_NS_CTRL_LIST, n->nsid, &list, NULL) < 0) {
        snprintf(ret->foreign_controller, sizeof(ret->foreign_controller),
                 "the namespace is shared, and the controller does not say with whom");
        return;
    }
    for (size_t i = 0; i < le16toh(list.num) && i < NVME_ID_CTRL_LIST_MAX; i++) {
        unsigned number = le16toh(list.identifier[i]);

        if (is_of_this_host(n, number))
            continue;
        snprintf(ret->foreign_controller, sizeof(ret->foreign_controller),
                 "the namespace is attached to controller %u too, which is not this host's",
                 number);
        return;
    }
}

int nvme_neighbours(struct storage_device *d, struct storage_neighbours *ret, struct error **err)
{
    struct nvme_device *n = nvme_of(d);
    int r;

    *ret = (struct storage_neighbours){0};
    snprintf(ret->subsystem, sizeof(ret->subsystem), "%.*s", NVME_NQN_LENGTH, n->controller.subnqn);
    r = add_namespaces(n, ret, err);
    if (r >= 0)
        look_for_foreigners(n, ret);
    return r;
}
