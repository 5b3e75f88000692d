/* test_nats_flight.c - an instance's events go out one by one, in order, whatever arrives when */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "drivers/nats/flight.h"
#include "drivers/nats/subject.h"

#include <string.h>

#define N 200

struct batch {
    struct upstream_event events[N];
    char instances[N][8];
};

/* Event i, of sequence first + i, is of the instance that its letter says. */
static void fill(struct batch *b, uint64_t first, const char *letters)
{
    memset(b, 0, sizeof(*b));
    for (size_t i = 0; letters[i]; i++) {
        b->instances[i][0] = letters[i];
        b->events[i] =
            (struct upstream_event){.sequence = first + i, .instance_id = b->instances[i]};
    }
}

static void begin(struct flight *f, const struct batch *b, size_t n)
{
    assert_int_equal(flight_begin(f, b->events, n, NULL), 0);
}

/* What may be sent now, as letters of a text; each stays out. */
static const char *departing(struct flight *f, const char *names)
{
    static char text[N + 1];
    size_t n = 0, i;

    while (flight_depart(f, &i))
        text[n++] = names[i];
    text[n] = '\0';
    return text;
}

static void an_instance_has_one_event_out(void **state)
{
    struct flight f = {0};
    struct batch b;

    fill(&b, 1, "aabacb");
    begin(&f, &b, 6);
    assert_string_equal(departing(&f, "012345"), "024");
    flight_arrive(&f, 2);
    assert_string_equal(departing(&f, "012345"), "5");
    assert_int_equal(flight_prefix(&f), 0);
    flight_arrive(&f, 0);
    assert_string_equal(departing(&f, "012345"), "1");
    assert_int_equal(flight_prefix(&f), 1);
    flight_arrive(&f, 5);
    flight_arrive(&f, 4);
    assert_int_equal(flight_ready(&f), 0);
    flight_arrive(&f, 1);
    assert_string_equal(departing(&f, "012345"), "3");
    flight_arrive(&f, 3);
    assert_int_equal(flight_prefix(&f), 6);
    assert_int_equal(f.n_arrived, 6);
    flight_clear(&f);
}

static void what_arrived_behind_a_gap_is_not_sent_again(void **state)
{
    struct flight f = {0};
    struct batch b;

    fill(&b, 10, "abab");
    begin(&f, &b, 4);
    departing(&f, "0123");
    flight_arrive(&f, 1);
    assert_string_equal(departing(&f, "0123"), "3");
    flight_arrive(&f, 3); /* and a's first never does */
    assert_int_equal(flight_prefix(&f), 0);
    assert_int_equal(flight_remember(&f, NULL), 0);

    fill(&b, 10, "ababb"); /* one more has come meanwhile */
    begin(&f, &b, 5);
    assert_string_equal(departing(&f, "01234"), "04");
    flight_arrive(&f, 0);
    assert_int_equal(flight_prefix(&f), 2);
    assert_string_equal(departing(&f, "01234"), "2");
    flight_arrive(&f, 2);
    flight_arrive(&f, 4);
    assert_int_equal(flight_prefix(&f), 5);
    assert_int_equal(flight_remember(&f, NULL), 0);

    fill(&b, 10, "abab"); /* nothing is remembered without a gap */
    begin(&f, &b, 4);
    assert_string_equal(departing(&f, "0123"), "01");
    flight_clear(&f);
}

/* Many instances, arrivals in any order: never two of one out, and each after its forerunner. */
static void any_order_of_arrival_keeps_each_instances_order(void **state)
{
    for (unsigned seed = 0; seed < 200; seed++) {
        struct flight f = {0};
        struct batch b;
        char letters[N + 1] = "";
        size_t out[N], n_out = 0, i;
        int last[128];

        srand(seed);
        for (i = 0; i < N; i++)
            letters[i] = (char)('A' + rand() % (1 + (int)seed % 50));
        letters[N] = '\0';
        memset(last, -1, sizeof(last));
        fill(&b, 1, letters);
        begin(&f, &b, N);
        while (f.n_arrived < N) {
            while (flight_depart(&f, &i)) {
                for (size_t k = 0; k < n_out; k++)
                    assert_int_not_equal(letters[out[k]], letters[i]);
                assert_true(last[(int)letters[i]] < (int)i);
                last[(int)letters[i]] = (int)i;
                out[n_out++] = i;
            }
            assert_true(n_out > 0);
            i = (size_t)rand() % n_out;
            flight_arrive(&f, out[i]);
            out[i] = out[--n_out];
        }
        assert_int_equal(flight_prefix(&f), N);
        flight_clear(&f);
    }
}

/* Contract 6. */
static void a_subject_has_no_character_that_it_must_not_have(void **state)
{
    static const struct {
        const char *text, *subject;
    } rows[] = {
        {"i-bp67_AZ09", "x.i-bp67_AZ09.y"},
        {"a.b", "x.a%2Eb.y"},
        {"a b*>", "x.a%20b%2A%3E.y"},
        {"ü", "x.%C3%BC.y"},
        {"100%", "x.100%25.y"},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(freep) char *subject = subject_with_token("x.", rows[i].text, ".y");

        assert_string_equal(subject, rows[i].subject);
    }
    assert_string_equal(subject_ending("stopd.instance.state.v1"), ".state");
    assert_string_equal(subject_ending("stopd.operation.failed.v1"), ".failed");
    assert_string_equal(subject_ending("stopd.storage.cleared.v1"), ".cleared");
    assert_string_equal(subject_ending("stopd.storage.failed.v1"), ".uncleared");
    assert_null(subject_ending("stopd.other.v1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_instance_has_one_event_out),
        cmocka_unit_test(what_arrived_behind_a_gap_is_not_sent_again),
        cmocka_unit_test(any_order_of_arrival_keeps_each_instances_order),
        cmocka_unit_test(a_subject_has_no_character_that_it_must_not_have),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
