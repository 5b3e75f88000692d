/* test_api_stopping.c - the end of the server, with clients in it */
#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "api-kit.h"

#include <dlfcn.h>
#include <microhttpd.h>
#include <stdatomic.h>

#define LINGER_US 50000

/* --- What is seen of the library's use ---------------------------------------------------- */

static atomic_uint quiesced, quiesced_by_the_test; /* how often, and by the test's own thread */
static atomic_bool lingers;                        /* who resumes a connection does so slowly */
static atomic_uint resuming;

static pthread_t the_test;

MHD_socket MHD_quiesce_daemon(struct MHD_Daemon *daemon)
{
    MHD_socket (*real)(struct MHD_Daemon *), fd;

    *(void **)&real = dlsym(RTLD_NEXT, "MHD_quiesce_daemon");
    fd = real(daemon);
    quiesced_by_the_test += pthread_equal(pthread_self(), the_test) != 0;
    quiesced++;
    return fd;
}

void MHD_resume_connection(struct MHD_Connection *connection)
{
    void (*real)(struct MHD_Connection *);

    *(void **)&real = dlsym(RTLD_NEXT, "MHD_resume_connection");
    resuming++;
    real(connection);
    if (lingers)
        usleep(LINGER_US);
    resuming--;
}

/* --- Quiescing ---------------------------------------------------------------------------- */

/* Two threads that take the socket out of the library's epoll at once would be its end, and ours.
 */
static void the_library_is_quiesced_by_its_own_thread(void **state)
{
    struct fixture *f = *state;

    the_test = pthread_self();
    quiesced = quiesced_by_the_test = 0;
    api_quiesce(f->api);
    eventually(quiesced > 0);
    api_quiesce(f->api);
    api_stop(take(f->api));
    assert_int_equal(quiesced, 1);
    assert_int_equal(quiesced_by_the_test, 0);
}

/* As under systemd, whose socket it is. */
static void who_comes_while_it_stops_is_served_by_the_next(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct fixture *f = *state;
    struct client early;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    api_stop(take(f->api));
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->socket);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 8), 0);
    f->settings.socket_fd = dup(fd);
    api_begin(f);
    quiesced = 0;
    api_quiesce(f->api);
    eventually(quiesced > 0);
    early = client_of(f);
    say(&early, "GET " STOP " HTTP/1.1\r\n" HOST "\r\n");
    api_stop(take(f->api));
    f->settings.socket_fd = fd;
    api_begin(f);
    assert_accepted(hear(&early));
    hang_up(&early);
}

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
    assert_true(moment_now().monotonic - began < PATIENCE);
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
    assert_true(moment_now().monotonic - began < PATIENCE);
    hang_up(&deaf);
}

/* Or it would come back to a library that is gone. */
static void who_resumes_a_connection_has_left_before_it_is_stopped(void **state)
{
    struct fixture *f = *state;
    struct client c = client_of(f);

    stand_in_hold(&f->engine, REQUEST_STOP, true);
    say(&c, "GET " STOP " HTTP/1.1\r\n" HOST "\r\n");
    eventually(stand_in_count(&f->engine, REQUEST_STOP) == 1);
    lingers = true;
    stand_in_hold(&f->engine, REQUEST_STOP, false);
    assert_accepted(hear(&c));
    api_stop(take(f->api));
    assert_int_equal(resuming, 0);
    lingers = false;
    hang_up(&c);
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

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_library_is_quiesced_by_its_own_thread),
        T(who_comes_while_it_stops_is_served_by_the_next),
        T(quiescing_ends_waits_and_refuses_requests),
        T(a_command_that_stopping_interrupts_has_no_known_outcome),
        T(stopping_does_not_wait_for_who_does_not_read),
        T(who_resumes_a_connection_has_left_before_it_is_stopped),
        T(stopping_at_any_time_is_clean),
    };

    return cmocka_run_group_tests_name("api: stopping", tests, NULL, NULL);
}
