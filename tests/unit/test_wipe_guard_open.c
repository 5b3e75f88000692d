/* test_wipe_guard_open.c - a device that a process has open, by whatever means */
#include "guard-kit.h"

#include "wipe/guard-open.h"
#include "wipe/inode-set.h"

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
        cmocka_unit_test(lines_of_maps), cmocka_unit_test(rings_of_two_kernels),
        GUARD_TEST(open_by_nobody),      GUARD_TEST(from_inside_a_namespace_nothing_is_certain),
        GUARD_TEST(a_file_that_is_open), cmocka_unit_test(sets_of_inodes),
    };

    return cmocka_run_group_tests_name("guards: open in a process", tests, NULL, NULL);
}
