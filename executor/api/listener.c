/* listener.c - a listening socket and the thread that serves it
 *
 * Theory of operation. libmicrohttpd runs one thread with an epoll of its own: it accepts, reads,
 * parses, calls us, and sends. Nothing that we do there may block, save for reading the journal.
 * What it leaves open is filled in here and in the files around:
 *
 *   - it closes silent connections only, and at its limit lets nobody in: connection.c keeps below
 *     that limit, so that it is never reached for long;
 *   - it does not look at suspended connections, and stopping it with one aborts the process:
 *     the exchanges that wait are in a list, and are all answered first;
 *   - its own errors are HTML: its memory for a connection is large enough for a header that is too
 *     large to come through to us, and its parsing of the query is prevented (exchange.c).
 *
 * With TLS there is more (0.9.75): it knows no way to refuse a client without a certificate, which
 * is set in the session as that begins; and its epoll takes what a half-done handshake has read for
 * still to be read and spins, so that listener polls.
 *
 * Stopping has two steps. Quiesced, the listener posts no request any more and soon takes no
 * connection, so that clients of a socket that outlives us wait for who comes next; and waits end.
 * Stopped, whatever still waits is answered too, the clients get a moment to fetch what they were
 * answered, and the thread ends.
 *
 * The library cannot be told from another thread to take no connection (0.9.75): its thread may
 * take the socket out of the epoll at the same time, and whichever comes second there ends the
 * process. So it is told on its own thread; what calls us there is a connection, and it is given
 * one.
 */
#include "api/server.h"

#include "api/exchange.h"
#include "api/question.h"
#include "stopd/log.h"
#include "stopd/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/abstract.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Connections that have been cut count for the library until it has closed them; and it accepts ten
 * at a time. */
#define CONNECTIONS_SPARE 32
/* How long stopping waits for clients to fetch their answers. */
#define FAREWELL USEC_PER_SEC
/* How often it is said that there are no descriptors, and how soon one is asked for again. */
#define COMPLAIN_EVERY (60 * USEC_PER_SEC)
#define PAUSE_MS 100
/* One line about clients that were refused in so long. */
#define REFUSALS_LOGGED_EVERY (10 * USEC_PER_SEC)

/* --- TLS ----------------------------------------------------------------------------------- */

static void set_patience(const struct connection *c, usec_t patience)
{
    MHD_set_connection_option(c->http, MHD_CONNECTION_OPTION_TIMEOUT,
                              (unsigned)(patience / USEC_PER_SEC));
}

/* Anybody can make us say this; whoever wonders why a client is refused is told often enough. */
static void log_refusal(struct listener *l, const struct connection *c, const char *why)
{
    usec_t now = moment_now().monotonic;
    char peer[NETWORK_ADDRESS_SIZE];

    l->refused++;
    if (l->refusal_logged && now < l->refusal_logged + REFUSALS_LOGGED_EVERY)
        return;
    network_peer_name(c->fd, peer);
    log_notice("%s: its certificate was not accepted (one of %u since the last such line): %s",
               peer, l->refused, why ? why : "out of memory");
    l->refused = 0;
    l->refusal_logged = now;
}

/* The client has shown a certificate. What is returned ends the handshake, if it is not 0. */
static int verify_client(gnutls_session_t session)
{
    struct connection *c = gnutls_session_get_ptr(session);
    _cleanup_(freep) char *why = NULL;

    if (tls_verify_client(session, &why) < 0) {
        log_refusal(c->listener, c, why);
        return -1;
    }
    set_patience(c, c->listener->api->limits.idle);
    connection_set_quiet(&c->listener->connections, c);
    return 0;
}

/* Until the client's certificate is verified the library counts from the connection's beginning: a
 * handshake that crawls ends as one that stands still. */
static void begin_tls(struct listener *l, struct connection *c)
{
    gnutls_session_t session =
        MHD_get_connection_info(c->http, MHD_CONNECTION_INFO_GNUTLS_SESSION)->tls_session;

    gnutls_session_set_ptr(session, c);
    gnutls_session_set_verify_function(session, verify_client);
    set_patience(c, l->api->limits.handshake);
    if (tls_begin_session(l->tls, session, &c->credentials) < 0)
        connection_cut(&l->connections, c);
}

/* The library asks for a certificate where it was given none at its start; each session has its
 * own credentials by then, so that this is never called. */
static int no_certificate(gnutls_session_t session, const gnutls_datum_t *issuers, int n_issuers,
                          const gnutls_pk_algorithm_t *algorithms, int n_algorithms,
                          gnutls_pcert_st **chain, unsigned *n, gnutls_privkey_t *key)
{
    return -1;
}

/* --- The thread ---------------------------------------------------------------------------- */

/* Where the listener is quiesced, the library is to take no other connection. */
static void take_no_other(struct listener *l)
{
    pthread_mutex_lock(&l->lock);
    if (l->quiesced && !l->stopped && l->taken_back < 0) {
        l->taken_back = MHD_quiesce_daemon(l->daemon);
        pthread_cond_signal(&l->progress);
    }
    pthread_mutex_unlock(&l->lock);
}

/* Makes a connection begin, to nobody; false: there is no descriptor for it. Who comes is then
 * still let in, and told that the service is stopping. */
static bool begin_a_connection(struct listener *l)
{
    bool begins;

    const struct sockaddr_un nobody = {.sun_family = AF_UNIX};
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return false;
    begins = MHD_add_connection(l->daemon, ends[0], (const struct sockaddr *)&nobody,
                                sizeof(nobody)) == MHD_YES;
    close(ends[1]);
    return begins;
}

static void connection_changed(void *cls, struct MHD_Connection *http, void **context,
                               enum MHD_ConnectionNotificationCode what)
{
    struct listener *l = cls;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        struct connection *c =
            connection_open(&l->connections, http, l->tls ? CONNECTION_UNPROVED : CONNECTION_QUIET);

        *context = c;
        take_no_other(l);
        if (c)
            c->listener = l;
        if (c && l->tls)
            begin_tls(l, c);
    } else if (*context) {
        connection_close(&l->connections, *context);
        *context = NULL;
    }
}

static void log_library(const char *format, va_list ap)
{
    char text[512];
    int n = vsnprintf(text, sizeof(text), format, ap);

    while (n > 0 && (size_t)n < sizeof(text) && text[n - 1] == '\n')
        text[--n] = '\0';
    log_debug("libmicrohttpd: %s", text);
}

/* No descriptor is left for a connection that knocks; it waits in the socket's queue. The library
 * asks again and again while it has no connection at all, and then there is nobody whom a pause
 * would hold up. */
static void complain_of_descriptors(struct listener *l, bool is_first)
{
    usec_t now = moment_now().monotonic;

    if (l->complained_at == 0 || now - l->complained_at >= COMPLAIN_EVERY) {
        l->complained_at = now;
        log_warning("clients of the API wait outside, for stopd has no file descriptor or memory "
                    "left for them; "
                    "raise its limit (LimitNOFILE= under systemd)");
    }
    if (is_first)
        poll(NULL, 0, PAUSE_MS);
}

/* Anybody can make the library complain, by sending nonsense. */
static void log_complaint(void *cls, const char *format, va_list ap)
{
    if (strstr(format, "resource limit")) {
        complain_of_descriptors(cls, strstr(format, "FIRST"));
        return;
    }
    log_library(format, ap);
}

/* The thread is the library's, and signals are not for it. So is fd, until it is taken back. */
static struct MHD_Daemon *start_thread(struct listener *l, int fd)
{
    const struct api_limits *limits = &l->api->limits;
    const unsigned flags = (l->tls ? (unsigned)MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_TLS
                                   : (unsigned)MHD_USE_EPOLL_INTERNAL_THREAD) |
                           MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)TLS_PRIORITIES},
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)no_certificate},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)log_complaint, l}, /* first: for the others */
        {MHD_OPTION_LISTEN_SOCKET, fd, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, l->connections.most + CONNECTIONS_SPARE, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, POOL_SIZE, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)(limits->idle / USEC_PER_SEC), NULL},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)connection_changed, l},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)exchange_open, l},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)exchange_over, l},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_Daemon *daemon;
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    daemon = MHD_start_daemon(flags, 0, NULL, NULL, exchange_handle, l, MHD_OPTION_ARRAY, options,
                              l->tls ? MHD_OPTION_ARRAY : MHD_OPTION_END, tls, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return daemon;
}

static void listener_free(struct listener *l)
{
    if (!l)
        return;
    journal_reader_close(l->reader);
    pthread_cond_destroy(&l->progress);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

int listener_start(struct api *a, const struct listener_kind *kind, int fd, unsigned connections,
                   struct tls *tls, struct listener **ret, struct error **err)
{
    _cleanup_(close) int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    struct listener *l = own >= 0 ? calloc(1, sizeof(*l)) : NULL;

    if (own < 0)
        return error_set_errno(err, ERROR_CONFIGURATION, errno, "cannot start the HTTP server");
    if (!l)
        return error_no_memory(err);
    condition_init(&l->progress);
    pthread_mutex_init(&l->lock, NULL);
    LIST_INIT(&l->waiting);
    l->api = a;
    l->kind = kind;
    l->tls = tls;
    connections_init(&l->connections, connections, &a->limits);
    l->taken_back = -1;
    l->daemon = start_thread(l, own);
    own = -1;
    if (!l->daemon) {
        int saved = errno;

        listener_free(l);
        return error_set_errno(err, ERROR_CONFIGURATION, saved, "cannot start the HTTP server");
    }
    *ret = l;
    return 0;
}

/* Answers what waits; the exchanges themselves go on in the listener's thread. */
static void interrupt(struct listener *l, bool only_waits)
{
    struct exchange *x;

    for (x = LIST_FIRST(&l->waiting); x; x = LIST_NEXT(x, link))
        if (x->only_waits || !only_waits)
            question_interrupt(x->question);
}

void listener_quiesce(struct listener *l)
{
    pthread_mutex_lock(&l->lock);
    if (!l->quiesced) {
        l->quiesced = true;
        l->is_told = begin_a_connection(l);
    }
    interrupt(l, true);
    pthread_mutex_unlock(&l->lock);
}

void listener_stop(struct listener *l)
{
    struct timespec deadline = timespec_of(moment_now().monotonic + FAREWELL);
    int r = 0;

    listener_quiesce(l);
    pthread_mutex_lock(&l->lock);
    interrupt(l, false);
    while ((l->exchanges > 0 || (l->is_told && l->taken_back < 0)) && r == 0)
        r = pthread_cond_timedwait(&l->progress, &l->lock, &deadline);
    l->stopped = true;
    pthread_mutex_unlock(&l->lock);
    MHD_stop_daemon(l->daemon);
    if (l->taken_back >= 0)
        close(l->taken_back);
    listener_free(l);
}

int listener_reader(struct listener *l, struct journal_reader **ret, struct error **err)
{
    int r = l->reader ? 0 : journal_reader_open(l->api->journal_path, &l->reader, err);

    if (r == 0)
        *ret = l->reader;
    return r;
}

void listener_drop_reader(struct listener *l)
{
    journal_reader_close(l->reader);
    l->reader = NULL;
}
