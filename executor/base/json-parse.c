/* json-parse.c - a text of our own as an object: the whole of it, or an error that says why not
 *
 * Theory of operation. What is damaged is for a person to mend, and what there was no memory for is
 * there the next time: one must never be taken for the other. The library (0.16) does not help.
 * Where its parser is out of memory it gives nothing and knows of no error; or it leaves out what
 * it had no memory for, a member or a part of a string, and calls that a success. So the letters of
 * all names and strings are counted, in the text and in what has come of it. Where they differ the
 * text is parsed once more, and if they still do it is the text: it names a member twice.
 */
#include "base/json.h"

#include <errno.h>
#include <string.h>

static void tokener_cleanup(json_tokener **t)
{
    if (*t)
        json_tokener_free(*t);
}

static int parse(const char *text, size_t n, json_object **ret)
{
    _cleanup_(tokener) json_tokener *t = json_tokener_new();
    _cleanup_(json) json_object *o = NULL;

    if (!t)
        return -ENOMEM;
    json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    o = json_tokener_parse_ex(t, text, (int)n);
    if (!o && json_tokener_get_error(t) == json_tokener_success)
        return -ENOMEM;
    if (!o || json_tokener_get_parse_end(t) != n)
        return -EINVAL;
    *ret = take(o);
    return 0;
}

/* In UTF-8; of two halves of one letter each counts for a half of its four bytes. */
static size_t bytes_of_escape(const char *text)
{
    char hex[5] = "";
    unsigned long code;

    memcpy(hex, text, 4);
    code = strtoul(hex, NULL, 16);
    if (code < 0x80)
        return 1;
    return code < 0x800 || (code >= 0xd800 && code < 0xe000) ? 2 : 3;
}

/* Of all that is quoted, in a text that is well formed. */
static size_t count_in_text(const char *text, size_t n)
{
    bool quoted = false;
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        if (text[i] == '"') {
            quoted = !quoted;
        } else if (quoted && text[i] == '\\' && text[i + 1] == 'u') {
            count += bytes_of_escape(text + i + 2);
            i += 5;
        } else if (quoted) {
            i += text[i] == '\\';
            count++;
        }
    }
    return count;
}

static size_t count_in_object(json_object *o)
{
    size_t count = 0;

    if (json_object_is_type(o, json_type_string))
        return (size_t)json_object_get_string_len(o);
    if (json_object_is_type(o, json_type_array))
        for (size_t i = 0; i < json_object_array_length(o); i++)
            count += count_in_object(json_object_array_get_idx(o, i));
    if (json_object_is_type(o, json_type_object)) {
        json_object_object_foreach(o, key, value) count += strlen(key) + count_in_object(value);
    }
    return count;
}

int json_parse_object(const char *text, size_t n, json_object **ret)
{
    if (n == 0 || n >= INT32_MAX || *text != '{')
        return -EINVAL;
    for (unsigned tries = 0; tries < 2; tries++) {
        _cleanup_(json) json_object *o = NULL;
        int r = parse(text, n, &o);

        if (r < 0)
            return r;
        if (count_in_object(o) == count_in_text(text, n)) {
            *ret = take(o);
            return 0;
        }
    }
    return -EINVAL;
}
