/* test_stop_cause.c - how the guest of a stop has ended, as its event tells it (contract 4.6)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "stop-kit.h"

#define A_STOP _cleanup_(stop_free) struct stop *s

/* --- A guest's end --------------------------------------------------------------------------- */

/* Its process is kept when it panics: that stopd ends that one is not how the guest ended. */
static void a_crashed_guest_whose_process_is_ended_has_crashed(void **state)
{
    A_STOP = a_soft_stop();

    button_accepted(s);
    seen(s, DOMAIN_CRASHED);
    answered(s, EFFECT_CUT, IN_CUT_FAILED, ERROR_UNKNOWN);
    after(s, seconds(2));
    seen(s, DOMAIN_CRASHED);
    answered(s, EFFECT_CUT, IN_CUT, ERROR_NONE);
    seen(s, DOMAIN_ENDING);
    restarted(s);
    seen_off(s, END_DESTROYED);
    assert_reported(s, "Stopping→Stopped (guest crashed); ");
}

static void a_crashed_guest_whose_power_is_cut_by_command_is_told_as_that(void **state)
{
    A_STOP = a_forced_stop();

    answered(s, EFFECT_CUT, IN_CUT_FAILED, ERROR_UNKNOWN);
    after(s, seconds(2));
    seen(s, DOMAIN_CRASHED);
    answered(s, EFFECT_CUT, IN_CUT, ERROR_NONE);
    seen_off(s, END_DESTROYED);
    assert_reported(s, "Stopping→Stopped (power cut); ");
}

static void a_crash_that_was_undone_is_not_how_it_ended(void **state)
{
    A_STOP = a_soft_stop();

    button_accepted(s);
    seen(s, DOMAIN_CRASHED);
    answered(s, EFFECT_CUT, IN_CUT_FAILED, ERROR_UNKNOWN);
    after(s, seconds(2));
    seen(s, DOMAIN_RUNNING);
    assert_stage(s, STAGE_SHUTTING_DOWN);
    seen_off(s, END_SHUTDOWN);
    assert_reported(s, "Stopping→Stopped (guest shut down); ");
}

static void a_crash_that_a_reset_has_undone_unseen_is_not_how_it_ended(void **state)
{
    A_STOP = a_soft_stop();

    button_accepted(s);
    seen(s, DOMAIN_CRASHED);
    answered(s, EFFECT_CUT, IN_CUT_FAILED, ERROR_NOT_RUNNING);
    seen_off(s, END_SHUTDOWN);
    assert_reported(s, "Stopping→Stopped (guest shut down); ");
}

/* … which may take longer than the hypervisor remembers. */
static void how_it_ended_is_kept_until_its_process_has_ended(void **state)
{
    A_STOP = a_soft_stop();

    button_accepted(s);
    seen_as(s, .state = DOMAIN_OFF, .cause = END_CRASHED, .remembered = PROCESS_ALIVE);
    assert_stage(s, STAGE_BLOCKED);
    restarted(s);
    seen_as(s, .state = DOMAIN_OFF, .remembered = PROCESS_ALIVE);
    seen_off(s, END_UNKNOWN);
    assert_reported(s, "Stopping→Stopped (guest crashed); ");
}

static void an_end_that_was_none_is_not_how_it_ended(void **state)
{
    A_STOP = a_soft_stop();

    button_accepted(s);
    seen_as(s, .state = DOMAIN_OFF, .cause = END_CRASHED, .remembered = PROCESS_ALIVE);
    seen(s, DOMAIN_RUNNING);
    seen_off(s, END_SHUTDOWN);
    assert_reported(s, "Stopping→Stopped (guest shut down); ");
}

/* --- … and its disks cleared ------------------------------------------------------------------ */

static struct stop *owing(struct stop *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct planned_disk *d = disk_plan_add(&s->op->disks);

        assert_non_null(d);
        assert_int_equal(text_replace(&d->target, i ? "vdc" : "vdb"), 0);
        assert_int_equal(text_replace(&d->device, i ? "/dev/nvme1n1" : "/dev/nvme0n1"), 0);
        d->bytes = 1 << 20;
        d->identity = json_object_new_object();
    }
    return s;
}

static struct stop *an_i1_stop(size_t n)
{
    struct stop *s = admitted(owing(a_stop(), n));

    button_accepted(s);
    return s;
}

static void cleared(struct stop *s, size_t disk)
{
    happens(s, .kind = IN_DISK_CLEARED, .news = &(struct disk_news){.index = disk});
}

/* Contract 4.6: with that cause in the event; also where stopd is another one by then, and the
 * hypervisor does not know any more. */
static void how_it_ended_is_told_when_all_is_cleared(void **state)
{
    static const struct {
        enum end_cause cause;
        const char *reported;
    } ends[] = {
        {END_SHUTDOWN, "Stopping→Stopped (guest shut down; local disks cleared); "},
        {END_CRASHED, "Stopping→Stopped (guest crashed; local disks cleared); "},
        {END_DESTROYED, "Stopping→Stopped (destroyed by another hand; local disks cleared); "},
        {END_FAILED, "Stopping→Stopped (hypervisor failure; local disks cleared); "},
        {END_UNKNOWN, "Stopping→Stopped (off, cause unknown; local disks cleared); "},
    };

    for (unsigned how = 0; how < 2; how++)
        for (size_t i = 0; i < ELEMENTSOF(ends); i++) {
            A_STOP = an_i1_stop(2);

            seen_off(s, ends[i].cause);
            cleared(s, 0);
            if (how) {
                restarted(s);
                seen_off(s, END_UNKNOWN);
            }
            cleared(s, 1);
            assert_outcome(s, OUTCOME_STOPPED);
            assert_reported(s, ends[i].reported);
        }
}

static void a_power_cut_is_told_when_all_is_cleared(void **state)
{
    A_STOP = admitted(owing(a_stop(.force = true), 1));

    answered(s, EFFECT_CUT, IN_CUT, ERROR_NONE);
    seen_off(s, END_DESTROYED);
    restarted(s);
    cleared(s, 0);
    assert_reported(s, "Stopping→Stopped (power cut; local disks cleared); ");
}

static void how_it_ended_outlives_a_quarantine(void **state)
{
    A_STOP = an_i1_stop(1);

    seen_off(s, END_CRASHED);
    happens(s, .kind = IN_DISK_FAILED,
            .news = &(struct disk_news){.message = "it is another disk", .is_final = true});
    assert_stage(s, STAGE_QUARANTINED);
    restarted(s);
    happens(s, .kind = IN_RETRY, .principal = "root");
    cleared(s, 0);
    assert_reported(s, "Stopping→Stopped (guest crashed; local disks cleared); ");
}

static void its_timeline_tells_how_it_ended(void **state)
{
    A_STOP = an_i1_stop(1);
    unsigned told = 0;

    seen_off(s, END_CRASHED);
    cleared(s, 0);
    for (size_t i = 0; i < s->op->timeline.n; i++)
        told += text_equal(s->op->timeline.items[i].what, "off") &&
                text_equal(s->op->timeline.items[i].detail, "guest crashed");
    assert_int_equal(told, 1);
}

/* Of a version that did not keep it. */
static void an_older_journals_clear_ends_without_a_cause(void **state)
{
    A_STOP = an_i1_stop(1);
    json_object *document, *kept;

    seen_off(s, END_CRASHED);
    document = journalled(s->op);
    assert_true(json_object_object_get_ex(document, "journal", &kept));
    json_object_object_del(kept, "ended");
    operation_free(take(s->op));
    assert_int_equal(operation_from_journal(document, &s->op, NULL), 0);
    json_object_put(document);
    cleared(s, 0);
    assert_outcome(s, OUTCOME_STOPPED);
    assert_reported(s, "Stopping→Stopped (local disks cleared); ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crashed_guest_whose_process_is_ended_has_crashed),
        cmocka_unit_test(a_crashed_guest_whose_power_is_cut_by_command_is_told_as_that),
        cmocka_unit_test(a_crash_that_was_undone_is_not_how_it_ended),
        cmocka_unit_test(a_crash_that_a_reset_has_undone_unseen_is_not_how_it_ended),
        cmocka_unit_test(how_it_ended_is_kept_until_its_process_has_ended),
        cmocka_unit_test(an_end_that_was_none_is_not_how_it_ended),
        cmocka_unit_test(how_it_ended_is_told_when_all_is_cleared),
        cmocka_unit_test(a_power_cut_is_told_when_all_is_cleared),
        cmocka_unit_test(how_it_ended_outlives_a_quarantine),
        cmocka_unit_test(its_timeline_tells_how_it_ended),
        cmocka_unit_test(an_older_journals_clear_ends_without_a_cause),
    };

    return cmocka_run_group_tests_name("stop cause", tests, NULL, NULL);
}
