/* wiper-helper.c - one conversation with one stopd-wipe
 *
 * Theory of operation. A helper is a child with pipes on its descriptors 0 and 1, or a process of
 * the service manager's behind a socket; it speaks the same either way. The request goes out and
 * lines come in under one poll(), for a helper that does not read must not keep us from hearing
 * it, or from ending it.
 *
 * A helper can hang in the kernel, where no signal reaches it, with a device open for writing. So
 * being told to stop, being killed and being gone are three things, and only the last one says that
 * the device is free. Of a child the pidfd tells; a socket is hung up when the process at its other
 * end is gone. For that our end is not shut down for writing after the request, whose newline ends
 * it: a socket shut down on both sides would look the same whether the other end lives or not. To
 * stop such a helper our end is shut down for reading, and its next line breaks.
 *
 * SIGPIPE has to be blocked in the thread.
 */
#include "engine/wiper-helper.h"

#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SPAWN "spawn:"
#define UNIX "unix:"

struct helper {
    pid_t pid;     /* of a child; 0: behind a socket */
    int pidfd;     /* of a child */
    int to, from;  /* the same for a socket; to: -1 when all is said */
    char *socket;  /* its path */
    char *request; /* with its newline */
    size_t n_request, n_sent;
    char *buffer; /* what was read: n bytes from start on, of them `line` were given out */
    size_t size, n, line;
    bool is_over; /* it says nothing any more */
    bool is_gone;
    int status; /* of waitpid(); -1: not known */
    char text[PATH_MAX + 64];
};

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void helper_free(struct helper *h)
{
    if (!h)
        return;
    if (h->to == h->from)
        h->to = -1;
    close_end(&h->to);
    close_end(&h->from);
    close_end(&h->pidfd);
    free(h->socket);
    free(h->request);
    free(h->buffer);
    free(h);
}

/* --- Starting -------------------------------------------------------------------------------- */

/* With pipes for descriptors 0 and 1, our standard error, and nothing else of ours; in a process
 * group of its own, so that what is typed at a terminal is for us alone. */
static int spawn_between(const char *path, int in, int out, pid_t *ret)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    char *const argv[] = {(char *)path, NULL};
    sigset_t none, all;
    int r;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    r = posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    if (r == 0)
        r = posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    if (r == 0)
        r = posix_spawnp(ret, path, &files, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return -r;
}

/* Both ends; ours does not block, which is a matter of each end alone. */
static int make_pipe(int *ours, int *theirs, bool we_read)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    *ours = ends[we_read ? 0 : 1];
    *theirs = ends[we_read ? 1 : 0];
    return fcntl(*ours, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int start_child(struct helper *h, const char *path, struct error **err)
{
    _cleanup_(close) int in = -1, out = -1;
    int r = make_pipe(&h->to, &in, false);

    if (r == 0)
        r = make_pipe(&h->from, &out, true);
    if (r < 0)
        return error_set_errno(err, ERROR_UNAVAILABLE, r, "making pipes for %s", path);
    r = spawn_between(path, in, out, &h->pid);
    if (r < 0)
        return error_set_errno(err, ERROR_UNAVAILABLE, r, "starting the helper %s", path);
    h->pidfd = pidfd_open(h->pid, 0);
    if (h->pidfd >= 0)
        return 0;
    r = -errno;
    /* Without it its end could not be waited for by the clock. It has not been asked anything. */
    kill(h->pid, SIGKILL);
    waitpid(h->pid, NULL, 0);
    return error_set_errno(err, ERROR_UNAVAILABLE, r, "watching the helper %s", path);
}

static int connect_to(struct helper *h, const char *path, struct error **err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (text_replace(&h->socket, path) < 0)
        return error_no_memory(err);
    if (strlen(path) >= sizeof(address.sun_path))
        return error_set(err, ERROR_UNAVAILABLE, "the name of the socket %s is too long", path);
    strcpy(address.sun_path, path);
    h->from = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (h->from < 0 || connect(h->from, (struct sockaddr *)&address, sizeof(address)) < 0)
        return error_set_errno(err, ERROR_UNAVAILABLE, errno, "reaching a helper at %s", path);
    h->to = h->from;
    return 0;
}

static int start(struct helper *h, const char *how, struct error **err)
{
    if (strncmp(how, SPAWN, strlen(SPAWN)) == 0)
        return start_child(h, how + strlen(SPAWN), err);
    if (strncmp(how, UNIX, strlen(UNIX)) == 0)
        return connect_to(h, how + strlen(UNIX), err);
    return error_set(err, ERROR_UNAVAILABLE,
                     "local_storage.helper is '%s', and neither "
                     "spawn:PATH nor unix:SOCKET",
                     how);
}

int helper_start(const char *how, const char *request, size_t n, struct helper **ret,
                 struct error **err)
{
    _cleanup_(helper_free) struct helper *h = calloc(1, sizeof(*h));
    int r;

    if (!h)
        return error_no_memory(err);
    h->pidfd = h->to = h->from = h->status = -1;
    h->request = malloc(n + 1);
    if (!h->request)
        return error_no_memory(err);
    memcpy(h->request, request, n);
    h->request[n] = '\n';
    h->n_request = n + 1;
    r = start(h, how, err);
    if (r == 0)
        *ret = take(h);
    return r;
}

/* --- Talking --------------------------------------------------------------------------------- */

static void end_request(struct helper *h)
{
    if (h->to != h->from)
        close_end(&h->to);
    h->to = -1;
}

/* As much as it takes. One that does not listen any more is heard out. */
static void send_request(struct helper *h)
{
    ssize_t n = h->pid
                    ? write(h->to, h->request + h->n_sent, h->n_request - h->n_sent)
                    : send(h->to, h->request + h->n_sent, h->n_request - h->n_sent, MSG_NOSIGNAL);

    if (n > 0)
        h->n_sent += (size_t)n;
    if ((n < 0 && errno != EAGAIN && errno != EINTR) || h->n_sent == h->n_request)
        end_request(h);
}

/* Forgets the line that was given out last, and makes room behind the rest. */
static int make_room(struct helper *h, struct error **err)
{
    size_t size = h->size ? h->size : 4096;
    char *buffer;

    if (h->line > 0) {
        memmove(h->buffer, h->buffer + h->line, h->n - h->line);
        h->n -= h->line;
        h->line = 0;
    }
    if (h->n > HELPER_LINE_MAX)
        return error_set(err, ERROR_IO, "the helper says more than %zu bytes without a newline",
                         HELPER_LINE_MAX);
    while (size < h->n + 4096)
        size *= 2;
    if (size == h->size)
        return 0;
    buffer = realloc(h->buffer, size);
    if (!buffer)
        return error_no_memory(err);
    h->buffer = buffer;
    h->size = size;
    return 0;
}

static int receive(struct helper *h, struct error **err)
{
    int r = make_room(h, err);
    ssize_t n;

    if (r < 0)
        return r;
    n = read(h->from, h->buffer + h->n, h->size - h->n);
    if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNRESET)
        return error_set_errno(err, ERROR_IO, errno, "listening to the helper");
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        h->is_over = true;
    if (n > 0)
        h->n += (size_t)n;
    return 0;
}

static bool next_line(struct helper *h, const char **ret, size_t *ret_n)
{
    char *line, *end;

    if (h->n <= h->line) /* at first there is no buffer either */
        return false;
    line = h->buffer + h->line;
    end = memchr(line, '\n', h->n - h->line);
    if (!end)
        return false;
    *end = '\0';
    *ret = line;
    *ret_n = (size_t)(end - line);
    utf8_repair(line, *ret_n);
    h->line += *ret_n + 1;
    return true;
}

/* In milliseconds, rounded up, so that nobody comes back early to wait for nothing. */
static int time_left(usec_t until)
{
    usec_t now = moment_now().monotonic, left;

    if (until <= now)
        return 0;
    left = (until - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC;
    return left > INT32_MAX ? INT32_MAX : (int)left;
}

int helper_listen(struct helper *h, int bell, usec_t until, enum heard *ret, const char **line,
                  size_t *n, struct error **err)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = h->is_over ? -1 : h->from, .events = POLLIN},
                               {.fd = h->to, .events = POLLOUT},
                               {.fd = bell, .events = POLLIN},
                               {.fd = h->pidfd, .events = POLLIN}};
        int r;

        if (next_line(h, line, n)) {
            *ret = HEARD_LINE;
            return 0;
        }
        if (h->is_over) {
            *ret = HEARD_END;
            return 0;
        }
        r = poll(fds, ELEMENTSOF(fds), time_left(until));
        if (r < 0 && errno != EINTR)
            return error_set_errno(err, ERROR_IO, errno, "waiting for the helper");
        if (r > 0 && fds[1].revents)
            send_request(h);
        if (r > 0 && fds[0].revents && (r = receive(h, err)) < 0)
            return r;
        /* All is read that it said, even if a child of its own has the pipe still. */
        if (r > 0 && fds[3].revents && !fds[0].revents)
            h->is_over = true;
        *ret = HEARD_NOTHING;
        if (fds[2].revents || moment_now().monotonic >= until) {
            if (next_line(h, line, n))
                *ret = HEARD_LINE;
            return 0;
        }
    }
}

/* --- Ending ---------------------------------------------------------------------------------- */

void helper_stop(struct helper *h)
{
    if (h->is_gone)
        return;
    if (h->pid)
        pidfd_send_signal(h->pidfd, SIGTERM, NULL, 0);
    else
        shutdown(h->from, SHUT_RD);
}

void helper_kill(struct helper *h)
{
    if (h->pid && !h->is_gone)
        pidfd_send_signal(h->pidfd, SIGKILL, NULL, 0);
}

/* A child is a zombie then, which holds nothing open. */
static void reap(struct helper *h)
{
    int status;
    pid_t r;

    h->is_gone = true;
    if (!h->pid)
        return;
    do
        r = waitpid(h->pid, &status, 0);
    while (r < 0 && errno == EINTR);
    h->status = r == h->pid ? status : -1;
}

bool helper_await_end(struct helper *h, int bell, usec_t until)
{
    struct pollfd fds[] = {{.fd = h->pid ? h->pidfd : h->from, .events = h->pid ? POLLIN : 0},
                           {.fd = bell, .events = POLLIN}};
    int r;

    while (!h->is_gone) {
        r = poll(fds, ELEMENTSOF(fds), time_left(until));
        if (r > 0 && (fds[0].revents & (h->pid ? POLLIN : POLLHUP | POLLERR)))
            reap(h);
        else if ((r > 0 && fds[1].revents) || moment_now().monotonic >= until)
            break;
    }
    return h->is_gone;
}

int helper_exit_status(const struct helper *h)
{
    return h->status >= 0 && WIFEXITED(h->status) ? WEXITSTATUS(h->status) : -1;
}

bool helper_has_exit_status(const struct helper *h)
{
    return h->pid != 0;
}

/* --- How it stands with it ------------------------------------------------------------------- */

static void read_proc(pid_t pid, const char *name, char *ret, size_t size)
{
    char path[64];
    _cleanup_(close) int fd = -1;
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, ret, size - 1);
    ret[n < 0 ? 0 : n] = '\0';
}

static void describe_process(struct helper *h)
{
    char stat[512], wchan[80];
    const char *state;

    read_proc(h->pid, "stat", stat, sizeof(stat));
    read_proc(h->pid, "wchan", wchan, sizeof(wchan));
    state = strrchr(stat, ')');
    snprintf(h->text, sizeof(h->text), "pid %d, state %c%s%s", (int)h->pid,
             state && state[1] == ' ' ? state[2] : '?', *wchan && *wchan != '0' ? ", wchan " : "",
             *wchan != '0' ? wchan : "");
}

static void describe_end(struct helper *h)
{
    if (h->status < 0)
        snprintf(h->text, sizeof(h->text), "it ended in a way that is not known");
    else if (WIFSIGNALED(h->status))
        snprintf(h->text, sizeof(h->text), "it was ended by signal %d", WTERMSIG(h->status));
    else
        snprintf(h->text, sizeof(h->text), "it ended with status %d", WEXITSTATUS(h->status));
}

const char *helper_describe(struct helper *h)
{
    if (!h->pid)
        snprintf(h->text, sizeof(h->text), "the helper behind %s", h->socket);
    else if (h->is_gone)
        describe_end(h);
    else
        describe_process(h);
    return h->text;
}
