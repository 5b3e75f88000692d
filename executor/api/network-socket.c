/* network-socket.c - the listening TCP socket, and who is at the other end of its connections */
#include "api/network-socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* For how long what was sent may stay unconfirmed: a peer that has vanished without a word. In
 * milliseconds, and the kernel's; accepted connections inherit it. */
#define VANISHED_AFTER 60000

/* The longest text that inet_ntop() writes, brackets and a port around it. */
_Static_assert(NETWORK_ADDRESS_SIZE >= INET6_ADDRSTRLEN + 9, "room for an address and a port");

static in_port_t name_address(const struct sockaddr_storage *address,
                              char ret[static INET6_ADDRSTRLEN])
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
    const bool is_v4 = address->ss_family == AF_INET;

    if (!inet_ntop(address->ss_family,
                   is_v4 ? (const void *)&v4->sin_addr : (const void *)&v6->sin6_addr, ret,
                   INET6_ADDRSTRLEN))
        snprintf(ret, INET6_ADDRSTRLEN, "?");
    return ntohs(is_v4 ? v4->sin_port : v6->sin6_port);
}

static void name_socket(const struct sockaddr_storage *address,
                        char ret[static NETWORK_ADDRESS_SIZE])
{
    char name[INET6_ADDRSTRLEN];
    in_port_t port = name_address(address, name);

    snprintf(ret, NETWORK_ADDRESS_SIZE, address->ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u", name,
             (unsigned)port);
}

static void set_options(int fd)
{
    const int on = 1, vanished = VANISHED_AFTER;

    /* A restart need not wait for what is left of the connections before. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &vanished, sizeof(vanished));
}

int network_socket_listen(const struct sockaddr_storage *address, struct network_socket *ret,
                          struct error **err)
{
    const socklen_t length =
        address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    _cleanup_(close) int fd =
        socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_storage bound = *address;
    socklen_t size = sizeof(bound);

    name_socket(address, ret->address);
    if (fd < 0)
        return error_set_errno(err, ERROR_CONFIGURATION, errno,
                               "api.listen %s: cannot make a socket", ret->address);
    set_options(fd);
    if (bind(fd, (const struct sockaddr *)address, length) < 0 || listen(fd, SOMAXCONN) < 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &size) < 0)
        return error_set_errno(err, ERROR_CONFIGURATION, errno,
                               "api.listen %s: cannot listen there", ret->address);
    name_socket(&bound, ret->address);
    ret->fd = fd;
    fd = -1;
    return 0;
}

void network_socket_close(struct network_socket *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

void network_peer_name(int fd, char ret[static NETWORK_ADDRESS_SIZE])
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);

    if (getpeername(fd, (struct sockaddr *)&address, &size) < 0)
        snprintf(ret, NETWORK_ADDRESS_SIZE, "?");
    else
        name_address(&address, ret);
}

struct network_peer network_peer_of(int fd)
{
    struct sockaddr_storage address = {0};
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address;
    socklen_t size = sizeof(address);
    struct network_peer peer = {0};

    if (getpeername(fd, (struct sockaddr *)&address, &size) < 0 || address.ss_family == AF_UNIX)
        return peer;
    peer.is_known = true;
    if (address.ss_family == AF_INET) {
        peer.bytes[10] = peer.bytes[11] = 0xff;
        memcpy(peer.bytes + 12, &v4->sin_addr, 4);
    } else if (address.ss_family == AF_INET6) {
        memcpy(peer.bytes, &v6->sin6_addr, IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) ? 16 : 8);
    }
    return peer;
}

bool network_peer_is_same(const struct network_peer *a, const struct network_peer *b)
{
    return a->is_known && b->is_known && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}
