/* command.h - StopInstance as a value: what was asked for, by whom, and whether it may be
 *
 * Pure: no I/O, no clock. The dialects (HTTP query, form, JSON from a queue, the operator's command
 * line) all bring their parameters here, so that one set of rules reads them. */
#ifndef STOPD_CORE_COMMAND_H
#define STOPD_CORE_COMMAND_H

#include "stopd/error.h"
#include "stopd/instance.h"

/* Name and value pairs in the order they came, decoded. */
struct parameters {
    struct parameter {
        char *name, *value;
    } * items;
    size_t n;
};
/* Copies both. Returns 0 or -ENOMEM. Repeated names are kept: command_parse() refuses them. */
int parameters_add(struct parameters *p, const char *name, const char *value);
/* The value; NULL where absent or empty (an empty value counts as absent). */
const char *parameters_get(const struct parameters *p, const char *name);
/* Adds the members of a JSON object: strings, numbers and booleans as their text, null as empty.
 * What a parser would pass over is ERROR_INVALID_PARAMETER: a member twice, a text with a NUL. */
int parameters_add_json(struct parameters *p, const char *text, size_t size, struct error **err);
void parameters_clear(struct parameters *p);

/* Who asks, as the edge that took the request knows it. */
struct principal {
    char name[256];  /* "unix:uid=0(root)", a certificate's subject alternative name, "nats:…" */
    bool may_change; /* else only read */
    bool is_local_root; /* uid 0 over the Unix socket: may override */
};

struct command {
    char request_id[UUID_TEXT_SIZE];
    char *instance_id;
    bool force_stop;
    bool confirm_stop;
    bool hibernate;
    bool dry_run;
    enum stopped_mode stopped_mode; /* UNSET: absent or not applicable */
    char *client_token;             /* NULL: none */
    usec_t grace;                   /* 0: unset */
    enum timeout_action on_timeout;
    bool override_lock, override_arrears;
    struct principal principal;
    char *traceparent; /* W3C trace context, or NULL */
    usec_t expires;    /* realtime: later it is refused, unless its token is known; 0: never */
    /* What a ClientToken binds: every parameter but the common ones, sorted, "Name=length:value" a
     * line.
     */
    char *fingerprint;
};

/* Reads StopInstance's parameters (contract section 3); the common parameters of the cloud are
 * ignored, any other unknown or repeated one is ERROR_INVALID_PARAMETER. request_id, principal and
 * traceparent are the caller's to set, the principal before. On failure *ret is cleared. */
int command_parse(const struct parameters *p, struct command *ret, struct error **err);
/* The common parameters (Format, Version …), which every action ignores. */
bool parameter_is_common(const char *name);
/* "true" or "false" in any case. 0 or an error that names the parameter. */
int parameter_boolean(const char *name, const char *value, bool *ret, struct error **err);
/* A decimal number within the bounds, nothing else. */
int parameter_integer(const char *name, const char *value, uint64_t least, uint64_t most,
                      uint64_t *ret, struct error **err);
/* Is it a W3C trace context? */
bool traceparent_is_valid(const char *t);
void command_clear(struct command *c);
void command_cleanup(struct command *c); /* for _cleanup_(command) struct command c = {} */

#endif
