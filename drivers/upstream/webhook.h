/* webhook.h - the sink that posts events to an HTTP server (contract section 6) */
#ifndef STOPD_UPSTREAM_WEBHOOK_H
#define STOPD_UPSTREAM_WEBHOOK_H

#include "stopd/upstream.h"

/* NULL or "": not set. Files are read when they are needed, and again when they have changed. */
struct webhook_settings {
    const char *url;                /* https://…, or http://… */
    const char *tls_ca;             /* certificates, PEM: whom to trust; else the system's */
    const char *tls_cert, *tls_key; /* ours, PEM */
    const char *token_file;         /* a bearer token */
};

/* Settings are copied. Nothing is reached yet. */
int upstream_webhook_new(const struct webhook_settings *settings, struct upstream **ret,
                         struct error **err);

#endif
