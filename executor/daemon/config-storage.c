/* config-storage.c - the kinds of value that local_storage.* has beside the common ones */
#include "daemon/config-keys.h"

#include "stopd/storage.h"
#include "stopd/wipe-protocol.h"

#include <string.h>
#include <sys/un.h>

/* A ladder without a rung, or with one twice, is nothing that the helper takes. */
static int check_methods(const struct words *list, struct error **err)
{
    bool seen[CLEAR_METHOD_MAX] = {false};
    enum clear_method method;

    if (list->n == 0)
        return error_set(err, ERROR_CONFIGURATION, "must have at least one method");
    for (size_t i = 0; i < list->n; i++) {
        if (clear_method_from_string(list->items[i], &method) < 0)
            return error_set(err, ERROR_CONFIGURATION,
                             "must be methods such as nvme-format-user-data or overwrite, not '%s'",
                             list->items[i]);
        if (seen[method])
            return error_set(err, ERROR_CONFIGURATION, "must have each method once, not '%s' again",
                             list->items[i]);
        seen[method] = true;
    }
    return 0;
}

static int parse_methods(const struct config_key *key, const char *text, void *member,
                         struct error **err)
{
    struct words list = {0};
    int r = config_type_list.parse(key, text, &list, err);

    if (r == 0)
        r = check_methods(&list, err);
    if (r < 0) {
        config_type_list.clear(&list);
        return r;
    }
    config_type_list.clear(member);
    *(struct words *)member = list;
    return 0;
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
    const size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

    if (!spawned && !reached)
        return error_set(err, ERROR_CONFIGURATION, "must be spawn:PATH or unix:SOCKET, not '%s'",
                         text);
    if (reached && strlen(text + strlen("unix:")) > most)
        return error_set(err, ERROR_CONFIGURATION,
                         "must be a socket with a path of at most %zu characters, not '%s'", most,
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
