/* test_relay_letters.c - what a sink refuses is set aside, and what is wanted again is sent again
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "relay-kit.h"

static void commit_letter(struct journal *j, uint64_t sequence)
{
    struct error *err = NULL;

    begin(j);
    assert_success(journal_put_dead_letter(j, "sink", sequence, "no", NOW, &err), err);
    commit(j);
}

static void commit_mark(struct journal *j, uint64_t sequence, uint64_t mark)
{
    struct error *err = NULL;
    unsigned n = 0;

    begin(j);
    assert_success(journal_mark_dead_letters(j, "sink", sequence, mark, 100, &n, &err), err);
    commit(j);
    assert_true(n > 0);
}

static void commit_rewind(struct journal *j, uint64_t after)
{
    struct error *err = NULL;

    begin(j);
    assert_success(journal_rewind(j, "sink", after, &err), err);
    commit(j);
}

static void assert_sequences(const struct scripted_sink *s, const uint64_t *expected, size_t n)
{
    assert_int_equal(s->n_got, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(s->got[i], expected[i]);
}
#define assert_got_in_order(s, ...)                      \
    assert_sequences(s, (const uint64_t[]){__VA_ARGS__}, \
                     sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* --- Refusals -------------------------------------------------------------------------------- */

/* Contract 6: set aside and reported; rule 4.4: not lost, so told before anything is past it. */
static void what_is_refused_is_set_aside_and_delivery_goes_on(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    int kept = catch_log(*state);
    struct relay_status status;
    struct scripted_sink s;
    struct relay *r;

    scripted_init(&s);
    s.refuses = 3;
    commit_events(j, 1, 5);
    r = start(&s, journal_path(state));
    await(&s, s.cursor == 5);
    relay_status(r, &status);
    relay_stop(r, AT_ONCE);
    assert_got_in_order(&s, 1, 2, 4, 5);
    assert_int_equal(s.n_letters, 1);
    assert_int_equal(s.letters[0].news, SINK_SET_ASIDE);
    assert_int_equal(s.letters[0].sequence, 3);
    assert_int_equal(s.letters[0].cursor, 2);
    assert_string_equal(s.letters[0].reason, "no number 3");
    assert_int_equal(status.set_aside, 1);
    assert_int_equal(status.events, 4);
    assert_int_equal(status.failures, 0);
    assert_int_equal(s.opens, 1); /* the sink is well */
    release_log(*state, kept, (const char *const[]){"event 3"}, 1);
    journal_close(j);
}

static void nothing_is_past_a_refusal_that_was_not_taken_down(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    int kept = catch_log(*state);
    struct relay_status status;
    struct scripted_sink s;
    struct relay *r;

    scripted_init(&s);
    s.refuses = 1;
    s.deaf = true;
    commit_events(j, 1, 2);
    r = start(&s, journal_path(state));
    await(&s, s.deliveries >= 3);
    relay_status(r, &status);
    assert_int_equal(status.delivered, 0);
    tell(&s, s.deaf = false);
    await(&s, s.cursor == 2);
    relay_stop(r, AT_ONCE);
    assert_got_in_order(&s, 2);
    assert_int_equal(s.n_letters, 1);
    assert_int_equal(s.letters[0].cursor, 0);
    release_log(*state, kept, (const char *const[]){"not taken down", "event 1", "well again"}, 3);
    journal_close(j);
}

/* --- Dead letters that are wanted again ------------------------------------------------------- */

static void marked_letters_are_sent_once_and_no_others(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    struct scripted_sink s;
    struct relay *r;

    scripted_init(&s);
    commit_events(j, 1, 6);
    commit_letter(j, 2);
    commit_letter(j, 3);
    commit_letter(j, 4);
    commit_cursor(j, 6);
    commit_mark(j, 3, 5); /* before this start, or by another process */
    r = start(&s, journal_path(state));
    await(&s, s.n_letters == 1);
    commit_mark(j, 2, 6);
    relay_replay_letters(r, 6); /* 3 is still in the journal, as if its end was not written yet */
    await(&s, s.n_letters == 2);
    commit_events(j, 7, 7);
    relay_notify(r, 7);
    await(&s, s.cursor == 7);
    relay_stop(r, AT_ONCE);
    assert_got_in_order(&s, 3, 2, 7);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(s.letters[i].news, SINK_TOOK_LETTER);
    assert_int_equal(s.letters[0].sequence, 3);
    assert_int_equal(s.letters[1].sequence, 2);
    assert_int_equal(s.cursors, 1); /* it is the outbox's, and letters are not in it */
    journal_close(j);
}

static void a_letter_that_is_refused_again_is_told_so(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    int kept = catch_log(*state);
    struct scripted_sink s;
    struct relay *r;

    scripted_init(&s);
    s.refuses = 1;
    commit_events(j, 1, 3);
    commit_letter(j, 1);
    commit_letter(j, 2);
    commit_cursor(j, 2);
    commit_mark(j, 0, 1);
    r = start(&s, journal_path(state));
    await(&s, s.cursor == 3);
    relay_stop(r, AT_ONCE);
    assert_got_in_order(&s, 2, 3);
    assert_int_equal(s.n_letters, 2);
    assert_int_equal(s.letters[0].news, SINK_REFUSED_AGAIN);
    assert_int_equal(s.letters[0].sequence, 1);
    assert_int_equal(s.letters[1].news, SINK_TOOK_LETTER);
    release_log(*state, kept, (const char *const[]){"event 1"}, 1);
    journal_close(j);
}

static void a_letter_that_fails_is_tried_again_before_what_is_new(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    int kept = catch_log(*state);
    struct scripted_sink s;
    struct relay *r;

    scripted_init(&s);
    s.deliveries_to_fail = 2;
    commit_events(j, 1, 3);
    commit_letter(j, 1);
    commit_cursor(j, 1);
    commit_mark(j, 1, 1);
    r = start(&s, journal_path(state));
    await(&s, s.cursor == 3);
    relay_stop(r, AT_ONCE);
    assert_got_in_order(&s, 1, 2, 3);
    release_log(*state, kept, (const char *const[]){"takes no more", "well again"}, 2);
    journal_close(j);
}

/* --- Events once more ------------------------------------------------------------------------ */

static void after_a_rewind_events_are_sent_again_in_order(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    int kept = catch_log(*state);
    struct scripted_sink s;
    struct relay *r;

    scripted_init(&s);
    commit_events(j, 1, 4);
    r = start(&s, journal_path(state));
    await(&s, s.cursor == 4);
    assert_int_equal(s.rewinds, 0);
    commit_rewind(j, 1);
    relay_rewind(r, 1, 7);
    await(&s, s.cursors == 2);
    assert_int_equal(s.cursor, 4);
    assert_int_equal(s.rewinds, 7);
    commit_events(j, 5, 5);
    relay_notify(r, 5);
    await(&s, s.cursor == 5);
    relay_stop(r, AT_ONCE);
    assert_got_in_order(&s, 1, 2, 3, 4, 2, 3, 4, 5);
    release_log(*state, kept, (const char *const[]){"behind sequence 1 once more"}, 1);
    journal_close(j);
}

/* What the sink has is what is to be sent again: over a restart, and when the sink fails. */
static void after_a_rewind_it_does_not_count_what_the_sink_has(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    int kept = catch_log(*state);
    struct scripted_sink s;
    struct relay *r;

    scripted_init(&s);
    event_id(4, s.last_id);
    s.deliveries_to_fail = 2;
    commit_events(j, 1, 4);
    commit_cursor(j, 4);
    commit_rewind(j, 2);
    r = start(&s, journal_path(state));
    await(&s, s.cursor == 4);
    relay_stop(r, AT_ONCE);
    assert_got_in_order(&s, 3, 4);
    release_log(*state, kept, (const char *const[]){"takes no more", "well again"}, 2);
    journal_close(j);
}

/* --- Pauses and the end ---------------------------------------------------------------------- */

static void a_sink_is_left_alone_for_as_long_as_it_says(void **state)
{
    const usec_t alone = 300 * USEC_PER_MSEC; /* and the relay's own pauses are 20 ms at most */
    struct journal *j = open_journal(journal_path(state));
    int kept = catch_log(*state);
    struct scripted_sink s;
    struct relay *r;

    scripted_init(&s);
    s.deliveries_to_fail = 2;
    s.leave_alone = alone;
    commit_events(j, 1, 1);
    r = start(&s, journal_path(state));
    await(&s, s.cursor == 1);
    relay_stop(r, AT_ONCE);
    assert_int_equal(s.deliveries, 3);
    assert_true(s.delivered_at[1] - s.delivered_at[0] >= alone);
    assert_true(s.delivered_at[2] - s.delivered_at[1] >= alone);
    release_log(*state, kept, (const char *const[]){"takes no more", "well again"}, 2);
    journal_close(j);
}

static void a_sink_that_hangs_is_interrupted_at_the_end(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    struct scripted_sink s;
    struct relay *r;

    scripted_init(&s);
    s.hangs = s.can_be_interrupted = true;
    commit_events(j, 1, 1);
    r = start(&s, journal_path(state));
    await(&s, s.is_hanging);
    assert_int_equal(relay_stop(r, USEC_PER_MSEC), 0);
    assert_true(s.freed);
    journal_close(j);
}

#define RULE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

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
