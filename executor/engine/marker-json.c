/* marker-json.c - a marker as a value: where its disk is, and how it is written down */
#include "engine/markers.h"

#include "base/json.h"
#include "engine/disk-sysfs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#define MARKER_VERSION 1

void marker_clear(struct marker *m)
{
    free(m->instance_id);
    free(m->target);
    free(m->device);
    json_object_put(m->identity);
    *m = (struct marker){0};
}

/* --- Where it is ----------------------------------------------------------------------------- */

static bool is_of_this_boot(const struct marker *m)
{
    char now[UUID_TEXT_SIZE];

    return disk_boot_id(now) == 0 && text_equal(now, m->boot_id);
}

int marker_find(const struct marker *m, struct disk_node *ret)
{
    return disk_node_find(m->device, m->kind, m->identity, is_of_this_boot(m), ret);
}

static int set_number(json_object *identity, const char *key, dev_t number)
{
    char text[32];

    snprintf(text, sizeof(text), "%u:%u", major(number), minor(number));
    return json_add_string(identity, key, text);
}

static int set_sequence(json_object *identity, dev_t number)
{
    struct sysfs_device d;
    char sequence[32] = "";

    if (sysfs_find_device(number, &d) == 0)
        sysfs_attribute(d.disk, "diskseq", sequence, sizeof(sequence));
    return *sequence ? json_add_string(identity, "sequence", sequence) : 0;
}

/* Numbers of another boot would be another disk's now. */
static void forget_numbers(json_object *identity, enum disk_source kind)
{
    json_object_object_del(identity, "devno");
    json_object_object_del(identity, "sequence");
    if (kind == DISK_FILE)
        json_object_object_del(identity, "device");
}

int marker_locate(struct marker *m)
{
    struct disk_node node;
    int r = marker_find(m, &node);

    if (!is_of_this_boot(m))
        forget_numbers(m->identity, m->kind);
    m->controllers = (struct pci_addresses){0};
    if (disk_boot_id(m->boot_id) < 0)
        m->boot_id[0] = '\0';
    if (r < 0)
        return 0;
    if (node.kind == DISK_FILE)
        return set_number(m->identity, "device", node.self.device);
    /* What cannot be told forbids the clear itself. */
    (void)disk_node_controllers(&node, &m->controllers);
    r = set_number(m->identity, "devno", node.number);
    return r < 0 ? r : set_sequence(m->identity, node.number);
}

/* --- As JSON --------------------------------------------------------------------------------- */

static int add_controllers(json_object *o, const struct marker *m)
{
    json_object *array = json_object_new_array();

    if (json_add(o, "controllers", array) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < m->controllers.n; i++)
        if (json_append(array, json_object_new_string(m->controllers.items[i])) < 0)
            return -ENOMEM;
    return 0;
}

json_object *marker_to_json(const struct marker *m)
{
    _cleanup_(json) json_object *o = json_object_new_object();
    json_object *identity = NULL;
    char domain[UUID_TEXT_SIZE];

    uuid_unparse_lower(m->domain, domain);
    if (!o || json_object_deep_copy(m->identity, &identity, NULL) < 0 ||
        json_add(o, "identity", identity) < 0 ||
        json_add_number(o, "version", MARKER_VERSION) < 0 ||
        json_add_string(o, "requestId", m->request_id) < 0 ||
        json_add_string(o, "instanceId", m->instance_id) < 0 ||
        json_add_string(o, "domain", domain) < 0 || json_add_string(o, "target", m->target) < 0 ||
        json_add_string(o, "device", m->device) < 0 ||
        json_add_string(o, "kind", disk_source_to_string(m->kind)) < 0 ||
        json_add_string(o, "bootId", m->boot_id) < 0 || add_controllers(o, m) < 0)
        return NULL;
    return take(o);
}

static int read_controllers(json_object *o, struct marker *m)
{
    json_object *array;

    if (json_get_array(o, "controllers", &array) < 0)
        return -EINVAL;
    for (size_t i = 0; i < json_object_array_length(array); i++) {
        json_object *item = json_object_array_get_idx(array, i);

        if (!json_object_is_type(item, json_type_string) ||
            json_object_get_string_len(item) >= PCI_ADDRESS_SIZE ||
            pci_addresses_add(&m->controllers, json_object_get_string(item)) < 0)
            return -EINVAL;
    }
    return 0;
}

static int read_copy(json_object *o, const char *key, char **ret)
{
    const char *text = NULL;

    if (json_get_string(o, key, &text) < 0 || !text)
        return -EINVAL;
    return text_replace(ret, text);
}

static int read_id(json_object *o, const char *key, char ret[static UUID_TEXT_SIZE])
{
    const char *text = NULL;

    if (json_get_string(o, key, &text) < 0 || !text || strlen(text) >= UUID_TEXT_SIZE)
        return -EINVAL;
    strcpy(ret, text);
    return 0;
}

static int read_marker(json_object *o, struct marker *m)
{
    const char *domain = NULL, *kind = NULL;
    json_object *identity = NULL;
    uint64_t version = 0;
    int r;

    if (json_get_number(o, "version", &version) < 0 || version != MARKER_VERSION ||
        json_get_string(o, "domain", &domain) < 0 || !domain || uuid_parse(domain, m->domain) < 0 ||
        json_get_string(o, "kind", &kind) < 0 || disk_source_from_string(kind, &m->kind) < 0 ||
        json_get_object(o, "identity", &identity) < 0 || read_id(o, "requestId", m->request_id) ||
        read_id(o, "bootId", m->boot_id) || read_controllers(o, m))
        return -EINVAL;
    r = read_copy(o, "instanceId", &m->instance_id);
    if (r == 0)
        r = read_copy(o, "target", &m->target);
    if (r == 0)
        r = read_copy(o, "device", &m->device);
    if (r == 0)
        m->identity = json_object_get(identity);
    return r;
}

int marker_from_json(json_object *o, struct marker *ret)
{
    struct marker m = {0};
    int r = read_marker(o, &m);

    if (r < 0)
        marker_clear(&m);
    else
        *ret = m;
    return r;
}
