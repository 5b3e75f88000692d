/* sinks.c - the configured sinks, each behind a relay of its own; see sinks.h */
#include "daemon/sinks.h"

#include "base/json.h"
#include "drivers/nats/nats.h"
#include "drivers/upstream/file.h"
#include "drivers/upstream/webhook.h"
#include "engine/relay.h"

#include <inttypes.h>

#define RELAY_PATIENCE (3 * USEC_PER_SEC)

struct sinks {
    char **names; /* NULL-terminated */
    char **types;
    size_t n;
    struct relay **relays;
    size_t n_relays; /* those that are started, in the names' order */
};

/* --- Which driver ---------------------------------------------------------------------------- */

static int make_file(const struct config *c, const struct config_sink *sink, struct upstream **ret,
                     struct error **err)
{
    return upstream_file_new(sink->peer.url, ret, err);
}

static int make_nats(const struct config *c, const struct config_sink *sink, struct upstream **ret,
                     struct error **err)
{
    const struct nats_settings settings = {.host_id = c->host_id,
                                           .url = sink->peer.url,
                                           .tls_ca = sink->peer.tls_ca,
                                           .tls_cert = sink->peer.tls_cert,
                                           .tls_key = sink->peer.tls_key,
                                           .credentials = sink->peer.credentials};

    return nats_sink_new(&settings, sink->create, ret, err);
}

static int make_webhook(const struct config *c, const struct config_sink *sink,
                        struct upstream **ret, struct error **err)
{
    const struct config_peer *peer = &sink->peer;
    const struct webhook_settings settings = {.url = peer->url,
                                              .tls_ca = peer->tls_ca,
                                              .tls_cert = peer->tls_cert,
                                              .tls_key = peer->tls_key,
                                              .token_file = peer->token_file};

    return upstream_webhook_new(&settings, ret, err);
}

static const struct {
    const char *type;
    int (*make)(const struct config *c, const struct config_sink *sink, struct upstream **ret,
                struct error **err);
} makers[] = {
    {"file", make_file},
    {"nats", make_nats},
    {"webhook", make_webhook},
};

static int make_upstream(const struct config *c, const struct config_sink *sink,
                         struct upstream **ret, struct error **err)
{
    for (size_t i = 0; i < ELEMENTSOF(makers); i++)
        if (text_equal(makers[i].type, sink->type))
            return makers[i].make(c, sink, ret, err);
    return error_set(err, ERROR_CONFIGURATION, "type %s is not supported by this version",
                     sink->type);
}

/* --- Up and down ----------------------------------------------------------------------------- */

int sinks_new(const struct config *c, struct sinks **ret, struct error **err)
{
    struct sinks *s = calloc(1, sizeof(*s));

    if (s) {
        s->names = calloc(c->n_sinks + 1, sizeof(*s->names));
        s->types = calloc(c->n_sinks + 1, sizeof(*s->types));
        s->relays = calloc(c->n_sinks + 1, sizeof(struct relay *));
    }
    if (!s || !s->names || !s->types || !s->relays) {
        sinks_free(s);
        return error_no_memory(err);
    }
    for (; s->n < c->n_sinks; s->n++)
        if (text_replace(&s->names[s->n], c->sinks[s->n].name) < 0 ||
            text_replace(&s->types[s->n], c->sinks[s->n].type) < 0) {
            free(s->names[s->n]);
            sinks_free(s);
            return error_no_memory(err);
        }
    *ret = s;
    return 0;
}

void sinks_free(struct sinks *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++) {
        free(s->names[i]);
        free(s->types[i]);
    }
    free(s->names);
    free(s->types);
    free(s->relays);
    free(s);
}

int sinks_start(struct sinks *s, const struct config *c,
                int (*report)(void *userdata, struct sink_report *report), void *userdata,
                struct error **err)
{
    for (; s->n_relays < s->n; s->n_relays++) {
        const struct config_sink *sink = &c->sinks[s->n_relays];
        struct relay_settings settings = {.name = sink->name,
                                          .journal_path = c->journal_path,
                                          .report = report,
                                          .userdata = userdata};
        int r = make_upstream(c, sink, &settings.upstream, err);

        if (r == 0)
            r = relay_start(&settings, &s->relays[s->n_relays], err);
        if (r < 0)
            return error_context(err, "upstream.%s", sink->name);
    }
    return 0;
}

void sinks_stop(struct sinks *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_relays; i++)
        if (relay_stop(s->relays[i], RELAY_PATIENCE) < 0)
            log_warning("the sink %s hangs and was left; what it has not got stays in the journal",
                        s->names[i]);
    s->n_relays = 0;
}

/* --- What is said of them -------------------------------------------------------------------- */

const char *const *sinks_names(const struct sinks *s, size_t *n)
{
    *n = s->n;
    return (const char *const *)s->names;
}

void sinks_notify(struct sinks *s, uint64_t sequence)
{
    for (size_t i = 0; i < s->n_relays; i++)
        relay_notify(s->relays[i], sequence);
}

/* --- For the engine; on its thread ----------------------------------------------------------- */

static json_object *describe(void *userdata, size_t i)
{
    const struct sinks *s = userdata;
    _cleanup_(json) json_object *o = json_object_new_object();
    struct relay_status status = {0};

    if (i < s->n_relays)
        relay_status(s->relays[i], &status);
    if (!o || json_add_string(o, "name", s->names[i]) || json_add_string(o, "type", s->types[i]) ||
        json_add_number(o, "delivered", status.delivered) ||
        json_add_number(o, "lag", status.lag) ||
        json_add_time(o, "failingSince", status.failing_since) ||
        json_add_string(o, "error", status.error[0] ? status.error : NULL))
        return NULL;
    return take(o);
}

static void rewind_sink(void *userdata, size_t i, uint64_t after, unsigned rewinds)
{
    const struct sinks *s = userdata;

    if (i < s->n_relays)
        relay_rewind(s->relays[i], after, rewinds);
}

static void replay_letters(void *userdata, size_t i, uint64_t mark)
{
    const struct sinks *s = userdata;

    if (i < s->n_relays)
        relay_replay_letters(s->relays[i], mark);
}

struct engine_sinks sinks_for_engine(struct sinks *s)
{
    return (struct engine_sinks){.userdata = s,
                                 .describe = describe,
                                 .rewind = rewind_sink,
                                 .replay_letters = replay_letters};
}

/* --- Metrics --------------------------------------------------------------------------------- */

void sinks_write_metrics(struct sinks *s, FILE *f)
{
    struct relay_status status;

    if (s->n_relays == 0)
        return;
    fprintf(f, "# HELP stopd_sink_lag_events Events that a sink has not got yet.\n"
               "# TYPE stopd_sink_lag_events gauge\n");
    for (size_t i = 0; i < s->n_relays; i++) {
        relay_status(s->relays[i], &status);
        fprintf(f, "stopd_sink_lag_events{sink=\"%s\"} %" PRIu64 "\n", s->names[i], status.lag);
    }
    fprintf(f, "# HELP stopd_sink_failures_total Deliveries that failed.\n"
               "# TYPE stopd_sink_failures_total counter\n");
    for (size_t i = 0; i < s->n_relays; i++) {
        relay_status(s->relays[i], &status);
        fprintf(f, "stopd_sink_failures_total{sink=\"%s\"} %" PRIu64 "\n", s->names[i],
                status.failures);
    }
    fprintf(f, "# HELP stopd_sink_refused_total Events that were refused and set aside.\n"
               "# TYPE stopd_sink_refused_total counter\n");
    for (size_t i = 0; i < s->n_relays; i++) {
        relay_status(s->relays[i], &status);
        fprintf(f, "stopd_sink_refused_total{sink=\"%s\"} %" PRIu64 "\n", s->names[i],
                status.set_aside);
    }
}
