/* pci.h - addresses of this host's PCI devices, as the kernel writes them ("0000:01:00.0")
 *
 * What is passed through to a guest goes by them, and takes along every disk that hangs on it. */
#ifndef STOPD_PCI_H
#define STOPD_PCI_H

#include "stopd/base.h"

#define PCI_ADDRESS_SIZE 20 /* a domain has four digits, or more (behind a VMD) */
#define PCI_ADDRESSES_MAX 64

/* Each once. */
struct pci_addresses {
    char items[PCI_ADDRESSES_MAX][PCI_ADDRESS_SIZE];
    size_t n;
};
bool pci_addresses_have(const struct pci_addresses *l, const char *address);
int pci_addresses_add(struct pci_addresses *l, const char *address); /* 0 or -E2BIG */
/* Those in a path of sysfs with all links resolved that can be passed through. 0 or -E2BIG. */
int pci_addresses_add_path(struct pci_addresses *l, const char *path);

/* As the kernel writes it? */
bool pci_address_is_valid(const char *address);
/* The attributes of libvirt's <address>, decimal, octal or hexadecimal; one that is absent (NULL)
 * is 0, but not all of them. 0 or -EINVAL. */
int pci_address_read(const char *domain, const char *bus, const char *slot, const char *function,
                     char ret[static PCI_ADDRESS_SIZE]);

#endif
