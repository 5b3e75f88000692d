/* json.h - building and reading JSON objects with errors that cannot be overlooked
 *
 * json_add_*() return 0 or -ENOMEM; a chain of them can be or-ed together, for any failure makes
 * the whole negative. json_get_*() return 0, or -EINVAL where the member is missing or of another
 * type, and then leave *ret alone. */
#ifndef STOPD_BASE_JSON_H
#define STOPD_BASE_JSON_H

#include "stopd/base.h"

#include <json-c/json.h>

static inline void json_cleanup(json_object **o)
{
    json_object_put(*o);
}

/* A NULL value is JSON's null. */
int json_add_string(json_object *object, const char *key, const char *value);
int json_add_bool(json_object *object, const char *key, bool value);
int json_add_number(json_object *object, const char *key, uint64_t value);
/* RFC 3339; 0 is null. */
int json_add_time(json_object *object, const char *key, usec_t realtime);
/* Takes value; a NULL value is a failed allocation. */
int json_add(json_object *object, const char *key, json_object *value);
int json_append(json_object *array, json_object *value);
/* The object as compact JSON, in memory of the caller's. */
int json_to_text(json_object *o, char **ret);

/* The text as one whole object. Returns 0; -EINVAL where it is anything else, or names a member
 * twice; -ENOMEM. See json-parse.c. */
int json_parse_object(const char *text, size_t n, json_object **ret);

/* *ret points into the object; NULL for null. */
int json_get_string(json_object *object, const char *key, const char **ret);
int json_get_bool(json_object *object, const char *key, bool *ret);
int json_get_number(json_object *object, const char *key, uint64_t *ret);
int json_get_time(json_object *object, const char *key, usec_t *ret);
int json_get_object(json_object *object, const char *key, json_object **ret);
int json_get_array(json_object *object, const char *key, json_object **ret);

#endif
