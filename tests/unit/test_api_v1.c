/* test_api_v1.c - contract section 5 over HTTP: instances, operations, events, health */
#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "api-kit.h"

#define OPERATION "/v1/operations/473469C7-AA6F-4DC5-B3DB-000000000007"

static int take_number(void *userdata, struct operation *unfinished)
{
    struct operation *op = userdata;

    if (text_equal(unfinished->request_id, op->request_id))
        op->number = unfinished->number;
    operation_free(unfinished);
    return 0;
}

/* Takes op, which goes on where it has a row already. */
static void commit_as_it_is(struct fixture *f, struct operation *op)
{
    assert_int_equal(journal_load_unfinished(f->journal, take_number, op, NULL), 0);
    begin(f->journal);
    put_operation(f->journal, op);
    commit(f->journal);
    operation_free(op);
}

static void commit_operation(struct fixture *f, unsigned n, enum outcome outcome)
{
    struct operation *op = an_operation(n);

    if (outcome != OUTCOME_NONE)
        finish(op, outcome, op->accepted_at + USEC_PER_SEC);
    commit_as_it_is(f, op);
}

static void commit_event(struct fixture *f, uint64_t n)
{
    begin(f->journal);
    put_event(f->journal, n, 1700000000 * USEC_PER_SEC);
    commit(f->journal);
}

/* --- Instances ---------------------------------------------------------------------------- */

static void what_the_engine_says_of_instances_is_passed_on(void **state)
{
    struct fixture *f = *state;

    assert_answered(get(f, "/v1/instances"), INSTANCES);
    f->engine.body = "{\"instanceId\":\"i-1\",\"state\":\"Running\"}";
    assert_answered(get(f, "/v1/instances/i-1"), f->engine.body);
    assert_string_equal(f->engine.last_id, "i-1");
    /* JSON it stays, whatever is wanted. */
    assert_answered(
        ask(f, "GET", "/v1/instances/a%2fb%20+%e4%b8%ad", "Accept: application/xml\r\n", NULL),
        f->engine.body);
    assert_string_equal(f->engine.last_id, "a/b +\xe4\xb8\xad");
}

static void instances_that_come_in_slices_are_one_list(void **state)
{
    static const char *const slices[] = {
        "{\"instances\":[{\"instanceId\":\"i-2\",\"state\":\"Running\"}],\"last\":1}",
        "{\"instances\":[{\"instanceId\":\"i-1\",\"state\":\"Stopped\"}],\"last\":2}",
        "{\"instances\":[]}",
    };
    struct fixture *f = *state;

    f->engine.slices = slices;
    assert_answered(get(f, "/v1/instances"),
                    "{\"instances\":[{\"instanceId\":\"i-2\",\"state\":\"Running\"},"
                    "{\"instanceId\":\"i-1\",\"state\":\"Stopped\"}]}");
    assert_accepted(get(f, "/?Action=DescribeInstanceStatus"));
    f->engine.slices = slices + 2;
    assert_answered(get(f, "/v1/instances"), "{\"instances\":[]}");
}

static void an_instance_that_is_not_there_is_an_error(void **state)
{
    struct fixture *f = *state;

    f->engine.code = ERROR_INSTANCE_NOT_FOUND;
    assert_refused(get(f, "/v1/instances/i-9"), 404, "InvalidInstanceId.NotFound",
                   "The specified InstanceId does not exist.");
    assert_refused(get(f, "/v1/instances/%ff"), 400, "InvalidParameter", "path");
    assert_refused(get(f, "/v1/instances?InstanceId=i-1"), 400, "InvalidParameter", "InstanceId");
    assert_refused(get(f, "/v1/instances/i-1/x"), 404, "InvalidAction.NotFound", NULL);
}

static void head_answers_like_get_without_a_body(void **state)
{
    static const char *const targets[] = {"/v1/instances", "/v1/operations", "/livez", "/metrics"};
    struct fixture *f = *state;
    struct client c = client_of(f);

    for (size_t i = 0; i < ELEMENTSOF(targets); i++) {
        _cleanup_(response) struct response r = ask_on(&c, "HEAD", targets[i], "", NULL);

        assert_int_equal(r.status, 200);
        assert_true(atoi(field(&r, "Content-Length")) > 0);
    }
    assert_accepted(ask_on(&c, "GET", "/livez", "", NULL));
    hang_up(&c);
}

/* --- Operations --------------------------------------------------------------------------- */

static void operations_are_read_from_the_journal(void **state)
{
    struct fixture *f = *state;
    _cleanup_(response) struct response r = {0};

    assert_answered(get(f, "/v1/operations"), "{\"operations\":[]}");
    commit_operation(f, 7, OUTCOME_NONE);
    commit_operation(f, 8, OUTCOME_STOPPED);
    r = get(f, OPERATION);
    assert_int_equal(r.status, 200);
    assert_string_equal(member(&r, "requestId"), "473469C7-AA6F-4DC5-B3DB-000000000007");
    assert_string_equal(member(&r, "instanceId"), "i-7");
    assert_string_equal(member(&r, "phase"), "shutting-down");
    assert_null(strstr(r.body, "\"journal\""));
    response_clear(&r);
    r = get(f, "/v1/operations/473469c7-aa6f-4dc5-b3db-000000000008");
    assert_string_equal(member(&r, "outcome"), "Stopped");
    assert_int_equal(stand_in_count(&f->engine, REQUEST_WAIT_OPERATION), 0);
}

static unsigned count(const char *text, const char *part)
{
    unsigned n = 0;

    for (; (text = strstr(text, part)); text += strlen(part))
        n++;
    return n;
}

static void operations_can_be_searched_for(void **state)
{
    static const struct {
        const char *target;
        unsigned n;
    } cases[] = {
        {"/v1/operations", 4},
        {"/v1/operations?instance=i-7", 2},
        {"/v1/operations?instance=i-9", 0},
        {"/v1/operations?state=Stopping", 3},
        {"/v1/operations?state=Stopped&instance=i-8", 1},
        {"/v1/operations?state=Stopped&instance=i-7&limit=1000", 0},
        {"/v1/operations?limit=2", 2},
        {"/v1/operations?state=&instance=", 4},
    };
    struct fixture *f = *state;

    commit_operation(f, 7, OUTCOME_NONE);
    commit_operation(f, 107, OUTCOME_NONE);
    commit_operation(f, 8, OUTCOME_STOPPED);
    commit_operation(f, 1, OUTCOME_NONE);
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(response) struct response r = get(f, cases[i].target);

        assert_int_equal(r.status, 200);
        if (count(r.body, "\"requestId\"") != cases[i].n)
            fail_msg("%s: %s", cases[i].target, r.body);
    }
    assert_refused(get(f, "/v1/operations?state=stopped"), 400, "InvalidParameter", "state");
    assert_refused(get(f, "/v1/operations?limit=1001"), 400, "InvalidParameter", "limit");
    assert_refused(get(f, "/v1/operations?limit=0"), 400, "InvalidParameter", "limit");
    assert_refused(get(f, "/v1/operations?instances=i-7"), 400, "InvalidParameter", "instances");
    assert_refused(get(f, "/v1/operations?instance=i-7&instance=i-7"), 400, "InvalidParameter",
                   "instance");
}

static void an_operation_that_is_not_there_is_an_error(void **state)
{
    static const char *const targets[] = {
        OPERATION, OPERATION "?wait=60", "/v1/operations/x", "/v1/operations/%20", OPERATION "0",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ELEMENTSOF(targets); i++)
        assert_refused(get(f, targets[i]), 404, "InvalidRequestId.NotFound",
                       "The specified RequestId does not exist.");
    assert_refused(get(f, OPERATION "?wait=3601"), 400, "InvalidParameter", "wait");
    assert_refused(get(f, OPERATION "?wait=soon"), 400, "InvalidParameter", "wait");
    assert_refused(get(f, OPERATION "?Wait=1"), 400, "InvalidParameter", "Wait");
}

static void waiting_for_an_operation_ends_when_it_ends(void **state)
{
    struct fixture *f = *state;
    struct client c = client_of(f);
    _cleanup_(response) struct response r = {0};

    commit_operation(f, 7, OUTCOME_NONE);
    stand_in_hold(&f->engine, REQUEST_WAIT_OPERATION, true);
    say(&c, "GET " OPERATION "?wait=60 HTTP/1.1\r\nHost: stopd\r\n\r\n");
    eventually(stand_in_count(&f->engine, REQUEST_WAIT_OPERATION) == 1);
    assert_string_equal(f->engine.last_id, "473469C7-AA6F-4DC5-B3DB-000000000007");
    commit_operation(f, 7, OUTCOME_STOPPED);
    stand_in_hold(&f->engine, REQUEST_WAIT_OPERATION, false);
    stand_in_wake(&f->engine);
    r = hear(&c);
    assert_int_equal(r.status, 200);
    assert_string_equal(member(&r, "outcome"), "Stopped");
    hang_up(&c);
}

/* The slice is a fifth of a second here: a wait of one second is five of them. */
static void a_wait_that_is_over_answers_as_things_are(void **state)
{
    struct fixture *f = *state;
    usec_t began = moment_now().monotonic;
    _cleanup_(response) struct response r = {0};

    commit_operation(f, 7, OUTCOME_NONE);
    r = get(f, OPERATION "?wait=1");
    assert_int_equal(r.status, 200);
    assert_null(member(&r, "outcome"));
    assert_true(moment_now().monotonic - began >= USEC_PER_SEC);
    assert_in_range(stand_in_count(&f->engine, REQUEST_WAIT_OPERATION), 4, 6);
    assert_true(f->engine.last_wait <= USEC_PER_SEC / 5);
}

static void a_wait_that_the_engine_refuses_is_no_loop(void **state)
{
    struct fixture *f = *state;

    commit_operation(f, 7, OUTCOME_NONE);
    f->engine.code = ERROR_UNAVAILABLE;
    assert_accepted(get(f, OPERATION "?wait=60"));
    assert_accepted(get(f, "/v1/events?wait=60"));
    assert_int_equal(stand_in_count(&f->engine, REQUEST_WAIT_OPERATION), 1);
    assert_int_equal(stand_in_count(&f->engine, REQUEST_WAIT_EVENTS), 1);
}

static void an_operation_can_be_cancelled(void **state)
{
    struct fixture *f = *state;

    f->engine.body = "{\"requestId\":\"473469C7-AA6F-4DC5-B3DB-000000000007\"}";
    assert_answered(ask(f, "POST", OPERATION "/cancel", "", ""), f->engine.body);
    assert_string_equal(f->engine.last_id, "473469C7-AA6F-4DC5-B3DB-000000000007");
    assert_answered(
        ask(f, "POST", "/v1/operations/473469c7-aa6f-4dc5-b3db-000000000007/cancel", "", NULL),
        f->engine.body);
    assert_string_equal(f->engine.last_id, "473469C7-AA6F-4DC5-B3DB-000000000007");
    assert_refused(ask(f, "POST", OPERATION "/cancel", FORM, "force=true"), 400, "InvalidParameter",
                   "body");
    assert_refused(ask(f, "POST", OPERATION "/cancel?force=true", "", ""), 400, "InvalidParameter",
                   "force");
    assert_refused(ask(f, "POST", "/v1/operations/7/cancel", "", ""), 404,
                   "InvalidRequestId.NotFound", NULL);
    assert_int_equal(stand_in_count(&f->engine, REQUEST_CANCEL), 2);
}

static void a_journal_that_cannot_be_read_is_unavailable(void **state)
{
    struct fixture *f = *state;
    char aside[128];

    snprintf(aside, sizeof(aside), "%s.aside", f->journal_path);
    rename(f->journal_path, aside);
    assert_refused(get(f, "/v1/operations"), 503, "ServiceUnavailable", NULL);
    assert_refused(get(f, "/v1/events"), 503, "ServiceUnavailable", NULL);
    rename(aside, f->journal_path);
    assert_accepted(get(f, "/v1/operations"));
}

/* --- Events ------------------------------------------------------------------------------- */

static void events_are_listed_behind_a_sequence(void **state)
{
    struct fixture *f = *state;
    _cleanup_(response) struct response r = {0};

    assert_answered(get(f, "/v1/events"), "{\"events\":[]}");
    for (uint64_t n = 1; n <= 5; n++)
        commit_event(f, n);
    r = get(f, "/v1/events?after=2&limit=2");
    assert_int_equal(count(r.body, "\"specversion\":\"1.0\""), 2);
    assert_non_null(strstr(r.body, "00000000000000000003"));
    assert_non_null(strstr(r.body, "00000000000000000004"));
    assert_answered(get(f, "/v1/events?after=5"), "{\"events\":[]}");
    assert_refused(get(f, "/v1/events?after=-1"), 400, "InvalidParameter", "after");
    assert_refused(get(f, "/v1/events?after=99999999999999999999"), 400, "InvalidParameter",
                   "after");
    assert_refused(get(f, "/v1/events?limit=1001"), 400, "InvalidParameter", "limit");
    assert_refused(get(f, "/v1/events?since=1"), 400, "InvalidParameter", "since");
}

static void waiting_for_events_ends_with_the_first(void **state)
{
    struct fixture *f = *state;
    struct client c = client_of(f);
    _cleanup_(response) struct response r = {0};

    stand_in_hold(&f->engine, REQUEST_WAIT_EVENTS, true);
    say(&c, "GET /v1/events?after=0&wait=60 HTTP/1.1\r\nHost: stopd\r\n\r\n");
    eventually(stand_in_count(&f->engine, REQUEST_WAIT_EVENTS) == 1);
    commit_event(f, 1);
    stand_in_hold(&f->engine, REQUEST_WAIT_EVENTS, false);
    stand_in_wake(&f->engine);
    r = hear(&c);
    assert_int_equal(count(r.body, "\"specversion\":\"1.0\""), 1);
    hang_up(&c);
}

#define STREAM "Accept: text/event-stream\r\n"

static struct client open_stream(struct fixture *f, const char *target, const char *lines)
{
    struct client c = client_of(f);
    struct response r;

    say(&c, "GET %s HTTP/1.1\r\nHost: stopd\r\n" STREAM "%s\r\n", target, lines);
    r = hear_head(&c);
    assert_int_equal(r.status, 200);
    assert_string_equal(field(&r, "Content-Type"), "text/event-stream");
    return c;
}

static void a_stream_gives_what_was_and_what_comes(void **state)
{
    struct fixture *f = *state;
    struct client c;

    for (uint64_t n = 1; n <= 250; n++)
        commit_event(f, n);
    c = open_stream(f, "/v1/events?after=1", "");
    assert_true(hear_text(&c, "id: 2\nevent: stopd.instance.state.v1\ndata: {\"specversion\":"));
    assert_true(hear_text(&c, "}\n\n"));
    assert_true(hear_text(&c, "id: 250\n"));
    eventually(stand_in_count(&f->engine, REQUEST_WAIT_EVENTS) > 0);
    for (uint64_t n = 251; n <= 253; n++) {
        char wanted[32];

        commit_event(f, n);
        stand_in_wake(&f->engine);
        snprintf(wanted, sizeof(wanted), "id: %u\n", (unsigned)n);
        assert_true(hear_text(&c, wanted));
        assert_true(hear_text(&c, "}\n\n"));
    }
    eventually(stand_in_last_after(&f->engine) == 253);
    hang_up(&c);
}

static void a_stream_says_that_it_is_alive(void **state)
{
    struct fixture *f = *state;
    struct client c = open_stream(f, "/v1/events", "");

    for (int i = 0; i < 4; i++)
        assert_true(hear_text(&c, ":\n\n"));
    hang_up(&c);
}

/* An operation that clears a disk of a hundred bytes, and has done so many of them. */
static void commit_clear(struct fixture *f, enum stage stage, uint64_t done)
{
    struct operation *op = an_operation(7);
    struct planned_disk *d = disk_plan_add(&op->disks);

    (void)text_replace(&d->target, "vdb");
    (void)text_replace(&d->device, "/dev/nvme0n1");
    d->identity = json_object_new_object();
    d->bytes = 100;
    d->done = done;
    d->mib_per_s = 7;
    d->seconds_left = 9;
    d->state = DISK_CLEARING;
    op->stage = stage;
    commit_as_it_is(f, op);
}

static void a_stream_tells_how_far_a_clear_is(void **state)
{
    struct fixture *f = *state;
    struct client c;

    commit_event(f, 1);
    commit_clear(f, STAGE_CLEARING, 20);
    c = open_stream(f, "/v1/events", "");
    assert_true(hear_text(&c, "id: 1\n"));
    assert_true(hear_text(&c, "event: stopd.clear.progress\ndata: {"));
    assert_true(hear_text(&c, "\"phase\":\"clearing\""));
    assert_true(hear_text(&c, "\"percent\":20"));
    assert_true(hear_text(&c, "\"mibPerS\":7,\"secondsLeft\":9"));
    assert_true(hear_text(&c, "}\n\n"));
    /* Not again while nothing is new. */
    while (count(c.bytes, ":\n\n") < 3)
        assert_true(hear_more(&c));
    assert_int_equal(count(c.bytes, "progress"), 0);
    commit_clear(f, STAGE_CLEARING, 70);
    assert_true(hear_text(&c, "event: stopd.clear.progress\ndata: {"));
    assert_true(hear_text(&c, "\"percent\":70"));
    /* An event comes as ever, with its id. */
    commit_event(f, 2);
    stand_in_wake(&f->engine);
    assert_true(hear_text(&c, "id: 2\n"));
    assert_true(hear_text(&c, "}\n\n"));
    hang_up(&c);
}

static void a_stream_goes_on_behind_the_last_event(void **state)
{
    struct fixture *f = *state;
    struct client c;

    for (uint64_t n = 1; n <= 5; n++)
        commit_event(f, n);
    c = open_stream(f, "/v1/events?after=1", "Last-Event-ID: 4\r\n");
    assert_true(hear_text(&c, "\r\n"));
    assert_true(hear_text(&c, "id: "));
    while (c.n == 0)
        assert_true(hear_more(&c));
    assert_int_equal(c.bytes[0], '5');
    hang_up(&c);
    c = open_stream(f, "/v1/events", "Last-Event-ID: 11111111-2222-4333-8444-000000000004\r\n");
    assert_true(hear_text(&c, "id: 5\n"));
    hang_up(&c);
    assert_refused(ask(f, "GET", "/v1/events",
                       STREAM "Last-Event-ID: 11111111-2222-4333-8444-000000000009\r\n", NULL),
                   400, "InvalidParameter", "There is no event");
    assert_refused(ask(f, "GET", "/v1/events", STREAM "Last-Event-ID: last\r\n", NULL), 400,
                   "InvalidParameter", "Last-Event-ID");
    assert_refused(ask(f, "GET", "/v1/events?wait=1", STREAM, NULL), 400, "InvalidParameter",
                   "wait");
}

static void a_stream_ends_when_nobody_can_say_what_comes(void **state)
{
    struct fixture *f = *state;
    struct client c;

    f->engine.code = ERROR_UNAVAILABLE;
    c = open_stream(f, "/v1/events", "");
    assert_true(hear_text(&c, "\r\n0\r\n\r\n"));
    assert_int_equal(stand_in_count(&f->engine, REQUEST_WAIT_EVENTS), 1);
    /* The connection goes on. */
    assert_accepted(ask_on(&c, "GET", "/livez", "", NULL));
    hang_up(&c);
}

static void a_stream_for_an_old_client_has_no_chunks(void **state)
{
    struct fixture *f = *state;
    struct client c = client_of(f);

    commit_event(f, 1);
    say(&c, "GET /v1/events HTTP/1.0\r\n" STREAM "\r\n");
    assert_true(hear_text(&c, "\r\n\r\nid: 1\nevent: "));
    assert_true(hear_text(&c, "}\n\n:\n\n"));
    hang_up(&c);
}

static void head_of_a_stream_is_no_stream(void **state)
{
    struct fixture *f = *state;
    struct client c = client_of(f);
    _cleanup_(response) struct response r = {0};

    r = ask_on(&c, "HEAD", "/v1/events", STREAM, NULL);
    assert_int_equal(r.status, 200);
    assert_accepted(ask_on(&c, "GET", "/livez", "", NULL));
    hang_up(&c);
}

/* --- Health ------------------------------------------------------------------------------- */

static void health_is_told(void **state)
{
    struct fixture *f = *state;

    assert_answered(get(f, "/livez"), "{\"status\":\"alive\"}");
    assert_answered(get(f, "/readyz"), "{\"status\":\"ready\"}");
    f->engine.code = ERROR_UNAVAILABLE;
    f->engine.message = "libvirt is not at hand";
    assert_refused(get(f, "/readyz"), 503, "ServiceUnavailable", "libvirt is not at hand");
    assert_answered(get(f, "/livez"), "{\"status\":\"alive\"}");
}

static void metrics_are_the_engines_and_ours(void **state)
{
    static const char *const lines[] = {
        "stopd_operations 1\n",
        "stopd_api_requests_total{route=\"/livez\",status=\"200\"} 2\n",
        "stopd_api_requests_total{route=\"/\",status=\"400\"} 1\n",
        "stopd_api_requests_total{route=\"none\",status=\"404\"} 1\n",
        "stopd_api_request_seconds_count{route=\"/livez\"} 2\n",
        "stopd_api_connections{listener=\"socket\",kind=\"quiet\"} ",
        "stopd_api_connections{listener=\"socket\",kind=\"busy\"} 1\n",
    };
    struct fixture *f = *state;
    _cleanup_(response) struct response r = {0};
    struct client c = client_of(f);

    assert_accepted(ask_on(&c, "GET", "/livez", "", NULL));
    assert_accepted(ask_on(&c, "GET", "/livez", "", NULL));
    assert_refused(ask_on(&c, "GET", "/", "", NULL), 400, "MissingParameter", NULL);
    assert_refused(ask_on(&c, "GET", "/x", "", NULL), 404, "InvalidAction.NotFound", NULL);
    r = ask_on(&c, "GET", "/metrics", "", NULL);
    assert_string_equal(field(&r, "Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
    for (size_t i = 0; i < ELEMENTSOF(lines); i++)
        if (!strstr(r.body, lines[i]))
            fail_msg("no %s in %s", lines[i], r.body);
    hang_up(&c);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_the_engine_says_of_instances_is_passed_on),
        T(instances_that_come_in_slices_are_one_list),
        T(an_instance_that_is_not_there_is_an_error),
        T(head_answers_like_get_without_a_body),
        T(operations_are_read_from_the_journal),
        T(operations_can_be_searched_for),
        T(an_operation_that_is_not_there_is_an_error),
        T(waiting_for_an_operation_ends_when_it_ends),
        T(a_wait_that_is_over_answers_as_things_are),
        T(a_wait_that_the_engine_refuses_is_no_loop),
        T(an_operation_can_be_cancelled),
        T(a_journal_that_cannot_be_read_is_unavailable),
        T(events_are_listed_behind_a_sequence),
        T(waiting_for_events_ends_with_the_first),
        T(a_stream_gives_what_was_and_what_comes),
        T(a_stream_says_that_it_is_alive),
        T(a_stream_tells_how_far_a_clear_is),
        T(a_stream_goes_on_behind_the_last_event),
        T(a_stream_ends_when_nobody_can_say_what_comes),
        T(a_stream_for_an_old_client_has_no_chunks),
        T(head_of_a_stream_is_no_stream),
        T(health_is_told),
        T(metrics_are_the_engines_and_ours),
    };

    return cmocka_run_group_tests_name("api: /v1 over HTTP", tests, NULL, NULL);
}
