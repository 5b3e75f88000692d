/* test_json_parse.c - a text as an object: the whole of it or an error */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"

#include <errno.h>
#include <string.h>

static int parse(const char *text, json_object **ret)
{
    return json_parse_object(text, strlen(text), ret);
}

static void a_whole_object_is_what_it_says(void **state)
{
    static const char *const texts[] = {
        "{}",
        "{\"a\":1}",
        "{ } ", /* and white space behind it */
        "{\"a\":\"b:c\",\"d\":[\"e\",{\"f\":\"\\\"\\\\g\"},null,true,1.5]}",
        "{\"Z\xc3\xbcrich\":\"\xf0\x9f\x92\xbe \\n\\t\\u0001\"}",
        "{\"a\":\"\\u00fc\\u20ac\\ud83d\\udcbe\\/\"}",
        "{\"\":\"\",\"a\":{\"\":{}}}",
    };

    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        _cleanup_(json) json_object *ours = NULL, *theirs = json_tokener_parse(texts[i]);

        assert_int_equal(parse(texts[i], &ours), 0);
        assert_true(json_object_equal(ours, theirs));
    }
}

static void anything_else_is_an_error(void **state)
{
    static const char *const texts[] = {
        "",
        "null",
        "[]",
        "{",
        "{\"a\":1",
        "{} x",
        "{}{}",
        "{\"a\":1,}",
        "{'a':1}",
        "{\"a\":\"\xff\"}",
        "{\"a\":1,\"a\":1}", /* which one is meant? */
        "{\"a\":{\"bc\":1,\"bc\":2}}",
    };

    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        json_object *o = NULL;

        if (parse(texts[i], &o) != -EINVAL)
            fail_msg("%s is taken for an object", texts[i]);
        assert_null(o);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_object_is_what_it_says),
        cmocka_unit_test(anything_else_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
