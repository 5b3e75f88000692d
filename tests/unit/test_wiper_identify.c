/* test_wiper_identify.c - which disks are local, and what they are; in doubt there is an error and
 * no plan */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "identify-kit.h"

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
    };

    return cmocka_run_group_tests_name("wiper identifies", tests, NULL, NULL);
}
