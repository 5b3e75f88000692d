/* test_engine_migration.c - a guest on its way to another host, or from one, under the real engine
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "scratch.h"
#include "engine-kit.h"
#include "stopd/log.h"

static void a_life(struct scratch *s, struct life *l)
{
    *l = (struct life){.path = scratch_path(s, "stopd.db")};
    world_make(l);
}

static void attach(struct life *l)
{
    life_start(l);
    life_until(l, engine_is_attached(l->engine));
}

static void assert_refused(struct life *l, const char *token)
{
    struct reply reply;

    ask_stop(l, token, &reply);
    life_until(l, reply.is_there);
    assert_int_equal(reply.code, ERROR_INSTANCE_STATUS);
    assert_non_null(strstr(reply.message, "is being migrated"));
}

/* Nothing tells of it. */
static void a_migration_that_failed_is_found_out(void **state)
{
    struct life l;
    struct reply reply;

    a_life(*state, &l);
    attach(&l);
    assert_true(simulated_migrate(l.world, l.guest));
    life_pass(&l, 5 * USEC_PER_SEC);
    assert_refused(&l, "during");
    assert_true(simulated_migrated(l.world, l.guest, false));
    life_pass(&l, 2 * USEC_PER_SEC);
    ask_stop(&l, "after", &reply);
    life_until(&l, reply.is_there && engine_unfinished(l.engine) == 0);
    assert_int_equal(reply.code, ERROR_NONE);
    assert_history(&l, "Running→Stopping Stopping→Stopped");
    life_end(&l);
}

/* A stop that saw nothing of it yet fails at its first look, and the guest has felt no button. */
static void a_migration_that_nothing_told_of_is_seen_before_the_button(void **state)
{
    struct life l;
    struct reply reply;

    a_life(*state, &l);
    attach(&l);
    l.guest->in_migration = true;
    ask_stop(&l, "once", &reply);
    life_until(&l, reply.is_there && engine_unfinished(l.engine) == 0);
    assert_int_equal(reply.code, ERROR_NONE);
    life_pass(&l, 5 * USEC_PER_SEC);
    assert_int_equal(l.guest->state, DOMAIN_RUNNING);
    assert_false(l.cut);
    assert_history(&l, "Running→Stopping Stopping→Running");
    assert_refused(&l, "again");
    life_end(&l);
}

static void a_guest_arrives(struct scratch *s, struct life *l)
{
    a_life(s, l);
    assert_true(simulated_destroy(l->world, l->guest));
    assert_true(simulated_arrive(l->world, l->guest));
    attach(l);
    life_pass(l, 5 * USEC_PER_SEC);
    assert_refused(l, "on the way");
    assert_history(l, "");
}

static void what_arrives_is_started_when_it_runs(void **state)
{
    struct life l;

    a_guest_arrives(*state, &l);
    assert_true(simulated_migrated(l.world, l.guest, true));
    life_pass(&l, 5 * USEC_PER_SEC);
    assert_history(&l, "Pending→Running");
    life_end(&l);
}

static void what_does_not_arrive_was_never_here(void **state)
{
    struct life l;

    a_guest_arrives(*state, &l);
    assert_true(simulated_migrated(l.world, l.guest, false));
    life_pass(&l, 5 * USEC_PER_SEC);
    assert_history(&l, "");
    life_end(&l);
}

static void what_left_is_not_stopped(void **state)
{
    struct life l;

    a_life(*state, &l);
    attach(&l);
    assert_true(simulated_migrate(l.world, l.guest));
    life_pass(&l, 5 * USEC_PER_SEC);
    assert_true(simulated_migrated(l.world, l.guest, true));
    life_pass(&l, 5 * USEC_PER_SEC);
    assert_history(&l, "");
    life_end(&l);
}

/* A guest that stands still on its way, before anything was ever reported of its host. */
static void a_paused_guest_leaves(struct scratch *s, struct life *l)
{
    a_life(s, l);
    assert_true(simulated_pause(l->world, l->guest));
    assert_true(simulated_migrate(l->world, l->guest));
    attach(l);
    life_pass(l, 5 * USEC_PER_SEC);
    assert_refused(l, "on the way");
}

/* Contract 4.7: it was there when the first picture was taken. */
static void what_stays_after_all_was_not_started(void **state)
{
    struct life l;

    a_paused_guest_leaves(*state, &l);
    assert_true(simulated_migrated(l.world, l.guest, false));
    assert_true(simulated_resume(l.world, l.guest));
    life_pass(&l, 5 * USEC_PER_SEC);
    assert_history(&l, "");
    assert_true(simulated_destroy(l.world, l.guest));
    life_pass(&l, 5 * USEC_PER_SEC);
    assert_history(&l, "Running→Stopped");
    life_end(&l);
}

static void what_left_paused_is_not_stopped(void **state)
{
    struct life l;

    a_paused_guest_leaves(*state, &l);
    assert_true(simulated_migrated(l.world, l.guest, true));
    life_pass(&l, 5 * USEC_PER_SEC);
    assert_history(&l, "");
    life_end(&l);
}

/* Nothing is concluded before it is told; also over a restart. */
static void which_way_it_goes_is_waited_for(void **state)
{
    struct life l;

    a_life(*state, &l);
    assert_true(simulated_pause(l.world, l.guest));
    assert_true(simulated_migrate(l.world, l.guest));
    l.guest->way = WAY_UNTOLD;
    attach(&l);
    life_pass(&l, 5 * USEC_PER_SEC);
    life_die(&l);
    attach(&l);
    life_pass(&l, 5 * USEC_PER_SEC);
    assert_history(&l, "");
    l.guest->way = WAY_OUT;
    life_pass(&l, 5 * USEC_PER_SEC);
    assert_true(simulated_migrated(l.world, l.guest, false));
    assert_true(simulated_resume(l.world, l.guest));
    life_pass(&l, 5 * USEC_PER_SEC);
    assert_history(&l, "");
    life_end(&l);
}

static void what_comes_paused_and_untold_is_started_when_it_runs(void **state)
{
    struct life l;

    a_life(*state, &l);
    assert_true(simulated_destroy(l.world, l.guest));
    attach(&l);
    life_pass(&l, USEC_PER_SEC);
    assert_true(simulated_arrive(l.world, l.guest));
    l.guest->way = WAY_UNTOLD;
    life_pass(&l, 5 * USEC_PER_SEC);
    assert_history(&l, "");
    l.guest->way = WAY_IN;
    life_pass(&l, 5 * USEC_PER_SEC);
    assert_history(&l, "");
    assert_true(simulated_migrated(l.world, l.guest, true));
    life_pass(&l, 5 * USEC_PER_SEC);
    assert_history(&l, "Stopped→Running");
    life_end(&l);
}

int main(void)
{
#define RULE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        RULE(a_migration_that_failed_is_found_out),
        RULE(a_migration_that_nothing_told_of_is_seen_before_the_button),
        RULE(what_arrives_is_started_when_it_runs),
        RULE(what_does_not_arrive_was_never_here),
        RULE(what_left_is_not_stopped),
        RULE(what_stays_after_all_was_not_started),
        RULE(what_left_paused_is_not_stopped),
        RULE(which_way_it_goes_is_waited_for),
        RULE(what_comes_paused_and_untold_is_started_when_it_runs),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
