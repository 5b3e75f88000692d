/* test_wiper.c - a clear by a helper: only when nothing is in the way, and only as proved */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "wiper-kit.h"

/* Starts a wiper with this script for its helper. */
static struct kit *with_script(void **state, const char *body)
{
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);

    kit_script(k, "helper", body);
    kit_start(k, &settings);
    return k;
}

static struct wipe_report *fails(struct kit *k, uint64_t job)
{
    struct wipe_report *r = NULL;

    await(k, kit_is_over(k, job));
    r = kit_find(k, job, WIPE_REPORT_FAILED);
    if (!r)
        fail_msg("it was reported as cleared");
    return r;
}

/* Fails for no fault of the disk's, which is no try. */
static void fails_uncounted(struct kit *k, uint64_t job, const char *why)
{
    struct wipe_report *r = fails(k, job);

    assert_says(r->error, why);
    assert_int_equal(r->error->code, ERROR_UNKNOWN);
    assert_false(r->is_final);
}

static void fails_counted(struct kit *k, uint64_t job, const char *why)
{
    struct wipe_report *r = fails(k, job);

    assert_says(r->error, why);
    assert_int_not_equal(r->error->code, ERROR_UNKNOWN);
}

/* --- A clear that goes well ------------------------------------------------------------------- */

static void a_clear_ends_with_its_certificate(void **state)
{
    struct kit *k = with_script(state, A_CLEAR);
    struct wipe_report *r = await_report(k, kit_clear(k), WIPE_REPORT_CLEARED);
    const char *method = NULL;
    uuid_t domain;

    uuid_parse(OWN, domain);
    assert_int_equal(uuid_compare(r->domain, domain), 0);
    assert_int_equal(json_get_string(r->certificate, "method", &method), 0);
    assert_string_equal(method, "overwrite");
    assert_null(r->error);
    kit_stop(k);
    assert_int_equal(kit_count(k, WIPE_REPORT_FAILED), 0);
}

static void progress_is_told_as_it_comes(void **state)
{
    struct kit *k = with_script(
        state,
        "listen; claimed; method; progress clearing 1024 4096\n"
        "say '{\"event\":\"progress\",\"phase\":\"clearing\",\"method\":\"overwrite\",\"done\":"
        "2048,\"total\":4096,\"resume\":{\"durable\":2048}}'\n"
        "say '{\"event\":\"setback\",\"method\":\"overwrite\",\"reason\":\"lied\",\"message\":"
        "\"the canary sings\"}'\n"
        "cleared; progress verifying 256 512; verified; certificate\n");
    uint64_t job = kit_clear(k), durable = 0;
    struct wipe_report **r = k->reports;

    await_report(k, job, WIPE_REPORT_CLEARED);
    assert_int_equal(k->n_reports, 6);
    assert_int_equal(r[0]->state, DISK_CLEARING);
    assert_string_equal(r[0]->method, "overwrite");
    assert_int_equal(r[1]->done, 1024);
    assert_int_equal(r[1]->mib_per_s, 7);
    assert_int_equal(r[1]->seconds_left, 9);
    assert_null(r[1]->resume);
    assert_int_equal(json_get_number(r[2]->resume, "durable", &durable), 0);
    assert_int_equal(durable, 2048);
    assert_int_equal(r[3]->kind, WIPE_REPORT_SETBACK);
    assert_string_equal(r[3]->message, "overwrite lied: the canary sings");
    /* Of a sample the half is half of the disk. */
    assert_int_equal(r[4]->state, DISK_VERIFYING);
    assert_int_equal(r[4]->done, 4096);
    assert_int_equal(r[4]->verified, 2048);
}

static void add_extra_domains(struct kit *k)
{
    for (int i = 0; i < 3; i++) {
        char uuid[UUID_TEXT_SIZE];
        struct kit_domain *d;

        snprintf(uuid, sizeof(uuid), "3333333%d-3333-4333-8333-333333333333", i);
        d = kit_domain(k, uuid);
        d->state = i == 0 ? DOMAIN_RUNNING : DOMAIN_OFF;
        snprintf(d->disk, sizeof(d->disk), "/images/of-%d", i);
    }
}

static void the_helper_is_told_all_that_it_has_to_know(void **state)
{
    struct kit *k = kit_of(state);
    struct wipe_request r;
    struct wipe_job *j = kit_clear_job(k);
    _cleanup_(freep) char *text = NULL;
    struct error *err = NULL;
    size_t n = 0;

    add_extra_domains(k);
    j->disk.resume = json_tokener_parse(
        "{\"size\":4096,\"method\":\"overwrite\",\"stage\":\"clearing\",\"durable\":1024,\"seed\":"
        "\"00112233445566778899aabbccddeeff\",\"startedAt\":\"2026-11-24T10:23:45.123Z\",\"runs\":"
        "1}");
    with_script(state, A_CLEAR);
    wiper_start(k->wiper, j);
    await_report(k, k->last_job, WIPE_REPORT_CLEARED);
    text = scratch_read(kit_path(k, "request"), &n);
    wipe_request_init(&r);
    if (wipe_request_parse(text, n, &r, &err) < 0)
        fail_msg("%s", error_message(err));
    assert_int_equal(r.verb, WIPE_CLEAR);
    assert_string_equal(r.device, k->device);
    assert_int_equal(r.kind, STORAGE_FILE);
    assert_string_equal(r.identity.value[IDENTITY_SIZE], "4096");
    assert_non_null(r.identity.value[IDENTITY_INODE]);
    assert_int_equal(r.n_methods, 2);
    assert_int_equal(r.methods[0], CLEAR_WRITE_ZEROES);
    assert_int_equal(r.level, LEVEL_CLEAR);
    assert_int_equal(r.verify, WIPE_VERIFY_SAMPLE);
    assert_int_equal(r.max_mib_per_s, 100);
    assert_int_equal(r.allow_files.n, 1);
    assert_int_equal(r.allow_devices.n, 0);
    assert_int_equal(r.n_others, 3);
    assert_string_equal(r.others[0].source, "/images/of-0");
    assert_string_equal(r.others[0].domain, "guest1");
    assert_int_equal(r.companions.n, 0); /* its own disk is none */
    assert_true(r.resume.is_present);
    assert_int_equal(r.resume.durable, 1024);
    assert_string_equal(r.request_id, REQUEST);
    assert_string_equal(r.instance_id, "i-bp67acfmxazb4ph");
    assert_string_equal(r.target, "vdb");
    assert_string_equal(r.operator, "unix:uid=0(root)");
    assert_string_equal(r.host, "node-17");
    wipe_request_clear(&r);
}

/* It saves work and proves nothing. */
static void a_resume_that_makes_no_sense_is_left_out(void **state)
{
    struct kit *k = with_script(state, A_CLEAR);
    struct wipe_job *j = kit_clear_job(k);
    _cleanup_(freep) char *text = NULL;

    j->disk.resume = json_tokener_parse("{\"size\":\"large\"}");
    wiper_start(k->wiper, j);
    await_report(k, k->last_job, WIPE_REPORT_CLEARED);
    text = scratch_read(kit_path(k, "request"), NULL);
    assert_null(strstr(text, "\"resume\""));
}

static void many_others_are_told_whole(void **state)
{
    struct kit *k = kit_of(state);
    _cleanup_(freep) char *text = NULL;

    for (size_t i = k->n_domains; i < DOMAINS_MAX; i++) {
        char uuid[UUID_TEXT_SIZE];
        struct kit_domain *d;

        snprintf(uuid, sizeof(uuid), "3333%04zx-3333-4333-8333-333333333333", i);
        d = kit_domain(k, uuid);
        d->state = DOMAIN_OFF;
        memset(d->disk, 'x', sizeof(d->disk) - 1);
        d->disk[0] = '/';
    }
    /* More than a pipe holds, to a helper that reads late. */
    with_script(state, "sleep 0.3\n" A_CLEAR);
    await_report(k, kit_clear(k), WIPE_REPORT_CLEARED);
    text = scratch_read(kit_path(k, "request"), NULL);
    assert_true(strlen(text) > 70000);
}

static void clears_go_on_side_by_side(void **state)
{
    struct kit *k =
        with_script(state, "listen; claimed; waits_for go; cleared; verified; certificate\n");
    uint64_t jobs[16];

    for (size_t i = 0; i < ELEMENTSOF(jobs); i++)
        jobs[i] = kit_clear(k);
    kit_touch(k, "go");
    for (size_t i = 0; i < ELEMENTSOF(jobs); i++)
        await_report(k, jobs[i], WIPE_REPORT_CLEARED);
}

static void without_verification_none_is_asked_for(void **state)
{
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);

    settings.verify = "none";
    kit_script(k, "helper", "listen; claimed; cleared; certificate\n");
    kit_start(k, &settings);
    await_report(k, kit_clear(k), WIPE_REPORT_CLEARED);
}

static void new_settings_are_for_new_jobs(void **state)
{
    struct kit *k =
        with_script(state, "listen; claimed; waits_for go; cleared; verified; certificate\n");
    struct wiper_settings settings = kit_settings(k);
    char helper[200];
    uint64_t first = kit_clear(k), second;

    await(k, kit_exists(k, "request"));
    snprintf(helper, sizeof(helper), "spawn:%s", kit_path(k, "no-such-helper"));
    settings.helper = helper;
    wiper_configure(k->wiper, &settings);
    settings.level = "nonsense"; /* is not taken over */
    wiper_configure(k->wiper, &settings);
    second = kit_clear(k);
    fails_uncounted(k, second, "no-such-helper");
    kit_touch(k, "go");
    await_report(k, first, WIPE_REPORT_CLEARED);
}

/* --- Before the claim ------------------------------------------------------------------------ */

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

static void without_a_marker_nothing_begins(void **state)
{
    struct kit *k = with_script(state, A_CLEAR);

    assert_int_equal(rmdir(kit_path(k, "owed")), 0);
    fails_uncounted(k, kit_clear(k), "could not be marked as owed");
    assert_false(kit_exists(k, "request"));
}

static void the_marker_is_there_before_the_helper(void **state)
{
    struct kit *k = with_script(state, A_CLEAR);
    _cleanup_(freep) char *marked = NULL;

    await_report(k, kit_clear(k), WIPE_REPORT_CLEARED);
    marked = scratch_read(kit_path(k, "marked"), NULL);
    assert_string_equal(marked, OWN ".vdb.json\n");
}

/* Until the journal knows: see wiper_end(). */
static void the_marker_stays_until_nothing_is_owed(void **state)
{
    struct kit *k = with_script(state, A_CLEAR);

    await_report(k, kit_clear(k), WIPE_REPORT_CLEARED);
    assert_true(kit_is_marked(k));
    kit_end(k);
    await(k, !kit_is_marked(k));
}

static void a_debt_is_marked_before_its_turn(void **state)
{
    struct kit *k = with_script(state, A_CLEAR);
    struct wipe_job *j = kit_clear_job(k);
    struct disk_plan plan = {.items = &j->disk, .n = 1};

    wiper_owe(k->wiper, j->domain, REQUEST, "i-bp67acfmxazb4ph", "", &plan);
    await(k, kit_is_marked(k));
    kit_end(k);
    await(k, !kit_is_marked(k));
    j->disk.state = DISK_CLEARED;
    wiper_owe(k->wiper, j->domain, REQUEST, "i-bp67acfmxazb4ph", "", &plan);
    kit_stop(k);
    assert_false(kit_is_marked(k));
    wipe_job_free(j);
}

/* --- While it works -------------------------------------------------------------------------- */

/* A helper that works until it is told to stop. */
#define AT_WORK \
    "listen; claimed; touch working; while true; do progress clearing 1 4096; sleep 0.02; done\n"

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
    assert_false(kit_is_over(k, job));
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
    struct kit *k = with_script(state, "listen; claimed; touch working; hangs_for_good\n");
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

/* A helper that no signal reaches is abandoned with its job; nobody hears of it again. */
static void going_down_waits_only_so_long(void **state)
{
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);
    uint64_t job;
    size_t n;

    settings.stop_patience = PATIENCE * USEC_PER_SEC;
    kit_script(k, "helper", "listen; claimed; touch working; hangs_for_good\n");
    kit_start(k, &settings);
    job = kit_clear(k);
    await(k, kit_exists(k, "working"));
    assert_false(wiper_free(take(k->wiper), 50 * USEC_PER_MSEC));
    n = k->n_reports;
    kill(kit_pid(k), SIGKILL);
    await(k, !kit_is_alive(kit_pid(k)));
    usleep(50000);
    assert_int_equal(k->n_reports, n);
    assert_false(kit_is_over(k, job));
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
    assert_false(kit_is_over(k, job));
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

static void a_helper_that_does_not_go_is_told_of(void **state)
{
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);
    uint64_t job;
    pid_t pid = 0;

    /* Its certificate is given, but it stays: it may still have the disk. */
    settings.silence = 50 * USEC_PER_MSEC;
    settings.stop_patience = PATIENCE * USEC_PER_SEC;
    kit_script(k, "helper", "listen; claimed; cleared; verified; certificate; hangs_for_good\n");
    kit_start(k, &settings);
    job = kit_clear(k);
    await(k, (pid = kit_pid(k)) != 0);
    usleep(100000);
    assert_false(kit_is_over(k, job));
    kill(pid, SIGKILL);
    fails_counted(k, job, "gave a certificate, but it was ended by signal 9");
}

/* --- Helpers that go wrong ------------------------------------------------------------------- */

static void without_a_helper_it_is_no_try(void **state)
{
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);
    static const char *const hows[] = {"spawn:/no/such/helper", "spawn:/etc/passwd",
                                       "unix:/no/such/socket", "by magic", "unix:"};

    kit_start(k, &settings);
    for (size_t i = 0; i < ELEMENTSOF(hows); i++) {
        settings.helper = hows[i];
        wiper_configure(k->wiper, &settings);
        fails_uncounted(k, kit_clear(k), "");
    }
}

/* Killed, or gone without a word, after each line: never cleared before all are said. */
static void a_helper_that_ends_early_has_not_cleared(void **state)
{
    static const char *const ends[] = {"kill -9 $$\n", "exit 0\n", "exit 71\n",
                                       "printf '{\"event\":\"certif'; exit 0\n"};
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);

    kit_start(k, &settings);
    for (size_t n = 0; n < ELEMENTSOF(kit_lines); n++)
        for (size_t e = 0; e < ELEMENTSOF(ends); e++) {
            char script[1024] = "listen\n";
            uint64_t job;

            for (size_t i = 0; i < n; i++) {
                strcat(script, kit_lines[i]);
                strcat(script, "\n");
            }
            strcat(script, ends[e]);
            kit_script(k, "helper", script);
            job = kit_clear(k);
            fails_counted(k, job, "without a last word");
            assert_false(kit_find(k, job, WIPE_REPORT_FAILED)->is_final);
        }
}

static void a_certificate_counts_with_its_exit_status(void **state)
{
    static const char *const ends[] = {"exit 71\n", "exit 1\n", "kill -9 $$\n"};
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);

    kit_start(k, &settings);
    for (size_t i = 0; i < ELEMENTSOF(ends); i++) {
        char script[256];

        snprintf(script, sizeof(script), "%s%s", A_CLEAR, ends[i]);
        kit_script(k, "helper", script);
        fails_counted(k, kit_clear(k), "gave a certificate, but it ");
    }
}

static void a_certificate_counts_after_what_it_certifies(void **state)
{
    static const struct {
        const char *script, *why;
    } cases[] = {
        {"listen; certificate\n", "has not told of"},
        {"listen; claimed; certificate\n", "has not told of"},
        {"listen; cleared; verified; certificate\n", "has not told of"},
        {"listen; claimed; cleared; certificate\n", "has not verified"},
        {"listen; claimed; cleared; verified; say '{\"event\":\"certificate\"}'\n",
         "no certificate"},
        {"listen; claimed; cleared; verified; say "
         "'{\"event\":\"certificate\",\"certificate\":\"yes\"}'\n",
         "no certificate"},
        {"listen; say '{\"event\":\"claimed\"}'\n", "which device"},
        {"listen; say '{\"event\":\"claimed\",\"device\":\"/no/such/device\"}'\n",
         "/no/such/device"},
        {"listen; identity\n", "not asked"},
        {"listen; say '{\"event\":\"plan\"}'\n", "not asked"},
    };
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);

    kit_start(k, &settings);
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        kit_script(k, "helper", cases[i].script);
        fails_counted(k, kit_clear(k), cases[i].why);
    }
}

static void nonsense_ends_the_helper(void **state)
{
    static const char *const nonsense[] = {
        "listen; claimed; echo hello; touch working; hangs_for_good\n",
        "listen; claimed; echo; hangs_for_good\n",
        "listen; claimed; say '{\"event\":\"dance\"}'; hangs_for_good\n",
        "listen; claimed; say '[1,2,3]'; hangs_for_good\n",
        "listen; claimed; say 'null'; hangs_for_good\n",
        "listen; claimed; printf '\\000\\n'; hangs_for_good\n",
        "listen; claimed; head -c 100000 /dev/urandom; echo; hangs_for_good\n",
        "listen; claimed; head -c 3000000 /dev/zero | tr '\\0' x; hangs_for_good\n",
        "listen; say '{\"event\":\"error\"}'; hangs_for_good\n",
        "listen; say '{\"event\":\"error\",\"outcome\":\"sulking\"}'; hangs_for_good\n",
    };
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);

    kit_start(k, &settings);
    for (size_t i = 0; i < ELEMENTSOF(nonsense); i++) {
        kit_script(k, "helper", nonsense[i]);
        fails_counted(k, kit_clear(k), "");
        assert_false(kit_is_alive(kit_pid(k)));
    }
}

/* A line may be as long as a certificate with raw identify data. */
static void a_long_line_is_heard(void **state)
{
    struct kit *k =
        with_script(state, "listen; claimed; cleared; verified\n"
                           "printf '{\"event\":\"certificate\",\"certificate\":{\"raw\":\"'\n"
                           "head -c 500000 /dev/zero | tr '\\0' 0; printf '\"}}\\n'\n");
    struct wipe_report *r = await_report(k, kit_clear(k), WIPE_REPORT_CLEARED);
    const char *raw = NULL;

    assert_int_equal(json_get_string(r->certificate, "raw", &raw), 0);
    assert_int_equal(strlen(raw), 500000);
}

static void text_is_made_utf8(void **state)
{
    struct kit *k = with_script(
        state, "listen; printf "
               "'{\"event\":\"error\",\"outcome\":\"refused\",\"guard\":\"open\",\"message\":"
               "\"open in M\\303\\274ller [\\377\\300\\257 \\355\\240\\200 \\364\\220\\200\\200 "
               "\\342\\202]\"}\\n'; exit 76\n");

    fails_counted(k, kit_clear(k), "open in M\xc3\xbcller [??? ??? ???? ??]");
}

static void a_helper_that_does_not_listen_is_heard_and_ended(void **state)
{
    struct kit *k = kit_of(state);
    uint64_t job;

    kit_domain(k, OTHER)->state = DOMAIN_OFF;
    add_extra_domains(k);
    with_script(state,
                "exec 0<&-; device=$PWD/disk.img; echo $$ > pid; claimed; touch working; hangs\n");
    job = kit_clear(k);
    await(k, kit_exists(k, "working"));
    kit_end(k);
    fails(k, job);
    assert_false(kit_is_alive(kit_pid(k)));
}

/* Which failures somebody has to look at before another try. */
static void failures_are_final_where_a_try_cannot_help(void **state)
{
    static const struct {
        const char *outcome, *guard, *says;
        bool is_final, is_spent;
    } cases[] = {
        {"refused", "mounted", "refused, nothing was touched (guard mounted): because", false,
         false},
        {"refused", "open", "guard open", false, false},
        {"refused", "other-domain", "guard other-domain", false, false},
        {"refused", "claim", "guard claim", false, false},
        {"refused", "identity", "guard identity", true, false},
        {"refused", "allowed", "guard allowed", true, false},
        {"refused", "ladder", "guard ladder", true, false},
        {"stopped", "open", "stopped half-way (guard open): because", false, false},
        {"stopped", "identity", "guard identity", true, false},
        {"failed", "", "because", false, true},
        {"usage", "", "does not understand the request: because", true, false},
    };
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);

    kit_start(k, &settings);
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        char script[512];
        uint64_t job;

        snprintf(script, sizeof(script),
                 "listen; say "
                 "'{\"event\":\"error\",\"outcome\":\"%s\",\"guard\":\"%s\",\"message\":"
                 "\"because\"}'; exit 71\n",
                 cases[i].outcome, cases[i].guard);
        kit_script(k, "helper", script);
        job = kit_clear(k);
        fails_counted(k, job, cases[i].says);
        assert_int_equal(kit_find(k, job, WIPE_REPORT_FAILED)->is_final, cases[i].is_final);
        assert_int_equal(kit_find(k, job, WIPE_REPORT_FAILED)->is_spent, cases[i].is_spent);
    }
}

/* Not a descriptor of ours, though it is not close-on-exec, and not our process group. */
static void it_has_nothing_of_ours(void **state)
{
    struct kit *k = with_script(state, "listen; ls /proc/$$/fd > fds; cat /proc/$$/stat > stat; "
                                       "claimed; cleared; verified; certificate\n");
    _cleanup_(freep) char *fds = NULL, *stat_text = NULL;
    int group = 0;

    assert_int_equal(dup2(STDERR_FILENO, 7), 7);
    assert_int_equal(dup2(STDERR_FILENO, 77), 77);
    await_report(k, kit_clear(k), WIPE_REPORT_CLEARED);
    close(7);
    close(77);
    fds = scratch_read(kit_path(k, "fds"), NULL);
    assert_non_null(strstr(fds, "2\n"));
    assert_null(strstr(fds, "7"));
    stat_text = scratch_read(kit_path(k, "stat"), NULL);
    assert_int_equal(sscanf(stat_text, "%*d (%*[^)]) %*c %*d %d", &group), 1);
    assert_int_equal(group, kit_pid(k));
}

/* --- Behind a socket -------------------------------------------------------------------------- */

static struct kit *with_socket(void **state, const char *body)
{
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);
    char helper[200];

    snprintf(helper, sizeof(helper), "unix:%s", kit_path(k, "socket"));
    settings.helper = helper;
    settings.silence = 100 * USEC_PER_MSEC;
    kit_script(k, "served", body);
    kit_listen(k);
    kit_start(k, &settings);
    return k;
}

static void a_served_helper_clears(void **state)
{
    struct kit *k = with_socket(state, A_CLEAR);

    await_report(k, kit_clear(k), WIPE_REPORT_CLEARED);
    await_report(k, kit_clear(k), WIPE_REPORT_CLEARED);
}

static void a_served_helper_that_ends_early_has_not_cleared(void **state)
{
    struct kit *k = with_socket(state, A_CLEAR);

    for (size_t n = 1; n < ELEMENTSOF(kit_lines); n++) {
        char script[1024] = "listen\n";

        for (size_t i = 0; i < n; i++) {
            strcat(script, kit_lines[i]);
            strcat(script, "\n");
        }
        strcat(script, n % 2 ? "kill -9 $$\n" : "exit 0\n");
        kit_script(k, "served", script);
        fails_counted(k, kit_clear(k), "without a last word");
    }
}

/* The service manager closes a connection that it has no place for, or no program. */
static void a_socket_that_says_nothing_is_no_helper(void **state)
{
    static const char *const scripts[] = {"exit 0\n", "listen; exit 203\n", "kill -9 $$\n"};
    struct kit *k = with_socket(state, A_CLEAR);

    for (size_t i = 0; i < ELEMENTSOF(scripts); i++) {
        kit_script(k, "served", scripts[i]);
        fails_uncounted(k, kit_clear(k), "ended without a word");
    }
}

static void a_served_helper_is_ended_by_nobody_listening(void **state)
{
    struct kit *k = with_socket(state, AT_WORK);
    uint64_t job = kit_clear(k);

    await(k, kit_exists(k, "working"));
    kit_end(k);
    fails_uncounted(k, job, "nothing is owed");
    await(k, !kit_is_alive(kit_pid(k)));
    await(k, !kit_is_marked(k));
}

/* It may have the disk for as long as it lives: so long it is marked, and the job is not over. */
static void a_served_helper_that_hangs_keeps_its_marker(void **state)
{
    struct kit *k = with_socket(state, "listen; claimed; touch working; hangs_for_good\n");
    uint64_t job = kit_clear(k);
    struct wipe_report *r;

    await(k, kit_exists(k, "working"));
    r = await_report(k, job, WIPE_REPORT_SILENT);
    assert_non_null(strstr(r->message, "the helper behind "));
    kit_end(k);
    await(k, kit_count(k, WIPE_REPORT_SILENT) >= 5);
    assert_false(kit_is_over(k, job));
    assert_true(kit_is_marked(k));
    kill(kit_pid(k), SIGKILL);
    fails_uncounted(k, job, "nothing is owed");
    await(k, !kit_is_marked(k));
}

/* Wrong settings are found before any job is. */
static void settings_are_checked(void **state)
{
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);
    struct wiper *w = NULL;
    _cleanup_(error_free) struct error *err = NULL;

    settings.verify = "perhaps";
    assert_int_not_equal(wiper_new(&settings, &k->hypervisor, &w, &err), 0);
    assert_says(err, "local_storage.verify");
    settings = kit_settings(k);
    settings.marker_folder = "/no/such/folder/owed";
    assert_int_not_equal(wiper_new(&settings, &k->hypervisor, &w, NULL), 0);
    assert_null(w);
    assert_true(wiper_free(NULL, 0));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_clear_ends_with_its_certificate),
        TEST(progress_is_told_as_it_comes),
        TEST(the_helper_is_told_all_that_it_has_to_know),
        TEST(a_resume_that_makes_no_sense_is_left_out),
        TEST(many_others_are_told_whole),
        TEST(clears_go_on_side_by_side),
        TEST(without_verification_none_is_asked_for),
        TEST(new_settings_are_for_new_jobs),
        TEST(a_domain_that_runs_is_not_cleared),
        TEST(a_domain_that_ends_is_not_off),
        TEST(a_domain_that_cannot_be_seen_is_not_off),
        TEST(a_saved_domain_is_not_cleared),
        TEST(a_process_that_lives_is_not_cleared_under),
        TEST(a_process_that_cannot_be_judged_has_not_ended),
        TEST(without_processes_a_remembered_one_has_not_ended),
        TEST(libvirt_away_forbids_the_claim),
        TEST(a_domain_that_is_gone_is_cleared),
        TEST(where_no_process_was_known_none_is_asked_about),
        TEST(another_domain_that_cannot_be_read_forbids_the_claim),
        TEST(another_domain_that_names_the_disk_forbids_the_claim),
        TEST(a_disk_that_is_gone_is_not_cleared),
        TEST(libvirt_that_hangs_forbids_the_claim),
        TEST(what_hangs_at_the_end_is_told),
        TEST(without_a_marker_nothing_begins),
        TEST(the_marker_is_there_before_the_helper),
        TEST(the_marker_stays_until_nothing_is_owed),
        TEST(a_debt_is_marked_before_its_turn),
        TEST(a_domain_that_starts_half_way_ends_it),
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
        TEST(a_helper_that_does_not_go_is_told_of),
        TEST(without_a_helper_it_is_no_try),
        TEST(a_helper_that_ends_early_has_not_cleared),
        TEST(a_certificate_counts_with_its_exit_status),
        TEST(a_certificate_counts_after_what_it_certifies),
        TEST(nonsense_ends_the_helper),
        TEST(a_long_line_is_heard),
        TEST(text_is_made_utf8),
        TEST(a_helper_that_does_not_listen_is_heard_and_ended),
        TEST(failures_are_final_where_a_try_cannot_help),
        TEST(it_has_nothing_of_ours),
        TEST(a_served_helper_clears),
        TEST(a_served_helper_that_ends_early_has_not_cleared),
        TEST(a_socket_that_says_nothing_is_no_helper),
        TEST(a_served_helper_is_ended_by_nobody_listening),
        TEST(a_served_helper_that_hangs_keeps_its_marker),
        TEST(settings_are_checked),
    };

    return cmocka_run_group_tests_name("wiper", tests, NULL, NULL);
}
