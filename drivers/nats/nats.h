/* nats.h - events to, and commands from, NATS JetStream
 *
 * The driver is a module that is loaded when one of these is called first: it brings a TLS library
 * of its own, which a host without NATS need not carry. Where it is not installed, they fail and
 * say what to install. Nothing is connected yet when they return. */
#ifndef STOPD_NATS_H
#define STOPD_NATS_H

#include "stopd/queue.h"
#include "stopd/upstream.h"

/* Copied. Paths may be NULL or "": none. */
struct nats_settings {
    const char *host_id;
    const char *url;                /* nats://… or tls://…, several with commas between */
    const char *tls_ca;             /* whom to trust; the system's own without it */
    const char *tls_cert, *tls_key; /* ours; both or neither */
    const char *credentials;        /* a .creds file */
};

/* create: makes the stream where it is missing. */
int nats_sink_new(const struct nats_settings *settings, bool create, struct upstream **ret,
                  struct error **err);
int nats_queue_new(const struct nats_settings *settings, struct queue **ret, struct error **err);

#endif
