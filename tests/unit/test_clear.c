/* test_clear.c - a clear that a stop owes: not before death is proved, and all of it before Stopped
 * (contract 4.2, 4.3) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "stop-clear-kit.h"

/* --- Contract 4.2: not before death is proved ------------------------------------------------ */

static void nothing_is_cleared_before_off_is_proved(void **state)
{
    A_STOP = an_i1_stop(1);

    seen(s, DOMAIN_RUNNING);
    seen(s, DOMAIN_ENDING);
    seen_as(s, .state = DOMAIN_UNKNOWN);
    seen_as(s, .state = DOMAIN_OFF, .remembered = PROCESS_UNKNOWN);
    assert_stage(s, STAGE_BLOCKED);
    seen_as(s, .state = DOMAIN_ABSENT, .remembered = PROCESS_ALIVE);
    assert_stage(s, STAGE_BLOCKED);
    happens(s, .kind = IN_DETACHED);
    happens(s, .kind = IN_ATTACHED);
    assert_never(s, EFFECT_CLEAR);
    seen_off(s, END_SHUTDOWN);
    assert_stage(s, STAGE_CLEARING);
    assert_wants(s, EFFECT_CLEAR);
    assert_true(s->op->off_at > 0);
}

static void a_power_cut_that_succeeded_proves_nothing(void **state)
{
    A_STOP = admitted(owing(a_stop(.force = true), 1));

    answered(s, EFFECT_CUT, IN_CUT, ERROR_NONE);
    assert_stage(s, STAGE_FORCING);
    assert_never(s, EFFECT_CLEAR);
    seen_off(s, END_DESTROYED);
    assert_stage(s, STAGE_CLEARING);
}

static void a_crash_on_the_way_is_cleared_for(void **state)
{
    A_STOP = an_i1_stop(1);

    seen_off(s, END_CRASHED);
    assert_stage(s, STAGE_CLEARING);
}

static void a_queued_stop_whose_guest_goes_off_is_cleared_for(void **state)
{
    A_STOP = owing(a_stop(), 1);

    seen_off(s, END_SHUTDOWN);
    assert_stage(s, STAGE_CLEARING);
    assert_wants(s, EFFECT_CLEAR);
}

/* --- Contract 4.3: Stopped only when all are cleared ----------------------------------------- */

static void it_is_stopped_with_the_last_certificate(void **state)
{
    A_STOP = a_clear(3);

    assert_reported(s, "");
    cleared(s, 1);
    cleared(s, 0);
    assert_stage(s, STAGE_CLEARING);
    assert_reported(s, "");
    assert_int_equal(operation_state(s->op), STATE_STOPPING);
    cleared(s, 2);
    assert_outcome(s, OUTCOME_STOPPED);
    assert_reported(s, "Stopping→Stopped (guest shut down; local disks cleared); ");
    assert_wants(s, EFFECT_END_CLEAR);
    assert_int_equal(operation_next_due(s->op), USEC_NEVER);
}

static void a_later_look_is_no_certificate(void **state)
{
    A_STOP = a_clear(1);

    seen_off(s, END_UNKNOWN);
    seen_as(s, .state = DOMAIN_ABSENT, .remembered = PROCESS_ENDED);
    seen_as(s, .state = DOMAIN_UNKNOWN);
    seen_as(s, .state = DOMAIN_OFF, .remembered = PROCESS_UNKNOWN);
    assert_stage(s, STAGE_CLEARING);
    assert_reported(s, "");
}

static void each_certificate_and_failure_is_reported(void **state)
{
    A_STOP = a_clear(2);
    const struct disk_news news = {.index = 0, .message = "an I/O error"};
    struct reaction r;

    step(s->op, &(struct input){.kind = IN_DISK_CLEARED, .news = &news}, s->now, &r);
    assert_true(r.disk_cleared && !r.disk_failed && !r.unchanged);
    step(s->op, &(struct input){.kind = IN_DISK_FAILED, .news = &(struct disk_news){.index = 1}},
         s->now, &r);
    assert_true(r.disk_failed && !r.disk_cleared && !r.unchanged);
    assert_true(is_set(disk(s, 1)->problem));
}

static void the_phase_is_verifying_when_nothing_else_is_left(void **state)
{
    A_STOP = a_clear(2);

    says(s, IN_DISK_PROGRESS, .index = 0, .state = DISK_VERIFYING, .method = "overwrite");
    assert_string_equal(operation_phase(s->op), "clearing");
    cleared(s, 1);
    assert_string_equal(operation_phase(s->op), "verifying");
}

static void a_setback_goes_on(void **state)
{
    A_STOP = a_clear(1);

    says(s, IN_DISK_PROGRESS, .state = DISK_CLEARING, .method = "write-zeroes", .done = 4096);
    says(s, IN_DISK_SETBACK, .message = "write-zeroes lied");
    says(s, IN_DISK_SILENT, .message = "nothing for 60 s");
    assert_stage(s, STAGE_CLEARING);
    assert_int_equal(disk(s, 0)->tries, 0);
    assert_disk(s, 0, DISK_CLEARING);
    cleared(s, 0);
    assert_outcome(s, OUTCOME_STOPPED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_cleared_before_off_is_proved),
        cmocka_unit_test(a_power_cut_that_succeeded_proves_nothing),
        cmocka_unit_test(a_crash_on_the_way_is_cleared_for),
        cmocka_unit_test(a_queued_stop_whose_guest_goes_off_is_cleared_for),
        cmocka_unit_test(it_is_stopped_with_the_last_certificate),
        cmocka_unit_test(a_later_look_is_no_certificate),
        cmocka_unit_test(each_certificate_and_failure_is_reported),
        cmocka_unit_test(the_phase_is_verifying_when_nothing_else_is_left),
        cmocka_unit_test(a_setback_goes_on),
    };

    return cmocka_run_group_tests_name("clear", tests, NULL, NULL);
}
