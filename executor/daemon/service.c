/* service.c - the daemon's parts, wired together
 *
 * Theory of operation. The order of coming up is the order of need: the journal (its lock makes
 * sure that there is one engine), the engine's loop, the sinks, and last the API, so that no
 * command is taken before it can be kept. Going down is the other way round: the loop has quiesced
 * the engine by then, and what is unfinished stays in the journal.
 */
#include "daemon/service.h"

#include "api/api.h"
#include "drivers/hypervisor/faulty.h"
#include "drivers/hypervisor/libvirt.h"
#include "drivers/upstream/file.h"
#include "engine/certificate.h"
#include "engine/loop.h"
#include "engine/markers.h"
#include "engine/relay.h"
#include "journal/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#define RELAY_PATIENCE (3 * USEC_PER_SEC)
#define IDENTIFY_TIMEOUT (10 * USEC_PER_SEC)
#define SILENCE (60 * USEC_PER_SEC)

struct service {
    struct config *config,
        *former; /* former: what the engine's settings pointed into before a reload */
    const struct invocation *invocation;
    struct journal *journal;
    struct certificate_key *key;
    char *public_key;    /* PEM */
    char *marker_folder; /* both beside the journal */
    char *methods;       /* local_storage.methods as one text */
    struct loop *loop;
    struct relay **relays;
    size_t n_relays;
    char **sink_names;
    struct api *api;
};

/* --- Settings -------------------------------------------------------------------------------- */

static struct engine_settings engine_settings_of(const struct service *s)
{
    const struct config *c = s->config;

    return (struct engine_settings){
        .host_id = c->host_id,
        .policy = {.stop = c->stop,
                   .resend = c->resend,
                   .stopped_mode = c->stopped_mode,
                   .local_families = (const char *const *)c->local_families.items,
                   .n_local_families = c->local_families.n},
        .parallel = c->parallel,
        .clear_parallel = c->local_parallel,
        .call_timeout = c->call_timeout,
        .destroy_timeout = c->destroy_timeout,
        .retain = c->journal_retain,
        .sinks = (const char *const *)s->sink_names,
        .n_sinks = s->n_relays,
    };
}

/* The ladder as the protocol's command line writes it. */
static int join_methods(struct service *s, struct error **err)
{
    const struct words *w = &s->config->local_methods;
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    for (size_t i = 0; f && i < w->n; i++)
        fprintf(f, "%s%s", i ? "," : "", w->items[i]);
    if (!f || fclose(f) != 0) {
        free(text);
        return error_no_memory(err);
    }
    free(s->methods);
    s->methods = text;
    return 0;
}

static struct wiper_settings wiper_settings_of(const struct service *s)
{
    const struct config *c = s->config;

    return (struct wiper_settings){
        .helper = c->local_helper,
        .devices = (const char *const *)c->local_devices.items,
        .n_devices = c->local_devices.n,
        .files = (const char *const *)c->local_files.items,
        .n_files = c->local_files.n,
        .methods = s->methods,
        .level = c->local_level,
        .verify = c->local_verify,
        .max_mib_per_s = c->local_max_mib_per_s,
        .host_id = c->host_id,
        .marker_folder = s->marker_folder,
        .identify_timeout = IDENTIFY_TIMEOUT,
        .silence = SILENCE,
    };
}

static struct api_groups groups_of(const struct words *w)
{
    return (struct api_groups){(const char *const *)w->items, w->n};
}

static void post_request(void *userdata, struct request *r)
{
    struct service *s = userdata;

    loop_post_request(s->loop, r);
}

static struct api_settings api_settings_of(struct service *s)
{
    const struct config *c = s->config;

    return (struct api_settings){
        .host_id = c->host_id,
        .certificate_key = s->public_key,
        .journal_path = c->journal_path,
        .socket_path = c->api_socket,
        .socket_fd = -1,
        .socket_mode = (mode_t)c->api_socket_mode,
        .socket_group = c->api_socket_group,
        .operators = groups_of(&c->api_operators),
        .readers = groups_of(&c->api_readers),
        .rate = c->api_rate,
        .post = post_request,
        .userdata = s,
    };
}

/* --- Reload ---------------------------------------------------------------------------------- */

static void say_what_needs_a_restart(const struct config *was, const struct config *is)
{
    const struct {
        const char *key;
        bool differs;
    } fixed[] = {
        {"host.id", !text_equal(was->host_id, is->host_id)},
        {"hypervisor.uri", !text_equal(was->hypervisor_uri, is->hypervisor_uri)},
        {"hypervisor.workers", was->workers != is->workers},
        {"api.socket", !text_equal(was->api_socket, is->api_socket)},
        {"api.socket_mode", was->api_socket_mode != is->api_socket_mode},
        {"api.socket_group", !text_equal(was->api_socket_group, is->api_socket_group)},
        {"journal.path", !text_equal(was->journal_path, is->journal_path)},
        {"upstream.*", was->n_sinks != is->n_sinks},
    };

    for (size_t i = 0; i < ELEMENTSOF(fixed); i++)
        if (fixed[i].differs)
            log_warning("%s has changed, and counts from the next start on", fixed[i].key);
}

/* What was fixed at the start stays as it was started with. */
static void keep_fixed(struct config *is, struct config *was)
{
    char *id = was->host_id;

    was->host_id = is->host_id;
    is->host_id = id;
}

static void reload(void *userdata)
{
    struct service *s = userdata;
    _cleanup_(error_free) struct error *error = NULL;
    struct config *fresh = NULL;
    struct engine_settings engine;
    struct wiper_settings wiper;
    struct api_settings api;

    sd_notify(false, "RELOADING=1");
    if (config_load(s->invocation->config_file, s->invocation->settings, s->invocation->n_settings,
                    &fresh, &error) < 0) {
        log_error("the configuration was not reloaded, the former one stands: %s",
                  error_message(error));
        sd_notify(false, "READY=1");
        return;
    }
    say_what_needs_a_restart(s->config, fresh);
    keep_fixed(fresh, s->config);
    config_free(s->former);
    s->former = s->config;
    s->config = fresh;
    engine = engine_settings_of(s);
    engine_configure(loop_engine(s->loop), &engine);
    if (join_methods(s, &error) < 0)
        log_error("the ladder of methods was not reloaded: %s", error_message(error));
    wiper = wiper_settings_of(s);
    loop_configure_wiper(s->loop, &wiper);
    api = api_settings_of(s);
    api_configure(s->api, &api);
    log_set_level(fresh->log_level);
    log_info("configuration reloaded");
    sd_notify(false, "READY=1");
}

/* --- Sinks ----------------------------------------------------------------------------------- */

static void committed(void *userdata, uint64_t sequence)
{
    struct service *s = userdata;

    for (size_t i = 0; i < s->n_relays; i++)
        relay_notify(s->relays[i], sequence);
}

static void cursor(void *userdata, const char *sink, uint64_t sequence)
{
    struct service *s = userdata;

    loop_post_cursor(s->loop, sink, sequence);
}

static void add_metrics(void *userdata, FILE *f)
{
    struct service *s = userdata;
    struct relay_status status;

    if (s->n_relays == 0)
        return;
    fprintf(f, "# HELP stopd_sink_lag_events Events that a sink has not got yet.\n"
               "# TYPE stopd_sink_lag_events gauge\n");
    for (size_t i = 0; i < s->n_relays; i++) {
        relay_status(s->relays[i], &status);
        fprintf(f, "stopd_sink_lag_events{sink=\"%s\"} %" PRIu64 "\n", s->sink_names[i],
                status.lag);
    }
    fprintf(f, "# HELP stopd_sink_failures_total Deliveries that failed.\n"
               "# TYPE stopd_sink_failures_total counter\n");
    for (size_t i = 0; i < s->n_relays; i++) {
        relay_status(s->relays[i], &status);
        fprintf(f, "stopd_sink_failures_total{sink=\"%s\"} %" PRIu64 "\n", s->sink_names[i],
                status.failures);
    }
}

static int start_relay(struct service *s, const struct config_sink *sink, struct error **err)
{
    struct relay_settings settings = {.name = sink->name,
                                      .journal_path = s->config->journal_path,
                                      .cursor = cursor,
                                      .userdata = s};
    int r = upstream_file_new(sink->url, &settings.upstream, err);

    if (r == 0)
        r = relay_start(&settings, &s->relays[s->n_relays], err);
    if (r < 0)
        return error_context(err, "upstream.%s", sink->name);
    s->n_relays++;
    return 0;
}

static int start_relays(struct service *s, struct error **err)
{
    int r = 0;

    for (size_t i = 0; i < s->config->n_sinks && r == 0; i++)
        r = start_relay(s, &s->config->sinks[i], err);
    committed(s, engine_last_sequence(loop_engine(s->loop)));
    return r;
}

/* --- What is owed a clear -----------------------------------------------------------------------
 */

static json_object *sign(void *userdata, json_object *certificate)
{
    struct service *s = userdata;
    _cleanup_(error_free) struct error *error = NULL;
    json_object *envelope = NULL;

    if (certificate_sign(s->key, certificate, &envelope, &error) < 0)
        log_error("a certificate was not signed: %s", error_message(error));
    return envelope;
}

/* A file beside the journal. */
static char *beside_journal(const struct service *s, const char *name)
{
    const char *path = s->config->journal_path, *slash = strrchr(path, '/');
    char *ret = NULL;

    if (asprintf(&ret, "%.*s%s", slash ? (int)(slash - path) + 1 : 0, path, name) < 0)
        return NULL;
    return ret;
}

static int prepare_key(struct service *s, struct error **err)
{
    _cleanup_(freep) char *path = beside_journal(s, "certificate-key.pem");
    int r;

    s->marker_folder = beside_journal(s, "owed");
    if (!path || !s->marker_folder)
        return error_no_memory(err);
    r = certificate_key_load_or_make(path, &s->key, err);
    if (r == 0)
        r = certificate_public_pem(s->key, &s->public_key, err);
    return r < 0 ? r : join_methods(s, err);
}

struct debts {
    struct service *service;
    struct marker_list markers;
};

/* A journal that was lost forgives nothing: what it does not know stays owed. */
static bool is_of_unknown_operation(const struct debts *debts, const uuid_t domain)
{
    char own[UUID_TEXT_SIZE];

    for (size_t i = 0; i < debts->markers.n; i++) {
        const struct marker *m = &debts->markers.items[i];

        if (uuid_compare(m->domain, domain) == 0 &&
            journal_resolve(debts->service->journal, m->request_id, own, NULL) <= 0) {
            log_warning(
                "%s (%s) is owed a clear by RequestId %s, which this journal does not know; "
                "no domain may start on it until its marker in %s is taken away by hand",
                m->device, m->instance_id ? m->instance_id : "no instance", m->request_id,
                debts->service->marker_folder);
            return true;
        }
    }
    return false;
}

static bool is_owed(void *userdata, const uuid_t domain)
{
    const struct debts *debts = userdata;
    const struct operation *op = engine_find_operation(loop_engine(debts->service->loop), domain);

    return (op && op->disks.n > 0) || is_of_unknown_operation(debts, domain);
}

/* Markers of operations that ended while they could not be taken away. */
static int reconcile_markers(struct service *s, bool fresh, struct error **err)
{
    struct debts debts = {.service = s};
    int r = markers_read(s->marker_folder, &debts.markers, err);

    if (r == 0)
        r = markers_reconcile(s->marker_folder, fresh, is_owed, &debts, err);
    marker_list_clear(&debts.markers);
    return r;
}

/* --- Up and down ------------------------------------------------------------------------------ */

static int start_loop(struct service *s, struct error **err)
{
    struct loop_settings settings = {.workers = s->config->workers,
                                     .wiper = wiper_settings_of(s),
                                     .sign = sign,
                                     .reload = reload,
                                     .committed = committed,
                                     .add_metrics = add_metrics,
                                     .userdata = s};
    struct hypervisor *hypervisor;
    int r = hypervisor_libvirt_new(s->config->hypervisor_uri, &hypervisor, err);

#ifdef STOPD_FAULTS
    if (r == 0 && is_set(s->config->faults))
        r = hypervisor_faulty_new(s->config->faults, hypervisor, &hypervisor, err);
#endif
    if (r < 0)
        return r;
    settings.engine = engine_settings_of(s);
    settings.engine.n_sinks = s->config->n_sinks;
    return loop_new(&settings, hypervisor, s->journal, &s->loop, err);
}

static int start_api(struct service *s, struct error **err)
{
    struct api_settings settings = api_settings_of(s);
    int n = sd_listen_fds(true);

    if (n > 1)
        return error_set(err, ERROR_CONFIGURATION,
                         "the service manager passed %d sockets, and one is the API's", n);
    if (n == 1)
        settings.socket_fd = SD_LISTEN_FDS_START;
    return api_start(&settings, &s->api, err);
}

static int bring_up(struct service *s, struct error **err)
{
    size_t n = s->config->n_sinks;
    bool fresh;
    int r;

    s->relays = calloc(n + 1, sizeof(struct relay *));
    s->sink_names = calloc(n + 1, sizeof(*s->sink_names));
    if (!s->relays || !s->sink_names)
        return error_no_memory(err);
    for (size_t i = 0; i < n; i++)
        if (text_replace(&s->sink_names[i], s->config->sinks[i].name) < 0)
            return error_no_memory(err);
    r = journal_open(s->config->journal_path, &fresh, &s->journal, err);
    if (r < 0)
        return r;
    if (fresh)
        log_notice("a new journal is begun at %s: what is now is where reports start from",
                   s->config->journal_path);
    r = prepare_key(s, err);
    if (r == 0)
        r = start_loop(s, err);
    if (r == 0)
        r = reconcile_markers(s, fresh, err);
    if (r == 0)
        r = start_relays(s, err);
    return r < 0 ? r : start_api(s, err);
}

static void wind_down(struct service *s)
{
    if (s->api)
        api_quiesce(s->api);
    api_stop(s->api);
    for (size_t i = 0; i < s->n_relays; i++)
        if (relay_stop(s->relays[i], RELAY_PATIENCE) < 0)
            log_warning("the sink %s hangs and was left; what it has not got stays in the journal",
                        s->sink_names[i]);
    s->n_relays = 0;
    if (s->loop)
        loop_finish(s->loop);
    loop_free(s->loop);
    journal_close(s->journal);
    certificate_key_free(s->key);
    free(s->public_key);
    free(s->marker_folder);
    free(s->methods);
    for (size_t i = 0; s->sink_names && s->sink_names[i]; i++)
        free(s->sink_names[i]);
    free(s->relays);
    free(s->sink_names);
    config_free(s->former);
    config_free(s->config);
}

int service_run(struct config *config, const struct invocation *invocation, struct error **err)
{
    struct service s = {.config = config, .invocation = invocation};
    int r = bring_up(&s, err);

    if (r == 0) {
        log_info("stopd %s serves %s on %s", STOPD_VERSION, config->hypervisor_uri,
                 config->api_socket);
        sd_notify(false, "READY=1");
        r = loop_run(s.loop, err);
    }
    wind_down(&s);
    return r;
}
