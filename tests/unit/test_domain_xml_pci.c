/* test_domain_xml_pci.c - the PCI devices that a domain passes through, in every element that can
 */
#include "domain-xml-kit.h"

#define ADDRESS "<address domain='0x0000' bus='0x3b' slot='0x00' function='0x0'/>"
#define HOSTDEV(address)                                                   \
    "<hostdev mode='subsystem' type='pci' managed='yes'><source>" address  \
    "</source><address type='pci' domain='0x0000' bus='0x00' slot='0x05' " \
    "function='0x0'/></hostdev>"

static void assert_devices(const struct instance *i, size_t n, const char *first)
{
    assert_int_equal(i->n_pci_devices, n);
    if (n > 0)
        assert_string_equal(i->pci_devices[0].address, first);
}

static void in_every_element_that_can(void **state)
{
    static const char *const xml[] = {
        HOSTDEV(ADDRESS),
        "<disk type='nvme' device='disk'><source type='pci' managed='yes' namespace='1'>" ADDRESS
        "</source><target dev='vda'/></disk>",
        "<interface type='hostdev'><source><address type='pci' domain='0x0000' bus='0x3b' "
        "slot='0x00' function='0x0'/></source></interface>",
        "<disk type='file'><source file='/x'/><backingStore type='nvme'><source type='pci' "
        "namespace='1'>" ADDRESS "</source></backingStore><target dev='vda'/></disk>",
    };

    for (size_t k = 0; k < ELEMENTSOF(xml); k++) {
        _cleanup_(instance_free) struct instance *i = with_devices(xml[k]);

        assert_devices(i, 1, "0000:3b:00.0");
    }
}

static void what_is_of_no_pci_device_is_none(void **state)
{
    static const char *const xml[] = {
        "<hostdev mode='subsystem' type='usb'><source><address bus='1' device='2'/></source>"
        "</hostdev>",
        "<hostdev mode='subsystem' type='mdev'><source><address uuid='" UUID "'/></source>"
        "</hostdev>",
        "<interface type='hostdev'><source><address type='usb' bus='1' device='4'/></source>"
        "</interface>",
        "<interface type='hostdev'><source><vendor id='0x1234'/><product id='0xbeef'/></source>"
        "</interface>",
        "<interface type='bridge'><source bridge='br0'/><address type='pci' domain='0x0000' "
        "bus='0x3b' slot='0x00' function='0x0'/></interface>",
        "<disk type='block'><source dev='/dev/nvme0n1'/><target dev='vda'/>"
        "<address type='pci' domain='0x0000' bus='0x3b' slot='0x00' function='0x0'/></disk>",
    };

    for (size_t k = 0; k < ELEMENTSOF(xml); k++) {
        _cleanup_(instance_free) struct instance *i = with_devices(xml[k]);

        assert_devices(i, 0, NULL);
    }
}

/* Which one it is then cannot be told, and that is kept. */
static void an_address_that_cannot_be_read_is_there(void **state)
{
    static const char *const xml[] = {
        "<hostdev type='pci'/>",
        "<disk type='nvme'><target dev='vda'/></disk>",
        HOSTDEV(""),
        HOSTDEV("<address domain='0x0000' bus='0x3b' slot='0x40' function='0x0'/>"),
        HOSTDEV("<address domain='0x0000' bus='?' slot='0x00' function='0x0'/>"),
    };

    for (size_t k = 0; k < ELEMENTSOF(xml); k++) {
        _cleanup_(instance_free) struct instance *i = with_devices(xml[k]);

        assert_devices(i, 1, "");
    }
}

static void of_both_definitions_and_in_a_copy(void **state)
{
    _cleanup_(freep) char *live = domain("", HOSTDEV(ADDRESS));
    _cleanup_(freep) char *inactive =
        domain("", HOSTDEV(ADDRESS)
                       HOSTDEV("<address domain='0x0001' bus='0x02' slot='0x03' function='0x4'/>"));
    _cleanup_(instance_free) struct instance *i = read_both(live, inactive, NULL);
    _cleanup_(instance_free) struct instance *copy = instance_copy(i);

    assert_devices(i, 2, "0000:3b:00.0");
    assert_devices(copy, 2, "0000:3b:00.0");
    assert_string_equal(copy->pci_devices[1].address, "0001:02:03.4");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_every_element_that_can),
        cmocka_unit_test(what_is_of_no_pci_device_is_none),
        cmocka_unit_test(an_address_that_cannot_be_read_is_there),
        cmocka_unit_test(of_both_definitions_and_in_a_copy),
    };

    return cmocka_run_group_tests_name("domain XML: PCI devices", tests, NULL, NULL);
}
