/* load-socket.c - load over a Unix socket, with as little of the processor as can be
 *
 * Theory of operation. One thread and an epoll. A question is one write, an answer one read where
 * it is short: of it the status and the Content-Length are looked at, and nothing else. What is
 * measured is the server's, as nearly as a client on the same machine can have it.
 */
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define EVENTS 64

struct connection {
    int fd;
    bool waits;   /* for an answer */
    double asked; /* when */
    size_t size;
    char answer[8192]; /* what has come of it; a longer one is a mistake */
};

struct way {
    struct load *load;
    int epoll;
    struct connection *connections;
};

/* --- One question and its answer ------------------------------------------------------------- */

/* Behind scheme and authority. */
static const char *target_of(const char *url)
{
    const char *authority = strstr(url, "://"), *target;

    target = authority ? strchr(authority + 3, '/') : NULL;
    return target ? target : "/";
}

static void send_question(struct connection *c, const char *target)
{
    char question[4608];
    int n =
        snprintf(question, sizeof(question), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target);

    if (n < 0 || (size_t)n >= sizeof(question))
        die("the URL is too long");
    c->size = 0;
    c->waits = true;
    c->asked = now();
    /* Nothing else is on its way there: it fits, or the server has left, which the read will say.
     */
    (void)!send(c->fd, question, (size_t)n, MSG_NOSIGNAL);
}

/* The status of a whole answer; 0: there is more to come; -1: it is none. */
static long whole_answer(struct connection *c)
{
    const char *field, *end;
    size_t length;

    c->answer[c->size] = '\0';
    end = strstr(c->answer, "\r\n\r\n");
    if (!end)
        return c->size + 1 < sizeof(c->answer) ? 0 : -1;
    field = strcasestr(c->answer, "\r\nContent-Length:");
    if (!field || field > end || strncmp(c->answer, "HTTP/1.1 ", 9) != 0)
        return -1;
    length = (size_t)(end + 4 - c->answer) + strtoul(field + 17, NULL, 10);
    if (length + 1 > sizeof(c->answer) || length < c->size)
        return -1;
    return length == c->size ? strtol(c->answer + 9, NULL, 10) : 0;
}

static long read_answer(struct connection *c)
{
    ssize_t n = read(c->fd, c->answer + c->size, sizeof(c->answer) - 1 - c->size);

    if (n < 0)
        return errno == EAGAIN ? 0 : -1;
    if (n == 0 || !c->waits)
        return -1;
    c->size += (size_t)n;
    return whole_answer(c);
}

/* --- All of them ----------------------------------------------------------------------------- */

static void ask_next(struct way *w, struct connection *c)
{
    char url[4096];

    c->waits = false;
    if (load_next(w->load, url, sizeof(url)))
        send_question(c, target_of(url));
}

static void lose(struct way *w, struct connection *c)
{
    snprintf(w->load->problem, sizeof(w->load->problem),
             "the server ended a connection, or what it sent is no answer");
    if (c->waits)
        load_answered(w->load, c->asked, 0);
    c->waits = false;
    close(c->fd); /* the epoll forgets it */
    c->fd = -1;
}

/* Until so many answers are here. ask: the next question after each. */
static void hear(struct way *w, size_t wanted, bool ask)
{
    struct epoll_event events[EVENTS];
    size_t n_lost = 0;

    while (wanted > 0 && n_lost < w->load->options.connections) {
        int n = epoll_wait(w->epoll, events, EVENTS, -1);

        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            long status = read_answer(c);

            if (status == 0)
                continue;
            wanted -= c->waits;
            if (status < 0) {
                n_lost++;
                lose(w, c);
            } else if (ask) {
                load_answered(w->load, c->asked, status);
                ask_next(w, c);
            }
        }
    }
}

static void connect_one(struct way *w, struct connection *c)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    const char *path = w->load->options.unix_socket;

    if (strlen(path) >= sizeof(address.sun_path))
        die("the socket's path is too long");
    strcpy(address.sun_path, path);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        epoll_ctl(w->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
        die("the server cannot be reached");
}

static void *open_way(struct load *l)
{
    struct way *w = allocate(1, sizeof(*w));

    w->load = l;
    w->connections = allocate(l->options.connections, sizeof(*w->connections));
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (w->epoll < 0)
        die("there is no epoll");
    for (unsigned i = 0; i < l->options.connections; i++) {
        connect_one(w, &w->connections[i]);
        send_question(&w->connections[i], "/livez");
    }
    hear(w, l->options.connections, false);
    return w;
}

static void ask(void *way)
{
    struct way *w = way;

    for (unsigned i = 0; i < w->load->options.connections; i++)
        ask_next(w, &w->connections[i]);
    hear(w, w->load->options.count, true);
}

static void close_way(void *way)
{
    struct way *w = way;

    for (unsigned i = 0; i < w->load->options.connections; i++)
        if (w->connections[i].fd >= 0)
            close(w->connections[i].fd);
    close(w->epoll);
    free(w->connections);
    free(w);
}

const struct load_way load_by_socket = {open_way, ask, close_way};
