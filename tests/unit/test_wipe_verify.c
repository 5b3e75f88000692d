/* test_wipe_verify.c - where is read, what is written before, and how a device is cut into spans */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    size_t n = 2 * 4096 + 77;
    unsigned char *data = calloc(1, n);

    assert_int_equal(zeros_first_other(data, n), n);
    for (size_t few = 0; few < 300; few++)
        assert_int_equal(zeros_first_other(data, few), few);
    for (size_t i = 0; i < n; i++) {
        data[i] = 0x80;
        assert_int_equal(zeros_first_other(data, n), i);
        /* From any address on. */
        if (i > 3)
            assert_int_equal(zeros_first_other(data + 3, n - 3), i - 3);
        data[i] = 0;
    }
    free(data);
}

/* What is the same all over is not zero for that. */
static void a_pattern_that_repeats_is_not_zero(void **state)
{
    static unsigned char data[3 * 4096];

    memset(data, 0xff, sizeof(data));
    assert_int_equal(zeros_first_other(data, sizeof(data)), 0);
    for (size_t period = 1; period <= 4096; period *= 2) {
        memset(data, 0, sizeof(data));
        for (size_t at = period - 1; at < sizeof(data); at += period)
            data[at] = 1;
        assert_int_equal(zeros_first_other(data, sizeof(data)), period - 1);
    }
}

/* --- What is read ----------------------------------------------------------------------------- */

/* A device in which all is zero but one byte, and whose driver may forget a piece. */
struct reader {
    struct storage_device base;
    struct wipe *w;
    uint64_t residue;         /* where; UINT64_MAX: nowhere */
    uint64_t left_out;        /* the piece with this byte; UINT64_MAX: none */
    unsigned char *looked_at; /* how often, each block */
};

static int reader_read(struct storage_device *d, const struct storage_reading *reading,
                       struct error **err)
{
    struct reader *reader = (struct reader *)d;
    unsigned char *data = calloc(1, reading->piece);
    struct storage_span span;
    int r;

    while ((r = reading->next(reading->context, &span, err)) > 0) {
        uint64_t at = reader->residue - span.offset;

        /* No intruder comes by: the guards are not what is tested. */
        reader->w->looked_at = moment_now().monotonic;
        if (reader->left_out - span.offset < span.length)
            continue;
        assert_true(span.length > 0 && span.length <= reading->piece);
        assert_true(span.offset + span.length <= d->size);
        for (uint64_t i = 0; i < span.length; i += VERIFY_BLOCK)
            reader->looked_at[(span.offset + i) / VERIFY_BLOCK]++;
        if (at < span.length)
            data[at] = 1;
        r = reading->look(reading->context, span.offset, data, span.length, err);
        if (r < 0)
            break;
    }
    free(data);
    return r;
}

static int verify_of(struct reader *reader, struct wipe *w, uint64_t size, enum wipe_verify mode,
                     struct error **err)
{
    static const struct storage_ops ops = {.name = "reader", .read = reader_read};
    _cleanup_(close) int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct report report = {.fd = fd};
    int r;

    reader->base = (struct storage_device){.ops = &ops, .size = size, .look_fd = -1, .fd = -1};
    reader->w = w;
    reader->looked_at = calloc(1, size / VERIFY_BLOCK + 1);
    *w = (struct wipe){.device = &reader->base,
                       .report = &report,
                       .meter = {.report = &report},
                       .state = {.seed = SEED},
                       .verification = {.mode = mode},
                       .looked_at = moment_now().monotonic};
    r = verify(w, err);
    meter_clear(&w->meter);
    return r;
}

#define A_SIZE (9 * MIB + 3 * VERIFY_BLOCK + 512)
#define A_LARGE_SIZE (1000 * MIB + 512)

static void full_looks_at_each_block_once(void **state)
{
    struct reader reader = {.residue = UINT64_MAX, .left_out = UINT64_MAX};
    struct wipe w;

    assert_int_equal(verify_of(&reader, &w, A_SIZE, WIPE_VERIFY_FULL, NULL), 0);
    for (uint64_t i = 0; i < A_SIZE; i += VERIFY_BLOCK)
        assert_int_equal(reader.looked_at[i / VERIFY_BLOCK], 1);
    assert_int_equal(w.verification.bytes_read, A_SIZE);
    assert_int_equal(w.verification.blocks_read, A_SIZE / VERIFY_BLOCK + 1);
    free(reader.looked_at);
}

static void full_finds_a_byte_anywhere(void **state)
{
    static const uint64_t places[] = {
        0, 1, VERIFY_BLOCK, MIB - 1, MIB, 5 * MIB + 77, A_SIZE - 513, A_SIZE - 1};

    for (size_t i = 0; i < ELEMENTSOF(places); i++) {
        struct reader reader = {.residue = places[i], .left_out = UINT64_MAX};
        _cleanup_(error_free) struct error *error = NULL;
        char where[64];
        struct wipe w;

        snprintf(where, sizeof(where), "byte %" PRIu64 " is not zero", places[i]);
        assert_true(verify_of(&reader, &w, A_SIZE, WIPE_VERIFY_FULL, &error) < 0);
        assert_string_equal(error_message(error), where);
        assert_true(w.has_lied);
        free(reader.looked_at);
    }
}

static void what_was_not_looked_at_is_not_verified(void **state)
{
    static const uint64_t places[] = {0, 3 * MIB, A_SIZE - 1};

    for (size_t i = 0; i < ELEMENTSOF(places); i++) {
        struct reader reader = {.residue = UINT64_MAX, .left_out = places[i]};
        _cleanup_(error_free) struct error *error = NULL;
        struct wipe w;

        assert_true(verify_of(&reader, &w, A_SIZE, WIPE_VERIFY_FULL, &error) < 0);
        assert_non_null(strstr(error_message(error), "were to be read"));
        assert_false(w.has_lied);
        free(reader.looked_at);
    }
}

static void a_sample_looks_at_what_it_has_to(void **state)
{
    struct reader reader = {.residue = UINT64_MAX, .left_out = UINT64_MAX};
    uint64_t canaries[CANARIES_MAX], slice = spans_slice(A_LARGE_SIZE), n = 0;
    uint64_t last = A_LARGE_SIZE / VERIFY_BLOCK; /* it is cut */
    struct wipe w;

    assert_int_equal(verify_of(&reader, &w, A_LARGE_SIZE, WIPE_VERIFY_SAMPLE, NULL), 0);
    for (uint64_t i = 0; i < MIB / VERIFY_BLOCK; i++)
        assert_true(reader.looked_at[i] && reader.looked_at[last - i]);
    for (uint64_t at = slice; at < A_LARGE_SIZE; at += slice)
        assert_true(reader.looked_at[at / VERIFY_BLOCK] && reader.looked_at[at / VERIFY_BLOCK - 1]);
    for (size_t i = 0; i < canary_places(SEED, A_LARGE_SIZE, canaries); i++)
        assert_true(reader.looked_at[canaries[i] / VERIFY_BLOCK]);
    for (uint64_t i = 0; i <= last; i++)
        n += reader.looked_at[i];
    assert_int_equal(n, w.verification.blocks_read);
    assert_true(n >= VERIFY_SAMPLES + 2 * MIB / VERIFY_BLOCK + CANARIES_MAX);
    free(reader.looked_at);
}

/* --- Canaries, seeds and spans ---------------------------------------------------------------- */

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

static void the_first_span_is_a_small_part_of_the_device(void **state)
{
    for (uint64_t size = 4096; size < UINT64_C(1) << 60; size = size * 3 / 2) {
        uint64_t slice = spans_slice(size), first = spans_first_length(size);

        assert_true(first > 0 && first % slice == 0);
        assert_true(first == slice || (first <= size / 16 && first <= 64 * MIB));
    }
    assert_int_equal(spans_first_length(32 * MIB), 4 * MIB);
    assert_int_equal(spans_first_length(1024 * MIB), 64 * MIB);
    assert_int_equal(spans_first_length(100 * 1024 * MIB), 64 * MIB);
}

static void spans_take_about_as_long_as_they_should(void **state)
{
    uint64_t slice = 16 * MIB;

    /* 16 MiB took 4 s: no shorter than a slice. */
    assert_int_equal(spans_next_length(slice, slice, 4 * USEC_PER_SEC, USEC_PER_SEC), slice);
    /* 16 MiB took 10 ms: longer, but not at once. */
    assert_int_equal(spans_next_length(slice, slice, USEC_PER_SEC / 100, USEC_PER_SEC), 16 * slice);
    assert_int_equal(spans_next_length(slice, 100 * slice, USEC_PER_SEC, USEC_PER_SEC),
                     100 * slice);
    assert_int_equal(spans_next_length(slice, 100 * slice, 2 * USEC_PER_SEC, USEC_PER_SEC),
                     50 * slice);
    assert_int_equal(spans_next_length(slice, 100 * slice, 0, USEC_PER_SEC), 1600 * slice);
}

static void slow_flushes_make_spans_longer(void **state)
{
    usec_t ms = USEC_PER_MSEC;

    assert_int_equal(spans_wanted_duration(1000 * ms, 0), 900 * ms);
    assert_int_equal(spans_wanted_duration(1000 * ms, 20 * ms), 900 * ms);
    assert_int_equal(spans_wanted_duration(1000 * ms, 100 * ms), 4000 * ms);
    assert_int_equal(spans_wanted_duration(1000 * ms, 9000 * ms), 8000 * ms);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sample_is_as_large_as_it_has_to_be),
        cmocka_unit_test(the_first_byte_that_is_not_zero),
        cmocka_unit_test(a_pattern_that_repeats_is_not_zero),
        cmocka_unit_test(full_looks_at_each_block_once),
        cmocka_unit_test(full_finds_a_byte_anywhere),
        cmocka_unit_test(what_was_not_looked_at_is_not_verified),
        cmocka_unit_test(a_sample_looks_at_what_it_has_to),
        cmocka_unit_test(canaries_are_spread_over_the_device),
        cmocka_unit_test(no_two_canaries_are_alike),
        cmocka_unit_test(random_numbers_stay_below),
        cmocka_unit_test(seeds_are_new_each_time),
        cmocka_unit_test(slices_depend_on_the_size_alone),
        cmocka_unit_test(the_first_span_is_a_small_part_of_the_device),
        cmocka_unit_test(spans_take_about_as_long_as_they_should),
        cmocka_unit_test(slow_flushes_make_spans_longer),
    };

    return cmocka_run_group_tests_name("verification", tests, NULL, NULL);
}
