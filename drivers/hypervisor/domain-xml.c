/* domain-xml.c - from a domain's XML to the instance: what it is and what its disks are
 *
 * Theory of operation. A pure function from text to a value. The text is libvirt's, but a tenant's
 * tooling may have written parts of it, so the parser is held short: no network, no entities
 * replaced, no DTD loaded, libxml2's bounds on depth and size kept; and a document with a DTD at
 * all, which libvirt never writes, is refused as a whole.
 *
 * libvirt's own elements are in no namespace, and one of the same name in another is not taken for
 * them. The metadata is read in domain-metadata.c, two definitions are united in domain-merge.c.
 *
 * Passed-through NVMe. has_passthrough_nvme is set for every <disk type='nvme'>, and for *every*
 * <hostdev type='pci'>: the XML gives an address and not a class, and the host's PCI tree may by
 * now say something else. So a domain with a passed-through GPU counts as well. That errs to the
 * safe side: the flag matters only for instances whose local disks are cleared, which are then
 * refused. The addresses themselves are kept, of network cards as well: what hangs on them is that
 * domain's too, and nobody else's to clear.
 */
#include "drivers/hypervisor/domain-xml.h"

#include "drivers/hypervisor/domain-metadata.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <libxml/parser.h>
#include <libxml/xmlerror.h>

static void document_free(xmlDoc *doc)
{
    xmlFreeDoc(doc);
}
DEFINE_CLEANUP(xmlDoc *, document_free);

static void parser_free(xmlParserCtxt *parser)
{
    xmlFreeParserCtxt(parser);
}
DEFINE_CLEANUP(xmlParserCtxt *, parser_free);

static void initialize_parser(void)
{
    xmlInitParser();
}

bool xml_is_element(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && !node->ns &&
           text_equal((const char *)node->name, name);
}

const xmlNode *xml_child(const xmlNode *node, const char *name)
{
    for (const xmlNode *c = node ? node->children : NULL; c; c = c->next)
        if (xml_is_element(c, name))
            return c;
    return NULL;
}

char *xml_attribute(const xmlNode *node, const char *name)
{
    return node ? (char *)xmlGetNoNsProp(node, (const xmlChar *)name) : NULL;
}

static char *child_text(const xmlNode *node, const char *name)
{
    const xmlNode *child = xml_child(node, name);

    return child ? (char *)xmlNodeGetContent(child) : NULL;
}

/* The factor from a libvirt unit to bytes; 0 for one that is not known. Without a unit libvirt
 * means KiB. */
static uint64_t unit_factor(const char *unit)
{
    static const struct {
        const char *name;
        uint64_t factor;
    } units[] = {
        {"b", 1},
        {"bytes", 1},
        {"KB", 1000},
        {"k", 1024},
        {"KiB", 1024},
        {"MB", 1000ULL * 1000},
        {"M", 1024ULL * 1024},
        {"MiB", 1024ULL * 1024},
        {"GB", 1000ULL * 1000 * 1000},
        {"G", 1024ULL * 1024 * 1024},
        {"GiB", 1024ULL * 1024 * 1024},
        {"TB", 1000ULL * 1000ULL * 1000 * 1000},
        {"T", 1024ULL * 1024 * 1024 * 1024},
        {"TiB", 1024ULL * 1024 * 1024 * 1024},
    };

    for (size_t i = 0; i < ELEMENTSOF(units); i++)
        if (text_equal_case(units[i].name, unit ? unit : "KiB"))
            return units[i].factor;
    return 0;
}

static void read_memory(const xmlNode *domain, uint64_t *ret)
{
    _cleanup_(freep) char *unit = xml_attribute(xml_child(domain, "memory"), "unit");
    _cleanup_(freep) char *value = child_text(domain, "memory");
    uint64_t bytes;

    if (value && !__builtin_mul_overflow(strtoull(value, NULL, 10), unit_factor(unit), &bytes))
        *ret = bytes / 1024;
}

/* <vcpu current='2'>4</vcpu>: those that run, where it says so. */
static void read_vcpus(const xmlNode *domain, unsigned *ret)
{
    _cleanup_(freep) char *current = xml_attribute(xml_child(domain, "vcpu"), "current");
    _cleanup_(freep) char *most = child_text(domain, "vcpu");
    const char *value = current ? current : most;
    unsigned long n = value ? strtoul(value, NULL, 10) : 0;

    *ret = n > UINT_MAX ? 0 : (unsigned)n;
}

/* An action that is not in our words ("rename-restart") is UNKNOWN; one that is left out is
 * libvirt's default. */
static enum lifecycle_action read_action(const xmlNode *domain, const char *name,
                                         enum lifecycle_action missing)
{
    _cleanup_(freep) char *value = child_text(domain, name);
    enum lifecycle_action action = LIFECYCLE_UNKNOWN;

    if (!xml_child(domain, name))
        return missing;
    if (value)
        (void)lifecycle_action_from_string(value, &action);
    return action;
}

static void read_lifecycle(const xmlNode *domain, struct lifecycle *ret)
{
    ret->on_poweroff = read_action(domain, "on_poweroff", LIFECYCLE_DESTROY);
    ret->on_reboot = read_action(domain, "on_reboot", LIFECYCLE_RESTART);
}

/* A <source>, or a <mirror>, which has its path in an attribute of its own as well. */
static int read_relative(const xmlNode *element, const char *target, const char *own,
                         struct instance *instance)
{
    static const char *const paths[] = {"dev", "file"};
    _cleanup_(freep) char *pool = xml_attribute(element, "pool");
    _cleanup_(freep) char *volume = xml_attribute(element, "volume");

    if (pool && volume && instance_add_relative(instance, target, NULL, pool, volume) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
        _cleanup_(freep) char *path = xml_attribute(element, paths[i]);

        if (is_set(path) && !text_equal(path, own) &&
            instance_add_relative(instance, target, path, NULL, NULL) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* The PCI device that a <source> names; an interface's may be of another kind, or name it by what
 * it is, as can be done with what hangs on USB. */
static int read_pci_source(const xmlNode *source, struct instance *instance)
{
    const xmlNode *address = source ? xml_child(source, "address") : NULL;
    _cleanup_(freep) char *type = xml_attribute(address, "type");
    _cleanup_(freep) char *domain = xml_attribute(address, "domain");
    _cleanup_(freep) char *bus = xml_attribute(address, "bus");
    _cleanup_(freep) char *slot = xml_attribute(address, "slot");
    _cleanup_(freep) char *function = xml_attribute(address, "function");
    char read[PCI_ADDRESS_SIZE];

    if ((type && !text_equal(type, "pci")) || (!address && source && xml_child(source, "vendor")))
        return 0;
    if (pci_address_read(domain, bus, slot, function, read) < 0)
        read[0] = '\0';
    return instance_add_pci_device(instance, read);
}

static bool has_type(const xmlNode *element, const char *type)
{
    _cleanup_(freep) char *value = xml_attribute(element, "type");

    return text_equal(value, type);
}

/* Everything below a disk that names something; libxml2 bounds how deep that can be. */
static int read_relatives(const xmlNode *element, const char *target, const char *own,
                          struct instance *instance)
{
    int r = 0;

    for (const xmlNode *c = element->children; c && r == 0; c = c->next) {
        if (xml_is_element(c, "source") || xml_is_element(c, "mirror"))
            r = read_relative(c, target, own, instance);
        if (r == 0 && xml_is_element(c, "source") && has_type(c, "pci")) {
            instance->has_passthrough_nvme = true;
            r = read_pci_source(c, instance);
        }
        if (r == 0 && c->type == XML_ELEMENT_NODE)
            r = read_relatives(c, target, own, instance);
    }
    return r;
}

static int read_disk(const xmlNode *element, struct instance *instance)
{
    _cleanup_(freep) char *type = xml_attribute(element, "type");
    _cleanup_(freep) char *target = xml_attribute(xml_child(element, "target"), "dev");
    _cleanup_(freep) char *source = NULL;
    enum disk_source kind = DISK_OTHER;

    if (text_equal(type, "block")) {
        kind = DISK_BLOCK;
        source = xml_attribute(xml_child(element, "source"), "dev");
    } else if (text_equal(type, "file")) {
        kind = DISK_FILE;
        source = xml_attribute(xml_child(element, "source"), "file");
    } else if (text_equal(type, "nvme")) {
        instance->has_passthrough_nvme = true;
    }
    if (instance_add_disk(instance, target, source, kind) < 0)
        return -ENOMEM;
    if (text_equal(type, "nvme") && read_pci_source(xml_child(element, "source"), instance) < 0)
        return -ENOMEM;
    return read_relatives(element, target, source, instance);
}

/* Beside disks. */
static bool is_pci_device(const xmlNode *element)
{
    return (xml_is_element(element, "hostdev") && has_type(element, "pci")) ||
           (xml_is_element(element, "interface") && has_type(element, "hostdev"));
}

static int read_devices(const xmlNode *devices, struct instance *instance)
{
    for (const xmlNode *c = devices ? devices->children : NULL; c; c = c->next) {
        if (xml_is_element(c, "disk") && read_disk(c, instance) < 0)
            return -ENOMEM;
        if (xml_is_element(c, "hostdev") && has_type(c, "pci"))
            instance->has_passthrough_nvme = true;
        if (is_pci_device(c) && read_pci_source(xml_child(c, "source"), instance) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int read_metadata(const xmlNode *domain, struct instance *instance)
{
    bool seen = false;

    for (const xmlNode *c = domain->children; c; c = c->next) {
        if (!xml_is_element(c, "metadata"))
            continue;
        if (seen)
            return metadata_refuse(instance, "there are two <metadata> elements");
        seen = true;
        if (metadata_read(c, instance) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int read_domain(const xmlNode *domain, struct instance **ret,
                       struct lifecycle *ret_lifecycle, struct error **err)
{
    _cleanup_(instance_free) struct instance *instance = instance_new();
    _cleanup_(freep) char *uuid = child_text(domain, "uuid");

    if (!instance)
        return error_no_memory(err);
    instance->name = child_text(domain, "name");
    if (!is_set(instance->name) || !uuid || uuid_parse(uuid, instance->uuid) < 0)
        return error_set(err, ERROR_UNKNOWN, "the domain's definition has no name or no UUID");
    read_memory(domain, &instance->memory_kib);
    read_vcpus(domain, &instance->vcpus);
    read_lifecycle(domain, ret_lifecycle);
    if (read_devices(xml_child(domain, "devices"), instance) < 0 ||
        read_metadata(domain, instance) < 0)
        return error_no_memory(err);
    *ret = take(instance);
    return 0;
}

/* The message of libxml2 without the newline that it ends in. */
static int malformed(const xmlError *e, const char *name, struct error **err)
{
    const char *message = e && e->message ? e->message : "it is malformed";

    if (e && e->code == XML_ERR_NO_MEMORY)
        return error_no_memory(err);
    return error_set(err, ERROR_UNKNOWN, "the %s's definition cannot be read: line %d: %.*s", name,
                     e ? e->line : 0, (int)strcspn(message, "\n"), message);
}

/* What stands between elements is indentation, and is nobody's; short texts need no memory of their
 * own in a tree that is only read. It is a quarter of the work. */
#define PARSE_OPTIONS                                                                 \
    (XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOBLANKS | \
     XML_PARSE_COMPACT)

/* The document, whose root has this name. */
static int parse(const char *text, const char *name, xmlDoc **ret, struct error **err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    _cleanup_(parser_free) xmlParserCtxt *parser = NULL;
    _cleanup_(document_free) xmlDoc *doc = NULL;
    size_t length = strlen(text);
    const xmlNode *root;

    pthread_once(&once, initialize_parser);
    if (length > INT_MAX)
        return error_set(err, ERROR_UNKNOWN, "the %s's definition is too long", name);
    parser = xmlNewParserCtxt();
    if (!parser)
        return error_no_memory(err);
    doc = xmlCtxtReadMemory(parser, text, (int)length, name, NULL, PARSE_OPTIONS);
    if (!doc)
        return malformed(xmlCtxtGetLastError(parser), name, err);
    root = xmlDocGetRootElement(doc);
    if (doc->intSubset || doc->extSubset || !root || !xml_is_element(root, name))
        return error_set(err, ERROR_UNKNOWN, "this is no %s's definition", name);
    *ret = take(doc);
    return 0;
}

static int read_text(const char *text, struct instance **ret, struct lifecycle *ret_lifecycle,
                     struct error **err)
{
    _cleanup_(document_free) xmlDoc *doc = NULL;
    int r = parse(text, "domain", &doc, err);

    return r < 0 ? r : read_domain(xmlDocGetRootElement(doc), ret, ret_lifecycle, err);
}

int instance_xml_is_locked(const char *element, bool *ret, struct error **err)
{
    _cleanup_(document_free) xmlDoc *doc = NULL;
    int r = parse(element, "instance", &doc, err);

    if (r < 0)
        return r;
    *ret = false;
    for (const xmlNode *n = xmlDocGetRootElement(doc)->children; n; n = n->next) {
        _cleanup_(freep) char *reason = NULL;

        if (!xml_is_element(n, "lock"))
            continue;
        reason = xml_attribute(n, "reason");
        *ret |= text_equal(reason, "security");
    }
    return 0;
}

int pool_xml_read(const char *text, char **type, char **folder, struct error **err)
{
    _cleanup_(document_free) xmlDoc *doc = NULL;
    const xmlNode *root;
    int r = parse(text, "pool", &doc, err);

    if (r < 0)
        return r;
    root = xmlDocGetRootElement(doc);
    *type = xml_attribute(root, "type");
    *folder = xml_child(root, "target") ? child_text(xml_child(root, "target"), "path") : NULL;
    return 0;
}

int domain_xml_add_disks(const char *text, struct instance *to, struct error **err)
{
    _cleanup_(instance_free) struct instance *other = NULL;
    struct lifecycle ignored;
    int r = read_text(text, &other, &ignored, err);

    if (r < 0)
        return r;
    return instance_merge_disks(to, other) < 0 ? error_no_memory(err) : 0;
}

int domain_xml_read(const char *live, const char *inactive, struct instance **ret,
                    struct lifecycle *ret_lifecycle, struct error **err)
{
    _cleanup_(instance_free) struct instance *first = NULL;
    _cleanup_(instance_free) struct instance *second = NULL;
    const char *definition = live ? live : inactive;
    struct lifecycle lifecycle, ignored;
    int r;

    if (!definition)
        return error_set(err, ERROR_UNKNOWN, "the domain has no definition");
    r = read_text(definition, &first, &lifecycle, err);
    if (r < 0)
        return r;
    if (live && inactive) {
        r = read_text(inactive, &second, &ignored, err);
        if (r < 0)
            return r;
        if (instance_merge(first, second) < 0)
            return error_no_memory(err);
    }
    *ret = take(first);
    *ret_lifecycle = lifecycle;
    return 0;
}
