/* pci.c - addresses of PCI devices: out of libvirt's XML, out of paths of sysfs, compared as text
 *
 * Theory of operation. A device's folder in sysfs lies in that of the bridge above it, so that a
 * disk's path is a chain of addresses. Bridges cannot be passed through to a guest, and have
 * nothing but the next address below them. A device that begins a PCI domain of its own (a VMD,
 * with disks behind it) has that domain's folder below it, and can be passed through with all its
 * disks.
 */
#include "stopd/pci.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

bool pci_addresses_have(const struct pci_addresses *l, const char *address)
{
    for (size_t i = 0; i < l->n; i++)
        if (text_equal(l->items[i], address))
            return true;
    return false;
}

int pci_addresses_add(struct pci_addresses *l, const char *address)
{
    if (pci_addresses_have(l, address))
        return 0;
    if (l->n == PCI_ADDRESSES_MAX)
        return -E2BIG;
    snprintf(l->items[l->n++], PCI_ADDRESS_SIZE, "%s", address);
    return 0;
}

static void format(unsigned domain, unsigned bus, unsigned slot, unsigned function,
                   char ret[static PCI_ADDRESS_SIZE])
{
    snprintf(ret, PCI_ADDRESS_SIZE, "%04x:%02x:%02x.%x", domain, bus & 0xff, slot & 0x1f,
             function & 7);
}

/* Is that all of what stands before the next slash? */
static bool read_component(const char *component, char ret[static PCI_ADDRESS_SIZE])
{
    unsigned domain, bus, slot, function;
    int used = 0;

    if (!isxdigit((unsigned char)*component) ||
        sscanf(component, "%8x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &used) < 4 ||
        (component[used] && component[used] != '/'))
        return false;
    format(domain, bus, slot, function, ret);
    return true;
}

bool pci_address_is_valid(const char *address)
{
    char written[PCI_ADDRESS_SIZE];

    return read_component(address, written) && text_equal(address, written);
}

int pci_addresses_add_path(struct pci_addresses *l, const char *path)
{
    char here[PCI_ADDRESS_SIZE], below[PCI_ADDRESS_SIZE];
    int r = 0;

    for (const char *c = strchr(path, '/'); c && r == 0; c = strchr(c + 1, '/')) {
        const char *next = strchr(c + 1, '/');

        if (read_component(c + 1, here) && !(next && read_component(next + 1, below)))
            r = pci_addresses_add(l, here);
    }
    return r;
}

static bool read_number(const char *text, unsigned long most, unsigned *ret)
{
    unsigned long value;
    char *end;

    *ret = 0;
    if (!text)
        return true;
    errno = 0;
    value = strtoul(text, &end, 0);
    if (errno || end == text || *end || !isdigit((unsigned char)*text) || value > most)
        return false;
    *ret = (unsigned)value;
    return true;
}

int pci_address_read(const char *domain, const char *bus, const char *slot, const char *function,
                     char ret[static PCI_ADDRESS_SIZE])
{
    unsigned d, b, s, f;

    if ((!domain && !bus && !slot && !function) || !read_number(domain, UINT_MAX, &d) ||
        !read_number(bus, 0xff, &b) || !read_number(slot, 0x1f, &s) ||
        !read_number(function, 7, &f))
        return -EINVAL;
    format(d, b, s, f, ret);
    return 0;
}
