/* domain-sources.c - everything of this host that a domain's definition names
 *
 * Theory of operation. Not only <disk> names devices: its backing chain and its mirror do, a
 * passed-through PCI device may be the controller that a disk hangs on, and other elements have
 * sources too. So every <source> below <devices> counts, whatever it is of: a path is a path, and
 * one that has nothing to do with disks is compared with owed ones for nothing.
 *
 * A volume of a storage pool is named by the pool, and libvirt must not be asked from a hook: the
 * pool's folder is read from its definition. Where it has none that says, the volume may be any
 * disk.
 */
#include "hook/domain-sources.h"

#include <errno.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void document_free(xmlDoc *doc)
{
    xmlFreeDoc(doc);
}
DEFINE_CLEANUP(xmlDoc *, document_free);

void domain_sources_clear(struct domain_sources *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->items[i].target);
        free(s->items[i].path);
    }
    free(s->items);
    free(s->controllers);
    free(s->untold);
    *s = (struct domain_sources){0};
}

/* --- The tree -------------------------------------------------------------------------------- */

static bool is_element(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && !node->ns &&
           text_equal((const char *)node->name, name);
}

static const xmlNode *child(const xmlNode *node, const char *name)
{
    for (const xmlNode *c = node ? node->children : NULL; c; c = c->next)
        if (is_element(c, name))
            return c;
    return NULL;
}

static char *attribute(const xmlNode *node, const char *name)
{
    return node ? (char *)xmlGetNoNsProp(node, (const xmlChar *)name) : NULL;
}

/* The target of the disk that an element is of. */
static char *target_of(const xmlNode *node)
{
    for (; node && node->type == XML_ELEMENT_NODE; node = node->parent)
        if (is_element(node, "disk"))
            return attribute(child(node, "target"), "dev");
    return NULL;
}

/* --- Pools ----------------------------------------------------------------------------------- */

/* libvirt's files of the pools that are active, a transient one among them, and of those that are
 * defined. */
static const char *const pools[] = {"/run/libvirt/storage", "/etc/libvirt/storage"};

static xmlDoc *read_pool(const char *name)
{
    xmlDoc *doc = NULL;

    for (size_t i = 0; i < ELEMENTSOF(pools) && !doc && !strchr(name, '/'); i++) {
        char path[PATH_MAX];

        if (snprintf(path, sizeof(path), "%s/%s.xml", pools[i], name) < (int)sizeof(path))
            doc =
                xmlReadFile(path, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    }
    return doc;
}

/* 1; 0: it is nothing of this host; -ENOENT: it cannot be told. */
static int find_volume(const char *pool, const char *volume, char **ret)
{
    static const char *const folders[] = {"dir", "fs", "netfs", "logical", "disk", "zfs"};
    static const char *const networks[] = {"rbd", "gluster", "sheepdog", "iscsi-direct"};
    _cleanup_(document_free) xmlDoc *doc = read_pool(pool);
    const xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
    const xmlNode *node = root && is_element(root, "poolstate") ? child(root, "pool") : root;
    const xmlNode *path = child(child(node, "target"), "path");
    _cleanup_(freep) char *type = attribute(node, "type");
    _cleanup_(freep) char *folder = path ? (char *)xmlNodeGetContent(path) : NULL;

    if (text_index(networks, ELEMENTSOF(networks), type) >= 0)
        return 0;
    if (text_index(folders, ELEMENTSOF(folders), type) < 0 || !is_set(folder))
        return -ENOENT;
    if (asprintf(ret, "%s/%s", folder, volume) < 0) {
        *ret = NULL;
        return -ENOMEM;
    }
    return 1;
}

/* --- Sources --------------------------------------------------------------------------------- */

/* Takes path, which may be NULL. */
static int add_path(struct domain_sources *s, const xmlNode *source, char *path)
{
    struct domain_source *items;

    if (!path || path[0] != '/') {
        free(path);
        return 0;
    }
    items = reallocarray(s->items, s->n + 1, sizeof(*items));
    if (!items) {
        free(path);
        return -ENOMEM;
    }
    s->items = items;
    items[s->n++] = (struct domain_source){.target = target_of(source), .path = path};
    return 0;
}

/* What is first of this kind is told. */
_printf_(2, 3) static int set_untold(struct domain_sources *s, const char *format, ...)
{
    va_list ap;
    int n;

    if (s->untold)
        return 0;
    va_start(ap, format);
    n = vasprintf(&s->untold, format, ap);
    va_end(ap);
    if (n >= 0)
        return 0;
    s->untold = NULL;
    return -ENOMEM;
}

/* USB and SCSI addresses have no slot. */
static int add_controller(struct domain_sources *s, const xmlNode *address)
{
    _cleanup_(freep) char *domain = attribute(address, "domain");
    _cleanup_(freep) char *bus = attribute(address, "bus");
    _cleanup_(freep) char *slot = attribute(address, "slot");
    _cleanup_(freep) char *function = attribute(address, "function");
    char(*controllers)[PCI_ADDRESS_SIZE], read[PCI_ADDRESS_SIZE];

    if (!slot)
        return 0;
    if (pci_address_read(domain, bus, slot, function, read) < 0)
        return set_untold(s, "the passed-through PCI device in slot '%s'", slot);
    controllers = reallocarray(s->controllers, s->n_controllers + 1, sizeof(*controllers));
    if (!controllers)
        return -ENOMEM;
    s->controllers = controllers;
    memcpy(controllers[s->n_controllers++], read, sizeof(read));
    return 0;
}

static int add_volume(struct domain_sources *s, const xmlNode *source)
{
    _cleanup_(freep) char *pool = attribute(source, "pool");
    _cleanup_(freep) char *volume = attribute(source, "volume");
    char *path = NULL;
    int r = pool && volume ? find_volume(pool, volume, &path) : 0;

    if (r > 0)
        return add_path(s, source, path);
    return r == -ENOENT ? set_untold(s, "volume %s of pool %s", volume, pool) : r;
}

static int add_source(struct domain_sources *s, const xmlNode *source)
{
    static const char *const paths[] = {"dev", "file", "path"};
    int r = add_volume(s, source);

    for (size_t i = 0; i < ELEMENTSOF(paths) && r == 0; i++)
        r = add_path(s, source, attribute(source, paths[i]));
    return r < 0 ? r : add_controller(s, child(source, "address"));
}

/* libxml2 bounds how deep a document may be. */
static int add_all(struct domain_sources *s, const xmlNode *node)
{
    int r = 0;

    for (const xmlNode *c = node ? node->children : NULL; c && r == 0; c = c->next) {
        if (c->type != XML_ELEMENT_NODE)
            continue;
        if (is_element(c, "source"))
            r = add_source(s, c);
        if (r == 0)
            r = add_all(s, c);
    }
    return r;
}

int domain_sources_read(const char *xml, size_t n, struct domain_sources *ret, struct error **err)
{
    _cleanup_(document_free) xmlDoc *doc = NULL;
    _cleanup_(domain_sources) struct domain_sources s = {0};
    const xmlNode *root;

    if (n <= INT_MAX)
        doc = xmlReadMemory(xml, (int)n, "domain.xml", NULL,
                            XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    root = doc ? xmlDocGetRootElement(doc) : NULL;
    if (!root || !is_element(root, "domain") || doc->intSubset || doc->extSubset)
        return error_set(err, ERROR_IO, "the definition of the domain cannot be read");
    if (add_all(&s, child(root, "devices")) < 0)
        return error_no_memory(err);
    *ret = s;
    s = (struct domain_sources){0};
    return 0;
}
