/* test_stop.c - the stop, rule by rule of the contract's section 4 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "stop-kit.h"

#define A_STOP _cleanup_(stop_free) struct stop *s

/* --- 4.1: no power cut without consent ------------------------------------------------------- */

static void grace_over_without_consent_gives_up(void **state)
{
    A_STOP = a_soft_stop(.on_timeout = ON_TIMEOUT_FAIL, .grace = seconds(60));

    button_accepted(s);
    after(s, seconds(60));
    answered(s, EFFECT_RESTORE, IN_RESTORED, ERROR_NONE);
    assert_failed_with(s, ERROR_GRACE_OVER);
    assert_never(s, EFFECT_CUT);
    assert_reported(s, "Stopping→Running (The guest did not shut down within 60 s, and nobody "
                       "consented to a power cut.); ");
}

static void grace_over_with_consent_cuts_the_power(void **state)
{
    A_STOP = a_soft_stop(.on_timeout = ON_TIMEOUT_FORCE, .grace = seconds(60));

    button_accepted(s);
    after(s, seconds(60) - 1);
    assert_never(s, EFFECT_CUT);
    after(s, 1);
    assert_wants(s, EFFECT_CUT);
    answered(s, EFFECT_CUT, IN_CUT, ERROR_NONE);
    seen_off(s, END_DESTROYED);
    assert_outcome(s, OUTCOME_STOPPED);
    assert_reported(s, "Stopping→Stopped (power cut); ");
}

static void the_grace_runs_from_the_first_button_that_was_taken(void **state)
{
    A_STOP = a_soft_stop(.on_timeout = ON_TIMEOUT_FORCE, .grace = seconds(60));

    seen(s, DOMAIN_RUNNING);
    for (unsigned i = 0; i < 5; i++) {
        answered(s, EFFECT_PRESS, IN_PRESS_FAILED, ERROR_UNKNOWN);
        after(s, seconds(10));
    }
    assert_never(s, EFFECT_CUT);
    answered(s, EFFECT_PRESS, IN_PRESSED, ERROR_NONE);
    after(s, seconds(59));
    assert_never(s, EFFECT_CUT);
    after(s, seconds(1));
    assert_wants(s, EFFECT_CUT);
}

static unsigned count_presses(struct stop *s, usec_t time, enum error_code code)
{
    unsigned n = 0;

    for (usec_t passed = 0; passed < time && s->op->stage == STAGE_SHUTTING_DOWN;
         passed += USEC_PER_MSEC * 100) {
        if (s->wanted & EFFECT_PRESS) {
            n++;
            answered(s, EFFECT_PRESS, IN_PRESS_FAILED, code);
        }
        if (s->wanted & EFFECT_LOOK)
            seen(s, DOMAIN_RUNNING);
        after(s, USEC_PER_MSEC * 100);
    }
    return n;
}

/* Contract 4.5: it ends. 4.1: the time-out that was consented to is the guest's. */
static void a_button_that_is_refused_throughout_fails_the_stop_and_cuts_nothing(void **state)
{
    A_STOP = a_soft_stop(.on_timeout = ON_TIMEOUT_FORCE, .grace = seconds(60));
    unsigned presses;

    seen(s, DOMAIN_RUNNING);
    presses = count_presses(s, seconds(600), ERROR_UNKNOWN);
    assert_in_range(presses, 5, 20);
    assert_stage(s, STAGE_RELENTING);
    seen(s, DOMAIN_RUNNING);
    if (s->wanted & EFFECT_RESTORE)
        answered(s, EFFECT_RESTORE, IN_RESTORED, ERROR_NONE);
    assert_failed_with(s, ERROR_BUTTON_REFUSED);
    assert_non_null(strstr(s->op->error_message, "the hypervisor says no"));
    assert_never(s, EFFECT_CUT);
}

static void the_time_in_which_it_is_refused_stands_still_as_the_grace_does(void **state)
{
    A_STOP = a_soft_stop(.grace = seconds(60));

    seen(s, DOMAIN_RUNNING);
    count_presses(s, seconds(50), ERROR_UNKNOWN);
    assert_stage(s, STAGE_SHUTTING_DOWN);
    happens(s, .kind = IN_DETACHED);
    after(s, seconds(10000));
    happens(s, .kind = IN_ATTACHED);
    seen(s, DOMAIN_RUNNING);
    assert_stage(s, STAGE_SHUTTING_DOWN);
}

static void a_guest_that_cannot_be_woken_fails_the_stop(void **state)
{
    A_STOP = a_soft_stop(.grace = seconds(60));

    for (unsigned i = 0; i < 100 && s->op->stage == STAGE_SHUTTING_DOWN; i++) {
        seen(s, DOMAIN_PMSUSPENDED);
        answered(s, EFFECT_WAKE, IN_WOKEN, ERROR_UNKNOWN);
        after(s, seconds(1));
    }
    seen(s, DOMAIN_PMSUSPENDED);
    assert_failed_with(s, ERROR_BUTTON_REFUSED);
    assert_never(s, EFFECT_PRESS);
}

static void a_later_button_does_not_lengthen_the_grace(void **state)
{
    A_STOP = a_soft_stop(.on_timeout = ON_TIMEOUT_FORCE, .grace = seconds(25));

    button_accepted(s);
    after(s, seconds(10));
    answered(s, EFFECT_PRESS, IN_PRESSED, ERROR_NONE);
    after(s, seconds(10));
    answered(s, EFFECT_PRESS, IN_PRESSED, ERROR_NONE);
    after(s, seconds(5));
    assert_wants(s, EFFECT_CUT);
}

static void the_grace_stands_still_while_the_hypervisor_is_away(void **state)
{
    A_STOP = a_soft_stop(.on_timeout = ON_TIMEOUT_FORCE, .grace = seconds(60));

    button_accepted(s);
    after(s, seconds(20));
    happens(s, .kind = IN_DETACHED);
    after(s, seconds(86400));
    happens(s, .kind = IN_ATTACHED);
    assert_never(s, EFFECT_CUT);
    after(s, seconds(40) - 1);
    assert_never(s, EFFECT_CUT);
    after(s, 1);
    assert_wants(s, EFFECT_CUT);
}

static void the_grace_stands_still_while_stopd_is_away(void **state)
{
    A_STOP = a_soft_stop(.on_timeout = ON_TIMEOUT_FORCE, .grace = seconds(60));

    button_accepted(s);
    after(s, seconds(10));
    answered(s, EFFECT_PRESS, IN_PRESSED, ERROR_NONE); /* what is left is written with it */
    after(s, seconds(3));
    restarted(s);
    after(s, seconds(50) - 1);
    assert_never(s, EFFECT_CUT);
    after(s, 1);
    assert_wants(s, EFFECT_CUT);
}

/* A guest that froze on the way takes no more buttons; its grace goes on all the same. */
static void the_grace_goes_on_after_an_outage_without_another_button(void **state)
{
    A_STOP = a_soft_stop(.grace = seconds(60));

    button_accepted(s);
    after(s, seconds(20));
    happens(s, .kind = IN_DETACHED);
    happens(s, .kind = IN_ATTACHED);
    seen(s, DOMAIN_PAUSED);
    after(s, seconds(40));
    assert_stage(s, STAGE_RELENTING);
}

static void a_forced_stop_cuts_at_once(void **state)
{
    A_STOP = a_forced_stop();

    assert_stage(s, STAGE_FORCING);
    assert_wants(s, EFFECT_CUT);
    assert_never(s, EFFECT_PRESS);
}

static void a_force_command_turns_a_soft_stop_into_a_power_cut(void **state)
{
    A_STOP = a_soft_stop();

    button_accepted(s);
    happens(s, .kind = IN_FORCE, .request_id = "0C2AD9C6-7F4E-4B5C-8E0B-1D6E0E0F3A10",
            .principal = "another");
    assert_stage(s, STAGE_FORCING);
    assert_wants(s, EFFECT_CUT);
    assert_true(s->op->force_stop);
    assert_string_equal(s->op->forced_by, "0C2AD9C6-7F4E-4B5C-8E0B-1D6E0E0F3A10");
}

static void a_force_command_overtakes_a_cancel(void **state)
{
    A_STOP = a_soft_stop();

    button_accepted(s);
    happens(s, .kind = IN_CANCEL, .principal = "tester");
    happens(s, .kind = IN_FORCE, .request_id = "0C2AD9C6-7F4E-4B5C-8E0B-1D6E0E0F3A10",
            .principal = "another");
    assert_wants(s, EFFECT_CUT);
    seen_off(s, END_DESTROYED);
    assert_outcome(s, OUTCOME_STOPPED);
    assert_int_equal(s->op->error, ERROR_NONE);
}

/* Nothing runs in it that a power cut could lose. */
static void a_guest_that_has_crashed_is_ended(void **state)
{
    A_STOP = a_soft_stop(.on_timeout = ON_TIMEOUT_FAIL);

    button_accepted(s);
    seen(s, DOMAIN_CRASHED);
    assert_wants(s, EFFECT_CUT);
}

static void but_not_once_somebody_has_reset_it(void **state)
{
    A_STOP = a_soft_stop(.on_timeout = ON_TIMEOUT_FAIL);

    button_accepted(s);
    seen(s, DOMAIN_CRASHED);
    answered(s, EFFECT_CUT, IN_CUT_FAILED, ERROR_UNKNOWN);
    s->ever = 0;
    seen(s, DOMAIN_RUNNING);
    assert_stage(s, STAGE_SHUTTING_DOWN);
    after(s, seconds(30));
    assert_never(s, EFFECT_CUT);
}

/* --- The button ------------------------------------------------------------------------------ */

static void the_button_is_pressed_again_every_resend(void **state)
{
    A_STOP = a_soft_stop(.resend = seconds(10));

    button_accepted(s);
    after(s, seconds(10) - 1);
    assert_false(s->wanted & EFFECT_PRESS);
    after(s, 1);
    assert_wants(s, EFFECT_PRESS);
    answered(s, EFFECT_PRESS, IN_PRESSED, ERROR_NONE);
    assert_int_equal(s->op->presses, 2);
}

static void no_button_is_pressed_while_one_is_on_its_way(void **state)
{
    A_STOP = a_soft_stop();

    seen(s, DOMAIN_RUNNING);
    s->wanted = 0;
    seen(s, DOMAIN_RUNNING);
    assert_false(s->wanted & EFFECT_PRESS);
}

static void a_queued_stop_presses_nothing(void **state)
{
    A_STOP = a_stop();

    seen(s, DOMAIN_RUNNING);
    after(s, seconds(1000));
    assert_never(s, EFFECT_PRESS);
    assert_stage(s, STAGE_QUEUED);
}

static void a_paused_guest_cannot_answer(void **state)
{
    A_STOP = a_soft_stop();

    seen(s, DOMAIN_PAUSED);
    assert_wants(s, EFFECT_LOOK);
    seen(s, DOMAIN_PAUSED);
    assert_failed_with(s, ERROR_INSTANCE_STATUS);
    assert_never(s, EFFECT_PRESS);
}

static void a_suspended_guest_is_woken_first(void **state)
{
    A_STOP = a_soft_stop();

    seen(s, DOMAIN_PMSUSPENDED);
    assert_wants(s, EFFECT_WAKE);
    happens(s, .kind = IN_WOKEN);
    seen(s, DOMAIN_RUNNING);
    assert_wants(s, EFFECT_PRESS);
}

static void the_agent_has_one_turn_then_acpi(void **state)
{
    A_STOP = a_soft_stop(.method = METHOD_AGENT_ACPI);

    assert_int_equal(operation_button(s->op), BUTTON_AGENT);
    button_accepted(s);
    assert_int_equal(operation_button(s->op), BUTTON_ACPI);
}

static void an_absent_agent_gives_way_at_once(void **state)
{
    A_STOP = a_soft_stop(.method = METHOD_AGENT_ACPI);

    seen(s, DOMAIN_RUNNING);
    answered(s, EFFECT_PRESS, IN_PRESS_FAILED, ERROR_AGENT_ABSENT);
    assert_wants(s, EFFECT_PRESS);
    assert_int_equal(operation_button(s->op), BUTTON_ACPI);
}

static void an_absent_agent_alone_fails_the_stop(void **state)
{
    A_STOP = a_soft_stop(.method = METHOD_AGENT);

    seen(s, DOMAIN_RUNNING);
    answered(s, EFFECT_PRESS, IN_PRESS_FAILED, ERROR_AGENT_ABSENT);
    answered(s, EFFECT_RESTORE, IN_RESTORED, ERROR_NONE);
    assert_failed_with(s, ERROR_AGENT_ABSENT);
}

/* --- 4.5: it ends, or stands in the open -------------------------------------------------------
 */

static void silent(struct stop *s)
{
    const struct error error = {.code = ERROR_UNKNOWN, .message = (char *)"no answer in time"};

    s->wanted &= ~(unsigned)EFFECT_PRESS;
    happens(s, .kind = IN_PRESS_FAILED, .error = &error, .is_stuck = true);
}

/* Its own budget: it does not eat up the grace. */
static void a_silent_agent_gives_way_to_acpi(void **state)
{
    A_STOP = a_soft_stop(.method = METHOD_AGENT_ACPI, .grace = seconds(60));

    seen(s, DOMAIN_RUNNING);
    after(s, seconds(20));
    silent(s);
    assert_wants(s, EFFECT_PRESS);
    assert_int_equal(operation_button(s->op), BUTTON_ACPI);
    assert_int_equal(operation_grace_left(s->op, s->now.monotonic), seconds(60));
}

/* A guest agent says nothing when it shuts down: it has been asked, and the grace runs. */
static void a_silent_agent_alone_has_been_asked(void **state)
{
    A_STOP =
        a_soft_stop(.method = METHOD_AGENT, .grace = seconds(60), .on_timeout = ON_TIMEOUT_FORCE);

    seen(s, DOMAIN_RUNNING);
    silent(s);
    assert_stage(s, STAGE_SHUTTING_DOWN);
    /* On its way down the agent is the first to go. */
    after(s, seconds(10));
    answered(s, EFFECT_PRESS, IN_PRESS_FAILED, ERROR_AGENT_ABSENT);
    assert_stage(s, STAGE_SHUTTING_DOWN);
    after(s, seconds(49));
    assert_never(s, EFFECT_CUT);
    after(s, seconds(1));
    assert_wants(s, EFFECT_CUT);
    seen_off(s, END_SHUTDOWN);
    assert_reported(s, "Stopping→Stopped (guest shut down); ");
}

static void a_queued_stop_is_cancelled_at_once(void **state)
{
    A_STOP = a_stop();

    assert_int_equal(operation_may_cancel(s->op, NULL), 0);
    happens(s, .kind = IN_CANCEL, .principal = "tester");
    assert_outcome(s, OUTCOME_CANCELLED);
    assert_reported(s, "Stopping→Running (Cancelled by tester.); ");
}

static void a_cancelled_stop_puts_the_lifecycle_back_first(void **state)
{
    A_STOP = a_soft_stop();

    button_accepted(s);
    happens(s, .kind = IN_CANCEL, .principal = "tester");
    assert_stage(s, STAGE_RELENTING);
    assert_wants(s, EFFECT_RESTORE);
    assert_int_equal(s->op->former.on_reboot, LIFECYCLE_RESTART);
    assert_reported(s, "");
    answered(s, EFFECT_RESTORE, IN_RESTORED, ERROR_NONE);
    assert_outcome(s, OUTCOME_CANCELLED);
}

/* Its result comes when no button is on its way any more. */
static void with_nothing_to_put_back_a_look_is_the_last_word(void **state)
{
    A_STOP = a_soft_stop(.grace = seconds(60));

    seen_as(s, .state = DOMAIN_RUNNING, .incarnation = first_run, .remembered = PROCESS_ALIVE,
            .lifecycle = {LIFECYCLE_DESTROY, LIFECYCLE_DESTROY});
    answered(s, EFFECT_PRESS, IN_PRESSED, ERROR_NONE);
    after(s, seconds(60));
    assert_stage(s, STAGE_RELENTING);
    assert_never(s, EFFECT_RESTORE);
    seen_off(s, END_SHUTDOWN);
    assert_outcome(s, OUTCOME_STOPPED);
    assert_int_equal(s->op->error, ERROR_NONE);
}

static void restoring_is_tried_again(void **state)
{
    A_STOP = a_soft_stop();

    button_accepted(s);
    happens(s, .kind = IN_CANCEL, .principal = "tester");
    for (unsigned i = 0; i < 20; i++) {
        answered(s, EFFECT_RESTORE, IN_RESTORE_FAILED, ERROR_UNKNOWN);
        after(s, seconds(i == 0 ? 1 : 60));
        assert_wants(s, EFFECT_LOOK);
        seen(s, DOMAIN_RUNNING);
        assert_wants(s, EFFECT_RESTORE);
    }
    /* Meanwhile it stands in the open. */
    assert_string_equal(operation_phase(s->op), "blocked");
    assert_non_null(strstr(s->op->detail, "the hypervisor says no"));
    answered(s, EFFECT_RESTORE, IN_RESTORED, ERROR_NONE);
    assert_outcome(s, OUTCOME_CANCELLED);
    assert_null(s->op->detail);
}

static void hints_do_not_hurry_what_failed(void **state)
{
    A_STOP = a_soft_stop();

    button_accepted(s);
    happens(s, .kind = IN_CANCEL, .principal = "tester");
    for (unsigned i = 0; i < 5; i++) {
        answered(s, EFFECT_RESTORE, IN_RESTORE_FAILED, ERROR_UNKNOWN);
        after(s, seconds(60));
        seen(s, DOMAIN_RUNNING);
    }
    answered(s, EFFECT_RESTORE, IN_RESTORE_FAILED, ERROR_UNKNOWN);
    seen(s, DOMAIN_RUNNING);
    assert_false(s->wanted & EFFECT_RESTORE);
}

static void restoring_that_is_refused_for_good_is_said(void **state)
{
    A_STOP = a_soft_stop();

    button_accepted(s);
    happens(s, .kind = IN_CANCEL, .principal = "tester");
    for (unsigned i = 0; i < 20 && s->op->stage != STAGE_DONE; i++) {
        answered(s, EFFECT_RESTORE, IN_RESTORE_FAILED, ERROR_UNSUPPORTED);
        after(s, seconds(60));
        seen(s, DOMAIN_RUNNING);
    }
    assert_outcome(s, OUTCOME_CANCELLED);
    assert_string_equal(s->op->timeline.items[s->op->timeline.n - 2].what, "not put back");
}

static void a_stop_cannot_be_cancelled_once_the_power_is_being_cut(void **state)
{
    A_STOP = a_forced_stop();

    assert_int_not_equal(operation_may_cancel(s->op, NULL), 0);
}

static void a_power_cut_without_effect_is_made_again(void **state)
{
    A_STOP = a_forced_stop();

    answered(s, EFFECT_CUT, IN_CUT, ERROR_NONE);
    seen(s, DOMAIN_RUNNING);
    assert_false(s->wanted & EFFECT_CUT);
    after(s, seconds(10));
    assert_wants(s, EFFECT_LOOK);
    seen(s, DOMAIN_RUNNING);
    assert_wants(s, EFFECT_CUT);
    assert_int_equal(s->op->cuts, 2);
}

static void a_process_that_lives_on_blocks_the_stop(void **state)
{
    A_STOP = a_forced_stop();

    answered(s, EFFECT_CUT, IN_CUT, ERROR_NONE);
    seen_as(s, .state = DOMAIN_OFF, .cause = END_DESTROYED, .remembered = PROCESS_ALIVE,
            .process_detail = (char *)"pid 4711, state D, wchan io_schedule");
    assert_stage(s, STAGE_BLOCKED);
    assert_non_null(strstr(s->op->detail, "wchan io_schedule"));
    assert_reported(s, "");
    after(s, seconds(3600));
    assert_wants(s, EFFECT_LOOK);
    seen_off(s, END_DESTROYED);
    assert_outcome(s, OUTCOME_STOPPED);
    assert_null(s->op->detail);
}

static void what_cannot_be_proved_is_not_off(void **state)
{
    A_STOP = a_forced_stop();

    seen_as(s, .state = DOMAIN_ABSENT, .remembered = PROCESS_UNKNOWN);
    assert_stage(s, STAGE_BLOCKED);
}

static void a_guest_said_to_be_off_that_runs_again_goes_on_in_its_grace(void **state)
{
    A_STOP = a_soft_stop(.grace = seconds(60));

    button_accepted(s);
    seen_as(s, .state = DOMAIN_OFF, .remembered = PROCESS_ALIVE);
    assert_stage(s, STAGE_BLOCKED);
    restarted(s);
    seen(s, DOMAIN_PAUSED);
    assert_stage(s, STAGE_SHUTTING_DOWN);
    after(s, seconds(61));
    assert_stage(s, STAGE_RELENTING);
}

static void unknown_concludes_nothing(void **state)
{
    A_STOP = a_soft_stop();

    for (unsigned i = 0; i < 20; i++) {
        seen_as(s, .state = DOMAIN_UNKNOWN);
        after(s, seconds(10));
        assert_wants(s, EFFECT_LOOK);
    }
    assert_stage(s, STAGE_SHUTTING_DOWN);
    assert_never(s, EFFECT_PRESS | EFFECT_CUT);
    /* But it stands in the open. */
    assert_string_equal(operation_phase(s->op), "blocked");
    assert_non_null(strstr(s->op->detail, "cannot tell"));
    seen(s, DOMAIN_RUNNING);
    assert_string_equal(operation_phase(s->op), "shutting-down");
    assert_null(s->op->detail);
}

static void a_guest_that_is_ending_is_waited_for(void **state)
{
    A_STOP = a_soft_stop();

    button_accepted(s);
    seen(s, DOMAIN_ENDING);
    assert_stage(s, STAGE_SHUTTING_DOWN);
    after(s, USEC_PER_SEC);
    assert_wants(s, EFFECT_LOOK);
    seen_off(s, END_SHUTDOWN);
    assert_reported(s, "Stopping→Stopped (guest shut down); ");
}

static void a_forced_stop_goes_on_after_a_restart(void **state)
{
    A_STOP = a_forced_stop();

    restarted(s);
    assert_wants(s, EFFECT_LOOK);
    seen(s, DOMAIN_RUNNING);
    assert_wants(s, EFFECT_CUT);
}

static void a_stop_that_was_given_up_goes_on_giving_up_after_a_restart(void **state)
{
    A_STOP = a_soft_stop();

    button_accepted(s);
    happens(s, .kind = IN_CANCEL, .principal = "tester");
    restarted(s);
    seen(s, DOMAIN_RUNNING);
    assert_wants(s, EFFECT_RESTORE);
    answered(s, EFFECT_RESTORE, IN_RESTORED, ERROR_NONE);
    assert_outcome(s, OUTCOME_CANCELLED);
}

/* --- 4.6: what is not a stop -------------------------------------------------------------------
 */

static void a_saved_domain_is_not_stopped(void **state)
{
    A_STOP = a_soft_stop();

    seen_off(s, END_SAVED);
    assert_failed_with(s, ERROR_SAVED);
    assert_reported(s, "Stopping→Stopped (The domain was saved, not stopped.); ");
}

static void a_managed_save_is_a_save_though_the_cause_is_forgotten(void **state)
{
    A_STOP = a_soft_stop();

    seen_as(s, .state = DOMAIN_OFF, .has_managed_save = true, .remembered = PROCESS_ENDED);
    assert_failed_with(s, ERROR_SAVED);
}

static void a_domain_that_migrated_away_runs_on(void **state)
{
    A_STOP = a_soft_stop();

    seen_as(s, .state = DOMAIN_ABSENT, .cause = END_MIGRATED, .remembered = PROCESS_ENDED);
    assert_failed_with(s, ERROR_MIGRATED);
    assert_reported(s, "Stopping→Running (The domain was migrated away, not stopped.); ");
}

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

static void another_run_is_not_stopped(void **state)
{
    /* Of one that is starting up the state is not told yet. */
    static const enum domain_state as[] = {DOMAIN_RUNNING, DOMAIN_UNKNOWN};

    for (size_t i = 0; i < ELEMENTSOF(as); i++) {
        A_STOP = a_forced_stop();

        s->ever = 0;
        seen_as(s, .state = as[i], .incarnation = next_run, .remembered = PROCESS_ENDED);
        assert_failed_with(s, ERROR_STARTED_AGAIN);
        assert_never(s, EFFECT_CUT);
    }
}

static void a_guest_that_would_reboot_ends_off(void **state)
{
    A_STOP = a_soft_stop();

    seen(s, DOMAIN_RUNNING);
    assert_true(s->op->interlock_wanted);
}

static void a_guest_that_ends_on_reboot_anyway_is_left_as_it_is(void **state)
{
    A_STOP = a_soft_stop();

    seen_as(s, .state = DOMAIN_RUNNING, .incarnation = first_run, .remembered = PROCESS_ALIVE,
            .lifecycle = {LIFECYCLE_DESTROY, LIFECYCLE_DESTROY});
    assert_false(s->op->interlock_wanted);
}

/* The lifecycle that a later look shows is the interlock's own. */
static void the_former_lifecycle_is_kept_from_the_first_look(void **state)
{
    A_STOP = a_soft_stop();

    button_accepted(s);
    after(s, seconds(10));
    answered(s, EFFECT_PRESS, IN_PRESSED, ERROR_NONE);
    after(s, seconds(9));
    seen_as(s, .state = DOMAIN_RUNNING, .incarnation = first_run, .remembered = PROCESS_ALIVE,
            .lifecycle = {LIFECYCLE_DESTROY, LIFECYCLE_DESTROY});
    assert_int_equal(s->op->former.on_reboot, LIFECYCLE_RESTART);
}

static void the_cause_of_an_end_is_told(void **state)
{
    static const struct {
        enum end_cause cause;
        const char *reported;
    } ends[] = {
        {END_SHUTDOWN, "Stopping→Stopped (guest shut down); "},
        {END_CRASHED, "Stopping→Stopped (guest crashed); "},
        {END_DESTROYED, "Stopping→Stopped (destroyed by another hand); "},
        {END_FAILED, "Stopping→Stopped (hypervisor failure); "},
        {END_DAEMON, "Stopping→Stopped (ended by the hypervisor's daemon); "},
        {END_UNKNOWN, "Stopping→Stopped (off, cause unknown); "},
    };

    for (size_t i = 0; i < ELEMENTSOF(ends); i++) {
        A_STOP = a_soft_stop();

        button_accepted(s);
        seen_off(s, ends[i].cause);
        assert_outcome(s, OUTCOME_STOPPED);
        assert_reported(s, ends[i].reported);
    }
}

static void a_guest_that_went_by_itself_before_the_button_is_told_so(void **state)
{
    A_STOP = a_stop();

    seen_off(s, END_SHUTDOWN);
    assert_reported(s, "Stopping→Stopped (guest shut down by itself); ");
}

/* --- Without processes, as on test:/// ---------------------------------------------------------
 */

static void without_processes_the_hypervisors_word_is_enough(void **state)
{
    A_STOP = a_soft_stop(.without_processes = true);

    button_accepted(s);
    seen_off(s, END_SHUTDOWN);
    assert_outcome(s, OUTCOME_STOPPED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grace_over_without_consent_gives_up),
        cmocka_unit_test(grace_over_with_consent_cuts_the_power),
        cmocka_unit_test(the_grace_runs_from_the_first_button_that_was_taken),
        cmocka_unit_test(a_button_that_is_refused_throughout_fails_the_stop_and_cuts_nothing),
        cmocka_unit_test(the_time_in_which_it_is_refused_stands_still_as_the_grace_does),
        cmocka_unit_test(a_guest_that_cannot_be_woken_fails_the_stop),
        cmocka_unit_test(a_later_button_does_not_lengthen_the_grace),
        cmocka_unit_test(the_grace_stands_still_while_the_hypervisor_is_away),
        cmocka_unit_test(the_grace_stands_still_while_stopd_is_away),
        cmocka_unit_test(the_grace_goes_on_after_an_outage_without_another_button),
        cmocka_unit_test(a_forced_stop_cuts_at_once),
        cmocka_unit_test(a_force_command_turns_a_soft_stop_into_a_power_cut),
        cmocka_unit_test(a_force_command_overtakes_a_cancel),
        cmocka_unit_test(a_guest_that_has_crashed_is_ended),
        cmocka_unit_test(but_not_once_somebody_has_reset_it),
        cmocka_unit_test(the_button_is_pressed_again_every_resend),
        cmocka_unit_test(no_button_is_pressed_while_one_is_on_its_way),
        cmocka_unit_test(a_queued_stop_presses_nothing),
        cmocka_unit_test(a_paused_guest_cannot_answer),
        cmocka_unit_test(a_suspended_guest_is_woken_first),
        cmocka_unit_test(the_agent_has_one_turn_then_acpi),
        cmocka_unit_test(an_absent_agent_gives_way_at_once),
        cmocka_unit_test(an_absent_agent_alone_fails_the_stop),
        cmocka_unit_test(a_silent_agent_gives_way_to_acpi),
        cmocka_unit_test(a_silent_agent_alone_has_been_asked),
        cmocka_unit_test(a_queued_stop_is_cancelled_at_once),
        cmocka_unit_test(a_cancelled_stop_puts_the_lifecycle_back_first),
        cmocka_unit_test(with_nothing_to_put_back_a_look_is_the_last_word),
        cmocka_unit_test(restoring_is_tried_again),
        cmocka_unit_test(hints_do_not_hurry_what_failed),
        cmocka_unit_test(restoring_that_is_refused_for_good_is_said),
        cmocka_unit_test(a_stop_cannot_be_cancelled_once_the_power_is_being_cut),
        cmocka_unit_test(a_power_cut_without_effect_is_made_again),
        cmocka_unit_test(a_process_that_lives_on_blocks_the_stop),
        cmocka_unit_test(what_cannot_be_proved_is_not_off),
        cmocka_unit_test(a_guest_said_to_be_off_that_runs_again_goes_on_in_its_grace),
        cmocka_unit_test(unknown_concludes_nothing),
        cmocka_unit_test(a_guest_that_is_ending_is_waited_for),
        cmocka_unit_test(a_forced_stop_goes_on_after_a_restart),
        cmocka_unit_test(a_stop_that_was_given_up_goes_on_giving_up_after_a_restart),
        cmocka_unit_test(a_saved_domain_is_not_stopped),
        cmocka_unit_test(a_managed_save_is_a_save_though_the_cause_is_forgotten),
        cmocka_unit_test(a_domain_that_migrated_away_runs_on),
        cmocka_unit_test(in_migration_before_the_first_button_it_is_refused),
        cmocka_unit_test(in_migration_a_queued_stop_looks_how_that_ends),
        cmocka_unit_test(in_migration_the_grace_stands_still),
        cmocka_unit_test(a_grace_goes_on_where_a_migration_leaves_the_guest_frozen),
        cmocka_unit_test(in_migration_no_power_is_cut),
        cmocka_unit_test(forced_in_migration_it_looks_before_it_cuts),
        cmocka_unit_test(given_up_in_migration_it_is_put_back_when_that_has_ended),
        cmocka_unit_test(another_run_is_not_stopped),
        cmocka_unit_test(a_guest_that_would_reboot_ends_off),
        cmocka_unit_test(a_guest_that_ends_on_reboot_anyway_is_left_as_it_is),
        cmocka_unit_test(the_former_lifecycle_is_kept_from_the_first_look),
        cmocka_unit_test(the_cause_of_an_end_is_told),
        cmocka_unit_test(a_guest_that_went_by_itself_before_the_button_is_told_so),
        cmocka_unit_test(without_processes_the_hypervisors_word_is_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
