/* service.c - the daemon's parts, wired together
 *
 * Theory of operation. The order of coming up is the order of need: the journal (its lock makes
 * sure that there is one engine), the engine's loop, the sinks, and last the API, so that no
 * command is taken before it can be kept. Going down is the other way round: the loop has quiesced
 * the engine by then, and what is unfinished stays in the journal.
 */
#include "daemon/service.h"

#include "api/api.h"
#include "daemon/commands.h"
#include "daemon/config-network.h"
#include "daemon/sinks.h"
#include "drivers/hypervisor/faulty.h"
#include "drivers/hypervisor/libvirt.h"
#include "drivers/nats/nats.h"
#include "engine/certificate.h"
#include "engine/loop.h"
#include "engine/markers.h"
#include "engine/workers.h"
#include "journal/journal.h"

#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#define IDENTIFY_TIMEOUT (10 * USEC_PER_SEC)
/* That are no worker's: the clearing asks libvirt which disks other domains name. */
#define OTHER_CALLS 16
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
    struct sinks *sinks;
    struct api *api;
    struct commands *commands; /* NULL: none from a queue */
};

/* --- Settings -------------------------------------------------------------------------------- */

static struct engine_settings engine_settings_of(const struct service *s)
{
    const struct config *c = s->config;
    size_t n_sinks;
    const char *const *sinks = sinks_names(s->sinks, &n_sinks);

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
        .sinks = sinks,
        .n_sinks = n_sinks,
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

static struct api_words words_of(const struct words *w)
{
    return (struct api_words){(const char *const *)w->items, w->n};
}

/* AF_UNSPEC: off. What is no address does not get here. */
static struct sockaddr_storage listen_of(const struct config *c)
{
    struct sockaddr_storage address;

    if (config_parse_listen(c->api_listen, &address) < 0)
        address.ss_family = AF_UNSPEC;
    return address;
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
        .operators = words_of(&c->api_operators),
        .readers = words_of(&c->api_readers),
        .listen = listen_of(c),
        .insecure_loopback = c->api_insecure_loopback,
        .tls_cert = c->api_tls_cert,
        .tls_key = c->api_tls_key,
        .tls_client_ca = c->api_tls_client_ca,
        .tls_clients = words_of(&c->api_tls_clients),
        .tls_readers = words_of(&c->api_tls_readers),
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
        {"api.listen", !text_equal(was->api_listen, is->api_listen)},
        {"api.insecure_loopback", was->api_insecure_loopback != is->api_insecure_loopback},
        {"journal.path", !text_equal(was->journal_path, is->journal_path)},
        {"upstream.*", was->n_sinks != is->n_sinks},
        {"commands.nats_url", !text_equal(was->commands.url, is->commands.url)},
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
    commands_set_max_age(s->commands, fresh->commands_max_age);
    log_set_level(fresh->log_level);
    log_info("configuration reloaded");
    sd_notify(false, "READY=1");
}

/* --- Sinks ----------------------------------------------------------------------------------- */

static void committed(void *userdata, uint64_t sequence)
{
    struct service *s = userdata;

    sinks_notify(s->sinks, sequence);
}

static int report(void *userdata, struct sink_report *r)
{
    struct service *s = userdata;

    return loop_post_sink_report(s->loop, r);
}

static void add_metrics(void *userdata, FILE *f)
{
    struct service *s = userdata;

    sinks_write_metrics(s->sinks, f);
    commands_write_metrics(s->commands, f);
}

static int start_sinks(struct service *s, struct error **err)
{
    int r = sinks_start(s->sinks, s->config, report, s, err);

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

/* A journal that was lost forgives nothing: what it does not know stays owed, and is told. */
static bool is_owed(void *userdata, const struct marker *m)
{
    const struct service *s = userdata;
    const struct operation *op = engine_find_operation(loop_engine(s->loop), m->domain);
    char own[UUID_TEXT_SIZE];

    if (op && op->disks.n > 0)
        return true;
    if (journal_resolve(s->journal, m->request_id, own, NULL) > 0)
        return false;
    log_warning("%s (%s) is owed a clear by RequestId %s, which this journal does not know; no "
                "domain may start on it until 'stopctl clear %s --confirm' has cleared it, or its "
                "marker in %s is taken away by hand",
                m->device, m->instance_id, m->request_id, m->instance_id, s->marker_folder);
    if (engine_note_debt(loop_engine(s->loop), m->domain, m->request_id) < 0)
        log_warning("%s: out of memory: that it is owed a clear is told by its marker alone",
                    m->instance_id);
    return true;
}

static void unreadable_marker(void *userdata, const struct error *why)
{
    log_warning("%s: which disk is owed a clear by it cannot be told, so that libvirt's hook lets "
                "no domain start that names any disk; find out what it was, and take the file away "
                "by hand",
                error_message(why));
}

/* Markers of operations that ended while they could not be taken away. */
static int reconcile_markers(struct service *s, struct error **err)
{
    const struct marker_reconciler reconciler = {is_owed, unreadable_marker, s};

    return markers_reconcile(s->marker_folder, &reconciler, err);
}

/* --- Up and down ------------------------------------------------------------------------------ */

static int start_loop(struct service *s, struct error **err)
{
    struct loop_settings settings = {.workers = s->config->workers,
                                     .wiper = wiper_settings_of(s),
                                     .sign = sign,
                                     .reload = reload,
                                     .committed = committed,
                                     .sinks = sinks_for_engine(s->sinks),
                                     .add_metrics = add_metrics,
                                     .userdata = s};
    struct hypervisor *hypervisor;
    int r = hypervisor_libvirt_new(s->config->hypervisor_uri,
                                   workers_most_calls(s->config->workers) + OTHER_CALLS,
                                   &hypervisor, err);

#ifdef STOPD_FAULTS
    if (r == 0 && is_set(s->config->faults))
        r = hypervisor_faulty_new(s->config->faults, hypervisor, &hypervisor, err);
#endif
    if (r < 0)
        return r;
    settings.engine = engine_settings_of(s);
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

static int start_commands(struct service *s, struct error **err)
{
    const struct config *c = s->config;
    const struct nats_settings nats = {.host_id = c->host_id,
                                       .url = c->commands.url,
                                       .tls_ca = c->commands.tls_ca,
                                       .tls_cert = c->commands.tls_cert,
                                       .tls_key = c->commands.tls_key,
                                       .credentials = c->commands.credentials};
    struct commands_settings settings = {
        .host_id = c->host_id, .max_age = c->commands_max_age, .post = post_request, .userdata = s};
    int r;

    if (!is_set(c->commands.url))
        return 0;
    r = nats_queue_new(&nats, &settings.queue, err);
    if (r == 0)
        r = commands_start(&settings, &s->commands, err);
    return r < 0 ? error_context(err, "[commands]") : 0;
}

static int bring_up(struct service *s, struct error **err)
{
    bool fresh;
    int r = sinks_new(s->config, &s->sinks, err);

    if (r < 0)
        return r;
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
        r = reconcile_markers(s, err);
    if (r == 0)
        r = start_sinks(s, err);
    if (r == 0)
        r = start_api(s, err);
    return r < 0 ? r : start_commands(s, err);
}

static void wind_down(struct service *s)
{
    if (s->api)
        api_quiesce(s->api);
    commands_quiesce(s->commands);
    api_stop(s->api);
    sinks_stop(s->sinks);
    if (s->loop)
        loop_finish(s->loop);
    loop_free(s->loop);
    commands_stop(s->commands); /* the engine has answered by now */
    journal_close(s->journal);
    certificate_key_free(s->key);
    free(s->public_key);
    free(s->marker_folder);
    free(s->methods);
    sinks_free(s->sinks);
    config_free(s->former);
    config_free(s->config);
}

static void log_network_address(const struct service *s)
{
    const char *address = api_network_address(s->api);

    if (address && s->config->api_insecure_loopback)
        log_warning("api.insecure_loopback: whoever reaches %s over plain HTTP may change things",
                    address);
    else if (address)
        log_info("stopd serves %s with mutual TLS", address);
}

int service_run(struct config *config, const struct invocation *invocation, struct error **err)
{
    struct service s = {.config = config, .invocation = invocation};
    int r = bring_up(&s, err);

    if (r == 0) {
        log_info("stopd %s serves %s on %s", STOPD_VERSION, config->hypervisor_uri,
                 config->api_socket);
        log_network_address(&s);
        sd_notify(false, "READY=1");
        r = loop_run(s.loop, err);
    }
    wind_down(&s);
    return r;
}
