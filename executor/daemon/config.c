/* config.c - the configuration: defaults, then files, then settings, each over the former
 *
 * Theory of operation. The table in config-keys.c says what keys there are. A default is a text
 * that goes the same way as a line of a file, so that there is one way for a value to come in, and
 * what the manual calls the default is what is in force. What only the whole can tell (a sink
 * without a place to go, a host without a name) is checked when all has been read. Nothing is
 * guessed: a key that is not known, or not yet supported, is an error that names its place.
 */
#include "daemon/config.h"
#include "daemon/config-file.h"
#include "daemon/config-keys.h"
#include "daemon/config-network.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define DEFAULT_DIRECTORY "/etc/stopd"
#define MACHINE_ID "/etc/machine-id"

static void *member_of(void *object, const struct config_key *key)
{
    return (char *)object + key->offset;
}

static const void *const_member_of(const void *object, const struct config_key *key)
{
    return (const char *)object + key->offset;
}

static bool is_of_sink(const struct config_key *key)
{
    return text_equal(key->section, SINK_SECTION);
}

/* Frees the members of a struct config, or of a struct config_sink. */
static void clear_members(void *object, bool of_sink)
{
    size_t n;
    const struct config_key *keys = config_keys(&n);

    for (size_t i = 0; i < n; i++)
        if (keys[i].type && keys[i].type->clear && is_of_sink(&keys[i]) == of_sink)
            keys[i].type->clear(member_of(object, &keys[i]));
}

void config_free(struct config *c)
{
    if (!c)
        return;
    clear_members(c, false);
    for (size_t i = 0; i < c->n_sinks; i++) {
        free(c->sinks[i].name);
        clear_members(&c->sinks[i], true);
    }
    free(c->sinks);
    free(c);
}

static void config_builder_cleanup(struct config_builder *b)
{
    for (size_t i = 0; b->config && i < b->config->n_sinks; i++)
        free(b->sink_origins[i]);
    free(b->sink_origins);
    config_free(b->config);
}

/* --- One key ------------------------------------------------------------------------------- */

/* The name becomes part of subjects and of the journal's cursors. */
static int check_sink_name(const char *name, struct error **err)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("-._", name[i]))
            return error_set(err, ERROR_CONFIGURATION,
                             "a sink's name is of letters, digits, '-', '.' and '_', not '%s'",
                             name);
    if (length > SINK_NAME_MOST)
        return error_set(err, ERROR_CONFIGURATION, "a sink's name has at most %d characters",
                         SINK_NAME_MOST);
    return 0;
}

static int add_sink(struct config_builder *b, const char *name, const char *origin,
                    struct error **err)
{
    struct config *c = b->config;
    struct config_sink *sinks = reallocarray(c->sinks, c->n_sinks + 1, sizeof(*sinks));
    char **origins;

    if (!sinks)
        return error_no_memory(err);
    c->sinks = sinks;
    origins = reallocarray(b->sink_origins, c->n_sinks + 1, sizeof(*origins));
    if (!origins)
        return error_no_memory(err);
    b->sink_origins = origins;
    sinks[c->n_sinks] = (struct config_sink){.name = strdup(name)};
    origins[c->n_sinks] = strdup(origin);
    c->n_sinks++;
    return sinks[c->n_sinks - 1].name && origins[c->n_sinks - 1] ? 0 : error_no_memory(err);
}

/* The sink of this name; a new one takes its place behind the others. */
static int find_sink(struct config_builder *b, const char *name, const char *origin,
                     struct config_sink **ret, struct error **err)
{
    int r;

    for (size_t i = 0; i < b->config->n_sinks; i++)
        if (text_equal(b->config->sinks[i].name, name)) {
            *ret = &b->config->sinks[i];
            return 0;
        }
    r = check_sink_name(name, err);
    if (r == 0)
        r = add_sink(b, name, origin, err);
    if (r == 0)
        *ret = &b->config->sinks[b->config->n_sinks - 1];
    return r;
}

static int refuse_unknown(const char *section, const char *name, struct error **err)
{
    if (!config_section_exists(section))
        return error_set(err, ERROR_CONFIGURATION, "unknown section [%s]", section);
    return error_set(err, ERROR_CONFIGURATION, "unknown key %s.%s", section, name);
}

static int set_key(struct config_builder *b, const char *origin, const char *section,
                   const char *name, const char *value, struct error **err)
{
    const struct config_key *key = config_key_find(section, name);
    struct config_sink *sink = NULL;
    const char *sink_name;
    void *object = b->config;

    if (!key)
        return refuse_unknown(section, name, err);
    if (!key->type)
        return error_set(err, ERROR_CONFIGURATION, "%s.%s is not supported by this version",
                         section, name);
    for (const char *c = value; *c; c++)
        if (iscntrl((unsigned char)*c) && *c != '\t')
            return error_set(err, ERROR_CONFIGURATION, "%s.%s has a control character", section,
                             name);
    if (config_section_is_sink(section, &sink_name)) {
        int r = find_sink(b, sink_name, origin, &sink, err);

        if (r < 0)
            return r;
        object = sink;
    }
    if (key->type->parse(key, value, member_of(object, key), err) < 0)
        return error_context(err, "%s.%s", section, name);
    return 0;
}

int config_build(struct config_builder *b, const char *origin, const char *section,
                 const char *name, const char *value, struct error **err)
{
    if (set_key(b, origin, section, name, value, err) < 0)
        return error_context(err, "%s", origin);
    return 0;
}

/* --- The whole ----------------------------------------------------------------------------- */

static int set_defaults(struct config_builder *b, struct error **err)
{
    size_t n;
    const struct config_key *keys = config_keys(&n);
    int r = 0;

    for (size_t i = 0; i < n && r == 0; i++)
        if (keys[i].fallback)
            r = config_build(b, "default", keys[i].section, keys[i].name, keys[i].fallback, err);
    return r;
}

/* "SECTION.KEY=VALUE"; the section is all before the last dot, for a sink's name may have dots
 * itself. */
static int set_setting(struct config_builder *b, const char *setting, struct error **err)
{
    const char *equals = strchr(setting, '=');
    const char *dot = equals ? memrchr(setting, '.', (size_t)(equals - setting)) : NULL;
    _cleanup_(freep) char *section = NULL;
    _cleanup_(freep) char *name = NULL;

    if (!dot)
        return error_set(err, ERROR_CONFIGURATION, "--set %s: must be SECTION.KEY=VALUE", setting);
    section = strndup(setting, (size_t)(dot - setting));
    name = strndup(dot + 1, (size_t)(equals - dot - 1));
    if (!section || !name)
        return error_no_memory(err);
    return config_build(b, "--set", section, name, equals + 1, err);
}

/* The id that systemd gives a machine at its first start; "uninitialized" while it is that start.
 */
static int find_host_id(struct config_builder *b, struct error **err)
{
    _cleanup_(freep) char *line = NULL;
    size_t size = 0;
    FILE *file;
    ssize_t length = -1;

    if (b->config->host_id)
        return 0;
    file = fopen(MACHINE_ID, "re");
    if (file) {
        length = getline(&line, &size, file);
        fclose(file);
    }
    if (length > 0 && line[length - 1] == '\n')
        line[--length] = '\0';
    if (length <= 0 || text_equal(line, "uninitialized"))
        return error_set(err, ERROR_CONFIGURATION,
                         "host.id is not set, and %s does not have one: set host.id", MACHINE_ID);
    return config_build(b, MACHINE_ID, "host", "id", line, err);
}

static int check_sinks(const struct config_builder *b, struct error **err)
{
    for (size_t i = 0; i < b->config->n_sinks; i++) {
        const struct config_sink *sink = &b->config->sinks[i];

        if (!sink->type || !sink->peer.url)
            return error_set(err, ERROR_CONFIGURATION, "%s: [%s%s] has no %s", b->sink_origins[i],
                             SINK_PREFIX, sink->name, sink->type ? "url" : "type");
        if (config_check_sink(sink, err) < 0)
            return error_context(err, "%s: [%s%s]", b->sink_origins[i], SINK_PREFIX, sink->name);
    }
    return 0;
}

int config_load_from(const char *directory, const char *file, char *const *settings,
                     size_t n_settings, struct config **ret, struct error **err)
{
    _cleanup_(config_builder) struct config_builder b = {.config =
                                                             calloc(1, sizeof(struct config))};
    int r;

    if (!b.config)
        return error_no_memory(err);
    r = set_defaults(&b, err);
    if (r == 0)
        r = file ? config_read_file(&b, file, true, err)
                 : config_read_directory(&b, directory, err);
    for (size_t i = 0; i < n_settings && r == 0; i++)
        r = set_setting(&b, settings[i], err);
    if (r == 0)
        r = find_host_id(&b, err);
    if (r == 0)
        r = check_sinks(&b, err);
    if (r == 0)
        r = config_check_storage(b.config, err);
    if (r == 0)
        r = config_check_network(b.config, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < b.config->n_sinks; i++)
        free(b.sink_origins[i]);
    *ret = take(b.config);
    return 0;
}

int config_load(const char *file, char *const *settings, size_t n_settings, struct config **ret,
                struct error **err)
{
    return config_load_from(DEFAULT_DIRECTORY, file, settings, n_settings, ret, err);
}

/* --- Writing ------------------------------------------------------------------------------- */

static void write_key(const struct config_key *key, const void *object, FILE *to)
{
    fprintf(to, "%s = ", key->name);
    key->type->format(const_member_of(object, key), to);
    putc('\n', to);
}

static void write_sinks(const struct config *c, FILE *to)
{
    size_t n;
    const struct config_key *keys = config_keys(&n);

    for (size_t i = 0; i < c->n_sinks; i++) {
        fprintf(to, "\n[%s%s]\n", SINK_PREFIX, c->sinks[i].name);
        for (size_t k = 0; k < n; k++)
            if (keys[k].type && is_of_sink(&keys[k]))
                write_key(&keys[k], &c->sinks[i], to);
    }
}

void config_write(const struct config *c, FILE *to)
{
    size_t n;
    const struct config_key *keys = config_keys(&n);
    const char *section = NULL;

    for (size_t i = 0; i < n; i++) {
        if (!keys[i].type || is_of_sink(&keys[i]))
            continue;
        if (!text_equal(section, keys[i].section))
            fprintf(to, "%s[%s]\n", section ? "\n" : "", keys[i].section);
        section = keys[i].section;
        write_key(&keys[i], c, to);
    }
    write_sinks(c, to);
}

void config_print(const struct config *c)
{
    config_write(c, stdout);
}
