/* parameters-json.c - a command's parameters out of a JSON object, as a queue brings them
 *
 * Theory of operation. The values become texts, and the one set of rules reads them as it does
 * those of HTTP. The parser keeps the last of two members of one name, and so would hide that a
 * command says two things at once: hence the members are counted in the text too, and a difference
 * is a repeated one.
 */
#include "core/command.h"

#include <json-c/json.h>
#include <string.h>

#define DEPTH_MOST 8

static int malformed(struct error **err)
{
    return error_set(err, ERROR_INVALID_PARAMETER, "The body must be a JSON object of parameters.");
}

static json_object *parse(const char *text, size_t size)
{
    struct json_tokener *t = json_tokener_new_ex(DEPTH_MOST);
    json_object *o = NULL;

    if (!t)
        return NULL;
    json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    if (size < INT32_MAX)
        o = json_tokener_parse_ex(t, text, (int)size);
    if (o && (json_tokener_get_error(t) != json_tokener_success ||
              json_tokener_get_parse_end(t) != size)) {
        json_object_put(o);
        o = NULL;
    }
    json_tokener_free(t);
    return o;
}

/* Of the outermost object, in a text that is well formed: its colons. */
static int count_members(const char *text, size_t size)
{
    bool quoted = false;
    int depth = 0, n = 0;

    for (size_t i = 0; i < size; i++) {
        char c = text[i];

        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (quoted)
            continue;
        else if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']')
            depth--;
        else if (c == ':' && depth == 1)
            n++;
    }
    return n;
}

static int add_member(struct parameters *p, const char *name, json_object *value,
                      struct error **err)
{
    const char *text = "";

    if (json_object_is_type(value, json_type_object) ||
        json_object_is_type(value, json_type_array) || json_object_is_type(value, json_type_double))
        return error_set(err, ERROR_INVALID_PARAMETER,
                         "The parameter %.64s must be a string, a whole number or a boolean.",
                         name);
    if (value)
        text = json_object_get_string(value);
    if (!text)
        return error_no_memory(err);
    if (json_object_is_type(value, json_type_string) &&
        strlen(text) != (size_t)json_object_get_string_len(value))
        return error_set(err, ERROR_INVALID_PARAMETER, "The parameter %.64s has a NUL in it.",
                         name);
    return parameters_add(p, name, text) < 0 ? error_no_memory(err) : 0;
}

int parameters_add_json(struct parameters *p, const char *text, size_t size, struct error **err)
{
    json_object *o = parse(text, size);
    int r = 0;

    if (!json_object_is_type(o, json_type_object)) {
        json_object_put(o);
        return malformed(err);
    }
    if (count_members(text, size) != json_object_object_length(o))
        r = error_set(err, ERROR_INVALID_PARAMETER, "A parameter is given twice.");
    json_object_object_foreach(o, name, value)
    {
        if (r == 0)
            r = add_member(p, name, value, err);
    }
    json_object_put(o);
    return r;
}
