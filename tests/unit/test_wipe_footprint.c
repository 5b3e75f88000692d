/* test_wipe_footprint.c - which nodes lead to a device: its namespace, paths, partitions */
#include "guard-kit.h"

static enum node_role role_of(const struct fixture *f, const char *name)
{
    const struct node *n = footprint_find_name(&f->scene.footprint, name);

    if (!n)
        fail_msg("no %s in the footprint", name);
    return n->role;
}

static void a_namespace_and_all_that_leads_to_it(void **state)
{
    struct fixture *f = *state;

    plant_nvme(f);
    take_footprint(f);
    assert_int_equal(role_of(f, "nvme0n1"), NODE_SELF);
    assert_int_equal(role_of(f, "nvme0n1p1"), NODE_PARTITION);
    assert_int_equal(role_of(f, "nvme0"), NODE_CONTROLLER);
    assert_int_equal(role_of(f, "ng0n1"), NODE_CONTROLLER);
    assert_int_equal(f->scene.footprint.n, 4);
    assert_non_null(footprint_find(&f->scene.footprint, false, makedev(240, 0)));
    assert_null(footprint_find(&f->scene.footprint, true, makedev(240, 0)));
}

/* Without multipath the same namespace is there once for each controller. */
static void a_namespace_under_another_name(void **state)
{
    struct fixture *f = *state;
    struct scratch *s = f->scratch;

    plant_nvme(f);
    plant_block(s, "devices/pci/nvme1/nvme1n1", "259:4");
    plant(s, "sys/devices/pci/nvme1/nvme1n1/nsid", "1\n");
    plant(s, "sys/devices/pci/nvme1/dev", "240:1\n");
    plant(s, "sys/devices/pci/nvme1/subsysnqn", "nqn.one\n");
    plant_link(s, "sys/devices/pci/nvme1/nvme1n1/device", "sys/devices/pci/nvme1");
    plant_link(s, "sys/class/nvme/nvme1", "sys/devices/pci/nvme1");
    /* Another namespace, and another subsystem, are neither. */
    plant_block(s, "devices/pci/nvme1/nvme1n2", "259:5");
    plant(s, "sys/devices/pci/nvme1/nvme1n2/nsid", "2\n");
    plant_link(s, "sys/devices/pci/nvme1/nvme1n2/device", "sys/devices/pci/nvme1");
    plant_block(s, "devices/pci/nvme2/nvme2n1", "259:6");
    plant(s, "sys/devices/pci/nvme2/nvme2n1/nsid", "1\n");
    plant(s, "sys/devices/pci/nvme2/dev", "240:2\n");
    plant(s, "sys/devices/pci/nvme2/subsysnqn", "nqn.two\n");
    plant_link(s, "sys/devices/pci/nvme2/nvme2n1/device", "sys/devices/pci/nvme2");
    plant_link(s, "sys/class/nvme/nvme2", "sys/devices/pci/nvme2");
    take_footprint(f);
    assert_int_equal(role_of(f, "nvme1n1"), NODE_ALIAS);
    assert_int_equal(role_of(f, "nvme1"), NODE_CONTROLLER);
    assert_null(footprint_find_name(&f->scene.footprint, "nvme1n2"));
    assert_null(footprint_find_name(&f->scene.footprint, "nvme2n1"));
    assert_null(footprint_find_name(&f->scene.footprint, "nvme2"));
}

static void a_namespace_of_several_paths(void **state)
{
    struct fixture *f = *state;
    struct scratch *s = f->scratch;

    plant_block(s, "devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1", "259:0");
    plant(s, "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1/nsid", "1\n");
    plant(s, "sys/devices/virtual/nvme-subsystem/nvme-subsys0/subsysnqn", "nqn.one\n");
    plant_link(s, "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1/device",
               "sys/devices/virtual/nvme-subsystem/nvme-subsys0");
    for (unsigned i = 0; i < 2; i++) {
        char name[128], target[128];

        snprintf(name, sizeof(name), "sys/devices/pci/nvme%u/dev", i);
        plant(s, name, "240:%u\n", i);
        snprintf(name, sizeof(name), "sys/devices/pci/nvme%u/subsysnqn", i);
        plant(s, name, "nqn.one\n");
        snprintf(name, sizeof(name), "sys/class/nvme/nvme%u", i);
        snprintf(target, sizeof(target), "sys/devices/pci/nvme%u", i);
        plant_link(s, name, target);
    }
    take_footprint(f);
    assert_int_equal(role_of(f, "nvme0"), NODE_CONTROLLER);
    assert_int_equal(role_of(f, "nvme1"), NODE_CONTROLLER);
    assert_int_equal(f->scene.footprint.n, 3);
}

static void an_unknown_namespace_is_a_doubt(void **state)
{
    struct fixture *f = *state;
    struct footprint footprint;

    plant_block(f->scratch, "devices/pci/nvme0/nvme0n1", "259:0");
    assert_true(footprint_take_block(makedev(259, 0), f->sys, &footprint, NULL) < 0);
}

static void a_partition_its_disk_and_its_siblings(void **state)
{
    struct fixture *f = *state;
    struct scratch *s = f->scratch;

    plant_block(s, "devices/scsi/sda", "8:0");
    plant_block(s, "devices/scsi/sda/sda1", "259:0");
    plant_block(s, "devices/scsi/sda/sda2", "8:2");
    plant(s, "sys/devices/scsi/sda/sda1/partition", "1\n");
    plant(s, "sys/devices/scsi/sda/sda2/partition", "2\n");
    plant(s, "sys/devices/scsi/sda/device/scsi_generic/sg0/dev", "21:0\n");
    plant(s, "sys/devices/scsi/sda/device/bsg/0:0:0:0/dev", "250:0\n");
    take_footprint(f);
    assert_int_equal(role_of(f, "sda1"), NODE_SELF);
    assert_int_equal(role_of(f, "sda"), NODE_WHOLE);
    assert_int_equal(role_of(f, "sda2"), NODE_SIBLING);
    assert_int_equal(role_of(f, "sg0"), NODE_CONTROLLER);
    assert_int_equal(role_of(f, "0:0:0:0"), NODE_CONTROLLER);
}

#define GUARD_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        GUARD_TEST(a_namespace_and_all_that_leads_to_it),
        GUARD_TEST(a_namespace_under_another_name),
        GUARD_TEST(a_namespace_of_several_paths),
        GUARD_TEST(an_unknown_namespace_is_a_doubt),
        GUARD_TEST(a_partition_its_disk_and_its_siblings),
    };

    return cmocka_run_group_tests_name("footprints", tests, NULL, NULL);
}
