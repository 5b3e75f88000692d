/* test_stop.c - the stop: the consent to a power cut, the grace, the button (contract 4.1) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "stop-kit.h"

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

static void an_agent_that_refuses_gives_way_at_once(void **state)
{
    A_STOP = a_soft_stop(.method = METHOD_AGENT_ACPI);

    seen(s, DOMAIN_RUNNING);
    answered(s, EFFECT_PRESS, IN_PRESS_FAILED, ERROR_AGENT_REFUSED);
    assert_wants(s, EFFECT_PRESS);
    assert_int_equal(operation_button(s->op), BUTTON_ACPI);
}

/* It may do it a moment later: a file system that is frozen for a snapshot makes it refuse. */
static void an_agent_alone_that_refuses_is_asked_again(void **state)
{
    A_STOP = a_soft_stop(.method = METHOD_AGENT, .grace = seconds(60));

    seen(s, DOMAIN_RUNNING);
    answered(s, EFFECT_PRESS, IN_PRESS_FAILED, ERROR_AGENT_REFUSED);
    assert_stage(s, STAGE_SHUTTING_DOWN);
    after(s, seconds(10));
    seen(s, DOMAIN_RUNNING);
    assert_wants(s, EFFECT_PRESS);
    assert_int_equal(operation_button(s->op), BUTTON_AGENT);
}

static void an_absent_agent_alone_fails_the_stop(void **state)
{
    A_STOP = a_soft_stop(.method = METHOD_AGENT);

    seen(s, DOMAIN_RUNNING);
    answered(s, EFFECT_PRESS, IN_PRESS_FAILED, ERROR_AGENT_ABSENT);
    answered(s, EFFECT_RESTORE, IN_RESTORED, ERROR_NONE);
    assert_failed_with(s, ERROR_AGENT_ABSENT);
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
        cmocka_unit_test(an_agent_that_refuses_gives_way_at_once),
        cmocka_unit_test(an_agent_alone_that_refuses_is_asked_again),
        cmocka_unit_test(an_absent_agent_alone_fails_the_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
