/* json.c - see json.h */
#include "base/json.h"

#include <errno.h>

int json_add(json_object *object, const char *key, json_object *value)
{
    if (!value)
        return -ENOMEM;
    if (json_object_object_add(object, key, value) < 0) {
        json_object_put(value);
        return -ENOMEM;
    }
    return 0;
}

int json_to_text(json_object *o, char **ret)
{
    const char *text =
        json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

    return text ? text_replace(ret, text) : -ENOMEM;
}

int json_append(json_object *array, json_object *value)
{
    if (!value)
        return -ENOMEM;
    if (json_object_array_add(array, value) < 0) {
        json_object_put(value);
        return -ENOMEM;
    }
    return 0;
}

int json_add_string(json_object *object, const char *key, const char *value)
{
    if (!value)
        return json_object_object_add(object, key, NULL) < 0 ? -ENOMEM : 0;
    return json_add(object, key, json_object_new_string(value));
}

int json_add_bool(json_object *object, const char *key, bool value)
{
    return json_add(object, key, json_object_new_boolean(value));
}

int json_add_number(json_object *object, const char *key, uint64_t value)
{
    return json_add(object, key, json_object_new_uint64(value));
}

int json_add_time(json_object *object, const char *key, usec_t realtime)
{
    char text[TIME_TEXT_SIZE];

    return json_add_string(object, key, realtime ? time_to_text(realtime, text) : NULL);
}

static int get(json_object *object, const char *key, json_object **ret)
{
    if (!json_object_is_type(object, json_type_object) ||
        !json_object_object_get_ex(object, key, ret))
        return -EINVAL;
    return 0;
}

static int get_typed(json_object *object, const char *key, json_type type, json_object **ret)
{
    json_object *value;

    if (get(object, key, &value) < 0 || !json_object_is_type(value, type))
        return -EINVAL;
    *ret = value;
    return 0;
}

int json_get_string(json_object *object, const char *key, const char **ret)
{
    json_object *value;

    if (get(object, key, &value) < 0)
        return -EINVAL;
    if (!value) {
        *ret = NULL;
        return 0;
    }
    if (!json_object_is_type(value, json_type_string))
        return -EINVAL;
    *ret = json_object_get_string(value);
    return 0;
}

int json_get_bool(json_object *object, const char *key, bool *ret)
{
    json_object *value;

    if (get_typed(object, key, json_type_boolean, &value) < 0)
        return -EINVAL;
    *ret = json_object_get_boolean(value);
    return 0;
}

int json_get_number(json_object *object, const char *key, uint64_t *ret)
{
    json_object *value;

    if (get_typed(object, key, json_type_int, &value) < 0)
        return -EINVAL;
    if (json_object_get_int64(value) < 0)
        return -EINVAL;
    *ret = json_object_get_uint64(value);
    return 0;
}

int json_get_time(json_object *object, const char *key, usec_t *ret)
{
    const char *text;

    if (json_get_string(object, key, &text) < 0)
        return -EINVAL;
    if (!text) {
        *ret = 0;
        return 0;
    }
    return time_from_text(text, ret);
}

int json_get_object(json_object *object, const char *key, json_object **ret)
{
    return get_typed(object, key, json_type_object, ret);
}

int json_get_array(json_object *object, const char *key, json_object **ret)
{
    return get_typed(object, key, json_type_array, ret);
}
