/* unix-socket.h - the listening Unix socket: made here, or handed over by the service manager */
#ifndef STOPD_API_UNIX_SOCKET_H
#define STOPD_API_UNIX_SOCKET_H

#include "stopd/error.h"

#include <sys/types.h>

struct unix_socket {
    int fd;
    char *path; /* NULL: not ours to remove */
    dev_t device;
    ino_t inode;
};

/* Listens at path, in place of a socket there on which nobody answers any more. The group is a
 * name or an id; NULL or empty: the process's own. Errors are ERROR_CONFIGURATION. */
int unix_socket_listen(const char *path, mode_t mode, const char *group, struct unix_socket *ret,
                       struct error **err);
/* Takes a socket that listens already; owner, mode and name are whoever's made it. */
int unix_socket_adopt(int fd, struct unix_socket *ret, struct error **err);
/* Closes it, and removes its name where that is still this socket. */
void unix_socket_close(struct unix_socket *s);

#endif
