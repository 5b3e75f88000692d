/* test_relay.c - every event to every sink, in order, over failures, hangs and kill -9 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "drivers/upstream/file.h"
#include "event-file.h"
#include "relay-kit.h"

/* --- Which events ---------------------------------------------------------------------------- */

static void all_that_is_committed_is_delivered_in_order(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    struct scripted_sink s;
    struct relay *r;

    scripted_init(&s);
    commit_events(j, 1, 5);
    r = start(&s, journal_path(state));
    await(&s, s.cursor == 5);
    for (uint64_t n = 6; n <= 60; n++) {
        commit_events(j, n, n);
        relay_notify(r, n);
    }
    await(&s, s.cursor == 60);
    commit_events(j, 61, 1000); /* more than a batch */
    relay_notify(r, 1000);
    await(&s, s.cursor == 1000);
    assert_int_equal(relay_stop(r, AT_ONCE), 0);
    assert_true(s.freed);
    assert_got(&s, 1, 1000);
    assert_int_equal(s.opens, 1);
    journal_close(j);
}

static void delivery_goes_on_behind_the_cursor(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    struct scripted_sink s;
    struct relay *r;

    scripted_init(&s);
    commit_events(j, 1, 5);
    commit_cursor(j, 3);
    r = start(&s, journal_path(state));
    await(&s, s.cursor == 5);
    relay_stop(r, AT_ONCE);
    assert_got(&s, 4, 5);
    journal_close(j);
}

/* upstream.h: where the sink itself knows, delivery goes on behind what it holds. */
static void a_sink_that_has_more_than_the_cursor_says_gets_nothing_twice(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    struct scripted_sink s;
    struct relay *r;

    commit_events(j, 1, 9);
    commit_cursor(j, 3);
    scripted_init(&s);
    event_id(7, s.last_id);
    r = start(&s, journal_path(state));
    await(&s, s.cursor == 9);
    relay_stop(r, AT_ONCE);
    assert_got(&s, 8, 9);

    scripted_init(&s);
    event_id(9, s.last_id);
    r = start(&s, journal_path(state));
    await(&s, s.cursor == 9); /* told, although nothing was delivered */
    relay_stop(r, AT_ONCE);
    assert_int_equal(s.n_got, 0);

    /* It has less, or what the journal does not know: the cursor counts. */
    for (uint64_t id = 1; id <= 5000; id += 4999) {
        scripted_init(&s);
        event_id(id, s.last_id);
        r = start(&s, journal_path(state));
        await(&s, s.cursor == 9);
        relay_stop(r, AT_ONCE);
        assert_got(&s, 4, 9);
    }
    journal_close(j);
}

static void events_that_were_dropped_before_their_turn_are_counted(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    int kept = catch_log(*state);
    struct relay_status status;
    struct error *err = NULL;
    struct scripted_sink s;
    struct relay *r;

    scripted_init(&s);
    s.deliveries_to_fail = 2;
    commit_events(j, 1, 9);
    commit_cursor(j, 2);
    begin(j); /* this sink was not configured then */
    assert_int_equal(journal_retain(j, NOW + 1, NULL, 0, 6, &err), 6);
    commit(j);
    r = start(&s, journal_path(state));
    await(&s, s.cursor == 9);
    relay_status(r, &status);
    assert_int_equal(status.missed, 4);
    relay_stop(r, AT_ONCE);
    assert_got(&s, 7, 9);
    release_log(*state, kept,
                (const char *const[]){"takes no more", "4 events behind sequence 2", "well again"},
                3);
    journal_close(j);
}

/* --- Failures -------------------------------------------------------------------------------- */

static void a_failure_is_told_once_and_its_end_once(void **state)
{
    static const char *const log[] = {
        "sink sink: the sink does not open", "sink sink is well again",
        "sink sink: the sink takes no more", "sink sink is well again"};
    struct journal *j = open_journal(journal_path(state));
    int kept = catch_log(*state);
    struct relay_status status;
    struct scripted_sink s;
    struct relay *r;

    scripted_init(&s);
    s.opens_to_fail = 6;
    commit_events(j, 1, 3);
    r = start(&s, journal_path(state));
    await(&s, s.cursor == 3);
    relay_notify(r, 3);
    tell(&s, s.deliveries_to_fail = 4);
    commit_events(j, 4, 5);
    relay_notify(r, 5);
    await(&s, s.cursor == 5);
    relay_status(r, &status);
    assert_int_equal(status.failures, 10);
    assert_int_equal(status.events, 5);
    assert_string_equal(status.error, "the sink takes no more");
    relay_stop(r, AT_ONCE);
    assert_got(&s, 1, 5);
    release_log(*state, kept, log, ELEMENTSOF(log));
    journal_close(j);
}

static void what_a_failed_delivery_did_deliver_is_not_sent_again(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    int kept = catch_log(*state);
    struct scripted_sink s;
    struct relay *r;

    scripted_init(&s);
    s.deliveries_to_fail = 3;
    s.accepts = 2;
    commit_events(j, 1, 9);
    r = start(&s, journal_path(state));
    await(&s, s.cursor == 9);
    relay_stop(r, AT_ONCE);
    assert_got(&s, 1, 9);
    assert_int_equal(s.cursors, 4); /* 2, 4, 6, 9 */
    release_log(*state, kept, (const char *const[]){"no more", "well again"}, 2);
    journal_close(j);
}

static void no_event_is_skipped_that_cannot_be_read(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    int kept = catch_log(*state);
    struct scripted_sink s;
    struct relay *r;

    scripted_init(&s);
    commit_events(j, 1, 3);
    by_hand(journal_path(state), "UPDATE event SET id = 'x' WHERE sequence = 2");
    r = start(&s, journal_path(state));
    await(&s, s.opens >= 5);
    relay_stop(r, AT_ONCE);
    assert_got(&s, 1, 1);
    release_log(*state, kept, (const char *const[]){"sink sink: event 2 in the journal is damaged"},
                1);
    journal_close(j);
}

static void a_journal_that_is_not_there_is_waited_for(void **state)
{
    int kept = catch_log(*state);
    struct relay_status status = {0};
    struct scripted_sink s;
    struct journal *j;
    struct relay *r;

    scripted_init(&s);
    r = start(&s, journal_path(state));
    while (status.failures < 3)
        relay_status(r, &status);
    assert_true(status.failing);
    j = open_journal(journal_path(state));
    commit_events(j, 1, 3);
    relay_notify(r, 3);
    await(&s, s.cursor == 3);
    relay_stop(r, AT_ONCE);
    assert_got(&s, 1, 3);
    release_log(*state, kept, (const char *const[]){"cannot be opened", "well again"}, 2);
    journal_close(j);
}

/* Between the bounds, growing, and not the same each time. */
static void pauses_keep_their_bounds(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    int kept = catch_log(*state);
    struct scripted_sink s;
    usec_t least = USEC_NEVER, longest = 0;
    struct relay *r;

    scripted_init(&s);
    s.opens_to_fail = 31;
    commit_events(j, 1, 1);
    r = start(&s, journal_path(state));
    await(&s, s.cursor == 1);
    relay_stop(r, AT_ONCE);
    for (unsigned i = 1; i < 32; i++) {
        usec_t pause = s.opened_at[i] - s.opened_at[i - 1];

        if (pause < least)
            least = pause;
        if (pause > longest)
            longest = pause;
    }
    assert_true(least >= USEC_PER_MSEC);
    assert_true(longest >= 6 * USEC_PER_MSEC);
    release_log(*state, kept, (const char *const[]){"does not open", "well again"}, 2);
    journal_close(j);
}

/* --- Status and the end ---------------------------------------------------------------------- */

static void the_status_says_how_far_behind_a_sink_is(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    struct relay_status status;
    struct scripted_sink s;
    struct relay *r;

    scripted_init(&s);
    s.hangs = true;
    commit_events(j, 1, 7);
    commit_cursor(j, 3);
    r = start(&s, journal_path(state));
    relay_notify(r, 7);
    await(&s, s.is_hanging);
    relay_status(r, &status);
    assert_int_equal(status.delivered, 3);
    assert_int_equal(status.lag, 4);
    assert_false(status.failing);
    assert_true(status.busy_since != 0);
    tell(&s, s.hangs = false);
    await(&s, s.cursor == 7);
    relay_status(r, &status);
    assert_int_equal(status.delivered, 7);
    assert_int_equal(status.lag, 0);
    assert_int_equal(status.events, 4);
    assert_int_equal(status.busy_since, 0);
    assert_string_equal(status.error, "");
    relay_stop(r, AT_ONCE);
    journal_close(j);
}

static void a_stop_does_not_wait_out_a_pause(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    int kept = catch_log(*state);
    struct relay_status status = {0};
    struct relay_settings settings = {
        .name = "sink", .journal_path = journal_path(state), .report = scripted_report};
    struct error *err = NULL;
    struct scripted_sink s;
    struct relay *r = NULL;

    scripted_init(&s);
    s.opens_to_fail = 1000;
    settings.upstream = &s.upstream;
    settings.userdata = &s;
    settings.backoff_least = settings.backoff_most = 3600 * USEC_PER_SEC;
    assert_success(relay_start(&settings, &r, &err), err);
    while (!status.failing)
        relay_status(r, &status);
    relay_notify(r, 1); /* does not end the pause */
    assert_int_equal(relay_stop(r, AT_ONCE), 0);
    assert_int_equal(s.opens, 1);
    assert_int_equal(relay_stop(NULL, 0), 0);
    release_log(*state, kept, (const char *const[]){"does not open"}, 1);
    journal_close(j);
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
    struct journal *j = open_journal(journal_path(state));
    struct scripted_sink s;
    struct relay *r;
    pthread_t releaser;

    scripted_init(&s);
    s.hangs = true;
    commit_events(j, 1, 600);
    r = start(&s, journal_path(state));
    await(&s, s.is_hanging);
    /* Whether the stop or the release comes first, the first batch ends and the outcome is told. */
    assert_int_equal(pthread_create(&releaser, NULL, release, &s), 0);
    assert_int_equal(relay_stop(r, AT_ONCE), 0);
    pthread_join(releaser, NULL);
    assert_true(s.n_got > 0);
    assert_int_equal(s.cursor, s.got[s.n_got - 1]);
    assert_true(s.freed);
    journal_close(j);
}

static void a_sink_that_hangs_is_abandoned(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    struct scripted_sink s;
    struct relay *r;

    scripted_init(&s);
    s.hangs = true;
    commit_events(j, 1, 3);
    r = start(&s, journal_path(state));
    await(&s, s.is_hanging);
    assert_int_equal(relay_stop(r, 5 * USEC_PER_MSEC), -ETIMEDOUT);
    tell(&s, s.hangs = false);
    await(&s, s.freed);             /* it came back, and took itself away */
    assert_int_equal(s.cursors, 0); /* without a word */
    journal_close(j);
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
    struct journal *j = open_journal(journal_path(state));
    pthread_t threads[4];
    struct scripted_sink s;
    struct relay *r;

    scripted_init(&s);
    r = start(&s, journal_path(state));
    for (size_t i = 0; i < ELEMENTSOF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, notify_and_look, r), 0);
    for (uint64_t n = 1; n <= 2000; n += 100) /* notices may come before, between and behind */
        commit_events(j, n, n + 99);
    for (size_t i = 0; i < ELEMENTSOF(threads); i++)
        pthread_join(threads[i], NULL);
    commit_events(j, 2001, 2001);
    relay_notify(r, 2001);
    await(&s, s.cursor == 2001);
    relay_stop(r, AT_ONCE);
    assert_got(&s, 1, 2001);
    journal_close(j);
}

/* --- kill -9 --------------------------------------------------------------------------------- */

/* A daemon in small: commits events and the cursor that the relay told, and wakes the relay. */
struct daemon {
    struct journal *journal;
    struct relay *relay;
    struct scripted_sink told; /* for its cursor only */
    uint64_t last, stored;
};

static void daemon_start(struct daemon *d, const char *journal, const char *events)
{
    struct relay_settings settings = {
        .name = "sink", .journal_path = journal, .report = scripted_report, .userdata = &d->told};
    struct error *err = NULL;

    *d = (struct daemon){.journal = open_journal(journal)};
    scripted_init(&d->told);
    assert_success(journal_last_sequence(d->journal, &d->last, &err), err);
    assert_success(upstream_file_new(events, &settings.upstream, &err), err);
    assert_success(relay_start(&settings, &d->relay, &err), err);
    relay_notify(d->relay, d->last);
}

static void daemon_turn(struct daemon *d, unsigned events, size_t padding)
{
    struct error *err = NULL;
    uint64_t cursor = 0;

    tell(&d->told, cursor = d->told.cursor);
    begin(d->journal);
    for (unsigned i = 1; i <= events; i++)
        assert_success(try_put_event(d->journal, d->last + i, padding, NOW, &err), err);
    if (cursor > d->stored)
        assert_success(journal_put_cursor(d->journal, "sink", cursor, &err), err);
    commit(d->journal);
    d->stored = cursor;
    d->last += events;
    relay_notify(d->relay, d->last);
}

static void live_until_killed(const struct child *self, const char *journal, const char *events,
                              unsigned seed)
{
    struct daemon d;

    daemon_start(&d, journal, events);
    for (;;) {
        daemon_turn(&d, 1 + (unsigned)rand_r(&seed) % 5, rand_r(&seed) % 4 ? 200 : 60000);
        child_report(self, d.last);
    }
}

static uint64_t stored_cursor(const char *path)
{
    struct journal_reader *r = open_reader(path);
    struct error *err = NULL;
    uint64_t cursor = 0;
    bool rewound;

    assert_success(journal_read_cursor(r, "sink", &cursor, &rewound, &err), err);
    journal_reader_close(r);
    return cursor;
}

static uint64_t count_lines(const char *path)
{
    _cleanup_(freep) char *bytes = scratch_read(path, NULL);
    uint64_t n = 0;

    for (const char *p = bytes; p && (p = strchr(p, '\n')); p++)
        n++;
    return n;
}

/* Contract 4.4: none lost over kill -9; and for a sink that knows what it has, none twice. */
static void over_kill_9_each_event_is_in_the_file_once(void **state)
{
    struct scratch *s = *state;
    char journal[128], events[128];
    unsigned seed = 11, behind = 0;
    struct daemon d;

    snprintf(journal, sizeof(journal), "%s/stopd.db", s->folder);
    snprintf(events, sizeof(events), "%s/events.jsonl", s->folder);
    for (unsigned round = 0; round < 60; round++) {
        unsigned reports = (unsigned)rand_r(&seed) % 25;
        uint64_t promised;
        struct child c;

        if (child_fork(&c))
            live_until_killed(&c, journal, events, seed);
        do
            assert_true(child_hear(&c, &promised));
        while (reports-- > 0);
        for (unsigned spin = (unsigned)rand_r(&seed) % 500000; spin > 0; spin--)
            __asm__ volatile("");
        child_kill(&c, promised);
        behind += count_lines(events) > stored_cursor(journal);
    }
    daemon_start(&d, journal, events);
    await(&d.told, d.told.cursor == d.last);
    assert_int_equal(relay_stop(d.relay, AT_ONCE), 0);
    journal_close(d.journal);
    assert_lines(events, 1, d.last);
    print_message("%llu events; after %u of 60 kills the file had more than the cursor said\n",
                  (unsigned long long)d.last, behind);
    assert_true(behind > 0);
}

#define RULE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        RULE(over_kill_9_each_event_is_in_the_file_once), /* forks: before there are threads */
        RULE(all_that_is_committed_is_delivered_in_order),
        RULE(delivery_goes_on_behind_the_cursor),
        RULE(a_sink_that_has_more_than_the_cursor_says_gets_nothing_twice),
        RULE(events_that_were_dropped_before_their_turn_are_counted),
        RULE(a_failure_is_told_once_and_its_end_once),
        RULE(what_a_failed_delivery_did_deliver_is_not_sent_again),
        RULE(no_event_is_skipped_that_cannot_be_read),
        RULE(a_journal_that_is_not_there_is_waited_for),
        RULE(pauses_keep_their_bounds),
        RULE(the_status_says_how_far_behind_a_sink_is),
        RULE(a_stop_does_not_wait_out_a_pause),
        RULE(a_stop_loses_nothing_that_was_delivered),
        RULE(a_sink_that_hangs_is_abandoned),
        RULE(any_thread_may_notify_and_look),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
