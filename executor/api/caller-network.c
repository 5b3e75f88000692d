/* caller-network.c - who is at the other end of a TCP connection
 *
 * Theory of operation. The handshake has made sure that the certificate is of our CAs, valid and a
 * client's. Here its subject alternative names are read, once in a connection; which of them gives
 * a right is looked up for each request (caller.c), so that a change of the lists counts at once.
 */
#include "api/caller.h"
#include "api/network-socket.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>

DEFINE_CLEANUP(gnutls_x509_crt_t, gnutls_x509_crt_deinit);

static int read_certificate(gnutls_session_t session, gnutls_x509_crt_t certificate)
{
    unsigned n = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &n);

    if (!chain || n == 0)
        return -EACCES;
    return gnutls_x509_crt_import(certificate, &chain[0], GNUTLS_X509_FMT_DER) < 0 ? -EBADMSG : 0;
}

/* For the log, as long as no name of its is known to be anybody's. */
static void name_stranger(struct caller *c)
{
    const struct san *first = c->names.n > 0 ? &c->names.items[0] : NULL;

    snprintf(c->name, sizeof(c->name), "tls:%s:%s",
             first ? san_type_to_string(first->type) : "none", first ? first->value : "");
    for (char *at = c->name; *at; at++)
        if (!isprint((unsigned char)*at))
            *at = '?';
}

int caller_of_certificate(struct MHD_Connection *http, struct caller *ret)
{
    gnutls_session_t session =
        MHD_get_connection_info(http, MHD_CONNECTION_INFO_GNUTLS_SESSION)->tls_session;
    _cleanup_(gnutls_x509_crt_deinit) gnutls_x509_crt_t certificate = NULL;
    struct caller c = {.kind = CALLER_CERTIFICATE};
    int r;

    if (gnutls_x509_crt_init(&certificate) < 0)
        return -ENOMEM;
    r = read_certificate(session, certificate);
    if (r == 0)
        r = san_list_of_certificate(certificate, &c.names);
    if (r < 0)
        return r;
    c.expires = (usec_t)gnutls_x509_crt_get_expiration_time(certificate) * USEC_PER_SEC;
    name_stranger(&c);
    *ret = c;
    return 0;
}

int caller_of_loopback(struct MHD_Connection *http, struct caller *ret)
{
    int fd = MHD_get_connection_info(http, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    char peer[NETWORK_ADDRESS_SIZE];

    network_peer_name(fd, peer);
    *ret = (struct caller){.kind = CALLER_LOOPBACK};
    snprintf(ret->name, sizeof(ret->name), "loopback:%s", peer);
    return 0;
}

bool caller_is_current(const struct caller *c)
{
    return c->kind != CALLER_CERTIFICATE || moment_now().realtime <= c->expires;
}
