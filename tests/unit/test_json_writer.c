/* test_json_writer.c - what is written straight down reads as what was meant; ids and times */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/json-writer.h"

#include <string.h>
#include <time.h>

static void each_kind_of_value_is_written(void **state)
{
    _cleanup_(json_writer) struct json_writer w = {0};
    json_object *tree = json_tokener_parse("{\"a\": [1, \"/\"]}");

    json_write_begin(&w, NULL, '{');
    json_write_string(&w, "text", "a word");
    json_write_string(&w, "nothing", NULL);
    json_write_bool(&w, "yes", true);
    json_write_bool(&w, "no", false);
    json_write_number(&w, "none", 0);
    json_write_number(&w, "most", UINT64_MAX);
    json_write_time(&w, "at", 1700000000123456);
    json_write_time(&w, "never", 0);
    json_write_object(&w, "tree", tree);
    json_write_object(&w, "no tree", NULL);
    json_write_begin(&w, "empty", '[');
    json_write_end(&w, ']');
    json_write_begin(&w, "list", '[');
    json_write_begin(&w, NULL, '{');
    json_write_end(&w, '}');
    json_write_string(&w, NULL, "second");
    json_write_end(&w, ']');
    json_write_end(&w, '}');
    assert_string_equal(
        json_written(&w),
        "{\"text\":\"a word\",\"nothing\":null,\"yes\":true,\"no\":false,\"none\":0,"
        "\"most\":18446744073709551615,\"at\":\"2023-11-14T22:13:20.123Z\","
        "\"never\":null,\"tree\":{\"a\":[1,\"/\"]},\"no tree\":null,\"empty\":[],"
        "\"list\":[{},\"second\"]}");
    assert_int_equal(strlen(json_written(&w)), w.size);
    json_object_put(tree);
}

/* Of every byte, in every surrounding, a reader gets back what was given. */
static void every_byte_comes_back(void **state)
{
    _cleanup_(json_writer) struct json_writer w = {0};

    for (unsigned c = 1; c < 0x80; c++) {
        const char text[] = {(char)c, 'x', (char)c, (char)c, '\0'};
        json_object *read;

        json_writer_reset(&w);
        json_write_string(&w, NULL, text);
        for (const char *each = json_written(&w); *each; each++)
            assert_in_range(*each, 0x20, 0x7f); /* this reader would not mind */
        read = json_tokener_parse(json_written(&w));
        if (!json_object_is_type(read, json_type_string) ||
            strcmp(json_object_get_string(read), text) != 0)
            fail_msg("0x%02x is written as %s", c, json_written(&w));
        json_object_put(read);
    }
    json_writer_reset(&w);
    json_write_string(&w, NULL, "\xc3\xa9\xe2\x82\xac");
    assert_string_equal(json_written(&w), "\"\xc3\xa9\xe2\x82\xac\"");
}

/* Wherever it stands: eight bytes are looked at together where they can be. */
static void one_odd_byte_changes_nothing_around_it(void **state)
{
    _cleanup_(json_writer) struct json_writer w = {0};

    for (unsigned size = 1; size < 20; size++)
        for (unsigned at = 0; at < size; at++)
            for (unsigned byte = 1; byte < 256; byte++) {
                char value[20] = {0};
                json_object *read;

                memset(value, 'z', size);
                value[at] = (char)byte;
                json_writer_reset(&w);
                json_write_string(&w, NULL, value);
                read = json_tokener_parse(json_written(&w));
                if (byte >= 0x80)
                    value[at] = '?';
                assert_string_equal(json_object_get_string(read), value);
                json_object_put(read);
            }
}

/* The journal's reader takes nothing else than UTF-8, and what it refuses is a damaged journal. */
static void what_is_written_is_utf8(void **state)
{
    _cleanup_(json_writer) struct json_writer w = {0};

    for (unsigned c = 0x80; c < 0x100; c++) {
        const char text[] = {'x', (char)c, 'y', (char)c, '\0'};
        json_tokener *strict = json_tokener_new();
        json_object *read;

        json_tokener_set_flags(strict, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        json_writer_reset(&w);
        json_write_string(&w, NULL, text);
        assert_string_equal(json_written(&w), "\"x?y?\"");
        read = json_tokener_parse_ex(strict, json_written(&w), (int)w.size + 1);
        assert_non_null(read);
        json_object_put(read);
        json_tokener_free(strict);
    }
    json_writer_reset(&w);
    json_write_string(&w, NULL, "cut: \xc3\xa9\xc3");
    assert_string_equal(json_written(&w), "\"cut: \xc3\xa9?\"");
}

static void a_text_may_be_long(void **state)
{
    _cleanup_(json_writer) struct json_writer w = {0};
    _cleanup_(freep) char *text = NULL;
    json_object *read;

    json_write_begin(&w, NULL, '[');
    for (unsigned i = 0; i < 10000; i++)
        json_write_number(&w, NULL, i);
    json_write_end(&w, ']');
    text = json_writer_take(&w);
    assert_null(w.text);
    read = json_tokener_parse(text);
    assert_int_equal(json_object_array_length(read), 10000);
    json_object_put(read);
}

static void a_writer_is_used_again(void **state)
{
    _cleanup_(json_writer) struct json_writer w = {0};

    assert_null(json_written(&w));
    w.failed = true;
    json_write_string(&w, NULL, "lost");
    assert_null(json_written(&w));
    json_writer_reset(&w);
    json_write_bool(&w, NULL, true);
    assert_string_equal(json_written(&w), "true");
}

static void times_are_written_as_the_library_would(void **state)
{
    static const usec_t times[] = {
        0,
        999,
        1000,
        951782399999000,
        951782400000000,
        1732444800123456,
        4102444799999999,
        253402300799999999, /* the last one of the year 9999 */
    };

    for (size_t i = 0; i < ELEMENTSOF(times); i++) {
        time_t seconds = (time_t)(times[i] / USEC_PER_SEC);
        char ours[TIME_TEXT_SIZE], theirs[TIME_TEXT_SIZE];
        struct tm tm;
        usec_t back;

        gmtime_r(&seconds, &tm);
        strftime(theirs, sizeof(theirs), "%Y-%m-%dT%H:%M:%S", &tm);
        time_to_text(times[i], ours);
        assert_memory_equal(ours, theirs, strlen(theirs));
        assert_int_equal(time_from_text(ours, &back), 0);
        assert_int_equal(back, times[i] / USEC_PER_MSEC * USEC_PER_MSEC);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_value_is_written),
        cmocka_unit_test(every_byte_comes_back),
        cmocka_unit_test(one_odd_byte_changes_nothing_around_it),
        cmocka_unit_test(what_is_written_is_utf8),
        cmocka_unit_test(a_text_may_be_long),
        cmocka_unit_test(a_writer_is_used_again),
        cmocka_unit_test(times_are_written_as_the_library_would),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
