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

/* How a client proves who it is, and knows whom it talks to. "": not set. Paths, but for url. */
struct config_peer {
    char *url;
    char *tls_ca;             /* whom to trust; the system's own without it */
    char *tls_cert, *tls_key; /* ours; both or neither */
    char *credentials;        /* NATS: a .creds file */
    char *token_file;         /* webhook: a bearer token */
};

struct config_sink {
    char *name;              /* upstream.NAME */
    char *type;              /* "file", "nats" or "webhook" */
    struct config_peer peer; /* of a file its path, or "-" */
    bool create;             /* NATS: make a stream that is missing */
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
    char *api_listen; /* "ADDRESS:PORT", numeric; "": off */
    char *api_tls_cert, *api_tls_key, *api_tls_client_ca;
    struct words api_tls_clients, api_tls_readers; /* subject alternative names */
    bool api_insecure_loopback;
    struct config_sink *sinks;
    size_t n_sinks;
    struct config_peer commands; /* url "": no commands from a queue */
    usec_t commands_max_age;
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
