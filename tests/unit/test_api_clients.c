/* test_api_clients.c - slow and departing clients, and many of them */
#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "api-kit.h"

/* --- Slow and departing clients ----------------------------------------------------------- */

static void a_slow_sender_blocks_nobody(void **state)
{
    struct fixture *f = *state;
    struct client slow[20];

    for (size_t i = 0; i < ELEMENTSOF(slow); i++) {
        slow[i] = client_of(f);
        say(&slow[i], "%s",
            i % 2 ? "GET /?Insta"
                  : "POST / HTTP/1.1\r\n" HOST FORM "Content-Length: 14\r\n\r\nInst");
    }
    assert_others_are_served(f);
    for (size_t i = 0; i < ELEMENTSOF(slow); i++) {
        say(&slow[i], "%s", i % 2 ? "nceId=i-1 HTTP/1.1\r\n" HOST "\r\n" : "anceId=i-1");
        assert_accepted(hear(&slow[i]));
        hang_up(&slow[i]);
    }
}

static void a_sender_that_never_ends_is_cut(void **state)
{
    struct fixture *f = *state;
    struct client header, body;
    usec_t deadline = moment_now().monotonic + PATIENCE;

    f->settings.limits.request = USEC_PER_SEC / 2;
    api_begin_again(f);
    header = client_of(f);
    body = client_of(f);
    say(&header, "GET / HTTP/1.1\r\n" HOST);
    say(&body, "POST / HTTP/1.1\r\n" HOST FORM "Content-Length: 60000\r\n\r\n");
    while (!is_closed(&header) || !is_closed(&body)) {
        assert_true(moment_now().monotonic < deadline);
        say(&header, "X-A: b\r\n");
        say(&body, "a");
        assert_others_are_served(f);
        usleep(20000);
    }
    assert_true(metric(f, "cut_total{listener=\"socket\",reason=\"slow\"} ") >= 1);
    hang_up(&header);
    hang_up(&body);
}

static void a_silent_connection_ends(void **state)
{
    struct fixture *f = *state;
    struct client silent, used;

    f->settings.limits.idle = USEC_PER_SEC;
    api_begin_again(f);
    silent = client_of(f);
    used = client_of(f);
    assert_accepted(ask_on(&used, "GET", "/livez", "", NULL));
    assert_false(hear_more(&silent));
    assert_false(hear_more(&used));
    hang_up(&silent);
    hang_up(&used);
}

/* 4 MiB of answers to one who reads none of them. */
static void a_reader_that_does_not_read_blocks_nobody(void **state)
{
    struct fixture *f = *state;
    struct client deaf = client_of(f);

    for (uint64_t n = 1; n <= 64; n++) {
        struct error *err = NULL;

        begin(f->journal);
        assert_success(try_put_event(f->journal, n, 65536, 1700000000 * USEC_PER_SEC, &err), err);
        commit(f->journal);
    }
    say(&deaf, "GET /v1/events HTTP/1.1\r\n" HOST "Accept: text/event-stream\r\n\r\n");
    say(&deaf, "GET /v1/events?limit=1000 HTTP/1.1\r\n" HOST "\r\n");
    assert_others_are_served(f);
    assert_true(hear_text(&deaf, "id: 1\n"));
    assert_true(hear_text(&deaf, "id: 64\n"));
    hang_up(&deaf);
}

/* Nor do those who do not fetch what the engine has told them hold a place of those who wait. */
static void answers_that_nobody_fetches_hold_no_place(void **state)
{
    const size_t size = 512 * 1024; /* more than the kernel takes for them */
    _cleanup_(freep) char *body = malloc(size);
    struct fixture *f = *state;
    struct client deaf[56];

    f->settings.limits.connections = 64;
    api_begin_again(f);
    memset(body, 'a', size);
    memcpy(body, "{\"a\":\"", 6);
    snprintf(body + size - 3, 3, "\"}");
    f->engine.body = body;
    for (size_t i = 0; i < ELEMENTSOF(deaf); i++) {
        deaf[i] = client_of(f);
        say(&deaf[i], "GET /v1/instances HTTP/1.1\r\n" HOST "\r\n");
    }
    eventually(stand_in_count(&f->engine, REQUEST_INSTANCES) == ELEMENTSOF(deaf));
    eventually(metric(f, "stopd_api_connections{listener=\"socket\",kind=\"busy\"} ") == 1);
    assert_others_are_served(f);
    for (size_t i = 0; i < ELEMENTSOF(deaf); i++)
        hang_up(&deaf[i]);
}

static void a_client_that_leaves_while_it_waits_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct client waiting[2];

    /* One place: for a second one to wait, the first must have been given up. */
    f->settings.limits.waiting_per_caller = 1;
    api_begin_again(f);
    for (size_t i = 0; i < ELEMENTSOF(waiting); i++) {
        waiting[i] = client_of(f);
        say(&waiting[i], "GET /v1/events?wait=3600 HTTP/1.1\r\n" HOST "\r\n");
        eventually(metric(f, "stopd_api_connections{listener=\"socket\",kind=\"busy\"} ") ==
                   2 /* and this one */);
        hang_up(&waiting[i]);
        eventually(metric(f, "stopd_api_connections{listener=\"socket\",kind=\"busy\"} ") == 1);
    }
}

static void a_client_that_leaves_a_stream_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct client c = client_of(f);

    say(&c, "GET /v1/events HTTP/1.1\r\n" HOST "Accept: text/event-stream\r\n\r\n");
    eventually(metric(f, "stopd_api_connections{listener=\"socket\",kind=\"busy\"} ") == 2);
    hang_up(&c);
    eventually(metric(f, "stopd_api_connections{listener=\"socket\",kind=\"busy\"} ") == 1);
}

static void the_answer_to_a_client_that_has_left_is_thrown_away(void **state)
{
    struct fixture *f = *state;
    struct client c = client_of(f);

    stand_in_hold(&f->engine, REQUEST_STOP, true);
    say(&c, "GET " STOP " HTTP/1.1\r\n" HOST "\r\n");
    eventually(stand_in_count(&f->engine, REQUEST_STOP) == 1);
    hang_up(&c);
    stand_in_hold(&f->engine, REQUEST_STOP, false);
    eventually(metric(f, "stopd_api_requests_total{route=\"/\",status=\"none\"} ") == 1);
    assert_others_are_served(f);
}

/* Half-closed is not gone: who sends a request through a pipe closes it behind that. */
static void a_client_that_sends_no_more_gets_its_answer(void **state)
{
    struct fixture *f = *state;
    static const char *const targets[] = {"/livez", STOP, "/v1/events?wait=1"};
    struct client older = client_of(f); /* or the library would look at this one earlier */

    for (size_t i = 0; i < ELEMENTSOF(targets); i++) {
        struct client c = client_of(f);

        say(&c, "GET %s HTTP/1.1\r\n" HOST "\r\n", targets[i]);
        shutdown(c.fd, SHUT_WR);
        assert_accepted(hear(&c));
        hang_up(&c);
    }
    hang_up(&older);
}

static void a_caller_has_its_share_of_waits(void **state)
{
    struct fixture *f = *state;
    struct client waiting[3], other;

    f->settings.limits.waiting_per_caller = 3;
    api_begin_again(f);
    stand_in_hold(&f->engine, REQUEST_WAIT_EVENTS, true);
    for (size_t i = 0; i < ELEMENTSOF(waiting); i++) {
        waiting[i] = client_of(f);
        say(&waiting[i], "GET /v1/events%s HTTP/1.1\r\n" HOST "%s\r\n", i ? "?wait=60" : "",
            i ? "" : "Accept: text/event-stream\r\n");
        eventually(stand_in_count(&f->engine, REQUEST_WAIT_EVENTS) > i);
    }
    assert_refused(get(f, "/v1/events?wait=60"), 429, "Throttling.User", NULL);
    assert_refused(ask(f, "GET", "/v1/events", "Accept: text/event-stream\r\n", NULL), 429,
                   "Throttling.User", NULL);
    assert_accepted(get(f, "/v1/events"));
    assert_others_are_served(f);
    other = client_as(f, 12345, 12345);
    if (other.fd >= 0) {
        say(&other, "GET /v1/events?wait=60 HTTP/1.1\r\n" HOST "\r\n");
        eventually(stand_in_count(&f->engine, REQUEST_WAIT_EVENTS) == 4);
        hang_up(&other);
    }
    for (size_t i = 0; i < ELEMENTSOF(waiting); i++)
        hang_up(&waiting[i]);
}

/* --- Many connections --------------------------------------------------------------------- */

static bool raise_descriptors(rlim_t n)
{
    struct rlimit files;

    getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_max < n) {
        print_message("skipped: needs %lu file descriptors\n", (unsigned long)n);
        return false;
    }
    files.rlim_cur = n;
    return setrlimit(RLIMIT_NOFILE, &files) == 0;
}

static void a_thousand_idle_connections_cost_nobody(void **state)
{
    static struct client idle[1000];
    struct fixture *f = *state;

    if (!raise_descriptors(4096))
        skip();
    api_begin_again(f);
    for (size_t i = 0; i < ELEMENTSOF(idle); i++) {
        idle[i] = client_of(f);
        if (i % 3 == 1)
            say(&idle[i], "GET / HTT");
        if (i % 3 == 2)
            assert_accepted(ask_on(&idle[i], "GET", "/livez", "", NULL));
    }
    assert_others_are_served(f);
    assert_int_equal(metric(f, "stopd_api_connections{listener=\"socket\",kind=\"quiet\"} "), 1000);
    for (size_t i = 0; i < ELEMENTSOF(idle); i++) {
        if (i % 3 == 0)
            assert_accepted(ask_on(&idle[i], "GET", STOP, "", NULL));
        hang_up(&idle[i]);
    }
    eventually(metric(f, "stopd_api_connections{listener=\"socket\",kind=\"quiet\"} ") == 0);
}

static void whoever_is_quiet_longest_makes_room(void **state)
{
    struct client crowd[300], waiting;
    struct fixture *f = *state;
    unsigned n_closed = 0;

    f->settings.limits.connections = 64;
    api_begin_again(f);
    stand_in_hold(&f->engine, REQUEST_WAIT_EVENTS, true);
    waiting = client_of(f);
    say(&waiting, "GET /v1/events?wait=60 HTTP/1.1\r\n" HOST "\r\n");
    eventually(stand_in_count(&f->engine, REQUEST_WAIT_EVENTS) == 1);
    for (size_t i = 0; i < ELEMENTSOF(crowd); i++) {
        crowd[i] = client_of(f);
        if (i % 50 == 49)
            assert_others_are_served(f);
    }
    assert_others_are_served(f);
    eventually(metric(f, "cut_total{listener=\"socket\",reason=\"room\"} ") >= 300 - 64);
    for (size_t i = 0; i < ELEMENTSOF(crowd); i++)
        n_closed += is_closed(&crowd[i]);
    assert_in_range(n_closed, 300 - 64, 300 - 32);
    assert_true(is_closed(&crowd[0]));
    assert_accepted(ask_on(&crowd[299], "GET", "/livez", "", NULL));
    /* Who waits is not touched. */
    assert_false(is_closed(&waiting));
    stand_in_hold(&f->engine, REQUEST_WAIT_EVENTS, false);
    for (size_t i = 0; i < ELEMENTSOF(crowd); i++)
        hang_up(&crowd[i]);
    hang_up(&waiting);
}

static void an_engine_that_does_not_answer_leaves_room_for_probes(void **state)
{
    struct client stuck[64];
    struct fixture *f = *state;

    f->settings.limits.connections = 64;
    api_begin_again(f);
    stand_in_hold(&f->engine, REQUEST_STOP, true);
    for (size_t i = 0; i < 56; i++) {
        stuck[i] = client_of(f);
        say(&stuck[i], "GET " STOP " HTTP/1.1\r\n" HOST "\r\n");
    }
    eventually(stand_in_count(&f->engine, REQUEST_STOP) == 56);
    assert_refused(get(f, STOP), 503, "ServiceUnavailable", "waiting");
    assert_accepted(get(f, "/livez"));
    stand_in_hold(&f->engine, REQUEST_STOP, false);
    for (size_t i = 0; i < 56; i++) {
        assert_accepted(hear(&stuck[i]));
        hang_up(&stuck[i]);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_slow_sender_blocks_nobody),
        T(a_sender_that_never_ends_is_cut),
        T(a_silent_connection_ends),
        T(a_reader_that_does_not_read_blocks_nobody),
        T(answers_that_nobody_fetches_hold_no_place),
        T(a_client_that_leaves_while_it_waits_is_noticed),
        T(a_client_that_leaves_a_stream_is_noticed),
        T(the_answer_to_a_client_that_has_left_is_thrown_away),
        T(a_client_that_sends_no_more_gets_its_answer),
        T(a_caller_has_its_share_of_waits),
        T(a_thousand_idle_connections_cost_nobody),
        T(whoever_is_quiet_longest_makes_room),
        T(an_engine_that_does_not_answer_leaves_room_for_probes),
    };

    return cmocka_run_group_tests_name("api: clients", tests, NULL, NULL);
}
