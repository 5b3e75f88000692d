/* domain-metadata.h - what the files that read a domain's definition share */
#ifndef STOPD_DOMAIN_METADATA_H
#define STOPD_DOMAIN_METADATA_H

#include "stopd/instance.h"

#include <libxml/tree.h>

#define METADATA_NAMESPACE "urn:stopd:instance:1"

/* Reads the instance element out of a <metadata>, or finds none. What cannot be understood is told
 * in instance->metadata_error, the first thing only. Returns 0 or -ENOMEM. */
int metadata_read(const xmlNode *metadata, struct instance *instance);

/* Sets instance->metadata_error unless there is one. Returns 0 or -ENOMEM. */
int metadata_refuse(struct instance *instance, const char *format, ...) _printf_(2, 3);

/* Makes `live` the union of itself and the inactive definition of the same domain. Returns 0 or
 * -ENOMEM. */
int instance_merge(struct instance *live, const struct instance *inactive);
/* The same of disks and passed-through devices alone. */
int instance_merge_disks(struct instance *live, const struct instance *inactive);

bool xml_is_element(const xmlNode *node,
                    const char *name); /* of no namespace, as all of libvirt's own */
const xmlNode *xml_child(const xmlNode *node, const char *name);
/* The value of an attribute of no namespace, the caller's; NULL: there is none, or no memory. */
char *xml_attribute(const xmlNode *node, const char *name);

#endif
