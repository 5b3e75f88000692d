/* session.h - one connection to a NATS server, and what it says while it lasts
 *
 * A session does not heal: when its connection breaks, whoever uses it is told and opens another.
 * So nothing that was sent is ever sent again behind our back. */
#ifndef STOPD_NATS_SESSION_H
#define STOPD_NATS_SESSION_H

#include "nats.h"

#include <nats/nats.h>
#include <pthread.h>

/* What inboxes begin with, before the host. */
#define SESSION_INBOX "_INBOX.stopd."

/* What the library's threads tell. It outlives the session until the last of them has spoken. */
struct session_watch {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* on the monotonic clock */
    unsigned references;
    bool closed;    /* the connection is gone */
    char said[256]; /* a complaint of the server's, such as a permission violation; "": none */
};

struct session {
    natsConnection *connection;
    jsCtx *js;
    struct session_watch *watch;
};

/* js: how JetStream is to be used, or NULL. role: a word for the server's lists of clients. On
 * failure *ret is as it was. */
int session_open(const struct nats_settings *settings, const char *role, jsOptions *js,
                 struct session *ret, struct error **err);
/* One that was never opened is fine. */
void session_close(struct session *s);

/* "doing: what the library says of status". Takes the library's last word, which is this thread's.
 */
int session_fail(natsStatus status, const char *doing, struct error **err);
/* The same, but what the server has said of late comes first. */
int session_fail_with_word(struct session *s, natsStatus status, const char *doing,
                           struct error **err);

/* A copy of the settings that is ours. */
int nats_settings_copy(const struct nats_settings *from, struct nats_settings *to,
                       struct error **err);
void nats_settings_clear(struct nats_settings *s);

#endif
