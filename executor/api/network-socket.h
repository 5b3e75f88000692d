/* network-socket.h - the listening TCP socket, and who is at the other end of its connections */
#ifndef STOPD_API_NETWORK_SOCKET_H
#define STOPD_API_NETWORK_SOCKET_H

#include "stopd/error.h"

#include <sys/socket.h>

/* "[2001:db8::7]:65535" */
#define NETWORK_ADDRESS_SIZE 64

struct network_socket {
    int fd;
    char address[NETWORK_ADDRESS_SIZE]; /* as bound: with the port that was taken for 0 */
};

/* Errors are ERROR_CONFIGURATION. */
int network_socket_listen(const struct sockaddr_storage *address, struct network_socket *ret,
                          struct error **err);
void network_socket_close(struct network_socket *s);

/* The address at the other end, without its port: "192.0.2.7", "2001:db8::7"; "?" where it cannot
 * be told. */
void network_peer_name(int fd, char ret[static NETWORK_ADDRESS_SIZE]);

/* What counts as one peer: an address, and of IPv6 the network of 64 bits, of which one host has
 * as many addresses as it likes. */
struct network_peer {
    bool is_known; /* else of no network, and nobody's peer */
    unsigned char bytes[16];
};
struct network_peer network_peer_of(int fd);
bool network_peer_is_same(const struct network_peer *a, const struct network_peer *b);

#endif
