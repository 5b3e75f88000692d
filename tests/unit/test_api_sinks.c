/* test_api_sinks.c - /v1/sinks over HTTP: how they fare, dead letters, and sending again */
#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "api-kit.h"

#define LETTERS "/v1/sinks/a%2Fb/dead-letters"

static struct response post(struct fixture *f, const char *target, const char *body)
{
    return ask(f, "POST", target, body ? "Content-Type: application/json\r\n" : "", body);
}

static void what_the_engine_says_of_sinks_is_passed_on(void **state)
{
    struct fixture *f = *state;

    f->engine.body = "{\"sinks\":[{\"name\":\"a\"}]}";
    assert_answered(get(f, "/v1/sinks"), f->engine.body);
    assert_int_equal(stand_in_count(&f->engine, REQUEST_SINKS), 1);
    assert_string_equal(f->engine.last_id, "");
    assert_refused(get(f, "/v1/sinks?x=1"), 400, "InvalidParameter", "x");
}

static void dead_letters_are_read_from_the_journal(void **state)
{
    struct fixture *f = *state;
    struct error *err = NULL;
    unsigned n;

    begin(f->journal);
    for (uint64_t i = 1; i <= 3; i++) {
        put_event(f->journal, i, NOW);
        assert_success(journal_put_dead_letter(f->journal, "a/b", i, "no", NOW, &err), err);
    }
    assert_success(journal_mark_dead_letters(f->journal, "a/b", 2, 1, 1, &n, &err), err);
    commit(f->journal);
    assert_answered(
        get(f, LETTERS "?after=1&limit=1"),
        "{\"deadLetters\":[{\"sequence\":2,\"at\":\"2023-11-14T22:13:20.000Z\",\"reason\":\"no\","
        "\"replay\":true,\"event\":{\"specversion\":\"1.0\","
        "\"id\":\"11111111-2222-4333-8444-000000000002\",\"sequence\":\"00000000000000000002\","
        "\"x\":\"7\"}}]}");
    assert_string_equal(f->engine.last_id, "a/b");
    assert_answered(get(f, LETTERS "?after=3"), "{\"deadLetters\":[]}");
    assert_refused(get(f, LETTERS "?limit=0"), 400, "InvalidParameter", "limit");
}

static void a_sink_that_there_is_not_has_no_dead_letters(void **state)
{
    struct fixture *f = *state;

    f->engine.code = ERROR_SINK_NOT_FOUND;
    assert_refused(get(f, LETTERS), 404, "InvalidSink.NotFound",
                   "The specified sink does not exist.");
}

static void dead_letters_are_named_by_sequence_or_all_at_once(void **state)
{
    struct fixture *f = *state;

    f->engine.body = "{\"sink\":\"a/b\",\"deadLetters\":1}";
    assert_answered(post(f, LETTERS "/17/replay", NULL), f->engine.body);
    assert_int_equal(stand_in_count(&f->engine, REQUEST_REPLAY_LETTERS), 1);
    assert_string_equal(f->engine.last_id, "a/b");
    assert_int_equal(stand_in_last_after(&f->engine), 17);
    assert_answered(post(f, LETTERS "/all/drop", NULL), f->engine.body);
    assert_int_equal(stand_in_count(&f->engine, REQUEST_DROP_LETTERS), 1);
    assert_int_equal(stand_in_last_after(&f->engine), 0);

    assert_refused(post(f, LETTERS "/0/drop", NULL), 404, "InvalidSequence.NotFound", NULL);
    assert_refused(post(f, LETTERS "/x/drop", NULL), 404, "InvalidSequence.NotFound", NULL);
    assert_refused(post(f, LETTERS "/1/drop", "{}"), 400, "InvalidParameter", "no body");
    assert_refused(post(f, LETTERS "/1/drop?x=1", NULL), 400, "InvalidParameter", "x");
    assert_refused(post(f, LETTERS "/1/keep", NULL), 404, "InvalidAction.NotFound", NULL);
    assert_refused(post(f, LETTERS "//drop", NULL), 404, "InvalidAction.NotFound", NULL);
    assert_refused(post(f, LETTERS "/%ff/drop", NULL), 400, "InvalidParameter", "path");
    assert_refused(get(f, LETTERS "/1/drop"), 405, "InvalidMethod", NULL);
    assert_int_equal(stand_in_count(&f->engine, REQUEST_DROP_LETTERS), 1);
}

static void events_are_sent_again_from_a_sequence_on(void **state)
{
    static const char *const bad[] = {NULL,
                                      "",
                                      "{}",
                                      "7",
                                      "[7]",
                                      "{\"after\":\"7\"}",
                                      "{\"after\":-1}",
                                      "{\"after\":1.5}",
                                      "{\"after\":9223372036854775808}",
                                      "{\"after\":7,\"before\":9}",
                                      "{\"after\":7} {}"};
    struct fixture *f = *state;

    f->engine.body = "{\"sink\":\"hook\",\"after\":7}";
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_refused(post(f, "/v1/sinks/hook/replay", bad[i]), 400, "InvalidParameter", "after");
    assert_int_equal(stand_in_count(&f->engine, REQUEST_REWIND_SINK), 0);
    assert_answered(post(f, "/v1/sinks/hook/replay", "{\"after\":7}"), f->engine.body);
    assert_string_equal(f->engine.last_id, "hook");
    assert_int_equal(stand_in_last_after(&f->engine), 7);
}

static void a_clear_has_a_trace_context_too(void **state)
{
    static const char parent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    struct fixture *f = *state;
    char header[128];

    snprintf(header, sizeof(header), "traceparent: %s\r\n", parent);
    assert_accepted(ask(f, "POST", "/v1/instances/i-1/clear", header, "{\"confirm\":true}"));
    assert_string_equal(f->engine.last.traceparent, parent);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        T(what_the_engine_says_of_sinks_is_passed_on),
        T(dead_letters_are_read_from_the_journal),
        T(a_sink_that_there_is_not_has_no_dead_letters),
        T(dead_letters_are_named_by_sequence_or_all_at_once),
        T(events_are_sent_again_from_a_sequence_on),
        T(a_clear_has_a_trace_context_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
