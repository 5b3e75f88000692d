/* test_relay_letters.c - what a sink refuses is set aside, and what is wanted again is sent again
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "relay-kit.h"

static void commit_letter(struct delivery *d, uint64_t sequence)
{
    struct error *err = NULL;

    begin(d->journal);
    assert_success(journal_put_dead_letter(d->journal, "sink", sequence, "no", NOW, &err), err);
    commit(d->journal);
}

static void commit_mark(struct delivery *d, uint64_t sequence, uint64_t mark)
{
    struct error *err = NULL;
    unsigned n = 0;

    begin(d->journal);
    assert_success(journal_mark_dead_letters(d->journal, "sink", sequence, mark, 100, &n, &err),
                   err);
    commit(d->journal);
    assert_true(n > 0);
}

static void commit_rewind(struct delivery *d, uint64_t after)
{
    struct error *err = NULL;

    begin(d->journal);
    assert_success(journal_rewind(d->journal, "sink", after, &err), err);
    commit(d->journal);
}

static void assert_sequences(const struct scripted_sink *s, const uint64_t *expected, size_t n)
{
    assert_int_equal(s->n_got, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(s->got[i], expected[i]);
}
#define assert_got_in_order(d, ...)                               \
    assert_sequences(&(d)->sink, (const uint64_t[]){__VA_ARGS__}, \
                     sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* --- Refusals -------------------------------------------------------------------------------- */

/* Contract 6: set aside and reported; rule 4.4: not lost, so told before anything is past it. */
static void what_is_refused_is_set_aside_and_delivery_goes_on(void **state)
{
    struct delivery *d = *state;
    struct relay_status status;

    expect_log(d, "event 3");
    d->sink.refuses = 3;
    commit_events(d, 1, 5);
    start(d);
    await_cursor(d, 5);
    relay_status(d->relay, &status);
    end(d);
    assert_got_in_order(d, 1, 2, 4, 5);
    assert_int_equal(d->sink.n_letters, 1);
    assert_int_equal(d->sink.letters[0].news, SINK_SET_ASIDE);
    assert_int_equal(d->sink.letters[0].sequence, 3);
    assert_int_equal(d->sink.letters[0].cursor, 2);
    assert_string_equal(d->sink.letters[0].reason, "no number 3");
    assert_int_equal(status.set_aside, 1);
    assert_int_equal(status.events, 4);
    assert_int_equal(status.failures, 0);
    assert_int_equal(d->sink.opens, 1); /* the sink is well */
}

static void nothing_is_past_a_refusal_that_was_not_taken_down(void **state)
{
    struct delivery *d = *state;
    struct relay_status status;

    expect_log(d, "not taken down", "event 1", "well again");
    d->sink.refuses = 1;
    d->sink.deaf = true;
    commit_events(d, 1, 2);
    start(d);
    await(&d->sink, d->sink.deliveries >= 3);
    relay_status(d->relay, &status);
    assert_int_equal(status.delivered, 0);
    tell(&d->sink, d->sink.deaf = false);
    await_cursor(d, 2);
    end(d);
    assert_got_in_order(d, 2);
    assert_int_equal(d->sink.n_letters, 1);
    assert_int_equal(d->sink.letters[0].cursor, 0);
}

/* --- Dead letters that are wanted again ------------------------------------------------------- */

static void marked_letters_are_sent_once_and_no_others(void **state)
{
    struct delivery *d = *state;

    commit_events(d, 1, 6);
    commit_letter(d, 2);
    commit_letter(d, 3);
    commit_letter(d, 4);
    commit_cursor(d, 6);
    commit_mark(d, 3, 5); /* before this start, or by another process */
    start(d);
    await(&d->sink, d->sink.n_letters == 1);
    commit_mark(d, 2, 6);
    relay_replay_letters(d->relay,
                         6); /* 3 is still in the journal, as if its end was not written yet */
    await(&d->sink, d->sink.n_letters == 2);
    commit_events(d, 7, 7);
    relay_notify(d->relay, 7);
    await_cursor(d, 7);
    end(d);
    assert_got_in_order(d, 3, 2, 7);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(d->sink.letters[i].news, SINK_TOOK_LETTER);
    assert_int_equal(d->sink.letters[0].sequence, 3);
    assert_int_equal(d->sink.letters[1].sequence, 2);
    assert_int_equal(d->sink.cursors, 1); /* it is the outbox's, and letters are not in it */
}

static void a_letter_that_is_refused_again_is_told_so(void **state)
{
    struct delivery *d = *state;

    expect_log(d, "event 1");
    d->sink.refuses = 1;
    commit_events(d, 1, 3);
    commit_letter(d, 1);
    commit_letter(d, 2);
    commit_cursor(d, 2);
    commit_mark(d, 0, 1);
    start(d);
    await_cursor(d, 3);
    end(d);
    assert_got_in_order(d, 2, 3);
    assert_int_equal(d->sink.n_letters, 2);
    assert_int_equal(d->sink.letters[0].news, SINK_REFUSED_AGAIN);
    assert_int_equal(d->sink.letters[0].sequence, 1);
    assert_int_equal(d->sink.letters[1].news, SINK_TOOK_LETTER);
}

static void a_letter_that_fails_is_tried_again_before_what_is_new(void **state)
{
    struct delivery *d = *state;

    expect_log(d, "takes no more", "well again");
    d->sink.deliveries_to_fail = 2;
    commit_events(d, 1, 3);
    commit_letter(d, 1);
    commit_cursor(d, 1);
    commit_mark(d, 1, 1);
    start(d);
    await_cursor(d, 3);
    end(d);
    assert_got_in_order(d, 1, 2, 3);
}

/* --- Events once more ------------------------------------------------------------------------ */

static void after_a_rewind_events_are_sent_again_in_order(void **state)
{
    struct delivery *d = *state;

    expect_log(d, "behind sequence 1 once more");
    commit_events(d, 1, 4);
    start(d);
    await_cursor(d, 4);
    assert_int_equal(d->sink.rewinds, 0);
    commit_rewind(d, 1);
    relay_rewind(d->relay, 1, 7);
    await(&d->sink, d->sink.cursors == 2);
    assert_int_equal(d->sink.cursor, 4);
    assert_int_equal(d->sink.rewinds, 7);
    commit_events(d, 5, 5);
    relay_notify(d->relay, 5);
    await_cursor(d, 5);
    end(d);
    assert_got_in_order(d, 1, 2, 3, 4, 2, 3, 4, 5);
}

/* What the sink has is what is to be sent again: over a restart, and when the sink fails. */
static void after_a_rewind_it_does_not_count_what_the_sink_has(void **state)
{
    struct delivery *d = *state;

    expect_log(d, "takes no more", "well again");
    event_id(4, d->sink.last_id);
    d->sink.deliveries_to_fail = 2;
    commit_events(d, 1, 4);
    commit_cursor(d, 4);
    commit_rewind(d, 2);
    start(d);
    await_cursor(d, 4);
    end(d);
    assert_got_in_order(d, 3, 4);
}

/* --- Pauses and the end ---------------------------------------------------------------------- */

static void a_sink_is_left_alone_for_as_long_as_it_says(void **state)
{
    struct delivery *d = *state;
    const usec_t alone = 300 * USEC_PER_MSEC; /* and the relay's own pauses are 20 ms at most */

    expect_log(d, "takes no more", "well again");
    d->sink.deliveries_to_fail = 2;
    d->sink.leave_alone = alone;
    commit_events(d, 1, 1);
    start(d);
    await_cursor(d, 1);
    end(d);
    assert_int_equal(d->sink.deliveries, 3);
    assert_true(d->sink.delivered_at[1] - d->sink.delivered_at[0] >= alone);
    assert_true(d->sink.delivered_at[2] - d->sink.delivered_at[1] >= alone);
}

static void a_sink_that_hangs_is_interrupted_at_the_end(void **state)
{
    struct delivery *d = *state;

    d->sink.hangs = d->sink.can_be_interrupted = true;
    commit_events(d, 1, 1);
    start(d);
    await(&d->sink, d->sink.is_hanging);
    assert_int_equal(relay_stop(take(d->relay), USEC_PER_MSEC), 0);
    assert_true(d->sink.freed);
}

#define RULE(f) cmocka_unit_test_setup_teardown(f, delivery_setup, delivery_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        RULE(what_is_refused_is_set_aside_and_delivery_goes_on),
        RULE(nothing_is_past_a_refusal_that_was_not_taken_down),
        RULE(marked_letters_are_sent_once_and_no_others),
        RULE(a_letter_that_is_refused_again_is_told_so),
        RULE(a_letter_that_fails_is_tried_again_before_what_is_new),
        RULE(after_a_rewind_events_are_sent_again_in_order),
        RULE(after_a_rewind_it_does_not_count_what_the_sink_has),
        RULE(a_sink_is_left_alone_for_as_long_as_it_says),
        RULE(a_sink_that_hangs_is_interrupted_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
