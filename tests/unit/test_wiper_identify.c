/* test_wiper_identify.c - which disks are local, and what they are; in doubt there is an error and
 * no plan */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "loop-kit.h"
#include "wiper-kit.h"

#define IDENTIFIES "listen; identity\n"

static struct kit *with_script(void **state, const char *body)
{
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);

    kit_script(k, "helper", body);
    kit_start(k, &settings);
    return k;
}

static struct instance *an_instance(void)
{
    struct instance *i = instance_new();

    uuid_parse(OWN, i->uuid);
    i->name = strdup("guest0");
    i->id = strdup("i-bp67acfmxazb4ph");
    return i;
}

static struct local_disk *names(struct instance *i, const char *target)
{
    struct local_disk *d = instance_add_local_disk(i);

    d->target = strdup(target);
    return d;
}

static uint64_t identify(struct kit *k, struct instance *i)
{
    struct wipe_job *j = wipe_job_new(WIPE_JOB_IDENTIFY);

    j->id = ++k->last_job;
    uuid_copy(j->domain, i->uuid);
    j->instance = i;
    wiper_start(k->wiper, j);
    return k->last_job;
}

static struct wipe_report *identified(struct kit *k, struct instance *i)
{
    uint64_t job = identify(k, i);
    struct wipe_report *r = NULL;

    await(k, (r = kit_find(k, job, WIPE_REPORT_IDENTIFIED)));
    return r;
}

static void is_refused(struct kit *k, struct instance *i, enum error_code code, const char *why)
{
    struct wipe_report *r = identified(k, i);

    assert_says(r->error, why);
    if (r->error->code != code)
        fail_msg("%s: %s", error_name(r->error->code), error_message(r->error));
    assert_int_equal(r->plan.n, 0);
}

/* --- Which --------------------------------------------------------------------------------- */

static void a_named_disk_is_identified(void **state)
{
    struct kit *k = with_script(state, IDENTIFIES);
    struct instance *i = an_instance();
    const struct planned_disk *d;
    struct wipe_report *r;
    const char *serial = NULL;
    char boot_id[UUID_TEXT_SIZE], birth[FILE_BIRTH_SIZE];

    instance_add_disk(i, "vda", "/images/system.qcow2", DISK_FILE);
    instance_add_disk(i, "vdb", k->device, DISK_FILE);
    names(i, "vdb")->serial = strdup("s4ewnx0r");
    r = identified(k, i);
    assert_null(r->error);
    assert_int_equal(r->plan.n, 1);
    d = &r->plan.items[0];
    assert_string_equal(d->target, "vdb");
    assert_string_equal(d->device, k->device);
    assert_int_equal(d->kind, DISK_FILE);
    assert_int_equal(d->bytes, 4096);
    assert_int_equal(json_get_string(d->identity, "serial", &serial), 0);
    assert_string_equal(serial, "S4EWNX0R");
    assert_int_equal(d->state, DISK_WAITING);
    assert_int_equal(disk_boot_id(boot_id), 0);
    assert_string_equal(d->boot_id, boot_id);
    if (disk_file_birth(k->device, birth) == 0)
        assert_string_equal(d->born, birth);
}

static void the_helper_is_asked_to_identify(void **state)
{
    struct kit *k = with_script(state, IDENTIFIES);
    struct instance *i = an_instance();
    _cleanup_(freep) char *text = NULL;
    struct wipe_request r;
    size_t n = 0;

    instance_add_disk(i, "vdb", k->device, DISK_FILE);
    names(i, "vdb");
    assert_null(identified(k, i)->error);
    text = scratch_read(kit_path(k, "request"), &n);
    wipe_request_init(&r);
    assert_int_equal(wipe_request_parse(text, n, &r, NULL), 0);
    assert_int_equal(r.verb, WIPE_IDENTIFY);
    assert_string_equal(r.device, k->device);
    assert_int_equal(r.kind, STORAGE_FILE);
    assert_int_equal(r.allow_files.n, 1);
    wipe_request_clear(&r);
}

static void several_are_identified(void **state)
{
    struct kit *k = with_script(state, IDENTIFIES);
    struct instance *i = an_instance();
    struct wipe_report *r;
    char path[160];

    for (int n = 0; n < 4; n++) {
        char target[8];

        snprintf(target, sizeof(target), "vd%c", 'b' + n);
        snprintf(path, sizeof(path), "%s/disk%d.img", k->scratch->folder, n);
        scratch_write(path, "data", 4);
        instance_add_disk(i, target, path, DISK_FILE);
        names(i, target);
    }
    r = identified(k, i);
    assert_null(r->error);
    assert_int_equal(r->plan.n, 4);
    assert_string_equal(r->plan.items[3].target, "vde");
    assert_string_equal(r->plan.items[3].device, path);
}

static void a_named_disk_has_to_be_what_the_metadata_says(void **state)
{
    struct kit *k = with_script(state, IDENTIFIES);
    struct instance *i = an_instance();

    instance_add_disk(i, "vdb", k->device, DISK_FILE);
    names(i, "vdb")->serial = strdup("OTHER");
    is_refused(k, i, ERROR_DISK_STATUS, "its serial is S4EWNX0R, and not OTHER");

    i = an_instance();
    instance_add_disk(i, "vdb", k->device, DISK_FILE);
    names(i, "vdb")->wwn = strdup("eui.0025385b71b01234");
    is_refused(k, i, ERROR_DISK_STATUS, "its wwn is not known");
}

static void a_named_disk_has_to_be_there(void **state)
{
    struct kit *k = with_script(state, IDENTIFIES);
    struct instance *i = an_instance();

    instance_add_disk(i, "vda", k->device, DISK_FILE);
    names(i, "vdb");
    is_refused(k, i, ERROR_DISK_STATUS, "is not among the disks of domain guest0");

    i = an_instance();
    instance_add_disk(i, "vdb", "/no/such/disk.img", DISK_FILE);
    names(i, "vdb");
    is_refused(k, i, ERROR_DISK_STATUS, "The local disk vdb (/no/such/disk.img) cannot be found");
    assert_false(kit_exists(k, "request"));
}

/* Whatever names it. */
static void a_named_disk_has_to_be_allowed(void **state)
{
    struct kit *k = with_script(state, IDENTIFIES);
    char link_name[160];
    struct instance *i = an_instance();

    instance_add_disk(i, "vdb", "/etc/passwd", DISK_FILE);
    names(i, "vdb");
    is_refused(k, i, ERROR_DISK_STATUS,
               "is /etc/passwd, which is not among the files that may be cleared");

    /* A link under an allowed name. */
    snprintf(link_name, sizeof(link_name), "%s/passwd.img", k->scratch->folder);
    assert_int_equal(symlink("/etc/passwd", link_name), 0);
    i = an_instance();
    instance_add_disk(i, "vdb", link_name, DISK_FILE);
    names(i, "vdb");
    is_refused(k, i, ERROR_DISK_STATUS, "is /etc/passwd");

    i = an_instance();
    instance_add_disk(i, "vdb", "/dev/null", DISK_BLOCK);
    names(i, "vdb");
    is_refused(k, i, ERROR_DISK_STATUS, "local_storage.devices");
    assert_false(kit_exists(k, "request"));
}

static void a_named_disk_has_to_be_one_of_this_host(void **state)
{
    struct kit *k = with_script(state, IDENTIFIES);
    struct instance *i = an_instance();

    instance_add_disk(i, "vdb", "pool/volume", DISK_OTHER);
    names(i, "vdb");
    is_refused(k, i, ERROR_DISK_STATUS, "neither a block device nor a file");

    i = an_instance();
    i->has_passthrough_nvme = true;
    is_refused(k, i, ERROR_DISK_STATUS, "passed through");
}

static void one_disk_is_not_two(void **state)
{
    struct kit *k = with_script(state, IDENTIFIES);
    struct instance *i = an_instance();
    char link_name[160];

    snprintf(link_name, sizeof(link_name), "%s/link.img", k->scratch->folder);
    assert_int_equal(link(k->device, link_name), 0);
    instance_add_disk(i, "vdb", k->device, DISK_FILE);
    instance_add_disk(i, "vdc", link_name, DISK_FILE);
    names(i, "vdb");
    names(i, "vdc");
    is_refused(k, i, ERROR_DISK_STATUS, "The local disks vdb and vdc are one and the same");
}

static void without_any_there_is_nothing_to_clear(void **state)
{
    struct kit *k = with_script(state, IDENTIFIES);
    struct instance *i = an_instance();

    is_refused(k, i, ERROR_DISK_STATUS, "No local disk of i-bp67acfmxazb4ph was found");
    /* A file is local only where it is named. */
    i = an_instance();
    instance_add_disk(i, "vdb", k->device, DISK_FILE);
    is_refused(k, i, ERROR_DISK_STATUS, "No local disk");
    /* One that is no device that may be cleared is just another disk. */
    i = an_instance();
    instance_add_disk(i, "vda", "/dev/null", DISK_BLOCK);
    is_refused(k, i, ERROR_DISK_STATUS, "No local disk");
    /* But one that is not there might have been local. */
    i = an_instance();
    instance_add_disk(i, "vda", "/dev/no-such-disk", DISK_BLOCK);
    is_refused(k, i, ERROR_DISK_STATUS, "The disk vda (/dev/no-such-disk) cannot be found");
}

static void metadata_that_is_not_understood_names_nothing(void **state)
{
    struct kit *k = with_script(state, IDENTIFIES);
    struct instance *i = an_instance();

    i->metadata_error = strdup("two instance elements");
    instance_add_disk(i, "vdb", k->device, DISK_FILE);
    names(i, "vdb");
    is_refused(k, i, ERROR_DISK_STATUS, "two instance elements");
}

/* --- Devices under the globs ----------------------------------------------------------------- */

static void make_node(const char *path, const char *device)
{
    struct stat st;

    assert_int_equal(stat(device, &st), 0);
    assert_int_equal(mknod(path, S_IFBLK | 0600, st.st_rdev), 0);
}

static void unnamed_disks_under_the_globs_are_local(void **state)
{
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);
    const char *globs[1];
    char loops[2][32], by_id[160], other[160];
    struct instance *i = an_instance();
    struct wipe_report *r;

    if (!loop_setup(k->scratch, "a.img", 4, "", loops[0]) ||
        !loop_setup(k->scratch, "b.img", 4, "", loops[1])) {
        instance_free(i);
        skip();
    }
    globs[0] = loops[0];
    settings.devices = globs;
    settings.n_devices = 1;
    kit_script(k, "helper", "listen; device=$(readlink -f $device); identity\n");
    kit_start(k, &settings);
    snprintf(by_id, sizeof(by_id), "%s/nvme-by-id", k->scratch->folder);
    assert_int_equal(symlink(loops[0], by_id), 0);
    instance_add_disk(i, "vda", loops[1], DISK_BLOCK); /* the system's */
    instance_add_disk(i, "vdb", by_id, DISK_BLOCK);
    instance_add_disk(i, "vdc", NULL, DISK_OTHER); /* an empty drive */
    r = identified(k, i);
    assert_null(r->error);
    assert_int_equal(r->plan.n, 1);
    assert_string_equal(r->plan.items[0].target, "vdb");
    assert_string_equal(r->plan.items[0].device, by_id);
    assert_int_equal(r->plan.items[0].kind, DISK_BLOCK);

    /* Neither a node under an allowed name is enough, nor the device of one under any name. */
    snprintf(other, sizeof(other), "%s/loop-of-mine", k->scratch->folder);
    make_node(other, loops[1]);
    globs[0] = other;
    wiper_configure(k->wiper, &settings);
    i = an_instance();
    instance_add_disk(i, "vdb", other, DISK_BLOCK);
    is_refused(k, i, ERROR_DISK_STATUS, "No local disk");
    globs[0] = loops[1];
    wiper_configure(k->wiper, &settings);
    i = an_instance();
    instance_add_disk(i, "vdb", other, DISK_BLOCK);
    is_refused(k, i, ERROR_DISK_STATUS, "No local disk");
}

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

static int teardown(void **state)
{
    kit_stop(*state);
    loop_detach_all();
    return kit_teardown(state);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_named_disk_is_identified),
        TEST(the_helper_is_asked_to_identify),
        TEST(several_are_identified),
        TEST(a_named_disk_has_to_be_what_the_metadata_says),
        TEST(a_named_disk_has_to_be_there),
        TEST(a_named_disk_has_to_be_allowed),
        TEST(a_named_disk_has_to_be_one_of_this_host),
        TEST(one_disk_is_not_two),
        TEST(without_any_there_is_nothing_to_clear),
        TEST(metadata_that_is_not_understood_names_nothing),
        TEST(unnamed_disks_under_the_globs_are_local),
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

    return cmocka_run_group_tests_name("wiper identifies", tests, NULL, NULL);
}
