/* json-parse.c - a text of our own as an object: the whole of it, or an error that says why not
 *
 * Theory of operation. What is damaged is for a person to mend, and what there was no memory for is
 * there the next time: one must never be taken for the other. The library (0.16) does not help.
 * Where its parser is out of memory it gives nothing and knows of no error; or it leaves out what
 * it had no memory for, a member or a part of a string, and calls that a success. So the letters of
 * all names and strings are counted, in the text and in what has come of it. Where they differ it
 * was memory, unless the text is one that no object can hold: it names a member twice, or a letter
 * of it is half a letter or, in a name, NUL. To find that out takes no memory. (Nor is it JSON
 * where a name stands in single quotes, which the library takes.)
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

static uint32_t code_of_escape(const char *text)
{
    char hex[5] = "";

    memcpy(hex, text, 4);
    return (uint32_t)strtoul(hex, NULL, 16);
}

/* In UTF-8; of two halves of one letter each counts for a half of its four bytes. */
static size_t bytes_of_escape(const char *text)
{
    uint32_t code = code_of_escape(text);

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

/* --- What no object can hold, in a text that is well formed ---------------------------------- */

#define HALF_A_LETTER UINT32_MAX

static bool is_high_half(uint32_t code)
{
    return code >= 0xd800 && code < 0xdc00;
}

static bool is_low_half(uint32_t code)
{
    return code >= 0xdc00 && code < 0xe000;
}

static uint32_t next_escaped(const char **at)
{
    static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
    const char *letter;
    uint32_t code, low;

    if (**at != 'u') {
        letter = strchr(letters, *(*at)++);
        return (unsigned char)(letter ? meant[letter - letters] : (*at)[-1]);
    }
    code = code_of_escape(*at + 1);
    *at += 5;
    if (!is_high_half(code))
        return is_low_half(code) ? HALF_A_LETTER : code;
    low = (*at)[0] == '\\' && (*at)[1] == 'u' ? code_of_escape(*at + 2) : 0;
    if (!is_low_half(low))
        return HALF_A_LETTER;
    *at += 6;
    return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
}

/* However it is written. */
static uint32_t next_letter(const char **at)
{
    unsigned char first = (unsigned char)*(*at)++;
    unsigned more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
    uint32_t code = more ? first & (0x3fU >> more) : first;

    if (first == '\\')
        return next_escaped(at);
    while (more--)
        code = code << 6 | ((unsigned char)*(*at)++ & 0x3fU);
    return code;
}

/* From behind one quotation mark to behind the other. */
static const char *end_of_string(const char *at)
{
    for (; *at != '"'; at++)
        at += *at == '\\';
    return at + 1;
}

/* Of a string that ends here. */
static bool is_name(const char *end)
{
    return end[strspn(end, " \t\r\n")] == ':';
}

static bool equal_names(const char *a, const char *b)
{
    while (*a != '"' && *b != '"')
        if (next_letter(&a) != next_letter(&b))
            return false;
    return *a == *b;
}

/* Is there the same name in what follows of its object? */
static bool is_named_again(const char *name, const char *end)
{
    unsigned depth = 1;

    for (const char *at = end_of_string(name); at < end && depth > 0; at++) {
        if (*at == '{' || *at == '[')
            depth++;
        else if (*at == '}' || *at == ']')
            depth--;
        if (*at != '"')
            continue;
        if (depth == 1 && is_name(end_of_string(at + 1)) && equal_names(name, at + 1))
            return true;
        at = end_of_string(at + 1) - 1;
    }
    return false;
}

static bool has_single_quotes(const char *text, const char *end)
{
    for (const char *at = text; at < end; at++) {
        if (*at == '\'')
            return true;
        if (*at == '"')
            at = end_of_string(at + 1) - 1;
    }
    return false;
}

static bool can_be_held(const char *text, size_t n)
{
    const char *end = text + n;

    if (has_single_quotes(text, end))
        return false;
    for (const char *at = text; at < end; at++) {
        const char *string = at + 1, *behind;

        if (*at != '"')
            continue;
        behind = end_of_string(string);
        for (const char *letter = string; letter < behind - 1;) {
            uint32_t code = next_letter(&letter);

            if (code == HALF_A_LETTER || (code == 0 && is_name(behind)))
                return false;
        }
        if (is_name(behind) && is_named_again(string, end))
            return false;
        at = behind - 1;
    }
    return true;
}

int json_parse_object(const char *text, size_t n, json_object **ret)
{
    _cleanup_(json) json_object *o = NULL;
    int r;

    if (n == 0 || n >= INT32_MAX || *text != '{')
        return -EINVAL;
    r = parse(text, n, &o);
    if (r < 0)
        return r;
    if (count_in_object(o) != count_in_text(text, n))
        return can_be_held(text, n) ? -ENOMEM : -EINVAL;
    *ret = take(o);
    return 0;
}
