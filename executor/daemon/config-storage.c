/* config-storage.c - the kinds of value that local_storage.* has beside the common ones */
#include "daemon/config-keys.h"

#include "stopd/storage.h"
#include "stopd/wipe-protocol.h"

#include <string.h>

static int parse_methods(const struct config_key *key, const char *text, void *member,
                         struct error **err)
{
    enum clear_method method;

    for (const char *rest = text; rest;) {
        char word[64];
        size_t blanks = strspn(rest, " \t"), length = strcspn(rest + blanks, ", \t");
        const char *comma = strchr(rest, ',');

        if (length == 0 || length >= sizeof(word))
            return error_set(err, ERROR_CONFIGURATION,
                             "must be methods with a comma between each two, not '%s'", text);
        memcpy(word, rest + blanks, length);
        word[length] = '\0';
        if (clear_method_from_string(word, &method) < 0)
            return error_set(err, ERROR_CONFIGURATION,
                             "must be methods such as nvme-format-user-data or overwrite, not '%s'",
                             word);
        rest = comma ? comma + 1 : NULL;
    }
    return config_type_list.parse(key, text, member, err);
}

static int parse_level(const struct config_key *key, const char *text, void *member,
                       struct error **err)
{
    enum clear_level level;

    if (clear_level_from_string(text, &level) < 0 || level == LEVEL_NONE)
        return error_set(err, ERROR_CONFIGURATION, "must be clear or purge, not '%s'", text);
    return config_type_text.parse(key, text, member, err);
}

static int parse_verify(const struct config_key *key, const char *text, void *member,
                        struct error **err)
{
    enum wipe_verify verify;

    if (wipe_verify_from_string(text, &verify) < 0)
        return error_set(err, ERROR_CONFIGURATION, "must be sample, full or none, not '%s'", text);
    return config_type_text.parse(key, text, member, err);
}

static int parse_helper(const struct config_key *key, const char *text, void *member,
                        struct error **err)
{
    bool spawned = strncmp(text, "spawn:", 6) == 0 && text[6];
    bool reached = strncmp(text, "unix:/", 6) == 0 && text[6];

    if (!spawned && !reached)
        return error_set(err, ERROR_CONFIGURATION, "must be spawn:PATH or unix:SOCKET, not '%s'",
                         text);
    return config_type_text.parse(key, text, member, err);
}

static void format_text(const void *member, FILE *to)
{
    config_type_text.format(member, to);
}

static void format_list(const void *member, FILE *to)
{
    config_type_list.format(member, to);
}

static void clear_text(void *member)
{
    config_type_text.clear(member);
}

static void clear_list(void *member)
{
    config_type_list.clear(member);
}

const struct config_type config_type_clear_methods = {"methods", parse_methods, format_list,
                                                      clear_list};
const struct config_type config_type_clear_level = {"word", parse_level, format_text, clear_text};
const struct config_type config_type_verify = {"word", parse_verify, format_text, clear_text};
const struct config_type config_type_helper = {"helper", parse_helper, format_text, clear_text};
