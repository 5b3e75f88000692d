/* test_wiper_looks.c - helpers that identify: what they may answer, what goes wrong with them, and
 * whether a method clears what they find */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "identify-kit.h"

/* --- Helpers that go wrong ------------------------------------------------------------------- */

static struct instance *with_one_disk(struct kit *k)
{
    struct instance *i = an_instance();

    instance_add_disk(i, "vdb", k->device, DISK_FILE);
    names(i, "vdb");
    return i;
}

static void what_a_helper_says_may_be_no_answer(void **state)
{
    static const struct {
        const char *script;
        enum error_code code;
        const char *why;
    } cases[] = {
        {"listen; say '{\"event\":\"error\",\"outcome\":\"failed\",\"message\":\"it is on "
         "fire\"}'; exit 71\n",
         ERROR_DISK_STATUS, "cannot be identified: it is on fire"},
        {"listen; say '{\"event\":\"error\"}'; exit 71\n", ERROR_DISK_STATUS, "does not say why"},
        {"exit 0\n", ERROR_UNAVAILABLE, "ended without an answer"},
        {"listen; kill -9 $$\n", ERROR_UNAVAILABLE, "ended without an answer"},
        {"listen; printf '{\"event\":\"identity\"'\n", ERROR_UNAVAILABLE,
         "ended without an answer"},
        {"listen; echo hello\n", ERROR_UNAVAILABLE, "does not answer the question"},
        {"listen; claimed\n", ERROR_UNAVAILABLE, "does not answer the question"},
        {"listen; say '{\"event\":\"identity\"}'\n", ERROR_UNAVAILABLE, "does not tell what"},
        {"listen; say '{\"event\":\"identity\",\"device\":\"'$device'\",\"identity\":{}}'\n",
         ERROR_UNAVAILABLE, "does not tell what"},
        {"listen; say "
         "'{\"event\":\"identity\",\"device\":\"'$device'\",\"identity\":{\"size\":0}}'\n",
         ERROR_UNAVAILABLE, "does not tell what"},
        {"listen; device=/no/such/device; identity\n", ERROR_DISK_STATUS, "has gone"},
        {"listen; device=/etc/passwd; identity\n", ERROR_DISK_STATUS, "may not be cleared"},
        {"listen; device=/dev/null; identity\n", ERROR_DISK_STATUS, "may not be cleared"},
        {"head -c 3000000 /dev/zero; exec sleep 1000\n", ERROR_UNAVAILABLE, "without a newline"},
    };
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);

    settings.identify_timeout = 500 * USEC_PER_MSEC;
    kit_start(k, &settings);
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        kit_script(k, "helper", cases[i].script);
        is_refused(k, with_one_disk(k), cases[i].code, cases[i].why);
    }
}

static void without_a_helper_it_is_unavailable(void **state)
{
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);

    settings.helper = "spawn:/no/such/helper";
    kit_start(k, &settings);
    is_refused(k, with_one_disk(k), ERROR_UNAVAILABLE,
               "The local disk vdb cannot be identified: starting the helper /no/such/helper");
    settings.helper = "unix:/no/such/socket";
    wiper_configure(k->wiper, &settings);
    is_refused(k, with_one_disk(k), ERROR_UNAVAILABLE, "/no/such/socket");
}

/* The answer does not wait for a helper that hangs; the job does, and no second one joins it. */
static void a_helper_that_hangs_is_not_waited_for(void **state)
{
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);
    usec_t began;
    pid_t pid;
    uint64_t job;
    struct wipe_report *r = NULL;

    settings.identify_timeout = 300 * USEC_PER_MSEC;
    settings.stop_patience = PATIENCE * USEC_PER_SEC; /* so that it stays */
    kit_script(k, "helper", "listen; hangs_for_good\n");
    kit_start(k, &settings);
    began = moment_now().monotonic;
    is_refused(k, with_one_disk(k), ERROR_DISK_STATUS, "did not answer within 0.3 s (pid ");
    assert_true(moment_now().monotonic < began + PATIENCE * USEC_PER_SEC / 2);
    pid = kit_pid(k);
    assert_true(kit_is_alive(pid));
    kit_script(k, "helper", IDENTIFIES);
    is_refused(k, with_one_disk(k), ERROR_DISK_STATUS,
               "An earlier look at the local disks of i-bp67acfmxazb4ph");
    assert_true(kit_is_alive(pid));
    kill(pid, SIGKILL);
    await(k, !kit_is_alive(pid));
    for (int tries = 0; tries < 1000; tries++) {
        job = identify(k, with_one_disk(k));
        await(k, (r = kit_find(k, job, WIPE_REPORT_IDENTIFIED)));
        if (!r->error)
            return;
        usleep(1000);
    }
    fail_msg("the helper has ended, and yet: %s", error_message(r->error));
}

/* It has answered, so the answer counts; it is ended all the same. */
static void a_helper_that_answers_and_stays_is_ended(void **state)
{
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);

    settings.identify_timeout = 300 * USEC_PER_MSEC;
    kit_script(k, "helper", "listen; identity; hangs_for_good\n");
    kit_start(k, &settings);
    assert_null(identified(k, with_one_disk(k))->error);
    kit_stop(k);
    assert_false(kit_is_alive(kit_pid(k)));
}

static void going_down_ends_a_look(void **state)
{
    struct kit *k = with_script(state, "listen; hangs_for_good\n");
    uint64_t job = identify(k, with_one_disk(k));

    await(k, kit_exists(k, "request") && kit_pid(k));
    kit_stop(k);
    assert_says(kit_find(k, job, WIPE_REPORT_IDENTIFIED)->error, "going down");
    assert_false(kit_is_alive(kit_pid(k)));
}

static void a_served_helper_identifies(void **state)
{
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);
    char helper[200];
    struct wipe_report *r;

    snprintf(helper, sizeof(helper), "unix:%s", kit_path(k, "socket"));
    settings.helper = helper;
    kit_script(k, "served", IDENTIFIES);
    kit_listen(k);
    kit_start(k, &settings);
    for (int i = 0; i < 3; i++) {
        r = identified(k, with_one_disk(k));
        assert_null(r->error);
        assert_int_equal(r->plan.n, 1);
    }
}

/* --- Is there a method? ----------------------------------------------------------------------- */

/* In single quotes of the shell. */
#define NOT_AT_ALL "{\"method\":\"nvme-sanitize-block\",\"reason\":\"the controller has none\"}"
#define TOO_LOW ",{\"method\":\"write-zeroes\",\"reason\":\"it does not reach level purge\"}"
#define SHARED                                                                               \
    "{\"method\":\"nvme-sanitize-block\",\"reason\":\"" WIPE_REASON_TENANCY ": qemu has it " \
    "open\"}"

static void with_ladder(struct kit *k, const char *methods, const char *level, const char *script)
{
    struct wiper_settings settings = kit_settings(k);

    settings.methods = methods;
    settings.level = level;
    kit_script(k, "helper", script);
    kit_start(k, &settings);
}

static enum wipe_verb asked_for(struct kit *k)
{
    _cleanup_(freep) char *text = NULL;
    struct wipe_request r;
    enum wipe_verb verb;
    size_t n = 0;

    text = scratch_read(kit_path(k, "request"), &n);
    wipe_request_init(&r);
    assert_int_equal(wipe_request_parse(text, n, &r, NULL), 0);
    verb = r.verb;
    wipe_request_clear(&r);
    return verb;
}

/* Not a quarantine when the guest is off: before it is touched. */
static void a_disk_that_no_method_clears_is_refused(void **state)
{
    struct kit *k = kit_of(state);
    struct wipe_report *r;

    with_ladder(k, "nvme-sanitize-block,write-zeroes", "purge",
                "listen; plan null '" NOT_AT_ALL TOO_LOW "'; exit 76\n");
    r = identified(k, with_one_disk(k));
    assert_int_equal(r->plan.n, 0);
    assert_int_equal(r->error->code, ERROR_DISK_STATUS);
    assert_says(r->error, "The local disk vdb (");
    assert_says(r->error,
                "cannot be cleared to level purge by any method of local_storage.methods "
                "(nvme-sanitize-block: the controller has none; write-zeroes: it does not "
                "reach level purge). Add one that can, or change local_storage.level.");
    assert_int_equal(asked_for(k), WIPE_PLAN);
}

static void a_disk_that_some_method_clears_is_not(void **state)
{
    struct kit *k = kit_of(state);
    struct wipe_report *r;

    with_ladder(k, "nvme-sanitize-block,write-zeroes", "clear",
                "listen; plan '\"write-zeroes\"' '" NOT_AT_ALL "'\n");
    r = identified(k, with_one_disk(k));
    assert_null(r->error);
    assert_int_equal(r->plan.n, 1);
    assert_int_equal(r->plan.items[0].bytes, 4096);
    assert_int_equal(asked_for(k), WIPE_PLAN);
}

/* Everything can be overwritten: its helper need not look at every guard for that. */
static void where_an_overwrite_will_do_only_the_identity_is_asked_for(void **state)
{
    struct kit *k = kit_of(state);

    with_ladder(k, "nvme-sanitize-block,overwrite", "clear", IDENTIFIES);
    assert_null(identified(k, with_one_disk(k))->error);
    assert_int_equal(asked_for(k), WIPE_IDENTIFY);
}

/* The guest has all its disks open; alone in its subsystem, a disk is not held up by that. */
static void other_disks_in_use_are_no_reason_to_refuse(void **state)
{
    struct kit *k = kit_of(state);
    struct instance *i = with_one_disk(k);

    with_ladder(k, "nvme-sanitize-block", "purge", "listen; plan null '" SHARED "'; exit 76\n");
    is_refused(k, with_one_disk(k), ERROR_DISK_STATUS, "qemu has it open");
    scratch_write(kit_path(k, "second.img"), "data", 4);
    instance_add_disk(i, "vdc", kit_path(k, "second.img"), DISK_FILE);
    names(i, "vdc");
    assert_int_equal(identified(k, i)->plan.n, 2);
}

static void a_plan_that_does_not_say_is_none(void **state)
{
    struct kit *k = kit_of(state);

    with_ladder(k, "nvme-sanitize-block", "purge", IDENTIFIES);
    is_refused(k, with_one_disk(k), ERROR_UNAVAILABLE, "does not answer the question");
    kit_script(k, "helper",
               "listen; say '{\"event\":\"plan\",\"device\":\"'$device'\","
               "\"identity\":{\"size\":4096}}'\n");
    is_refused(k, with_one_disk(k), ERROR_UNAVAILABLE, "would be cleared");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_a_helper_says_may_be_no_answer),
        TEST(without_a_helper_it_is_unavailable),
        TEST(a_helper_that_hangs_is_not_waited_for),
        TEST(a_helper_that_answers_and_stays_is_ended),
        TEST(going_down_ends_a_look),
        TEST(a_served_helper_identifies),
        TEST(a_disk_that_no_method_clears_is_refused),
        TEST(a_disk_that_some_method_clears_is_not),
        TEST(where_an_overwrite_will_do_only_the_identity_is_asked_for),
        TEST(other_disks_in_use_are_no_reason_to_refuse),
        TEST(a_plan_that_does_not_say_is_none),
    };

    return cmocka_run_group_tests_name("wiper looks", tests, NULL, NULL);
}
