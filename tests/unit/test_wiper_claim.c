/* test_wiper_claim.c - what a clear waits for before a helper claims a disk: a domain that is off,
 * a process that has ended, and no other domain that names it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "clear-kit.h"

static void refused_before(void **state, const char *why)
{
    struct kit *k = with_script(state, A_CLEAR);

    fails_uncounted(k, kit_clear(k), why);
    assert_false(kit_exists(k, "request"));
    assert_true(kit_is_marked(k)); /* owed still */
}

static void a_domain_that_runs_is_not_cleared(void **state)
{
    kit_domain(kit_of(state), OWN)->state = DOMAIN_RUNNING;
    refused_before(state, "not off any more (running)");
}

static void a_domain_that_ends_is_not_off(void **state)
{
    kit_domain(kit_of(state), OWN)->state = DOMAIN_ENDING;
    refused_before(state, "not off any more");
}

static void a_domain_that_cannot_be_seen_is_not_off(void **state)
{
    kit_domain(kit_of(state), OWN)->is_unreadable = true;
    refused_before(state, "cannot tell");
}

static void a_saved_domain_is_not_cleared(void **state)
{
    kit_domain(kit_of(state), OWN)->is_saved = true;
    refused_before(state, "saved");
}

static void what_a_later_run_has_left_is_not_cleared(void **state)
{
    kit_domain(kit_of(state), OWN)->has_run_since = true;
    refused_before(state, "started again");
}

static void a_process_that_lives_is_not_cleared_under(void **state)
{
    kit_of(state)->fate = PROCESS_ALIVE;
    refused_before(state, "pid 4711, state D, wchan io_schedule");
}

static void a_process_that_cannot_be_judged_has_not_ended(void **state)
{
    kit_of(state)->fate = PROCESS_UNKNOWN;
    refused_before(state, "has not ended");
}

static void without_processes_a_remembered_one_has_not_ended(void **state)
{
    kit_of(state)->fate = PROCESS_NONE;
    refused_before(state, "has not ended");
}

static void libvirt_away_forbids_the_claim(void **state)
{
    kit_of(state)->is_away = true;
    refused_before(state, "libvirt is away");
}

static void a_domain_that_is_gone_is_cleared(void **state)
{
    struct kit *k = with_script(state, A_CLEAR);

    kit_domain(k, OWN)->state = DOMAIN_ABSENT;
    await_report(k, kit_clear(k), WIPE_REPORT_CLEARED);
}

static void where_no_process_was_known_none_is_asked_about(void **state)
{
    struct kit *k = with_script(state, A_CLEAR);
    struct wipe_job *j = kit_clear_job(k);

    k->fate = PROCESS_ALIVE;
    j->ended = (struct incarnation){0};
    wiper_start(k->wiper, j);
    await_report(k, k->last_job, WIPE_REPORT_CLEARED);
}

static void another_domain_that_cannot_be_read_forbids_the_claim(void **state)
{
    struct kit *k = kit_of(state);

    kit_domain(k, OTHER)->state = DOMAIN_RUNNING;
    kit_domain(k, OTHER)->is_unreadable = true;
    refused_before(state, "who else names the disk: which disks domain " OTHER);
}

/* Its definition may be of then, and not of now. */
static void another_domain_whose_state_is_unknown_forbids_the_claim(void **state)
{
    kit_domain(kit_of(state), OTHER)->state = DOMAIN_UNKNOWN;
    refused_before(state, "which disks domain guest1 names");
}

/* Below an image of another domain, running or only defined. */
static void another_domain_whose_backing_chain_has_the_disk_forbids_the_claim(void **state)
{
    struct kit *k = with_script(state, A_CLEAR);
    struct kit_domain *other = kit_domain(k, OTHER);

    other->state = DOMAIN_OFF;
    snprintf(other->disk, sizeof(other->disk), "/images/overlay.qcow2");
    snprintf(other->backing, sizeof(other->backing), "%s", k->device);
    fails_counted(k, kit_clear(k), "is named by domain guest1 too (vdb, as ");
    assert_false(kit_exists(k, "request"));
    tell(k, snprintf(other->backing, sizeof(other->backing), "/images/base.qcow2"));
    await_report(k, kit_clear(k), WIPE_REPORT_CLEARED);
}

static void another_domain_that_names_the_disk_by_a_volume_forbids_the_claim(void **state)
{
    struct kit *k = with_script(state, A_CLEAR);
    struct kit_domain *other = kit_domain(k, OTHER);

    other->state = DOMAIN_OFF;
    strcpy(other->volume, "volume");
    snprintf(k->volume_path, sizeof(k->volume_path), "%s", k->device);
    fails_counted(k, kit_clear(k), "is named by domain guest1 too (vdc, as ");
    assert_false(kit_exists(k, "request"));
    tell(k, snprintf(k->volume_path, sizeof(k->volume_path), "rbd/volume")); /* not this host's */
    await_report(k, kit_clear(k), WIPE_REPORT_CLEARED);
}

/* Unknown is not "not named". */
static void a_volume_that_cannot_be_told_forbids_the_claim(void **state)
{
    struct kit *k = with_script(state, A_CLEAR);
    struct kit_domain *other = kit_domain(k, OTHER), *third;
    unsigned n;

    other->state = DOMAIN_OFF;
    strcpy(other->volume, "volume");
    third = kit_domain(k, "33333333-3333-4333-8333-333333333333");
    third->state = DOMAIN_RUNNING;
    strcpy(third->volume, "volume");
    fails_uncounted(k, kit_clear(k),
                    "what disk vdc of domain guest1 is cannot be told (volume volume of pool "
                    "pool): no pool has the name pool");
    assert_false(kit_exists(k, "request"));
    n = k->n_volumes;
    tell(k, snprintf(k->volume_path, sizeof(k->volume_path), "/images/volume"));
    await_report(k, kit_clear(k), WIPE_REPORT_CLEARED);
    assert_int_equal(n, 1); /* for both who name it */
}

/* What its own volumes are is no question of others'. */
static void its_own_volume_forbids_nothing(void **state)
{
    struct kit *k = with_script(state, A_CLEAR);

    strcpy(kit_domain(k, OWN)->volume, "volume");
    await_report(k, kit_clear(k), WIPE_REPORT_CLEARED);
}

/* By whatever name: links are resolved. */
static void another_domain_that_names_the_disk_forbids_the_claim(void **state)
{
    struct kit *k = with_script(state, A_CLEAR);
    struct kit_domain *other = kit_domain(k, OTHER);

    snprintf(other->disk, sizeof(other->disk), "%s", kit_path(k, "by-another-name"));
    assert_int_equal(symlink(k->device, other->disk), 0);
    other->state = DOMAIN_OFF;
    fails_counted(k, kit_clear(k), "is named by domain guest1 too (vdb, as ");
    assert_false(kit_exists(k, "request"));
}

static void a_disk_that_is_gone_is_not_cleared(void **state)
{
    struct kit *k = with_script(state, A_CLEAR);
    struct wipe_job *j = kit_clear_job(k);

    unlink(k->device);
    wiper_start(k->wiper, j);
    fails_counted(k, k->last_job, "looking for ");
    assert_false(kit_exists(k, "request"));
}

/* A call that hangs costs the job its time and nobody else anything. */
static void libvirt_that_hangs_forbids_the_claim(void **state)
{
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);

    settings.call_timeout = 100 * USEC_PER_MSEC;
    kit_script(k, "helper", A_CLEAR);
    kit_start(k, &settings);
    k->hangs = true;
    fails_uncounted(k, kit_clear(k), "did not answer");
    assert_int_equal(k->n_looks, 0);
    tell(k, k->hangs = false);
    settings.call_timeout = PATIENCE * USEC_PER_SEC;
    wiper_configure(k->wiper, &settings);
    await_report(k, kit_clear(k), WIPE_REPORT_CLEARED);
}

/* The list alone hangs, and the next job does not wait for the last one's. */
static void what_hangs_at_the_end_is_told(void **state)
{
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);

    settings.call_timeout = 100 * USEC_PER_MSEC;
    kit_start(k, &settings);
    k->hangs = true;
    kit_script(k, "helper", A_CLEAR);
    fails_uncounted(k, kit_clear(k), "did not answer");
    assert_false(wiper_free(take(k->wiper), 100 * USEC_PER_MSEC));
    tell(k, k->hangs = false);
    await(k, k->n_looks == 1 && k->n_hanging == 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_domain_that_runs_is_not_cleared),
        TEST(a_domain_that_ends_is_not_off),
        TEST(a_domain_that_cannot_be_seen_is_not_off),
        TEST(a_saved_domain_is_not_cleared),
        TEST(what_a_later_run_has_left_is_not_cleared),
        TEST(a_process_that_lives_is_not_cleared_under),
        TEST(a_process_that_cannot_be_judged_has_not_ended),
        TEST(without_processes_a_remembered_one_has_not_ended),
        TEST(libvirt_away_forbids_the_claim),
        TEST(a_domain_that_is_gone_is_cleared),
        TEST(where_no_process_was_known_none_is_asked_about),
        TEST(another_domain_that_cannot_be_read_forbids_the_claim),
        TEST(another_domain_whose_state_is_unknown_forbids_the_claim),
        TEST(another_domain_that_names_the_disk_forbids_the_claim),
        TEST(another_domain_whose_backing_chain_has_the_disk_forbids_the_claim),
        TEST(another_domain_that_names_the_disk_by_a_volume_forbids_the_claim),
        TEST(a_volume_that_cannot_be_told_forbids_the_claim),
        TEST(its_own_volume_forbids_nothing),
        TEST(a_disk_that_is_gone_is_not_cleared),
        TEST(libvirt_that_hangs_forbids_the_claim),
        TEST(what_hangs_at_the_end_is_told),
    };

    return cmocka_run_group_tests_name("wiper: before the claim", tests, NULL, NULL);
}
