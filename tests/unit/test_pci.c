/* test_pci.c - addresses of PCI devices, out of libvirt's XML and the kernel's paths */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "stopd/pci.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void assert_reads(const char *domain, const char *bus, const char *slot,
                         const char *function, const char *expected)
{
    char address[PCI_ADDRESS_SIZE] = "";
    int r = pci_address_read(domain, bus, slot, function, address);

    assert_int_equal(r, expected ? 0 : -EINVAL);
    if (expected) {
        assert_string_equal(address, expected);
        assert_true(pci_address_is_valid(address));
    }
}

static void what_libvirt_writes_is_read(void **state)
{
    assert_reads("0x0000", "0x01", "0x00", "0x0", "0000:01:00.0");
    assert_reads("0", "193", "0x1f", "7", "0000:c1:1f.7");
    assert_reads(NULL, "0x3b", NULL, NULL, "0000:3b:00.0");
    assert_reads("0x10000", "0x01", "0x00", "0x0", "10000:01:00.0"); /* behind a VMD */
    assert_reads("0xffffffff", "0xff", "0x1f", "0x7", "ffffffff:ff:1f.7");
}

static void what_makes_no_address_is_none(void **state)
{
    assert_reads(NULL, NULL, NULL, NULL, NULL);
    assert_reads("0", "0x100", "0", "0", NULL);
    assert_reads("0", "0", "0x20", "0", NULL);
    assert_reads("0", "0", "0", "8", NULL);
    assert_reads("0", "0", "", "0", NULL);
    assert_reads("0", "-1", "0", "0", NULL);
    assert_reads("0", " 1", "0", "0", NULL);
    assert_reads("0", "1 ", "0", "0", NULL);
    assert_reads("0x100000000", "0", "0", "0", NULL);
    assert_false(pci_address_is_valid(""));
    assert_false(pci_address_is_valid("0000:01:00"));
    assert_false(pci_address_is_valid("0000:01:00.0/"));
    assert_false(pci_address_is_valid("0:1:0.0"));
}

static void assert_path(const char *path, const char *expected)
{
    struct pci_addresses l = {0};
    char text[200] = "";

    assert_int_equal(pci_addresses_add_path(&l, path), 0);
    for (size_t i = 0; i < l.n; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "",
                 l.items[i]);
    assert_string_equal(text, expected);
}

/* Bridges cannot be passed through; what stands at the end of a chain of them can. */
static void of_a_path_the_devices_count_and_not_the_bridges(void **state)
{
    assert_path("/sys/devices/pci0000:00/0000:00:04.0/nvme/nvme0/nvme0n1", "0000:00:04.0");
    assert_path("/sys/devices/pci0000:80/0000:80:01.0/0000:81:00.0/0000:82:00.0/nvme/nvme0",
                "0000:82:00.0");
    assert_path("/sys/devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda",
                "0000:00:1f.2");
    assert_path("/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda", "0000:00:04.0");
    assert_path("/sys/devices/pci0000:00/0000:00:04.0", "0000:00:04.0");
    assert_path("/sys/devices/virtual/block/loop0", "");
    assert_path("/sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1", "");
}

static void behind_a_vmd_both_count(void **state)
{
    assert_path("/sys/devices/pci0000:80/0000:80:05.5/pci10000:00/10000:00:02.0/10000:01:00.0/"
                "nvme/nvme0/nvme0n1",
                "0000:80:05.5 10000:01:00.0");
}

static void each_is_there_once_and_too_many_are_an_error(void **state)
{
    struct pci_addresses l = {0};
    char address[PCI_ADDRESS_SIZE];

    for (unsigned i = 0; i < 2 * PCI_ADDRESSES_MAX; i++) {
        snprintf(address, sizeof(address), "0000:%02x:00.0", i % PCI_ADDRESSES_MAX);
        assert_int_equal(pci_addresses_add(&l, address), 0);
    }
    assert_int_equal(l.n, PCI_ADDRESSES_MAX);
    assert_int_equal(pci_addresses_add(&l, "0001:00:00.0"), -E2BIG);
    assert_true(pci_addresses_have(&l, "0000:0f:00.0"));
    assert_false(pci_addresses_have(&l, "0001:00:00.0"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_libvirt_writes_is_read),
        cmocka_unit_test(what_makes_no_address_is_none),
        cmocka_unit_test(of_a_path_the_devices_count_and_not_the_bridges),
        cmocka_unit_test(behind_a_vmd_both_count),
        cmocka_unit_test(each_is_there_once_and_too_many_are_an_error),
    };

    return cmocka_run_group_tests_name("PCI addresses", tests, NULL, NULL);
}
