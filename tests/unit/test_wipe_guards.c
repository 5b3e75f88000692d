/* test_wipe_guards.c - the guards over a /proc and a /sys of the test's own */
#include "guard-kit.h"

#include "wipe/guard-mounts.h"
#include "wipe/text.h"

/* --- Mounts and swap ------------------------------------------------------------------------- */

static void lines_of_mountinfo(void **state)
{
    struct mount m;
    char plain[] =
        "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n";
    char escaped[] = "36 35 259:1 / /srv/my\\040disk rw shared:1 master:2 - ext4 "
                     "/dev/disk/by-label/a\\040b rw\n";
    char bare[] = "36 35 0:5 / /dev rw - devtmpfs udev rw\n";
    char sourceless[] = "36 35 0:5 / /x rw -\n", torn[] = "36 35 0:5 /";

    assert_true(mountinfo_parse(plain, &m));
    assert_int_equal(m.device, makedev(98, 0));
    assert_string_equal(m.point, "/mnt2");
    assert_string_equal(m.source, "/dev/root");
    assert_true(mountinfo_parse(escaped, &m));
    assert_string_equal(m.point, "/srv/my disk");
    assert_string_equal(m.source, "/dev/disk/by-label/a b");
    assert_true(mountinfo_parse(bare, &m));
    assert_string_equal(m.type, "devtmpfs");
    assert_false(mountinfo_parse(sourceless, &m));
    assert_false(mountinfo_parse(torn, &m));
}

static void mounted(void **state)
{
    struct fixture *f = *state;

    plant_nvme(f);
    take_footprint(f);
    assert_passes(f, guard_mounted);
    plant(f->scratch, "proc/self/mountinfo", "%s",
          "21 1 254:9 / / rw - ext4 /dev/vdz rw\n40 21 259:0 / /srv rw - xfs /dev/nvme0n1 rw\n");
    assert_refuses(f, guard_mounted, "/srv", "/dev/nvme0n1 is mounted on /srv");
    plant(f->scratch, "proc/self/mountinfo", "%s",
          "40 21 259:1 / /home rw - xfs /dev/nvme0n1p1 rw\n");
    assert_refuses(f, guard_mounted, "/home",
                   "nvme0n1p1, through which /dev/nvme0n1 can be reached, is mounted");
    plant(f->scratch, "proc/self/mountinfo", "%s", "gibberish\n");
    assert_doubts(f, guard_mounted, "not understood");
}

static void mounted_where_only_others_see_it(void **state)
{
    struct fixture *f = *state;

    plant_nvme(f);
    take_footprint(f);
    plant(f->scratch, "proc/77/comm", "sh\n");
    plant(f->scratch, "proc/77/ns/mnt", "%s", "");
    plant(f->scratch, "proc/77/mountinfo", "%s", "40 21 259:0 / /srv rw - xfs /dev/nvme0n1 rw\n");
    assert_refuses(f, guard_mounted, "/srv",
                   "/dev/nvme0n1 is mounted on /srv in the mount namespace of process 77 (sh)");
    plant(f->scratch, "proc/77/mountinfo", "%s", "gibberish\n");
    assert_doubts(f, guard_mounted, "not understood");
    /* A namespace that was met before is not looked through again: here, our own. */
    assert_int_equal(
        link(below(f->scratch, "proc/77/ns/mnt"), below(f->scratch, "proc/self/ns/mnt")), 0);
    assert_passes(f, guard_mounted);
}

static void part_of_a_btrfs(void **state)
{
    struct fixture *f = *state;

    plant_nvme(f);
    take_footprint(f);
    plant_folder(f->scratch, "sys/fs/btrfs/5d0a/devices/sdq");
    assert_passes(f, guard_mounted);
    plant_folder(f->scratch, "sys/fs/btrfs/5d0a/devices/nvme0n1p1");
    assert_refuses(f, guard_mounted, "5d0a", "btrfs");
}

static void swap(void **state)
{
    struct fixture *f = *state;
    const char *heading = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
    char deleted[] = "/swap\\040file\\040(deleted)  file 1 0 -2\n", *name;

    assert_true(swaps_parse(deleted, &name));
    assert_string_equal(name, "/swap file");
    plant_nvme(f);
    take_footprint(f);
    assert_passes(f, guard_swap);
    /* The path is gone (another /dev), the name is ours. */
    plant(f->scratch, "proc/swaps", "%s/nowhere/nvme0n1p1   partition 1 0 -2\n", heading);
    assert_refuses(f, guard_swap, "nvme0n1p1", "is swapped on");
    plant(f->scratch, "proc/swaps", "%s/nowhere/sdq1   partition 1 0 -2\n", heading);
    assert_doubts(f, guard_swap, "/nowhere/sdq1");
    plant(f->scratch, "proc/swaps", "%s", "");
    assert_doubts(f, guard_swap, "no heading");
    assert_int_equal(unlink(below(f->scratch, "proc/swaps")), 0);
    assert_doubts(f, guard_swap, "No such file");
}

/* --- What stands on top ---------------------------------------------------------------------- */

static void held(void **state)
{
    struct fixture *f = *state;

    plant_nvme(f);
    take_footprint(f);
    assert_passes(f, guard_held);
    plant_folder(f->scratch, "sys/devices/pci/nvme0/nvme0n1/nvme0n1p1/holders/dm-3");
    plant(f->scratch, "sys/block/dm-3/dm/name", "vg0-data\n");
    assert_refuses(f, guard_held, "dm-3 (vg0-data)", "is held by");
}

static void held_as_a_sibling(void **state)
{
    struct fixture *f = *state;

    plant_block(f->scratch, "devices/scsi/sda", "8:0");
    plant_block(f->scratch, "devices/scsi/sda/sda1", "259:0");
    plant_block(f->scratch, "devices/scsi/sda/sda2", "8:2");
    plant(f->scratch, "sys/devices/scsi/sda/sda1/partition", "1\n");
    plant(f->scratch, "sys/devices/scsi/sda/sda2/partition", "2\n");
    plant_folder(f->scratch, "sys/devices/scsi/sda/sda2/holders/md0");
    take_footprint(f);
    assert_refuses(f, guard_held, "md0", "another one, sda2, is held by md0");
    assert_string_equal(f->refusal.guard, "partition-in-use");
}

static void exported_by_a_target(void **state)
{
    struct fixture *f = *state;

    plant_nvme(f);
    take_footprint(f);
    assert_passes(f, guard_target);
    plant(f->scratch, "sys/kernel/config/nvmet/subsystems/nqn.mine/namespaces/1/device_path",
          "/nowhere/nvme0n1\n");
    assert_refuses(f, guard_target, "nqn.mine", "is exported by the storage target nqn.mine");
}

static void exported_by_lio(void **state)
{
    struct fixture *f = *state;

    plant_nvme(f);
    take_footprint(f);
    plant(f->scratch, "sys/kernel/config/target/core/iblock_0/disk/udev_path",
          "/nowhere/nvme0n1p1\n");
    assert_refuses(f, guard_target, "iblock_0", "is exported by");
}

static void a_target_that_does_not_show_what_it_exports(void **state)
{
    struct fixture *f = *state;

    plant_nvme(f);
    take_footprint(f);
    plant_folder(f->scratch, "sys/module/nvmet");
    assert_doubts(f, guard_target, "configfs");
    plant(f->scratch, "sys/kernel/config/nvmet/subsystems/nqn.mine/namespaces/1/device_path",
          "/nowhere/sdq\n");
    assert_doubts(f, guard_target, "/nowhere/sdq");
}

static void the_root_stands_on_it(void **state)
{
    struct fixture *f = *state;
    char number[32];

    if (!device_of_scratch(f->scratch, number)) {
        print_message("skipped: the scratch folder is on no device\n");
        skip();
    }
    /* root on dm-0, on md0, on a partition of the disk */
    plant_nvme(f);
    plant_block(f->scratch, "devices/virtual/dm-0", number);
    plant_block(f->scratch, "devices/virtual/md0", "9:0");
    plant_link(f->scratch, "sys/devices/virtual/dm-0/slaves/md0", "sys/devices/virtual/md0");
    plant_link(f->scratch, "sys/devices/virtual/md0/slaves/nvme0n1p1",
               "sys/devices/pci/nvme0/nvme0n1/nvme0n1p1");
    take_footprint(f);
    assert_refuses(f, guard_root_chain, "/", "carries the host's root");
}

static void the_root_stands_elsewhere(void **state)
{
    struct fixture *f = *state;
    char number[32];

    plant_nvme(f);
    take_footprint(f);
    if (!device_of_scratch(f->scratch, number)) {
        print_message("skipped: the scratch folder is on no device\n");
        skip();
    }
    assert_doubts(f, guard_root_chain, "following the root");
    plant_block(f->scratch, "devices/vda", number);
    assert_passes(f, guard_root_chain);
}

/* --- The rest -------------------------------------------------------------------------------- */

static void what_other_domains_name(void **state)
{
    struct fixture *f = *state;

    plant_nvme(f);
    take_footprint(f);
    wipe_request_add_other(&f->request, "old", "/nowhere/at/all.qcow2");
    assert_passes(f, guard_other_domain);
    wipe_request_add_other(&f->request, "web-7", "/dev/nvme0n1");
    assert_refuses(f, guard_other_domain, "web-7", "the domain web-7 names it too");
}

/* A by-id link that has just lost its device reads like ours all the same. */
static void a_dangling_name_of_ours(void **state)
{
    struct fixture *f = *state;

    plant_nvme(f);
    take_footprint(f);
    wipe_request_add_other(&f->request, "web-7", "/nowhere/dev/nvme0n1p1");
    assert_refuses(f, guard_other_domain, "web-7", "names it too");
}

static void a_source_that_cannot_be_looked_at(void **state)
{
    struct fixture *f = *state;
    char path[300];

    plant_nvme(f);
    take_footprint(f);
    snprintf(path, sizeof(path), "%s/turn", f->scratch->folder);
    assert_int_equal(symlink(path, path), 0);
    wipe_request_add_other(&f->request, "web-7", path);
    assert_doubts(f, guard_other_domain, "turn");
}

static void every_guard_has_a_name_of_its_own(void **state)
{
    for (size_t i = 0; i < n_guards; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(guards[i].name, guards[k].name);
}

static void octal_escapes(void **state)
{
    char a[] = "a\\040b\\134c", b[] = "\\04", c[] = "x\\999", d[] = "\\040";

    text_unescape(a);
    assert_string_equal(a, "a b\\c");
    text_unescape(b);
    assert_string_equal(b, "\\04");
    text_unescape(c);
    assert_string_equal(c, "x\\999");
    text_unescape(d);
    assert_string_equal(d, " ");
}

#define GUARD_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_mountinfo),
        GUARD_TEST(mounted),
        GUARD_TEST(mounted_where_only_others_see_it),
        GUARD_TEST(part_of_a_btrfs),
        GUARD_TEST(swap),
        GUARD_TEST(held),
        GUARD_TEST(held_as_a_sibling),
        GUARD_TEST(exported_by_a_target),
        GUARD_TEST(exported_by_lio),
        GUARD_TEST(a_target_that_does_not_show_what_it_exports),
        GUARD_TEST(the_root_stands_on_it),
        GUARD_TEST(the_root_stands_elsewhere),
        GUARD_TEST(what_other_domains_name),
        GUARD_TEST(a_dangling_name_of_ours),
        GUARD_TEST(a_source_that_cannot_be_looked_at),
        cmocka_unit_test(every_guard_has_a_name_of_its_own),
        cmocka_unit_test(octal_escapes),
    };

    return cmocka_run_group_tests_name("guards", tests, NULL, NULL);
}
