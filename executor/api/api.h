/* api.h - the way in for the operator and the control plane: HTTP/1.1 on a Unix socket, and over a
 * network with mutual TLS
 *
 * The room speaks contract sections 3 and 5 and knows nothing of stops: what changes or waits for
 * something is posted to the engine as a struct request; operations and events are read from the
 * journal, which is the committed truth. It has a thread of its own for each of the two, in which
 * everything happens but the functions below and the engine's reply().
 */
#ifndef STOPD_API_API_H
#define STOPD_API_API_H

#include "engine/request.h"

#include <sys/socket.h>
#include <sys/types.h>

struct api_words {
    const char *const *items;
    size_t n;
};

/* What a client can take of this process. 0 is the default that stands behind. */
struct api_limits {
    unsigned connections; /* at once on the Unix socket: 2048, and as file descriptors allow */
    unsigned network_connections; /* the same over the network, apart from those: 1024 */
    unsigned per_peer;            /* of them from one address: 256 */
    unsigned waiting_per_caller;  /* requests of one caller that wait or stream: 256 */
    usec_t handshake;             /* a TLS handshake may take so long: 10 s, whole seconds */
    usec_t idle;                  /* a connection may be silent for so long: 60 s, whole seconds */
    usec_t request;               /* one request may take so long to come in: 120 s */
    usec_t slice;                 /* a wait is renewed, and its client looked at, so often: 15 s */
};

struct api_settings {
    const char *host_id;
    const char *certificate_key; /* the public half, in PEM; NULL: there is none */
    const char *journal_path;
    const char *socket_path; /* api.socket; not used where socket_fd is given */
    int socket_fd; /* a listening socket from the service manager, ours from now on; -1: none */
    mode_t socket_mode;
    const char *socket_group;            /* a name or an id; NULL or empty: the process's own */
    struct api_words operators, readers; /* names or numeric ids of groups, or "*" */
    struct sockaddr_storage listen;      /* api.listen; AF_UNSPEC: off */
    bool insecure_loopback;              /* there without TLS, for whoever reaches it */
    const char *tls_cert, *tls_key, *tls_client_ca; /* else these files, PEM */
    struct api_words tls_clients, tls_readers;      /* subject alternative names */
    unsigned rate;                                  /* api.rate */
    struct api_limits limits;

    /* Hands a request to the engine. From the API's thread; must not block, and must not fail. */
    void (*post)(void *userdata, struct request *r);
    void *userdata;
};

struct api;
/* Listens and serves from now on. All of the settings are copied. Errors are ERROR_CONFIGURATION,
 * with a sentence for the operator: somebody else answers on the socket, its directory is missing,
 * its path is too long, what is there is no socket. A group that does not exist is logged: in a
 * list it stands for nobody, and as the socket's group it leaves the socket to the owner. Of the
 * network: an address that cannot be had, a file that cannot be loaded. */
int api_start(const struct api_settings *settings, struct api **ret, struct error **err);
/* Where it listens on the network, with the port that was taken for 0; NULL: it does not. */
const char *api_network_address(const struct api *a);
/* SIGHUP: operators, readers, rate, and all of TLS, its files included, count from now on, for
 * connections that are there as well, but for the files; the rest needs a restart. */
void api_configure(struct api *a, const struct api_settings *settings);
/* No new connections and no new requests (503), and whoever waits for an operation or an event is
 * answered as things are. Does not block. Call it when the engine is quiesced, and let the engine
 * answer what it has. */
void api_quiesce(struct api *a);
/* Ends everything and frees a. What the engine has not answered is answered InternalError, for its
 * outcome is not known; clients get a second to fetch their answers. The engine may reply() later.
 */
void api_stop(struct api *a);
DEFINE_CLEANUP(struct api *, api_stop);

#endif
