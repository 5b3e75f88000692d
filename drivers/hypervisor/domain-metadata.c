/* domain-metadata.c - the element of urn:stopd:instance:1: what the control plane says about a
 * domain
 *
 * Theory of operation. The element decides about locks, arrears and which disks are cleared, so it
 * is read as a contract, not as a hint. What is not understood is never passed over: a misspelt
 * attribute might have been a lock. An unknown attribute or element, a wrong value, text where none
 * may be, a second instance element, an element of ours outside of it, another version of the
 * namespace: each makes a sentence in metadata_error, with which every stop of the instance is
 * refused until somebody mends it. Only foreign namespaces are other programs' business and left
 * alone.
 *
 * Reading goes on past the first mistake: the id, by which the instance is found and the mistake
 * reported, and the locks are wanted all the same.
 */
#include "drivers/hypervisor/domain-metadata.h"

#include "drivers/hypervisor/domain-values.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define METADATA_NAMESPACE_FAMILY "urn:stopd:instance:"

int metadata_refuse(struct instance *instance, const char *format, ...)
{
    va_list ap;
    int n;

    if (instance->metadata_error)
        return 0;
    va_start(ap, format);
    n = vasprintf(&instance->metadata_error, format, ap);
    va_end(ap);
    if (n >= 0)
        return 0;
    instance->metadata_error = NULL;
    return -ENOMEM;
}

struct attribute {
    const char *name;
    size_t offset;
    value_setter set;
};

static const struct attribute instance_attributes[] = {
    {"id", offsetof(struct instance, id), value_set_word},
    {"type", offsetof(struct instance, type), value_set_word},
    {"network", offsetof(struct instance, network), value_set_network},
    {"charge", offsetof(struct instance, charge), value_set_charge},
    {"spot", offsetof(struct instance, spot), value_set_bool},
    {"status", offsetof(struct instance, account), value_set_account},
    {"economical", offsetof(struct instance, economical), value_set_tristate},
    {"public-ip", offsetof(struct instance, public_ip), value_set_address},
};

struct lock {
    char *reason;
};
static const struct attribute lock_attributes[] = {
    {"reason", offsetof(struct lock, reason), value_set_word},
};

static const struct attribute local_disk_attributes[] = {
    {"target", offsetof(struct local_disk, target), value_set_word},
    {"serial", offsetof(struct local_disk, serial), value_set_text},
    {"eui64", offsetof(struct local_disk, eui64), value_set_eui64},
    {"nguid", offsetof(struct local_disk, nguid), value_set_nguid},
    {"wwn", offsetof(struct local_disk, wwn), value_set_word},
};

static const struct attribute stop_attributes[] = {
    {"grace", offsetof(struct stop_policy, grace), value_set_grace},
    {"method", offsetof(struct stop_policy, method), value_set_method},
    {"on-timeout", offsetof(struct stop_policy, on_timeout), value_set_timeout_action},
    {"priority", offsetof(struct stop_policy, priority), value_set_priority},
};

static bool is_ours(const xmlNs *ns)
{
    return ns && text_equal((const char *)ns->href, METADATA_NAMESPACE);
}

static const char *name_of(const xmlNode *node)
{
    return (const char *)node->name;
}

static int set_attribute(const xmlNode *element, const xmlAttr *xml, const struct attribute *known,
                         void *object, struct instance *instance)
{
    _cleanup_(freep) char *value = (char *)xmlNodeListGetString(element->doc, xml->children, 1);
    int r;

    if (!value && xml->children)
        return -ENOMEM;
    r = known->set((char *)object + known->offset, value ? value : "");
    if (r != -EINVAL)
        return r;
    if (value && strlen(value) <= VALUE_MAX)
        return metadata_refuse(instance, "<%s %s=\"%s\"> is not a valid value", name_of(element),
                               known->name, value);
    return metadata_refuse(instance, "<%s %s> has no valid value", name_of(element), known->name);
}

static int read_attributes(const xmlNode *element, const struct attribute *known, size_t n_known,
                           void *object, struct instance *instance)
{
    for (const xmlAttr *a = element->properties; a; a = a->next) {
        const struct attribute *found = NULL;
        int r;

        if (a->ns && !is_ours(a->ns))
            continue;
        for (size_t i = 0; i < n_known && !a->ns; i++)
            if (text_equal(known[i].name, (const char *)a->name))
                found = &known[i];
        if (found)
            r = set_attribute(element, a, found, object, instance);
        else
            r = metadata_refuse(instance, "<%s> has an unknown attribute '%s'", name_of(element),
                                (const char *)a->name);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Is this child of an element of ours somebody else's: a comment, blanks, an element of a foreign
 * namespace? */
static bool is_foreign(const xmlNode *child)
{
    switch (child->type) {
    case XML_COMMENT_NODE:
    case XML_PI_NODE:
        return true;
    case XML_TEXT_NODE:
        return xmlIsBlankNode(child);
    case XML_ELEMENT_NODE:
        return child->ns && !is_ours(child->ns);
    default:
        return false;
    }
}

/* Looks through what is somebody else's for what is ours and may not be there, as a <lock> beside
 * the instance or an <instance> within a foreign element, and for versions of the namespace that
 * are not known here. */
static int refuse_strays(const xmlNode *node, struct instance *instance)
{
    const char *ns = node->type == XML_ELEMENT_NODE && node->ns ? (const char *)node->ns->href : "";
    int r = 0;

    if (node->type != XML_ELEMENT_NODE)
        return 0;
    if (text_equal(ns, METADATA_NAMESPACE))
        r = metadata_refuse(instance, "<%s> stands where it may not", name_of(node));
    else if (strncmp(ns, METADATA_NAMESPACE_FAMILY, strlen(METADATA_NAMESPACE_FAMILY)) == 0)
        r = metadata_refuse(instance, "<%s> is of a version of %s that is not known here",
                            name_of(node), METADATA_NAMESPACE);
    for (const xmlNode *c = node->children; c && r == 0; c = c->next)
        r = refuse_strays(c, instance);
    return r;
}

static int refuse_children(const xmlNode *element, struct instance *instance)
{
    int r = 0;

    for (const xmlNode *c = element->children; c && r == 0; c = c->next)
        r = is_foreign(c)
                ? refuse_strays(c, instance)
                : metadata_refuse(instance, "<%s> may not have anything in it", name_of(element));
    return r;
}

static int read_lock(const xmlNode *element, struct instance *instance)
{
    struct lock lock = {0};
    _cleanup_(freep) char *reason = NULL;
    int r = read_attributes(element, lock_attributes, ELEMENTSOF(lock_attributes), &lock, instance);

    reason = lock.reason;
    if (r < 0)
        return r;
    if (!reason)
        return metadata_refuse(instance, "<lock> has no reason");
    return instance_add_lock(instance, reason);
}

static int read_local_disk(const xmlNode *element, struct instance *instance)
{
    struct local_disk *disk = instance_add_local_disk(instance);
    int r;

    if (!disk)
        return -ENOMEM;
    r = read_attributes(element, local_disk_attributes, ELEMENTSOF(local_disk_attributes), disk,
                        instance);
    if (r < 0)
        return r;
    if (!disk->target)
        return metadata_refuse(instance, "<local-disk> has no target");
    for (const struct local_disk *d = instance->local_disks; d < disk; d++)
        if (text_equal(d->target, disk->target))
            return metadata_refuse(instance, "local disk '%s' is named twice", disk->target);
    return 0;
}

static int read_child(const xmlNode *child, struct instance *instance, bool *has_stop)
{
    int r = 0;

    if (is_foreign(child))
        return refuse_strays(child, instance);
    if (child->type != XML_ELEMENT_NODE)
        return metadata_refuse(instance, "<instance> may not have text in it");
    if (!child->ns)
        return metadata_refuse(instance, "<%s> in <instance> is not in the namespace %s",
                               name_of(child), METADATA_NAMESPACE);
    if (text_equal(name_of(child), "lock"))
        r = read_lock(child, instance);
    else if (text_equal(name_of(child), "local-disk"))
        r = read_local_disk(child, instance);
    else if (text_equal(name_of(child), "stop") && !*has_stop)
        r = read_attributes(child, stop_attributes, ELEMENTSOF(stop_attributes), &instance->stop,
                            instance);
    else if (text_equal(name_of(child), "stop"))
        return metadata_refuse(instance, "there are two <stop> elements");
    else
        return metadata_refuse(instance, "<instance> has an unknown element <%s>", name_of(child));
    *has_stop |= text_equal(name_of(child), "stop");
    return r < 0 ? r : refuse_children(child, instance);
}

static int read_instance(const xmlNode *element, struct instance *instance)
{
    bool has_stop = false;
    int r = read_attributes(element, instance_attributes, ELEMENTSOF(instance_attributes), instance,
                            instance);

    for (const xmlNode *c = element->children; c && r == 0; c = c->next)
        r = read_child(c, instance, &has_stop);
    if (r == 0 && !instance->id)
        r = metadata_refuse(instance, "<instance> has no id");
    return r;
}

int metadata_read(const xmlNode *metadata, struct instance *instance)
{
    const xmlNode *found = NULL;
    int r = 0;

    for (const xmlNode *c = metadata->children; c && r == 0; c = c->next) {
        if (c->type != XML_ELEMENT_NODE || !is_ours(c->ns) || !text_equal(name_of(c), "instance")) {
            r = refuse_strays(c, instance);
            continue;
        }
        if (found)
            r = metadata_refuse(instance, "there are two <instance> elements");
        else
            r = read_instance(c, instance);
        found = c;
    }
    return r;
}
