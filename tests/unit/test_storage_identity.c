/* test_storage_identity.c - when a device is the one that was meant */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "stopd/storage.h"

static void words_go_both_ways(void **state)
{
#define WALK(type, name, max)                                                      \
    for (int i = 0; i < (int)(max); i++) {                                         \
        type back;                                                                 \
        assert_non_null(name##_to_string((type)i));                                \
        assert_int_equal(name##_from_string(name##_to_string((type)i), &back), 0); \
        assert_int_equal((int)back, i);                                            \
    }
    WALK(enum identity_key, identity_key, IDENTITY_KEY_MAX)
    WALK(enum clear_method, clear_method, CLEAR_METHOD_MAX)
    WALK(enum clear_level, clear_level, LEVEL_MAX)
    WALK(enum storage_kind, storage_kind, STORAGE_KIND_MAX)
}

static bool same(enum identity_key key, const char *found, const char *wanted)
{
    struct identity_expected expected = {0};
    struct storage_identity i = {0};
    char copy[512];

    identity_set(&i, key, "%s", found);
    snprintf(copy, sizeof(copy), "%s", wanted);
    expected.value[key] = copy;
    return identity_mismatch(&i, &expected) == IDENTITY_KEY_MAX;
}

static void one_identifier_has_many_writings(void **state)
{
    assert_true(same(IDENTITY_EUI64, "0025385b71b01234", "0025385b71b01234"));
    assert_true(same(IDENTITY_EUI64, "0025385b71b01234", "00-25-38-5B-71-B0-12-34"));
    assert_true(same(IDENTITY_EUI64, "0025385b71b01234", "0x0025385B71B01234"));
    assert_true(same(IDENTITY_WWN, "naa.5000c500a1b2c3d4", "0x5000c500a1b2c3d4"));
    assert_true(same(IDENTITY_WWN, "eui.0025385b71b01234", "0025385b71b01234"));
    assert_true(same(IDENTITY_UUID, "6c2f1d0a00000000000000000000beef",
                     "6C2F1D0A-0000-0000-0000-00000000BEEF"));
    assert_true(same(IDENTITY_SERIAL, "S4EWNX0R", "  S4EWNX0R "));
}

static void what_differs_differs(void **state)
{
    char longer[IDENTITY_VALUE_SIZE + 8];

    assert_false(same(IDENTITY_SERIAL, "S4EWNX0R", "s4ewnx0r"));
    assert_false(same(IDENTITY_SERIAL, "S4EWNX0R", "S4EWNX0"));
    assert_false(same(IDENTITY_SIZE, "4096", "40960"));
    assert_false(same(IDENTITY_EUI64, "", "0025385b71b01234"));
    /* Nothing is not a wild card, in any disguise. */
    assert_false(same(IDENTITY_EUI64, "", "0x"));
    assert_false(same(IDENTITY_SERIAL, "", " "));
    memset(longer, 'A', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_false(same(IDENTITY_SERIAL, longer, longer));
}

static void enough_tells_devices_apart(void **state)
{
    static const enum identity_key enough[] = {IDENTITY_SIZE,  IDENTITY_SERIAL, IDENTITY_EUI64,
                                               IDENTITY_NGUID, IDENTITY_UUID,   IDENTITY_WWN};
    static const enum identity_key too_little[] = {IDENTITY_MODEL,  IDENTITY_FIRMWARE,
                                                   IDENTITY_NSID,   IDENTITY_DEVNO,
                                                   IDENTITY_DEVICE, IDENTITY_INODE};
    char value[] = "1";
    struct identity_expected both = {0};

    for (size_t i = 0; i < ELEMENTSOF(enough); i++) {
        struct identity_expected e = {0};

        e.value[enough[i]] = value;
        assert_true(identity_is_enough(&e));
    }
    for (size_t i = 0; i < ELEMENTSOF(too_little); i++) {
        struct identity_expected e = {0};

        e.value[too_little[i]] = value;
        assert_false(identity_is_enough(&e));
    }
    both.value[IDENTITY_DEVICE] = both.value[IDENTITY_INODE] = value;
    assert_true(identity_is_enough(&both));
}

static void commands_that_go_on_are_one(void **state)
{
    struct storage_record r = {0};

    for (uint64_t i = 0; i < 1000; i++)
        storage_record_command(
            &r, &(struct storage_command){.name = "BLKZEROOUT", .span = {i * 10, 10}});
    assert_int_equal(r.n, 1);
    assert_int_equal(r.commands[0].count, 1000);
    assert_int_equal(r.commands[0].span.length, 10000);
    storage_record_command(&r,
                           &(struct storage_command){.name = "BLKZEROOUT", .span = {20000, 10}});
    assert_int_equal(r.n, 2);
}

static void a_failure_is_always_on_record(void **state)
{
    struct storage_record r = {0};

    for (uint64_t i = 0; i < 2 * STORAGE_COMMANDS_MAX; i++)
        storage_record_command(&r,
                               &(struct storage_command){.name = "write", .span = {i * 100, 10}});
    storage_record_command(
        &r, &(struct storage_command){.name = "write", .span = {7, 10}, .status = -5});
    assert_int_equal(r.n, STORAGE_COMMANDS_MAX);
    assert_int_equal(r.commands[r.n - 1].status, -5);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_go_both_ways),
        cmocka_unit_test(one_identifier_has_many_writings),
        cmocka_unit_test(what_differs_differs),
        cmocka_unit_test(enough_tells_devices_apart),
        cmocka_unit_test(commands_that_go_on_are_one),
        cmocka_unit_test(a_failure_is_always_on_record),
    };

    return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
