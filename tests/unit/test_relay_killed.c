/* test_relay_killed.c - a relay to a file, over kill -9 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "drivers/upstream/file.h"
#include "event-file.h"
#include "relay-kit.h"

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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(over_kill_9_each_event_is_in_the_file_once, scratch_setup,
                                        scratch_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
