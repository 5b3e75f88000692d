/* domain-sources.h - everything of this host that a domain's definition names */
#ifndef STOPD_HOOK_DOMAIN_SOURCES_H
#define STOPD_HOOK_DOMAIN_SOURCES_H

#include "engine/disk-node.h"
#include "stopd/error.h"

struct domain_source {
    char *target; /* vdb; "" where it is no disk's */
    char *path;
};

struct domain_sources {
    struct domain_source *items;
    size_t n;
    char (*controllers)[PCI_ADDRESS_SIZE]; /* PCI devices that are passed through */
    size_t n_controllers;
    char *untold; /* something that may be any disk of this host, in words; or NULL */
};
void domain_sources_clear(struct domain_sources *s);
static inline void domain_sources_cleanup(struct domain_sources *s)
{
    domain_sources_clear(s);
}

/* Out of the XML as libvirt gives it to its hooks. */
int domain_sources_read(const char *xml, size_t n, struct domain_sources *ret, struct error **err);

#endif
