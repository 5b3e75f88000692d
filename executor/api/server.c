/* server.c - the API as a whole: its settings, its sockets, its listeners
 *
 * Theory of operation. Three kinds of thread meet here. A listener's reads requests and writes
 * answers; the engine's replies to what was posted; the program's own starts, configures and stops.
 * What the first two share is one question at a time (question.c). What the program changes while
 * requests are served, who may do what and how often, is under the API's lock. Everything
 * else is set before the listeners start.
 *
 * There is a listener for the Unix socket, and one for the network where that is configured. They
 * differ in their socket and in how they know their callers, and in nothing behind. Each has a
 * thread and places for connections of its own, so that whatever comes over the network takes
 * neither from the operator on the host.
 */
#include "api/server.h"

#include <libxml/parser.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Descriptors that the rest of the process needs. */
#define DESCRIPTORS_RESERVED 192

static void set_default(usec_t *value, usec_t fallback)
{
    if (*value == 0)
        *value = fallback;
}

static void set_default_count(unsigned *value, unsigned fallback)
{
    if (*value == 0)
        *value = fallback;
}

/* The network has a half at most where there are not enough for both. */
static void fit(struct api_limits *limits, rlim_t descriptors)
{
    if (descriptors >= (rlim_t)limits->connections + limits->network_connections)
        return;
    if (limits->network_connections > descriptors / 2)
        limits->network_connections = (unsigned)descriptors / 2;
    if (limits->connections > descriptors - limits->network_connections)
        limits->connections = (unsigned)descriptors - limits->network_connections;
}

static struct api_limits complete_limits(struct api_limits limits, bool has_network)
{
    struct rlimit files;

    set_default_count(&limits.connections, 2048);
    set_default_count(&limits.network_connections, has_network ? 1024 : 0);
    set_default_count(&limits.per_peer, 256);
    set_default_count(&limits.waiting_per_caller, 256);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        fit(&limits, files.rlim_cur > 2 * DESCRIPTORS_RESERVED
                         ? files.rlim_cur - DESCRIPTORS_RESERVED
                         : files.rlim_cur / 2);
    set_default(&limits.handshake, 10 * USEC_PER_SEC);
    set_default(&limits.idle, 60 * USEC_PER_SEC);
    set_default(&limits.request, 120 * USEC_PER_SEC);
    set_default(&limits.slice, 15 * USEC_PER_SEC);
    return limits;
}

static void api_free(struct api *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->n_listeners; i++)
        listener_stop(a->listeners[i]);
    unix_socket_close(&a->socket);
    network_socket_close(&a->network);
    tls_free(a->tls);
    metrics_destroy(&a->metrics);
    access_clear(&a->access);
    rate_free(a->rate);
    pthread_mutex_destroy(&a->lock);
    free(a->host_id);
    free(a->certificate_key);
    free(a->journal_path);
    free(a);
}
DEFINE_CLEANUP(struct api *, api_free);

static struct api *api_new(const struct api_settings *settings)
{
    _cleanup_(api_free) struct api *a = calloc(1, sizeof(*a));

    if (!a)
        return NULL;
    pthread_mutex_init(&a->lock, NULL);
    metrics_init(&a->metrics);
    a->socket.fd = a->network.fd = -1;
    a->limits = complete_limits(settings->limits, settings->listen.ss_family != AF_UNSPEC);
    a->post = settings->post;
    a->userdata = settings->userdata;
    a->rate = rate_new(settings->rate);
    if (!a->rate || text_replace(&a->host_id, settings->host_id) < 0 ||
        text_replace(&a->certificate_key, settings->certificate_key) < 0 ||
        text_replace(&a->journal_path, settings->journal_path) < 0 ||
        access_set(&a->access, settings) < 0)
        return NULL;
    return take(a);
}

static int listen_on_socket(struct api *a, const struct api_settings *settings, struct error **err)
{
    return settings->socket_fd >= 0
               ? unix_socket_adopt(settings->socket_fd, &a->socket, err)
               : unix_socket_listen(settings->socket_path, settings->socket_mode,
                                    settings->socket_group, &a->socket, err);
}

static struct tls_files tls_files_of(const struct api_settings *settings)
{
    return (struct tls_files){settings->tls_cert, settings->tls_key, settings->tls_client_ca};
}

static int listen_on_network(struct api *a, const struct api_settings *settings, struct error **err)
{
    const struct tls_files files = tls_files_of(settings);
    int r = 0;

    if (settings->listen.ss_family == AF_UNSPEC)
        return 0;
    if (!settings->insecure_loopback)
        r = tls_new(&files, &a->tls, err);
    return r < 0 ? r : network_socket_listen(&settings->listen, &a->network, err);
}

static int serve(struct api *a, const struct listener_kind *kind, int fd, unsigned connections,
                 struct tls *tls, struct error **err)
{
    int r;

    if (fd < 0)
        return 0;
    r = listener_start(a, kind, fd, connections, tls, &a->listeners[a->n_listeners], err);
    a->n_listeners += r == 0;
    return r;
}

int api_start(const struct api_settings *settings, struct api **ret, struct error **err)
{
    static const struct listener_kind socket = {"socket", caller_of_unix_socket},
                                      network = {"network", caller_of_certificate},
                                      loopback = {"network", caller_of_loopback};
    _cleanup_(api_free) struct api *a = api_new(settings);
    int r;

    if (!a) {
        if (settings->socket_fd >= 0)
            close(settings->socket_fd);
        return error_no_memory(err);
    }
    xmlInitParser(); /* before there is a thread that writes XML */
    r = listen_on_socket(a, settings, err);
    if (r == 0)
        r = listen_on_network(a, settings, err);
    if (r == 0)
        r = serve(a, &socket, a->socket.fd, a->limits.connections, NULL, err);
    if (r == 0)
        r = serve(a, a->tls ? &network : &loopback, a->network.fd, a->limits.network_connections,
                  a->tls, err);
    if (r < 0)
        return r;
    *ret = take(a);
    return 0;
}

const char *api_network_address(const struct api *a)
{
    return a->network.fd >= 0 ? a->network.address : NULL;
}

void api_configure(struct api *a, const struct api_settings *settings)
{
    const struct tls_files files = tls_files_of(settings);
    struct rate *rate = rate_new(settings->rate);
    struct access access = {0};

    /* Resolving names may take its time; nobody waits for the lock meanwhile. */
    if (!rate || access_set(&access, settings) < 0) {
        rate_free(rate);
        return;
    }
    pthread_mutex_lock(&a->lock);
    access_clear(&a->access);
    rate_free(a->rate);
    a->access = access;
    a->rate = rate;
    pthread_mutex_unlock(&a->lock);
    if (a->tls)
        tls_configure(a->tls, &files);
}

void api_write_metrics(struct api *a, FILE *to)
{
    metrics_write(&a->metrics, a->listeners, a->n_listeners, to);
    if (a->tls)
        tls_write_metrics(a->tls, to);
}

void api_quiesce(struct api *a)
{
    for (size_t i = 0; i < a->n_listeners; i++)
        listener_quiesce(a->listeners[i]);
}

void api_stop(struct api *a)
{
    if (!a)
        return;
    api_quiesce(a);
    api_free(a);
}
