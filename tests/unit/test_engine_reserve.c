/* test_engine_reserve.c - what lies beside the journal, on a disk that is full
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "marker-kit.h"
#include "engine-kit.h"
#include "engine/marker-keeper.h"
#include "journal/reserve.h"
#include "stopd/log.h"

#include <stdatomic.h>

#define PATIENCE (30 * USEC_PER_SEC)

static struct marker_keeper *keeper;
static atomic_bool is_full;

static void no_room(void *userdata)
{
    is_full = true;
}

static void owe(struct life *l, const struct operation *op)
{
    struct marker m = a_marker(DOMAIN_A, "vdb");

    marker_keeper_owe(keeper, &m);
}

/* Returns when the keeper has done what it was told so far, and nothing is left of the question:
 * what it removes later would be room on a disk that is full by then. */
static void wait_keeper(void **state)
{
    struct marker m = a_marker(DOMAIN_B, "vdb");
    struct marker_hold *h = NULL;
    struct error *err = NULL;

    if (marker_keeper_hold(keeper, &m, &h, &err) == 0)
        marker_keeper_release(keeper, h);
    error_free(err);
    for (usec_t since = moment_now().monotonic; is_there(state, DOMAIN_B ".vdb.json");) {
        assert_true(moment_now().monotonic - since < PATIENCE);
        usleep(1000);
    }
}

static void told_that_it_is_full(void **state, struct life *l)
{
    static const struct wipe_job none;

    wait_keeper(state);
    assert_true(is_full);
    is_full = false;
    engine_take_report(l->engine, wipe_report_new(WIPE_REPORT_NO_ROOM, &none));
    engine_turn(l->engine);
}

static long reserve_size(struct life *l)
{
    char path[200];
    struct stat st;

    snprintf(path, sizeof(path), "%s.reserve", l->path);
    return stat(path, &st) < 0 ? -1 : (long)st.st_size;
}

/* A clear is owed, and its disk has no marker yet. */
static void put_clear(struct life *l)
{
    _cleanup_(operation_free) struct operation *op = an_operation(1);

    uuid_parse(DOMAIN_A, op->domain);
    op->stage = STAGE_CLEARING;
    begin(l->journal);
    put_operation(l->journal, op);
    commit(l->journal);
}

/* A reserve is freed so that what is under way can be finished, and nothing new begins. */
static void a_marker_that_finds_no_room_gets_some_of_the_reserve(void **state)
{
    _cleanup_(freep) char *journal = NULL;
    struct error *err = NULL;
    struct life l = {.now = 1000 * USEC_PER_SEC, .owe = owe};

    if (!scratch_small_disk(*state, "size=40m"))
        skip();
    assert_int_equal(mkdir(folder(state), 0700), 0);
    assert_success(marker_keeper_new(folder(state), no_room, NULL, &keeper, &err), err);
    l.path = journal = strdup(scratch_path(*state, "stopd.db"));
    l.journal = open_journal(l.path);
    put_clear(&l);
    assert_int_equal(reserve_size(&l), RESERVE_SIZE);
    scratch_fill(*state);

    life_start(&l); /* at which the debt is told */
    wait_keeper(state);
    assert_false(is_there(state, DOMAIN_A ".vdb.json"));
    told_that_it_is_full(state, &l);
    assert_int_equal(reserve_size(&l), RESERVE_SIZE - RESERVE_PIECE);
    wait_keeper(state);
    assert_true(is_there(state, DOMAIN_A ".vdb.json"));
    assert_false(is_full);

    /* Whoever fills the disk takes that too: there is another piece, but not for each that asks. */
    scratch_fill(*state);
    told_that_it_is_full(state, &l);
    assert_int_equal(reserve_size(&l), RESERVE_SIZE - RESERVE_PIECE);
    l.now += USEC_PER_SEC;
    told_that_it_is_full(state, &l);
    assert_int_equal(reserve_size(&l), RESERVE_SIZE - 2 * RESERVE_PIECE);

    scratch_make_room(*state);
    l.now += USEC_PER_SEC;
    engine_turn(l.engine);
    assert_int_equal(reserve_size(&l), RESERVE_SIZE);
    life_end(&l);
    assert_true(marker_keeper_free(keeper, PATIENCE));
}

/* Whoever fills the disk is first to take each piece: most of the reserve is for commits. */
static void markers_leave_the_most_of_the_reserve(void **state)
{
    _cleanup_(freep) char *journal = NULL;
    struct error *err = NULL;
    struct life l = {.now = 1000 * USEC_PER_SEC, .owe = owe};
    char marker[256];

    if (!scratch_small_disk(*state, "size=40m"))
        return;
    assert_int_equal(mkdir(folder(state), 0700), 0);
    assert_success(marker_keeper_new(folder(state), no_room, NULL, &keeper, &err), err);
    l.path = journal = strdup(scratch_path(*state, "stopd.db"));
    l.journal = open_journal(l.path);
    put_clear(&l);
    life_start(&l);
    wait_keeper(state);
    snprintf(marker, sizeof(marker), "%s/" DOMAIN_A ".vdb.json", folder(state));

    /* And it is so again when it has been whole. */
    for (unsigned times = 0; times < 2; times++) {
        for (long asked = 1; asked < 20; asked++) {
            scratch_fill(*state);
            told_that_it_is_full(state, &l);
            assert_int_equal(reserve_size(&l),
                             RESERVE_SIZE - RESERVE_PIECE * (asked < 4 ? asked : 4));
            l.now += USEC_PER_SEC;
        }
        assert_int_equal(unlink(marker), 0);
        scratch_make_room(*state);
        l.now += USEC_PER_SEC;
        engine_turn(l.engine);
        assert_int_equal(reserve_size(&l), RESERVE_SIZE);
        /* What may have gone without is told of then. */
        wait_keeper(state);
        assert_true(is_there(state, DOMAIN_A ".vdb.json"));
    }
    life_end(&l);
    assert_true(marker_keeper_free(keeper, PATIENCE));
}

int main(void)
{
#define RULE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        RULE(a_marker_that_finds_no_room_gets_some_of_the_reserve),
        RULE(markers_leave_the_most_of_the_reserve),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
