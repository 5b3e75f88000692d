/* module.c - what the module offers to whom it is loaded by */
#include "module.h"

__attribute__((__visibility__("default"))) const struct nats_module stopd_nats_module = {
    .version = STOPD_VERSION,
    .sink_new = sink_new,
    .queue_new = queue_new,
};
