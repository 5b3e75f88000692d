/* test_markers.c - what is owed a clear is written down whole, and goes only when nothing is owed
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "marker-kit.h"

#include <sys/sysmacros.h>

/* --- Files ----------------------------------------------------------------------------------- */

/* The form that libvirt's hook and an operator read: it does not change without a new version. */
static void a_marker_has_this_form(void **state)
{
    _cleanup_(freep) char *text = NULL;
    _cleanup_(json) json_object *is = NULL, *expected = NULL;
    char path[256];

    write_one(state, DOMAIN_A, "vdb");
    snprintf(path, sizeof(path), "%s/" DOMAIN_A ".vdb.json", folder(state));
    text = scratch_read(path, NULL);
    is = json_tokener_parse(text);
    expected = json_tokener_parse(
        "{\"version\":1,\"requestId\":\"" REQUEST "\",\"instanceId\":\"i-bp67acfmxazb4ph\","
        "\"domain\":\"" DOMAIN_A "\",\"target\":\"vdb\",\"device\":\"/dev/nvme1n1\","
        "\"kind\":\"block\",\"bootId\":\"" DOMAIN_B "\",\"controllers\":[\"0000:01:00.0\"],"
        "\"identity\":{\"size\":800166076416,\"serial\":\"S4EWNX0R\"}}");
    assert_true(json_object_equal(is, expected));
}

static void what_is_written_is_read(void **state)
{
    struct marker_list l = {0};
    const char *serial = NULL;
    uuid_t domain;

    write_one(state, DOMAIN_A, "vdb");
    assert_int_equal(markers_read(folder(state), &l, NULL), 0);
    assert_int_equal(l.n, 1);
    uuid_parse(DOMAIN_A, domain);
    assert_int_equal(uuid_compare(l.items[0].domain, domain), 0);
    assert_string_equal(l.items[0].request_id, REQUEST);
    assert_string_equal(l.items[0].instance_id, "i-bp67acfmxazb4ph");
    assert_string_equal(l.items[0].target, "vdb");
    assert_string_equal(l.items[0].device, "/dev/nvme1n1");
    assert_int_equal(l.items[0].kind, DISK_BLOCK);
    assert_string_equal(l.items[0].boot_id, DOMAIN_B);
    assert_int_equal(l.items[0].controllers.n, 1);
    assert_int_equal(json_get_string(l.items[0].identity, "serial", &serial), 0);
    assert_string_equal(serial, "S4EWNX0R");
    marker_list_clear(&l);
}

static void a_target_makes_a_safe_name(void **state)
{
    char name[MARKER_NAME_SIZE], *longest = calloc(1, 300);
    uuid_t domain;

    uuid_parse(DOMAIN_A, domain);
    assert_int_equal(marker_name(domain, "../v db", name, NULL), 0);
    assert_string_equal(name, DOMAIN_A ".%2E%2E%2Fv%20db.json");
    memset(longest, 'x', 299);
    assert_int_not_equal(marker_name(domain, longest, name, NULL), 0);
    longest[190] = '\0';
    write_one(state, DOMAIN_A, longest);
    write_one(state, DOMAIN_A, "../v db");
    assert_int_equal(count(state), 2);
    free(longest);
}

static void a_second_writing_takes_the_place_of_the_first(void **state)
{
    struct marker m = a_marker(DOMAIN_A, "vdb");
    struct marker_list l = {0};

    write_one(state, DOMAIN_A, "vdb");
    text_replace(&m.device, "/dev/nvme7n1");
    assert_int_equal(marker_write(folder(state), &m, NULL), 0);
    assert_int_equal(marker_write(folder(state), &m, NULL), 0);
    assert_int_equal(markers_read(folder(state), &l, NULL), 0);
    assert_int_equal(l.n, 1);
    assert_string_equal(l.items[0].device, "/dev/nvme7n1");
    marker_list_clear(&l);
    marker_clear(&m);
}

static void no_folder_means_no_debts(void **state)
{
    struct marker_list l = {0};

    assert_int_equal(markers_read("/nowhere/at/all", &l, NULL), 0);
    assert_int_equal(l.n, 0);
    assert_int_equal(markers_reconcile("/nowhere/at/all", &(struct marker_reconciler){0}, NULL), 0);
}

static void a_marker_that_cannot_be_read_is_an_error(void **state)
{
    static const char *const garbage[] = {"", "{", "{}", "[]", "{\"version\":2}", "\xff\xfe"};
    _cleanup_(freep) char *whole = NULL;
    char path[256];

    write_one(state, DOMAIN_A, "vdb");
    snprintf(path, sizeof(path), "%s/" DOMAIN_A ".vdb.json", folder(state));
    whole = scratch_read(path, NULL);
    snprintf(path, sizeof(path), "%s/" DOMAIN_B ".vdc.json", folder(state));
    for (size_t i = 0; i < ELEMENTSOF(garbage); i++) {
        struct marker_list l = {0};
        _cleanup_(error_free) struct error *err = NULL;

        scratch_write(path, garbage[i], strlen(garbage[i]));
        assert_int_not_equal(markers_read(folder(state), &l, &err), 0);
        assert_non_null(strstr(err->message, DOMAIN_B ".vdc.json"));
        assert_null(l.items);
    }
    /* Cut anywhere. */
    for (size_t n = 0; n < strlen(whole); n++) {
        struct marker_list l = {0};

        scratch_write(path, whole, n);
        assert_int_not_equal(markers_read(folder(state), &l, NULL), 0);
    }
    /* Or with more behind it. */
    for (size_t n = 1; n < 3; n++) {
        struct marker_list l = {0};
        char longer[1024];

        snprintf(longer, sizeof(longer), "%s%s", whole, n == 1 ? "{}" : whole);
        scratch_write(path, longer, strlen(longer));
        assert_int_not_equal(markers_read(folder(state), &l, NULL), 0);
    }
}

static void other_files_are_nobodys_business(void **state)
{
    static const char *const names[] = {"README",         ".hidden.json",
                                        "vdb.json",       ".new-" DOMAIN_A ".vdb.json",
                                        DOMAIN_A ".json", DOMAIN_A "-vdb.json"};
    char path[256];

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder(state), names[i]);
        scratch_write(path, "x", 1);
    }
    assert_int_equal(count(state), 0);
}

/* Killed at any moment a writer leaves the old marker or the new one. */
static void a_writer_that_is_killed_leaves_it_whole(void **state)
{
    for (int i = 0; i < 20; i++) {
        struct child c;
        uint64_t n = 0;

        write_one(state, DOMAIN_A, "vdb");
        if (child_fork(&c)) {
            struct marker m = a_marker(DOMAIN_A, "vdb");

            for (uint64_t k = 1;; k++) {
                json_add_number(m.identity, "size", k);
                marker_write(folder(state), &m, NULL);
                child_report(&c, k);
            }
        }
        while (n < (uint64_t)i + 1 && child_hear(&c, &n))
            ;
        child_kill(&c, n);
        assert_int_equal(count(state), 1);
    }
}

/* --- Removing -------------------------------------------------------------------------------- */

struct debt {
    const char *domain; /* NULL: nothing is owed */
    unsigned n_unreadable;
    char said[256];
};

static bool is_of(void *userdata, const struct marker *m)
{
    const struct debt *d = userdata;
    uuid_t wanted;

    return d->domain && uuid_parse(d->domain, wanted) == 0 && uuid_compare(m->domain, wanted) == 0;
}

static void is_unreadable(void *userdata, const struct error *why)
{
    struct debt *d = userdata;

    d->n_unreadable++;
    snprintf(d->said, sizeof(d->said), "%s", error_message(why));
}

static void reconcile(void **state, struct debt *debt)
{
    const struct marker_reconciler r = {is_of, is_unreadable, debt};
    struct error *err = NULL;

    if (markers_reconcile(folder(state), &r, &err) < 0)
        fail_msg("%s", error_message(err));
}

static void debts_that_stand_stay(void **state)
{
    struct debt debt = {.domain = DOMAIN_A};
    char path[256];

    write_one(state, DOMAIN_A, "vdb");
    write_one(state, DOMAIN_A, "vdc");
    write_one(state, DOMAIN_B, "vdb");
    snprintf(path, sizeof(path), "%s/.new-" DOMAIN_B ".vdb.json", folder(state));
    scratch_write(path, "{", 1);
    snprintf(path, sizeof(path), "%s/README", folder(state));
    scratch_write(path, "x", 1);
    assert_int_equal(markers_make_folder(folder(state), NULL), 0);
    reconcile(state, &debt);
    assert_int_equal(debt.n_unreadable, 0);
    assert_int_equal(count(state), 2);
    assert_true(is_there(state, DOMAIN_A ".vdb.json"));
    assert_true(is_there(state, DOMAIN_A ".vdc.json"));
    assert_false(is_there(state, ".new-" DOMAIN_B ".vdb.json"));
    assert_true(is_there(state, "README"));
}

/* Nobody knows which disk it keeps: it is told of, and whoever reads them refuses by it still. */
static void one_that_cannot_be_read_stays_and_is_told_of(void **state)
{
    struct marker_list l = {0};
    struct error *err = NULL;
    struct debt debt = {0};
    char path[256];

    write_one(state, DOMAIN_A, "vdb");
    snprintf(path, sizeof(path), "%s/" DOMAIN_B ".vdb.json", folder(state));
    scratch_write(path, "{\"version\":", 11);
    reconcile(state, &debt);
    assert_int_equal(debt.n_unreadable, 1);
    assert_non_null(strstr(debt.said, path));
    assert_false(is_there(state, DOMAIN_A ".vdb.json"));
    assert_true(is_there(state, DOMAIN_B ".vdb.json"));
    assert_true(markers_read(folder(state), &l, &err) < 0);
    error_free(err);
}

/* --- Where the disk is ------------------------------------------------------------------------ */

static void a_marker_is_brought_up_to_this_boot(void **state)
{
    const char *path = scratch_path(*state, "disk.img");
    struct marker m = {.kind = DISK_FILE};
    struct disk_node node;
    char text[128], now[UUID_TEXT_SIZE];
    const char *device = NULL;
    struct stat st;

    scratch_write(path, "data", 4);
    assert_int_equal(stat(path, &st), 0);
    snprintf(text, sizeof(text), "{\"device\":\"999:1\",\"inode\":%llu,\"size\":4}",
             (unsigned long long)st.st_ino);
    m.device = strdup(path);
    m.identity = json_tokener_parse(text);
    strcpy(m.boot_id, DOMAIN_A); /* of another boot */
    assert_int_equal(marker_locate(&m), 0);
    assert_int_equal(disk_boot_id(now), 0);
    assert_string_equal(m.boot_id, now);
    assert_int_equal(json_get_string(m.identity, "device", &device), 0);
    snprintf(text, sizeof(text), "%u:%u", major(st.st_dev), minor(st.st_dev));
    assert_string_equal(device, text);
    assert_int_equal(marker_find(&m, &node), 0);
    assert_int_equal(node.self.inode, st.st_ino);
    marker_clear(&m);
}

/* Of another boot, and gone: a number of then would be another disk's now. */
static void numbers_of_another_boot_are_forgotten(void **state)
{
    struct marker m = a_marker(DOMAIN_A, "vdb");
    struct disk_node node;

    json_add_string(m.identity, "devno", "7:0");
    json_add_string(m.identity, "sequence", "12");
    strcpy(m.boot_id, DOMAIN_B);
    assert_int_equal(marker_locate(&m), 0);
    assert_false(json_object_object_get_ex(m.identity, "devno", NULL));
    assert_false(json_object_object_get_ex(m.identity, "sequence", NULL));
    assert_true(json_object_object_get_ex(m.identity, "serial", NULL));
    assert_int_equal(m.controllers.n, 0);
    assert_int_not_equal(marker_find(&m, &node), 0);
    marker_clear(&m);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_marker_has_this_form),
        TEST(what_is_written_is_read),
        TEST(a_target_makes_a_safe_name),
        TEST(a_second_writing_takes_the_place_of_the_first),
        TEST(no_folder_means_no_debts),
        TEST(a_marker_that_cannot_be_read_is_an_error),
        TEST(other_files_are_nobodys_business),
        TEST(a_writer_that_is_killed_leaves_it_whole),
        TEST(debts_that_stand_stay),
        TEST(one_that_cannot_be_read_stays_and_is_told_of),
        TEST(a_marker_is_brought_up_to_this_boot),
        TEST(numbers_of_another_boot_are_forgotten),
    };

    return cmocka_run_group_tests_name("markers", tests, NULL, NULL);
}
