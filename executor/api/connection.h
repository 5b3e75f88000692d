/* connection.h - the clients that are connected, and which of them has to go when room is short */
#ifndef STOPD_API_CONNECTION_H
#define STOPD_API_CONNECTION_H

#include "api/caller.h"
#include "api/network-socket.h"
#include "api/tls.h"

#include <stdatomic.h>
#include <sys/queue.h>

struct listener;

enum connection_kind {
    CONNECTION_UNPROVED, /* has not shown a certificate that we accept, where one is needed */
    CONNECTION_QUIET,    /* between requests, sending one, or fetching an answer */
    CONNECTION_BUSY,     /* its request waits for the engine, or streams */
    CONNECTION_CUT,      /* shut down by us; the library will notice */
    CONNECTION_KIND_MAX,
};

struct connection {
    struct listener *listener;
    int fd;
    struct caller caller;
    enum connection_kind kind;
    usec_t since; /* monotonic; when it became quiet, or connected */
    struct network_peer peer;
    struct MHD_Connection *http;
    struct tls_credentials *credentials; /* those that its session began with, or NULL */
    TAILQ_ENTRY(connection) link;
};
TAILQ_HEAD(connection_queue, connection);

struct connections {
    struct connection_queue queues[CONNECTION_CUT]; /* the one that is so for longest first */
    const struct api_limits *limits;
    unsigned most; /* at once */

    /* For the metrics, which another listener may write: */
    atomic_uint n[CONNECTION_KIND_MAX];
    atomic_uint_least64_t opened, cut_as_slow, cut_for_room, unproved; /* since the start */
};

void connections_init(struct connections *all, unsigned most, const struct api_limits *limits);
/* A new connection, or NULL when there is no memory for it: it is then shut down. */
struct connection *connection_open(struct connections *all, struct MHD_Connection *http,
                                   enum connection_kind kind);
/* The library is about to close it. */
void connection_close(struct connections *all, struct connection *c);

/* Shuts it down. Harmless for one that was cut. */
void connection_cut(struct connections *all, struct connection *c);
/* What it is doing now. Harmless for a connection that was cut. */
void connection_set_busy(struct connections *all, struct connection *c);
void connection_set_quiet(struct connections *all, struct connection *c);
/* Has it been sending its request, or fetching its answer, for too long? */
bool connection_is_slow(const struct connections *all, const struct connection *c);
/* Is there room for one more request that waits or streams, whoever's? */
bool connections_may_be_busy(const struct connections *all);
/* Has the client left? One on a Unix socket that only sends no more has not; over a network the two
 * look the same. */
bool connection_has_left(const struct connection *c);
/* How many connections of this caller are busy. */
unsigned connections_busy_of(const struct connections *all, const struct caller *caller);

#endif
