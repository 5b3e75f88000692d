/* test_api_units.c - the API's parts that need no socket: decoding, rate, rendering, rights */
#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/caller.h"
#include "api/rate.h"
#include "api/render.h"
#include "api/route.h"
#include "api/urlencoded.h"
#include "base/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* --- urlencoded --------------------------------------------------------------------------- */

static void a_form_is_decoded_in_its_order(void **state)
{
    static const char form[] = "&a=1&b=&c&d=x%3d%26%2By+z&a=2&=&e==&";
    static const char *const wanted[][2] = {
        {"a", "1"}, {"b", ""}, {"c", ""}, {"d", "x=&+y z"}, {"a", "2"}, {"", ""}, {"e", "="},
    };
    struct parameters p = {0};

    assert_int_equal(urlencoded_parse(form, sizeof(form) - 1, &p, NULL), 0);
    assert_int_equal(p.n, ELEMENTSOF(wanted));
    for (size_t i = 0; i < p.n; i++) {
        assert_string_equal(p.items[i].name, wanted[i][0]);
        assert_string_equal(p.items[i].value, wanted[i][1]);
    }
    parameters_clear(&p);
}

static void what_cannot_be_decoded_is_there_and_an_error(void **state)
{
    static const char *const pairs[] = {
        "n=%",    "n=%4",         "n=%4g",    "n=%-1",       "n=%00",
        "n=\x80", "n=%c3",        "n=%c3%28", "n=%e0%80%af", "n=%f8%88%80%80%80",
        "n=a b",  "n=%ef%bf%bf%",
    };

    for (size_t i = 0; i < ELEMENTSOF(pairs); i++) {
        _cleanup_(error_free) struct error *err = NULL;
        struct parameters p = {0};

        assert_true(urlencoded_parse(pairs[i], strlen(pairs[i]), &p, &err) < 0);
        assert_int_equal(error_code_of(err), ERROR_INVALID_PARAMETER);
        assert_non_null(strstr(error_message(err), " n "));
        assert_string_equal(parameters_get(&p, "n"), pairs[i] + 2);
        parameters_clear(&p);
    }
}

/* All of Unicode, and nothing else. */
static void utf_8_is_what_unicode_says(void **state)
{
    for (uint32_t c = 1; c < 0x120000; c += c < 0x3000 ? 1 : 37) {
        _cleanup_(freep) char *decoded = NULL;
        char text[5] = {0};
        int n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4, r;
        bool is_character = c < 0xd800 || (c > 0xdfff && c < 0x110000);

        if (c == ' ' || c == '%')
            continue;
        for (int i = n - 1; i > 0; i--)
            text[n - i] = (char)(0x80 | (c >> 6 * (i - 1) & 0x3f));
        text[0] = (char)(n == 1   ? c
                         : n == 2 ? 0xc0 | c >> 6
                         : n == 3 ? 0xe0 | c >> 12
                                  : 0xf0 | c >> 18);
        r = urlencoded_decode(text, (size_t)n, false, &decoded);
        assert_int_equal(r, is_character ? 0 : -EINVAL);
    }
}

static void there_is_a_most_to_parameters(void **state)
{
    _cleanup_(freep) char *form = malloc(2 * PARAMETERS_MOST + 2);
    _cleanup_(error_free) struct error *err = NULL;
    struct parameters p = {0};

    for (size_t i = 0; i < PARAMETERS_MOST + 1; i++)
        memcpy(form + 2 * i, "a&", 2);
    assert_int_equal(urlencoded_parse(form, 2 * PARAMETERS_MOST, &p, &err), 0);
    assert_int_equal(p.n, PARAMETERS_MOST);
    parameters_clear(&p);
    assert_true(urlencoded_parse(form, 2 * PARAMETERS_MOST + 2, &p, &err) < 0);
    parameters_clear(&p);
}

/* --- rate --------------------------------------------------------------------------------- */

static void no_second_has_more_calls_than_it_may(void **state)
{
    _cleanup_(rate_free) struct rate *r = rate_new(5);
    usec_t passed[2000], now = 1000 * USEC_PER_SEC;
    unsigned seed = 1, n = 0;

    for (int i = 0; i < 2000; i++) {
        now += (usec_t)rand_r(&seed) % (i % 100 < 50 ? 20000 : 400000);
        if (rate_take(r, "alice", now) == 0)
            passed[n++] = now;
    }
    assert_true(n > 100);
    for (unsigned i = 5; i < n; i++)
        assert_true(passed[i] - passed[i - 5] >= USEC_PER_SEC);
}

static void whoever_waits_as_told_may_call(void **state)
{
    _cleanup_(rate_free) struct rate *r = rate_new(2);
    usec_t now = USEC_PER_SEC, wait;

    assert_int_equal(rate_take(r, "alice", now), 0);
    assert_int_equal(rate_take(r, "alice", now + 300000), 0);
    wait = rate_take(r, "alice", now + 400000);
    assert_int_equal(wait, 600000);
    assert_int_equal(rate_take(r, "alice", now + 400000 + wait - 1), 1);
    assert_int_equal(rate_take(r, "alice", now + 400000 + wait), 0);
}

static void callers_are_counted_apart(void **state)
{
    _cleanup_(rate_free) struct rate *r = rate_new(1);
    char name[32];

    assert_int_equal(rate_take(r, "alice", 1), 0);
    assert_int_equal(rate_take(r, "bob", 1), 0);
    assert_true(rate_take(r, "alice", 2) > 0);
    /* Those that were not seen for longest are forgotten first. */
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "caller %u", i);
        assert_int_equal(rate_take(r, name, 10 + 2 * i), 0);
        assert_true(rate_take(r, "alice", 11 + 2 * i) > 0);
    }
}

static void without_a_rate_there_is_no_bound(void **state)
{
    _cleanup_(rate_free) struct rate *r = rate_new(0);

    for (int i = 0; i < 1000; i++)
        assert_int_equal(rate_take(r, "alice", 1), 0);
}

/* --- rendering ---------------------------------------------------------------------------- */

static void json_becomes_xml(void **state)
{
    _cleanup_(json) json_object *body =
        json_tokener_parse("{\"A\":\"<&>\\u0001\\t\\\"'\",\"B\":[1,2,{\"C\":true}],\"D\":null,"
                           "\"E\":{},\"F\":[],\"G\":\"\xe4\xb8\xad\"}");
    _cleanup_(freep) char *xml = render_xml("Root", body);
    _cleanup_(freep) char *json = render_json(body);

    assert_string_equal(xml,
                        "<Root><A>&lt;&amp;&gt;?\t\"'</A><B>1</B><B>2</B><B><C>true</C></B><D/>"
                        "<E/><G>\xe4\xb8\xad</G></Root>");
    assert_string_equal(json, "{\"A\":\"<&>\\u0001\\t\\\"'\",\"B\":[1,2,{\"C\":true}],\"D\":null,"
                              "\"E\":{},\"F\":[],\"G\":\"\xe4\xb8\xad\"}");
}

static void every_error_has_a_body(void **state)
{
    for (int code = ERROR_NONE + 1; code < ERROR_MAX; code++) {
        _cleanup_(json) json_object *body = render_error("ID", "host", (enum error_code)code, NULL);
        const char *text;

        assert_int_equal(json_get_string(body, "Code", &text), 0);
        assert_string_equal(text, error_public_code((enum error_code)code));
        assert_int_equal(json_get_string(body, "Message", &text), 0);
        assert_non_null(text);
        assert_int_equal(json_object_object_length(body), 4);
    }
}

/* --- access ------------------------------------------------------------------------------- */

static void rights_follow_from_groups(void **state)
{
    static const char *const operators[] = {"root", "4711"}, *const readers[] = {"4712"},
                             *const star[] = {"*"},
                             *const junk[] = {"", "-1", "0x10", "99999999999", "4711x"};
    gid_t in_none[] = {1}, in_4711[] = {1, 4711}, in_4712[] = {4712, 1};
    struct api_settings settings = {.operators = {operators, 2}, .readers = {readers, 1}};
    struct access a = {0};

    assert_int_equal(access_set(&a, &settings), 0);
    assert_int_equal(access_of(&a, &(struct caller){.groups = in_none, .n_groups = 1}), RIGHT_NONE);
    assert_int_equal(access_of(&a, &(struct caller){.groups = in_4711, .n_groups = 2}),
                     RIGHT_CHANGE);
    assert_int_equal(access_of(&a, &(struct caller){.groups = in_4712, .n_groups = 2}), RIGHT_READ);
    assert_int_equal(
        access_of(&a, &(struct caller){.is_local_root = true, .groups = in_none, .n_groups = 1}),
        RIGHT_CHANGE);
    settings = (struct api_settings){.operators = {junk, 5}, .readers = {star, 1}};
    assert_int_equal(access_set(&a, &settings), 0);
    assert_int_equal(access_of(&a, &(struct caller){.groups = in_none, .n_groups = 1}), RIGHT_READ);
    assert_int_equal(access_of(&a, &(struct caller){.groups = in_4711, .n_groups = 2}), RIGHT_READ);
    assert_int_equal(a.operators.n, 0);
    access_clear(&a);
}

/* --- routes ------------------------------------------------------------------------------- */

/* What changes something needs the right to, and does not happen on a GET: but for the cloud's own
 * dialect, which decides by its action. */
static void routes_that_change_things_are_guarded(void **state)
{
    const struct route *routes;
    size_t n;

    routes = routes_all(&n);
    for (size_t i = 0; i < n; i++) {
        assert_non_null(routes[i].handle);
        if (text_equal(routes[i].pattern, "/"))
            continue;
        if (routes[i].verbs & VERB_POST) {
            assert_int_equal(routes[i].verbs, VERB_POST);
            assert_int_equal(routes[i].right, RIGHT_CHANGE);
        } else {
            assert_int_equal(routes[i].verbs, VERB_GET | VERB_HEAD);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_form_is_decoded_in_its_order),
        cmocka_unit_test(what_cannot_be_decoded_is_there_and_an_error),
        cmocka_unit_test(utf_8_is_what_unicode_says),
        cmocka_unit_test(there_is_a_most_to_parameters),
        cmocka_unit_test(no_second_has_more_calls_than_it_may),
        cmocka_unit_test(whoever_waits_as_told_may_call),
        cmocka_unit_test(callers_are_counted_apart),
        cmocka_unit_test(without_a_rate_there_is_no_bound),
        cmocka_unit_test(json_becomes_xml),
        cmocka_unit_test(every_error_has_a_body),
        cmocka_unit_test(rights_follow_from_groups),
        cmocka_unit_test(routes_that_change_things_are_guarded),
    };

    return cmocka_run_group_tests_name("api: parts", tests, NULL, NULL);
}
