/* test_api_arrival.c - how requests arrive: in pieces, in one piece, broken, as nonsense */
#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "api-kit.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

static bool is_taken(const struct client *c)
{
    int unread = 0;

    return ioctl(c->fd, SIOCOUTQ, &unread) == 0 && unread == 0;
}

static void a_request_may_come_byte_by_byte(void **state)
{
    static const char request[] = "POST /?Action=StopInstance HTTP/1.1\r\nHost: stopd\r\n"
                                  "Content-Type: application/x-www-form-urlencoded\r\n"
                                  "Content-Length: 14\r\n\r\nInstanceId=i-1";
    struct fixture *f = *state;
    struct client c = client_of(f);

    for (size_t i = 0; i < sizeof(request) - 1; i++) {
        say_bytes(&c, request + i, 1);
        eventually(is_taken(&c)); /* so that it is not read together with the next */
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
    };

    return cmocka_run_group_tests_name("api: how requests arrive", tests, NULL, NULL);
}
