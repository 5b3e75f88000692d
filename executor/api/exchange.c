/* exchange.c - one HTTP exchange from its request line to the end of its answer
 *
 * Theory of operation. The library calls three times and more: when it has the request line, when
 * it has the header, for each piece of the body, when the request is whole, and then again each
 * time the connection was suspended and resumed. An answer that is queued before the request is
 * whole ends the connection, so it is only given early where the rest is not to be read at all; all
 * other checks wait for the whole request, and answer in the contract's order.
 *
 * What must be asked of the engine is posted, and the connection suspended: the thread goes on with
 * other clients. Two things have to be known about the library (0.9.75) there. It does not notice
 * that a suspended client leaves: so what may take long is asked for a slice at a time, and between
 * two slices we look. And a connection that is suspended in the same turn in which it was read is
 * read again when it is resumed, where the end of what the client sends counts as its departure,
 * so that who sends a request through a pipe would never be answered: so a whole request is
 * handled a turn later, when the library has stopped reading.
 */
#include "api/exchange.h"

#include "api/headers.h"
#include "api/question.h"
#include "api/respond.h"
#include "api/route.h"
#include "api/urlencoded.h"
#include "stopd/log.h"

#include <string.h>
#include <strings.h>

static size_t scheme_length(const char *target)
{
    if (strncasecmp(target, "http://", 7) == 0)
        return 7;
    return strncasecmp(target, "https://", 8) == 0 ? 8 : 0;
}

/* The target's path and query. A target with scheme and authority in it is for proxies, and every
 * server must understand it. */
static void split_target(struct exchange *x)
{
    char *path = x->target, *query;
    size_t scheme = scheme_length(path);

    if (scheme) {
        path = strpbrk(path + scheme, "/?");
        path = path ? path : x->target + x->target_length;
    }
    query = strchr(path, '?');
    if (query)
        *query++ = '\0';
    x->path = *path ? path : "/";
    x->query = query;
}

/* The library would parse the query itself, into its memory for the connection: for each `&` 64
 * bytes, and when that memory is full it neither answers nor closes (0.9.75). We read the query
 * from our copy, so the one in its buffer, which is not written into before this callback
 * returns, is emptied. */
static void hide_query(const char *target)
{
    char *query = strchr((char *)target, '?');

    if (query)
        query[1] = '\0';
}

void *exchange_open(void *cls, const char *target, struct MHD_Connection *http)
{
    struct listener *l = cls;
    struct exchange *x = calloc(1, sizeof(*x));

    if (!x)
        return NULL;
    x->target = strdup(target ? target : "");
    if (!x->target) {
        free(x);
        return NULL;
    }
    x->target_length = strlen(x->target);
    x->listener = l;
    x->http = http;
    x->connection =
        MHD_get_connection_info(http, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    x->began = moment_now().monotonic;
    uuid_new_upper(x->request_id);
    split_target(x);
    if (target)
        hide_query(target);
    pthread_mutex_lock(&l->lock);
    l->exchanges++;
    pthread_mutex_unlock(&l->lock);
    return x;
}

static enum verb verb_of(const char *method)
{
    if (text_equal(method, MHD_HTTP_METHOD_GET))
        return VERB_GET;
    if (text_equal(method, MHD_HTTP_METHOD_HEAD))
        return VERB_HEAD;
    return text_equal(method, MHD_HTTP_METHOD_POST) ? VERB_POST : VERB_OTHER;
}

/* A NUL in the request line hides what stands behind it, and the command would be another one than
 * its sender wrote. The library does not say how long the line is, but the version follows the
 * target in its buffer: any gap between them is what is hidden. */
static bool has_hidden_rest(const struct exchange *x, const char *target, const char *version)
{
    uintptr_t gap = (uintptr_t)version - (uintptr_t)target;

    return gap < POOL_SIZE && gap > x->target_length + 1;
}

/* The header is here. What is refused now is refused without reading the rest. */
static void begin(struct exchange *x, const char *url, const char *method, const char *version)
{
    _cleanup_(error_free) struct error *err = NULL;

    x->begun = true;
    x->verb = verb_of(method);
    if (x->query)
        urlencoded_parse(x->query, strlen(x->query), &x->parameters, &x->malformed);
    x->format = headers_format(x);
    if (has_hidden_rest(x, url, version))
        respond_code(x, ERROR_INVALID_PARAMETER, "The request line must not contain a NUL byte.");
    else if (headers_check(x, version, &err) < 0)
        respond_error(x, err);
}

static enum MHD_Result take_body(struct exchange *x, const char *data, size_t size)
{
    x->body_size += size;
    if (x->body_size > BODY_DRAINED_MOST ||
        connection_is_slow(&x->listener->connections, x->connection))
        return MHD_NO;
    if (x->body_size <= BODY_MOST) {
        char *body = realloc(x->body, x->body_size);

        if (!body)
            return MHD_NO;
        memcpy(body + x->body_size - size, data, size);
        x->body = body;
    }
    return MHD_YES;
}

/* Who sends this; asked for once in a connection, which outlives no certificate. */
static bool is_identified(struct exchange *x)
{
    struct connection *c = x->connection;

    if (!c || (!is_set(c->caller.name) && x->listener->kind->identify(x->http, &c->caller) < 0))
        return false;
    return x->begun || caller_is_current(&c->caller);
}

enum MHD_Result exchange_handle(void *cls, struct MHD_Connection *http, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_size, void **context)
{
    struct exchange *x = *context;

    if (!x || !is_identified(x))
        return MHD_NO;
    if (!x->begun) {
        begin(x, url, method, version);
        return MHD_YES;
    }
    if (*upload_size > 0) {
        enum MHD_Result r = take_body(x, upload, *upload_size);

        *upload_size = 0;
        return r;
    }
    if (!x->is_whole) { /* see above: come back, and read nothing meanwhile */
        x->is_whole = true;
        return MHD_YES;
    }
    if (x->question)
        exchange_continue(x);
    else
        route_dispatch(x);
    return x->question || x->status ? MHD_YES : MHD_NO;
}

/* The connection was resumed. NULL: the engine has not been asked. */
static struct question *wake_up(struct exchange *x)
{
    if (!x->question)
        return NULL;
    pthread_mutex_lock(&x->listener->lock);
    LIST_REMOVE(x, link);
    pthread_mutex_unlock(&x->listener->lock);
    return take(x->question);
}

/* Also in place of the call that a resumption brings, where stopping comes first. */
void exchange_over(void *cls, struct MHD_Connection *http, void **context,
                   enum MHD_RequestTerminationCode why)
{
    struct listener *l = cls;
    struct exchange *x = *context;

    if (!x)
        return;
    *context = NULL;
    question_drop(wake_up(x));
    if (why != MHD_REQUEST_TERMINATED_COMPLETED_OK)
        x->status = 0; /* nobody was there to hear it */
    metrics_count(&l->api->metrics, x->route, x->status, moment_now().monotonic - x->began);
    log_debug("%s %s: %u for %s", x->request_id, x->route ? x->route->pattern : "(no route)",
              x->status, x->connection ? x->connection->caller.name : "nobody");
    if (x->connection)
        connection_set_quiet(&l->connections, x->connection);
    parameters_clear(&x->parameters);
    error_free(x->malformed);
    if (x->gathered.file)
        fclose(x->gathered.file);
    free(x->gathered.text);
    json_object_put(x->gathered.list);
    free(x->argument);
    free(x->second_argument);
    free(x->body);
    free(x->target);
    free(x);
    pthread_mutex_lock(&l->lock);
    l->exchanges--;
    pthread_cond_signal(&l->progress);
    pthread_mutex_unlock(&l->lock);
}

struct request *exchange_request(const struct exchange *x, enum request_kind kind)
{
    struct request *r = request_new(kind);

    if (r) {
        memcpy(r->request_id, x->request_id, sizeof(r->request_id));
        r->principal = x->principal;
    }
    return r;
}

int exchange_take_place(struct exchange *x, bool only_waits, struct error **err)
{
    struct connections *all = &x->listener->connections;

    if (x->connection->kind == CONNECTION_BUSY)
        return 0;
    if (only_waits && connections_busy_of(all, &x->connection->caller) >=
                          x->listener->api->limits.waiting_per_caller)
        return error_set(err, ERROR_THROTTLED, NULL);
    if (!connections_may_be_busy(all))
        return error_set(err, ERROR_UNAVAILABLE, "Too many requests are waiting.");
    connection_set_busy(all, x->connection);
    return 0;
}

/* From here on, and not before, the connection may be resumed, by the answer or by an
 * interruption. */
static int fall_asleep(struct exchange *x, struct request *r, struct error **err)
{
    struct listener *l = x->listener;
    int result = 0;

    pthread_mutex_lock(&l->lock);
    if (l->quiesced)
        result = error_set(err, ERROR_UNAVAILABLE, "The service is stopping.");
    else if (!(x->question = question_new(x->http, r)))
        result = error_no_memory(err);
    if (result == 0) {
        MHD_suspend_connection(x->http);
        LIST_INSERT_HEAD(&l->waiting, x, link);
    }
    pthread_mutex_unlock(&l->lock);
    return result;
}

int exchange_ask(struct exchange *x, struct request *r,
                 void (*then)(struct exchange *x, const struct answer *a), struct error **err)
{
    _cleanup_(request_free) struct request *owned = r;
    struct api *a = x->listener->api;
    int result;

    if (!r)
        return error_no_memory(err);
    x->then = then;
    x->only_waits = r->kind == REQUEST_WAIT_OPERATION || r->kind == REQUEST_WAIT_EVENTS;
    result = exchange_take_place(x, x->only_waits, err);
    if (result == 0)
        result = fall_asleep(x, r, err);
    if (result < 0)
        return result;
    a->post(a->userdata, take(owned));
    return 0;
}

void exchange_ask_or_fail(struct exchange *x, struct request *r,
                          void (*then)(struct exchange *x, const struct answer *a))
{
    _cleanup_(error_free) struct error *err = NULL;

    if (exchange_ask(x, r, then, &err) < 0)
        respond_error(x, err);
}

void exchange_continue(struct exchange *x)
{
    _cleanup_(question_drop) struct question *q = wake_up(x);

    x->then(x, question_answer(q));
}

usec_t exchange_next_slice(const struct exchange *x)
{
    usec_t now = moment_now().monotonic, slice = x->listener->api->limits.slice;

    if (x->deadline <= now || connection_has_left(x->connection))
        return 0;
    return x->deadline - now < slice ? x->deadline - now : slice;
}
