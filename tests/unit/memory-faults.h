/* memory-faults.h - memory that runs out at the Nth time that it is asked for
 *
 * The linker puts these functions in the place of the C library's and json-c's wherever our own
 * code calls them (--wrap, see memory-faults.wrapped), and SQLite is given an allocator that counts
 * the same. Include it once in a program, and call memory_install() before SQLite is used. */
#ifndef STOPD_TESTS_MEMORY_FAULTS_H
#define STOPD_TESTS_MEMORY_FAULTS_H

#include <json-c/json.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* MEMORY_MEMBERS: of a text that json-c parses, an object's member. */
enum memory_of { MEMORY_OURS, MEMORY_TABLES, MEMORY_MEMBERS, MEMORY_SQLITE };

static struct {
    bool is_armed, is_calm;
    enum memory_of of;
    long countdown; /* the request that makes it 0 fails */
    bool for_good;  /* all later ones fail too */
    bool failed;    /* one has */
} memory;

static inline void memory_arm(enum memory_of of, long n, bool for_good)
{
    memory.is_armed = true;
    memory.of = of;
    memory.countdown = n;
    memory.for_good = for_good;
    memory.failed = false;
}

static inline void memory_disarm(void)
{
    memory.is_armed = false;
}

static inline bool memory_is_out(enum memory_of of)
{
    if (!memory.is_armed || memory.is_calm || memory.of != of ||
        (memory.failed && !memory.for_good) || (!memory.failed && --memory.countdown > 0))
        return false;
    memory.failed = true;
    return true;
}

/* --- The C library's -------------------------------------------------------------------------- */

#define MEMORY_WRAP(type, name, parameters, arguments, failure)                \
    type __real_##name parameters;                                             \
    type __wrap_##name parameters;                                             \
    type __wrap_##name parameters                                              \
    {                                                                          \
        return memory_is_out(MEMORY_OURS) ? failure : __real_##name arguments; \
    }

MEMORY_WRAP(void *, malloc, (size_t n), (n), NULL)
MEMORY_WRAP(void *, calloc, (size_t n, size_t size), (n, size), NULL)
MEMORY_WRAP(void *, realloc, (void *p, size_t n), (p, n), NULL)
MEMORY_WRAP(void *, reallocarray, (void *p, size_t n, size_t size), (p, n, size), NULL)
MEMORY_WRAP(char *, strdup, (const char *s), (s), NULL)
MEMORY_WRAP(char *, strndup, (const char *s, size_t n), (s, n), NULL)
MEMORY_WRAP(FILE *, open_memstream, (char **text, size_t *size), (text, size), NULL)
MEMORY_WRAP(int, vasprintf, (char **s, const char *format, va_list ap), (s, format, ap), -1)
MEMORY_WRAP(int, __vasprintf_chk, (char **s, int flag, const char *format, va_list ap),
            (s, flag, format, ap), -1)

int __wrap_asprintf(char **s, const char *format, ...) _printf_(2, 3);
int __wrap_asprintf(char **s, const char *format, ...)
{
    va_list ap;
    int r;

    va_start(ap, format);
    r = __wrap_vasprintf(s, format, ap);
    va_end(ap);
    return r;
}

int __wrap___asprintf_chk(char **s, int flag, const char *format, ...) _printf_(3, 4);
int __wrap___asprintf_chk(char **s, int flag, const char *format, ...)
{
    va_list ap;
    int r;

    va_start(ap, format);
    r = __wrap_vasprintf(s, format, ap);
    va_end(ap);
    return r;
}

/* --- json-c's --------------------------------------------------------------------------------- */

MEMORY_WRAP(json_object *, json_object_new_object, (void), (), NULL)
MEMORY_WRAP(json_object *, json_object_new_array, (void), (), NULL)
MEMORY_WRAP(json_object *, json_object_new_string, (const char *s), (s), NULL)
MEMORY_WRAP(json_object *, json_object_new_boolean, (json_bool b), (b), NULL)
MEMORY_WRAP(json_object *, json_object_new_uint64, (uint64_t n), (n), NULL)
MEMORY_WRAP(int, json_object_object_add, (json_object * o, const char *key, json_object *value),
            (o, key, value), -1)
MEMORY_WRAP(int, json_object_array_add, (json_object * o, json_object *value), (o, value), -1)
MEMORY_WRAP(const char *, json_object_to_json_string_ext, (json_object * o, int flags), (o, flags),
            NULL)
MEMORY_WRAP(int, json_object_deep_copy,
            (json_object * o, json_object **ret, json_c_shallow_copy_fn *copy), (o, ret, copy), -1)
MEMORY_WRAP(struct json_tokener *, json_tokener_new, (void), (), NULL)
MEMORY_WRAP(struct lh_table *, lh_kchar_table_new, (int size, lh_entry_free_fn *free_entry),
            (size, free_entry), NULL)

/* What the parser asks for is asked for inside the library, which (0.16) gives nothing and knows of
 * no error, or leaves out the member that it has no memory for. */
static inline bool memory_lose_member(json_object *o)
{
    json_object_object_foreach(o, key, value)
    {
        if (memory_is_out(MEMORY_MEMBERS)) {
            json_object_object_del(o, key);
            return true;
        }
        if (json_object_is_type(value, json_type_object) && memory_lose_member(value))
            return true;
    }
    return false;
}

json_object *__real_json_tokener_parse_ex(struct json_tokener *t, const char *text, int n);
json_object *__wrap_json_tokener_parse_ex(struct json_tokener *t, const char *text, int n);
json_object *__wrap_json_tokener_parse_ex(struct json_tokener *t, const char *text, int n)
{
    json_object *o;

    if (memory_is_out(MEMORY_OURS))
        return NULL;
    o = __real_json_tokener_parse_ex(t, text, n);
    if (json_object_is_type(o, json_type_object))
        memory_lose_member(o);
    return o;
}

/* A table asks for memory where it has to grow, and only there. */
int __real_lh_table_resize(struct lh_table *t, int size);
int __wrap_lh_table_resize(struct lh_table *t, int size);
int __wrap_lh_table_resize(struct lh_table *t, int size)
{
    return memory_is_out(MEMORY_TABLES) ? -1 : __real_lh_table_resize(t, size);
}

int __real_lh_table_insert(struct lh_table *t, const void *k, const void *v);
int __wrap_lh_table_insert(struct lh_table *t, const void *k, const void *v);
int __wrap_lh_table_insert(struct lh_table *t, const void *k, const void *v)
{
    bool grows = t->count >= t->size * LH_LOAD_FACTOR;

    return grows && memory_is_out(MEMORY_TABLES) ? -1 : __real_lh_table_insert(t, k, v);
}

/* --- SQLite's --------------------------------------------------------------------------------- */

static sqlite3_mem_methods memory_of_sqlite;

static inline void *memory_sqlite_malloc(int n)
{
    return memory_is_out(MEMORY_SQLITE) ? NULL : memory_of_sqlite.xMalloc(n);
}

static inline void *memory_sqlite_realloc(void *p, int n)
{
    return memory_is_out(MEMORY_SQLITE) ? NULL : memory_of_sqlite.xRealloc(p, n);
}

static inline void memory_install(void)
{
    sqlite3_mem_methods counting;

    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory_of_sqlite);
    counting = memory_of_sqlite;
    counting.xMalloc = memory_sqlite_malloc;
    counting.xRealloc = memory_sqlite_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &counting) != SQLITE_OK)
        abort();
}

#endif
