/* transfer.c - HTTP over the Unix socket, by libcurl
 *
 * Theory of operation. A transfer is made ready, sent (alone, or side by side with others by a curl
 * multi handle), and finished: finishing turns what curl and the daemon said into 0 or one error.
 * It keeps apart what a caller has to know to ask again safely: whether the daemon was never
 * reached, was reached and broke off, or answered.
 */
#include "cli/transfer.h"
#include "cli/document.h"

#include <errno.h>
#include <string.h>

/* No answer of the daemon's comes near. */
#define BODY_MOST ((size_t)256 << 20)
#define CONNECT_SECONDS 5L
/* Accepting a stop takes a commit, and at worst a few looks at libvirt. */
#define ANSWER_SECONDS 30L

size_t transfer_take_body(char *data, size_t size, size_t n, void *userdata)
{
    struct transfer *x = userdata;
    char *body;

    if (n > BODY_MOST - x->body_size)
        return 0;
    body = realloc(x->body, x->body_size + n + 1);
    if (!body)
        return 0;
    x->body = body;
    memcpy(body + x->body_size, data, n);
    x->body_size += n;
    body[x->body_size] = '\0';
    return n;
}

char *transfer_path(const char *before, const char *id, const char *after)
{
    char *escaped = curl_easy_escape(NULL, id, 0), *path = NULL;

    if (escaped && asprintf(&path, "%s%s%s", before, escaped, after) < 0)
        path = NULL;
    curl_free(escaped);
    return path;
}

/* Name=value&…, both escaped. NULL when out of memory. */
static char *form_encode(const struct parameters *p)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    for (size_t i = 0; to && i < p->n; i++) {
        char *name = curl_easy_escape(NULL, p->items[i].name, 0);
        char *value = curl_easy_escape(NULL, p->items[i].value, 0);

        fprintf(to, "%s%s=%s", i > 0 ? "&" : "", name ? name : "", value ? value : "");
        curl_free(name);
        curl_free(value);
    }
    if (to && fclose(to) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static int set_options(struct transfer *x, const char *url, unsigned wait)
{
    CURL *c = x->easy;
    CURLcode r = CURLE_OK;

    r |= curl_easy_setopt(c, CURLOPT_URL, url);
    r |= curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, x->socket);
    r |= curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http");
    r |= curl_easy_setopt(c, CURLOPT_PROXY, ""); /* nor what http_proxy says */
    r |= curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    r |= curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    r |= curl_easy_setopt(c, CURLOPT_USERAGENT, "stopctl/" STOPD_VERSION);
    r |= curl_easy_setopt(c, CURLOPT_HTTPHEADER, x->headers);
    r |= curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, transfer_take_body);
    r |= curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
    r |= curl_easy_setopt(c, CURLOPT_PRIVATE, x);
    r |= curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    r |= curl_easy_setopt(c, CURLOPT_TIMEOUT, ANSWER_SECONDS + (long)wait);
    if (x->form)
        r |= curl_easy_setopt(c, CURLOPT_POSTFIELDS, x->form);
    return r == CURLE_OK ? 0 : -ENOMEM;
}

int transfer_new(struct cli *cli, const char *path, const struct parameters *form, unsigned wait,
                 struct transfer **ret, struct error **err)
{
    const char *socket = NULL;
    int r = cli_find_socket(cli, &socket, err);
    _cleanup_(transfer_free) struct transfer *x = r < 0 ? NULL : calloc(1, sizeof(*x));
    _cleanup_(freep) char *url = NULL;

    if (r < 0)
        return r;
    if (!x || asprintf(&url, "http://stopd%s", path) < 0 || text_replace(&x->socket, socket) < 0)
        return error_no_memory(err);
    x->easy = curl_easy_init();
    x->headers = curl_slist_append(NULL, "Accept: application/json");
    x->form = form ? form_encode(form) : NULL;
    if (!x->easy || !x->headers || (form && !x->form) || set_options(x, url, wait) < 0)
        return error_no_memory(err);
    *ret = take(x);
    return 0;
}

int transfer_set_document(struct transfer *x, const char *document, struct error **err)
{
    struct curl_slist *headers = curl_slist_append(x->headers, "Content-Type: application/json");

    if (!headers || curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, headers) ||
        curl_easy_setopt(x->easy, CURLOPT_POSTFIELDS, document))
        return error_no_memory(err);
    x->headers = headers;
    return 0;
}

int transfer_make_stream(struct transfer *x,
                         size_t (*consume)(char *data, size_t size, size_t n, void *userdata),
                         void *userdata, struct error **err)
{
    CURL *c = x->easy;

    curl_slist_free_all(x->headers);
    x->headers = curl_slist_append(NULL, "Accept: text/event-stream");
    if (!x->headers || curl_easy_setopt(c, CURLOPT_HTTPHEADER, x->headers) ||
        curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, consume) ||
        curl_easy_setopt(c, CURLOPT_WRITEDATA, userdata) ||
        curl_easy_setopt(c, CURLOPT_TIMEOUT, 0L))
        return error_no_memory(err);
    return 0;
}

void transfer_free(struct transfer *x)
{
    if (!x)
        return;
    if (x->easy)
        curl_easy_cleanup(x->easy);
    curl_slist_free_all(x->headers);
    json_object_put(x->answer);
    free(x->form);
    free(x->body);
    free(x->socket);
    free(x);
}

/* --- What came of it ----------------------------------------------------------------------- */

static int not_connected(const struct cli *cli, const struct transfer *x, CURLcode result,
                         struct error **err)
{
    long errnum = 0;
    const char *why = curl_easy_strerror(result);

    curl_easy_getinfo(x->easy, CURLINFO_OS_ERRNO, &errnum);
    if (errnum != 0)
        why = strerror((int)errnum);
    if (errnum == EACCES || errnum == EPERM)
        return error_set(
            err, ERROR_FORBIDDEN,
            "cannot open the socket of stopd, %s: %s; its group may (api.socket_group), "
            "and root",
            x->socket, why);
    return error_set(err, ERROR_UNREACHABLE,
                     "cannot reach stopd at %s: %s; is it running? (systemctl status stopd)%s%s",
                     x->socket, why,
                     cli->config_trouble ? "; the configuration was not read: " : "",
                     cli->config_trouble ? cli->config_trouble : "");
}

enum error_code transfer_error_code(const char *code, int status)
{
    for (unsigned i = ERROR_NONE + 1; i < ERROR_MAX; i++)
        if (text_equal(error_public_code(i), code) && error_http_status(i) == status)
            return i;
    for (unsigned i = ERROR_NONE + 1; i < ERROR_MAX; i++)
        if (error_exit_status(i) == error_exit_status_of_answer(code, status))
            return i;
    return ERROR_INTERNAL;
}

static int not_understood(const struct transfer *x, struct error **err)
{
    return error_set(
        err, ERROR_UNREACHABLE,
        "what answers at %s does not talk like stopd (HTTP status %ld); is it the right "
        "socket?",
        x->socket, x->status);
}

static int answered_error(struct cli *cli, const struct transfer *x, struct error **err)
{
    const char *code = NULL, *message = NULL;

    if (json_get_string(x->answer, "Code", &code) < 0 || !code ||
        json_get_string(x->answer, "Message", &message) < 0)
        return not_understood(x, err);
    if (text_replace(&cli->code, code) < 0)
        return error_no_memory(err);
    return error_set(err, transfer_error_code(code, (int)x->status), "%s%s%s", code,
                     is_set(message) ? ": " : "", is_set(message) ? message : "");
}

int transfer_finish(struct cli *cli, struct transfer *x, CURLcode result, struct error **err)
{
    free(take(cli->code));
    if (result == CURLE_COULDNT_CONNECT || result == CURLE_COULDNT_RESOLVE_HOST) {
        x->reach = REACH_NONE;
        return not_connected(cli, x, result, err);
    }
    if (result != CURLE_OK) {
        x->reach = REACH_BROKEN_OFF;
        return error_set(err, ERROR_UNREACHABLE, "stopd at %s did not answer to the end: %s",
                         x->socket, curl_easy_strerror(result));
    }
    x->reach = REACH_ANSWERED;
    curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &x->status);
    x->answer = document_parse(x->body, x->body_size);
    if (x->status < 200 || x->status > 299)
        return answered_error(cli, x, err);
    return x->answer ? 0 : not_understood(x, err);
}

static int converse(struct cli *cli, const char *path, const struct parameters *form,
                    json_object **ret, struct error **err)
{
    _cleanup_(transfer_free) struct transfer *x = NULL;
    int r = transfer_new(cli, path, form, 0, &x, err);

    if (r == 0)
        r = transfer_finish(cli, x, curl_easy_perform(x->easy), err);
    if (r == 0)
        *ret = take(x->answer);
    return r;
}

int transfer_get(struct cli *cli, const char *path, json_object **ret, struct error **err)
{
    return converse(cli, path, NULL, ret, err);
}

int transfer_post(struct cli *cli, const char *path, json_object **ret, struct error **err)
{
    static const struct parameters none;

    return converse(cli, path, &none, ret, err);
}
