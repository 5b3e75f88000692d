/* server.c - the API as a whole: its settings, its socket, its listener
 *
 * Theory of operation. Three threads meet here. The listener's reads requests and writes answers;
 * the engine's replies to what was posted; the program's own starts, configures and stops.
 * What the first two share is one question at a time (question.c). What the program changes while
 * requests are served, who may do what and how often, is under the API's lock. Everything
 * else is set before the listener starts.
 *
 * There is one listener, for the Unix socket. Another kind differs in its socket and in how it
 * knows its callers, and in nothing behind.
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

static struct api_limits complete_limits(struct api_limits limits)
{
    struct rlimit files;

    if (limits.connections == 0)
        limits.connections = 2048;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 &&
        files.rlim_cur < limits.connections + DESCRIPTORS_RESERVED)
        limits.connections = files.rlim_cur > 2 * DESCRIPTORS_RESERVED
                                 ? (unsigned)files.rlim_cur - DESCRIPTORS_RESERVED
                                 : (unsigned)files.rlim_cur / 2;
    if (limits.waiting_per_caller == 0)
        limits.waiting_per_caller = 256;
    set_default(&limits.idle, 60 * USEC_PER_SEC);
    set_default(&limits.request, 120 * USEC_PER_SEC);
    set_default(&limits.slice, 15 * USEC_PER_SEC);
    return limits;
}

static void api_free(struct api *a)
{
    if (!a)
        return;
    unix_socket_close(&a->socket);
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
    a->socket.fd = -1;
    a->limits = complete_limits(settings->limits);
    a->post = settings->post;
    a->userdata = settings->userdata;
    a->rate = rate_new(settings->rate);
    if (!a->rate || text_replace(&a->host_id, settings->host_id) < 0 ||
        text_replace(&a->certificate_key, settings->certificate_key) < 0 ||
        text_replace(&a->journal_path, settings->journal_path) < 0 ||
        access_set(&a->access, &settings->operators, &settings->readers) < 0)
        return NULL;
    return take(a);
}

int api_start(const struct api_settings *settings, struct api **ret, struct error **err)
{
    _cleanup_(close) int handed_over = settings->socket_fd;
    _cleanup_(api_free) struct api *a = api_new(settings);
    int r;

    if (!a)
        return error_no_memory(err);
    xmlInitParser(); /* before there is a thread that writes XML */
    if (handed_over >= 0)
        r = unix_socket_adopt(handed_over, &a->socket, err);
    else
        r = unix_socket_listen(settings->socket_path, settings->socket_mode, settings->socket_group,
                               &a->socket, err);
    if (r < 0)
        return r;
    handed_over = -1;
    r = listener_start(a, a->socket.fd, caller_of_unix_socket, &a->listener, err);
    if (r < 0)
        return r;
    *ret = take(a);
    return 0;
}

void api_configure(struct api *a, const struct api_settings *settings)
{
    struct rate *rate = rate_new(settings->rate);
    struct access access = {0};

    /* Resolving names may take its time; nobody waits for the lock meanwhile. */
    if (!rate || access_set(&access, &settings->operators, &settings->readers) < 0) {
        rate_free(rate);
        return;
    }
    pthread_mutex_lock(&a->lock);
    access_clear(&a->access);
    rate_free(a->rate);
    a->access = access;
    a->rate = rate;
    pthread_mutex_unlock(&a->lock);
}

void api_quiesce(struct api *a)
{
    listener_quiesce(a->listener);
}

void api_stop(struct api *a)
{
    if (!a)
        return;
    listener_stop(a->listener);
    api_free(a);
}
