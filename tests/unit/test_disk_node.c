/* test_disk_node.c - a path stands for a number, whatever it is called, and numbers are compared */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/json.h"
#include "engine/disk-node.h"
#include "loop-kit.h"
#include "scratch.h"

#include <sys/sysmacros.h>

static struct disk_node node_of(const char *path)
{
    struct disk_node node;
    int r = disk_node_of(path, &node);

    if (r < 0)
        fail_msg("%s: %s", path, strerror(-r));
    return node;
}

static void assert_share(const char *a, const char *b, bool expected)
{
    struct disk_node first = node_of(a), second = node_of(b);

    if (disk_nodes_share(&first, &second) != expected ||
        disk_nodes_share(&second, &first) != expected)
        fail_msg("%s and %s: shared bytes are %s expected", a, b, expected ? "" : "not");
}

/* --- Files ----------------------------------------------------------------------------------- */

static void a_file_is_its_inode(void **state)
{
    struct scratch *s = *state;
    char file[128], link_to[128], hard[128], other[128];

    snprintf(file, sizeof(file), "%s/disk.img", s->folder);
    snprintf(link_to, sizeof(link_to), "%s/link", s->folder);
    snprintf(hard, sizeof(hard), "%s/hard", s->folder);
    snprintf(other, sizeof(other), "%s/other.img", s->folder);
    scratch_write(file, "data", 4);
    scratch_write(other, "data", 4);
    assert_int_equal(symlink(file, link_to), 0);
    assert_int_equal(link(file, hard), 0);
    assert_share(file, link_to, true);
    assert_share(file, hard, true);
    assert_share(file, other, false);
    assert_share(file, file, true);
}

static void what_is_neither_shares_nothing(void **state)
{
    struct disk_node node;

    assert_share("/dev/null", "/dev/null", false);
    assert_share("/", "/", false);
    assert_int_equal(disk_node_of("/nowhere/at/all", &node), -ENOENT);
}

/* --- Devices --------------------------------------------------------------------------------- */

static void a_device_is_its_number(void **state)
{
    char loop[2][32], node[128];
    struct stat st;

    if (!loop_setup(*state, "a.img", 4, "", loop[0]) ||
        !loop_setup(*state, "b.img", 4, "", loop[1]))
        skip();
    snprintf(node, sizeof(node), "%s", scratch_path(*state, "node"));
    assert_int_equal(stat(loop[0], &st), 0);
    assert_int_equal(mknod(node, S_IFBLK | 0600, st.st_rdev), 0);
    assert_share(loop[0], loop[1], false);
    assert_share(loop[0], loop[0], true);
    assert_share(loop[0], node, true);
}

static void a_loop_is_its_file_under_another_name(void **state)
{
    char loop[2][32], file[128];

    if (!loop_setup(*state, "a.img", 4, "", loop[0]) ||
        !loop_setup(*state, "a.img", 0, "", loop[1]))
        skip();
    snprintf(file, sizeof(file), "%s", scratch_path(*state, "a.img"));
    assert_share(loop[0], file, true);
    assert_share(loop[0], loop[1], true);
}

static void a_partition_is_a_stretch_of_its_disk(void **state)
{
    char loop[32], first[40], second[40];

    if (!loop_setup(*state, "a.img", 8, "-P", loop) || !loop_partition(loop, first, second))
        skip();
    assert_share(first, loop, true);
    assert_share(second, loop, true);
    assert_share(first, first, true);
    assert_share(first, second, false);
    assert_share(first, scratch_path(*state, "a.img"), true);
}

/* --- Finding it again ------------------------------------------------------------------------ */

static json_object *identity_of(const char *path, const char *more)
{
    struct stat st;
    char text[512];

    assert_int_equal(stat(path, &st), 0);
    snprintf(text, sizeof(text), "{\"size\":%d,\"devno\":\"%u:%u\"%s}", 4 << 20, major(st.st_rdev),
             minor(st.st_rdev), more);
    return json_tokener_parse(text);
}

static void assert_found(int r, const struct disk_node *found, const char *path)
{
    struct disk_node node = node_of(path);

    if (r < 0)
        fail_msg("not found: %s", strerror(-r));
    assert_true(disk_nodes_share(found, &node));
}

/* A loop device has no name of its own: its number tells, and in another boot its path. */
static void a_nameless_disk_is_found_by_its_number(void **state)
{
    char loop[2][32];
    struct disk_node found;
    json_object *identity;

    if (!loop_setup(*state, "a.img", 4, "", loop[0]) ||
        !loop_setup(*state, "b.img", 4, "", loop[1]))
        skip();
    identity = identity_of(loop[0], "");
    assert_found(disk_node_find(loop[1], DISK_BLOCK, identity, true, &found), &found, loop[0]);
    assert_found(disk_node_find(loop[1], DISK_BLOCK, identity, false, &found), &found, loop[1]);
    json_object_put(identity);
}

static void another_disk_under_its_number_is_not_it(void **state)
{
    char loop[32], sequence[64], path[64];
    struct disk_node found;
    json_object *identity;

    if (!loop_setup(*state, "a.img", 4, "", loop))
        skip();
    snprintf(path, sizeof(path), "/sys/block/%s/diskseq", loop + 5);
    snprintf(sequence, sizeof(sequence), ",\"sequence\":\"%d\"", 1 << 30);
    identity = identity_of(loop, sequence);
    if (access(path, F_OK) == 0)
        assert_int_equal(disk_node_find(loop, DISK_BLOCK, identity, true, &found), -ENODEV);
    json_object_put(identity);

    identity = identity_of(loop, "");
    json_add_number(identity, "size", 5 << 20);
    assert_int_equal(disk_node_find(loop, DISK_BLOCK, identity, true, &found), -ENODEV);
    assert_int_equal(disk_node_find(loop, DISK_BLOCK, identity, false, &found), -ENODEV);
    json_object_put(identity);
}

static void a_named_disk_that_is_not_here_is_not_found(void **state)
{
    char loop[32];
    struct disk_node found;
    json_object *identity;

    if (!loop_setup(*state, "a.img", 4, "", loop))
        skip();
    identity = identity_of(loop, ",\"serial\":\"S4EWNX0R\"");
    assert_int_equal(disk_node_find(loop, DISK_BLOCK, identity, true, &found), -ENODEV);
    json_object_put(identity);
    identity = identity_of(loop, ",\"partition\":\"0+4194304\"");
    assert_int_equal(disk_node_find(loop, DISK_BLOCK, identity, true, &found), -ENODEV);
    json_object_put(identity);
}

static void a_partition_is_found_by_its_stretch(void **state)
{
    char loop[32], first[40], second[40];
    struct disk_node found;
    json_object *identity;

    if (!loop_setup(*state, "a.img", 8, "-P", loop) || !loop_partition(loop, first, second))
        skip();
    identity = identity_of(second, ",\"partition\":\"4194304+2097152\"");
    json_add_number(identity, "size", 2 << 20);
    assert_found(disk_node_find(second, DISK_BLOCK, identity, false, &found), &found, second);
    assert_int_equal(disk_node_find(first, DISK_BLOCK, identity, false, &found), -ENODEV);
    json_object_put(identity);
}

static void a_file_is_found_by_its_inode(void **state)
{
    const char *path = scratch_path(*state, "a.img");
    struct disk_node found;
    json_object *identity;
    char text[128];
    struct stat st;

    scratch_write(path, "data", 4);
    assert_int_equal(stat(path, &st), 0);
    snprintf(text, sizeof(text), "{\"device\":\"%u:%u\",\"inode\":%llu,\"size\":4}",
             major(st.st_dev), minor(st.st_dev), (unsigned long long)st.st_ino);
    identity = json_tokener_parse(text);
    assert_found(disk_node_find("/renamed", DISK_FILE, identity, true, &found), &found, path);
    assert_found(disk_node_find(path, DISK_FILE, identity, false, &found), &found, path);
    assert_int_equal(disk_node_find("/etc/passwd", DISK_FILE, identity, false, &found), -ENODEV);
    json_object_put(identity);
}

/* Every disk of this machine that has a name is found by it, under whatever path it is looked for.
 */
static void named_disks_of_this_machine_are_found(void **state)
{
    char serial[128] = "", text[256];
    struct disk_node found;
    json_object *identity;
    FILE *f = popen(
        "cat /sys/block/*/serial /sys/block/*/device/serial 2>/dev/null | sort | uniq -u", "r");

    if (!f || !fgets(serial, sizeof(serial), f)) {
        print_message("skipped: no disk of this machine has a serial number of its own\n");
        if (f)
            pclose(f);
        skip();
    }
    pclose(f);
    serial[strcspn(serial, " \n")] = '\0';
    snprintf(text, sizeof(text), "{\"serial\":\"%s\",\"devno\":\"1:2\",\"size\":1}", serial);
    identity = json_tokener_parse(text);
    assert_int_equal(disk_node_find("/dev/null", DISK_BLOCK, identity, true, &found), 0);
    assert_int_equal(found.kind, DISK_BLOCK);
    json_object_put(identity);
}

static void there_is_a_boot_id(void **state)
{
    char id[UUID_TEXT_SIZE];

    assert_int_equal(disk_boot_id(id), 0);
    assert_int_equal(strlen(id), UUID_TEXT_SIZE - 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, loop_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_file_is_its_inode),
        TEST(what_is_neither_shares_nothing),
        TEST(a_device_is_its_number),
        TEST(a_loop_is_its_file_under_another_name),
        TEST(a_partition_is_a_stretch_of_its_disk),
        TEST(a_nameless_disk_is_found_by_its_number),
        TEST(another_disk_under_its_number_is_not_it),
        TEST(a_named_disk_that_is_not_here_is_not_found),
        TEST(a_partition_is_found_by_its_stretch),
        TEST(a_file_is_found_by_its_inode),
        TEST(named_disks_of_this_machine_are_found),
        TEST(there_is_a_boot_id),
    };

    return cmocka_run_group_tests_name("disk node", tests, NULL, NULL);
}
