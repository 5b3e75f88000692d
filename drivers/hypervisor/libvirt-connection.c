/* libvirt-connection.c - the connections to libvirt: opened, lent to calls, given up, closed
 *
 * Theory of operation. Calls are made by several threads, each can hang for a minute, and the
 * connection under them can break at any time. So calls do not use "the connection": each borrows
 * one from a pool and has it to itself for as long as it takes. The pool grows with the calls that
 * are out, up to most_calls, and is kept. A connection that broke, or that a reconnect
 * replaces, is retired: no new call gets it, the one in flight keeps it and closes it when it
 * leaves. So a reconnect waits for nobody, and an abandoned call may come back at any later time.
 *
 * One call, one connection, for three reasons. A question never stands in line behind an act that
 * is stuck. A daemon that has max_client_requests (5) calls of one client stops reading from it,
 * keepalives included, so that a connection full of stuck calls breaks. And when a connection
 * breaks with several calls on it, libvirt 9.0.0's client corrupts memory: a call that is woken by
 * another one's arrival leaves an I/O source in the client's main context that points into its
 * stack; when that call returns first, the next one dispatches it. Seen as a crash each time that
 * keepalive ended a connection with calls of several threads. With one call at a time the pointer
 * never outlives its frame.
 *
 * Events come on the first connection. An in-process hypervisor (embed, test) has no such
 * troubles, and for test:///FILE each connection would be a world of its own: there one serves all.
 *
 * A connection never heals. When one breaks, libvirt's event loop says so (keepalive finds a
 * daemon that hangs), the listener is told once, and everything is opened anew by the next
 * connect(). Opening is not protected by keepalive and can hang. A connect() that has been
 * overtaken by a later one, because its caller gave it up, finds its generation gone by and leaves
 * no trace.
 *
 * Closing talks to the daemon as well, so it is done by callers' threads and never by the event
 * loop's.
 */
#include "drivers/hypervisor/libvirt-driver.h"

#include "drivers/hypervisor/libvirt-errors.h"
#include "drivers/hypervisor/qemu-log.h"
#include "drivers/hypervisor/qemu-process.h"

#include <errno.h>
#include <strings.h>
#include <unistd.h>
#include <libvirt/virterror.h>

/* A daemon is taken for gone after 16 s without a word: 4 s to notice the silence, and three pings
 * of 4 s each. */
#define KEEPALIVE_SECONDS 4
#define KEEPALIVE_COUNT 3

/* Every call is between these two from its first to its last touch of the driver. */
static void go_in(struct libvirt *l)
{
    pthread_mutex_lock(&l->lock);
    l->n_inside++;
    pthread_mutex_unlock(&l->lock);
}

static void go_out(struct libvirt *l)
{
    pthread_mutex_lock(&l->lock);
    l->n_inside--;
    pthread_mutex_unlock(&l->lock);
}

static void on_close(virConnectPtr conn, int reason, void *userdata)
{
    static const char *const reasons[] = {
        [VIR_CONNECT_CLOSE_REASON_ERROR] = "the connection to libvirt failed",
        [VIR_CONNECT_CLOSE_REASON_EOF] = "libvirt closed the connection",
        [VIR_CONNECT_CLOSE_REASON_KEEPALIVE] = "libvirt does not answer",
        [VIR_CONNECT_CLOSE_REASON_CLIENT] = "the connection to libvirt was closed from here",
    };
    struct libvirt *l = userdata;
    bool tell = false;

    pthread_mutex_lock(&l->lock);
    for (struct connection *c = l->connections; c; c = c->next)
        if (c->conn == conn) {
            c->broken = true;
            tell = c->state == CONNECTION_POOLED && !l->is_lost;
            l->is_lost |= tell;
        }
    pthread_mutex_unlock(&l->lock);
    if (tell)
        tell_lost(l, (unsigned)reason < ELEMENTSOF(reasons) ? reasons[reason] : reasons[0]);
}

/* Takes c off the list; l->lock is held. */
static void unlink_connection(struct libvirt *l, const struct connection *c)
{
    for (struct connection **p = &l->connections; *p; p = &(*p)->next)
        if (*p == c) {
            *p = c->next;
            return;
        }
}

/* Closes and frees a connection that is off the list and has no calls. On one that is broken
 * nothing of this waits; on one that hangs it waits for keepalive to break it. */
static void bury(struct connection *c)
{
    if (c->conn) {
        events_deregister(c);
        if (!c->around.in_process)
            virConnectUnregisterCloseCallback(c->conn, on_close);
        virConnectClose(c->conn);
    }
    free(c->around.pid_directory);
    free(c->around.log_directory);
    free(c->around.why_no_pid);
    free(c);
}

/* Gives up one that never came to be pooled. */
static void discard(struct connection *c)
{
    struct libvirt *l;

    if (!c)
        return;
    l = c->driver;
    pthread_mutex_lock(&l->lock);
    unlink_connection(l, c);
    pthread_mutex_unlock(&l->lock);
    bury(c);
}
DEFINE_CLEANUP(struct connection *, discard);

/* Whose processes are they, and can we see them? */
static int look_around(virConnectPtr conn, struct surroundings *ret, struct error **err)
{
    const char *type = virConnectGetType(conn);
    _cleanup_(freep) char *uri = virConnectGetURI(conn);

    if (!type || !uri)
        return libvirt_error(err, "ask libvirt what it is");
    ret->takes_flags = strcasecmp(type, "test") != 0;
    ret->has_processes = ret->takes_flags;
    if (ret->has_processes &&
        qemu_pid_directory(uri, geteuid() == 0, &ret->pid_directory, &ret->why_no_pid) < 0)
        return error_no_memory(err);
    if (qemu_log_directory(ret->pid_directory, &ret->log_directory) < 0)
        return error_no_memory(err);
    if (ret->pid_directory && qemu_check_visible(ret->pid_directory, &ret->why_no_pid) < 0)
        return error_no_memory(err);
    return 0;
}

/* Embed and test drivers know no keepalive, since nothing can come between. */
static int begin_keepalive(struct connection *c, struct error **err)
{
    int r = virConnectSetKeepAlive(c->conn, KEEPALIVE_SECONDS, KEEPALIVE_COUNT);

    c->around.in_process = r < 0 && libvirt_failed_with(VIR_ERR_NO_SUPPORT);
    if (c->around.in_process)
        return 0;
    if (r < 0)
        return libvirt_error(err, "begin keepalive");
    if (virConnectRegisterCloseCallback(c->conn, on_close, c->driver, NULL) < 0)
        return libvirt_error(err, "watch the connection");
    return 0;
}

static int open_connection(struct connection *c, struct error **err)
{
    struct libvirt *l = c->driver;
    virConnectPtr conn = virConnectOpen(l->uri);
    int r;

    if (!conn)
        return libvirt_error(err, "open %s", l->uri);
    pthread_mutex_lock(&l->lock); /* on_close() looks for it */
    c->conn = conn;
    pthread_mutex_unlock(&l->lock);
    r = begin_keepalive(c, err);
    if (r == 0)
        r = look_around(conn, &c->around, err);
    return r < 0 ? error_context(err, "open %s", l->uri) : 0;
}

/* A connection that is on the list, open, and its caller's. */
static int new_connection(struct libvirt *l, struct connection **ret, struct error **err)
{
    struct connection *c = calloc(1, sizeof(*c));
    int r;

    if (!c)
        return error_no_memory(err);
    c->driver = l;
    pthread_mutex_lock(&l->lock);
    c->next = l->connections;
    l->connections = c;
    pthread_mutex_unlock(&l->lock);
    r = open_connection(c, err);
    if (r < 0)
        discard(c);
    else
        *ret = c;
    return r;
}

/* May this one be put into the pool, or has the world moved on while it was opened? l->lock is
 * held. */
static bool may_pool(const struct libvirt *l, const struct connection *c, uint64_t generation)
{
    return !c->broken && !l->is_closing && l->generation == generation;
}

static int not_pooled(const struct libvirt *l, struct error **err)
{
    return error_set(err, ERROR_UNKNOWN, "open %s: lost again at once, or overtaken by a reconnect",
                     l->uri);
}

/* Retires what there is, and takes off the list what no call is on, for bury_all(). l->lock is
 * held. */
static struct connection *retire_all(struct libvirt *l)
{
    struct connection *idle = NULL;

    for (struct connection **p = &l->connections; *p;) {
        struct connection *c = *p;

        if (c->state == CONNECTION_POOLED)
            c->state = CONNECTION_RETIRED;
        if (c->state == CONNECTION_RETIRED && c->calls == 0) {
            *p = c->next;
            c->next = idle;
            idle = c;
        } else {
            p = &c->next;
        }
    }
    return idle;
}

static void bury_all(struct connection *idle)
{
    while (idle) {
        struct connection *c = idle;

        idle = c->next;
        bury(c);
    }
}

static int connect_anew(struct libvirt *l, bool *has_processes, struct error **err)
{
    _cleanup_(discard) struct connection *c = NULL;
    struct connection *idle;
    uint64_t generation;
    int r;

    pthread_mutex_lock(&l->lock);
    generation = ++l->generation;
    idle = retire_all(l);
    pthread_mutex_unlock(&l->lock);
    bury_all(idle);

    begin_listening(l);
    r = new_connection(l, &c, err);
    if (r == 0)
        r = events_register(c, err);
    if (r < 0)
        return r;

    pthread_mutex_lock(&l->lock);
    if (may_pool(l, c, generation)) {
        *has_processes = c->around.has_processes;
        l->is_lost = false;
        c->state = CONNECTION_POOLED;
        c = NULL;
    }
    pthread_mutex_unlock(&l->lock);
    return c ? not_pooled(l, err) : 0;
}

int libvirt_connect(struct hypervisor *h, bool *has_processes, struct error **err)
{
    struct libvirt *l = libvirt_of(h);
    int r;

    go_in(l);
    r = connect_anew(l, has_processes, err);
    go_out(l);
    return r;
}

/* A connection that can take a call, the oldest; how many there are, and whether any of them is in
 * the pool. l->lock is held. */
static struct connection *pick(const struct libvirt *l, unsigned *ret_n, bool *ret_connected)
{
    struct connection *found = NULL;

    *ret_n = 0;
    *ret_connected = false;
    for (struct connection *c = l->connections; c; c = c->next) {
        ++*ret_n;
        if (c->state != CONNECTION_POOLED || c->broken)
            continue;
        *ret_connected = true;
        if (c->calls == 0 || c->around.in_process)
            found = c;
    }
    return found;
}

/* Opens one more connection, with its call on it. */
static int widen(struct libvirt *l, uint64_t generation, struct connection **ret,
                 struct error **err)
{
    _cleanup_(discard) struct connection *c = NULL;
    int r = new_connection(l, &c, err);

    if (r < 0)
        return r;
    pthread_mutex_lock(&l->lock);
    if (may_pool(l, c, generation)) {
        c->state = CONNECTION_POOLED;
        c->calls = 1;
        *ret = take(c);
    }
    pthread_mutex_unlock(&l->lock);
    return c ? not_pooled(l, err) : 0;
}

static int find_or_open(struct libvirt *l, struct connection **ret, struct error **err)
{
    struct connection *c;
    uint64_t generation;
    bool connected;
    unsigned n;

    pthread_mutex_lock(&l->lock);
    c = pick(l, &n, &connected);
    if (c)
        c->calls++;
    generation = l->generation;
    pthread_mutex_unlock(&l->lock);
    if (!connected)
        return error_set(err, ERROR_UNKNOWN, "not connected to %s", l->uri);
    if (!c && n >= l->most_calls)
        return error_set(err, ERROR_UNKNOWN, "too many calls to %s do not return", l->uri);
    if (!c)
        return widen(l, generation, ret, err);
    *ret = c;
    return 0;
}

int lease_begin(struct libvirt *l, struct connection **ret, struct error **err)
{
    int r;

    go_in(l);
    r = find_or_open(l, ret, err);
    if (r < 0)
        go_out(l);
    return r;
}

void lease_end(struct connection *c)
{
    struct libvirt *l;
    bool is_last;

    if (!c)
        return;
    l = c->driver;
    pthread_mutex_lock(&l->lock);
    is_last = --c->calls == 0 && c->state == CONNECTION_RETIRED;
    if (is_last)
        unlink_connection(l, c);
    pthread_mutex_unlock(&l->lock);
    if (is_last)
        bury(c);
    go_out(l);
}

bool processes_are_seen(struct libvirt *l)
{
    bool are_seen = false;

    pthread_mutex_lock(&l->lock);
    for (const struct connection *c = l->connections; c; c = c->next)
        if (c->state == CONNECTION_POOLED)
            are_seen = c->around.has_processes && !c->around.why_no_pid;
    pthread_mutex_unlock(&l->lock);
    return are_seen;
}

bool connection_is_broken(struct connection *c)
{
    bool broken;

    pthread_mutex_lock(&c->driver->lock);
    broken = c->broken;
    pthread_mutex_unlock(&c->driver->lock);
    return broken || virConnectIsAlive(c->conn) != 1;
}

bool connections_close(struct libvirt *l)
{
    struct connection *idle;
    bool is_unused;

    pthread_mutex_lock(&l->lock);
    l->is_closing = true;
    idle = retire_all(l);
    is_unused = l->n_inside == 0;
    pthread_mutex_unlock(&l->lock);
    bury_all(idle);
    return is_unused;
}
