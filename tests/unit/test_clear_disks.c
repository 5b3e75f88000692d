/* test_clear_disks.c - which disks a stop has to clear */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "stop-clear-kit.h"

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
        cmocka_unit_test(named_disks_are_the_candidates),
        cmocka_unit_test(without_names_every_block_device_is_one),
        cmocka_unit_test(what_cannot_be_found_is_refused),
        cmocka_unit_test(a_disk_is_the_one_that_the_metadata_names),
        cmocka_unit_test(a_disk_is_what_it_was_at_the_start),
        cmocka_unit_test(a_device_with_a_name_is_found_again_under_another_number),
    };

    return cmocka_run_group_tests_name("clear: which disks", tests, NULL, NULL);
}
