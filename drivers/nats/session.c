/* session.c - one connection to a NATS server, and what it says while it lasts
 *
 * Theory of operation. The library can reconnect by itself, and would then send again what it had
 * buffered, in its own time; we want to know what was sent when, so that is turned off. Its
 * callbacks come on a thread of its own, the one that the connection is closed last of all, maybe
 * after we have let go of it: hence the watch, which belongs to both.
 *
 * The certificates are read at each opening, so that renewed ones count.
 */
#include "session.h"
#include "subject.h"
#include "stopd/thread.h"

#include <string.h>

#define CONNECT_MS 5000
#define PING_MS 20000 /* a server that is gone without a word is noticed after three of these */
#define PINGS_OUT 2
#define WRITE_MS 10000

/* --- The watch ------------------------------------------------------------------------------- */

static struct session_watch *watch_new(void)
{
    struct session_watch *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    pthread_mutex_init(&w->lock, NULL);
    condition_init(&w->changed);
    w->references = 2; /* the session, and the callback of the end */
    return w;
}

static void watch_release(struct session_watch *w)
{
    bool last;

    pthread_mutex_lock(&w->lock);
    last = --w->references == 0;
    pthread_mutex_unlock(&w->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->changed);
    free(w);
}

static void on_closed(natsConnection *nc, void *closure)
{
    struct session_watch *w = closure;

    pthread_mutex_lock(&w->lock);
    w->closed = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    watch_release(w);
}

static void on_error(natsConnection *nc, natsSubscription *sub, natsStatus status, void *closure)
{
    struct session_watch *w = closure;
    const char *text = NULL;

    natsConnection_GetLastError(nc, &text);
    pthread_mutex_lock(&w->lock);
    if (text && strstr(text, SESSION_LOOK))
        w->may_not_look = true;
    else
        snprintf(w->said, sizeof(w->said), "%s", is_set(text) ? text : natsStatus_GetText(status));
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

/* --- Errors ---------------------------------------------------------------------------------- */

/* The library's texts begin with a place in its source, "(conn.c:123): ". */
static const char *last_word(void)
{
    const char *text = nats_GetLastError(NULL), *behind = text ? strstr(text, "): ") : NULL;

    return text && text[0] == '(' && behind ? behind + 3 : text;
}

int session_fail(natsStatus status, const char *doing, struct error **err)
{
    const char *text = last_word();

    if (status == NATS_NO_MEMORY)
        return error_no_memory(err);
    return error_set(err, ERROR_IO, "%s: %s", doing,
                     is_set(text) ? text : natsStatus_GetText(status));
}

int session_fail_with_word(struct session *s, natsStatus status, const char *doing,
                           struct error **err)
{
    char said[sizeof(s->watch->said)];

    pthread_mutex_lock(&s->watch->lock);
    memcpy(said, s->watch->said, sizeof(said));
    pthread_mutex_unlock(&s->watch->lock);
    if (said[0])
        return error_set(err, ERROR_IO, "%s: the NATS server says: %s", doing, said);
    return session_fail(status, doing, err);
}

/* --- Settings -------------------------------------------------------------------------------- */

int nats_settings_copy(const struct nats_settings *from, struct nats_settings *to,
                       struct error **err)
{
    const char *const texts[] = {from->host_id,  from->url,     from->tls_ca,
                                 from->tls_cert, from->tls_key, from->credentials};
    const char **copies[] = {&to->host_id,  &to->url,     &to->tls_ca,
                             &to->tls_cert, &to->tls_key, &to->credentials};

    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        *copies[i] = strdup(texts[i] ? texts[i] : "");
        if (!*copies[i])
            return error_no_memory(err);
    }
    return 0;
}

void nats_settings_clear(struct nats_settings *s)
{
    free((char *)s->host_id);
    free((char *)s->url);
    free((char *)s->tls_ca);
    free((char *)s->tls_cert);
    free((char *)s->tls_key);
    free((char *)s->credentials);
    *s = (struct nats_settings){0};
}

/* The address without what a URL may say of users and passwords. */
static const char *address_of(const char *url)
{
    const char *at = strrchr(url, '@'), *scheme = strstr(url, "://");

    if (at)
        return at + 1;
    return scheme ? scheme + 3 : url;
}

/* --- Options --------------------------------------------------------------------------------- */

static natsStatus set_servers(natsOptions *o, const struct nats_settings *settings)
{
    _cleanup_(freep) char *copy = strdup(settings->url);
    const char *servers[16];
    int n = 0;
    char *rest = copy;

    for (char *url; (url = strsep(&rest, ",")) && n < (int)ELEMENTSOF(servers);)
        if (*url)
            servers[n++] = url;
    if (!copy)
        return NATS_NO_MEMORY;
    return natsOptions_SetServers(o, servers, n);
}

/* Where TLS is asked for by any address, it is for all. */
static int set_tls(natsOptions *o, const struct nats_settings *settings, struct error **err)
{
    natsStatus s;

    if (!strstr(settings->url, "tls://") && !is_set(settings->tls_ca) &&
        !is_set(settings->tls_cert))
        return 0;
    s = natsOptions_SetSecure(o, true);
    if (s != NATS_OK)
        return session_fail(s, "preparing TLS", err);
    if (is_set(settings->tls_ca)) {
        s = natsOptions_LoadCATrustedCertificates(o, settings->tls_ca);
        if (s != NATS_OK)
            return session_fail(s, settings->tls_ca, err);
    }
    if (is_set(settings->tls_cert)) {
        s = natsOptions_LoadCertificatesChain(o, settings->tls_cert, settings->tls_key);
        if (s != NATS_OK)
            return session_fail(s, settings->tls_cert, err);
    }
    return 0;
}

/* Inboxes under a name of the host's own, so that permissions can keep hosts apart. */
static natsStatus set_name(natsOptions *o, const struct nats_settings *settings, const char *role)
{
    _cleanup_(freep) char *inbox = subject_with_token(SESSION_INBOX, settings->host_id, "");
    _cleanup_(freep) char *name = NULL;
    natsStatus s;

    if (!inbox || asprintf(&name, "stopd %s %s", settings->host_id, role) < 0)
        return NATS_NO_MEMORY;
    s = natsOptions_SetName(o, name);
    return s == NATS_OK ? natsOptions_SetCustomInboxPrefix(o, inbox) : s;
}

static int set_options(natsOptions *o, const struct nats_settings *settings, const char *role,
                       struct session_watch *w, struct error **err)
{
    natsStatus s = set_servers(o, settings);

    if (s == NATS_OK)
        s = set_name(o, settings, role);
    if (s == NATS_OK)
        s = natsOptions_SetTimeout(o, CONNECT_MS);
    if (s == NATS_OK)
        s = natsOptions_SetAllowReconnect(o, false);
    if (s == NATS_OK)
        s = natsOptions_SetPingInterval(o, PING_MS);
    if (s == NATS_OK)
        s = natsOptions_SetMaxPingsOut(o, PINGS_OUT);
    if (s == NATS_OK)
        s = natsOptions_SetWriteDeadline(o, WRITE_MS);
    if (s == NATS_OK)
        s = natsOptions_SetClosedCB(o, on_closed, w);
    if (s == NATS_OK)
        s = natsOptions_SetErrorHandler(o, on_error, w);
    if (s == NATS_OK && is_set(settings->credentials))
        s = natsOptions_SetUserCredentialsFromFiles(o, settings->credentials, NULL);
    return s == NATS_OK ? set_tls(o, settings, err) : session_fail(s, "preparing NATS", err);
}

/* --- Up and down ----------------------------------------------------------------------------- */

static int connect_with(natsOptions *o, const struct nats_settings *settings, struct session *s,
                        struct error **err)
{
    _cleanup_(freep) char *doing = NULL;
    natsStatus status = natsConnection_Connect(&s->connection, o);

    if (status == NATS_OK)
        return 0;
    if (asprintf(&doing, "connecting to the NATS server %s", address_of(settings->url)) < 0) {
        doing = NULL;
        return error_no_memory(err);
    }
    return session_fail(status, doing, err);
}

int session_open(const struct nats_settings *settings, const char *role, jsOptions *js,
                 struct session *ret, struct error **err)
{
    struct session s = {.watch = watch_new()};
    natsOptions *o = NULL;
    natsStatus status;
    int r;

    if (!s.watch)
        return error_no_memory(err);
    status = natsOptions_Create(&o);
    if (status != NATS_OK)
        r = session_fail(status, "preparing NATS", err);
    else
        r = set_options(o, settings, role, s.watch, err);
    if (r == 0)
        r = connect_with(o, settings, &s, err);
    natsOptions_Destroy(o);
    if (r < 0) {
        watch_release(s.watch); /* without a connection, no end of one is told */
        watch_release(s.watch);
        return r;
    }
    status = natsConnection_JetStream(&s.js, s.connection, js);
    if (status != NATS_OK) {
        r = session_fail(status, "preparing JetStream", err);
        session_close(&s);
        return r;
    }
    *ret = s;
    return 0;
}

void session_close(struct session *s)
{
    if (!s->watch)
        return;
    jsCtx_Destroy(s->js);
    natsConnection_Destroy(s->connection);
    watch_release(s->watch);
    *s = (struct session){0};
}
