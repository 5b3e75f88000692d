/* sinks.c - the configured sinks, each behind a relay of its own; see sinks.h */
#include "daemon/sinks.h"

#include "drivers/nats/nats.h"
#include "drivers/upstream/file.h"
#include "engine/relay.h"

#include <inttypes.h>

#define RELAY_PATIENCE (3 * USEC_PER_SEC)

struct sinks {
    char **names; /* NULL-terminated */
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

static const struct {
    const char *type;
    int (*make)(const struct config *c, const struct config_sink *sink, struct upstream **ret,
                struct error **err);
} makers[] = {
    {"file", make_file},
    {"nats", make_nats},
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
        s->relays = calloc(c->n_sinks + 1, sizeof(struct relay *));
    }
    if (!s || !s->names || !s->relays) {
        sinks_free(s);
        return error_no_memory(err);
    }
    for (; s->n < c->n_sinks; s->n++)
        if (text_replace(&s->names[s->n], c->sinks[s->n].name) < 0) {
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
    for (size_t i = 0; i < s->n; i++)
        free(s->names[i]);
    free(s->names);
    free(s->relays);
    free(s);
}

int sinks_start(struct sinks *s, const struct config *c,
                void (*cursor)(void *userdata, const char *sink, uint64_t sequence), void *userdata,
                struct error **err)
{
    for (; s->n_relays < s->n; s->n_relays++) {
        const struct config_sink *sink = &c->sinks[s->n_relays];
        struct relay_settings settings = {.name = sink->name,
                                          .journal_path = c->journal_path,
                                          .cursor = cursor,
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
}
