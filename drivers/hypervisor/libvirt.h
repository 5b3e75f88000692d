/* libvirt.h - domains behind a libvirt URI, as a hypervisor */
#ifndef STOPD_HYPERVISOR_LIBVIRT_H
#define STOPD_HYPERVISOR_LIBVIRT_H

#include "stopd/hypervisor.h"

/* Starts libvirt's event loop where it does not run yet; opens nothing. Any number of these may be
 * in one process. most_calls: how many may be out at once, abandoned ones included; each takes a
 * connection of its own, and one more than that is refused as unknown. */
int hypervisor_libvirt_new(const char *uri, unsigned most_calls, struct hypervisor **ret,
                           struct error **err);

#endif
