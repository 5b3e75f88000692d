/* unix-socket.c - the listening Unix socket
 *
 * Theory of operation. A socket file outlives its process, so one that is there already says
 * nothing: only connecting tells whether somebody answers. Nobody does: it is stale, and replaced.
 * The new socket is made beside it under another name, gets its group, its mode and its backlog
 * there, and only then takes the place by rename(): there is no moment in which a client finds no
 * socket, or one that is open to others than it will be. Two daemons that start at the same time
 * are kept apart by the journal's lock, not here.
 */
#include "api/unix-socket.h"

#include "api/caller.h"
#include "stopd/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

/* Beside the socket itself, while it is being made. */
#define NEW_SUFFIX ".new"

static int socket_error(struct error **err, int errnum, const char *path, const char *what)
{
    return error_set_errno(err, ERROR_CONFIGURATION, errnum, "api.socket %s: %s", path, what);
}

static int make_address(const char *path, const char *suffix, struct sockaddr_un *ret,
                        struct error **err)
{
    int n;

    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    n = snprintf(ret->sun_path, sizeof(ret->sun_path), "%s%s", path, suffix);
    if (n < 0 || (size_t)n >= sizeof(ret->sun_path))
        return error_set(err, ERROR_CONFIGURATION,
                         "api.socket %s: a socket's path has at most %zu characters", path,
                         sizeof(ret->sun_path) - sizeof(NEW_SUFFIX));
    return 0;
}

static int make_socket(const char *path, int *ret, struct error **err)
{
    *ret = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return *ret < 0 ? socket_error(err, errno, path, "cannot make a socket") : 0;
}

/* 0: nothing is there, or a socket on which nobody answers. */
static int check_place(const char *path, struct error **err)
{
    _cleanup_(close) int fd = -1;
    struct sockaddr_un address;
    struct stat st;
    int r;

    r = make_address(path, NEW_SUFFIX, &address, err);
    if (r < 0)
        return r;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : socket_error(err, errno, path, "cannot look at it");
    if (!S_ISSOCK(st.st_mode))
        return error_set(err, ERROR_CONFIGURATION,
                         "api.socket %s: something else than a socket is there; remove it", path);
    r = make_address(path, "", &address, err);
    if (r == 0)
        r = make_socket(path, &fd, err);
    if (r < 0)
        return r;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        if (errno == ECONNREFUSED || errno == ENOENT)
            return 0;
        if (errno != EAGAIN) /* its backlog is full */
            return socket_error(err, errno, path, "cannot tell whether somebody listens");
    }
    return error_set(err, ERROR_CONFIGURATION, "api.socket %s: another process listens there",
                     path);
}

/* Where the group cannot be had, only the owner is let in: the process's own group might be one
 * that half the host is in. */
static int set_rights(const char *name, const char *path, mode_t mode, const char *group,
                      struct error **err)
{
    gid_t gid;

    if (is_set(group) && (group_from_word(group, &gid) < 0 || chown(name, (uid_t)-1, gid) < 0)) {
        log_warning("api.socket_group: the socket %s cannot have the group %s; only its owner may "
                    "use it",
                    path, group);
        mode &= ~(mode_t)(S_IRWXG | S_IRWXO);
    }
    if (chmod(name, mode) < 0)
        return socket_error(err, errno, path, "cannot set its mode");
    return 0;
}

static int bind_beside(int fd, const struct sockaddr_un *address, const char *path,
                       struct error **err)
{
    struct stat st;

    /* Left behind by a start that did not get to its end. */
    if (lstat(address->sun_path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(address->sun_path);
    if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
        return socket_error(err, errno, path, "cannot make it");
    return 0;
}

static int put_in_place(int fd, const char *name, const char *path, struct unix_socket *ret,
                        struct error **err)
{
    struct stat st;

    if (listen(fd, SOMAXCONN) < 0)
        return socket_error(err, errno, path, "cannot listen");
    if (lstat(name, &st) < 0 || rename(name, path) < 0)
        return socket_error(err, errno, path, "cannot put it in place");
    ret->device = st.st_dev;
    ret->inode = st.st_ino;
    return 0;
}

int unix_socket_listen(const char *path, mode_t mode, const char *group, struct unix_socket *ret,
                       struct error **err)
{
    _cleanup_(close) int fd = -1;
    _cleanup_(freep) char *kept = strdup(path);
    struct sockaddr_un address;
    int r;

    *ret = (struct unix_socket){.fd = -1};
    if (!kept)
        return error_no_memory(err);
    r = check_place(path, err);
    if (r == 0)
        r = make_address(path, NEW_SUFFIX, &address, err);
    if (r == 0)
        r = make_socket(path, &fd, err);
    if (r == 0)
        r = bind_beside(fd, &address, path, err);
    if (r < 0)
        return r;
    r = set_rights(address.sun_path, path, mode, group, err);
    if (r == 0)
        r = put_in_place(fd, address.sun_path, path, ret, err);
    if (r < 0) {
        unlink(address.sun_path);
        return r;
    }
    ret->fd = fd;
    fd = -1;
    ret->path = take(kept);
    return 0;
}

int unix_socket_adopt(int fd, struct unix_socket *ret, struct error **err)
{
    int flags = fcntl(fd, F_GETFL);

    *ret = (struct unix_socket){.fd = -1};
    if (sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) <= 0)
        return error_set(err, ERROR_CONFIGURATION,
                         "the socket that was handed over is not a listening Unix stream socket");
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return error_set_errno(err, ERROR_CONFIGURATION, errno, "the socket that was handed over");
    ret->fd = fd;
    return 0;
}

void unix_socket_close(struct unix_socket *s)
{
    struct stat st;

    if (s->path && lstat(s->path, &st) == 0 && st.st_dev == s->device && st.st_ino == s->inode)
        unlink(s->path);
    if (s->fd >= 0)
        close(s->fd);
    free(s->path);
    *s = (struct unix_socket){.fd = -1};
}
