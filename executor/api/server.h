/* server.h - what the room's files share: the API, and one way into it */
#ifndef STOPD_API_SERVER_H
#define STOPD_API_SERVER_H

#include "api/api.h"
#include "api/caller.h"
#include "api/connection.h"
#include "api/metrics.h"
#include "api/network-socket.h"
#include "api/rate.h"
#include "api/tls.h"
#include "api/unix-socket.h"
#include "journal/journal.h"

#include <microhttpd.h>
#include <pthread.h>

/* Contract 3: over 64 KiB of body, 16 KiB of header. */
#define BODY_MOST ((size_t)64 * 1024)
#define HEADER_MOST ((size_t)16 * 1024)
/* A body that is too large is read and thrown away up to here, so that its sender gets the answer
 * and keeps its connection; past it the connection is closed. */
#define BODY_DRAINED_MOST ((size_t)1024 * 1024)
/* The library's memory for a connection. Large enough for a header that is somewhat too large to
 * reach us, so that the answer is ours: what does not fit here is answered by the library. */
#define POOL_SIZE ((size_t)48 * 1024)

struct api {
    char *host_id;
    char *certificate_key; /* PEM, or NULL */
    char *journal_path;
    struct api_limits limits; /* all set */
    void (*post)(void *userdata, struct request *r);
    void *userdata;
    struct metrics metrics;
    struct unix_socket socket;
    struct network_socket network;
    struct tls *tls; /* NULL: none */
    struct listener *listeners[2];
    size_t n_listeners;

    pthread_mutex_t lock; /* what api_configure() changes: */
    struct access access;
    struct rate *rate;
};

/* What makes one kind of listener different from another. */
struct listener_kind {
    const char *name; /* in the metrics */
    /* Says who is at the other end of a connection, when that has sent its first request line.
     * Returns 0 or a negative errno, which ends the connection. */
    int (*identify)(struct MHD_Connection *http, struct caller *ret);
};

/* A socket with the thread that serves it. */
struct exchange;
LIST_HEAD(exchange_list, exchange);
struct listener {
    struct api *api;
    const struct listener_kind *kind;
    struct tls *tls; /* NULL: plain */
    struct MHD_Daemon *daemon;

    /* Of the listener's own thread: */
    struct connections connections;
    struct journal_reader *reader;
    usec_t complained_at;  /* of having no descriptor left for a connection */
    unsigned refused;      /* clients, since that was logged: */
    usec_t refusal_logged; /* monotonic; 0: never */

    pthread_mutex_t lock;    /* the rest: */
    pthread_cond_t progress; /* of stopping */
    bool quiesced, stopped;
    bool is_told;                 /* the library, to take no connection: it will */
    int taken_back;               /* the library's descriptor of the socket, or -1: not yet */
    unsigned exchanges;           /* begun, and not over */
    struct exchange_list waiting; /* suspended until the engine answers */
};

/* Serves the listening socket fd, which stays the caller's and outlives the listener, as does tls
 * (NULL: plain HTTP), to as many connections at once. */
int listener_start(struct api *a, const struct listener_kind *kind, int fd, unsigned connections,
                   struct tls *tls, struct listener **ret, struct error **err);
void listener_quiesce(struct listener *l);
void listener_stop(struct listener *l);

/* What the API counts about itself. Any listener's thread. */
void api_write_metrics(struct api *a, FILE *to);

/* The listener's own connection to the journal; opened again after a failure. */
int listener_reader(struct listener *l, struct journal_reader **ret, struct error **err);
/* Says that reading failed: the next reader is a new one. */
void listener_drop_reader(struct listener *l);

#endif
