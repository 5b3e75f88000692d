/* module.h - what the module offers to whom it is loaded by */
#ifndef STOPD_NATS_MODULE_H
#define STOPD_NATS_MODULE_H

#include "nats.h"

#define NATS_MODULE_FILE "stopd-nats.so"
#define NATS_MODULE_SYMBOL "stopd_nats_module"

struct nats_module {
    /* Both sides are of one build, for the tables between them are no stable interface. */
    const char *version;
    int (*sink_new)(const struct nats_settings *settings, bool create, struct upstream **ret,
                    struct error **err);
    int (*queue_new)(const struct nats_settings *settings, struct queue **ret, struct error **err);
};

extern const struct nats_module stopd_nats_module;

int sink_new(const struct nats_settings *settings, bool create, struct upstream **ret,
             struct error **err);
int queue_new(const struct nats_settings *settings, struct queue **ret, struct error **err);

#endif
