/* test_stop_migration.c - a stop while its domain is on its way to another host */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "stop-kit.h"

/* In migration, with the guest on its way to reboot if it could. */
static void seen_migrating(struct stop *s, enum domain_state as)
{
    seen_as(s, .state = as, .in_migration = true, .incarnation = first_run,
            .remembered = PROCESS_ALIVE, .lifecycle = {LIFECYCLE_DESTROY, LIFECYCLE_RESTART});
}

static void in_migration_before_the_first_button_it_is_refused(void **state)
{
    const enum domain_state as[] = {DOMAIN_RUNNING, DOMAIN_PAUSED};

    for (size_t i = 0; i < ELEMENTSOF(as); i++) {
        A_STOP = a_soft_stop(.on_timeout = ON_TIMEOUT_FORCE);

        seen_migrating(s, as[i]);
        seen_migrating(s, as[i]);
        assert_failed_with(s, ERROR_INSTANCE_STATUS);
        assert_reported(s, "Stopping→Running (" REFUSED_IN_MIGRATION "); ");
        assert_never(s, EFFECT_PRESS | EFFECT_CUT | EFFECT_RESTORE);
    }
}

/* Nothing tells that it has failed, and until that is seen a power cut is refused. */
static void in_migration_a_queued_stop_looks_how_that_ends(void **state)
{
    A_STOP = a_stop();

    seen_migrating(s, DOMAIN_RUNNING);
    after(s, seconds(10));
    assert_wants(s, EFFECT_LOOK);
    assert_never(s, EFFECT_PRESS | EFFECT_CUT);
    assert_stage(s, STAGE_QUEUED);
}

/* No button could be pressed meanwhile, so none of its time is the guest's. */
static void in_migration_the_grace_stands_still(void **state)
{
    A_STOP = a_soft_stop(.on_timeout = ON_TIMEOUT_FORCE, .grace = seconds(60));

    button_accepted(s);
    after(s, seconds(5));
    seen_migrating(s, DOMAIN_RUNNING);
    s->ever = 0;
    for (unsigned i = 0; i < 300; i++) {
        after(s, seconds(1));
        assert_wants(s, EFFECT_LOOK);
        seen_migrating(s, i < 250 ? DOMAIN_RUNNING : DOMAIN_PAUSED);
    }
    assert_never(s, EFFECT_PRESS | EFFECT_CUT);
    assert_true(is_set(s->op->detail));

    seen(s, DOMAIN_RUNNING);
    assert_false(is_set(s->op->detail));
    assert_wants(s, EFFECT_PRESS);
    button_accepted(s);
    after(s, seconds(54));
    assert_never(s, EFFECT_CUT);
    after(s, seconds(1));
    assert_wants(s, EFFECT_CUT);
}

static void a_grace_goes_on_where_a_migration_leaves_the_guest_frozen(void **state)
{
    A_STOP = a_soft_stop(.on_timeout = ON_TIMEOUT_FORCE, .grace = seconds(60));

    button_accepted(s);
    after(s, seconds(5));
    seen_migrating(s, DOMAIN_RUNNING);
    after(s, seconds(300));
    seen(s, DOMAIN_PAUSED);
    after(s, seconds(54));
    assert_never(s, EFFECT_CUT);
    after(s, seconds(1));
    assert_wants(s, EFFECT_CUT);
}

static void in_migration_no_power_is_cut(void **state)
{
    A_STOP = a_forced_stop();

    answered(s, EFFECT_CUT, IN_CUT_FAILED, ERROR_NOT_RUNNING);
    s->ever = 0;
    for (unsigned i = 0; i < 100; i++) {
        seen_migrating(s, DOMAIN_RUNNING);
        after(s, seconds(1));
    }
    assert_never(s, EFFECT_CUT);
    seen(s, DOMAIN_RUNNING);
    assert_wants(s, EFFECT_CUT);
}

/* The command was weighed by an earlier picture. */
static void forced_in_migration_it_looks_before_it_cuts(void **state)
{
    A_STOP = a_soft_stop();

    button_accepted(s);
    seen_migrating(s, DOMAIN_RUNNING);
    happens(s, .kind = IN_FORCE, .request_id = "AB", .principal = "tester");
    assert_never(s, EFFECT_CUT);
    seen_migrating(s, DOMAIN_RUNNING);
    assert_never(s, EFFECT_CUT);
    seen(s, DOMAIN_RUNNING);
    assert_wants(s, EFFECT_CUT);
}

static void given_up_in_migration_it_is_put_back_when_that_has_ended(void **state)
{
    A_STOP = a_soft_stop();

    button_accepted(s);
    seen_migrating(s, DOMAIN_RUNNING);
    happens(s, .kind = IN_CANCEL, .principal = "tester");
    seen_migrating(s, DOMAIN_RUNNING);
    after(s, seconds(100));
    seen_migrating(s, DOMAIN_RUNNING);
    assert_never(s, EFFECT_RESTORE);
    seen(s, DOMAIN_RUNNING);
    assert_wants(s, EFFECT_RESTORE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_migration_before_the_first_button_it_is_refused),
        cmocka_unit_test(in_migration_a_queued_stop_looks_how_that_ends),
        cmocka_unit_test(in_migration_the_grace_stands_still),
        cmocka_unit_test(a_grace_goes_on_where_a_migration_leaves_the_guest_frozen),
        cmocka_unit_test(in_migration_no_power_is_cut),
        cmocka_unit_test(forced_in_migration_it_looks_before_it_cuts),
        cmocka_unit_test(given_up_in_migration_it_is_put_back_when_that_has_ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
