/* test_clear_never.c - disks that are not cleared, and a clear after a restart (contract 4.5
 * to 4.7) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "stop-clear-kit.h"

/* --- Contract 4.6, 4.7: disks that are not cleared ------------------------------------------- */

static void somebody_starts_it_again(void **state)
{
    const struct sighting as[] = {
        {.state = DOMAIN_RUNNING, .incarnation = next_run, .remembered = PROCESS_ENDED},
        /* … and it is off again before anybody has looked. */
        {.state = DOMAIN_OFF,
         .cause = END_SHUTDOWN,
         .remembered = PROCESS_ENDED,
         .has_run_since = true},
    };

    for (size_t i = 0; i < 2 * ELEMENTSOF(as); i++) {
        A_STOP = a_clear(2);

        if (i % 2) { /* quarantined */
            failed_for_good(s, 0);
            failed_for_good(s, 1);
        }
        s->wanted = 0;
        weighed(s, &as[i / 2]);
        assert_failed_with(s, ERROR_STARTED_AGAIN);
        assert_reported(s, "Stopping→Running (" /* the table's sentence */
                           "Somebody started the domain again while it was being stopped.); ");
        assert_wants(s, EFFECT_END_CLEAR);
        assert_false(s->wanted & EFFECT_CLEAR);
        cleared(s, 0);
        cleared(s, 1);
        assert_failed_with(s, ERROR_STARTED_AGAIN);
    }
}

static void a_stop_that_was_given_up_keeps_the_disks(void **state)
{
    A_STOP = an_i1_stop(1);

    after(s, seconds(60));
    assert_stage(s, STAGE_RELENTING);
    seen_off(s, END_SHUTDOWN);
    assert_failed_with(s, ERROR_GRACE_OVER);
    assert_never(s, EFFECT_CLEAR);
    assert_disk(s, 0, DISK_WAITING);
}

static void a_cancelled_stop_keeps_the_disks_however_it_goes_off(void **state)
{
    A_STOP = an_i1_stop(1);

    happens(s, .kind = IN_CANCEL, .principal = "root");
    seen_as(s, .state = DOMAIN_OFF, .remembered = PROCESS_ALIVE);
    assert_stage(s, STAGE_BLOCKED);
    seen(s, DOMAIN_CRASHED);
    assert_stage(s, STAGE_RELENTING);
    seen_as(s, .state = DOMAIN_OFF, .remembered = PROCESS_ALIVE);
    seen_off(s, END_CRASHED);
    assert_outcome(s, OUTCOME_CANCELLED);
    assert_never(s, EFFECT_CLEAR | EFFECT_CUT);
}

static void force_renews_the_consent_to_a_clear(void **state)
{
    A_STOP = an_i1_stop(1);

    happens(s, .kind = IN_CANCEL, .principal = "root");
    happens(s, .kind = IN_FORCE, .principal = "root", .request_id = "");
    answered(s, EFFECT_CUT, IN_CUT, ERROR_NONE);
    seen_off(s, END_DESTROYED);
    assert_stage(s, STAGE_CLEARING);
}

static void saved_or_migrated_is_never_cleared(void **state)
{
    const enum end_cause causes[] = {END_SAVED, END_MIGRATED};

    for (size_t i = 0; i < ELEMENTSOF(causes); i++) {
        A_STOP = an_i1_stop(1);

        seen_off(s, causes[i]);
        assert_outcome(s, OUTCOME_FAILED);
        assert_never(s, EFFECT_CLEAR);
    }
}

/* … also where its process takes longer to end than the hypervisor remembers, whether that is known
 * from the first look on or is told in between, and whoever is at it by then. */
static void saved_or_migrated_is_kept_while_its_process_is_still_there(void **state)
{
    static const struct {
        enum end_cause first, then;
        bool is_managed;
        enum error_code code;
    } ends[] = {
        {END_SAVED, END_UNKNOWN, false, ERROR_SAVED},
        {END_MIGRATED, END_UNKNOWN, false, ERROR_MIGRATED},
        {END_UNKNOWN, END_SAVED, false, ERROR_SAVED},
        {END_UNKNOWN, END_MIGRATED, false, ERROR_MIGRATED},
        {END_DESTROYED, END_SAVED, false, ERROR_SAVED},
        {END_SAVED, END_DESTROYED, false, ERROR_SAVED},
        {END_UNKNOWN, END_UNKNOWN, true, ERROR_SAVED},
    };

    for (unsigned how = 0; how < 3; how++)
        for (size_t i = 0; i < ELEMENTSOF(ends); i++) {
            A_STOP = how == 2 ? owing(a_stop(.grace = seconds(60)), 1) : an_i1_stop(1);

            seen_as(s, .state = DOMAIN_OFF, .cause = ends[i].first, .remembered = PROCESS_ALIVE);
            assert_stage(s, how == 2 ? STAGE_QUEUED : STAGE_BLOCKED);
            seen_as(s, .state = DOMAIN_OFF, .cause = ends[i].then, .remembered = PROCESS_UNKNOWN,
                    .has_managed_save = ends[i].is_managed);
            if (how == 1)
                restarted(s);
            seen_off(s, END_UNKNOWN);
            assert_failed_with(s, ends[i].code);
            assert_never(s, EFFECT_CLEAR);
        }
}

/* … until the hypervisor says that it runs: then that was not its end. */
static void a_save_that_was_undone_is_not_how_it_ended(void **state)
{
    static const enum domain_state states[] = {DOMAIN_RUNNING, DOMAIN_PAUSED, DOMAIN_PMSUSPENDED,
                                               DOMAIN_CRASHED};

    for (unsigned queued = 0; queued < 2; queued++)
        for (size_t i = 0; i < ELEMENTSOF(states); i++) {
            A_STOP = queued ? owing(a_stop(.grace = seconds(60)), 1) : an_i1_stop(1);

            seen_as(s, .state = DOMAIN_OFF, .cause = END_SAVED, .remembered = PROCESS_ALIVE);
            seen(s, states[i]);
            seen_off(s, END_UNKNOWN);
            assert_stage(s, STAGE_CLEARING);
        }
}

/* A saved image that is found beside a clear holds, though its process cannot be judged just then.
 */
static void a_save_that_a_clear_comes_upon_is_kept(void **state)
{
    A_STOP = a_clear(1);

    failed(s, 0);
    s->wanted = 0;
    seen_as(s, .state = DOMAIN_OFF, .cause = END_SAVED, .remembered = PROCESS_UNKNOWN);
    assert_stage(s, STAGE_CLEARING);
    after(s, seconds(60));
    retried(s);
    assert_int_equal(s->wanted & EFFECT_CLEAR, 0);
    seen_off(s, END_UNKNOWN);
    assert_failed_with(s, ERROR_SAVED);
    assert_wants(s, EFFECT_END_CLEAR);
}

/* Of a version that did not keep it. */
static void an_older_journal_knows_of_no_end(void **state)
{
    A_STOP = an_i1_stop(1);
    json_object *document, *kept;

    seen_as(s, .state = DOMAIN_OFF, .cause = END_SAVED, .remembered = PROCESS_ALIVE);
    document = journalled(s->op);
    assert_true(json_object_object_get_ex(document, "journal", &kept));
    assert_true(json_object_object_get_ex(kept, "end", NULL));
    json_object_object_del(kept, "end");
    operation_free(take(s->op));
    assert_int_equal(operation_from_journal(document, &s->op, NULL), 0);
    json_object_put(document);
    assert_int_equal(s->op->end, END_UNKNOWN);
}

static void changed_disks_wait_for_an_operator(void **state)
{
    struct disk vdb = {.target = (char *)"vdb", .source = (char *)"/dev/nvme7n1"};
    A_STOP = an_i1_stop(2);

    seen_with(s,
              &(struct sighting){
                  .state = DOMAIN_RUNNING, .incarnation = first_run, .remembered = PROCESS_ALIVE},
              &vdb, 1);
    assert_true(s->op->disks_changed);
    restarted(s);
    seen_off(s, END_SHUTDOWN);
    assert_stage(s, STAGE_QUARANTINED);
    assert_never(s, EFFECT_CLEAR);
    assert_disk(s, 0, DISK_QUARANTINED);
    assert_disk(s, 1, DISK_QUARANTINED);
    assert_non_null(s->op->detail);
    retried(s);
    assert_stage(s, STAGE_CLEARING);
    seen_off(s, END_UNKNOWN);
    assert_wants(s, EFFECT_CLEAR);
}

static void the_disks_of_the_acceptance_are_no_change(void **state)
{
    struct disk same[] = {{.target = (char *)"vdc", .source = (char *)"/dev/nvme1n1"},
                          {.target = (char *)"vdb", .source = (char *)"/dev/nvme0n1"},
                          {.target = (char *)"sda"}};
    A_STOP = an_i1_stop(2);

    seen_with(s, &(struct sighting){.state = DOMAIN_OFF, .remembered = PROCESS_ENDED}, same,
              ELEMENTSOF(same));
    assert_stage(s, STAGE_CLEARING);
}

/* A snapshot that lost its last line's end is read no further than it goes. */
static void a_snapshot_need_not_end_in_a_line_end(void **state)
{
    struct disk vdb = {.target = (char *)"vdb", .source = (char *)"/dev/nvme0n1"};
    const struct instance i = {.disks = &vdb, .n_disks = 1};

    assert_false(disks_differ(&i, "vda\t/dev/root\nvdb\t/dev/nvme0n1"));
    assert_true(disks_differ(&i, "vda\t/dev/root\nvdb\t/dev/nvme0n"));
    assert_true(disks_differ(&i, "vdb\t/dev/nvme0n10"));
    assert_true(disks_differ(&i, "xvdb\t/dev/nvme0n1"));
    assert_true(disks_differ(&i, "vdb\n/dev/nvme0n1"));
    assert_false(disks_differ(&i, "\n\nvdb\t/dev/nvme0n1\n"));
    assert_true(disks_differ(&i, ""));
    assert_true(disks_differ(&i, NULL));
}

static void kept_disks_are_cleared_without_a_transition(void **state)
{
    A_STOP = a_clear_of_kept_disks(1);

    assert_int_equal(operation_state(s->op), STATE_STOPPED);
    seen_off(s, END_UNKNOWN);
    assert_wants(s, EFFECT_CLEAR);
    cleared(s, 0);
    assert_outcome(s, OUTCOME_STOPPED);
    assert_reported(s, "");
    assert_wants(s, EFFECT_END_CLEAR);
}

static void kept_disks_of_a_guest_that_was_started_stay(void **state)
{
    A_STOP = a_clear_of_kept_disks(1);

    seen(s, DOMAIN_RUNNING);
    assert_failed_with(s, ERROR_STARTED_AGAIN);
    assert_reported(s, "");
    assert_wants(s, EFFECT_END_CLEAR);
}

/* It was started since, and is on its way off again. */
static void kept_disks_of_a_run_that_is_ending_stay(void **state)
{
    A_STOP = a_clear_of_kept_disks(1);

    seen(s, DOMAIN_ENDING);
    assert_failed_with(s, ERROR_STARTED_AGAIN);
    assert_wants(s, EFFECT_END_CLEAR);
}

static void a_quarantined_disk_of_a_run_that_is_ending_stays(void **state)
{
    A_STOP = a_clear_of_kept_disks(1);

    failed_for_good(s, 0);
    assert_stage(s, STAGE_QUARANTINED);
    seen(s, DOMAIN_ENDING);
    assert_failed_with(s, ERROR_STARTED_AGAIN);
}

/* Contract 4.2: libvirt has to say off, whatever it has said before. */
static void while_it_is_not_seen_off_no_helper_begins(void **state)
{
    static const enum domain_state states[] = {DOMAIN_ENDING, DOMAIN_UNKNOWN};

    for (size_t i = 0; i < ELEMENTSOF(states); i++) {
        A_STOP = a_clear(1);

        failed(s, 0);
        s->wanted = 0;
        seen_as(s, .state = states[i]);
        assert_stage(s, STAGE_CLEARING);
        after(s, seconds(60));
        retried(s);
        assert_int_equal(s->wanted & EFFECT_CLEAR, 0);
        assert_wants(s, EFFECT_LOOK);
        seen_off(s, END_UNKNOWN);
        assert_wants(s, EFFECT_CLEAR);
    }
}

/* … nor when it was said a while ago: before an operator's word, an outage, a restart. */
static void what_was_seen_before_is_looked_at_again(void **state)
{
    for (unsigned how = 0; how < 4; how++)
        for (unsigned kept = 0; kept < 2; kept++) {
            A_STOP = kept ? a_clear_of_kept_disks(1) : a_clear(1);

            if (how == 0) {
                failed_for_good(s, 0);
            } else {
                failed(s, 0);
            }
            if (how == 2) {
                happens(s, .kind = IN_DETACHED);
                happens(s, .kind = IN_ATTACHED);
            } else if (how == 3) {
                restarted(s);
            }
            s->wanted &= EFFECT_LOOK;
            if (how == 0 || how == 1)
                retried(s);
            after(s, seconds(600));
            assert_stage(s, STAGE_CLEARING);
            assert_wants(s, EFFECT_LOOK);
            assert_int_equal(s->wanted & EFFECT_CLEAR, 0);
            seen_as(s, .state = DOMAIN_UNKNOWN);
            after(s, seconds(600));
            retried(s);
            assert_wants(s, EFFECT_LOOK);
            assert_int_equal(s->wanted & EFFECT_CLEAR, 0);
            seen_off(s, END_UNKNOWN);
            assert_wants(s, EFFECT_CLEAR);
            cleared(s, 0);
            assert_outcome(s, OUTCOME_STOPPED);
        }
}

/* Contract 4.5: also where nobody can prove any more that its process has ended. */
static void a_clear_that_waits_for_proof_says_so(void **state)
{
    A_STOP = a_clear(1);

    restarted(s);
    for (unsigned i = 0; i < 20; i++) {
        seen_as(s, .state = DOMAIN_OFF, .remembered = PROCESS_UNKNOWN,
                .process_detail = (char *)"pid 4711 cannot be read");
        after(s, seconds(10));
    }
    assert_stage(s, STAGE_CLEARING);
    assert_int_equal(s->wanted & EFFECT_CLEAR, 0);
    assert_non_null(s->op->detail);
    assert_non_null(strstr(s->op->detail, "pid 4711 cannot be read"));
    seen_off(s, END_UNKNOWN);
    assert_wants(s, EFFECT_CLEAR);
    assert_null(s->op->detail);
}

/* --- Contract 4.5: after a restart, of stopd and of the host --------------------------------- */

static void a_clear_goes_on_after_a_restart(void **state)
{
    _cleanup_(json) json_object *resume =
        json_tokener_parse("{\"method\": \"overwrite\", \"at\": 65536}");
    A_STOP = a_clear(3);

    cleared(s, 0);
    says(s, IN_DISK_PROGRESS, .index = 1, .state = DISK_CLEARING, .method = "overwrite",
         .done = 65536, .resume = resume);
    failed(s, 2);
    strcpy(s->op->disks.items[1].boot_id, first_run.boot_id);
    (void)text_replace(&s->op->disks.items[1].born, "1753000000.000000001");
    restarted(s);
    assert_stage(s, STAGE_CLEARING);
    assert_string_equal(disk(s, 1)->boot_id, first_run.boot_id);
    assert_string_equal(disk(s, 1)->born, "1753000000.000000001");
    assert_wants(s, EFFECT_LOOK);
    assert_false(s->wanted & EFFECT_CLEAR);
    assert_disk(s, 0, DISK_CLEARED);
    assert_string_equal(disk(s, 1)->method, "overwrite");
    assert_int_equal(disk(s, 1)->done, 65536);
    assert_true(json_object_equal(disk(s, 1)->resume, resume));
    assert_int_equal(disk(s, 2)->tries, 1);
    assert_int_equal(disk(s, 2)->next_try, 0);
    seen_off(s, END_UNKNOWN);
    assert_wants(s, EFFECT_CLEAR);
}

static void a_quarantine_outlives_a_restart(void **state)
{
    A_STOP = a_clear(1);

    failed_for_good(s, 0);
    restarted(s);
    seen_off(s, END_UNKNOWN);
    assert_stage(s, STAGE_QUARANTINED);
    assert_disk(s, 0, DISK_QUARANTINED);
    assert_string_equal(disk(s, 0)->problem, "it is another disk");
    assert_false(s->wanted & EFFECT_CLEAR);
}

static void a_clear_is_owed_after_the_host_was_reset(void **state)
{
    A_STOP = an_i1_stop(1);

    restarted(s);
    seen_as(s, .state = DOMAIN_OFF, .cause = END_UNKNOWN, .remembered = PROCESS_ENDED);
    assert_stage(s, STAGE_CLEARING);
    assert_wants(s, EFFECT_CLEAR);
}

static void a_damaged_disk_is_no_disk(void **state)
{
    static const char *const keys[] = {"device", "identity", "bytes", "state",
                                       "tries",  "kind",     "done",  "problem"};
    A_STOP = a_clear(1);

    for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
        _cleanup_(json) json_object *o = planned_disk_to_json(disk(s, 0), true);
        struct planned_disk d;

        assert_non_null(o);
        json_object_object_add(o, keys[i], json_object_new_array());
        assert_true(planned_disk_from_json(o, &d) < 0);
        json_object_object_del(o, keys[i]);
        assert_true(planned_disk_from_json(o, &d) < 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(somebody_starts_it_again),
        cmocka_unit_test(a_stop_that_was_given_up_keeps_the_disks),
        cmocka_unit_test(a_cancelled_stop_keeps_the_disks_however_it_goes_off),
        cmocka_unit_test(force_renews_the_consent_to_a_clear),
        cmocka_unit_test(saved_or_migrated_is_never_cleared),
        cmocka_unit_test(saved_or_migrated_is_kept_while_its_process_is_still_there),
        cmocka_unit_test(a_save_that_was_undone_is_not_how_it_ended),
        cmocka_unit_test(a_save_that_a_clear_comes_upon_is_kept),
        cmocka_unit_test(an_older_journal_knows_of_no_end),
        cmocka_unit_test(changed_disks_wait_for_an_operator),
        cmocka_unit_test(the_disks_of_the_acceptance_are_no_change),
        cmocka_unit_test(a_snapshot_need_not_end_in_a_line_end),
        cmocka_unit_test(kept_disks_are_cleared_without_a_transition),
        cmocka_unit_test(kept_disks_of_a_guest_that_was_started_stay),
        cmocka_unit_test(kept_disks_of_a_run_that_is_ending_stay),
        cmocka_unit_test(a_quarantined_disk_of_a_run_that_is_ending_stays),
        cmocka_unit_test(while_it_is_not_seen_off_no_helper_begins),
        cmocka_unit_test(what_was_seen_before_is_looked_at_again),
        cmocka_unit_test(a_clear_that_waits_for_proof_says_so),
        cmocka_unit_test(a_clear_goes_on_after_a_restart),
        cmocka_unit_test(a_quarantine_outlives_a_restart),
        cmocka_unit_test(a_clear_is_owed_after_the_host_was_reset),
        cmocka_unit_test(a_damaged_disk_is_no_disk),
    };

    return cmocka_run_group_tests_name("clear: never, and after a restart", tests, NULL, NULL);
}
