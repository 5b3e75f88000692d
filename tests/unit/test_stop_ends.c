/* test_stop_ends.c - how a stop ends, and what is not the end of one (contract 4.5, 4.6) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "stop-kit.h"

/* --- 4.5: it ends, or stands in the open -------------------------------------------------------
 */

static void silent(struct stop *s)
{
    const struct error error = {.code = ERROR_UNKNOWN, .message = (char *)"no answer in time"};

    s->wanted &= ~(unsigned)EFFECT_PRESS;
    happens(s, .kind = IN_PRESS_FAILED, .error = &error, .is_stuck = true, .is_asked = true);
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

/* What holds the call up may be what comes before the agent is asked: a grace that ran then would
 * end in a power cut that nothing preceded. */
static void an_agent_that_was_not_asked_is_not_silent(void **state)
{
    const struct error error = {.code = ERROR_UNKNOWN};
    A_STOP =
        a_soft_stop(.method = METHOD_AGENT, .grace = seconds(60), .on_timeout = ON_TIMEOUT_FORCE);

    seen(s, DOMAIN_RUNNING);
    s->wanted &= ~(unsigned)EFFECT_PRESS;
    happens(s, .kind = IN_PRESS_FAILED, .error = &error, .is_stuck = true);
    after(s, seconds(61));
    assert_never(s, EFFECT_CUT);
    answered(s, EFFECT_RESTORE, IN_RESTORED, ERROR_NONE);
    assert_failed_with(s, ERROR_BUTTON_REFUSED);
}

/* … nor does one that cannot be asked, whatever the error. */
static void an_agent_that_fails_and_fails_gives_way_to_acpi(void **state)
{
    A_STOP = a_soft_stop(.method = METHOD_AGENT_ACPI, .grace = seconds(60));

    seen(s, DOMAIN_RUNNING);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(operation_button(s->op), BUTTON_AGENT);
        answered(s, EFFECT_PRESS, IN_PRESS_FAILED, ERROR_UNKNOWN);
        after(s, seconds(4));
    }
    assert_wants(s, EFFECT_PRESS);
    assert_int_equal(operation_button(s->op), BUTTON_ACPI);
}

static void an_agent_alone_is_asked_on(void **state)
{
    A_STOP = a_soft_stop(.method = METHOD_AGENT, .grace = seconds(60));

    seen(s, DOMAIN_RUNNING);
    for (unsigned i = 0; i < 4; i++) {
        answered(s, EFFECT_PRESS, IN_PRESS_FAILED, ERROR_UNKNOWN);
        after(s, seconds(8));
        assert_wants(s, EFFECT_PRESS);
        assert_int_equal(operation_button(s->op), BUTTON_AGENT);
    }
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

/* What it has left behind is not the stop's to clear, however it ended. */
static void another_run_that_has_come_and_gone_is_not_stopped(void **state)
{
    static const struct sighting as[] = {
        {.state = DOMAIN_OFF, .cause = END_SHUTDOWN},
        {.state = DOMAIN_OFF, .cause = END_SAVED},
        {.state = DOMAIN_OFF},
        {.state = DOMAIN_ABSENT, .cause = END_DESTROYED},
    };

    for (size_t i = 0; i < ELEMENTSOF(as); i++) {
        A_STOP = a_soft_stop();

        button_accepted(s);
        seen_as(s, .state = as[i].state, .cause = as[i].cause, .remembered = PROCESS_ENDED,
                .has_run_since = true);
        assert_failed_with(s, ERROR_STARTED_AGAIN);
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
        cmocka_unit_test(a_silent_agent_gives_way_to_acpi),
        cmocka_unit_test(an_agent_that_fails_and_fails_gives_way_to_acpi),
        cmocka_unit_test(an_agent_alone_is_asked_on),
        cmocka_unit_test(a_silent_agent_alone_has_been_asked),
        cmocka_unit_test(an_agent_that_was_not_asked_is_not_silent),
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
        cmocka_unit_test(another_run_is_not_stopped),
        cmocka_unit_test(another_run_that_has_come_and_gone_is_not_stopped),
        cmocka_unit_test(a_guest_that_would_reboot_ends_off),
        cmocka_unit_test(a_guest_that_ends_on_reboot_anyway_is_left_as_it_is),
        cmocka_unit_test(the_former_lifecycle_is_kept_from_the_first_look),
        cmocka_unit_test(the_cause_of_an_end_is_told),
        cmocka_unit_test(a_guest_that_went_by_itself_before_the_button_is_told_so),
        cmocka_unit_test(without_processes_the_hypervisors_word_is_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
