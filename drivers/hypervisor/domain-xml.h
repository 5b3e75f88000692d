/* domain-xml.h - from a domain's XML to the instance: what it is, what its disks are, what its
 * metadata says */
#ifndef STOPD_DOMAIN_XML_H
#define STOPD_DOMAIN_XML_H

#include "stopd/hypervisor.h"

/* Reads a domain's definitions: the live one (NULL for a domain that is off) and the one of its
 * next start (NULL where there is none). At least one is given. Where both are, the instance is
 * their union, see domain-merge.c; *ret_lifecycle is the live one's. Metadata that cannot be
 * understood is no error here but the instance's metadata_error. Returns 0; or ERROR_UNKNOWN for
 * text that is no domain's definition, or ERROR_NO_MEMORY, and nothing is touched. */
int domain_xml_read(const char *live, const char *inactive, struct instance **ret,
                    struct lifecycle *ret_lifecycle, struct error **err);

/* Adds the disks and the passed-through devices of one more definition of the same domain, such as
 * a saved image has; nothing else of it. Errors as above. */
int domain_xml_add_disks(const char *text, struct instance *to, struct error **err);

/* A storage pool's type and its folder; NULL where the definition has none. Errors as above. */
int pool_xml_read(const char *text, char **type, char **folder, struct error **err);

/* Whether an instance element, as virDomainGetMetadata() gives it (of no namespace any more), has
 * an operation lock for security. */
int instance_xml_is_locked(const char *element, bool *ret, struct error **err);

#endif
