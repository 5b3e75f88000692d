/* config-keys.h - every key of the configuration: where it stands, what it may be, what it is
 * without being set
 *
 * The parser, --check-config and the tests of the manual and of the example read this one table. */
#ifndef STOPD_DAEMON_CONFIG_KEYS_H
#define STOPD_DAEMON_CONFIG_KEYS_H

#include "daemon/config.h"

#include <stdio.h>

struct config_key;

/* A kind of value: how it is read and written. Reading replaces the member; on failure it is
 * untouched and the error is a clause for behind the key's name: "must be …". */
struct config_type {
    const char *name; /* as the manual calls it: duration, list, … */
    int (*parse)(const struct config_key *key, const char *text, void *member, struct error **err);
    void (*format)(const void *member, FILE *to);
    void (*clear)(void *member); /* NULL: nothing to free */
};

struct config_key {
    const char *section; /* "stop"; SINK_SECTION: of each [upstream.NAME] */
    const char *name;
    const struct config_type *type; /* NULL: of a part that this version does not have */
    const char *fallback; /* the default as a file would say it; NULL: none, or found out */
    size_t offset;        /* of the member in struct config, or in struct config_sink */
    uint64_t least, most; /* bounds of a number; microseconds of a duration */
    const char *help;
};

#define SINK_SECTION "upstream.*"
#define SINK_PREFIX "upstream."
/* So that "[upstream.NAME]" stays within what inih keeps of a section's name. */
#define SINK_NAME_MOST 32

const struct config_key *config_keys(size_t *n);
/* The row, also for a key that is not supported; NULL: there is no such key. A name of "*" in the
 * table stands for any that has no row of its own. */
const struct config_key *config_key_find(const char *section, const char *name);
bool config_section_exists(const char *section);
/* Is it a section of sinks, "upstream.NAME"? Then *name is its NAME. */
bool config_section_is_sink(const char *section, const char **name);

extern const struct config_type config_type_text, config_type_name, config_type_path,
    config_type_socket, config_type_optional, config_type_count, config_type_duration,
    config_type_mode, config_type_list, config_type_method, config_type_on_timeout,
    config_type_stopped_mode, config_type_log_level, config_type_log_format, config_type_sink,
    config_type_clear_methods, config_type_clear_level, config_type_verify, config_type_helper,
    config_type_flag, config_type_listen, config_type_globs;

/* Can what is configured clear a disk at all? A purge that no method reaches, or that is not
 * proved, would leave every disk in quarantine after its guest is off. */
int config_check_storage(const struct config *c, struct error **err);

#endif
