/* transfer.h - one request to the daemon over its Unix socket, and the answer */
#ifndef STOPD_CLI_TRANSFER_H
#define STOPD_CLI_TRANSFER_H

#include "cli/cli.h"
#include "core/command.h"

#include <curl/curl.h>

/* How far a request came. What was never connected was not accepted either; what broke off may have
 * been. */
enum reach { REACH_NONE, REACH_BROKEN_OFF, REACH_ANSWERED };

struct transfer {
    CURL *easy;
    struct curl_slist *headers;
    char *form;
    char *body;
    size_t body_size;
    char *socket; /* for messages */
    void *userdata;

    /* Once it is over */
    enum reach reach;
    long status;
    json_object *answer; /* the document, of an error too; NULL where there is none */
};

/* "before" ID "after" with the id escaped for a path or a query. NULL when out of memory. */
char *transfer_path(const char *before, const char *id, const char *after);

/* Makes ready, and sends nothing yet. form NULL: a GET, else a POST with these parameters. wait:
 * how many seconds the daemon may take over its answer beyond what it needs anyway. */
int transfer_new(struct cli *cli, const char *path, const struct parameters *form, unsigned wait,
                 struct transfer **ret, struct error **err);
void transfer_free(struct transfer *x);
DEFINE_CLEANUP(struct transfer *, transfer_free);
/* Makes it a POST of this JSON text, which has to stay. */
int transfer_set_document(struct transfer *x, const char *document, struct error **err);
/* Makes it a stream of server-sent events instead: no end to its time, and the body goes to
 * consume(). */
int transfer_make_stream(struct transfer *x,
                         size_t (*consume)(char *data, size_t size, size_t n, void *userdata),
                         void *userdata, struct error **err);
/* For such a consume(): what comes with an error is a document, and for transfer_finish(). */
size_t transfer_take_body(char *data, size_t size, size_t n, void *transfer);
/* What came of it, from curl's result: 0 with the answer, or an error; of an answer that is an
 * error
 * ("Code: Message") cli->code is the Code as it came. */
int transfer_finish(struct cli *cli, struct transfer *x, CURLcode result, struct error **err);

/* The error of the table that an answer's Code and status are. One that the table does not have is
 * taken for one of the same exit status, so that the exit status is right with a newer daemon too.
 */
enum error_code transfer_error_code(const char *code, int status);

/* All in one: sends, waits, gives the answer, which the caller owns. */
int transfer_get(struct cli *cli, const char *path, json_object **ret, struct error **err);
int transfer_post(struct cli *cli, const char *path, json_object **ret, struct error **err);

#endif
