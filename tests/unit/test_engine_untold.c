/* test_engine_untold.c - what the hypervisor cannot tell of, under the real engine */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "scratch.h"
#include "engine-kit.h"
#include "stopd/log.h"

static void assert_answered(struct life *l, const char *token, bool by_force, enum error_code code)
{
    struct reply reply;

    ask_stop_with(l, 1, token, "ForceStop", by_force ? "true" : "false", &reply);
    life_until(l, reply.is_there);
    assert_string_equal(error_name(reply.code), error_name(code));
}

/* One that runs, and of which a look can tell nothing any more. */
static void a_guest_in_the_dark(struct scratch *s, struct life *l)
{
    *l = (struct life){.path = scratch_path(s, "stopd.db")};
    world_make(l);
    life_start(l);
    life_until(l, engine_is_attached(l->engine));
    life_pass(l, USEC_PER_SEC);
    l->guest->manners.is_unreadable = true;
    engine_take_hint(l->engine, l->guest->definition->uuid);
    life_pass(l, USEC_PER_SEC);
}

/* Contract 4.1: nothing is asked of a guest that nobody can see, and its process proves that it is
 * on. */
static void what_runs_in_the_dark_is_stopped_by_force_alone(void **state)
{
    struct life l;

    a_guest_in_the_dark(*state, &l);
    assert_answered(&l, "soft", false, ERROR_UNAVAILABLE);
    assert_answered(&l, "forced", true, ERROR_NONE);
    life_until(&l, l.cut);
    l.guest->manners.is_unreadable = false;
    life_until(&l, engine_unfinished(l.engine) == 0);
    assert_history(&l, "Running→Stopping Stopping→Stopped");
    life_end(&l);
}

/* Unknown is not off, and not on either. */
static void what_is_not_proved_to_run_is_not_stopped(void **state)
{
    struct life l;

    a_guest_in_the_dark(*state, &l);
    l.guest->manners.fate_is_unprovable = true;
    assert_answered(&l, "unprovable", true, ERROR_UNAVAILABLE);
    l.guest->manners.fate_is_unprovable = false;
    assert_true(simulated_kill(l.world, l.guest, END_CRASHED));
    life_pass(&l, USEC_PER_SEC);
    assert_answered(&l, "gone", true, ERROR_UNAVAILABLE);
    assert_true(simulated_start(l.world, l.guest));
    life_pass(&l, USEC_PER_SEC);
    assert_answered(&l, "another run", true, ERROR_UNAVAILABLE);
    l.guest->manners.is_unreadable = false;
    life_pass(&l, 60 * USEC_PER_SEC);
    assert_history(&l, "Running→Stopped Stopped→Running");
    life_end(&l);
}

/* What was seen to leave may run elsewhere. */
static void what_migrates_in_the_dark_is_not_stopped(void **state)
{
    struct life l;

    a_guest_in_the_dark(*state, &l);
    l.guest->manners.is_unreadable = false;
    assert_true(simulated_migrate(l.world, l.guest));
    life_pass(&l, 60 * USEC_PER_SEC);
    l.guest->manners.is_unreadable = true;
    life_pass(&l, 60 * USEC_PER_SEC);
    assert_answered(&l, "on the way", true, ERROR_UNAVAILABLE);
    life_end(&l);
}

int main(void)
{
#define RULE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        RULE(what_runs_in_the_dark_is_stopped_by_force_alone),
        RULE(what_is_not_proved_to_run_is_not_stopped),
        RULE(what_migrates_in_the_dark_is_not_stopped),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
