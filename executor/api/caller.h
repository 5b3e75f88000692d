/* caller.h - who is at the other end of a connection, and what they may do */
#ifndef STOPD_API_CALLER_H
#define STOPD_API_CALLER_H

#include "api/api.h"
#include "api/san.h"

#include <microhttpd.h>

enum caller_kind {
    CALLER_PROCESS,     /* on this host, over the Unix socket */
    CALLER_CERTIFICATE, /* over the network; its handshake has been verified */
    CALLER_LOOPBACK,    /* over plain HTTP, whoever it is */
};
struct caller {
    enum caller_kind kind;
    char name[256]; /* struct principal's; empty: not known yet */
    bool is_local_root;
    gid_t *groups; /* of the process that connected */
    size_t n_groups;
    struct san_list names; /* of the certificate */
    usec_t expires;        /* the certificate, realtime */
};
/* These return 0 or a negative errno. The process that connected to a Unix socket: */
int caller_of_unix_socket(struct MHD_Connection *http, struct caller *ret);
/* The holder of the certificate that was shown (caller-network.c): */
int caller_of_certificate(struct MHD_Connection *http, struct caller *ret);
int caller_of_loopback(struct MHD_Connection *http, struct caller *ret);
void caller_clear(struct caller *c);
/* Is what it proved itself with still good? */
bool caller_is_current(const struct caller *c);

/* A group's name, or its number. Asks the name service, and so may block. 0 or -ENOENT. */
int group_from_word(const char *word, gid_t *ret);

/* In rising order: each has those before it. */
enum right { RIGHT_NONE, RIGHT_READ, RIGHT_CHANGE };

struct group_list {
    bool anybody;
    gid_t *items;
    size_t n;
};
/* api.operators and api.readers, with the groups' names resolved; api.tls_clients and
 * api.tls_readers. */
struct access {
    struct group_list operators, readers;
    struct san_list tls_clients, tls_readers;
};
/* Asks the name service too. 0 or -ENOMEM; *ret is replaced only on success. */
int access_set(struct access *ret, const struct api_settings *settings);
void access_clear(struct access *a);
/* Names a certificate's holder after the subject alternative name that gives the right. */
enum right access_of(const struct access *a, struct caller *c);

#endif
