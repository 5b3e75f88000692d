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
 * Cutting is shutdown(): the library then sees the end of the connection and closes it. All this
 * happens on the listener's thread, when something is opened or over; a slow sender that
 * nobody else comes after holds nothing up.
 */
#include "api/connection.h"

#include <poll.h>
#include <sys/socket.h>

void connections_init(struct connections *all, const struct api_limits *limits)
{
    *all = (struct connections){.limits = limits};
    TAILQ_INIT(&all->quiet);
    TAILQ_INIT(&all->busy);
}

static struct connection_queue *queue_of(struct connections *all, enum connection_kind kind)
{
    return kind == CONNECTION_BUSY ? &all->busy : &all->quiet;
}

static void enqueue(struct connections *all, struct connection *c, enum connection_kind kind)
{
    c->kind = kind;
    TAILQ_INSERT_TAIL(queue_of(all, kind), c, link);
    all->n[kind]++;
}

static void dequeue(struct connections *all, struct connection *c)
{
    TAILQ_REMOVE(queue_of(all, c->kind), c, link);
    all->n[c->kind]--;
}

static void cut(struct connections *all, struct connection *c)
{
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

    while ((first = TAILQ_FIRST(&all->quiet)) && connection_is_slow(all, first)) {
        cut(all, first);
        all->cut_as_slow++;
    }
}

static void make_room(struct connections *all)
{
    struct connection *first;

    while (all->n[CONNECTION_QUIET] + all->n[CONNECTION_BUSY] > all->limits->connections &&
           (first = TAILQ_FIRST(&all->quiet))) {
        cut(all, first);
        all->cut_for_room++;
    }
}

struct connection *connection_open(struct connections *all, int fd)
{
    struct connection *c = calloc(1, sizeof(*c));

    if (!c) {
        shutdown(fd, SHUT_RDWR);
        return NULL;
    }
    c->fd = fd;
    c->since = moment_now().monotonic;
    enqueue(all, c, CONNECTION_QUIET);
    all->opened++;
    make_room(all);
    return c;
}

void connection_close(struct connections *all, struct connection *c)
{
    if (c->kind != CONNECTION_CUT)
        dequeue(all, c);
    caller_clear(&c->caller);
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
    return all->n[CONNECTION_BUSY] < all->limits->connections - all->limits->connections / 8;
}

unsigned connections_busy_of(const struct connections *all, const struct caller *caller)
{
    const struct connection *c;
    unsigned n = 0;

    for (c = TAILQ_FIRST(&all->busy); c; c = TAILQ_NEXT(c, link))
        if (text_equal(c->caller.name, caller->name))
            n++;
    return n;
}

bool connection_has_left(const struct connection *c)
{
    struct pollfd end = {.fd = c->fd};

    return poll(&end, 1, 0) > 0;
}
