/* test_stop_lock.c - an operation lock that is set after a stop was accepted, and the command's
 * word that it is overridden (contract 3) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "stop-kit.h"

/* --- What a look shows ------------------------------------------------------------------------ */

static void shown(struct stop *s, const struct sighting *seen, char *reason)
{
    const struct instance definition = {.locks = &reason, .n_locks = 1};

    s->wanted &= ~(unsigned)EFFECT_LOOK;
    happens(s, .kind = sighting_weigh(seen, &s->op->incarnation, s->op->has_processes),
            .sighting = seen, .definition = &definition);
}

static void seen_with(struct stop *s, enum domain_state state, const char *reason)
{
    const struct sighting seen = {.state = state,
                                  .incarnation = first_run,
                                  .remembered = PROCESS_ALIVE,
                                  .lifecycle = {LIFECYCLE_DESTROY, LIFECYCLE_RESTART}};

    shown(s, &seen, (char *)reason);
}

static void seen_locked(struct stop *s, enum domain_state state)
{
    seen_with(s, state, "security");
}

static void seen_locked_and_off(struct stop *s)
{
    const struct sighting off = {
        .state = DOMAIN_OFF, .cause = END_SHUTDOWN, .remembered = PROCESS_ENDED};

    shown(s, &off, (char *)"security");
}

#define WHY "The instance was locked for security reasons after its stop was accepted."

/* It is given up, and once more looked at before Running is said. */
static void assert_refused(struct stop *s)
{
    assert_stage(s, STAGE_RELENTING);
    assert_wants(s, EFFECT_LOOK);
    assert_false(s->wanted & (EFFECT_PRESS | EFFECT_CUT | EFFECT_WAKE));
    seen_locked(s, DOMAIN_RUNNING);
    assert_failed_with(s, ERROR_LOCKED_FOR_SECURITY);
    assert_string_equal(error_public_code(s->op->error), "InstanceLockedForSecurity");
    assert_reported(s, "Stopping→Running (" WHY "); ");
}

/* --- Before anything has been done ------------------------------------------------------------ */

static void a_lock_before_the_first_button_ends_the_stop(void **state)
{
    static const enum domain_state states[] = {DOMAIN_RUNNING, DOMAIN_PMSUSPENDED, DOMAIN_CRASHED,
                                               DOMAIN_ENDING};

    for (size_t i = 0; i < ELEMENTSOF(states); i++) {
        A_STOP = a_soft_stop(.on_timeout = ON_TIMEOUT_FORCE);

        seen_locked(s, states[i]);
        assert_refused(s);
        assert_never(s, EFFECT_PRESS | EFFECT_CUT | EFFECT_WAKE | EFFECT_CLEAR);
    }
}

static void only_the_reason_security_does(void **state)
{
    A_STOP = a_soft_stop();

    seen_with(s, DOMAIN_RUNNING, "financial");
    assert_wants(s, EFFECT_PRESS);
}

static void a_lock_after_a_refused_button_ends_the_stop(void **state)
{
    A_STOP = a_soft_stop();

    seen(s, DOMAIN_RUNNING);
    answered(s, EFFECT_PRESS, IN_PRESS_FAILED, ERROR_INTERNAL);
    seen_locked(s, DOMAIN_RUNNING);
    assert_stage(s, STAGE_RELENTING);
    assert_false(s->wanted & EFFECT_PRESS);
}

static void a_lock_while_it_waits_is_held_against_it_when_its_turn_comes(void **state)
{
    A_STOP = a_stop();

    seen_locked(s, DOMAIN_RUNNING);
    assert_stage(s, STAGE_QUEUED);
    admitted(s);
    seen_locked(s, DOMAIN_RUNNING);
    assert_refused(s);
    assert_never(s, EFFECT_PRESS);
}

/* A look's result says that no act is out. */
static void a_lock_that_a_look_brings_before_the_cut_goes_out_ends_the_stop(void **state)
{
    static const enum domain_state states[] = {DOMAIN_RUNNING, DOMAIN_PAUSED, DOMAIN_PMSUSPENDED,
                                               DOMAIN_CRASHED, DOMAIN_ENDING};

    for (size_t i = 0; i < ELEMENTSOF(states); i++) {
        A_STOP = a_forced_stop();

        assert_wants(s, EFFECT_CUT);
        seen_locked(s, states[i]);
        assert_refused(s);
    }
}

static void nor_does_it_go_out_behind_a_migration(void **state)
{
    const struct sighting migrating = {.state = DOMAIN_RUNNING,
                                       .in_migration = true,
                                       .incarnation = first_run,
                                       .remembered = PROCESS_ALIVE};
    A_STOP = a_forced_stop();

    shown(s, &migrating, (char *)"security");
    assert_refused(s);
}

static void a_power_cut_of_what_is_known_to_be_locked_is_looked_at_first(void **state)
{
    A_STOP = a_stop(.force = true);
    char *reason = (char *)"security";
    const struct instance definition = {.locks = &reason, .n_locks = 1};

    happens(s, .kind = IN_ADMITTED, .definition = &definition);
    assert_wants(s, EFFECT_LOOK);
    seen_locked(s, DOMAIN_RUNNING);
    assert_refused(s);
    assert_never(s, EFFECT_CUT);
}

static void but_one_that_is_locked_no_more_is_cut(void **state)
{
    A_STOP = a_stop(.force = true);
    char *reason = (char *)"security";
    const struct instance definition = {.locks = &reason, .n_locks = 1};

    happens(s, .kind = IN_ADMITTED, .definition = &definition);
    seen(s, DOMAIN_RUNNING);
    assert_wants(s, EFFECT_CUT);
}

/* --- Where it changes nothing ----------------------------------------------------------------- */

static void once_a_button_was_taken_a_lock_changes_nothing(void **state)
{
    A_STOP = a_soft_stop(.on_timeout = ON_TIMEOUT_FORCE, .grace = seconds(60));

    button_accepted(s);
    seen_locked(s, DOMAIN_RUNNING);
    assert_stage(s, STAGE_SHUTTING_DOWN);
    after(s, seconds(60));
    assert_wants(s, EFFECT_CUT);
    answered(s, EFFECT_CUT, IN_CUT, ERROR_NONE);
    seen_locked_and_off(s);
    assert_outcome(s, OUTCOME_STOPPED);
}

static void once_a_cut_is_out_a_lock_changes_nothing(void **state)
{
    A_STOP = a_forced_stop();

    answered(s, EFFECT_CUT, IN_CUT_FAILED, ERROR_UNKNOWN);
    seen_locked(s, DOMAIN_RUNNING);
    assert_stage(s, STAGE_FORCING);
    after(s, seconds(10));
    seen_locked(s, DOMAIN_RUNNING);
    assert_wants(s, EFFECT_CUT);
}

/* Whether a cut that the journal knows of went out nobody can tell. */
static void nor_after_a_restart_behind_one_that_may_be(void **state)
{
    A_STOP = a_forced_stop();

    restarted(s);
    seen_locked(s, DOMAIN_RUNNING);
    assert_stage(s, STAGE_FORCING);
    assert_wants(s, EFFECT_CUT);
}

static void what_is_off_has_stopped_by_itself(void **state)
{
    for (unsigned i = 0; i < 2; i++) {
        A_STOP = a_stop();

        if (i == 1)
            admitted(s);
        seen_locked_and_off(s);
        assert_outcome(s, OUTCOME_STOPPED);
        assert_reported(s, "Stopping→Stopped (guest shut down by itself); ");
    }
}

/* --- Overridden ------------------------------------------------------------------------------- */

static void a_command_that_overrode_locks_goes_on_also_after_a_restart(void **state)
{
    A_STOP = a_stop();

    s->op->lock_overridden = true;
    admitted(s);
    restarted(s);
    seen_locked(s, DOMAIN_RUNNING);
    assert_wants(s, EFFECT_PRESS);
}

static void and_one_that_did_not_is_held_to_it_after_a_restart(void **state)
{
    A_STOP = a_soft_stop();

    restarted(s);
    seen_locked(s, DOMAIN_RUNNING);
    assert_refused(s);
}

static void a_force_command_that_overrides_locks_goes_on(void **state)
{
    A_STOP = a_soft_stop();

    seen_locked(s, DOMAIN_RUNNING);
    assert_stage(s, STAGE_RELENTING);
    happens(s, .kind = IN_FORCE, .request_id = "0C2AD9C6-7F4E-4B5C-8E0B-1D6E0E0F3A10",
            .principal = "root", .overrides_lock = true);
    seen_locked(s, DOMAIN_RUNNING);
    assert_stage(s, STAGE_FORCING);
    assert_wants(s, EFFECT_CUT);
}

static void one_that_does_not_is_held_up_as_well(void **state)
{
    A_STOP = a_soft_stop();

    happens(s, .kind = IN_FORCE, .request_id = "0C2AD9C6-7F4E-4B5C-8E0B-1D6E0E0F3A10",
            .principal = "another");
    seen_locked(s, DOMAIN_RUNNING);
    assert_refused(s);
}

/* --- An act that follows no look -------------------------------------------------------------- */

/* A button right behind a look need not ask again; one that was refused and is pressed again does.
 * Once a button was taken nobody asks. */
static void an_act_that_follows_no_look_heeds_locks(void **state)
{
    A_STOP = a_soft_stop();

    seen(s, DOMAIN_RUNNING);
    assert_true(operation_heeds_lock(s->op, s->op->acting) && !s->op->is_blind);
    answered(s, EFFECT_PRESS, IN_PRESS_FAILED, ERROR_UNKNOWN);
    after(s, seconds(1));
    assert_wants(s, EFFECT_PRESS);
    assert_true(operation_heeds_lock(s->op, s->op->acting) && s->op->is_blind);
    button_accepted(s);
    assert_false(operation_heeds_lock(s->op, s->op->acting));
}

static void and_so_does_the_first_cut(void **state)
{
    A_STOP = a_forced_stop();

    assert_wants(s, EFFECT_CUT);
    assert_true(operation_heeds_lock(s->op, s->op->acting) && s->op->is_blind);
}

static void a_button_again_that_finds_a_lock_ends_the_stop(void **state)
{
    A_STOP = a_soft_stop();

    seen(s, DOMAIN_RUNNING);
    answered(s, EFFECT_PRESS, IN_PRESS_FAILED, ERROR_UNKNOWN);
    after(s, seconds(1));
    answered(s, EFFECT_PRESS, IN_PRESS_FAILED, ERROR_LOCKED_FOR_SECURITY);
    assert_stage(s, STAGE_RELENTING);
    assert_int_equal(s->op->error, ERROR_LOCKED_FOR_SECURITY);
}

/* Nothing was cut: whoever ends the guest next is not this stop. */
static void a_cut_that_finds_a_lock_ends_the_stop(void **state)
{
    A_STOP = a_forced_stop();

    answered(s, EFFECT_CUT, IN_CUT_FAILED, ERROR_LOCKED_FOR_SECURITY);
    assert_int_equal(s->op->cuts, 0);
    assert_refused(s);
}

/* Its button was out when the power was to be cut: half a stop is worse than one that goes on. */
static void a_button_that_was_taken_late_counts(void **state)
{
    A_STOP = a_soft_stop();

    seen(s, DOMAIN_RUNNING);
    happens(s, .kind = IN_FORCE, .request_id = "0C2AD9C6-7F4E-4B5C-8E0B-1D6E0E0F3A10",
            .principal = "another");
    assert_stage(s, STAGE_FORCING);
    happens(s, .kind = IN_PRESSED);
    assert_false(operation_heeds_lock(s->op, s->op->acting));
}

/* … and so does one that was out when its stop was cancelled, if that is to be forced after all. */
static void a_button_that_was_taken_behind_a_cancel_counts(void **state)
{
    A_STOP = a_soft_stop();

    seen(s, DOMAIN_RUNNING);
    happens(s, .kind = IN_CANCEL, .principal = "tester");
    happens(s, .kind = IN_PRESSED);
    assert_stage(s, STAGE_RELENTING);
    happens(s, .kind = IN_FORCE, .request_id = "0C2AD9C6-7F4E-4B5C-8E0B-1D6E0E0F3A10",
            .principal = "another");
    assert_stage(s, STAGE_FORCING);
    assert_false(operation_heeds_lock(s->op, s->op->acting));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lock_before_the_first_button_ends_the_stop),
        cmocka_unit_test(only_the_reason_security_does),
        cmocka_unit_test(a_lock_after_a_refused_button_ends_the_stop),
        cmocka_unit_test(a_lock_while_it_waits_is_held_against_it_when_its_turn_comes),
        cmocka_unit_test(a_lock_that_a_look_brings_before_the_cut_goes_out_ends_the_stop),
        cmocka_unit_test(nor_does_it_go_out_behind_a_migration),
        cmocka_unit_test(a_power_cut_of_what_is_known_to_be_locked_is_looked_at_first),
        cmocka_unit_test(but_one_that_is_locked_no_more_is_cut),
        cmocka_unit_test(once_a_button_was_taken_a_lock_changes_nothing),
        cmocka_unit_test(once_a_cut_is_out_a_lock_changes_nothing),
        cmocka_unit_test(nor_after_a_restart_behind_one_that_may_be),
        cmocka_unit_test(what_is_off_has_stopped_by_itself),
        cmocka_unit_test(a_command_that_overrode_locks_goes_on_also_after_a_restart),
        cmocka_unit_test(and_one_that_did_not_is_held_to_it_after_a_restart),
        cmocka_unit_test(a_force_command_that_overrides_locks_goes_on),
        cmocka_unit_test(one_that_does_not_is_held_up_as_well),
        cmocka_unit_test(an_act_that_follows_no_look_heeds_locks),
        cmocka_unit_test(and_so_does_the_first_cut),
        cmocka_unit_test(a_button_again_that_finds_a_lock_ends_the_stop),
        cmocka_unit_test(a_cut_that_finds_a_lock_ends_the_stop),
        cmocka_unit_test(a_button_that_was_taken_late_counts),
        cmocka_unit_test(a_button_that_was_taken_behind_a_cancel_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
