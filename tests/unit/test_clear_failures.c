/* test_clear_failures.c - a clear that fails (contract 4.3, 4.5) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "stop-clear-kit.h"

static void a_failed_clear_is_tried_again_with_backoff(void **state)
{
    A_STOP = a_clear(1);
    usec_t last = 0;

    for (unsigned i = 1; i < TRIES; i++) {
        usec_t wait;

        s->wanted = 0;
        failed(s, 0);
        assert_disk(s, 0, DISK_WAITING);
        assert_int_equal(disk(s, 0)->tries, i);
        wait = operation_next_due(s->op) - s->now.monotonic;
        assert_true(wait >= last && wait <= seconds(300));
        last = wait;
        after(s, wait - 1);
        assert_false(s->wanted & EFFECT_CLEAR);
        after(s, 1);
        assert_wants(s, EFFECT_CLEAR);
    }
    assert_true(last > seconds(60));
}

/* What waits for libvirt or a helper waits with a backoff, for as long as it takes. */
static void what_is_nobodys_doing_is_waited_out(void **state)
{
    A_STOP = a_clear(2);
    usec_t last = 0, wait = 0;

    for (unsigned i = 0; i < 10; i++) {
        s->wanted = 0;
        nobodys(s, 0, 0);
        assert_disk(s, 0, DISK_WAITING);
        wait = disk(s, 0)->next_try - s->now.monotonic;
        assert_true(wait >= last && wait >= seconds(5) && wait <= seconds(60));
        last = wait;
        after(s, wait - 1);
        assert_false(s->wanted & EFFECT_CLEAR);
        after(s, 1);
        assert_wants(s, EFFECT_CLEAR);
    }
    assert_int_equal(last, seconds(60));
    assert_int_equal(disk(s, 0)->tries, 0);
    /* A helper that had it for a moment: what comes next is new. */
    says(s, IN_DISK_PROGRESS, .state = DISK_CLEARING);
    nobodys(s, 0, 0);
    assert_true(disk(s, 0)->next_try - s->now.monotonic < seconds(60));
}

/* A run of it, or its saved image: what the helper was told by libvirt may have come about unseen.
 */
static void what_is_in_a_helpers_way_is_looked_at(void **state)
{
    A_STOP = a_clear(1);

    s->wanted = 0;
    nobodys(s, 0, 0);
    assert_wants(s, EFFECT_LOOK);
    seen_off(s, END_SAVED);
    assert_outcome(s, OUTCOME_FAILED);
}

static void what_failed_together_comes_back_apart(void **state)
{
    A_STOP = a_clear(2);
    usec_t first, second;

    nobodys(s, 0, 0);
    nobodys(s, 1, 999);
    first = disk(s, 0)->next_try - s->now.monotonic;
    second = disk(s, 1)->next_try - s->now.monotonic;
    assert_true(second > first && second <= first + first / 2);
    says(s, IN_DISK_FAILED, .index = 0, .message = "an I/O error", .spread = 0);
    says(s, IN_DISK_FAILED, .index = 1, .message = "an I/O error", .spread = 999);
    assert_true(disk(s, 1)->next_try > disk(s, 0)->next_try);
}

/* Contract 4.5: with what it waits for. */
static void what_a_clear_waits_for_stands_in_the_open(void **state)
{
    A_STOP = a_clear(2);

    assert_null(s->op->detail);
    nobodys(s, 0, 0);
    assert_string_equal(operation_phase(s->op), "clearing");
    assert_string_equal(s->op->detail,
                        "the local disk vdb waits for its next try: libvirt is away");
    restarted(s);
    assert_non_null(s->op->detail);
    seen_off(s, END_UNKNOWN);
    says(s, IN_DISK_PROGRESS, .state = DISK_CLEARING);
    assert_null(s->op->detail);
    failed(s, 0);
    failed_for_good(s, 1);
    assert_string_equal(s->op->detail, "the local disk vdc is not cleared: it is another disk");
    cleared(s, 0);
    assert_string_equal(s->op->detail, "the local disk vdc is not cleared: it is another disk");
    retried(s);
    cleared(s, 1);
    assert_null(s->op->detail);
}

/* The hypervisor cannot tell, for so long that it stands in the open. */
static void cannot_be_seen(struct stop *s)
{
    for (unsigned i = 0; i < 20; i++) {
        seen_as(s, .state = DOMAIN_UNKNOWN);
        after(s, seconds(10));
    }
}

#define assert_open(s, phase, what)                               \
    do {                                                          \
        assert_string_equal(operation_phase((s)->op), phase);     \
        assert_non_null((s)->op->detail);                         \
        if ((s)->op->detail && !strstr((s)->op->detail, what))    \
            fail_msg("'%s' says no '%s'", (s)->op->detail, what); \
    } while (0)

/* Contract 4.5: blocked, with what it waits for; whatever helpers say meanwhile. */
static void what_a_clear_that_is_held_waits_for_stands_in_the_open(void **state)
{
    A_STOP = a_clear(3);

    cannot_be_seen(s);
    assert_open(s, "blocked", "the hypervisor cannot tell its state");
    cleared(s, 0);
    assert_open(s, "blocked", "the hypervisor cannot tell its state");
    says(s, IN_DISK_PROGRESS, .index = 1, .state = DISK_CLEARING);
    assert_open(s, "blocked", "the hypervisor cannot tell its state");
    failed(s, 2);
    assert_open(s, "clearing", "the local disk vdd waits for its next try: an I/O error");
    seen_off(s, END_UNKNOWN);
    assert_open(s, "clearing", "the local disk vdd waits for its next try: an I/O error");
    says(s, IN_DISK_PROGRESS, .index = 2, .state = DISK_CLEARING);
    assert_null(s->op->detail);
    cannot_be_seen(s);
    assert_open(s, "blocked", "the hypervisor cannot tell its state");
    seen_off(s, END_UNKNOWN);
    assert_string_equal(operation_phase(s->op), "clearing");
    assert_null(s->op->detail);
}

static void a_quarantine_while_it_cannot_be_seen_is_called_that(void **state)
{
    A_STOP = a_clear(1);

    cannot_be_seen(s);
    failed_for_good(s, 0);
    assert_open(s, "quarantined", "the local disk vdb is not cleared: it is another disk");
    seen_off(s, END_UNKNOWN);
    assert_open(s, "quarantined", "the local disk vdb is not cleared: it is another disk");
}

static void a_clear_that_ends_while_it_cannot_be_seen_waits_for_nothing(void **state)
{
    A_STOP = a_clear(1);

    cannot_be_seen(s);
    cleared(s, 0);
    assert_outcome(s, OUTCOME_STOPPED);
    assert_string_equal(operation_phase(s->op), "done");
    assert_null(s->op->detail);
}

/* Whether it can be seen is of this life; the sentence was of an earlier one. */
static void what_was_not_seen_before_a_restart_is_said_no_longer(void **state)
{
    A_STOP = a_clear(1);

    says(s, IN_DISK_PROGRESS, .state = DISK_CLEARING);
    cannot_be_seen(s);
    restarted(s);
    seen_off(s, END_UNKNOWN);
    assert_null(s->op->detail);
}

/* The clock brings every disk's next try, and not only the first that is due. */
static void each_disk_has_its_own_next_try(void **state)
{
    A_STOP = a_clear(2);

    failed(s, 0);
    failed(s, 0);
    failed(s, 0);
    failed(s, 1);
    s->wanted = 0;
    after(s, disk(s, 1)->next_try - s->now.monotonic);
    assert_wants(s, EFFECT_CLEAR);
    cleared(s, 1);
    s->wanted = 0;
    assert_true(disk(s, 0)->next_try > s->now.monotonic);
    after(s, disk(s, 0)->next_try - s->now.monotonic);
    assert_wants(s, EFFECT_CLEAR);
}

static void an_outage_forgets_no_next_try(void **state)
{
    A_STOP = a_clear(1);

    failed(s, 0);
    happens(s, .kind = IN_DETACHED);
    assert_int_equal(operation_next_due(s->op), USEC_NEVER);
    happens(s, .kind = IN_ATTACHED);
    seen_off(s, END_UNKNOWN);
    s->wanted = 0;
    after(s, seconds(300));
    assert_wants(s, EFFECT_CLEAR);
}

static void past_its_tries_a_disk_waits_for_an_operator(void **state)
{
    A_STOP = a_clear(1);

    for (unsigned i = 0; i < TRIES; i++)
        failed(s, 0);
    assert_stage(s, STAGE_QUARANTINED);
    assert_disk(s, 0, DISK_QUARANTINED);
    assert_non_null(s->op->detail);
    assert_reported(s, "");
    s->wanted = 0;
    after(s, seconds(86400));
    seen_off(s, END_UNKNOWN);
    assert_false(s->wanted & EFFECT_CLEAR);

    retried(s);
    assert_stage(s, STAGE_CLEARING);
    assert_wants(s, EFFECT_LOOK);
    assert_disk(s, 0, DISK_WAITING);
    assert_int_equal(disk(s, 0)->tries, 0);
    assert_null(disk(s, 0)->problem);
    assert_null(s->op->detail);
    seen_off(s, END_UNKNOWN);
    assert_wants(s, EFFECT_CLEAR);
    assert_null(s->op->detail);
    cleared(s, 0);
    assert_outcome(s, OUTCOME_STOPPED);
}

static void what_was_nobodys_doing_is_no_try(void **state)
{
    A_STOP = a_clear(1);

    for (unsigned i = 0; i < 3 * TRIES; i++) {
        says(s, IN_DISK_FAILED, .message = "libvirt is away", .is_nobodys = true);
        assert_true(operation_next_due(s->op) > s->now.monotonic);
        after(s, seconds(300));
    }
    assert_stage(s, STAGE_CLEARING);
    assert_int_equal(disk(s, 0)->tries, 0);
}

static void where_no_try_can_help_none_is_made(void **state)
{
    A_STOP = a_clear(1);

    failed_for_good(s, 0);
    assert_stage(s, STAGE_QUARANTINED);
    assert_int_equal(operation_next_due(s->op), USEC_NEVER);
}

static void one_quarantined_disk_holds_up_no_other(void **state)
{
    A_STOP = a_clear(3);

    failed_for_good(s, 1);
    assert_stage(s, STAGE_CLEARING);
    cleared(s, 0);
    assert_stage(s, STAGE_CLEARING);
    cleared(s, 2);
    assert_stage(s, STAGE_QUARANTINED);
    assert_reported(s, "");
    retried(s);
    assert_disk(s, 0, DISK_CLEARED);
    assert_disk(s, 1, DISK_WAITING);
    cleared(s, 1);
    assert_outcome(s, OUTCOME_STOPPED);
}

static void a_spent_ladder_begins_anew(void **state)
{
    _cleanup_(json) json_object *resume = json_tokener_parse("{\"method\": \"overwrite\"}");
    A_STOP = a_clear(1);

    says(s, IN_DISK_PROGRESS, .state = DISK_CLEARING, .resume = resume);
    failed(s, 0);
    assert_non_null(disk(s, 0)->resume);
    says(s, IN_DISK_FAILED, .message = "every method failed", .is_spent = true);
    assert_null(disk(s, 0)->resume);
}

static void there_is_nothing_to_retry_before_the_clear(void **state)
{
    A_STOP = an_i1_stop(1);

    assert_true(operation_may_retry(s->op, NULL) < 0);
    seen_off(s, END_SHUTDOWN);
    assert_int_equal(operation_may_retry(s->op, NULL), 0);
    failed_for_good(s, 0);
    assert_int_equal(operation_may_retry(s->op, NULL), 0);
    retried(s);
    cleared(s, 0);
    assert_true(operation_may_retry(s->op, NULL) < 0);
}

static void a_clear_cannot_be_cancelled(void **state)
{
    A_STOP = a_clear(1);

    assert_true(operation_may_cancel(s->op, NULL) < 0);
    happens(s, .kind = IN_CANCEL, .principal = "root");
    assert_stage(s, STAGE_CLEARING);
    failed_for_good(s, 0);
    assert_true(operation_may_cancel(s->op, NULL) < 0);
    happens(s, .kind = IN_CANCEL, .principal = "root");
    happens(s, .kind = IN_FORCE, .principal = "root", .request_id = "");
    assert_stage(s, STAGE_QUARANTINED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_clear_is_tried_again_with_backoff),
        cmocka_unit_test(what_is_nobodys_doing_is_waited_out),
        cmocka_unit_test(what_is_in_a_helpers_way_is_looked_at),
        cmocka_unit_test(what_failed_together_comes_back_apart),
        cmocka_unit_test(what_a_clear_waits_for_stands_in_the_open),
        cmocka_unit_test(what_a_clear_that_is_held_waits_for_stands_in_the_open),
        cmocka_unit_test(a_quarantine_while_it_cannot_be_seen_is_called_that),
        cmocka_unit_test(a_clear_that_ends_while_it_cannot_be_seen_waits_for_nothing),
        cmocka_unit_test(what_was_not_seen_before_a_restart_is_said_no_longer),
        cmocka_unit_test(each_disk_has_its_own_next_try),
        cmocka_unit_test(an_outage_forgets_no_next_try),
        cmocka_unit_test(past_its_tries_a_disk_waits_for_an_operator),
        cmocka_unit_test(what_was_nobodys_doing_is_no_try),
        cmocka_unit_test(where_no_try_can_help_none_is_made),
        cmocka_unit_test(one_quarantined_disk_holds_up_no_other),
        cmocka_unit_test(a_spent_ladder_begins_anew),
        cmocka_unit_test(there_is_nothing_to_retry_before_the_clear),
        cmocka_unit_test(a_clear_cannot_be_cancelled),
    };

    return cmocka_run_group_tests_name("clear: failures", tests, NULL, NULL);
}
