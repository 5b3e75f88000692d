/* test_agenda.c - what is due first comes first, whatever was put in, moved and taken out */
#include "engine/agenda.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define N 300

static struct agenda agenda;
static struct agenda_entry entries[N];
static uint32_t state = 1;

static uint32_t chance(uint32_t bound)
{
    state = state * 1664525 + 1013904223;
    return (state >> 8) % bound;
}

static usec_t earliest(const usec_t dues[N])
{
    usec_t due = USEC_NEVER;

    for (size_t i = 0; i < N; i++)
        if (dues[i] < due)
            due = dues[i];
    return due;
}

static void an_empty_agenda_has_nothing_due(void **unused)
{
    assert_null(agenda_first(&agenda));
    assert_int_equal(agenda_reserve(&agenda, 1), 0);
    agenda_set(&agenda, &entries[0], USEC_NEVER);
    assert_null(agenda_first(&agenda));
    agenda_set(&agenda, &entries[0], 7);
    assert_ptr_equal(agenda_first(&agenda), &entries[0]);
    agenda_set(&agenda, &entries[0], USEC_NEVER);
    assert_null(agenda_first(&agenda));
}

/* Held against a list that is searched from end to end. */
static void the_earliest_is_first_after_every_change(void **unused)
{
    usec_t dues[N];

    for (size_t i = 0; i < N; i++)
        dues[i] = USEC_NEVER;
    assert_int_equal(agenda_reserve(&agenda, N), 0);
    for (unsigned round = 0; round < 20000; round++) {
        size_t i = chance(N);
        struct agenda_entry *first;

        dues[i] = chance(4) == 0 ? USEC_NEVER : chance(1000);
        agenda_set(&agenda, &entries[i], dues[i]);
        first = agenda_first(&agenda);
        assert_int_equal(first ? first->due : USEC_NEVER, earliest(dues));
        if (first)
            assert_int_equal(dues[first - entries], first->due);
    }
}

static void what_is_taken_out_in_turn_is_in_order(void **unused)
{
    usec_t last = 0;
    size_t n = 0;

    assert_int_equal(agenda_reserve(&agenda, N), 0);
    for (size_t i = 0; i < N; i++)
        agenda_set(&agenda, &entries[i], chance(50));
    for (struct agenda_entry *e; (e = agenda_first(&agenda)); n++) {
        assert_true(e->due >= last);
        last = e->due;
        agenda_set(&agenda, e, USEC_NEVER);
        assert_int_equal(e->place, 0);
    }
    assert_int_equal(n, N);
}

static int forget(void **unused)
{
    agenda_clear(&agenda);
    for (size_t i = 0; i < N; i++)
        entries[i] = (struct agenda_entry){0};
    return 0;
}

#define TEST(f) cmocka_unit_test_teardown(f, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_agenda_has_nothing_due),
        TEST(the_earliest_is_first_after_every_change),
        TEST(what_is_taken_out_in_turn_is_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
