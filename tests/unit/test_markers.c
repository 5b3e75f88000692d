/* test_markers.c - what is owed a clear is written down whole, and goes only when nothing is owed
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/json.h"
#include "engine/marker-keeper.h"
#include "scratch.h"

#include <sys/sysmacros.h>

#define DOMAIN_A "11111111-1111-4111-8111-111111111111"
#define DOMAIN_B "22222222-2222-4222-8222-222222222222"
#define REQUEST "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E"
#define PATIENCE (30 * USEC_PER_SEC)

static const char *folder(void **state)
{
    return scratch_path(*state, "owed");
}

static int setup(void **state)
{
    return scratch_setup(state) < 0 || mkdir(folder(state), 0700) < 0 ? -1 : 0;
}

static struct marker a_marker(const char *domain, const char *target)
{
    struct marker m = {.kind = DISK_BLOCK, .n_controllers = 1};

    uuid_parse(domain, m.domain);
    strcpy(m.request_id, REQUEST);
    strcpy(m.boot_id, DOMAIN_B);
    strcpy(m.controllers[0], "0000:01:00.0");
    m.instance_id = strdup("i-bp67acfmxazb4ph");
    m.target = strdup(target);
    m.device = strdup("/dev/nvme1n1");
    m.identity = json_tokener_parse("{\"size\":800166076416,\"serial\":\"S4EWNX0R\"}");
    return m;
}

static void write_one(void **state, const char *domain, const char *target)
{
    struct marker m = a_marker(domain, target);
    struct error *err = NULL;

    if (marker_write(folder(state), &m, &err) < 0)
        fail_msg("%s", error_message(err));
    marker_clear(&m);
}

static bool is_there(void **state, const char *name)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", folder(state), name);
    return access(path, F_OK) == 0;
}

static size_t count(void **state)
{
    struct marker_list l = {0};
    struct error *err = NULL;
    size_t n;

    if (markers_read(folder(state), &l, &err) < 0)
        fail_msg("%s", error_message(err));
    n = l.n;
    marker_list_clear(&l);
    return n;
}

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
    assert_int_equal(l.items[0].n_controllers, 1);
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
    assert_int_equal(markers_reconcile("/nowhere/at/all", false, NULL, NULL, NULL), 0);
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

static bool is_of(void *userdata, const uuid_t domain)
{
    uuid_t wanted;

    uuid_parse(userdata, wanted);
    return uuid_compare(domain, wanted) == 0;
}

static void debts_of_the_journal_stay(void **state)
{
    char path[256];

    write_one(state, DOMAIN_A, "vdb");
    write_one(state, DOMAIN_A, "vdc");
    write_one(state, DOMAIN_B, "vdb");
    snprintf(path, sizeof(path), "%s/.new-" DOMAIN_B ".vdb.json", folder(state));
    scratch_write(path, "{", 1);
    snprintf(path, sizeof(path), "%s/README", folder(state));
    scratch_write(path, "x", 1);
    assert_int_equal(markers_reconcile(folder(state), false, is_of, DOMAIN_A, NULL), 0);
    assert_int_equal(count(state), 2);
    assert_true(is_there(state, DOMAIN_A ".vdb.json"));
    assert_true(is_there(state, DOMAIN_A ".vdc.json"));
    assert_false(is_there(state, ".new-" DOMAIN_B ".vdb.json"));
    assert_true(is_there(state, "README"));
}

/* A lost journal forgets nothing that is owed. */
static void a_new_journal_forgives_nothing(void **state)
{
    write_one(state, DOMAIN_A, "vdb");
    assert_int_equal(markers_reconcile(folder(state), true, is_of, DOMAIN_B, NULL), 0);
    assert_int_equal(count(state), 1);
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
    assert_int_equal(m.n_controllers, 0);
    assert_int_not_equal(marker_find(&m, &node), 0);
    marker_clear(&m);
}

/* --- The keeper ------------------------------------------------------------------------------ */

static struct marker_keeper *start(void **state)
{
    struct marker_keeper *k = NULL;
    struct error *err = NULL;

    if (marker_keeper_new(folder(state), &k, &err) < 0)
        fail_msg("%s", error_message(err));
    return k;
}

static void owe(struct marker_keeper *k, const char *domain, const char *target)
{
    struct marker m = a_marker(domain, target);

    marker_keeper_owe(k, &m);
    assert_null(m.target);
}

static void forgive(struct marker_keeper *k, const char *domain)
{
    uuid_t uuid;

    uuid_parse(domain, uuid);
    marker_keeper_forgive(k, uuid);
}

static struct marker_hold *hold(struct marker_keeper *k, const char *domain, const char *target)
{
    struct marker m = a_marker(domain, target);
    struct marker_hold *h = NULL;
    struct error *err = NULL;

    if (marker_keeper_hold(k, &m, &h, &err) < 0)
        fail_msg("%s", error_message(err));
    assert_non_null(h);
    return h;
}

static void end(struct marker_keeper *k)
{
    assert_true(marker_keeper_free(k, PATIENCE));
}

static void a_debt_is_a_marker_until_it_is_forgiven(void **state)
{
    struct marker_keeper *k = start(state);

    owe(k, DOMAIN_A, "vdb");
    owe(k, DOMAIN_A, "vdc");
    owe(k, DOMAIN_B, "vdb");
    forgive(k, DOMAIN_A);
    end(k);
    assert_int_equal(count(state), 1);
    assert_true(is_there(state, DOMAIN_B ".vdb.json"));
}

static void the_last_word_counts(void **state)
{
    struct marker_keeper *k = start(state);

    for (int i = 0; i < 50; i++) {
        owe(k, DOMAIN_A, "vdb");
        forgive(k, DOMAIN_A);
        forgive(k, DOMAIN_B);
        owe(k, DOMAIN_B, "vdb");
    }
    end(k);
    assert_false(is_there(state, DOMAIN_A ".vdb.json"));
    assert_true(is_there(state, DOMAIN_B ".vdb.json"));
}

static void the_folder_is_made(void **state)
{
    struct marker_keeper *k;

    assert_int_equal(rmdir(folder(state)), 0);
    k = start(state);
    end(k);
    assert_int_equal(access(folder(state), F_OK), 0);
}

static void a_hold_is_durable_when_it_returns(void **state)
{
    struct marker_keeper *k = start(state);
    struct marker_hold *h = hold(k, DOMAIN_A, "vdb");

    assert_true(is_there(state, DOMAIN_A ".vdb.json"));
    marker_keeper_release(k, h);
    end(k);
    /* Nothing was owed. */
    assert_false(is_there(state, DOMAIN_A ".vdb.json"));
}

/* A helper that hangs keeps its disk marked, whatever the journal says. */
static void a_hold_outlives_the_debt(void **state)
{
    struct marker_keeper *k = start(state);
    struct marker_hold *h, *other;

    owe(k, DOMAIN_A, "vdb");
    owe(k, DOMAIN_A, "vdc");
    h = hold(k, DOMAIN_A, "vdb");
    forgive(k, DOMAIN_A);
    other = hold(k, DOMAIN_B, "vdb"); /* so far the keeper has come */
    assert_true(is_there(state, DOMAIN_A ".vdb.json"));
    assert_false(is_there(state, DOMAIN_A ".vdc.json"));
    marker_keeper_release(k, h);
    marker_keeper_release(k, other);
    end(k);
    assert_int_equal(count(state), 0);
}

static void the_debt_outlives_a_hold(void **state)
{
    struct marker_keeper *k = start(state);

    owe(k, DOMAIN_A, "vdb");
    marker_keeper_release(k, hold(k, DOMAIN_A, "vdb"));
    end(k);
    assert_true(is_there(state, DOMAIN_A ".vdb.json"));
}

static void two_holds_of_one_disk_are_counted(void **state)
{
    struct marker_keeper *k = start(state);
    struct marker_hold *first = hold(k, DOMAIN_A, "vdb"), *second = hold(k, DOMAIN_A, "vdb");

    marker_keeper_release(k, first);
    marker_keeper_release(k, hold(k, DOMAIN_B, "vdb"));
    assert_true(is_there(state, DOMAIN_A ".vdb.json"));
    marker_keeper_release(k, second);
    end(k);
    assert_int_equal(count(state), 0);
}

static void what_cannot_be_written_is_not_held(void **state)
{
    struct marker_keeper *k = start(state);
    struct marker m = a_marker(DOMAIN_A, "vdb");
    struct marker_hold *h = NULL;
    _cleanup_(error_free) struct error *err = NULL;

    assert_int_equal(rmdir(folder(state)), 0);
    assert_int_not_equal(marker_keeper_hold(k, &m, &h, &err), 0);
    assert_null(h);
    assert_non_null(strstr(err->message, "owed"));
    assert_int_equal(mkdir(folder(state), 0700), 0);
    marker_keeper_release(k, hold(k, DOMAIN_A, "vdb"));
    end(k);
    assert_int_equal(count(state), 0);
}

static void a_full_disk_is_an_error(void **state)
{
    struct marker_keeper *k;
    struct marker m = a_marker(DOMAIN_A, "vdb");
    struct marker_hold *h = NULL;
    _cleanup_(error_free) struct error *err = NULL;

    if (!scratch_small_disk(*state, "size=64k")) {
        marker_clear(&m);
        return;
    }
    k = start(state);
    scratch_fill(*state);
    assert_int_not_equal(marker_keeper_hold(k, &m, &h, &err), 0);
    assert_int_equal(count(state), 0);
    scratch_make_room(*state);
    marker_keeper_release(k, hold(k, DOMAIN_A, "vdb"));
    end(k);
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
        TEST(debts_of_the_journal_stay),
        TEST(a_new_journal_forgives_nothing),
        TEST(a_marker_is_brought_up_to_this_boot),
        TEST(numbers_of_another_boot_are_forgotten),
        TEST(a_debt_is_a_marker_until_it_is_forgiven),
        TEST(the_last_word_counts),
        TEST(the_folder_is_made),
        TEST(a_hold_is_durable_when_it_returns),
        TEST(a_hold_outlives_the_debt),
        TEST(the_debt_outlives_a_hold),
        TEST(two_holds_of_one_disk_are_counted),
        TEST(what_cannot_be_written_is_not_held),
        TEST(a_full_disk_is_an_error),
    };

    return cmocka_run_group_tests_name("markers", tests, NULL, NULL);
}
