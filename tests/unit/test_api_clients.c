/* test_api_clients.c - slow, hostile and departing clients, the socket itself, and stopping */
#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "api-kit.h"

#define STOP "/?Action=StopInstance&InstanceId=i-1"
#define HOST "Host: stopd\r\n"

/* Somebody else is served meanwhile, and at once. */
static void assert_others_are_served(struct fixture *f)
{
    usec_t began = moment_now().monotonic;

    assert_accepted(get(f, STOP));
    assert_true(moment_now().monotonic - began < PATIENCE / 5);
}

/* The value of a line of /metrics; 0 where there is none. */
static unsigned metric(struct fixture *f, const char *name)
{
    _cleanup_(response) struct response r = get(f, "/metrics");
    const char *line = strstr(r.body ? r.body : "", name);

    return line ? (unsigned)atoi(line + strlen(name)) : 0;
}

static bool is_closed(struct client *c)
{
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    char byte;

    return poll(&p, 1, 0) > 0 && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

/* --- How requests arrive ------------------------------------------------------------------ */

static void a_request_may_come_byte_by_byte(void **state)
{
    static const char request[] = "POST /?Action=StopInstance HTTP/1.1\r\nHost: stopd\r\n"
                                  "Content-Type: application/x-www-form-urlencoded\r\n"
                                  "Content-Length: 14\r\n\r\nInstanceId=i-1";
    struct fixture *f = *state;
    struct client c = client_of(f);

    for (size_t i = 0; i < sizeof(request) - 1; i++) {
        say_bytes(&c, request + i, 1);
        usleep(500);
    }
    assert_accepted(hear(&c));
    assert_string_equal(f->engine.last.instance_id, "i-1");
    hang_up(&c);
}

static void pipelined_requests_are_answered_in_their_order(void **state)
{
    struct fixture *f = *state;
    struct client c = client_of(f);
    _cleanup_(freep) char *requests = NULL;
    size_t size;
    FILE *to = open_memstream(&requests, &size);

    for (unsigned i = 0; i < 100; i++) {
        fprintf(to, "GET /v1/operations/x%u HTTP/1.1\r\n" HOST "\r\n", i);
        fprintf(to, "POST / HTTP/1.1\r\n" HOST FORM "Content-Length: 14\r\n\r\nInstanceId=i-1");
        fprintf(to, "GET /livez HTTP/1.1\r\n" HOST "\r\n");
    }
    fclose(to);
    say_bytes(&c, requests, size);
    for (unsigned i = 0; i < 100; i++) {
        assert_refused(hear(&c), 404, "InvalidRequestId.NotFound", NULL);
        assert_accepted(hear(&c));
        assert_answered(hear(&c), "{\"status\":\"alive\"}");
    }
    assert_int_equal(stand_in_count(&f->engine, REQUEST_STOP), 100);
    hang_up(&c);
}

static void a_chunked_form_is_a_form(void **state)
{
    struct fixture *f = *state;
    struct client c = client_of(f);

    say(&c, "POST / HTTP/1.1\r\n" HOST FORM "Transfer-Encoding: chunked\r\n\r\n"
            "5;ext=1\r\nInsta\r\n9\r\nnceId=i-7\r\n0\r\nTrailer: x\r\n\r\n");
    assert_accepted(hear(&c));
    assert_string_equal(f->engine.last.instance_id, "i-7");
    hang_up(&c);
}

static void a_request_whose_end_is_unclear_ends_the_connection(void **state)
{
    static const char *const headers[] = {
        HOST "Content-Length: 4\r\nContent-Length: 14\r\n",
        HOST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        HOST "Transfer-Encoding: gzip, chunked\r\n",
        HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        HOST HOST,
        "X-Host: stopd\r\n",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ELEMENTSOF(headers); i++) {
        _cleanup_(response) struct response r = {0};
        struct client c = client_of(f);

        say(&c, "POST / HTTP/1.1\r\n%s" FORM "\r\nInstanceId=i-1", headers[i]);
        r = hear(&c);
        check_error(&r, 400, "InvalidParameter", NULL, __LINE__);
        assert_false(r.is_open);
        hang_up(&c);
    }
    assert_int_equal(stand_in_count(&f->engine, REQUEST_STOP), 0);
}

static void a_body_without_an_end_ends_the_connection(void **state)
{
    char chunk[16384 + 1];
    struct fixture *f = *state;
    struct client c = client_of(f);

    memset(chunk, 'a', sizeof(chunk) - 1);
    chunk[sizeof(chunk) - 1] = '\0';
    say(&c, "POST / HTTP/1.1\r\n" HOST FORM "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 65; i++) /* 1 MiB, and one */
        say(&c, "4000\r\n%s\r\n", chunk);
    assert_false(hear_more(&c));
    hang_up(&c);
    assert_others_are_served(f);
}

/* Within the 16 KiB there is no number of fields or parameters that the library chokes on. */
static void many_parameters_are_refused_and_answered(void **state)
{
    _cleanup_(freep) char *target = malloc(16000);
    struct fixture *f = *state;

    memset(target, '&', 15999);
    memcpy(target, "/?InstanceId=i-1", 16);
    target[15999] = '\0';
    assert_accepted(get(f, target));
    for (size_t i = 17; i < 15998; i += 2)
        target[i] = 'a';
    assert_refused(get(f, target), 400, "InvalidParameter", "256");
    assert_others_are_served(f);
}

/* Nonsense is answered, or the connection ends; nobody else notices. The form of these answers is
 * the library's own. */
static void nonsense_harms_nobody(void **state)
{
    static const char *const nonsense[] = {
        "\r\n\r\n\r\n",
        "GARBAGE\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\nHost\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: s\r\nContent-Length: abc\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 99999999999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST / HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: s\r\nCookie: ;;;;;=;=;,,,,\r\n\r\n",
        " \r\n\r\n",
    };
    struct fixture *f = *state;

    f->settings.limits.idle = USEC_PER_SEC; /* what is no request yet ends with that */
    api_begin_again(f);
    for (size_t i = 0; i < ELEMENTSOF(nonsense); i++) {
        struct client c = client_of(f);

        say(&c, "%s", nonsense[i]);
        shutdown(c.fd, SHUT_WR);
        while (hear_more(&c))
            ;
        hang_up(&c);
        assert_others_are_served(f);
    }
    assert_int_equal(stand_in_count(&f->engine, REQUEST_STOP), ELEMENTSOF(nonsense));
}

/* Random bytes, with what makes a request mixed in, from a fixed seed. */
static void random_requests_harm_nobody(void **state)
{
    static const char *const words[] = {
        "GET ",
        "POST ",
        "/",
        "/?",
        " HTTP/1.1\r\n",
        "\r\n",
        "\r\n\r\n",
        "Host: s\r\n",
        "%",
        "%00",
        "Content-Length: ",
        "Transfer-Encoding: chunked\r\n",
        "5",
        "0\r\n",
        "&",
        "=",
        "InstanceId",
        "/v1/events",
        "/v1/operations/",
        "Accept: text/event-stream\r\n",
        "\n",
        " ",
        "\t",
        ":",
    };
    struct fixture *f = *state;
    unsigned seed = 20261124;

    for (int i = 0; i < 400; i++) {
        struct client c = client_of(f);
        int n = rand_r(&seed) % 30;

        while (n-- > 0) {
            char byte = (char)rand_r(&seed);

            if (rand_r(&seed) % 8)
                say(&c, "%s", words[(unsigned)rand_r(&seed) % ELEMENTSOF(words)]);
            else
                say_bytes(&c, &byte, 1);
        }
        hang_up(&c);
    }
    assert_others_are_served(f);
}

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
    _cleanup_(freep) char *body = malloc(1 << 20);
    struct fixture *f = *state;
    struct client deaf[56];

    f->settings.limits.connections = 64;
    api_begin_again(f);
    memset(body, 'a', 1 << 20);
    memcpy(body, "{\"a\":\"", 6);
    snprintf(body + (1 << 20) - 3, 3, "\"}");
    f->engine.body = body;
    for (size_t i = 0; i < ELEMENTSOF(deaf); i++) {
        deaf[i] = client_of(f);
        say(&deaf[i], "GET /v1/instances HTTP/1.1\r\n" HOST "\r\n");
    }
    eventually(stand_in_count(&f->engine, REQUEST_INSTANCES) == ELEMENTSOF(deaf));
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
        return;
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

/* --- Stopping ----------------------------------------------------------------------------- */

static void quiescing_ends_waits_and_refuses_requests(void **state)
{
    struct fixture *f = *state;
    struct client wait = client_of(f), stream = client_of(f), stop = client_of(f),
                  later = client_of(f);

    stand_in_hold(&f->engine, REQUEST_WAIT_EVENTS, true);
    stand_in_hold(&f->engine, REQUEST_STOP, true);
    say(&wait, "GET /v1/events?wait=60 HTTP/1.1\r\n" HOST "\r\n");
    say(&stream, "GET /v1/events HTTP/1.1\r\n" HOST "Accept: text/event-stream\r\n\r\n");
    say(&stop, "GET " STOP " HTTP/1.1\r\n" HOST "\r\n");
    assert_accepted(ask_on(&later, "GET", "/livez", "", NULL));
    eventually(stand_in_count(&f->engine, REQUEST_WAIT_EVENTS) == 2);
    eventually(stand_in_count(&f->engine, REQUEST_STOP) == 1);
    api_quiesce(f->api);
    assert_answered(hear(&wait), "{\"events\":[]}");
    assert_true(hear_text(&stream, "\r\n0\r\n\r\n"));
    assert_refused(ask_on(&later, "GET", STOP, "", NULL), 503, "ServiceUnavailable", "stopping");
    /* A command that is under way gets the engine's answer. */
    stand_in_hold(&f->engine, REQUEST_STOP, false);
    assert_accepted(hear(&stop));
    hang_up(&wait);
    hang_up(&stream);
    hang_up(&stop);
    hang_up(&later);
}

static void a_command_that_stopping_interrupts_has_no_known_outcome(void **state)
{
    struct fixture *f = *state;
    struct client stop = client_of(f), stream = client_of(f), half = client_of(f);
    usec_t began;

    stand_in_hold(&f->engine, REQUEST_STOP, true);
    say(&stop, "GET " STOP " HTTP/1.1\r\n" HOST "\r\n");
    say(&stream, "GET /v1/events HTTP/1.1\r\n" HOST "Accept: text/event-stream\r\n\r\n");
    say(&half, "GET / HT");
    eventually(stand_in_count(&f->engine, REQUEST_STOP) == 1);
    eventually(stand_in_count(&f->engine, REQUEST_WAIT_EVENTS) > 0);
    began = moment_now().monotonic;
    api_stop(take(f->api));
    assert_true(moment_now().monotonic - began < 3 * USEC_PER_SEC);
    assert_refused(hear(&stop), 500, "InternalError", "ClientToken");
    assert_true(hear_text(&stream, "\r\n0\r\n\r\n"));
    assert_false(hear_more(&half));
    assert_int_equal(access(f->socket, F_OK), -1);
    /* The engine's answer comes when the server is gone. */
    stand_in_hold(&f->engine, REQUEST_STOP, false);
    hang_up(&stop);
    hang_up(&stream);
    hang_up(&half);
}

static void stopping_does_not_wait_for_who_does_not_read(void **state)
{
    struct fixture *f = *state;
    struct client deaf = client_of(f);
    usec_t began;

    for (uint64_t n = 1; n <= 64; n++) {
        struct error *err = NULL;

        begin(f->journal);
        assert_success(try_put_event(f->journal, n, 65536, 1700000000 * USEC_PER_SEC, &err), err);
        commit(f->journal);
    }
    say(&deaf, "GET /v1/events?limit=1000 HTTP/1.1\r\n" HOST "\r\n");
    eventually(metric(f, "route=\"/metrics\",status=\"200\"} ") > 1);
    began = moment_now().monotonic;
    api_stop(take(f->api));
    assert_true(moment_now().monotonic - began < 5 * USEC_PER_SEC);
    hang_up(&deaf);
}

/* Answers and stops in any interleaving; what it finds, the sanitizers say. */
static void stopping_at_any_time_is_clean(void **state)
{
    struct fixture *f = *state;
    unsigned seed = 7;

    for (int round = 0; round < 40; round++) {
        struct client c[12];

        for (size_t i = 0; i < ELEMENTSOF(c); i++) {
            c[i] = client_of(f);
            say(&c[i], "GET %s HTTP/1.1\r\n" HOST "%s\r\n", i % 3 == 0 ? STOP : "/v1/events?wait=3",
                i % 3 == 1 ? "Accept: text/event-stream\r\n" : "");
        }
        usleep((unsigned)rand_r(&seed) % 2000);
        stand_in_wake(&f->engine);
        api_stop(take(f->api));
        for (size_t i = 0; i < ELEMENTSOF(c); i++)
            hang_up(&c[i]);
        api_begin(f);
    }
}

/* --- The socket --------------------------------------------------------------------------- */

static void assert_no_start(struct fixture *f, const char *why)
{
    struct error *err = NULL;
    struct api *second = NULL;

    assert_failure(api_start(&f->settings, &second, &err), err, ERROR_CONFIGURATION, why);
}

static void a_socket_on_which_somebody_answers_is_left_alone(void **state)
{
    struct fixture *f = *state;

    assert_no_start(f, "another process listens there");
    assert_others_are_served(f);
}

static void a_stale_socket_is_replaced(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct fixture *f = *state;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    api_stop(take(f->api));
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->socket);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    /* And one that was left half made. */
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s.new", f->socket);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    api_begin(f);
    assert_others_are_served(f);
    assert_int_equal(access(address.sun_path, F_OK), -1);
}

static void what_is_no_socket_is_never_removed(void **state)
{
    struct fixture *f = *state;

    api_stop(take(f->api));
    scratch_write(f->socket, "precious", 8);
    assert_no_start(f, "something else than a socket");
    assert_int_equal(access(f->socket, F_OK), 0);
    unlink(f->socket);
}

static void a_socket_that_cannot_be_made_is_an_error(void **state)
{
    static const char long_path[] =
        "/tmp/"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaa";
    struct fixture *f = *state;

    f->settings.socket_path = "/no/such/place/sock";
    assert_no_start(f, "/no/such/place/sock");
    f->settings.socket_path = long_path;
    assert_no_start(f, "at most 103 characters");
    f->settings.socket_path = f->socket;
}

static void the_socket_has_the_mode_and_the_group_that_are_set(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    f->settings.socket_mode = 0620;
    f->settings.socket_group = NULL;
    api_begin_again(f);
    assert_int_equal(stat(f->socket, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0620);
    /* Where the group cannot be had, the socket is the owner's only. */
    f->settings.socket_mode = 0666;
    f->settings.socket_group = "no-such-group";
    api_begin_again(f);
    assert_int_equal(stat(f->socket, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    if (getuid() != 0)
        return;
    f->settings.socket_mode = 0660;
    f->settings.socket_group = "12345";
    api_begin_again(f);
    assert_int_equal(stat(f->socket, &st), 0);
    assert_int_equal(st.st_gid, 12345);
    assert_int_equal(st.st_mode & 07777, 0660);
}

static void another_socket_in_its_place_is_not_removed(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct fixture *f = *state;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    unlink(f->socket);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->socket);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    api_stop(take(f->api));
    assert_int_equal(access(f->socket, F_OK), 0);
    close(fd);
}

static void a_socket_may_be_handed_over(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct fixture *f = *state;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    api_stop(take(f->api));
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->socket);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 8), 0);
    f->settings.socket_path = "/no/such/place/sock";
    f->settings.socket_fd = fd;
    api_begin(f);
    assert_others_are_served(f);
    api_stop(take(f->api));
    /* Its name is whoever's made it. */
    assert_int_equal(access(f->socket, F_OK), 0);
    f->settings.socket_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_no_start(f, "not a listening Unix stream socket");
    f->settings.socket_fd = -1;
    f->settings.socket_path = f->socket;
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_request_may_come_byte_by_byte),
        T(pipelined_requests_are_answered_in_their_order),
        T(a_chunked_form_is_a_form),
        T(a_request_whose_end_is_unclear_ends_the_connection),
        T(a_body_without_an_end_ends_the_connection),
        T(many_parameters_are_refused_and_answered),
        T(nonsense_harms_nobody),
        T(random_requests_harm_nobody),
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
        T(quiescing_ends_waits_and_refuses_requests),
        T(a_command_that_stopping_interrupts_has_no_known_outcome),
        T(stopping_does_not_wait_for_who_does_not_read),
        T(stopping_at_any_time_is_clean),
        T(a_socket_on_which_somebody_answers_is_left_alone),
        T(a_stale_socket_is_replaced),
        T(what_is_no_socket_is_never_removed),
        T(a_socket_that_cannot_be_made_is_an_error),
        T(the_socket_has_the_mode_and_the_group_that_are_set),
        T(another_socket_in_its_place_is_not_removed),
        T(a_socket_may_be_handed_over),
    };

    return cmocka_run_group_tests_name("api: clients and sockets", tests, NULL, NULL);
}
