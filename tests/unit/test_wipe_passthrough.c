/* test_wipe_passthrough.c - a disk hangs on a PCI device that another domain passes through */
#include "test_wipe_kit.h"

#include "engine/disk-controllers.h"
#include "wipe/guard.h"

#include <string.h>

struct fixture {
    struct scratch *scratch;
    char sys[128];
    struct storage_device device;
    char path[64];
    struct wipe_request request;
    struct scene scene;
    struct refusal refusal;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    void *scratch;

    if (scratch_setup(&scratch) < 0)
        return -1;
    f->scratch = scratch;
    snprintf(f->sys, sizeof(f->sys), "%s/sys", f->scratch->folder);
    snprintf(f->path, sizeof(f->path), "/dev/nvme0n1");
    wipe_request_init(&f->request);
    f->device =
        (struct storage_device){.kind = STORAGE_BLOCK, .path = f->path, .look_fd = -1, .fd = -1};
    f->scene = (struct scene){.request = &f->request, .device = &f->device, .sys = f->sys};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    void *scratch = f->scratch;

    footprint_clear(&f->scene.footprint);
    wipe_request_clear(&f->request);
    free(f);
    return scratch_teardown(&scratch);
}

#define ONE "devices/pci0000:00/0000:00:01.0/0000:01:00.0/nvme/nvme0"
#define TWO "devices/pci0000:00/0000:00:02.0/0000:02:00.0/nvme/nvme1"
#define SUBSYSTEM "devices/virtual/nvme-subsystem/nvme-subsys0"

static void plant_controller(struct scratch *s, const char *folder, const char *number,
                             const char *nqn)
{
    char name[200], link[200];

    snprintf(name, sizeof(name), "sys/%s/dev", folder);
    plant(s, name, "%s\n", number);
    snprintf(name, sizeof(name), "sys/%s/subsysnqn", folder);
    plant(s, name, "%s\n", nqn);
    snprintf(name, sizeof(name), "sys/%s", folder);
    snprintf(link, sizeof(link), "sys/class/nvme/%s", strrchr(folder, '/') + 1);
    plant_link(s, link, name);
}

/* A namespace below a folder, which is what its "device" leads to. */
static void plant_namespace(struct scratch *s, const char *above, const char *number)
{
    char folder[200], name[300], target[200];

    snprintf(folder, sizeof(folder), "%s/nvme0n1", above);
    plant_block(s, folder, number);
    snprintf(name, sizeof(name), "sys/%s/nsid", folder);
    plant(s, name, "1\n");
    snprintf(name, sizeof(name), "sys/%s/device", folder);
    snprintf(target, sizeof(target), "sys/%s", above);
    plant_link(s, name, target);
}

static void assert_hangs_on(struct fixture *f, unsigned minor_number, const char *expected)
{
    struct pci_addresses l = {0};
    char text[200] = "";

    assert_int_equal(disk_controllers(f->sys, makedev(259, minor_number), &l), 0);
    for (size_t i = 0; i < l.n; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "",
                 l.items[i]);
    assert_string_equal(text, expected);
}

static void assert_guard(struct fixture *f, const char *culprit)
{
    _cleanup_(error_free) struct error *error = NULL;
    int r;

    footprint_clear(&f->scene.footprint);
    if (footprint_take_block(makedev(259, 0), f->sys, &f->scene.footprint, &error) < 0)
        fail_msg("%s", error_message(error));
    f->refusal = (struct refusal){0};
    r = guard_other_domain(&f->scene, &f->refusal, &error);
    if (r != (culprit ? 1 : 0))
        fail_msg("it says %d: %s%s", r, f->refusal.message, error ? error_message(error) : "");
    if (culprit)
        assert_string_equal(f->refusal.culprit, culprit);
}

static void the_controller_of_a_namespace(void **state)
{
    struct fixture *f = *state;

    plant_controller(f->scratch, ONE, "240:0", "nqn.one");
    plant_namespace(f->scratch, ONE, "259:0");
    assert_hangs_on(f, 0, "0000:01:00.0");
    wipe_request_add_other_pci(&f->request, "gpu", "0000:65:00.0");
    assert_guard(f, NULL);
    wipe_request_add_other_pci(&f->request, "web-7", "0000:01:00.0");
    assert_guard(f, "web-7");
    assert_non_null(strstr(f->refusal.message, "hangs on the PCI device 0000:01:00.0"));
}

static void every_controller_of_a_namespace_with_several_paths(void **state)
{
    struct fixture *f = *state;

    plant_controller(f->scratch, ONE, "240:0", "nqn.both");
    plant_controller(f->scratch, TWO, "240:1", "nqn.both");
    plant(f->scratch, "sys/" SUBSYSTEM "/subsysnqn", "nqn.both\n");
    plant_namespace(f->scratch, SUBSYSTEM, "259:0");
    wipe_request_add_other_pci(&f->request, "web-7", "0000:02:00.0");
    assert_guard(f, "web-7");
}

/* The kernel does not join them, and what hangs on the one can be had through the other. */
static void another_controller_of_its_subsystem(void **state)
{
    struct fixture *f = *state;

    plant_controller(f->scratch, ONE, "240:0", "nqn.both");
    plant_controller(f->scratch, TWO, "240:1", "nqn.both");
    plant_namespace(f->scratch, ONE, "259:0");
    wipe_request_add_other_pci(&f->request, "web-7", "0000:02:00.0");
    assert_guard(f, "web-7");
}

static void a_controller_of_another_subsystem_is_none_of_its_own(void **state)
{
    struct fixture *f = *state;

    plant_controller(f->scratch, ONE, "240:0", "nqn.one");
    plant_controller(f->scratch, TWO, "240:1", "nqn.two");
    plant_namespace(f->scratch, ONE, "259:0");
    wipe_request_add_other_pci(&f->request, "web-7", "0000:02:00.0");
    assert_guard(f, NULL);
}

static void a_partition_hangs_on_what_its_disk_hangs_on(void **state)
{
    struct fixture *f = *state;

    plant_controller(f->scratch, ONE, "240:0", "nqn.one");
    plant_namespace(f->scratch, ONE, "259:7");
    plant_block(f->scratch, ONE "/nvme0n1/nvme0n1p1", "259:0");
    plant(f->scratch, "sys/" ONE "/nvme0n1/nvme0n1p1/partition", "1\n");
    wipe_request_add_other_pci(&f->request, "web-7", "0000:01:00.0");
    assert_guard(f, "web-7");
}

static void a_volume_hangs_on_what_it_stands_on(void **state)
{
    struct fixture *f = *state;

    plant_controller(f->scratch, ONE, "240:0", "nqn.one");
    plant_namespace(f->scratch, ONE, "259:7");
    plant_block(f->scratch, "devices/virtual/block/dm-0", "259:0");
    plant_link(f->scratch, "sys/devices/virtual/block/dm-0/slaves/nvme0n1", "sys/" ONE "/nvme0n1");
    wipe_request_add_other_pci(&f->request, "web-7", "0000:01:00.0");
    assert_guard(f, "web-7");
}

/* --- The request ----------------------------------------------------------------------------- */

#define REQUEST(others) \
    "{\"version\":1,\"verb\":\"plan\",\"device\":\"/dev/nvme0n1\",\"others\":[" others "]}"

static int parse(const char *text, struct wipe_request *ret)
{
    wipe_request_init(ret);
    return wipe_request_parse(text, strlen(text), ret, NULL);
}

static void a_request_tells_it(void **state)
{
    static const char text[] = REQUEST("{\"domain\":\"web-7\",\"pci\":\"0000:01:00.0\"}");
    struct wipe_request r, again;
    json_object *written;

    assert_int_equal(parse(text, &r), 0);
    written = wipe_request_to_json(&r);
    assert_non_null(strstr(json_object_to_json_string_ext(written, JSON_C_TO_STRING_PLAIN),
                           "{\"domain\":\"web-7\",\"pci\":\"0000:01:00.0\"}"));
    assert_int_equal(parse(json_object_to_json_string(written), &again), 0);
    assert_int_equal(again.n_others, 1);
    assert_null(again.others[0].source);
    assert_string_equal(again.others[0].pci, "0000:01:00.0");
    json_object_put(written);
    wipe_request_clear(&again);
    wipe_request_clear(&r);
}

static void a_request_that_tells_nothing_is_none(void **state)
{
    static const char *const texts[] = {
        REQUEST("{\"domain\":\"web-7\"}"),
        REQUEST("{\"domain\":\"web-7\",\"pci\":\"\"}"),
        REQUEST("{\"domain\":\"web-7\",\"pci\":null}"),
        REQUEST("{\"domain\":\"web-7\",\"pci\":\"nvme0\"}"),
        REQUEST("{\"domain\":\"web-7\",\"pci\":\"0000:01:00.0\",\"source\":\"/dev/a\"}"),
    };

    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        struct wipe_request r;

        assert_int_not_equal(parse(texts[i], &r), 0);
        wipe_request_clear(&r);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    static const struct CMUnitTest tests[] = {
        TEST(the_controller_of_a_namespace),
        TEST(every_controller_of_a_namespace_with_several_paths),
        TEST(another_controller_of_its_subsystem),
        TEST(a_controller_of_another_subsystem_is_none_of_its_own),
        TEST(a_partition_hangs_on_what_its_disk_hangs_on),
        TEST(a_volume_hangs_on_what_it_stands_on),
        TEST(a_request_tells_it),
        TEST(a_request_that_tells_nothing_is_none),
    };

    return cmocka_run_group_tests_name("passed-through controllers", tests, NULL, NULL);
}
