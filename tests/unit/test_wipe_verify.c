/* test_wipe_verify.c - where is read, what is written before, and how a device is cut into spans */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "wipe/canary.h"
#include "wipe/random.h"
#include "wipe/spans.h"
#include "wipe/verify.h"
#include "wipe/zeros.h"

#define MIB ((uint64_t)1 << 20)
#define SEED "00112233445566778899aabbccddeeff"

/* Contract 2: a residue of 1 in 10,000 blocks is missed with a chance of at most 1 in a million. */
static void the_sample_is_as_large_as_it_has_to_be(void **state)
{
    assert_true(pow(1 - 1e-4, VERIFY_SAMPLES) <= 1e-6);
    assert_true(pow(1 - 1e-4, VERIFY_SAMPLES - 1) > 1e-6);
}

static void the_first_byte_that_is_not_zero(void **state)
{
    size_t n = 3 * 4096 + 77;
    unsigned char *data = calloc(1, n);

    assert_int_equal(zeros_first_other(data, n), n);
    assert_int_equal(zeros_first_other(data, 0), 0);
    for (size_t i = 0; i < n; i += i < 400 ? 1 : 97) {
        data[i] = 0x80;
        assert_int_equal(zeros_first_other(data, n), i);
        /* From any address on. */
        if (i > 3)
            assert_int_equal(zeros_first_other(data + 3, n - 3), i - 3);
        data[i] = 0;
    }
    free(data);
}

static void canaries_are_spread_over_the_device(void **state)
{
    static const uint64_t sizes[] = {CANARY_SIZE, 3 * CANARY_SIZE + 512, MIB,
                                     100 * MIB,   8 * MIB * MIB,         UINT64_C(1) << 62};

    for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
        uint64_t places[CANARIES_MAX], blocks = sizes[i] / CANARY_SIZE;
        size_t n = canary_places(SEED, sizes[i], places);

        assert_int_equal(n, blocks < CANARIES_MAX ? blocks : CANARIES_MAX);
        for (size_t k = 0; k < n; k++) {
            assert_int_equal(places[k] % CANARY_SIZE, 0);
            assert_true(places[k] + CANARY_SIZE <= sizes[i]);
            assert_true(k == 0 || places[k] > places[k - 1]);
            /* One in each stratum. */
            assert_true(places[k] / CANARY_SIZE >= (uint64_t)((unsigned __int128)blocks * k / n));
        }
    }
    assert_int_equal(canary_places(SEED, 100, (uint64_t[CANARIES_MAX]){0}), 0);
}

static void no_two_canaries_are_alike(void **state)
{
    unsigned char a[CANARY_SIZE], b[CANARY_SIZE];

    canary_fill(SEED, 0, a);
    assert_true(zeros_first_other(a, sizeof(a)) == 0);
    canary_fill(SEED, 0, b);
    assert_memory_equal(a, b, sizeof(a));
    canary_fill(SEED, CANARY_SIZE, b);
    for (size_t at = 0; at < CANARY_SIZE; at += 64) /* nor any part of them */
        assert_memory_not_equal(a + at, b + at, 64);
    canary_fill("ff112233445566778899aabbccddeeff", 0, b);
    assert_memory_not_equal(a + 64, b + 64, 64);
}

static void random_numbers_stay_below(void **state)
{
    struct random r = random_of_seed(SEED, 3), other = random_of_seed(SEED, 4);
    uint64_t sum = 0;

    assert_int_not_equal(random_at(&r, 0), random_at(&other, 0));
    for (uint64_t i = 0; i < 100000; i++) {
        assert_int_equal(random_below(&r, i, 1), 0);
        assert_true(random_below(&r, i, 10) < 10);
        sum += random_below(&r, i, 1000);
    }
    assert_in_range(sum / 100000, 490, 510);
}

static void seeds_are_new_each_time(void **state)
{
    char a[WIPE_SEED_SIZE], b[WIPE_SEED_SIZE];

    assert_int_equal(random_new_seed(a), 0);
    assert_int_equal(random_new_seed(b), 0);
    assert_int_equal(strlen(a), WIPE_SEED_SIZE - 1);
    assert_string_not_equal(a, b);
}

static void slices_depend_on_the_size_alone(void **state)
{
    assert_int_equal(spans_slice(4096), 4 * MIB);
    assert_int_equal(spans_slice(100 * 1024 * MIB), 16 * MIB);
    assert_int_equal(spans_slice(1024 * 1024 * MIB), 128 * MIB);
    assert_int_equal(spans_slice(100 * 1024 * 1024 * MIB), 256 * MIB);
}

static void spans_take_about_as_long_as_they_should(void **state)
{
    uint64_t slice = 16 * MIB;

    assert_int_equal(spans_next_length(slice, 0, 0, USEC_PER_SEC), slice);
    /* 16 MiB took 4 s: no shorter than a slice. */
    assert_int_equal(spans_next_length(slice, slice, 4 * USEC_PER_SEC, USEC_PER_SEC), slice);
    /* 16 MiB took 10 ms: longer, but not at once. */
    assert_int_equal(spans_next_length(slice, slice, USEC_PER_SEC / 100, USEC_PER_SEC), 4 * slice);
    assert_int_equal(spans_next_length(slice, 100 * slice, USEC_PER_SEC, USEC_PER_SEC),
                     100 * slice);
    assert_int_equal(spans_next_length(slice, 100 * slice, 2 * USEC_PER_SEC, USEC_PER_SEC),
                     50 * slice);
    assert_int_equal(spans_next_length(slice, 100 * slice, 0, USEC_PER_SEC), 400 * slice);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sample_is_as_large_as_it_has_to_be),
        cmocka_unit_test(the_first_byte_that_is_not_zero),
        cmocka_unit_test(canaries_are_spread_over_the_device),
        cmocka_unit_test(no_two_canaries_are_alike),
        cmocka_unit_test(random_numbers_stay_below),
        cmocka_unit_test(seeds_are_new_each_time),
        cmocka_unit_test(slices_depend_on_the_size_alone),
        cmocka_unit_test(spans_take_about_as_long_as_they_should),
    };

    return cmocka_run_group_tests_name("verification", tests, NULL, NULL);
}
