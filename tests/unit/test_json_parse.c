/* test_json_parse.c - a text as an object: the whole of it or an error */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"

#include <errno.h>
#include <string.h>

/* The parser has no memory for one that it meets, from now on, and calls that a success. */
static const char *lost;

json_object *__real_json_tokener_parse_ex(struct json_tokener *t, const char *text, int n);
json_object *__wrap_json_tokener_parse_ex(struct json_tokener *t, const char *text, int n);
json_object *__wrap_json_tokener_parse_ex(struct json_tokener *t, const char *text, int n)
{
    json_object *o = __real_json_tokener_parse_ex(t, text, n);

    if (o && lost)
        json_object_object_del(o, lost);
    return o;
}

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
        "{\"a\":1,'\"b':2}",
        "{\"a\":\"\xff\"}",
        "{\"a\":1,\"a\":1}", /* which one is meant? */
        "{\"a\":{\"bc\":1,\"bc\":2}}",
        "{\"a\":[1,{\"b\":2}],\"c\":\"}\",\"\\u0061\" :3}",
        "{\"\xf0\x9f\x92\xbe\":1,\"b\":2,\"\\ud83d\\udcbe\":3}",
        "{\"\xc3\xbc\\/\\n\":1,\"\\u00FC/\\u000a\":3}",
        "{\"a\":\"\\ud83d\"}", /* half a letter */
        "{\"a\":\"\\udcbe\\ud83d\"}",
        "{\"a\\u0000b\":1}",
    };

    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        json_object *o = NULL;

        if (parse(texts[i], &o) != -EINVAL)
            fail_msg("%s is taken for an object", texts[i]);
        assert_null(o);
    }
}

/* However long there is none: what is called damaged a person is told to delete. */
static void want_of_memory_is_never_damage(void **state)
{
    static const char *const texts[] = {
        "{\"b\":1}",
        "{\"a\":{\"a\":1},\"b\":[{\"c\":1},{\"c\":2}],\"c\":\"a\",\"d\":\"b\"}",
        "{\"b\":\"\\\"a\\\":1,\\\"a\\\":2\",\"ba\":1,\"a\":\"\\u0000\",\"B\":\"\\ud83d\\udcbe\"}",
        "{\"b\":{\"a\":{},\"c\":\"c\"},\"a\":{\"b\":\"b\",\"\":[\"b\",\"b\"]},\"\\u00fc\":"
        "\"\xc3\xbc\"}",
    };

    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        json_object *o = NULL;

        lost = "b";
        for (unsigned tries = 0; tries < 3; tries++)
            if (parse(texts[i], &o) != -ENOMEM)
                fail_msg("%s without one of its members is another thing than want of memory",
                         texts[i]);
        lost = NULL;
        assert_int_equal(parse(texts[i], &o), 0);
        json_object_put(o);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_object_is_what_it_says),
        cmocka_unit_test(anything_else_is_an_error),
        cmocka_unit_test(want_of_memory_is_never_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
