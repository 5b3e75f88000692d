/* config-file.h - a configuration while it is being put together, and the files it comes from */
#ifndef STOPD_DAEMON_CONFIG_FILE_H
#define STOPD_DAEMON_CONFIG_FILE_H

#include "daemon/config.h"

#include <stdio.h>

struct config_builder {
    struct config *config;
    char **sink_origins; /* of each of config->sinks, where it was first named: "FILE:LINE" */
};

/* Sets one key. origin stands before the message of an error: "FILE:LINE", or the setting. */
int config_build(struct config_builder *b, const char *origin, const char *section,
                 const char *name, const char *value, struct error **err);

/* Reads one file; one that is missing is an error only where it is required. */
int config_read_file(struct config_builder *b, const char *path, bool required, struct error **err);
/* directory/stopd.conf, then directory/conf.d/ *.conf in the order of their bytes; any may be
 * missing. */
int config_read_directory(struct config_builder *b, const char *directory, struct error **err);

/* config_load() with another place for the default files, and config_print() to another stream. */
int config_load_from(const char *directory, const char *file, char *const *settings,
                     size_t n_settings, struct config **ret, struct error **err);
void config_write(const struct config *c, FILE *to);

#endif
