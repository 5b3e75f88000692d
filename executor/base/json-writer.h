/* json-writer.h - JSON written straight down as text, for what is written with every command
 *
 * An object tree is built to be looked at; what is only to be stored or sent needs none. A writer
 * is used on one thread at a time, and can be used again, which spares it the memory of each text.
 * A failed allocation is remembered: json_written() tells. */
#ifndef STOPD_BASE_JSON_WRITER_H
#define STOPD_BASE_JSON_WRITER_H

#include "stopd/base.h"

#include <json-c/json.h>
#include <string.h>

struct json_writer {
    char *text;
    size_t size, room;
    bool failed;
    bool follows; /* something stands before, in the object or array that is open */
};

/* Begins anew, in the same memory. */
void json_writer_reset(struct json_writer *w);
/* Frees it. All zeroes is a writer as well. */
void json_writer_clear(struct json_writer *w);
static inline void json_writer_cleanup(struct json_writer *w)
{
    json_writer_clear(w);
}

/* So that the length of a key that stands in the code is no work. */
struct json_key {
    const char *text;
    size_t size;
};
static inline struct json_key json_key(const char *text)
{
    return (struct json_key){text, text ? strlen(text) : 0};
}
void json_put_begin(struct json_writer *w, struct json_key key, char kind);
void json_put_string(struct json_writer *w, struct json_key key, const char *value);
void json_put_bool(struct json_writer *w, struct json_key key, bool value);
void json_put_number(struct json_writer *w, struct json_key key, uint64_t value);
void json_put_time(struct json_writer *w, struct json_key key, usec_t realtime);

/* key: NULL in an array, and for the outermost value. It is written as it is: one that needs no
 * escapes. kind: '{' or '['; its end is the other one. */
static inline void json_write_begin(struct json_writer *w, const char *key, char kind)
{
    json_put_begin(w, json_key(key), kind);
}
void json_write_end(struct json_writer *w, char kind);
/* NULL is JSON's null. A byte that is no part of UTF-8 is written as '?': the journal's reader and
 * those of events would refuse the whole. */
static inline void json_write_string(struct json_writer *w, const char *key, const char *value)
{
    json_put_string(w, json_key(key), value);
}
static inline void json_write_bool(struct json_writer *w, const char *key, bool value)
{
    json_put_bool(w, json_key(key), value);
}
static inline void json_write_number(struct json_writer *w, const char *key, uint64_t value)
{
    json_put_number(w, json_key(key), value);
}
/* RFC 3339; 0 is null. */
static inline void json_write_time(struct json_writer *w, const char *key, usec_t realtime)
{
    json_put_time(w, json_key(key), realtime);
}
/* A tree, which stays the caller's; NULL is null. */
void json_write_object(struct json_writer *w, const char *key, json_object *value);
/* A line feed, between documents that share a text. */
void json_write_line_feed(struct json_writer *w);

/* The text, which is the writer's; NULL: there was no memory for all of it. */
const char *json_written(const struct json_writer *w);
/* The text, which is the caller's then; the writer is empty. NULL as above. */
char *json_writer_take(struct json_writer *w);

#endif
