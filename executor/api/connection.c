/* connection.c - the clients that are connected, and which of them has to go when room is short
 *
 * Theory of operation. The library closes a connection that is silent, but not one that sends a
 * byte now and then for ever, and at its limit it just stops accepting: a client that opens many
 * connections and does nothing would lock out all others. So the connections that nobody here
 * works for are kept in the order in which they became quiet. The first is cut when it has been at
 * one request for too long, and when there are more than there may be, whichever caller's it is.
 * A connection that has just been opened is last, so that a client which sends its request
 * at once is never cut, however many others there are; and who merely kept an idle connection
 * open connects again.
 *
 * Over a network anybody can open connections. Those that have not shown a certificate yet have
 * half of the places at most, so that they cannot push out the others; and no address has more
 * than its share, within which it is served in the same way.
 *
 * Cutting is shutdown(): the library then sees the end of the connection and closes it. All this
 * happens on the listener's thread, when something is opened or over; a slow sender that
 * nobody else comes after holds nothing up.
 */
#include "api/connection.h"

#include <poll.h>
#include <sys/socket.h>

void connections_init(struct connections *all, unsigned most, const struct api_limits *limits)
{
    all->limits = limits;
    all->most = most;
    for (size_t i = 0; i < ELEMENTSOF(all->queues); i++)
        TAILQ_INIT(&all->queues[i]);
    for (size_t i = 0; i < ELEMENTSOF(all->n); i++)
        atomic_init(&all->n[i], 0);
    atomic_init(&all->opened, 0);
    atomic_init(&all->cut_as_slow, 0);
    atomic_init(&all->cut_for_room, 0);
    atomic_init(&all->unproved, 0);
}

static void enqueue(struct connections *all, struct connection *c, enum connection_kind kind)
{
    c->kind = kind;
    TAILQ_INSERT_TAIL(&all->queues[kind], c, link);
    all->n[kind]++;
}

static void dequeue(struct connections *all, struct connection *c)
{
    TAILQ_REMOVE(&all->queues[c->kind], c, link);
    all->n[c->kind]--;
}

void connection_cut(struct connections *all, struct connection *c)
{
    if (c->kind == CONNECTION_CUT)
        return;
    all->unproved += c->kind == CONNECTION_UNPROVED;
    dequeue(all, c);
    c->kind = CONNECTION_CUT;
    shutdown(c->fd, SHUT_RDWR);
}

bool connection_is_slow(const struct connections *all, const struct connection *c)
{
    return c->since + all->limits->request < moment_now().monotonic;
}

static void cut_slow(struct connections *all)
{
    struct connection *first;

    while ((first = TAILQ_FIRST(&all->queues[CONNECTION_QUIET])) &&
           connection_is_slow(all, first)) {
        connection_cut(all, first);
        all->cut_as_slow++;
    }
}

static unsigned count(const struct connections *all)
{
    return all->n[CONNECTION_UNPROVED] + all->n[CONNECTION_QUIET] + all->n[CONNECTION_BUSY];
}

/* The first of this kind; where a peer is given, of its. */
static struct connection *first_of(const struct connections *all, enum connection_kind kind,
                                   const struct network_peer *peer)
{
    struct connection *c = TAILQ_FIRST(&all->queues[kind]);

    while (peer && c && !network_peer_is_same(&c->peer, peer))
        c = TAILQ_NEXT(c, link);
    return c;
}

static unsigned count_of_peer(const struct connections *all, const struct network_peer *peer)
{
    const struct connection *c;
    unsigned n = 0;

    for (size_t i = 0; i < ELEMENTSOF(all->queues); i++)
        for (c = TAILQ_FIRST(&all->queues[i]); c; c = TAILQ_NEXT(c, link))
            n += network_peer_is_same(&c->peer, peer);
    return n;
}

/* Who has to go, of one peer's or of all: preferably one that has not shown who it is, but neither
 * the newest, nor where those are few. */
static struct connection *dispensable(const struct connections *all, unsigned few,
                                      const struct network_peer *peer,
                                      const struct connection *newest)
{
    struct connection *unproved = first_of(all, CONNECTION_UNPROVED, peer);
    struct connection *quiet = first_of(all, CONNECTION_QUIET, peer);

    if (unproved && unproved != newest && all->n[CONNECTION_UNPROVED] > few)
        return unproved;
    return quiet ? quiet : unproved;
}

static void make_room(struct connections *all, struct connection *newest)
{
    const struct network_peer *peer = &newest->peer;
    struct connection *c = NULL;

    if (peer->is_known && count_of_peer(all, peer) > all->limits->per_peer)
        c = dispensable(all, 0, peer, newest);
    else if (count(all) > all->most)
        c = dispensable(all, all->most / 2, NULL, newest);
    if (!c)
        return;
    connection_cut(all, c);
    all->cut_for_room++;
}

struct connection *connection_open(struct connections *all, struct MHD_Connection *http,
                                   enum connection_kind kind)
{
    int fd = MHD_get_connection_info(http, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    struct connection *c = calloc(1, sizeof(*c));

    if (!c) {
        shutdown(fd, SHUT_RDWR);
        return NULL;
    }
    c->fd = fd;
    c->http = http;
    c->peer = network_peer_of(fd);
    c->since = moment_now().monotonic;
    enqueue(all, c, kind);
    all->opened++;
    make_room(all, c);
    return c;
}

void connection_close(struct connections *all, struct connection *c)
{
    all->unproved += c->kind == CONNECTION_UNPROVED;
    if (c->kind != CONNECTION_CUT)
        dequeue(all, c);
    caller_clear(&c->caller);
    tls_credentials_release(c->credentials);
    free(c);
}

static void move(struct connections *all, struct connection *c, enum connection_kind to)
{
    if (c->kind == CONNECTION_CUT)
        return;
    dequeue(all, c);
    c->since = moment_now().monotonic;
    enqueue(all, c, to);
}

void connection_set_busy(struct connections *all, struct connection *c)
{
    move(all, c, CONNECTION_BUSY);
}

void connection_set_quiet(struct connections *all, struct connection *c)
{
    move(all, c, CONNECTION_QUIET);
    cut_slow(all);
}

/* An eighth is left for those who only look in: probes, and the operator who wants to know why. */
bool connections_may_be_busy(const struct connections *all)
{
    return all->n[CONNECTION_BUSY] < all->most - all->most / 8;
}

unsigned connections_busy_of(const struct connections *all, const struct caller *caller)
{
    const struct connection *c;
    unsigned n = 0;

    for (c = TAILQ_FIRST(&all->queues[CONNECTION_BUSY]); c; c = TAILQ_NEXT(c, link))
        if (text_equal(c->caller.name, caller->name))
            n++;
    return n;
}

bool connection_has_left(const struct connection *c)
{
    struct pollfd end = {.fd = c->fd, .events = c->peer.is_known ? POLLRDHUP : 0};

    return poll(&end, 1, 0) > 0;
}
