/* config.h - contract section 2 as a value */
#ifndef STOPD_DAEMON_CONFIG_H
#define STOPD_DAEMON_CONFIG_H

#include "core/stop.h"
#include "stopd/log.h"

/* A list of words, NULL-terminated. */
struct words {
    char **items;
    size_t n;
};

struct config_sink {
    char *name; /* upstream.NAME */
    char *type; /* "file" */
    char *url;  /* a path, or "-" */
};

struct config {
    char *host_id;
    char *hypervisor_uri;
    unsigned workers;
    usec_t call_timeout, destroy_timeout;
    char *faults;            /* of builds for tests: empty, or what goes wrong */
    struct stop_policy stop; /* all set */
    usec_t resend;
    enum stopped_mode stopped_mode;
    unsigned parallel;
    struct words local_families;
    struct words local_devices, local_files; /* globs */
    struct words local_methods;              /* best first, each known */
    char *local_level, *local_verify, *local_helper;
    unsigned local_parallel, local_max_mib_per_s;
    char *api_socket;
    struct words api_operators, api_readers;
    unsigned api_socket_mode;
    char *api_socket_group;
    unsigned api_rate;
    struct config_sink *sinks;
    size_t n_sinks;
    char *journal_path;
    usec_t journal_retain;
    enum log_level log_level;
    enum log_format log_format;
};

/* The defaults, then the files, then the settings ("SECTION.KEY=VALUE"), each over the former. file
 * NULL: the default places of section 1, of which any may be missing. The first error names file
 * and line, or the setting. */
int config_load(const char *file, char *const *settings, size_t n_settings, struct config **ret,
                struct error **err);
void config_free(struct config *c);
DEFINE_CLEANUP(struct config *, config_free);
/* Writes the effective configuration as INI, for --check-config. */
void config_print(const struct config *c);

#endif
