/* document.c - see document.h */
#include "cli/document.h"

json_object *document_parse(const char *text, size_t n)
{
    struct json_tokener *tokener = text && n < INT32_MAX ? json_tokener_new() : NULL;
    _cleanup_(json) json_object *document = NULL;

    if (!tokener)
        return NULL;
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
    document = json_tokener_parse_ex(tokener, text, (int)n);
    if (json_tokener_get_error(tokener) != json_tokener_success)
        json_object_put(take(document));
    json_tokener_free(tokener);
    return json_object_is_type(document, json_type_object) ? take(document) : NULL;
}

const char *document_text(json_object *object, const char *key)
{
    const char *text = NULL;

    return json_get_string(object, key, &text) == 0 && text ? text : "";
}

uint64_t document_number(json_object *object, const char *key)
{
    uint64_t number = 0;

    return json_get_number(object, key, &number) == 0 ? number : 0;
}

usec_t document_time(json_object *object, const char *key)
{
    usec_t time = 0;

    return json_get_time(object, key, &time) == 0 ? time : 0;
}

json_object *document_object(json_object *object, const char *key)
{
    json_object *value = NULL;

    return json_get_object(object, key, &value) == 0 ? value : NULL;
}

size_t document_count(json_object *object, const char *key)
{
    json_object *array = NULL;

    return json_get_array(object, key, &array) == 0 ? json_object_array_length(array) : 0;
}

json_object *document_element(json_object *object, const char *key, size_t i)
{
    json_object *array = NULL;

    return json_get_array(object, key, &array) == 0 ? json_object_array_get_idx(array, i) : NULL;
}
