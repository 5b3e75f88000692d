/* test_wiper_watch.c - while a helper works: who comes between ends it, who hangs is told of */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "clear-kit.h"

#include <dirent.h>

/* --- While it works -------------------------------------------------------------------------- */

static void stopped_half_way(struct kit *k, uint64_t job, const char *why)
{
    fails_uncounted(k, job, why);
    assert_int_not_equal(kit_pid(k), 0);
    assert_false(kit_is_alive(kit_pid(k)));
    assert_true(kit_is_marked(k));
}

static void a_domain_that_starts_half_way_ends_it(void **state)
{
    struct kit *k = with_script(state, AT_WORK);
    uint64_t job = kit_clear(k);

    await(k, kit_exists(k, "working"));
    tell(k, kit_domain(k, OWN)->state = DOMAIN_RUNNING);
    stopped_half_way(k, job, "stopped half-way: the domain is not off any more");
}

static void another_domain_that_names_the_disk_half_way_ends_it(void **state)
{
    struct kit *k = with_script(state, AT_WORK);
    uint64_t job = kit_clear(k);

    await(k, kit_exists(k, "working"));
    tell(k, {
        kit_domain(k, OTHER)->state = DOMAIN_OFF;
        snprintf(kit_domain(k, OTHER)->disk, 160, "%s", k->device);
    });
    stopped_half_way(k, job, "is named by domain guest1 too");
}

/* Its state is told only when its processors run; what has a process is not off. */
static void a_domain_that_starts_up_half_way_ends_it(void **state)
{
    struct kit *k = with_script(state, AT_WORK);
    uint64_t job = kit_clear(k);

    await(k, kit_exists(k, "working"));
    tell(k, kit_domain(k, OWN)->is_unreadable = true; kit_domain(k, OWN)->starts_as = 4711);
    stopped_half_way(k, job, "stopped half-way: the domain is not off any more (starting up)");
}

/* What is cleared is cleared, and nothing starts without libvirt. */
static void libvirt_away_half_way_ends_nothing(void **state)
{
    struct kit *k = with_script(
        state, "listen; claimed; touch working; waits_for go; cleared; verified; certificate\n");
    uint64_t job = kit_clear(k);
    unsigned lists;

    await(k, kit_exists(k, "working"));
    tell(k, k->is_away = true);
    lists = k->n_lists;
    await(k, k->n_lists > lists + 1);
    tell(k, k->is_away = false; kit_domain(k, OTHER)->state = DOMAIN_RUNNING;
         kit_domain(k, OTHER)->is_unreadable = true; kit_domain(k, OWN)->is_unreadable = true);
    lists = k->n_lists;
    await(k, k->n_lists > lists + 1);
    assert_true(kit_goes_on(k, job));
    kit_touch(k, "go");
    await_report(k, job, WIPE_REPORT_CLEARED);
}

static void libvirt_that_hangs_half_way_holds_nothing_up(void **state)
{
    struct kit *k = with_script(
        state, "listen; claimed; touch working; waits_for go; cleared; verified; certificate\n");
    uint64_t job = kit_clear(k);

    await(k, kit_exists(k, "working"));
    tell(k, k->hangs = true);
    await(k, k->n_hanging > 0);
    kit_touch(k, "go");
    await_report(k, job, WIPE_REPORT_CLEARED);
    tell(k, k->hangs = false);
}

static void wiper_end_ends_it(void **state)
{
    struct kit *k = with_script(state, AT_WORK);
    uint64_t job = kit_clear(k);

    await(k, kit_exists(k, "working"));
    kit_end(k);
    fails_uncounted(k, job, "nothing is owed");
    assert_false(kit_is_alive(kit_pid(k)));
    await(k, !kit_is_marked(k));
}

static void what_ends_is_the_domains_alone(void **state)
{
    struct kit *k = with_script(
        state, "listen; claimed; touch working; waits_for go; cleared; verified; certificate\n");
    uint64_t job = kit_clear(k);
    uuid_t other;

    uuid_parse(OTHER, other);
    await(k, kit_exists(k, "working"));
    wiper_end(k->wiper, other);
    kit_touch(k, "go");
    await_report(k, job, WIPE_REPORT_CLEARED);
    assert_true(kit_is_marked(k));
}

static void a_helper_that_does_not_stop_is_killed(void **state)
{
    struct kit *k = with_script(state, "listen; claimed; deaf; touch working; hangs_for_good\n");
    uint64_t job = kit_clear(k);

    await(k, kit_exists(k, "working"));
    kit_end(k);
    fails_uncounted(k, job, "nothing is owed");
    assert_false(kit_is_alive(kit_pid(k)));
}

static void going_down_ends_helpers_and_keeps_debts(void **state)
{
    struct kit *k = with_script(state, AT_WORK);
    uint64_t job = kit_clear(k);
    pid_t pid;

    await(k, kit_exists(k, "working"));
    pid = kit_pid(k);
    kit_stop(k);
    fails_uncounted(k, job, "going down");
    assert_false(kit_is_alive(pid));
    assert_true(kit_is_marked(k));
}

/* By its name, for a sanitizer has a thread of its own, and one of the test before may just end. */
static bool a_clear_has_a_thread(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *e;
    bool found = false;

    assert_non_null(tasks);
    while ((e = readdir(tasks)) && !found) {
        char path[300], name[32];
        FILE *f;

        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
        f = fopen(path, "re");
        found = f && fgets(name, sizeof(name), f) && strcmp(name, "clear\n") == 0;
        if (f)
            fclose(f);
    }
    closedir(tasks);
    return found;
}

/* A helper that no signal reaches is abandoned with its job; nobody hears of it again. */
static void going_down_waits_only_so_long(void **state)
{
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);
    uint64_t job;
    size_t n;

    settings.stop_patience = PATIENCE * USEC_PER_SEC;
    kit_script(k, "helper", "listen; claimed; deaf; touch working; hangs_for_good\n");
    kit_start(k, &settings);
    job = kit_clear(k);
    await(k, kit_exists(k, "working"));
    assert_true(a_clear_has_a_thread());
    assert_false(wiper_free(take(k->wiper), 50 * USEC_PER_MSEC));
    n = k->n_reports;
    kill(kit_pid(k), SIGKILL);
    await(k, !kit_is_alive(kit_pid(k)));
    /* Whoever could say something is gone. */
    await(k, !a_clear_has_a_thread());
    assert_int_equal(k->n_reports, n);
    assert_true(kit_goes_on(k, job));
}

static void silence_is_told_again_and_again(void **state)
{
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);
    struct wipe_report *r;
    char pid[32];
    uint64_t job;

    settings.silence = 60 * USEC_PER_MSEC;
    kit_script(k, "helper", "listen; claimed; touch working; hangs\n");
    kit_start(k, &settings);
    job = kit_clear(k);
    r = await_report(k, job, WIPE_REPORT_SILENT);
    assert_non_null(strstr(r->message, "has said nothing for"));
    await(k, kit_exists(k, "working"));
    snprintf(pid, sizeof(pid), "pid %d, state ", kit_pid(k));
    assert_non_null(strstr(r->message, pid));
    await(k, kit_count(k, WIPE_REPORT_SILENT) >= 3);
    assert_true(kit_goes_on(k, job));
    kit_end(k);
    fails(k, job);
}

static void a_helper_that_speaks_is_not_silent(void **state)
{
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);

    settings.silence = 2 * USEC_PER_SEC;
    kit_script(k, "helper",
               "listen; claimed; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do method; sleep 0.2; done; "
               "cleared; verified; certificate\n");
    kit_start(k, &settings);
    await_report(k, kit_clear(k), WIPE_REPORT_CLEARED);
    assert_int_equal(kit_count(k, WIPE_REPORT_SILENT), 0);
}

/* While it stays it may still have the disk, and whether it cleared it its end tells. */
static void a_helper_that_stays_after_its_certificate_is_killed_and_has_not_cleared(void **state)
{
    struct kit *k = with_script(
        state, "listen; claimed; cleared; verified; certificate; touch working; hangs_for_good\n");
    uint64_t job = kit_clear(k);

    fails_counted(k, job, "gave a certificate, but it was ended by signal 9");
    assert_false(kit_is_alive(kit_pid(k)));
    assert_true(kit_is_marked(k));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_domain_that_starts_half_way_ends_it),
        TEST(a_domain_that_starts_up_half_way_ends_it),
        TEST(another_domain_that_names_the_disk_half_way_ends_it),
        TEST(libvirt_away_half_way_ends_nothing),
        TEST(libvirt_that_hangs_half_way_holds_nothing_up),
        TEST(wiper_end_ends_it),
        TEST(what_ends_is_the_domains_alone),
        TEST(a_helper_that_does_not_stop_is_killed),
        TEST(going_down_ends_helpers_and_keeps_debts),
        TEST(going_down_waits_only_so_long),
        TEST(silence_is_told_again_and_again),
        TEST(a_helper_that_speaks_is_not_silent),
        TEST(a_helper_that_stays_after_its_certificate_is_killed_and_has_not_cleared),
    };

    return cmocka_run_group_tests_name("wiper watches", tests, NULL, NULL);
}
