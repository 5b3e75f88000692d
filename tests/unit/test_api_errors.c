/* test_api_errors.c - the errors of contract section 3, row by row, over HTTP
 */
#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "api-kit.h"

static char *letters(size_t n)
{
    char *text = malloc(n + 1);

    memset(text, 'a', n);
    text[n] = '\0';
    return text;
}

static void a_body_over_64_kib_is_too_large(void **state)
{
    _cleanup_(freep) char *fits = letters(64 * 1024), *over = letters(64 * 1024 + 1),
                          *far_over = letters(3 * 1024 * 1024);
    struct client c = client_of(*state);
    struct fixture *f = *state;

    memcpy(fits, "InstanceId=", 11);
    assert_refused(ask_on(&c, "POST", "/", FORM, over), 413, "RequestTooLarge", "64 KiB");
    /* It was read to its end, so the connection goes on, with a body that fits. */
    assert_refused(ask_on(&c, "POST", "/", FORM, fits), 400, "InvalidParameter", "InstanceId");
    hang_up(&c);
    assert_refused(ask(f, "POST", "/", FORM, far_over), 413, "RequestTooLarge", "64 KiB");
    c = client_of(f);
    say(&c, "POST / HTTP/1.1\r\nHost: stopd\r\n" FORM "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 17; i++)
        say(&c, "1000\r\n%.4096s\r\n", over);
    say(&c, "0\r\n\r\n");
    assert_refused(hear(&c), 413, "RequestTooLarge", NULL);
    hang_up(&c);
}

static void an_expected_body_that_is_too_large_is_not_asked_for(void **state)
{
    struct client c = client_of(*state);

    say(&c, "POST / HTTP/1.1\r\nHost: stopd\r\n" FORM
            "Expect: 100-continue\r\nContent-Length: 9999999\r\n\r\n");
    assert_refused(hear(&c), 413, "RequestTooLarge", NULL);
    hang_up(&c);
    c = client_of(*state);
    say(&c, "POST / HTTP/1.1\r\nHost: stopd\r\n" FORM
            "Expect: 100-continue\r\nContent-Length: 14\r\n\r\n");
    assert_true(hear_text(&c, "HTTP/1.1 100 Continue\r\n\r\n"));
    say(&c, "InstanceId=i-1");
    assert_accepted(hear(&c));
    hang_up(&c);
}

static void a_header_over_16_kib_is_too_large(void **state)
{
    static const size_t sizes[] = {16 * 1024 + 1, 20000, 40000};
    struct fixture *f = *state;

    for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
        _cleanup_(freep) char *value = letters(sizes[i]), *line = NULL, *target = NULL;

        assert_true(asprintf(&line, "x-a: %s\r\n", value) > 0);
        assert_refused(ask(f, "GET", STOP, line, NULL), 431, "RequestTooLarge", "16 KiB");
        assert_true(asprintf(&target, STOP "&x=%s", value) > 0);
        assert_refused(get(f, target), 431, "RequestTooLarge", "16 KiB");
    }
    assert_int_equal(stand_in_count(&f->engine, REQUEST_STOP), 0);
}

static void another_method_is_refused(void **state)
{
    static const char *const verbs[] = {"PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "get", "STOP"};
    struct fixture *f = *state;

    for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
        _cleanup_(response) struct response r = ask(f, verbs[i], STOP, "", NULL);

        assert_int_equal(r.status, 405);
        assert_string_equal(field(&r, "Allow"), "GET, POST");
        if (!text_equal(verbs[i], "HEAD"))
            check_error(&r, 405, "InvalidMethod", NULL, __LINE__);
    }
    assert_refused(ask(f, "DELETE", "/nowhere", "", NULL), 405, "InvalidMethod", NULL);
    assert_refused(ask(f, "POST", "/v1/instances", "", ""), 405, "InvalidMethod", NULL);
    assert_refused(
        ask(f, "GET", "/v1/operations/473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E/cancel", "", NULL), 405,
        "InvalidMethod", NULL);
}

static void a_reader_may_only_read(void **state)
{
    static const char *const nobody[] = {"4000000000"};
    struct fixture *f = *state;
    struct client c;

    f->settings.operators = (struct api_words){nobody, 1};
    api_configure(f->api, &f->settings);
    c = client_as(f, 12345, 12345);
    if (c.fd < 0)
        skip();
    assert_refused(ask_on(&c, "GET", STOP, "", NULL), 403, "Forbidden", NULL);
    assert_refused(ask_on(&c, "GET", "/?Action=StopInstance", "", NULL), 403, "Forbidden", NULL);
    assert_refused(ask_on(&c, "POST", "/", "", "not a form"), 403, "Forbidden", NULL);
    assert_refused(ask_on(&c, "POST", "/v1/operations/x/cancel", "", ""), 403, "Forbidden", NULL);
    assert_refused(ask_on(&c, "GET", "/?Action=StartInstance", "", NULL), 404,
                   "InvalidAction.NotFound", NULL);
    assert_accepted(ask_on(&c, "GET", "/?Action=DescribeInstanceStatus", "", NULL));
    assert_accepted(ask_on(&c, "GET", "/v1/instances", "", NULL));
    assert_int_equal(stand_in_count(&f->engine, REQUEST_STOP), 0);
    hang_up(&c);
}

static void who_is_not_listed_may_only_ask_for_its_health(void **state)
{
    static const char *const nobody[] = {"4000000000", "no-such-group"};
    struct fixture *f = *state;
    struct client c;

    f->settings.operators = f->settings.readers = (struct api_words){nobody, 2};
    api_configure(f->api, &f->settings);
    c = client_as(f, 12345, 12345);
    if (c.fd < 0)
        skip();
    assert_refused(ask_on(&c, "GET", "/?Action=DescribeInstanceStatus", "", NULL), 403, "Forbidden",
                   NULL);
    assert_refused(ask_on(&c, "GET", "/v1/instances", "", NULL), 403, "Forbidden", NULL);
    assert_refused(ask_on(&c, "GET", "/metrics", "", NULL), 403, "Forbidden", NULL);
    assert_refused(ask_on(&c, "GET", "/nowhere", "", NULL), 403, "Forbidden", NULL);
    assert_accepted(ask_on(&c, "GET", "/livez", "", NULL));
    hang_up(&c);
    /* root is never locked out. */
    if (getuid() == 0)
        assert_accepted(get(f, STOP));
}

static void a_group_may_change_things_by_name_or_id(void **state)
{
    const char *groups[] = {NULL, "nogroup"};
    struct fixture *f = *state;
    struct group *nogroup = getgrnam("nogroup");
    struct client c;

    groups[0] = "12345";
    f->settings.operators = (struct api_words){groups, nogroup ? 2 : 1};
    api_configure(f->api, &f->settings);
    c = client_as(f, 4321, 12345);
    if (c.fd < 0)
        skip();
    assert_accepted(ask_on(&c, "GET", STOP, "", NULL));
    assert_string_equal(f->engine.last.principal.name, "unix:uid=4321");
    assert_false(f->engine.last.principal.is_local_root);
    assert_refused(ask_on(&c, "GET", STOP "&Override=lock", "", NULL), 403, "Forbidden", NULL);
    hang_up(&c);
    c = client_in(f, 4321, 54321, 12345);
    assert_accepted(ask_on(&c, "GET", STOP, "", NULL));
    hang_up(&c);
    if (!nogroup)
        return;
    c = client_as(f, 4321, nogroup->gr_gid);
    assert_accepted(ask_on(&c, "GET", STOP, "", NULL));
    hang_up(&c);
}

static void a_page_of_another_site_is_refused(void **state)
{
    static const char *const foreign[] = {
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: http://stopd:8080\r\n",
        "Origin: http://evil.example/stopd\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Origin: http://stopd\r\nSec-Fetch-Site: cross-site\r\n",
    };
    static const char *const own[] = {
        "Origin: http://stopd\r\n",
        "Origin: https://STOPD\r\nSec-Fetch-Site: same-origin\r\n",
        "Sec-Fetch-Site: none\r\n",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ELEMENTSOF(foreign); i++)
        assert_refused(ask(f, "GET", STOP, foreign[i], NULL), 403, "Forbidden", "another site");
    assert_int_equal(stand_in_count(&f->engine, REQUEST_STOP), 0);
    for (size_t i = 0; i < ELEMENTSOF(own); i++)
        assert_accepted(ask(f, "GET", STOP, own[i], NULL));
}

static void more_calls_than_the_rate_are_throttled(void **state)
{
    struct fixture *f = *state;
    _cleanup_(response) struct response r = {0};
    int wait;

    f->settings.rate = 2;
    api_configure(f->api, &f->settings);
    assert_accepted(get(f, STOP));
    assert_accepted(get(f, STOP));
    r = get(f, "/?Action=StopInstance");
    check_error(&r, 429, "Throttling.User", "Request was denied due to user flow control.",
                __LINE__);
    assert_string_equal(field(&r, "Retry-After"), "1");
    wait = atoi(field(&r, "x-acs-retry-after"));
    assert_in_range(wait, 1, 1000);
    /* Other actions are not counted, and unknown ones not found. */
    assert_accepted(get(f, "/?Action=DescribeInstanceStatus"));
    assert_refused(get(f, "/?Action=StartInstance"), 404, "InvalidAction.NotFound", NULL);
    usleep((unsigned)wait * 1000);
    assert_accepted(get(f, STOP));
}

static void a_missing_instance_id_comes_before_other_mistakes(void **state)
{
    static const char *const targets[] = {
        "/",       "/?Action=StopInstance", "/?InstanceId=",    "/?ForceStop=perhaps",
        "/?Foo=1", "/?ForceStop=%zz",       "/?instanceid=i-1",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ELEMENTSOF(targets); i++)
        assert_refused(get(f, targets[i]), 400, "MissingParameter",
                       "The input parameter InstanceId that is mandatory for processing this "
                       "request is not supplied.");
}

static void a_parameter_that_is_wrong_is_named(void **state)
{
    static const struct {
        const char *target, *name;
    } cases[] = {
        {STOP "&ForceStop=yes", "ForceStop"},
        {STOP "&Forcestop=true", "Forcestop"},
        {STOP "&ForceStop=true&ForceStop=true", "ForceStop"},
        {STOP "&GracePeriod=0", "GracePeriod"},
        {STOP "&ForceStop=%74rue%", "ForceStop"},
        {STOP "&ForceStop=%7", "ForceStop"},
        {STOP "&ForceStop=%g0", "ForceStop"},
        {STOP "&ForceStop=true%00", "ForceStop"},
        {"/?InstanceId=i%00", "InstanceId"},
        {"/?InstanceId=%ff", "InstanceId"},
        {"/?InstanceId=%c0%80", "InstanceId"},
        {"/?InstanceId=%ed%a0%80", "InstanceId"},
        {"/?InstanceId=%f4%90%80%80", "InstanceId"},
        {"/?InstanceId=%e2%82", "InstanceId"},
        {"/?InstanceId=i-1&x y=1", "x y"},
        {STOP "&%ff=1", "%ff"},
        {STOP "&=1", "not known"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        assert_refused(get(f, cases[i].target), 400, "InvalidParameter", cases[i].name);
    assert_int_equal(stand_in_count(&f->engine, REQUEST_STOP), 0);
    assert_accepted(get(f, "/?InstanceId=%e4%b8%ad%F0%9F%92%A9"));
    assert_string_equal(f->engine.last.instance_id, "\xe4\xb8\xad\xf0\x9f\x92\xa9");
    assert_accepted(get(f, "/?&&InstanceId=i-1&&"));
}

static void a_body_that_is_no_form_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_refused(ask(f, "POST", STOP, "Content-Type: application/json\r\n", "{}"), 400,
                   "InvalidParameter", "application/x-www-form-urlencoded");
    assert_refused(
        ask(f, "POST", "/", "Content-Type: application/json\r\n", "{\"InstanceId\":\"i-1\"}"), 400,
        "InvalidParameter", "application/x-www-form-urlencoded");
    assert_refused(ask(f, "POST", STOP, "", "ForceStop=true"), 400, "InvalidParameter", NULL);
    assert_refused(ask(f, "GET", STOP, FORM, "ForceStop=true"), 400, "InvalidParameter", "body");
    assert_accepted(ask(f, "POST", STOP, "", ""));
    assert_accepted(ask(f, "POST", "/",
                        "Content-Type: Application/X-WWW-Form-URLencoded; charset=utf-8\r\n",
                        "InstanceId=i-1"));
}

static void a_nul_in_the_body_hides_nothing(void **state)
{
    static const char body[] = "InstanceId=i-1&ClientToken=t\0&DryRun=true";
    struct client c = client_of(*state);
    struct fixture *f = *state;

    say(&c, "POST / HTTP/1.1\r\nHost: stopd\r\n" FORM "Content-Length: %zu\r\n\r\n",
        sizeof(body) - 1);
    say_bytes(&c, body, sizeof(body) - 1);
    assert_refused(hear(&c), 400, "InvalidParameter", "ClientToken");
    assert_int_equal(stand_in_count(&f->engine, REQUEST_STOP), 0);
    hang_up(&c);
}

static void a_nul_in_the_request_line_hides_nothing(void **state)
{
    static const char request[] =
        "GET /?InstanceId=i-1\0&DryRun=true HTTP/1.1\r\nHost: stopd\r\n\r\n";
    struct client c = client_of(*state);
    struct fixture *f = *state;

    say_bytes(&c, request, sizeof(request) - 1);
    assert_refused(hear(&c), 400, "InvalidParameter", "NUL");
    assert_int_equal(stand_in_count(&f->engine, REQUEST_STOP), 0);
    hang_up(&c);
}

/* Every error of the table that an answer can carry, as the engine gives it. */
static void the_engines_errors_are_answered_as_the_table_says(void **state)
{
    struct fixture *f = *state;

    for (int code = ERROR_NONE + 1; code < ERROR_MAX; code++) {
        const char *message = error_public_message((enum error_code)code);
        int status = error_http_status((enum error_code)code);

        f->engine.code = (enum error_code)code;
        f->engine.message = NULL;
        assert_refused(get(f, STOP), status, error_public_code((enum error_code)code), message);
        f->engine.message = "A more exact \"sentence\" <&>";
        assert_refused(get(f, STOP), status, error_public_code((enum error_code)code),
                       "A more exact \"sentence\" <&>");
    }
}

static void an_error_in_xml_has_the_same_members(void **state)
{
    struct fixture *f = *state;
    _cleanup_(response) struct response r = {0};
    _cleanup_(freep) char *wanted = NULL;

    f->engine.code = ERROR_CONFLICT;
    f->engine.message = "<\"i-1\"> & 'i-1'\x01";
    r = get(f, STOP "&Format=XML");
    assert_int_equal(r.status, 409);
    assert_string_equal(field(&r, "Content-Type"), "application/xml");
    assert_true(asprintf(&wanted,
                         "<Error><RequestId>%s</RequestId><HostId>host-1</HostId>"
                         "<Code>OperationConflict</Code>"
                         "<Message>&lt;\"i-1\"&gt; &amp; 'i-1'?</Message></Error>",
                         field(&r, "x-acs-request-id")) > 0);
    assert_string_equal(r.body, wanted);
    response_clear(&r);
    r = ask(f, "GET", "/nowhere", "Accept: text/html;q=0.5, text/xml;q=0.4\r\n", NULL);
    assert_non_null(strstr(r.body, "<Error><RequestId>"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_body_over_64_kib_is_too_large),
        T(an_expected_body_that_is_too_large_is_not_asked_for),
        T(a_header_over_16_kib_is_too_large),
        T(another_method_is_refused),
        T(a_reader_may_only_read),
        T(who_is_not_listed_may_only_ask_for_its_health),
        T(a_group_may_change_things_by_name_or_id),
        T(a_page_of_another_site_is_refused),
        T(more_calls_than_the_rate_are_throttled),
        T(a_missing_instance_id_comes_before_other_mistakes),
        T(a_parameter_that_is_wrong_is_named),
        T(a_body_that_is_no_form_is_refused),
        T(a_nul_in_the_body_hides_nothing),
        T(a_nul_in_the_request_line_hides_nothing),
        T(the_engines_errors_are_answered_as_the_table_says),
        T(an_error_in_xml_has_the_same_members),
    };

    return cmocka_run_group_tests_name("api: errors", tests, NULL, NULL);
}
