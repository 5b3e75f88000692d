/* test_domain_xml_saved.c - the definition that a saved image has: its disks count as well */
#include "domain-xml-kit.h"

#define PCI                                                                        \
    "<hostdev type='pci'><source><address domain='0x0000' bus='0x3b' slot='0x00' " \
    "function='0x0'/></source></hostdev>"

static void its_disks_are_added_and_nothing_else(void **state)
{
    _cleanup_(freep) char *defined =
        domain("<ecs:instance " XMLNS " id='i-1' type='ecs.i1.xlarge'/>",
               "<disk type='block'><source dev='/dev/a'/><target dev='vda'/></disk>");
    _cleanup_(freep) char *saved =
        domain("<ecs:instance " XMLNS " id='i-2' type='ecs.g6.large'><ecs:lock reason='security'/>"
               "</ecs:instance>",
               "<disk type='block'><source dev='/dev/a'/><target dev='vda'/></disk>"
               "<disk type='block'><source dev='/dev/b'/><backingStore type='file'>"
               "<source file='/base'/></backingStore><target dev='vdb'/></disk>" PCI);
    _cleanup_(instance_free) struct instance *i = read_both(NULL, defined, NULL);
    struct error *err = NULL;

    assert_int_equal(domain_xml_add_disks(saved, i, &err), 0);
    assert_int_equal(i->n_disks, 2);
    assert_string_equal(i->disks[1].source, "/dev/b");
    assert_int_equal(i->n_relatives, 1);
    assert_int_equal(i->n_pci_devices, 1);
    assert_null(i->metadata_error);
    assert_string_equal(i->id, "i-1");
    assert_string_equal(i->type, "ecs.i1.xlarge");
    assert_int_equal(i->n_locks, 0);
}

static void what_is_no_definition_adds_nothing(void **state)
{
    static const char *const texts[] = {"", "<domain>", "<pool/>",
                                        "<domain><name>x</name></domain>"};
    _cleanup_(instance_free) struct instance *i =
        with_devices("<disk type='block'><source dev='/dev/a'/><target dev='vda'/></disk>");

    for (size_t k = 0; k < ELEMENTSOF(texts); k++) {
        struct error *err = NULL;

        assert_true(domain_xml_add_disks(texts[k], i, &err) < 0);
        error_free(err);
        assert_int_equal(i->n_disks, 1);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_disks_are_added_and_nothing_else),
        cmocka_unit_test(what_is_no_definition_adds_nothing),
    };

    return cmocka_run_group_tests_name("domain XML: saved images", tests, NULL, NULL);
}
