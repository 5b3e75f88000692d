/* test_wipe_protocol.c - what stopd and stopd-wipe say to each other, hostile input included */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "stopd/wipe-protocol.h"

static void request_cleanup(struct wipe_request *r)
{
    wipe_request_clear(r);
}

static int parse(const char *text, struct wipe_request *r, struct error **err)
{
    wipe_request_init(r);
    return wipe_request_parse(text, strlen(text), r, err);
}

static void assert_usage(const char *text, const char *why)
{
    _cleanup_(request) struct wipe_request r;
    _cleanup_(error_free) struct error *error = NULL;

    if (parse(text, &r, &error) >= 0)
        fail_msg("taken: %.200s", text);
    assert_int_equal(error_code_of(error), ERROR_USAGE);
    if (!strstr(error_message(error), why))
        fail_msg("'%s' does not say '%s'", error_message(error), why);
}

#define WHOLE                                                                                     \
    "{\"version\":1,\"verb\":\"clear\",\"device\":\"/dev/nvme0n1\",\"kind\":\"block\","           \
    "\"identity\":{\"size\":4096,\"serial\":\"S4EWNX0R\",\"eui64\":null},"                        \
    "\"methods\":[\"nvme-format-crypto\",\"overwrite\"],\"level\":\"clear\",\"verify\":\"full\"," \
    "\"maxMibPerS\":200,\"allow\":{\"devices\":[\"/dev/nvme*n*\"],\"files\":[\"/srv/*\"]},"       \
    "\"others\":[{\"domain\":\"web-7\",\"source\":\"/dev/nvme1n1\"}],"                            \
    "\"companions\":[\"/dev/nvme0n2\"],"                                                          \
    "\"resume\":{\"size\":4096,\"method\":\"overwrite\",\"stage\":\"clearing\",\"durable\":1024," \
    "\"seed\":\"00112233445566778899aabbccddeeff\",\"startedAt\":\"2026-11-24T10:00:00.000Z\","   \
    "\"runs\":2,\"steps\":[{\"outcome\":\"begun\"}]},"                                            \
    "\"requestId\":\"R\",\"instanceId\":\"i-1\",\"target\":\"vdb\",\"operator\":\"o\",\"host\":"  \
    "\"h\"}"

static void assert_whole(const struct wipe_request *r)
{
    assert_int_equal(r->verb, WIPE_CLEAR);
    assert_string_equal(r->device, "/dev/nvme0n1");
    assert_int_equal(r->kind, STORAGE_BLOCK);
    assert_string_equal(r->identity.value[IDENTITY_SIZE], "4096");
    assert_string_equal(r->identity.value[IDENTITY_SERIAL], "S4EWNX0R");
    assert_null(r->identity.value[IDENTITY_EUI64]);
    assert_int_equal(r->n_methods, 2);
    assert_int_equal(r->methods[0], CLEAR_NVME_FORMAT_CRYPTO);
    assert_int_equal(r->verify, WIPE_VERIFY_FULL);
    assert_int_equal(r->max_mib_per_s, 200);
    assert_int_equal(r->allow_devices.n, 1);
    assert_string_equal(r->allow_files.items[0], "/srv/*");
    assert_int_equal(r->n_others, 1);
    assert_string_equal(r->others[0].domain, "web-7");
    assert_string_equal(r->companions.items[0], "/dev/nvme0n2");
    assert_true(r->resume.is_present);
    assert_int_equal(r->resume.durable, 1024);
    assert_int_equal(r->resume.runs, 2);
    assert_int_equal(json_object_array_length(r->resume.steps), 1);
    assert_string_equal(r->operator, "o");
}

static void a_request_is_read(void **state)
{
    _cleanup_(request) struct wipe_request r;

    assert_int_equal(parse(WHOLE, &r, NULL), 0);
    assert_whole(&r);
}

/* What its sender writes is what is read. */
static void a_request_goes_round(void **state)
{
    _cleanup_(request) struct wipe_request r, again;
    _cleanup_(json) json_object *o = NULL;

    assert_int_equal(parse(WHOLE, &r, NULL), 0);
    o = wipe_request_to_json(&r);
    assert_non_null(o);
    assert_int_equal(parse(json_object_to_json_string(o), &again, NULL), 0);
    assert_whole(&again);
}

static void the_defaults_are_the_contracts(void **state)
{
    _cleanup_(request) struct wipe_request r;

    assert_int_equal(parse("{\"version\":1,\"verb\":\"plan\",\"device\":\"/dev/x\"}", &r, NULL), 0);
    assert_int_equal(r.n_methods, 4);
    assert_int_equal(r.methods[0], CLEAR_NVME_FORMAT_CRYPTO);
    assert_int_equal(r.methods[1], CLEAR_NVME_FORMAT_USER_DATA);
    assert_int_equal(r.methods[2], CLEAR_WRITE_ZEROES);
    assert_int_equal(r.methods[3], CLEAR_OVERWRITE);
    assert_int_equal(r.level, LEVEL_CLEAR);
    assert_int_equal(r.verify, WIPE_VERIFY_SAMPLE);
    assert_int_equal(r.kind, STORAGE_KIND_MAX);
    assert_int_equal(r.allow_devices.n + r.allow_files.n, 0);
}

#define BEGIN "{\"version\":1,\"verb\":\"clear\",\"device\":\"/dev/x\",\"identity\":{\"size\":1}"

static void what_is_not_known_is_an_error(void **state)
{
    assert_usage(BEGIN ",\"other\":[]}", "'other' is no member");
    assert_usage(BEGIN ",\"allow\":{\"device\":[]}}", "'device' is no member of allow");
    assert_usage("{\"version\":1,\"verb\":\"clear\",\"device\":\"/dev/"
                 "x\",\"identity\":{\"colour\":\"red\"}}",
                 "'colour' is no key");
    assert_usage(BEGIN ",\"methods\":[\"format\"]}", "methods is none");
    assert_usage(BEGIN ",\"others\":[{\"domain\":\"a\",\"source\":\"b\",\"c\":1}]}",
                 "is not {domain, source}");
}

static void types_and_ranges(void **state)
{
    assert_usage("[]", "not one JSON object");
    assert_usage("\"clear\"", "not one JSON object");
    assert_usage("", "no JSON");
    assert_usage("{", "no JSON");
    assert_usage("{}", "version");
    assert_usage("{} {}", "the request is");
    assert_usage("{version:1}", "no JSON"); /* strict */
    /* Either could be the one that is meant. */
    assert_usage(BEGIN ",\"others\":[{\"domain\":\"a\",\"source\":\"b\"}],\"others\":[]}",
                 "there twice");
    assert_usage("{\"version\":1,\"verb\":\"clear\",\"device\":\"/dev/x\","
                 "\"identity\":{\"serial\":\"a\",\"serial\":\"b\"}}",
                 "there twice");
    assert_usage("{\"version\":\"1\"}", "version is no whole number");
    assert_usage("{\"version\":2}", "not spoken");
    assert_usage("{\"verb\":\"clear\",\"device\":\"/dev/x\",\"identity\":{\"size\":1}}", "version");
    assert_usage("{\"version\":1,\"verb\":1}", "verb is none");
    assert_usage("{\"version\":1,\"verb\":\"clear\"}", "no device");
    assert_usage("{\"version\":1,\"device\":\"/dev/x\"}", "no verb");
    assert_usage("{\"version\":1,\"verb\":\"clear\",\"device\":\"dev/x\"}", "not an absolute path");
    assert_usage("{\"version\":1,\"verb\":\"clear\",\"device\":\"/dev/x\\u0000y\"}", "NUL");
    assert_usage("{\"version\":1,\"verb\":\"clear\",\"device\":\"/dev/x\"}",
                 "needs to be told what");
    assert_usage(BEGIN ",\"maxMibPerS\":-1}", "no whole number");
    assert_usage(BEGIN ",\"maxMibPerS\":1.5}", "no whole number");
    assert_usage(BEGIN ",\"maxMibPerS\":18446744073709551615}", "maxMibPerS");
    assert_usage(BEGIN ",\"methods\":[]}", "no method");
    assert_usage(BEGIN ",\"methods\":[\"overwrite\",\"overwrite\"]}", "twice");
    assert_usage(BEGIN ",\"level\":\"none\"}", "clear or purge");
    assert_usage(BEGIN ",\"level\":\"purge\",\"verify\":\"none\"}", "without verification");
    assert_usage(BEGIN ",\"others\":{}}", "no list");
    assert_usage(BEGIN ",\"others\":[{\"domain\":\"a\",\"source\":\"\"}]}",
                 "is not {domain, source}");
    assert_usage(BEGIN ",\"companions\":[1]}", "not text");
    assert_usage(BEGIN ",\"allow\":{\"devices\":[\"\"]}}", "empty");
    assert_usage(BEGIN ",\"resume\":{}}", "resume is not");
    assert_usage(
        "{\"version\":1,\"verb\":\"clear\",\"device\":\"/dev/x\",\"identity\":{\"size\":\"\"}}",
        "empty");
}

static void a_request_has_bounds(void **state)
{
    _cleanup_(request) struct wipe_request r;
    _cleanup_(freep) char *long_text = malloc(WIPE_REQUEST_MAX + 2);
    char deep[] = BEGIN ",\"resume\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}";
    static const char latin[] = BEGIN ",\"host\":\"\xe9\"}";

    memset(long_text, ' ', WIPE_REQUEST_MAX + 1);
    wipe_request_init(&r);
    assert_true(wipe_request_parse(long_text, WIPE_REQUEST_MAX + 1, &r, NULL) < 0);
    assert_usage(deep, "no JSON");
    assert_usage(latin, "no JSON");
}

/* Every prefix of a request, and every one-byte change of it: an error or a request, never a
 * crash. */
static void torn_and_bent_requests(void **state)
{
    char text[] = WHOLE;
    size_t n = strlen(text);

    for (size_t i = 0; i < n; i++) {
        _cleanup_(request) struct wipe_request r;

        wipe_request_init(&r);
        assert_true(wipe_request_parse(text, i, &r, NULL) < 0);
    }
    for (size_t i = 0; i < n; i++) {
        _cleanup_(request) struct wipe_request r;
        char kept = text[i];

        text[i] = (char)(kept ^ 1);
        wipe_request_init(&r);
        wipe_request_parse(text, n, &r, NULL);
        text[i] = kept;
    }
}

static void ladders_of_the_command_line(void **state)
{
    _cleanup_(request) struct wipe_request r;

    wipe_request_init(&r);
    assert_int_equal(wipe_request_set_methods(&r, "punch-hole, overwrite", NULL), 0);
    assert_int_equal(r.n_methods, 2);
    assert_int_equal(r.methods[0], CLEAR_PUNCH_HOLE);
    assert_true(wipe_request_set_methods(&r, "overwrite,", NULL) < 0);
    assert_true(wipe_request_set_methods(&r, "overwrite,overwrite", NULL) < 0);
    assert_true(wipe_request_set_methods(&r, "", NULL) < 0);
    assert_int_equal(
        wipe_request_set_methods(&r,
                                 "nvme-sanitize-crypto,nvme-sanitize-block,nvme-format-crypto,"
                                 "nvme-format-user-data,write-zeroes,overwrite,punch-hole,discard",
                                 NULL),
        0);
    assert_int_equal(r.n_methods, CLEAR_METHOD_MAX);
}

static void identities_are_given_once(void **state)
{
    _cleanup_(request) struct wipe_request r;

    wipe_request_init(&r);
    assert_int_equal(wipe_request_set_identity(&r, "serial", "A", NULL), 0);
    assert_true(wipe_request_set_identity(&r, "serial", "B", NULL) < 0);
    assert_true(wipe_request_set_identity(&r, "colour", "red", NULL) < 0);
    assert_true(wipe_request_set_identity(&r, "size", "", NULL) < 0);
    assert_string_equal(r.identity.value[IDENTITY_SERIAL], "A");
}

static void lines_are_read(void **state)
{
    static const char progress[] = "{\"event\":\"progress\",\"phase\":\"clearing\",\"method\":"
                                   "\"overwrite\",\"done\":3,\"total\":9,"
                                   "\"durable\":2,\"mibPerS\":5,\"secondsLeft\":7}";
    static const char refused[] =
        "{\"event\":\"error\",\"outcome\":\"refused\",\"guard\":\"mounted\","
        "\"culprit\":\"/srv\",\"message\":\"m\",\"durable\":0}";
    struct wipe_line l;

    assert_int_equal(wipe_line_parse(progress, strlen(progress), &l, NULL), 0);
    assert_int_equal(l.event, WIPE_EVENT_PROGRESS);
    assert_string_equal(l.phase, "clearing");
    assert_int_equal(l.done, 3);
    assert_int_equal(l.total, 9);
    assert_int_equal(l.durable, 2);
    assert_int_equal(l.seconds_left, 7);
    assert_int_equal(l.outcome, WIPE_OUTCOME_MAX);
    wipe_line_clear(&l);
    assert_int_equal(wipe_line_parse(refused, strlen(refused), &l, NULL), 0);
    assert_int_equal(l.outcome, WIPE_REFUSED);
    assert_string_equal(l.guard, "mounted");
    assert_string_equal(l.culprit, "/srv");
    wipe_line_clear(&l);
}

static void what_is_no_line(void **state)
{
    static const char *const texts[] = {"",
                                        "x",
                                        "[]",
                                        "{}",
                                        "{\"event\":1}",
                                        "{\"event\":\"hello\"}",
                                        "null",
                                        "{\"event\":\"cleared\"} {}",
                                        "{\"event\":\"progress\",\"done\":0e}"};

    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        struct wipe_line l;

        assert_true(wipe_line_parse(texts[i], strlen(texts[i]), &l, NULL) < 0);
    }
}

static void words_go_both_ways(void **state)
{
#define WALK(type, name, max)                                                      \
    for (int i = 0; i < (int)(max); i++) {                                         \
        type back;                                                                 \
        assert_int_equal(name##_from_string(name##_to_string((type)i), &back), 0); \
        assert_int_equal((int)back, i);                                            \
    }
    WALK(enum wipe_verb, wipe_verb, WIPE_VERB_MAX)
    WALK(enum wipe_verify, wipe_verify, WIPE_VERIFY_MAX)
    WALK(enum wipe_stage, wipe_stage, WIPE_STAGE_MAX)
    WALK(enum wipe_event, wipe_event, WIPE_EVENT_MAX)
    WALK(enum wipe_outcome, wipe_outcome, WIPE_OUTCOME_MAX)
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_read),
        cmocka_unit_test(a_request_goes_round),
        cmocka_unit_test(the_defaults_are_the_contracts),
        cmocka_unit_test(what_is_not_known_is_an_error),
        cmocka_unit_test(types_and_ranges),
        cmocka_unit_test(a_request_has_bounds),
        cmocka_unit_test(torn_and_bent_requests),
        cmocka_unit_test(ladders_of_the_command_line),
        cmocka_unit_test(identities_are_given_once),
        cmocka_unit_test(lines_are_read),
        cmocka_unit_test(what_is_no_line),
        cmocka_unit_test(words_go_both_ways),
    };

    return cmocka_run_group_tests_name("wipe protocol", tests, NULL, NULL);
}
