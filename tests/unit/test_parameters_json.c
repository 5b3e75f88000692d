/* test_parameters_json.c - a command's parameters out of JSON: what is there, and nothing guessed
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/command.h"

#include <stdio.h>
#include <string.h>

/* "A=1;B=2;", or the error's name. */
static const char *read_text(const char *json, size_t size)
{
    static char text[512];
    _cleanup_(error_free) struct error *err = NULL;
    struct parameters p = {0};
    size_t used = 0;

    text[0] = '\0';
    if (parameters_add_json(&p, json, size, &err) < 0)
        snprintf(text, sizeof(text), "%s", error_name(error_code_of(err)));
    else
        for (size_t i = 0; i < p.n; i++)
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s=%s;", p.items[i].name,
                                     p.items[i].value);
    parameters_clear(&p);
    return text;
}

static void values_become_texts(void **state)
{
    static const struct {
        const char *json, *read;
    } rows[] = {
        {"{}", ""},
        {"{\"InstanceId\":\"i-1\",\"ForceStop\":true,\"GracePeriod\":90}",
         "InstanceId=i-1;ForceStop=true;GracePeriod=90;"},
        {" { \"A\" : \"1\" , \"B\" : null } ", "A=1;B=;"},
        {"{\"A\":\"x:{}[]\\\"\\\\\",\"B\":\"\\u00fc\"}", "A=x:{}[]\"\\;B=ü;"},
        {"{\"A\":false}", "A=false;"},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        assert_string_equal(read_text(rows[i].json, strlen(rows[i].json)), rows[i].read);
}

static void what_says_two_things_or_none_is_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "   ",
        "null",
        "true",
        "\"InstanceId\"",
        "[\"InstanceId\"]",
        "{",
        "{\"A\":1",
        "{\"A\":1}}",
        "{\"A\":1} {}",
        "{\"A\":1,}",
        "{A:1}",
        "{'A':'1'}",
        "{\"A\":1.5}",
        "{\"A\":[]}",
        "{\"A\":{\"B\":1}}",
        "{\"A\":\"1\\u0000\"}",
        "{\"A\":\"\xff\"}",
        /* A parser keeps the last, or the first. */
        "{\"A\":\"1\",\"A\":\"2\"}",
        "{\"A\":\"1\",\"\\u0041\":\"1\"}",
        "{\"A\":\"a:b\",\"A\":\"a:b\"}",
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const char *read = read_text(rows[i], strlen(rows[i]));

        if (strcmp(read, "INVALID_PARAMETER") != 0)
            fail_msg("%s was read as %s", rows[i], read);
    }
    assert_string_equal(read_text("{\"A\":1}\0{}", 10), "INVALID_PARAMETER");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_become_texts),
        cmocka_unit_test(what_says_two_things_or_none_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
