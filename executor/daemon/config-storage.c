/* config-storage.c - the kinds of value that local_storage.* has beside the common ones, and what
 * only all of it together can tell */
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

/* The member is untouched where the check refuses. */
static int parse_checked_list(const struct config_key *key, const char *text,
                              int (*check)(const struct words *, struct error **), void *member,
                              struct error **err)
{
    struct words list = {0};
    int r = config_type_list.parse(key, text, &list, err);

    if (r == 0)
        r = check(&list, err);
    if (r < 0) {
        config_type_list.clear(&list);
        return r;
    }
    config_type_list.clear(member);
    *(struct words *)member = list;
    return 0;
}

static int parse_methods(const struct config_key *key, const char *text, void *member,
                         struct error **err)
{
    return parse_checked_list(key, text, check_methods, member, err);
}

/* A pattern is matched with resolved paths, which begin at the root: another would never match, and
 * a local disk that was meant by it would be no local disk. */
static int check_globs(const struct words *list, struct error **err)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->items[i][0] != '/')
            return error_set(err, ERROR_CONFIGURATION,
                             "must be patterns of absolute paths, such as /dev/nvme*n*, not '%s'",
                             list->items[i]);
        for (size_t k = 0; k < i; k++)
            if (text_equal(list->items[i], list->items[k]))
                return error_set(err, ERROR_CONFIGURATION,
                                 "must have each pattern once, not '%s' again", list->items[i]);
    }
    return 0;
}

static int parse_globs(const struct config_key *key, const char *text, void *member,
                       struct error **err)
{
    return parse_checked_list(key, text, check_globs, member, err);
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
const struct config_type config_type_globs = {"list", parse_globs, format_list, clear_list};
const struct config_type config_type_clear_level = {"word", parse_level, format_text, clear_text};
const struct config_type config_type_verify = {"word", parse_verify, format_text, clear_text};
const struct config_type config_type_helper = {"helper", parse_helper, format_text, clear_text};

/* --- All of it together -------------------------------------------------------------------------
 */

/* What no device can make of the others: a format's worth is not known without its maker's word. */
static bool can_reach_purge(const struct words *methods)
{
    enum clear_method method;

    for (size_t i = 0; i < methods->n; i++)
        if (clear_method_from_string(methods->items[i], &method) == 0 &&
            (method == CLEAR_NVME_SANITIZE_CRYPTO || method == CLEAR_NVME_SANITIZE_BLOCK))
            return true;
    return false;
}

int config_check_storage(const struct config *c, struct error **err)
{
    if (!text_equal(c->local_level, "purge"))
        return 0;
    if (text_equal(c->local_verify, "none"))
        return error_set(err, ERROR_CONFIGURATION,
                         "local_storage.level is purge, which has to be verified, and "
                         "local_storage.verify is none");
    if (!can_reach_purge(&c->local_methods))
        return error_set(err, ERROR_CONFIGURATION,
                         "local_storage.level is purge, and no method of local_storage.methods "
                         "reaches it: add nvme-sanitize-crypto or nvme-sanitize-block, or set the "
                         "level to clear");
    return 0;
}
