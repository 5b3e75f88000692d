/* test_clear.c - what a stop does about the local disks that it owes a clear (contract 4.2 to 4.7)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/json.h"
#include "stop-kit.h"

#define A_STOP _cleanup_(stop_free) struct stop *s
/* Failed tries of a disk until it is left to an operator. */
#define TRIES 8

static const char *const serials[] = {"S4EWNX0R", "S4EWNX1R", "S4EWNX2R"};

/* --- Stops that owe a clear ------------------------------------------------------------------ */

static void add_disk(struct stop *s, size_t i)
{
    struct planned_disk *d = disk_plan_add(&s->op->disks);
    char text[32];

    assert_non_null(d);
    snprintf(text, sizeof(text), "vd%c", (char)('b' + i));
    (void)text_replace(&d->target, text);
    snprintf(text, sizeof(text), "/dev/nvme%zun1", i);
    (void)text_replace(&d->device, text);
    d->kind = DISK_BLOCK;
    d->bytes = 1 << 20;
    d->identity = json_object_new_object();
    json_object_object_add(d->identity, "serial", json_object_new_string(serials[i]));
    json_object_object_add(d->identity, "devno", json_object_new_string("259:0"));
}

static struct stop *owing(struct stop *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add_disk(s, i);
    (void)text_replace(&s->op->disks_at_acceptance, "vda\t/dev/root\n"
                                                    "vdb\t/dev/nvme0n1\n"
                                                    "vdc\t/dev/nvme1n1\n"
                                                    "vdd\t/dev/nvme2n1\n");
    return s;
}

/* An I1's stop: accepted, the button taken. */
static struct stop *an_i1_stop(size_t n)
{
    struct stop *s = admitted(owing(a_stop(.grace = seconds(60)), n));

    button_accepted(s);
    return s;
}

/* … and off. */
static struct stop *a_clear(size_t n)
{
    struct stop *s = an_i1_stop(n);

    seen_off(s, END_SHUTDOWN);
    return s;
}

/* The disks of an instance that went off by itself. */
static struct stop *a_clear_of_kept_disks(size_t n)
{
    struct stop *s = owing(a_stop(.without_processes = true), n);

    s->op->action = ACTION_CLEAR;
    s->op->stage = STAGE_CLEARING;
    return s;
}

/* --- What helpers say ------------------------------------------------------------------------ */

#define says(s, what, ...) happens(s, .kind = what, .news = &(struct disk_news){__VA_ARGS__})

static void cleared(struct stop *s, size_t disk)
{
    says(s, IN_DISK_CLEARED, .index = disk);
}

static void failed(struct stop *s, size_t disk)
{
    says(s, IN_DISK_FAILED, .index = disk, .message = "an I/O error");
}

static void failed_for_good(struct stop *s, size_t disk)
{
    says(s, IN_DISK_FAILED, .index = disk, .message = "it is another disk", .is_final = true);
}

static void nobodys(struct stop *s, size_t disk, unsigned spread)
{
    says(s, IN_DISK_FAILED, .index = disk, .message = "libvirt is away", .is_nobodys = true,
         .spread = spread);
}

static void retried(struct stop *s)
{
    happens(s, .kind = IN_RETRY, .principal = "root");
}

static const struct planned_disk *disk(const struct stop *s, size_t i)
{
    return &s->op->disks.items[i];
}

#define assert_disk(s, i, expected) \
    assert_string_equal(disk_state_to_string(disk(s, i)->state), disk_state_to_string(expected))

/* A look with a definition that has these disks. */
static void seen_with(struct stop *s, const struct sighting *seen, struct disk *disks, size_t n)
{
    const struct instance definition = {.disks = disks, .n_disks = n};

    s->wanted &= ~(unsigned)EFFECT_LOOK;
    happens(s, .kind = sighting_weigh(seen, &s->op->incarnation, s->op->has_processes),
            .sighting = seen, .definition = &definition);
}

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

/* --- Contract 4.3, 4.5: a clear that fails --------------------------------------------------- */

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
    assert_wants(s, EFFECT_CLEAR);
    assert_disk(s, 0, DISK_WAITING);
    assert_int_equal(disk(s, 0)->tries, 0);
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

/* --- Contract 4.6, 4.7: disks that are not cleared ------------------------------------------- */

static void somebody_starts_it_again(void **state)
{
    for (int quarantined = 0; quarantined < 2; quarantined++) {
        A_STOP = a_clear(2);

        if (quarantined) {
            failed_for_good(s, 0);
            failed_for_good(s, 1);
        }
        s->wanted = 0;
        seen_as(s, .state = DOMAIN_RUNNING, .incarnation = next_run, .remembered = PROCESS_ENDED);
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

/* One that is on its way off again has been started all the same. */
static void kept_disks_of_a_guest_that_was_started_stay(void **state)
{
    static const enum domain_state states[] = {DOMAIN_RUNNING, DOMAIN_ENDING};

    for (unsigned i = 0; i < ELEMENTSOF(states); i++) {
        A_STOP = a_clear_of_kept_disks(1);

        seen(s, states[i]);
        assert_failed_with(s, ERROR_STARTED_AGAIN);
        assert_reported(s, "");
        assert_wants(s, EFFECT_END_CLEAR);
    }
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

/* --- Which disks ----------------------------------------------------------------------------- */

static struct disk some_disks[] = {
    {.target = (char *)"vda", .source = (char *)"/dev/root", .kind = DISK_BLOCK},
    {.target = (char *)"vdb", .source = (char *)"/dev/nvme0n1", .kind = DISK_BLOCK},
    {.target = (char *)"vdc", .source = (char *)"/srv/c.img", .kind = DISK_FILE},
    {.target = (char *)"sda", .kind = DISK_BLOCK},
};

static void named_disks_are_the_candidates(void **state)
{
    struct local_disk named = {.target = (char *)"vdc"};
    const struct instance i = {.name = (char *)"vm1",
                               .disks = some_disks,
                               .n_disks = ELEMENTSOF(some_disks),
                               .local_disks = &named,
                               .n_local_disks = 1};
    _cleanup_(freep) struct disk_candidate *found = NULL;
    size_t n;

    assert_int_equal(disk_candidates(&i, &found, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_ptr_equal(found[0].disk, &some_disks[2]);
    assert_ptr_equal(found[0].named, &named);
}

static void without_names_every_block_device_is_one(void **state)
{
    const struct instance i = {
        .name = (char *)"vm1", .disks = some_disks, .n_disks = ELEMENTSOF(some_disks)};
    _cleanup_(freep) struct disk_candidate *found = NULL;
    size_t n;

    assert_int_equal(disk_candidates(&i, &found, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_ptr_equal(found[1].disk, &some_disks[1]);
    assert_null(found[1].named);
}

static void what_cannot_be_found_is_refused(void **state)
{
    struct local_disk named[] = {{.target = (char *)"vdx"}, {.target = (char *)"sda"}, {0}};

    for (size_t i = 0; i < ELEMENTSOF(named) + 1; i++) {
        const struct instance instance = {.name = (char *)"vm1",
                                          .disks = some_disks,
                                          .n_disks = ELEMENTSOF(some_disks),
                                          .local_disks = named + i,
                                          .n_local_disks = i < ELEMENTSOF(named),
                                          .has_passthrough_nvme = i == ELEMENTSOF(named)};
        struct disk_candidate *found = NULL;
        struct error *err = NULL;
        size_t n;

        assert_true(disk_candidates(&instance, &found, &n, &err) < 0);
        assert_int_equal(err->code, ERROR_DISK_STATUS);
        assert_null(found);
        error_free(err);
    }
}

static bool matches(const char *key, const char *is, const char *wanted)
{
    _cleanup_(json) json_object *identity = json_object_new_object();
    struct local_disk named = {.target = (char *)"vdb"};

    if (is)
        json_object_object_add(identity, key, json_object_new_string(is));
    if (strcmp(key, "serial") == 0)
        named.serial = (char *)wanted;
    else if (strcmp(key, "eui64") == 0)
        named.eui64 = (char *)wanted;
    else if (strcmp(key, "nguid") == 0)
        named.nguid = (char *)wanted;
    else
        named.wwn = (char *)wanted;
    return disk_matches_metadata(&named, identity, NULL) == 0;
}

static void a_disk_is_the_one_that_the_metadata_names(void **state)
{
    assert_true(matches("serial", "S4EWNX0R", "S4EWNX0R"));
    assert_true(matches("serial", "S4EWNX0R", " s4ewnx0r "));
    assert_true(matches("eui64", "0025385b71b01234", "eui.0025385B71B01234"));
    assert_true(matches("nguid", "0025385b-71b0-1234-0025-385b71b01234",
                        "0025385b71b012340025385b71b01234"));
    assert_true(matches("wwn", "naa.5000c500a1b2c3d4", "0x5000c500a1b2c3d4"));
    assert_true(matches("serial", NULL, ""));

    assert_false(matches("serial", "S4EWNX0R", "S4EWNX0"));
    assert_false(matches("serial", "S4EWNX0", "S4EWNX0R"));
    assert_false(matches("serial", NULL, "S4EWNX0R"));
    assert_false(matches("serial", "", "S4EWNX0R"));
    assert_false(matches("serial", "", "-"));
    assert_false(matches("eui64", "", "eui."));
}

/* A plan of one disk. */
static struct disk_plan plan_of(const char *target, const char *device, const char *identity)
{
    struct disk_plan plan = {0};
    struct planned_disk *d = disk_plan_add(&plan);

    assert_non_null(d);
    (void)text_replace(&d->target, target);
    (void)text_replace(&d->device, device);
    d->identity = json_tokener_parse(identity);
    return plan;
}

#define THEN                                                                        \
    "{\"size\":\"4096\",\"serial\":\"S1\",\"eui64\":\"0025\",\"firmware\":\"1.0\"," \
    "\"devno\":\"259:0\"}"

static void a_disk_is_what_it_was_at_the_start(void **state)
{
    static const struct {
        const char *target, *device, *then, *now, *differs;
    } cases[] = {
        {"vdb", "/dev/a", THEN, THEN, NULL},
        {"vdb", "/dev/a", THEN,
         "{\"size\":\"4096\",\"serial\":\"S2\",\"eui64\":\"0025\",\"devno\":\"259:0\"}",
         "its serial was S1 and is S2."},
        {"vdb", "/dev/a", THEN,
         "{\"size\":\"4096\",\"serial\":\"S1\",\"eui64\":\"0026\",\"devno\":\"259:0\"}",
         "its eui64 was 0025 and is 0026."},
        {"vdb", "/dev/a", THEN, "{\"size\":\"8192\",\"serial\":\"S1\",\"eui64\":\"0025\"}",
         "its size was 4096 and is 8192."},
        {"vdb", "/dev/a", THEN, "{\"size\":\"4096\",\"eui64\":\"0025\"}",
         "its serial was S1 and is not known."},
        /* Firmware is renewed in use, and the number of a device with a name may change. */
        {"vdb", "/dev/a", THEN,
         "{\"size\":\"4096\",\"serial\":\"S1\",\"eui64\":\"0025\",\"firmware\":\"1.1\","
         "\"devno\":\"259:7\"}",
         NULL},
        /* One without a name has only its number. */
        {"vdb", "/dev/a", "{\"size\":\"4096\",\"devno\":\"7:0\",\"sequence\":\"5\"}",
         "{\"size\":\"4096\",\"devno\":\"7:0\",\"sequence\":\"6\"}",
         "its sequence was 5 and is 6."},
        /* Another disk of the definition is compared with nothing. */
        {"vdc", "/dev/a", THEN, "{\"size\":\"1\"}", NULL},
        {"vdb", "/dev/b", THEN, "{\"size\":\"1\"}", NULL},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        struct disk_plan then = plan_of("vdb", "/dev/a", cases[i].then);
        struct disk_plan now = plan_of(cases[i].target, cases[i].device, cases[i].now);
        struct error *err = NULL;
        int r = disk_plan_compare(&then, &now, &err);

        if (!cases[i].differs) {
            assert_int_equal(r, 0);
        } else {
            assert_true(r < 0);
            assert_int_equal(err->code, ERROR_DISK_STATUS);
            assert_non_null(strstr(err->message, "The local disk vdb (/dev/a)"));
            assert_non_null(strstr(err->message, cases[i].differs));
        }
        error_free(err);
        disk_plan_clear(&then);
        disk_plan_clear(&now);
    }
}

static void a_device_with_a_name_is_found_again_under_another_number(void **state)
{
    struct planned_disk d = {.identity = json_tokener_parse(
                                 "{\"serial\": \"S1\", \"devno\": \"259:0\", \"size\": 4096}")};
    _cleanup_(json) json_object *named = planned_disk_expectation(&d), *unnamed = NULL;

    assert_non_null(named);
    assert_false(json_object_object_get_ex(named, "devno", NULL));
    assert_true(json_object_object_get_ex(named, "serial", NULL));
    assert_true(json_object_object_get_ex(named, "size", NULL));
    json_object_object_add(d.identity, "serial", json_object_new_string(""));
    unnamed = planned_disk_expectation(&d);
    assert_true(json_object_object_get_ex(unnamed, "devno", NULL));
    json_object_put(d.identity);
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
        cmocka_unit_test(a_failed_clear_is_tried_again_with_backoff),
        cmocka_unit_test(what_is_nobodys_doing_is_waited_out),
        cmocka_unit_test(what_is_in_a_helpers_way_is_looked_at),
        cmocka_unit_test(what_failed_together_comes_back_apart),
        cmocka_unit_test(what_a_clear_waits_for_stands_in_the_open),
        cmocka_unit_test(each_disk_has_its_own_next_try),
        cmocka_unit_test(an_outage_forgets_no_next_try),
        cmocka_unit_test(past_its_tries_a_disk_waits_for_an_operator),
        cmocka_unit_test(what_was_nobodys_doing_is_no_try),
        cmocka_unit_test(where_no_try_can_help_none_is_made),
        cmocka_unit_test(one_quarantined_disk_holds_up_no_other),
        cmocka_unit_test(a_spent_ladder_begins_anew),
        cmocka_unit_test(there_is_nothing_to_retry_before_the_clear),
        cmocka_unit_test(a_clear_cannot_be_cancelled),
        cmocka_unit_test(somebody_starts_it_again),
        cmocka_unit_test(a_stop_that_was_given_up_keeps_the_disks),
        cmocka_unit_test(a_cancelled_stop_keeps_the_disks_however_it_goes_off),
        cmocka_unit_test(force_renews_the_consent_to_a_clear),
        cmocka_unit_test(saved_or_migrated_is_never_cleared),
        cmocka_unit_test(changed_disks_wait_for_an_operator),
        cmocka_unit_test(the_disks_of_the_acceptance_are_no_change),
        cmocka_unit_test(a_snapshot_need_not_end_in_a_line_end),
        cmocka_unit_test(kept_disks_are_cleared_without_a_transition),
        cmocka_unit_test(kept_disks_of_a_guest_that_was_started_stay),
        cmocka_unit_test(a_clear_goes_on_after_a_restart),
        cmocka_unit_test(a_quarantine_outlives_a_restart),
        cmocka_unit_test(a_clear_is_owed_after_the_host_was_reset),
        cmocka_unit_test(a_damaged_disk_is_no_disk),
        cmocka_unit_test(named_disks_are_the_candidates),
        cmocka_unit_test(without_names_every_block_device_is_one),
        cmocka_unit_test(what_cannot_be_found_is_refused),
        cmocka_unit_test(a_disk_is_the_one_that_the_metadata_names),
        cmocka_unit_test(a_disk_is_what_it_was_at_the_start),
        cmocka_unit_test(a_device_with_a_name_is_found_again_under_another_number),
    };

    return cmocka_run_group_tests_name("clear", tests, NULL, NULL);
}
