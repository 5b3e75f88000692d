/* disk-controllers.h - the PCI devices that a disk hangs on: passed through to a guest, they take
 * the disk along */
#ifndef STOPD_ENGINE_DISK_CONTROLLERS_H
#define STOPD_ENGINE_DISK_CONTROLLERS_H

#include "stopd/pci.h"

#include <sys/types.h>

/* Of the block device with this number, and of all that it stands on, added to *ret. sys: "/sys".
 * 0, or a negative errno: -E2BIG where there are more than can be told. */
int disk_controllers(const char *sys, dev_t number, struct pci_addresses *ret);

#endif
