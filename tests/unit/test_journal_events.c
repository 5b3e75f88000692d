/* test_journal_events.c - the outbox: in which order events stand, and how long they stay */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "journal-kit.h"

/* --- Events ---------------------------------------------------------------------------------- */

struct sequences {
    char text[512];
    int stop_after;
};

static int note_sequence(void *userdata, const struct upstream_event *e)
{
    struct sequences *s = userdata;
    char id[UUID_TEXT_SIZE];

    event_id(e->sequence, id);
    assert_string_equal(e->id, id);
    assert_string_equal(e->type, "stopd.instance.state.v1");
    assert_int_equal(strlen(e->body), e->body_size);
    snprintf(s->text + strlen(s->text), sizeof(s->text) - strlen(s->text), "%llu ",
             (unsigned long long)e->sequence);
    return --s->stop_after == 0 ? 1 : 0;
}

static void assert_events(struct journal_reader *r, uint64_t after, unsigned limit,
                          const char *expected)
{
    struct sequences s = {0};
    struct error *err = NULL;

    assert_success(journal_read_events(r, after, limit, note_sequence, &s, &err), err);
    assert_string_equal(s.text, expected);
}

static int refuse_event(void *userdata, const struct upstream_event *e)
{
    return -ENOMEM;
}

static void events_are_read_in_their_order(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    struct journal_reader *r = open_reader(journal_path(state));
    struct sequences two = {.stop_after = 2};
    struct error *err = NULL;
    char id[UUID_TEXT_SIZE];
    uint64_t n = 77;

    assert_success(journal_last_sequence(j, &n, &err), err);
    assert_int_equal(n, 0);
    begin(j);
    for (uint64_t i = 1; i <= 12; i++)
        put_event(j, i, RECENTLY);
    assert_events(r, 0, 100, ""); /* nobody sees what is not committed */
    commit(j);
    assert_success(journal_last_sequence(j, &n, &err), err);
    assert_int_equal(n, 12);
    assert_events(r, 0, 3, "1 2 3 ");
    assert_events(r, 9, 100, "10 11 12 ");
    assert_events(r, 12, 100, "");
    assert_success(journal_read_events(r, 0, 9, note_sequence, &two, &err), err);
    assert_string_equal(two.text, "1 2 ");
    assert_failure(journal_read_events(r, 0, 9, refuse_event, NULL, &err), err, ERROR_NO_MEMORY,
                   "");

    event_id(7, id);
    assert_int_equal(journal_read_event_sequence(r, id, &n, &err), 1);
    assert_int_equal(n, 7);
    event_id(13, id);
    assert_int_equal(journal_read_event_sequence(r, id, &n, &err), 0);
    journal_reader_close(r);
    journal_close(j);
}

static void a_cursor_is_kept_for_each_sink(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    struct journal_reader *r = open_reader(journal_path(state));
    struct error *err = NULL;
    bool rewound = true;
    uint64_t n = 0;

    begin(j);
    assert_success(journal_put_cursor(j, "a", 5, &err), err);
    assert_success(journal_put_cursor(j, "b", 1, &err), err);
    assert_success(journal_put_cursor(j, "a", 6, &err), err);
    commit(j);
    assert_int_equal(journal_read_cursor(r, "a", &n, &rewound, &err), 1);
    assert_int_equal(n, 6);
    assert_false(rewound);
    assert_int_equal(journal_read_cursor(r, "b", &n, &rewound, &err), 1);
    assert_int_equal(n, 1);
    assert_int_equal(journal_read_cursor(r, "c", &n, &rewound, &err), 0);
    journal_reader_close(r);
    journal_close(j);
}

/* --- Retention ------------------------------------------------------------------------------- */

static int retain(struct journal *j, const char *const *sinks, size_t n_sinks, unsigned most)
{
    struct error *err = NULL;
    int r;

    begin(j);
    r = journal_retain(j, LONG_AGO + MINUTE, sinks, n_sinks, most, &err);
    assert_success(r, err);
    commit(j);
    return r;
}

/* Contract 4.4: no event is lost over an upstream that is away for days. */
static void an_event_stays_until_every_sink_has_it(void **state)
{
    static const char *const sinks[] = {"fast", "slow"};
    struct journal *j = open_journal(journal_path(state));
    struct journal_reader *r = open_reader(journal_path(state));
    struct error *err = NULL;

    begin(j);
    for (uint64_t i = 1; i <= 6; i++)
        put_event(j, i, i <= 5 ? LONG_AGO : RECENTLY);
    assert_success(journal_put_cursor(j, "fast", 6, &err), err);
    commit(j);
    assert_int_equal(retain(j, sinks, 2, 100), 0); /* "slow" has never been reached */
    assert_events(r, 0, 100, "1 2 3 4 5 6 ");
    begin(j);
    assert_success(journal_put_cursor(j, "slow", 3, &err), err);
    commit(j);
    assert_int_equal(retain(j, sinks, 2, 2), 2);
    assert_events(r, 0, 100, "3 4 5 6 ");
    assert_int_equal(retain(j, sinks, 2, 2), 1);
    assert_events(r, 0, 100, "4 5 6 ");
    assert_int_equal(retain(j, sinks, 1, 100), 2); /* "slow" is not configured any more */
    assert_events(r, 0, 100, "6 ");
    journal_reader_close(r);
    journal_close(j);
}

/* The outbox is one unbroken run: an old event behind a young one (the clock was set back) stays
 * too. */
static void events_leave_from_the_oldest_end_only(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    struct journal_reader *r = open_reader(journal_path(state));

    begin(j);
    put_event(j, 1, LONG_AGO);
    put_event(j, 2, RECENTLY);
    put_event(j, 3, LONG_AGO);
    put_event(j, 4, RECENTLY);
    commit(j);
    assert_int_equal(retain(j, NULL, 0, 100), 1);
    assert_events(r, 0, 100, "2 3 4 ");
    journal_reader_close(r);
    journal_close(j);
}

/* Contract 6: the sequence rises by one, also past a time in which nothing happened. */
static void the_newest_event_stays_for_the_next_sequence(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    struct error *err = NULL;
    uint64_t last = 0;

    begin(j);
    for (uint64_t i = 1; i <= 3; i++)
        put_event(j, i, LONG_AGO);
    commit(j);
    assert_int_equal(retain(j, NULL, 0, 100), 2);
    journal_close(j);
    j = open_journal(journal_path(state));
    assert_success(journal_last_sequence(j, &last, &err), err);
    assert_int_equal(last, 3);
    journal_close(j);
}

static void put_finished(struct journal *j, unsigned n, usec_t at)
{
    struct operation *op = an_operation(n);

    finish(op, OUTCOME_STOPPED, at);
    put_operation(j, op);
    operation_free(op);
}

static void finished_operations_and_tokens_go_when_they_are_old(void **state)
{
    static const char alias[] = "00000000-AA6F-4DC5-B3DB-00000000ABCD";
    struct journal *j = open_journal(journal_path(state));
    struct journal_reader *r = open_reader(journal_path(state));
    char id[UUID_TEXT_SIZE], *fingerprint = NULL, *request_id = NULL;
    struct error *err = NULL;

    begin(j);
    put_new_operation(j, 1); /* accepted before all others, and still going on */
    put_finished(j, 2, LONG_AGO);
    put_finished(j, 3, LONG_AGO);
    put_finished(j, 4, RECENTLY);
    assert_success(journal_put_alias(j, alias, "473469C7-AA6F-4DC5-B3DB-000000000002", &err), err);
    assert_success(journal_put_token(j, "a", "old", "", R1, LONG_AGO, &err), err);
    assert_success(journal_put_token(j, "a", "young", "", R2, RECENTLY, &err), err);
    commit(j);
    assert_int_equal(retain(j, NULL, 0, 1), 1);
    assert_int_equal(retain(j, NULL, 0, 100), 2);
    assert_int_equal(retain(j, NULL, 0, 100), 0);
    assert_list(r, NULL, NULL, 100, "4 1 ");
    assert_int_equal(journal_resolve(j, alias, id, &err), 0);
    assert_int_equal(journal_find_token(j, "a", "old", &fingerprint, &request_id, &err), 0);
    assert_int_equal(journal_find_token(j, "a", "young", &fingerprint, &request_id, &err), 1);
    free(fingerprint);
    free(request_id);
    journal_reader_close(r);
    journal_close(j);
}

#define RULE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        RULE(events_are_read_in_their_order),
        RULE(a_cursor_is_kept_for_each_sink),
        RULE(an_event_stays_until_every_sink_has_it),
        RULE(events_leave_from_the_oldest_end_only),
        RULE(the_newest_event_stays_for_the_next_sequence),
        RULE(finished_operations_and_tokens_go_when_they_are_old),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
