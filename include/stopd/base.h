/* base.h - the few words of C that every room shares: time, ownership, printf checking */
#ifndef STOPD_BASE_H
#define STOPD_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>
#include <uuid/uuid.h>

/* Microseconds, as systemd counts them. USEC_NEVER is a deadline that does not come. */
typedef uint64_t usec_t;
#define USEC_NEVER UINT64_MAX
#define USEC_PER_MSEC ((usec_t)1000)
#define USEC_PER_SEC ((usec_t)1000000)

/* One look at both clocks. Deadlines are counted on the monotonic one, which restarts with the
 * machine; what a person or another machine reads is the real one. */
struct moment {
    usec_t monotonic; /* CLOCK_MONOTONIC */
    usec_t realtime;  /* CLOCK_REALTIME, since the epoch */
};

struct moment moment_now(void);

/* An RFC 4122 UUID as text with its NUL, and the size of an RFC 3339 time in UTC with milliseconds
 * ("2026-11-24T10:23:45.123Z"). */
#define UUID_TEXT_SIZE 37
#define TIME_TEXT_SIZE 32

/* A new UUID, which begins with the time (version 7); RequestIds are in upper case, event ids in
 * lower. */
void uuid_new_upper(char ret[static UUID_TEXT_SIZE]);
void uuid_new_lower(char ret[static UUID_TEXT_SIZE]);
const char *time_to_text(usec_t realtime, char ret[static TIME_TEXT_SIZE]);
/* Returns 0 or -EINVAL, then *ret is untouched. */
int time_from_text(const char *text, usec_t *ret);

#define _cleanup_(f) __attribute__((__cleanup__(f##_cleanup)))
#define _printf_(format, first) __attribute__((__format__(__printf__, format, first)))
#define _unused_ __attribute__((__unused__))
#define _nodiscard_ __attribute__((__warn_unused_result__))

/* Defines what _cleanup_(f) calls for a pointer type that f() frees. Every such f accepts NULL. */
#define DEFINE_CLEANUP(type, f)             \
    static inline void f##_cleanup(type *p) \
    {                                       \
        f(*p);                              \
    }                                       \
    struct base_swallow_semicolon

static inline void freep_cleanup(void *p)
{
    free(*(void **)p);
}

void close_cleanup(int *fd); /* _cleanup_(close) int fd = -1; keeps errno */

/* Hands on what a _cleanup_ variable holds. */
#define take(p)                          \
    __extension__({                      \
        __typeof__(p) take_value_ = (p); \
        (p) = NULL;                      \
        take_value_;                     \
    })

#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))

static inline bool is_set(const char *s)
{
    return s && *s;
}

bool text_equal(const char *a, const char *b);      /* NULL equals only NULL */
bool text_equal_case(const char *a, const char *b); /* the same, ASCII case apart */
int text_replace(char **s, const char *value);      /* strdup into *s; 0 or -ENOMEM */
char *text_vformat(const char *format, va_list ap); /* NULL where there is no memory */

/* Reads until there is no more, or no room. Returns how much, or a negative errno. */
ssize_t read_up_to(int fd, char *buffer, size_t size);

/* An enum's words, in its order. text_index() is the position of a word, or -1. */
int text_index(const char *const *words, size_t n, const char *word);

/* For an enum that has its words in a table: X_to_string() gives NULL for a value out of range,
 * X_from_string() 0, or -EINVAL and *ret untouched. */
#define DEFINE_ENUM_WORDS(type, name, max, ...)                                \
    static const char *const name##_words[max] = {__VA_ARGS__};                \
    const char *name##_to_string(type value)                                   \
    {                                                                          \
        return (unsigned)value < (unsigned)(max) ? name##_words[value] : NULL; \
    }                                                                          \
    int name##_from_string(const char *word, type *ret)                        \
    {                                                                          \
        int i = text_index(name##_words, max, word);                           \
        if (i < 0)                                                             \
            return -22; /* EINVAL */                                           \
        *ret = (type)i;                                                        \
        return 0;                                                              \
    }                                                                          \
    struct base_swallow_semicolon
#define DECLARE_ENUM_WORDS(type, name)        \
    const char *name##_to_string(type value); \
    int name##_from_string(const char *word, type *ret)

#endif
