/* service.h - the daemon's parts, wired together */
#ifndef STOPD_DAEMON_SERVICE_H
#define STOPD_DAEMON_SERVICE_H

#include "daemon/config.h"

/* How the program was started: what a reload reads again. */
struct invocation {
    const char *config_file; /* NULL: the default places */
    char *const *settings;   /* --set */
    size_t n_settings;
};

/* Serves until SIGTERM. Takes config. Returns 0, or a negative errno with *err. */
int service_run(struct config *config, const struct invocation *invocation, struct error **err);

#endif
