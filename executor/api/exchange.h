/* exchange.h - one HTTP exchange: a request, what is found out for it, and its answer
 *
 * Everything here happens on the listener's thread. A handler (see route.h) does one of two things:
 * it answers, by respond.h, or it asks the engine and answers when it is called with what came. */
#ifndef STOPD_API_EXCHANGE_H
#define STOPD_API_EXCHANGE_H

#include "api/server.h"
#include "core/command.h"

#include <stdio.h>

enum verb { VERB_GET = 1, VERB_HEAD = 2, VERB_POST = 4, VERB_OTHER = 8 };
enum format { FORMAT_JSON, FORMAT_XML };

struct exchange {
    struct listener *listener;
    struct connection *connection;
    struct MHD_Connection *http;
    char request_id[UUID_TEXT_SIZE]; /* as answered; a replayed command's is the first one's */
    usec_t began;                    /* monotonic */

    /* The request. */
    char *target;         /* as it came, cut at the query */
    size_t target_length; /* as it came */
    const char *path;     /* in target; not decoded */
    const char *query;    /* in target, or NULL */
    enum verb verb;
    struct parameters parameters; /* the query's, and where a handler reads a form, the form's */
    struct error *malformed;      /* what could not be decoded first, or NULL */
    bool is_unreadable;           /* that was the body: what is in it nobody knows */
    char *body;
    size_t body_size; /* as it came; past BODY_MOST nothing is kept */
    bool begun, is_whole;

    /* Found out by the router. */
    const struct route *route; /* NULL: there is none */
    char *argument;            /* what stands in the path for the pattern's {}, decoded, or NULL */
    char *second_argument;     /* and for its second one */
    struct principal principal;
    enum right right;

    /* The answer. */
    enum format format;
    const char *root;   /* the root element of an answer in XML */
    const char *allow;  /* for 405 */
    usec_t retry_after; /* for 429 */
    unsigned status;    /* 0: not answered */

    /* While the engine is asked. */
    struct question *question;
    void (*then)(struct exchange *x, const struct answer *a);
    bool only_waits; /* the question: nothing is lost when it is interrupted */
    usec_t deadline; /* of a wait, for its handler; monotonic */
    struct {
        FILE *file; /* writes to text */
        char *text;
        size_t size;
        json_object *list;
    } gathered; /* of an answer that comes in slices, by its handler; see instances.h */
    int (*gather)(struct exchange *x, json_object *slice);
    void (*finish)(struct exchange *x);
    LIST_ENTRY(exchange) link;
};

/* The library's callbacks: the request line is here; the rest of the request, piece by piece, and
 * then again after each resumption; the exchange is over. cls is the listener. */
void *exchange_open(void *cls, const char *target, struct MHD_Connection *http);
enum MHD_Result exchange_handle(void *cls, struct MHD_Connection *http, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_size, void **context);
void exchange_over(void *cls, struct MHD_Connection *http, void **context,
                   enum MHD_RequestTerminationCode why);

/* Takes one of the places for requests that wait or stream, if the exchange has none: until it is
 * answered. ERROR_UNAVAILABLE where all are taken, or the server stops; ERROR_THROTTLED where the
 * caller has its share of those that wait. */
int exchange_take_place(struct exchange *x, bool only_waits, struct error **err);
/* Posts r (taken) to the engine; then is called with what it answered. The connection sleeps until
 * then. On an error, which may be exchange_take_place()'s, nothing was posted. */
int exchange_ask(struct exchange *x, struct request *r,
                 void (*then)(struct exchange *x, const struct answer *a), struct error **err);
/* The same, and answers an error itself. */
void exchange_ask_or_fail(struct exchange *x, struct request *r,
                          void (*then)(struct exchange *x, const struct answer *a));
/* A request of this exchange's, or NULL when out of memory. */
struct request *exchange_request(const struct exchange *x, enum request_kind kind);
/* Calls then, if the engine has been asked: for a stream, which is resumed elsewhere. */
void exchange_continue(struct exchange *x);

/* How long the engine is to wait now of a wait that ends at x->deadline: a slice at most; 0: no
 * longer, or for nobody, for the client has left. */
usec_t exchange_next_slice(const struct exchange *x);

#endif
