/* test_wipe_guards.c - the guards over a /proc and a /sys of the test's own */
#include "test_wipe_kit.h"

#include "wipe/guard-mounts.h"
#include "wipe/guard-open.h"
#include "wipe/inode-set.h"
#include "wipe/text.h"

struct fixture {
    struct scratch *scratch;
    char proc[128], sys[128];
    struct storage_device device;
    char path[64];
    struct wipe_request request;
    struct scene scene;
    struct refusal refusal;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    void *scratch;

    if (scratch_setup(&scratch) < 0)
        return -1;
    f->scratch = scratch;
    plant_proc(f->scratch);
    snprintf(f->proc, sizeof(f->proc), "%s/proc", f->scratch->folder);
    snprintf(f->sys, sizeof(f->sys), "%s/sys", f->scratch->folder);
    snprintf(f->path, sizeof(f->path), "/dev/nvme0n1");
    wipe_request_init(&f->request);
    f->device =
        (struct storage_device){.kind = STORAGE_BLOCK, .path = f->path, .look_fd = -1, .fd = -1};
    f->scene = (struct scene){
        .request = &f->request, .device = &f->device, .proc = f->proc, .sys = f->sys};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    void *scratch = f->scratch;

    footprint_clear(&f->scene.footprint);
    wipe_request_clear(&f->request);
    free(f);
    return scratch_teardown(&scratch);
}

/* The footprint of 259:0, which is what every test plants. */
static void take_footprint(struct fixture *f)
{
    struct error *error = NULL;

    if (footprint_take_block(makedev(259, 0), f->sys, &f->scene.footprint, &error) < 0)
        fail_msg("%s", error_message(error));
}

static void plant_nvme(struct fixture *f)
{
    struct scratch *s = f->scratch;

    plant_block(s, "devices/pci/nvme0/nvme0n1", "259:0");
    plant_block(s, "devices/pci/nvme0/nvme0n1/nvme0n1p1", "259:1");
    plant(s, "sys/devices/pci/nvme0/nvme0n1/nvme0n1p1/partition", "1\n");
    plant(s, "sys/devices/pci/nvme0/nvme0n1/nsid", "1\n");
    plant(s, "sys/devices/pci/nvme0/dev", "240:0\n");
    plant(s, "sys/devices/pci/nvme0/subsysnqn", "nqn.one\n");
    plant(s, "sys/devices/pci/nvme0/cntlid", "1\n");
    plant_link(s, "sys/devices/pci/nvme0/nvme0n1/device", "sys/devices/pci/nvme0");
    plant_link(s, "sys/class/nvme/nvme0", "sys/devices/pci/nvme0");
    plant(s, "sys/devices/pci/nvme0/ng0n1/dev", "241:0\n");
    plant_link(s, "sys/class/nvme-generic/ng0n1", "sys/devices/pci/nvme0/ng0n1");
}

static void assert_refuses(struct fixture *f,
                           int (*guard)(const struct scene *, struct refusal *, struct error **),
                           const char *culprit, const char *message)
{
    _cleanup_(error_free) struct error *error = NULL;
    int r;

    f->refusal = (struct refusal){0};
    r = guard(&f->scene, &f->refusal, &error);
    if (r != 1)
        fail_msg("it says %d: %s", r, error_message(error));
    if (!strstr(f->refusal.culprit, culprit) || !strstr(f->refusal.message, message))
        fail_msg("'%s', '%s'", f->refusal.culprit, f->refusal.message);
}

static void assert_passes(struct fixture *f,
                          int (*guard)(const struct scene *, struct refusal *, struct error **))
{
    _cleanup_(error_free) struct error *error = NULL;
    int r;

    f->refusal = (struct refusal){0};
    r = guard(&f->scene, &f->refusal, &error);
    if (r != 0)
        fail_msg("it says %d: %s%s", r, f->refusal.message, r < 0 ? error_message(error) : "");
}

static void assert_doubts(struct fixture *f,
                          int (*guard)(const struct scene *, struct refusal *, struct error **),
                          const char *why)
{
    const struct guard g = {"doubtful", GUARD_BEFORE, guard};

    f->refusal = (struct refusal){0};
    assert_true(guard_ask(&g, &f->scene, &f->refusal));
    assert_string_equal(f->refusal.guard, "doubtful");
    if (!strstr(f->refusal.message, "cannot be told") || !strstr(f->refusal.message, why))
        fail_msg("%s", f->refusal.message);
}

/* --- Footprints ------------------------------------------------------------------------------ */

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

/* --- Open in a process ----------------------------------------------------------------------- */

static void lines_of_maps(void **state)
{
    char mapped[] =
        "7f01a000-7f01b000 rw-s 00000000 00:06 86672                      /dev/nvme0n1\n";
    char anonymous[] = "7ffd000-7ffe000 rw-p 00000000 00:00 0                          [stack]\n";
    char torn[] = "7f01a000-7f01b000";
    struct mapping m;

    assert_true(maps_parse(mapped, &m));
    assert_string_equal(m.range, "7f01a000-7f01b000");
    assert_int_equal(m.device, makedev(0, 6));
    assert_int_equal(m.inode, 86672);
    assert_false(maps_parse(anonymous, &m));
    assert_false(maps_parse(torn, &m));
}

struct seen {
    bool has_section;
    unsigned long slots;
    size_t files, empty;
    char last[128];
};

static struct seen read_ring(const char *text)
{
    struct seen seen = {0};
    char copy[1024], *rest = copy, *line, *name;
    bool in_files = false;

    snprintf(copy, sizeof(copy), "%s", text);
    while ((line = strsep(&rest, "\n"))) {
        enum uring_line kind = uring_parse(line, &in_files, &seen.slots, &name);

        seen.has_section |= kind == URING_COUNT;
        seen.files += kind == URING_FILE;
        seen.empty += kind == URING_EMPTY;
        if (kind == URING_FILE)
            snprintf(seen.last, sizeof(seen.last), "%s", name);
    }
    return seen;
}

/* As Linux 6.1 and as 6.18 write them. */
static void rings_of_two_kernels(void **state)
{
    struct seen s = read_ring(
        "pos:\t0\nSqMask:\t0x7\nSqThread:\t-1\nUserFiles:\t3\n    0: <none>\n    1: nvme0n1\n"
        "    2: <none>\nUserBufs:\t0\nPollList:\n");

    assert_int_equal(s.slots, 3);
    assert_int_equal(s.files, 1);
    assert_int_equal(s.empty, 2);
    assert_string_equal(s.last, "nvme0n1");
    s = read_ring("pos:\t0\nUserFiles:\t3\n    1: /dev/my\\040disk\nUserBufs:\t1\n    0: "
                  "0x7f0000/4096\nNAPI:\tdisabled\n");
    assert_int_equal(s.files, 1);
    assert_string_equal(s.last, "/dev/my disk");
    s = read_ring("pos:\t0\nflags:\t02000002\nSqMask:\t0x7\n");
    assert_false(s.has_section);
    s = read_ring("UserFiles:\t2\nUserBufs:\t0\n");
    assert_true(s.has_section);
    assert_int_equal(s.files + s.empty, 0);
}

static void needs_root(void)
{
    if (geteuid() == 0)
        return;
    print_message("skipped: needs CAP_SYS_PTRACE\n");
    skip();
}

static void open_by_nobody(void **state)
{
    struct fixture *f = *state;

    needs_root();
    plant_nvme(f);
    take_footprint(f);
    assert_passes(f, guard_open);
}

static void from_inside_a_namespace_nothing_is_certain(void **state)
{
    struct fixture *f = *state;

    plant_nvme(f);
    take_footprint(f);
    assert_int_equal(unlink(below(f->scratch, "proc/self/ns/pid")), 0);
    assert_int_equal(symlink("pid:[4026532222]", below(f->scratch, "proc/self/ns/pid")), 0);
    assert_doubts(f, guard_open, "namespace");
}

static void a_file_that_is_open(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    needs_root();
    plant(f->scratch, "image.raw", "secret");
    assert_int_equal(stat(below(f->scratch, "image.raw"), &st), 0);
    f->scene.footprint =
        (struct footprint){.is_file = true, .device = st.st_dev, .inode = st.st_ino};
    f->device.kind = STORAGE_FILE;
    plant(f->scratch, "proc/77/comm", "qemu-system-x86\n");
    plant(f->scratch, "proc/77/maps", "%s", "");
    plant(f->scratch, "proc/77/fdinfo/5", "pos:\t0\nflags:\t0100002\n");
    plant_link(f->scratch, "proc/77/fd/5", "image.raw/../image.raw");
    assert_int_equal(unlink(below(f->scratch, "proc/77/fd/5")), 0);
    assert_int_equal(symlink(below(f->scratch, "image.raw"), below(f->scratch, "proc/77/fd/5")), 0);
    assert_refuses(f, guard_open, "process 77 (qemu-system-x86)", "is open by");
    assert_false(f->refusal.may_pass);
    plant(f->scratch, "proc/77/fdinfo/5", "pos:\t0\nflags:\t0100000\n");
    assert_refuses(f, guard_open, "process 77", "is open by");
    assert_true(f->refusal.may_pass);
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

static void sets_of_inodes(void **state)
{
    struct inode_set s = {0};

    assert_false(inode_set_has(&s, 1, 1));
    for (ino_t i = 1; i <= 5000; i++) {
        assert_int_equal(inode_set_add(&s, 7, i * 13), 0);
        assert_int_equal(inode_set_add(&s, 7, i * 13), 0);
    }
    assert_int_equal(s.n, 5000);
    for (ino_t i = 1; i <= 5000; i++) {
        assert_true(inode_set_has(&s, 7, i * 13));
        assert_false(inode_set_has(&s, 8, i * 13));
        assert_false(inode_set_has(&s, 7, i * 13 + 1));
    }
    inode_set_clear(&s);
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
        cmocka_unit_test(lines_of_maps),
        cmocka_unit_test(rings_of_two_kernels),
        GUARD_TEST(open_by_nobody),
        GUARD_TEST(from_inside_a_namespace_nothing_is_certain),
        GUARD_TEST(a_file_that_is_open),
        GUARD_TEST(what_other_domains_name),
        GUARD_TEST(a_dangling_name_of_ours),
        GUARD_TEST(a_source_that_cannot_be_looked_at),
        cmocka_unit_test(every_guard_has_a_name_of_its_own),
        cmocka_unit_test(octal_escapes),
        cmocka_unit_test(sets_of_inodes),
    };

    return cmocka_run_group_tests_name("guards", tests, NULL, NULL);
}
