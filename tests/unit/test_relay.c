/* test_relay.c - every event to every sink, in order, over failures and hangs */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "relay-kit.h"

/* --- Which events ---------------------------------------------------------------------------- */

static void all_that_is_committed_is_delivered_in_order(void **state)
{
    struct delivery *d = *state;

    commit_events(d, 1, 5);
    start(d);
    await_cursor(d, 5);
    for (uint64_t n = 6; n <= 60; n++) {
        commit_events(d, n, n);
        relay_notify(d->relay, n);
    }
    await_cursor(d, 60);
    commit_events(d, 61, 1000); /* more than a batch */
    relay_notify(d->relay, 1000);
    await_cursor(d, 1000);
    end(d);
    assert_true(d->sink.freed);
    assert_got(d, 1, 1000);
    assert_int_equal(d->sink.opens, 1);
}

static void delivery_goes_on_behind_the_cursor(void **state)
{
    struct delivery *d = *state;

    commit_events(d, 1, 5);
    commit_cursor(d, 3);
    start(d);
    await_cursor(d, 5);
    end(d);
    assert_got(d, 4, 5);
}

/* upstream.h: where the sink itself knows, delivery goes on behind what it holds. */
static void a_sink_that_has_more_than_the_cursor_says_gets_nothing_twice(void **state)
{
    struct delivery *d = *state;

    commit_events(d, 1, 9);
    commit_cursor(d, 3);
    event_id(7, d->sink.last_id);
    start(d);
    await_cursor(d, 9);
    end(d);
    assert_got(d, 8, 9);

    scripted_init(&d->sink);
    event_id(9, d->sink.last_id);
    start(d);
    await_cursor(d, 9); /* told, although nothing was delivered */
    end(d);
    assert_int_equal(d->sink.n_got, 0);

    /* It has less, or what the journal does not know: the cursor counts. */
    for (uint64_t id = 1; id <= 5000; id += 4999) {
        scripted_init(&d->sink);
        event_id(id, d->sink.last_id);
        start(d);
        await_cursor(d, 9);
        end(d);
        assert_got(d, 4, 9);
    }
}

static void events_that_were_dropped_before_their_turn_are_counted(void **state)
{
    struct delivery *d = *state;
    struct relay_status status;
    struct error *err = NULL;

    expect_log(d, "takes no more", "4 events behind sequence 2", "well again");
    d->sink.deliveries_to_fail = 2;
    commit_events(d, 1, 9);
    commit_cursor(d, 2);
    begin(d->journal); /* this sink was not configured then */
    assert_int_equal(journal_retain(d->journal, NOW + 1, NULL, 0, 6, &err), 6);
    commit(d->journal);
    start(d);
    await_cursor(d, 9);
    relay_status(d->relay, &status);
    assert_int_equal(status.missed, 4);
    end(d);
    assert_got(d, 7, 9);
}

/* --- Failures -------------------------------------------------------------------------------- */

static void a_failure_is_told_once_and_its_end_once(void **state)
{
    struct delivery *d = *state;
    struct relay_status status;

    expect_log(d, "sink sink: the sink does not open", "sink sink is well again",
               "sink sink: the sink takes no more", "sink sink is well again");
    d->sink.opens_to_fail = 6;
    commit_events(d, 1, 3);
    start(d);
    await_cursor(d, 3);
    relay_notify(d->relay, 3);
    tell(&d->sink, d->sink.deliveries_to_fail = 4);
    commit_events(d, 4, 5);
    relay_notify(d->relay, 5);
    await_cursor(d, 5);
    relay_status(d->relay, &status);
    assert_int_equal(status.failures, 10);
    assert_int_equal(status.events, 5);
    assert_string_equal(status.error, "the sink takes no more");
    end(d);
    assert_got(d, 1, 5);
}

static void what_a_failed_delivery_did_deliver_is_not_sent_again(void **state)
{
    struct delivery *d = *state;

    expect_log(d, "no more", "well again");
    d->sink.deliveries_to_fail = 3;
    d->sink.accepts = 2;
    commit_events(d, 1, 9);
    start(d);
    await_cursor(d, 9);
    end(d);
    assert_got(d, 1, 9);
    assert_int_equal(d->sink.cursors, 4); /* 2, 4, 6, 9 */
}

static void no_event_is_skipped_that_cannot_be_read(void **state)
{
    struct delivery *d = *state;

    expect_log(d, "sink sink: event 2 in the journal is damaged");
    commit_events(d, 1, 3);
    by_hand(d->path, "UPDATE event SET id = 'x' WHERE sequence = 2");
    start(d);
    await(&d->sink, d->sink.opens >= 5);
    end(d);
    assert_got(d, 1, 1);
}

static void a_journal_that_is_not_there_is_waited_for(void **state)
{
    struct delivery *d = *state;
    struct relay_status status = {0};

    expect_log(d, "cannot be opened", "well again");
    start(d);
    while (status.failures < 3)
        relay_status(d->relay, &status);
    assert_true(status.failing);
    d->journal = open_journal(d->path);
    commit_events(d, 1, 3);
    relay_notify(d->relay, 3);
    await_cursor(d, 3);
    end(d);
    assert_got(d, 1, 3);
}

/* Between the bounds, growing, and not the same each time. */
static void pauses_keep_their_bounds(void **state)
{
    struct delivery *d = *state;
    usec_t least = USEC_NEVER, longest = 0;

    expect_log(d, "does not open", "well again");
    d->sink.opens_to_fail = 31;
    commit_events(d, 1, 1);
    start(d);
    await_cursor(d, 1);
    end(d);
    for (unsigned i = 1; i < 32; i++) {
        usec_t pause = d->sink.opened_at[i] - d->sink.opened_at[i - 1];

        if (pause < least)
            least = pause;
        if (pause > longest)
            longest = pause;
    }
    assert_true(least >= USEC_PER_MSEC);
    assert_true(longest >= 6 * USEC_PER_MSEC);
}

/* --- Status and the end ---------------------------------------------------------------------- */

static void the_status_says_how_far_behind_a_sink_is(void **state)
{
    struct delivery *d = *state;
    struct relay_status status;

    d->sink.hangs = true;
    commit_events(d, 1, 7);
    commit_cursor(d, 3);
    start(d);
    relay_notify(d->relay, 7);
    await(&d->sink, d->sink.is_hanging);
    relay_status(d->relay, &status);
    assert_int_equal(status.delivered, 3);
    assert_int_equal(status.lag, 4);
    assert_false(status.failing);
    assert_true(status.busy_since != 0);
    tell(&d->sink, d->sink.hangs = false);
    await_cursor(d, 7);
    relay_status(d->relay, &status);
    assert_int_equal(status.delivered, 7);
    assert_int_equal(status.lag, 0);
    assert_int_equal(status.events, 4);
    assert_int_equal(status.busy_since, 0);
    assert_string_equal(status.error, "");
    end(d);
}

static void a_stop_does_not_wait_out_a_pause(void **state)
{
    struct delivery *d = *state;
    struct relay_status status = {0};

    expect_log(d, "does not open");
    d->sink.opens_to_fail = 1000;
    start_with_pauses(d, 3600 * USEC_PER_SEC, 3600 * USEC_PER_SEC);
    while (!status.failing)
        relay_status(d->relay, &status);
    relay_notify(d->relay, 1); /* does not end the pause */
    end(d);
    assert_int_equal(d->sink.opens, 1);
    assert_int_equal(relay_stop(NULL, 0), 0);
}

static void *release(void *userdata)
{
    struct scripted_sink *s = userdata;

    tell(s, s->hangs = false);
    return NULL;
}

/* The batch that is out is waited for, and its cursor told. */
static void a_stop_loses_nothing_that_was_delivered(void **state)
{
    struct delivery *d = *state;
    pthread_t releaser;

    d->sink.hangs = true;
    commit_events(d, 1, 600);
    start(d);
    await(&d->sink, d->sink.is_hanging);
    /* Whether the stop or the release comes first, the first batch ends and the outcome is told. */
    assert_int_equal(pthread_create(&releaser, NULL, release, &d->sink), 0);
    end(d);
    pthread_join(releaser, NULL);
    assert_true(d->sink.n_got > 0);
    assert_int_equal(d->sink.cursor, d->sink.got[d->sink.n_got - 1]);
    assert_true(d->sink.freed);
}

static void a_sink_that_hangs_is_abandoned(void **state)
{
    struct delivery *d = *state;

    d->sink.hangs = true;
    commit_events(d, 1, 3);
    start(d);
    await(&d->sink, d->sink.is_hanging);
    assert_int_equal(relay_stop(take(d->relay), 5 * USEC_PER_MSEC), -ETIMEDOUT);
    tell(&d->sink, d->sink.hangs = false);
    await(&d->sink, d->sink.freed);       /* it came back, and took itself away */
    assert_int_equal(d->sink.cursors, 0); /* without a word */
}

static void *notify_and_look(void *userdata)
{
    struct relay_status status = {0};

    for (uint64_t n = 1; n <= 2000; n++) {
        relay_notify(userdata, n);
        relay_status(userdata, &status);
        assert_true(status.delivered <= 2000);
    }
    return NULL;
}

static void any_thread_may_notify_and_look(void **state)
{
    struct delivery *d = *state;
    pthread_t threads[4];

    start(d);
    for (size_t i = 0; i < ELEMENTSOF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, notify_and_look, d->relay), 0);
    for (uint64_t n = 1; n <= 2000; n += 100) /* notices may come before, between and behind */
        commit_events(d, n, n + 99);
    for (size_t i = 0; i < ELEMENTSOF(threads); i++)
        pthread_join(threads[i], NULL);
    commit_events(d, 2001, 2001);
    relay_notify(d->relay, 2001);
    await_cursor(d, 2001);
    end(d);
    assert_got(d, 1, 2001);
}

#define RULE(f) cmocka_unit_test_setup_teardown(f, delivery_setup, delivery_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        RULE(all_that_is_committed_is_delivered_in_order),
        RULE(delivery_goes_on_behind_the_cursor),
        RULE(a_sink_that_has_more_than_the_cursor_says_gets_nothing_twice),
        RULE(events_that_were_dropped_before_their_turn_are_counted),
        RULE(a_failure_is_told_once_and_its_end_once),
        RULE(what_a_failed_delivery_did_deliver_is_not_sent_again),
        RULE(no_event_is_skipped_that_cannot_be_read),
        cmocka_unit_test_setup_teardown(a_journal_that_is_not_there_is_waited_for,
                                        delivery_setup_without_journal, delivery_teardown),
        RULE(pauses_keep_their_bounds),
        RULE(the_status_says_how_far_behind_a_sink_is),
        RULE(a_stop_does_not_wait_out_a_pause),
        RULE(a_stop_loses_nothing_that_was_delivered),
        RULE(a_sink_that_hangs_is_abandoned),
        RULE(any_thread_may_notify_and_look),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
