/* tls.h - what the network listener proves itself with, and asks of its clients */
#ifndef STOPD_API_TLS_H
#define STOPD_API_TLS_H

#include "stopd/error.h"

#include <gnutls/gnutls.h>
#include <stdio.h>

/* TLS 1.2 and 1.3, nothing older. */
#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct tls_files {
    const char *certificate, *key, *client_ca; /* PEM */
};

/* The files as they are in force now. Any thread. */
struct tls;
/* Loads the files. Errors are ERROR_CONFIGURATION and name the file. */
int tls_new(const struct tls_files *files, struct tls **ret, struct error **err);
void tls_free(struct tls *t);
DEFINE_CLEANUP(struct tls *, tls_free);
/* Loads these now, whether they have changed or not. Where they are no good the former stay in
 * force, which is logged. */
void tls_configure(struct tls *t, const struct tls_files *files);
/* The metrics of the certificate in force. Looks for changed files first, if it is time. */
void tls_write_metrics(struct tls *t, FILE *to);

/* One state of the files; sessions keep it until they end. */
struct tls_credentials;
/* Makes a server's session one that wants a client's certificate and verifies it; what is changed
 * in the files counts from here on. *ret is released when the session has ended. Returns 0 or a
 * negative errno. */
int tls_begin_session(struct tls *t, gnutls_session_t session, struct tls_credentials **ret);
void tls_credentials_release(struct tls_credentials *c);

/* Verifies the certificate that the client has shown: of our CAs, valid now, and a client's. 0;
 * else the client has been told why not, and *why is a sentence's end (freed by the caller). */
int tls_verify_client(gnutls_session_t session, char **why);

#endif
