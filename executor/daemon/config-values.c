/* config-values.c - the kinds of value that a key can have: how each is read, and written
 *
 * Every kind writes what it can read again, and writes a default the way that the manual does; a
 * test walks the table of keys both ways.
 */
#include "daemon/config-keys.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/un.h>

static int refuse(struct error **err, const char *must, const char *text)
{
    return error_set(err, ERROR_CONFIGURATION, "must be %s, not '%s'", must, text);
}

/* --- Texts --------------------------------------------------------------------------------- */

static int take_text(const char *text, void *member, struct error **err)
{
    return text_replace(member, text) < 0 ? error_no_memory(err) : 0;
}

static int parse_optional(const struct config_key *key, const char *text, void *member,
                          struct error **err)
{
    return take_text(text, member, err);
}

static int parse_text(const struct config_key *key, const char *text, void *member,
                      struct error **err)
{
    if (!is_set(text))
        return error_set(err, ERROR_CONFIGURATION, "must not be empty");
    return take_text(text, member, err);
}

/* A host's name goes into URIs and subjects: only characters that no one of them has to escape. */
static int parse_name(const struct config_key *key, const char *text, void *member,
                      struct error **err)
{
    size_t length = strlen(text);

    if (length == 0 || length > 128)
        return refuse(err, "1 to 128 characters long", text);
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("-._", text[i]))
            return refuse(err, "of letters, digits, '-', '.' and '_'", text);
    return take_text(text, member, err);
}

static int parse_socket(const struct config_key *key, const char *text, void *member,
                        struct error **err)
{
    const size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

    if (!is_set(text) || strlen(text) > most)
        return error_set(err, ERROR_CONFIGURATION,
                         "must be a path of 1 to %zu characters, not '%s'", most, text);
    return take_text(text, member, err);
}

static int parse_sink(const struct config_key *key, const char *text, void *member,
                      struct error **err)
{
    if (!text_equal(text, "file") && !text_equal(text, "nats") && !text_equal(text, "webhook"))
        return refuse(err, "file, nats or webhook", text);
    return take_text(text, member, err);
}

static void format_text(const void *member, FILE *to)
{
    const char *const *text = member;

    fputs(*text ? *text : "", to);
}

static void clear_text(void *member)
{
    char **text = member;

    free(*text);
    *text = NULL;
}

const struct config_type config_type_text = {"text", parse_text, format_text, clear_text};
const struct config_type config_type_optional = {"text", parse_optional, format_text, clear_text};
const struct config_type config_type_name = {"name", parse_name, format_text, clear_text};
const struct config_type config_type_path = {"path", parse_text, format_text, clear_text};
const struct config_type config_type_socket = {"path", parse_socket, format_text, clear_text};
const struct config_type config_type_sink = {"word", parse_sink, format_text, clear_text};

/* --- Numbers ------------------------------------------------------------------------------- */

/* Digits at the head of text, in a base of at most ten; *end is behind them. */
static int parse_digits(const char *text, unsigned base, const char **end, uint64_t *ret)
{
    uint64_t number = 0;
    const char *c = text;

    for (; *c >= '0' && *c < (char)('0' + base); c++)
        if (__builtin_mul_overflow(number, (uint64_t)base, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*c - '0'), &number))
            return -ERANGE;
    if (c == text)
        return -EINVAL;
    *end = c;
    *ret = number;
    return 0;
}

static int parse_count(const struct config_key *key, const char *text, void *member,
                       struct error **err)
{
    uint64_t number;
    const char *end;

    if (parse_digits(text, 10, &end, &number) < 0 || *end || number < key->least ||
        number > key->most)
        return error_set(err, ERROR_CONFIGURATION,
                         "must be a whole number from %" PRIu64 " to %" PRIu64 ", not '%s'",
                         key->least, key->most, text);
    *(unsigned *)member = (unsigned)number;
    return 0;
}

static void format_count(const void *member, FILE *to)
{
    fprintf(to, "%u", *(const unsigned *)member);
}

static int parse_mode(const struct config_key *key, const char *text, void *member,
                      struct error **err)
{
    uint64_t number;
    const char *end;

    if (parse_digits(text, 8, &end, &number) < 0 || *end || number > key->most)
        return refuse(err, "an octal mode such as 0660", text);
    *(unsigned *)member = (unsigned)number;
    return 0;
}

static void format_mode(const void *member, FILE *to)
{
    fprintf(to, "%04o", *(const unsigned *)member);
}

const struct config_type config_type_count = {"number", parse_count, format_count, NULL};
const struct config_type config_type_mode = {"mode", parse_mode, format_mode, NULL};

/* --- Durations ----------------------------------------------------------------------------- */

#define MINUTE (60 * USEC_PER_SEC)

static const struct {
    const char *suffix;
    usec_t usec;
} units[] = {
    {"h", 60 * MINUTE},
    {"m", MINUTE},
    {"s", USEC_PER_SEC},
    {"ms", USEC_PER_MSEC},
};

/* In the largest unit that is whole, but in minutes from ten on only, so that a grace of 120s reads
 * as it is documented. */
static void format_duration(const void *member, FILE *to)
{
    usec_t value = *(const usec_t *)member;

    for (size_t i = 0; i < ELEMENTSOF(units); i++) {
        usec_t unit = units[i].usec;

        if (value == 0 || value % unit != 0 || (unit == MINUTE && value < 10 * MINUTE))
            continue;
        fprintf(to, "%" PRIu64 "%s", value / unit, units[i].suffix);
        return;
    }
    fprintf(to, "%" PRIu64 "ms", value / USEC_PER_MSEC);
}

static int refuse_duration(const struct config_key *key, const char *text, struct error **err)
{
    char words[128];
    FILE *to = fmemopen(words, sizeof(words), "w");

    if (!to)
        return error_no_memory(err);
    fputs("a duration (500ms, 30s, 10m, 72h) from ", to);
    format_duration(&key->least, to);
    fputs(" to ", to);
    format_duration(&key->most, to);
    fclose(to);
    return refuse(err, words, text);
}

static int parse_duration(const struct config_key *key, const char *text, void *member,
                          struct error **err)
{
    usec_t unit = USEC_PER_SEC, value;
    const char *suffix;

    if (parse_digits(text, 10, &suffix, &value) < 0)
        return refuse_duration(key, text, err);
    if (*suffix) {
        unit = 0;
        for (size_t i = 0; i < ELEMENTSOF(units); i++)
            if (text_equal(units[i].suffix, suffix))
                unit = units[i].usec;
    }
    if (unit == 0 || __builtin_mul_overflow(value, unit, &value) || value < key->least ||
        value > key->most)
        return refuse_duration(key, text, err);
    *(usec_t *)member = value;
    return 0;
}

const struct config_type config_type_duration = {"duration", parse_duration, format_duration, NULL};

/* --- Lists --------------------------------------------------------------------------------- */

static void clear_list(void *member)
{
    struct words *list = member;

    for (size_t i = 0; i < list->n; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct words){0};
}

static void words_cleanup(struct words *list)
{
    clear_list(list);
}

static int append_word(struct words *list, const char *word, size_t length)
{
    char **items = reallocarray(list->items, list->n + 2, sizeof(*items));

    if (!items)
        return -ENOMEM;
    list->items = items;
    items[list->n] = strndup(word, length);
    if (!items[list->n])
        return -ENOMEM;
    items[++list->n] = NULL;
    return 0;
}

/* Words with commas between them, blanks around each ignored. An empty text is an empty list; an
 * empty word in a list is more likely a slip, so it is an error. */
static int parse_list(const struct config_key *key, const char *text, void *member,
                      struct error **err)
{
    _cleanup_(words) struct words list = {.items = calloc(1, sizeof(char *))};

    if (!list.items)
        return error_no_memory(err);
    for (const char *rest = is_set(text) ? text : NULL; rest;) {
        size_t field = strcspn(rest, ","), blanks = strspn(rest, " \t"), length = field;

        while (length > blanks && strchr(" \t", rest[length - 1]))
            length--;
        if (length <= blanks)
            return refuse(err, "words with a comma between each two", text);
        if (append_word(&list, rest + blanks, length - blanks) < 0)
            return error_no_memory(err);
        rest = rest[field] ? rest + field + 1 : NULL;
    }
    clear_list(member);
    *(struct words *)member = list;
    list = (struct words){0};
    return 0;
}

static void format_list(const void *member, FILE *to)
{
    const struct words *list = member;

    for (size_t i = 0; i < list->n; i++)
        fprintf(to, "%s%s", i > 0 ? "," : "", list->items[i]);
}

const struct config_type config_type_list = {"list", parse_list, format_list, clear_list};

/* --- Words of an enum ---------------------------------------------------------------------- */

/* In an enum that has it, the empty word means "unset", which is nothing that a file can say. */
#define DEFINE_WORD_TYPE(type, words, must)                                                \
    static int parse_##words(const struct config_key *key, const char *text, void *member, \
                             struct error **err)                                           \
    {                                                                                      \
        if (!is_set(text) || words##_from_string(text, (type *)member) < 0)                \
            return refuse(err, must, text);                                                \
        return 0;                                                                          \
    }                                                                                      \
    static void format_##words(const void *member, FILE *to)                               \
    {                                                                                      \
        fputs(words##_to_string(*(const type *)member), to);                               \
    }                                                                                      \
    struct base_swallow_semicolon

DEFINE_WORD_TYPE(enum stop_method, stop_method, "acpi, agent or agent,acpi");
DEFINE_WORD_TYPE(enum timeout_action, timeout_action, "fail or force");
DEFINE_WORD_TYPE(enum stopped_mode, stopped_mode, "KeepCharging or StopCharging");
DEFINE_WORD_TYPE(enum log_level, log_level, "error, warning, notice, info or debug");
DEFINE_WORD_TYPE(enum log_format, log_format, "auto, journald, text or json");

const struct config_type config_type_method = {"word", parse_stop_method, format_stop_method, NULL};
const struct config_type config_type_on_timeout = {"word", parse_timeout_action,
                                                   format_timeout_action, NULL};
const struct config_type config_type_stopped_mode = {"word", parse_stopped_mode,
                                                     format_stopped_mode, NULL};
const struct config_type config_type_log_level = {"word", parse_log_level, format_log_level, NULL};
const struct config_type config_type_log_format = {"word", parse_log_format, format_log_format,
                                                   NULL};
