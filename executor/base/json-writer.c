/* json-writer.c - see json-writer.h */
#include "base/json-writer.h"

#include "base/utf8.h"

#include <string.h>

#define ROOM_LEAST 1024

void json_writer_reset(struct json_writer *w)
{
    w->size = 0;
    w->failed = w->follows = false;
}

void json_writer_clear(struct json_writer *w)
{
    free(w->text);
    *w = (struct json_writer){0};
}

static bool grow(struct json_writer *w, size_t n)
{
    size_t room = w->room ? w->room : ROOM_LEAST;
    char *grown;

    while (room - w->size <= n)
        room *= 2;
    grown = realloc(w->text, room);
    if (!grown) {
        w->failed = true;
        return false;
    }
    w->text = grown;
    w->room = room;
    return true;
}

/* Room for so many more bytes and a NUL; NULL: there is none. */
static inline char *reserve(struct json_writer *w, size_t n)
{
    if (w->failed || (w->room - w->size <= n && !grow(w, n)))
        return NULL;
    return w->text + w->size;
}

static inline void put_end(struct json_writer *w, const char *to)
{
    w->size = (size_t)(to - w->text);
}

/* Where a value of at most n bytes goes; what has to stand before it does. NULL: there is no room.
 */
static inline char *put_key(struct json_writer *w, struct json_key key, size_t n)
{
    char *to = reserve(w, key.size + 4 + n);

    if (!to)
        return NULL;
    if (w->follows)
        *to++ = ',';
    w->follows = true;
    if (key.text) {
        *to++ = '"';
        to = mempcpy(to, key.text, key.size);
        *to++ = '"';
        *to++ = ':';
    }
    return to;
}

static void put(struct json_writer *w, struct json_key key, const char *bytes, size_t n)
{
    char *to = put_key(w, key, n);

    if (to)
        put_end(w, mempcpy(to, bytes, n));
}

static char *escape(char *to, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char controls[] = "\b\t\n\f\r", letters[] = "btnfr";
    const char *found = c ? strchr(controls, c) : NULL;

    *to++ = '\\';
    if (c == '"' || c == '\\') {
        *to++ = (char)c;
    } else if (found) {
        *to++ = letters[found - controls];
    } else {
        memcpy(to, "u00", 3);
        to[3] = hex[c >> 4];
        to[4] = hex[c & 15];
        to += 5;
    }
    return to;
}

void json_put_begin(struct json_writer *w, struct json_key key, char kind)
{
    put(w, key, &kind, 1);
    w->follows = false;
}

static void put_byte(struct json_writer *w, char byte, bool follows)
{
    char *to = reserve(w, 1);

    if (!to)
        return;
    *to = byte;
    w->size++;
    w->follows = follows;
}

void json_write_end(struct json_writer *w, char kind)
{
    put_byte(w, kind, true);
}

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

static inline bool has_zero(uint64_t bytes)
{
    return (bytes - EACH_BYTE(1)) & ~bytes & EACH_BYTE(0x80);
}

/* Is each of eight bytes ASCII that stands for itself in a JSON string? */
static inline bool are_plain(uint64_t bytes)
{
    bool has_control = (bytes - EACH_BYTE(0x20)) & ~bytes & EACH_BYTE(0x80);

    return !(bytes & EACH_BYTE(0x80)) && !has_control && !has_zero(bytes ^ EACH_BYTE('"')) &&
           !has_zero(bytes ^ EACH_BYTE('\\'));
}

static bool is_plain(const char *value, size_t n)
{
    uint64_t bytes;

    for (; n >= sizeof(bytes); n -= sizeof(bytes), value += sizeof(bytes)) {
        memcpy(&bytes, value, sizeof(bytes));
        if (!are_plain(bytes))
            return false;
    }
    bytes = EACH_BYTE(' ');
    memcpy(&bytes, value, n);
    return are_plain(bytes);
}

static char *put_escaped(char *to, const char *value, size_t n)
{
    char *from = to;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)value[i];

        if (c < 0x20 || c == '"' || c == '\\')
            to = escape(to, c);
        else
            *to++ = (char)c;
    }
    utf8_repair(from, (size_t)(to - from));
    return to;
}

void json_put_string(struct json_writer *w, struct json_key key, const char *value)
{
    size_t n;
    bool plain;
    char *to;

    if (!value) {
        put(w, key, "null", 4);
        return;
    }
    n = strlen(value);
    plain = is_plain(value, n);
    to = put_key(w, key, (plain ? n : 6 * n) + 2); /* each byte may become \u0000 */
    if (!to)
        return;
    *to++ = '"';
    to = plain ? mempcpy(to, value, n) : put_escaped(to, value, n);
    *to++ = '"';
    put_end(w, to);
}

void json_put_bool(struct json_writer *w, struct json_key key, bool value)
{
    put(w, key, value ? "true" : "false", value ? 4 : 5);
}

void json_put_number(struct json_writer *w, struct json_key key, uint64_t value)
{
    char digits[20], *first = digits + sizeof(digits);

    do {
        *--first = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    put(w, key, first, (size_t)(digits + sizeof(digits) - first));
}

void json_put_time(struct json_writer *w, struct json_key key, usec_t realtime)
{
    char text[TIME_TEXT_SIZE];

    json_put_string(w, key, realtime ? time_to_text(realtime, text) : NULL);
}

void json_write_object(struct json_writer *w, const char *key, json_object *value)
{
    const char *text = "null";

    if (value)
        text = json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN |
                                                         JSON_C_TO_STRING_NOSLASHESCAPE);
    if (text)
        put(w, json_key(key), text, strlen(text));
    else
        w->failed = true;
}

void json_write_line_feed(struct json_writer *w)
{
    put_byte(w, '\n', false);
}

const char *json_written(const struct json_writer *w)
{
    if (w->failed || !w->text)
        return NULL;
    w->text[w->size] = '\0';
    return w->text;
}

char *json_writer_take(struct json_writer *w)
{
    char *text = json_written(w) ? take(w->text) : NULL;

    json_writer_clear(w);
    return text;
}
