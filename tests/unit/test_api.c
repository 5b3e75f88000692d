/* test_api.c - contract section 3 over HTTP: the dialect of its requests and
 * answers */
#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "api-kit.h"

/* --- The API reference -------------------------------------------------------------------- */

#define REFERENCE                                                                     \
    "/?Action=StopInstance&InstanceId=i-instanceid1&ConfirmStop=true&ForceStop=false" \
    "&StoppedMode=keepcharging"

static void the_reference_request_is_answered_in_json(void **state)
{
    struct fixture *f = *state;

    f->engine.request_id = "1C488B66-B819-4D14-8711-C4EAAA13AC01";
    assert_answered(get(f, REFERENCE), "{\"RequestId\":\"1C488B66-B819-4D14-8711-C4EAAA13AC01\"}");
    assert_string_equal(f->engine.last.instance_id, "i-instanceid1");
    assert_true(f->engine.last.confirm_stop);
    assert_false(f->engine.last.force_stop);
    assert_int_equal(f->engine.last.stopped_mode, STOPPED_MODE_KEEP_CHARGING);
}

static void the_reference_request_is_answered_in_xml(void **state)
{
    struct fixture *f = *state;
    const char *xml = "<StopInstanceResponse>"
                      "<RequestId>1C488B66-B819-4D14-8711-C4EAAA13AC01</RequestId>"
                      "</StopInstanceResponse>";

    f->engine.request_id = "1C488B66-B819-4D14-8711-C4EAAA13AC01";
    assert_answered(get(f, REFERENCE "&Format=XML"), xml);
    assert_answered(get(f, REFERENCE "&Format=xml"), xml);
    assert_answered(ask(f, "GET", REFERENCE, "Accept: application/xml\r\n", NULL), xml);
    assert_answered(post_form(f, "/", REFERENCE + 2 /* behind the "/?" */),
                    "{\"RequestId\":\"1C488B66-B819-4D14-8711-C4EAAA13AC01\"}");
}

static void the_common_parameters_are_ignored(void **state)
{
    struct fixture *f = *state;

    assert_accepted(get(f, STOP "&Version=2014-05-26&Timestamp=2026-11-24T12%3A00%3A00Z"
                                "&AccessKeyId=k&Signature=s%3D&SignatureMethod=HMAC-SHA1"
                                "&SignatureVersion=1.0&SignatureNonce=n&RegionId=cn&OwnerId=1"));
}

/* --- Where parameters and the action come from -------------------------------------------- */

static void query_and_form_are_one_list(void **state)
{
    struct fixture *f = *state;

    assert_accepted(post_form(f, "/?Action=StopInstance", "InstanceId=a+b%26c&ForceStop=TRUE"));
    assert_string_equal(f->engine.last.instance_id, "a b&c");
    assert_true(f->engine.last.force_stop);
    assert_refused(post_form(f, STOP, "InstanceId=i-1"), 400, "InvalidParameter", "InstanceId");
}

static void without_an_action_it_is_stop_instance(void **state)
{
    struct fixture *f = *state;

    assert_accepted(get(f, "/?InstanceId=i-1"));
    assert_accepted(post_form(f, "/", "InstanceId=i-1"));
    assert_accepted(get(f, "/?InstanceId=i-1&Action="));
    assert_int_equal(stand_in_count(&f->engine, REQUEST_STOP), 3);
}

static void the_action_may_stand_in_the_header(void **state)
{
    struct fixture *f = *state;

    assert_accepted(ask(f, "GET", "/?InstanceId=i-1", "x-acs-action: StopInstance\r\n", NULL));
    assert_accepted(ask(f, "GET", STOP, "X-Acs-Action: StopInstance\r\n", NULL));
    assert_refused(ask(f, "GET", STOP, "x-acs-action: StartInstance\r\n", NULL), 400,
                   "InvalidParameter", "x-acs-action");
    assert_refused(ask(f, "GET", "/?InstanceId=i-1", "x-acs-action: RebootInstance\r\n", NULL), 404,
                   "InvalidAction.NotFound", NULL);
}

static void another_verb_is_never_taken_for_a_stop(void **state)
{
    static const char *const targets[] = {
        "/?Action=StartInstance&InstanceId=i-1",
        "/?Action=stopinstance&InstanceId=i-1",
        "/?Action=StopInstances&InstanceId=i-1",
        "/?Action=%53topInstance%20&InstanceId=i-1",
        "/?Action=StopInstance%zz&InstanceId=i-1",
        "/index.html?InstanceId=i-1",
        "//?InstanceId=i-1",
        "/v2/instances",
        "/v1/operations/x/y/cancel",
        "/v1/instances/",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ELEMENTSOF(targets); i++)
        assert_refused(get(f, targets[i]), 404, "InvalidAction.NotFound",
                       "Specified api is not found, please check your url and method.");
    assert_int_equal(stand_in_count(&f->engine, REQUEST_STOP), 0);
}

static void the_target_may_be_absolute(void **state)
{
    struct fixture *f = *state;

    assert_accepted(get(f, "http://stopd" STOP));
    assert_accepted(get(f, "HTTP://stopd?InstanceId=i-1"));
    /* … and end with its scheme: nothing behind it is read. */
    assert_refused(get(f, "http://"), 400, "MissingParameter", NULL);
    assert_refused(get(f, "https://"), 400, "MissingParameter", NULL);
}

static void the_idempotency_key_is_the_client_token(void **state)
{
    struct fixture *f = *state;

    assert_accepted(ask(f, "GET", STOP, "Idempotency-Key: t-1\r\n", NULL));
    assert_string_equal(f->engine.last.client_token, "t-1");
    assert_accepted(ask(f, "GET", STOP "&ClientToken=t-2", "Idempotency-Key: \"t-2\"\r\n", NULL));
    assert_string_equal(f->engine.last.client_token, "t-2");
    assert_accepted(ask(f, "GET", STOP "&ClientToken=", "Idempotency-Key: t-3\r\n", NULL));
    assert_string_equal(f->engine.last.client_token, "t-3");
    assert_refused(ask(f, "GET", STOP "&ClientToken=t-4", "Idempotency-Key: t-5\r\n", NULL), 400,
                   "InvalidParameter", "Idempotency-Key");
    assert_refused(ask(f, "GET", STOP, "Idempotency-Key: t-6\r\nIdempotency-Key: t-7\r\n", NULL),
                   400, "InvalidParameter", "Idempotency-Key");
}

static void a_replayed_command_is_answered_with_the_first_request_id(void **state)
{
    _cleanup_(response) struct response r = {0};
    struct fixture *f = *state;

    f->engine.request_id = "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E";
    r = get(f, STOP "&ClientToken=t");
    assert_string_equal(r.body, "{\"RequestId\":\"473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E\"}");
    assert_string_equal(field(&r, "x-acs-request-id"), "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E");
}

static void the_trace_context_goes_along(void **state)
{
    static const char *const malformed[] = {
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
        "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
        "00-0af7651916cd43dd8448eb211c80319cxb7ad6b7169203331-01",
    };
    const char *good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    struct fixture *f = *state;
    char line[256];

    snprintf(line, sizeof(line), "traceparent: %s\r\n", good);
    assert_accepted(ask(f, "GET", STOP, line, NULL));
    assert_string_equal(f->engine.last.traceparent, good);
    snprintf(line, sizeof(line), "traceparent: %s\r\ntraceparent: %s\r\n", good, good);
    assert_accepted(ask(f, "GET", STOP, line, NULL));
    assert_null(f->engine.last.traceparent);
    for (size_t i = 0; i < ELEMENTSOF(malformed); i++) {
        snprintf(line, sizeof(line), "traceparent: %s\r\n", malformed[i]);
        assert_accepted(ask(f, "GET", STOP, line, NULL));
        assert_null(f->engine.last.traceparent);
    }
}

static void the_command_knows_its_caller_and_its_id(void **state)
{
    _cleanup_(response) struct response r = {0};
    struct fixture *f = *state;
    char uid[32];

    r = get(f, STOP);
    snprintf(uid, sizeof(uid), "unix:uid=%u", (unsigned)getuid());
    assert_memory_equal(f->engine.last.principal.name, uid, strlen(uid));
    assert_true(f->engine.last.principal.may_change);
    assert_int_equal(f->engine.last.principal.is_local_root, getuid() == 0);
    assert_string_equal(f->engine.last.request_id, member(&r, "RequestId"));
    assert_string_equal(f->engine.last_request_id, f->engine.last.request_id);
    if (getuid() == 0)
        assert_string_equal(f->engine.last_principal, "unix:uid=0(root)");
}

/* --- The errors, row by row --------------------------------------------------------------- */

static void json_is_answered_unless_xml_is_wanted_more(void **state)
{
    static const char *const json[] = {
        "Accept: */*\r\n",
        "Accept: application/json, application/xml\r\n",
        "Accept: application/xml;q=0\r\n",
        "Accept: application/xml;q=0.5,application/json\r\n",
        "Accept: application/xmlish\r\n",
        "Accept: \r\n",
        "Accept: ,;,q=\r\n",
    };
    static const char *const xml[] = {
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n",
        "Accept: application/json;q=0.1\r\nAccept: Application/XML ; Q=0.2\r\n",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ELEMENTSOF(json); i++)
        assert_refused(ask(f, "GET", "/", json[i], NULL), 400, "MissingParameter", NULL);
    for (size_t i = 0; i < ELEMENTSOF(xml); i++) {
        _cleanup_(response) struct response r = ask(f, "GET", "/", xml[i], NULL);

        assert_memory_equal(r.body, "<Error>", 7);
    }
    assert_refused(ask(f, "GET", "/?Format=json", xml[0], NULL), 400, "MissingParameter", NULL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_reference_request_is_answered_in_json),
        T(the_reference_request_is_answered_in_xml),
        T(the_common_parameters_are_ignored),
        T(query_and_form_are_one_list),
        T(without_an_action_it_is_stop_instance),
        T(the_action_may_stand_in_the_header),
        T(another_verb_is_never_taken_for_a_stop),
        T(the_target_may_be_absolute),
        T(the_idempotency_key_is_the_client_token),
        T(a_replayed_command_is_answered_with_the_first_request_id),
        T(the_trace_context_goes_along),
        T(the_command_knows_its_caller_and_its_id),
        T(json_is_answered_unless_xml_is_wanted_more),
    };

    return cmocka_run_group_tests_name("api: StopInstance over HTTP", tests, NULL, NULL);
}
