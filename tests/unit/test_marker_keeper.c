/* test_marker_keeper.c - debts and helpers keep markers, in the order in which it is told of them
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "engine/marker-keeper.h"

#include <stdatomic.h>

#include "marker-kit.h"

#define PATIENCE (30 * USEC_PER_SEC)

static atomic_uint n_full;

static void no_room(void *userdata)
{
    atomic_fetch_add((atomic_uint *)userdata, 1);
}

static struct marker_keeper *start(void **state)
{
    struct marker_keeper *k = NULL;
    struct error *err = NULL;

    if (marker_keeper_new(folder(state), no_room, &n_full, &k, &err) < 0)
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
        skip();
    }
    k = start(state);
    scratch_fill(*state);
    n_full = 0;
    assert_int_not_equal(marker_keeper_hold(k, &m, &h, &err), 0);
    assert_int_equal(error_code_of(err), ERROR_NO_ROOM);
    assert_int_equal(n_full, 1);
    owe(k, DOMAIN_A, "vdb");
    forgive(k, DOMAIN_A);
    m = a_marker(DOMAIN_A, "vdb");
    error_free(take(err));
    assert_int_not_equal(marker_keeper_hold(k, &m, &h, &err), 0);
    assert_int_equal(n_full, 3);
    assert_int_equal(count(state), 0);
    scratch_make_room(*state);
    marker_keeper_release(k, hold(k, DOMAIN_A, "vdb"));
    end(k);
}

/* Nobody can make it by giving blocks away. */
static void room_of_another_kind_is_not_asked_for(void **state)
{
    struct marker_keeper *k;
    struct marker m = a_marker(DOMAIN_A, "vdb");
    struct marker_hold *h = NULL;
    _cleanup_(error_free) struct error *err = NULL;

    if (!scratch_small_disk(*state, "size=8m,nr_inodes=3")) {
        marker_clear(&m);
        return;
    }
    k = start(state);
    scratch_write(scratch_path(*state, "another"), "", 0);
    n_full = 0;
    assert_int_not_equal(marker_keeper_hold(k, &m, &h, &err), 0);
    assert_int_equal(error_code_of(err), ERROR_IO);
    assert_non_null(strstr(err->message, "inodes"));
    assert_non_null(strstr(err->message, strerror(ENOSPC)));
    assert_int_equal(n_full, 0);
    assert_int_equal(unlink(scratch_path(*state, "another")), 0);
    marker_keeper_release(k, hold(k, DOMAIN_A, "vdb"));
    end(k);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_debt_is_a_marker_until_it_is_forgiven),
        TEST(the_last_word_counts),
        TEST(the_folder_is_made),
        TEST(a_hold_is_durable_when_it_returns),
        TEST(a_hold_outlives_the_debt),
        TEST(the_debt_outlives_a_hold),
        TEST(two_holds_of_one_disk_are_counted),
        TEST(what_cannot_be_written_is_not_held),
        TEST(a_full_disk_is_an_error),
        TEST(room_of_another_kind_is_not_asked_for),
    };

    return cmocka_run_group_tests_name("marker keeper", tests, NULL, NULL);
}
