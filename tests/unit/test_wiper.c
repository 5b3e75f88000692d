/* test_wiper.c - a clear by a helper: told as it goes, and marked for as long as it is owed */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "clear-kit.h"

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

static void the_helper_is_told_all_that_it_has_to_know(void **state)
{
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);
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
    settings.level = "purge";
    settings.verify = "full";
    kit_script(k, "helper", A_CLEAR);
    kit_start(k, &settings);
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
    assert_int_equal(r.level, LEVEL_PURGE);
    assert_int_equal(r.verify, WIPE_VERIFY_FULL);
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

/* --- After the host was down ----------------------------------------------------------------- */

#define ANOTHER_BOOT "9d3e8bd0-5b2c-4c4a-9f3d-0c8f6a3f7b11"

/* A clear of a file that lay on a file system with another number when it was identified; the
 * device that the helper is told to look for. */
static char *device_asked_for(struct kit *k, const char *boot_id, const char *born,
                              const char *inode)
{
    struct wipe_job *j = kit_clear_job(k);
    _cleanup_(freep) char *text = NULL;
    struct wipe_request r;
    char *device;
    size_t n = 0;

    json_object_object_add(j->disk.identity, "device", json_object_new_string("999:1"));
    if (inode)
        json_object_object_add(j->disk.identity, "inode", json_object_new_string(inode));
    strcpy(j->disk.boot_id, boot_id);
    (void)text_replace(&j->disk.born, born);
    wiper_start(k->wiper, j);
    await_report(k, k->last_job, WIPE_REPORT_CLEARED);
    text = scratch_read(kit_path(k, "request"), &n);
    wipe_request_init(&r);
    assert_int_equal(wipe_request_parse(text, n, &r, NULL), 0);
    device = strdup(r.identity.value[IDENTITY_DEVICE]);
    wipe_request_clear(&r);
    return device;
}

static void a_file_is_the_same_on_a_file_system_that_has_another_number(void **state)
{
    struct kit *k = with_script(state, A_CLEAR);
    char birth[FILE_BIRTH_SIZE], this_boot[UUID_TEXT_SIZE], now[32];
    struct stat st;
    const struct {
        const char *boot_id, *born, *inode;
        bool is_same;
    } cases[] = {
        {ANOTHER_BOOT, birth, NULL, true},
        {this_boot, birth, NULL, false}, /* it had no reason to change */
        {"", birth, NULL, false},
        {ANOTHER_BOOT, NULL, NULL, false},
        {ANOTHER_BOOT, "1753000000.000000001", NULL, false}, /* made anew */
        {ANOTHER_BOOT, birth, "1", false},
    };

    if (disk_file_birth(k->device, birth) < 0) {
        print_message("skipped: the file system does not say when a file was made\n");
        skip();
    }
    assert_int_equal(disk_boot_id(this_boot), 0);
    assert_int_equal(stat(k->device, &st), 0);
    snprintf(now, sizeof(now), "%u:%u", major(st.st_dev), minor(st.st_dev));
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *device =
            device_asked_for(k, cases[i].boot_id, cases[i].born, cases[i].inode);

        assert_string_equal(device, cases[i].is_same ? now : "999:1");
    }
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

    wiper_owe(k->wiper, j->domain, REQUEST, "i-bp67acfmxazb4ph", &plan);
    await(k, kit_is_marked(k));
    kit_end(k);
    await(k, !kit_is_marked(k));
    j->disk.state = DISK_CLEARED;
    wiper_owe(k->wiper, j->domain, REQUEST, "i-bp67acfmxazb4ph", &plan);
    kit_stop(k);
    assert_false(kit_is_marked(k));
    wipe_job_free(j);
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
        TEST(a_file_is_the_same_on_a_file_system_that_has_another_number),
        TEST(a_resume_that_makes_no_sense_is_left_out),
        TEST(many_others_are_told_whole),
        TEST(clears_go_on_side_by_side),
        TEST(without_verification_none_is_asked_for),
        TEST(new_settings_are_for_new_jobs),
        TEST(without_a_marker_nothing_begins),
        TEST(the_marker_is_there_before_the_helper),
        TEST(the_marker_stays_until_nothing_is_owed),
        TEST(a_debt_is_marked_before_its_turn),
        TEST(settings_are_checked),
    };

    return cmocka_run_group_tests_name("wiper", tests, NULL, NULL);
}
