/* test_engine_faults_letters.c - memory that runs out and a disk that fails as a sink refuses
 *
 * The same loops as in test_engine_faults.c, over a sink that has refused the first of two events.
 * Contract 4.4 and 6: at any time the event is still to be sent, by the sink's cursor, or is a dead
 * letter in the journal; and what an operator wants done with it is done when that was answered,
 * and not at all when it was refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "faults-kit.h"

#define SINK "file"
#define REFUSED 1

/* A stop is over, and has left two events. */
static void a_life_with_events(struct scratch *s, struct life *l)
{
    struct reply reply;

    no_journal(s);
    *l = (struct life){.path = scratch_path(s, "stopd.db")};
    world_make(l);
    life_start(l);
    life_until(l, engine_is_attached(l->engine));
    ask_stop(l, "once", &reply);
    life_until(l, reply.is_there && engine_unfinished(l->engine) == 0);
    assert_int_equal(engine_last_sequence(l->engine), 2);
    life_turn(l);
}

static void report(struct life *l, enum sink_news news, uint64_t sequence)
{
    struct sink_report *r;

    engine_calm();
    r = sink_report_new(news, SINK, sequence, "410 Gone", 0);
    assert_non_null(r);
    engine_take_sink_report(l->engine, r);
    engine_rough();
}

static void go_on_for(struct life *l, usec_t how_long)
{
    usec_t until = l->now + how_long;

    while (l->now < until)
        life_step(l, until);
}

/* … the first of which was set aside. */
static void a_life_with_a_letter(struct scratch *s, struct life *l)
{
    a_life_with_events(s, l);
    report(l, SINK_SET_ASIDE, REFUSED);
    report(l, SINK_MOVED, 2);
    go_on_for(l, 3 * USEC_PER_SEC);
}

/* --- What the journal holds ------------------------------------------------------------------- */

struct kept {
    uint64_t cursor, mark;
    unsigned letters;
};

static int see_letter(void *userdata, const struct dead_letter *letter)
{
    struct kept *k = userdata;

    assert_int_equal(letter->event.sequence, REFUSED);
    assert_string_equal(letter->reason, "410 Gone");
    k->letters++;
    k->mark = letter->mark;
    return 0;
}

static struct kept what_is_kept(const struct life *l)
{
    struct journal_reader *r = open_reader(l->path);
    struct error *err = NULL;
    struct kept k = {0};
    bool rewound;

    assert_success(journal_read_cursor(r, SINK, &k.cursor, &rewound, &err), err);
    assert_success(journal_read_dead_letters(r, SINK, 0, 10, see_letter, &k, &err), err);
    journal_reader_close(r);
    return k;
}

/* --- A refusal -------------------------------------------------------------------------------- */

/* The trouble is met as it is written down; and stopd is killed, or lives on. */
static bool set_aside_in_trouble(struct scratch *s, const struct trouble *t, long n)
{
    struct life l;
    struct kept k;
    bool met;

    a_life_with_events(s, &l);
    begin_trouble(t, n);
    report(&l, SINK_SET_ASIDE, REFUSED);
    report(&l, SINK_MOVED, 2);
    go_on_for(&l, 3 * USEC_PER_SEC);
    met = end_trouble(t);
    k = what_is_kept(&l);
    assert_true(k.letters == 1 || k.cursor < REFUSED);
    go_on_for(&l, 5 * USEC_PER_SEC);
    k = what_is_kept(&l);
    assert_int_equal(k.letters, 1);
    assert_int_equal(k.cursor, 2);
    life_end(&l);
    return met;
}

static void what_is_refused_is_a_letter_or_is_sent_again(void **state)
{
    loop_over_all(*state, troubles, ELEMENTSOF(troubles), 5, set_aside_in_trouble);
}

/* --- Wishes ----------------------------------------------------------------------------------- */

static void wish(struct life *l, enum request_kind kind, uint64_t after, struct reply *reply)
{
    struct request *r = request_new(kind);

    assert_non_null(r);
    *reply = (struct reply){0};
    snprintf(r->principal.name, sizeof(r->principal.name), "test");
    r->principal.may_change = true;
    assert_int_equal(text_replace(&r->sink, SINK), 0);
    r->after = after;
    r->reply = take_reply;
    r->userdata = reply;
    engine_take_request(l->engine, r);
}

/* Until it is done: *is_unknown where the first answer was none, or said nothing. */
static bool wish_in_trouble(struct life *l, enum request_kind kind, const struct trouble *t, long n,
                            struct reply *reply, bool *is_unknown)
{
    bool met;

    wish(l, kind, kind == REQUEST_REWIND_SINK ? 0 : REFUSED, reply);
    begin_trouble(t, n);
    engine_turn(l->engine);
    met = end_trouble(t);
    assert_true(reply->is_there);
    *is_unknown = !reply->has_answer || reply->code == ERROR_INTERNAL;
    if (!*is_unknown && reply->code != ERROR_NONE)
        assert_int_equal(error_http_status(reply->code), 503);
    make_calls(l);
    return met;
}

static bool replay_in_trouble(struct scratch *s, const struct trouble *t, long n)
{
    struct life l;
    struct reply reply;
    bool met, is_unknown;

    a_life_with_a_letter(s, &l);
    met = wish_in_trouble(&l, REQUEST_REPLAY_LETTERS, t, n, &reply, &is_unknown);
    if (!is_unknown)
        assert_int_equal(what_is_kept(&l).mark > 0, reply.code == ERROR_NONE);
    assert_int_equal(what_is_kept(&l).letters, 1);
    /* It is delivered then, and told so in trouble: a letter that is there is only sent again. */
    begin_trouble(t, n);
    report(&l, SINK_TOOK_LETTER, REFUSED);
    go_on_for(&l, 3 * USEC_PER_SEC);
    met |= end_trouble(t);
    go_on_for(&l, 5 * USEC_PER_SEC);
    assert_int_equal(what_is_kept(&l).letters, 0);
    life_end(&l);
    return met;
}

static bool drop_in_trouble(struct scratch *s, const struct trouble *t, long n)
{
    struct life l;
    struct reply reply;
    bool met, is_unknown;

    a_life_with_a_letter(s, &l);
    met = wish_in_trouble(&l, REQUEST_DROP_LETTERS, t, n, &reply, &is_unknown);
    if (!is_unknown)
        assert_int_equal(what_is_kept(&l).letters, reply.code == ERROR_NONE ? 0 : 1);
    assert_int_equal(what_is_kept(&l).cursor, 2);
    life_end(&l);
    return met;
}

static bool rewind_in_trouble(struct scratch *s, const struct trouble *t, long n)
{
    struct life l;
    struct reply reply;
    bool met, is_unknown;
    struct kept k;

    a_life_with_a_letter(s, &l);
    met = wish_in_trouble(&l, REQUEST_REWIND_SINK, t, n, &reply, &is_unknown);
    k = what_is_kept(&l);
    if (!is_unknown) {
        assert_int_equal(k.cursor, reply.code == ERROR_NONE ? 0 : 2);
        assert_int_equal(k.letters, reply.code == ERROR_NONE ? 0 : 1);
    }
    assert_true(k.letters == 1 || k.cursor < REFUSED);
    life_end(&l);
    return met;
}

static void what_an_operator_wants_is_done_or_refused(void **state)
{
    loop_over_all(*state, troubles, ELEMENTSOF(troubles), 5, replay_in_trouble);
    loop_over_all(*state, troubles, ELEMENTSOF(troubles), 5, drop_in_trouble);
    loop_over_all(*state, troubles, ELEMENTSOF(troubles), 5, rewind_in_trouble);
}

/* --- Recovering ------------------------------------------------------------------------------- */

/* stopd starts on a journal with a letter that is to be sent again. */
static bool recover_in_trouble(struct scratch *s, const struct trouble *t, long n)
{
    struct life l;
    struct reply reply;
    bool met;

    a_life_with_a_letter(s, &l);
    wish(&l, REQUEST_REPLAY_LETTERS, REFUSED, &reply);
    life_turn(&l);
    assert_int_equal(reply.code, ERROR_NONE);
    life_die(&l);
    met = start_in_trouble(&l, t, n);
    life_until(&l, engine_is_attached(l.engine));
    /* Marks go on from there: a later one is told from those that are done. */
    wish(&l, REQUEST_REPLAY_LETTERS, REFUSED, &reply);
    life_turn(&l);
    assert_int_equal(reply.code, ERROR_NONE);
    assert_int_equal(what_is_kept(&l).mark, 2);
    assert_int_equal(what_is_kept(&l).cursor, 2);
    life_end(&l);
    return met;
}

static void letters_are_found_again(void **state)
{
    loop_over_all(*state, troubles, ELEMENTSOF(troubles), 5, recover_in_trouble);
}

#define RULE(f) cmocka_unit_test_setup_teardown(f, setup, scratch_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        RULE(what_is_refused_is_a_letter_or_is_sent_again),
        RULE(what_an_operator_wants_is_done_or_refused),
        RULE(letters_are_found_again),
    };

    log_set_level((enum log_level) - 1);
    memory_install();
    fault_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
