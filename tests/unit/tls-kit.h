/* tls-kit.h - certificates made for a test, and a client that shows one of them */
#ifndef STOPD_TESTS_TLS_KIT_H
#define STOPD_TESTS_TLS_KIT_H

#include "api-kit.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

/* A certificate and its key; issuer NULL: of itself, and a CA. */
struct identity {
    gnutls_x509_crt_t certificate;
    gnutls_x509_privkey_t key;
    char cert_path[128], key_path[128];
};

struct name {
    gnutls_x509_subject_alt_name_t type;
    const char *value;
};

static inline void identity_write(const struct identity *i)
{
    gnutls_datum_t cert, key;

    assert_int_equal(gnutls_x509_crt_export2(i->certificate, GNUTLS_X509_FMT_PEM, &cert), 0);
    assert_int_equal(gnutls_x509_privkey_export2(i->key, GNUTLS_X509_FMT_PEM, &key), 0);
    scratch_write(i->cert_path, cert.data, cert.size);
    scratch_write(i->key_path, key.data, key.size);
    chmod(i->key_path, 0600);
    gnutls_free(cert.data);
    gnutls_free(key.data);
}

/* Valid for so many seconds from now; purpose NULL: no extended key usage. */
static inline struct identity identity_make(struct fixture *f, const char *file,
                                            const struct identity *issuer, time_t valid,
                                            const char *purpose, const struct name *names,
                                            size_t n_names)
{
    static unsigned char serial;
    const time_t now = time(NULL);
    struct identity i;

    snprintf(i.cert_path, sizeof(i.cert_path), "%s/%s.pem", f->scratch->folder, file);
    snprintf(i.key_path, sizeof(i.key_path), "%s/%s-key.pem", f->scratch->folder, file);
    assert_int_equal(gnutls_x509_crt_init(&i.certificate), 0);
    assert_int_equal(gnutls_x509_privkey_init(&i.key), 0);
    assert_int_equal(gnutls_x509_privkey_generate(i.key, GNUTLS_PK_ECDSA,
                                                  GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1),
                                                  0),
                     0);
    serial++;
    gnutls_x509_crt_set_version(i.certificate, 3);
    gnutls_x509_crt_set_serial(i.certificate, &serial, 1);
    gnutls_x509_crt_set_activation_time(i.certificate, now - 3600);
    gnutls_x509_crt_set_expiration_time(i.certificate, now + valid);
    gnutls_x509_crt_set_key(i.certificate, i.key);
    gnutls_x509_crt_set_dn(i.certificate, issuer ? "CN=somebody" : "CN=a CA of the tests", NULL);
    gnutls_x509_crt_set_basic_constraints(i.certificate, !issuer, -1);
    if (purpose)
        gnutls_x509_crt_set_key_purpose_oid(i.certificate, purpose, 0);
    for (size_t n = 0; n < n_names; n++) {
        const char *value = names[n].value;
        size_t size = strlen(value);
        struct in_addr address;

        if (names[n].type == GNUTLS_SAN_IPADDRESS) {
            assert_int_equal(inet_pton(AF_INET, value, &address), 1);
            value = (const char *)&address;
            size = sizeof(address);
        }
        assert_int_equal(gnutls_x509_crt_set_subject_alt_name(i.certificate, names[n].type, value,
                                                              (unsigned)size, GNUTLS_FSAN_APPEND),
                         0);
    }
    assert_int_equal(gnutls_x509_crt_sign2(i.certificate,
                                           issuer ? issuer->certificate : i.certificate,
                                           issuer ? issuer->key : i.key, GNUTLS_DIG_SHA256, 0),
                     0);
    identity_write(&i);
    return i;
}

static inline void identity_free(struct identity *i)
{
    gnutls_x509_crt_deinit(i->certificate);
    gnutls_x509_privkey_deinit(i->key);
}

/* --- Connections to the listener on the network ------------------------------------------- */

static inline struct client network_client_of(struct fixture *f)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = (time_t)(PATIENCE / USEC_PER_SEC)};
    struct client c = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const char *port = strrchr(api_network_address(f->api), ':');

    address.sin_port = htons((uint16_t)atoi(port + 1));
    setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    assert_int_equal(connect(c.fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return c;
}

struct tls_client {
    struct client raw;
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
    bool is_connected; /* as the client sees it */
};

static inline void tls_hang_up(struct tls_client *c)
{
    gnutls_deinit(c->session);
    gnutls_certificate_free_credentials(c->credentials);
    hang_up(&c->raw);
}

/* who NULL: shows no certificate. It trusts whomever it talks to. */
static inline struct tls_client tls_client_of(struct fixture *f, const struct identity *who)
{
    struct tls_client c = {.raw = network_client_of(f)};
    int r;

    gnutls_certificate_allocate_credentials(&c.credentials);
    if (who)
        assert_int_equal(gnutls_certificate_set_x509_key(
                             c.credentials, (gnutls_x509_crt_t[]){who->certificate}, 1, who->key),
                         0);
    gnutls_init(&c.session, GNUTLS_CLIENT);
    gnutls_set_default_priority(c.session);
    gnutls_credentials_set(c.session, GNUTLS_CRD_CERTIFICATE, c.credentials);
    gnutls_transport_set_int(c.session, c.raw.fd);
    do {
        r = gnutls_handshake(c.session);
    } while (r < 0 && !gnutls_error_is_fatal(r));
    c.is_connected = r == 0;
    return c;
}

/* The status of the answer; 0: there was none. */
static inline int tls_get(struct tls_client *c, const char *target)
{
    char request[512], answer[8192];
    size_t n = 0;
    ssize_t r;
    int status = 0;

    if (!c->is_connected)
        return 0;
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: stopd\r\n\r\n", target);
    gnutls_record_send(c->session, request, strlen(request));
    do {
        const char *body, *length;

        do {
            r = gnutls_record_recv(c->session, answer + n, sizeof(answer) - 1 - n);
        } while (r == GNUTLS_E_INTERRUPTED);
        if (r <= 0)
            return 0;
        n += (size_t)r;
        answer[n] = '\0';
        body = strstr(answer, "\r\n\r\n");
        length = strcasestr(answer, "\r\nContent-Length:");
        if (body && length && n >= (size_t)(body + 4 - answer) + strtoul(length + 17, NULL, 10))
            sscanf(answer, "HTTP/1.1 %d", &status);
    } while (status == 0);
    return status;
}

/* One request on a connection of its own. */
static inline int tls_get_as(struct fixture *f, const struct identity *who, const char *target)
{
    struct tls_client c = tls_client_of(f, who);
    int status = tls_get(&c, target);

    tls_hang_up(&c);
    return status;
}

/* The expiry of the certificate that the server has shown. */
static inline time_t tls_server_expiry(const struct tls_client *c)
{
    unsigned n;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(c->session, &n);
    gnutls_x509_crt_t certificate;
    time_t expiry;

    assert_non_null(chain);
    gnutls_x509_crt_init(&certificate);
    gnutls_x509_crt_import(certificate, &chain[0], GNUTLS_X509_FMT_DER);
    expiry = gnutls_x509_crt_get_expiration_time(certificate);
    gnutls_x509_crt_deinit(certificate);
    return expiry;
}

#endif
