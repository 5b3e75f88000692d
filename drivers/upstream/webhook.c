/* webhook.c - the sink "webhook": each event is posted as a structured CloudEvent
 *
 * Theory of operation. One event is out at a time, over a connection that is kept: an event that is
 * tried again holds back all that is behind it, and so the order of each instance is kept without a
 * thought. What limits the rate is the receiver's answer, not us.
 *
 * The receiver does not tell what it has. After a crash between its answer and the journal's note
 * of it the event is posted again, with the same id, which is what tells the two for one.
 *
 * The transfer is driven by a curl multi handle of its own, for it can be woken from another
 * thread: a receiver that hangs then does not hold up the end of the program.
 */
#include "webhook.h"
#include "webhook-answer.h"
#include "webhook-token.h"

#include <curl/curl.h>
#include <json-c/json.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define CONNECT_SECONDS 10L
#define ANSWER_SECONDS 30L
/* A connection is not kept for longer, so that a changed certificate, CA or address counts. */
#define CONNECTION_SECONDS 600L
#define CALLED_SECONDS 1
/* version-traceid-parentid-flags, and what a later version may add. */
#define TRACEPARENT_MOST 256

struct webhook {
    struct upstream upstream;
    char *token_file;
    CURL *easy;
    CURLM *multi;
    char trouble[CURL_ERROR_SIZE];
    struct webhook_answer answer;
    bool is_cut; /* its body, by us */
    atomic_bool interrupted;
};

/* --- Setting up ------------------------------------------------------------------------------ */

static size_t take_body(char *data, size_t size, size_t n, void *userdata)
{
    struct webhook *w = userdata;

    w->is_cut = !webhook_answer_add(&w->answer, data, n);
    return w->is_cut ? 0 : n;
}

static const char *or_null(const char *s)
{
    return is_set(s) ? s : NULL;
}

/* Whoever sends a redirection may send events anywhere, and the token with them: none is followed.
 * Nor is a session resumed, for then a certificate would not be looked at again. */
static int set_options(struct webhook *w, const struct webhook_settings *s)
{
    CURL *c = w->easy;
    CURLcode r = CURLE_OK;

    r |= curl_easy_setopt(c, CURLOPT_URL, s->url);
    r |= curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    r |= curl_easy_setopt(c, CURLOPT_PROXY, ""); /* nor what http_proxy says */
    r |= curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    r |= curl_easy_setopt(c, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    r |= curl_easy_setopt(c, CURLOPT_USERAGENT, "stopd/" STOPD_VERSION);
    r |= curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    r |= curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L);
    r |= curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    r |= curl_easy_setopt(c, CURLOPT_TIMEOUT, ANSWER_SECONDS);
    r |= curl_easy_setopt(c, CURLOPT_MAXLIFETIME_CONN, CONNECTION_SECONDS);
    r |= curl_easy_setopt(c, CURLOPT_ERRORBUFFER, w->trouble);
    r |= curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
    r |= curl_easy_setopt(c, CURLOPT_WRITEDATA, w);
    r |= curl_easy_setopt(c, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    r |= curl_easy_setopt(c, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    r |= curl_easy_setopt(c, CURLOPT_SSLCERT, or_null(s->tls_cert));
    r |= curl_easy_setopt(c, CURLOPT_SSLKEY, or_null(s->tls_key));
    if (is_set(s->tls_ca)) {
        r |= curl_easy_setopt(c, CURLOPT_CAINFO, s->tls_ca);
        r |= curl_easy_setopt(c, CURLOPT_CAPATH, NULL); /* or the system's would count as well */
    }
    return r == CURLE_OK ? 0 : -1;
}

/* --- One request ----------------------------------------------------------------------------- */

/* Takes list, also where there is no memory: then it is NULL. */
static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
    _cleanup_(freep) char *line = NULL;
    struct curl_slist *longer = NULL;

    if (asprintf(&line, "%s: %s", name, value) < 0)
        line = NULL;
    if (line)
        longer = curl_slist_append(list, line);
    if (!longer)
        curl_slist_free_all(list);
    return longer;
}

/* The trace context that the event carries; "": none. */
static void traceparent_of(const struct upstream_event *event,
                           char ret[static TRACEPARENT_MOST + 1])
{
    json_object *document = json_tokener_parse(event->body), *member = NULL;
    const char *text = NULL;

    ret[0] = '\0';
    if (json_object_object_get_ex(document, "traceparent", &member))
        text = json_object_get_string(member);
    if (text && strspn(text, "0123456789abcdefghijklmnopqrstuvwxyz-") == strlen(text) &&
        strlen(text) <= TRACEPARENT_MOST)
        strcpy(ret, text);
    json_object_put(document);
}

static struct curl_slist *headers_of(const struct upstream_event *event, const char *token)
{
    /* Without the wait for "100 Continue" that curl makes before a long body. */
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    _cleanup_(freep) char *bearer = NULL;
    char traceparent[TRACEPARENT_MOST + 1];

    if (list)
        list = add_header(list, "Content-Type", "application/cloudevents+json");
    traceparent_of(event, traceparent);
    if (list && traceparent[0])
        list = add_header(list, "traceparent", traceparent);
    if (list && token) {
        if (asprintf(&bearer, "Bearer %s", token) < 0)
            bearer = NULL;
        if (bearer)
            return add_header(list, "Authorization", bearer);
        curl_slist_free_all(list);
        return NULL;
    }
    return list;
}

/* Until it is over, or is to be. */
static CURLcode drive(struct webhook *w)
{
    CURLcode result = CURLE_ABORTED_BY_CALLBACK;
    CURLMcode m = curl_multi_add_handle(w->multi, w->easy);
    int running = 1, queued;
    CURLMsg *message;

    while (m == CURLM_OK && running > 0 && !atomic_load(&w->interrupted)) {
        m = curl_multi_perform(w->multi, &running);
        if (m == CURLM_OK && running > 0)
            m = curl_multi_poll(w->multi, NULL, 0, CALLED_SECONDS * 1000, NULL);
    }
    while ((message = curl_multi_info_read(w->multi, &queued)))
        if (message->msg == CURLMSG_DONE)
            result = message->data.result;
    curl_multi_remove_handle(w->multi, w->easy);
    return m == CURLM_OK ? result : CURLE_OUT_OF_MEMORY;
}

static int explain(const struct webhook *w, CURLcode result, struct error **err)
{
    const char *trouble = w->trouble[0] ? w->trouble : curl_easy_strerror(result);

    switch (result) {
    case CURLE_OUT_OF_MEMORY:
        return error_no_memory(err);
    case CURLE_ABORTED_BY_CALLBACK:
        return error_set(err, ERROR_IO, "the event was on its way when stopd was to end");
    case CURLE_OPERATION_TIMEDOUT:
        return error_set(err, ERROR_IO, "the receiver did not answer in time: %s", trouble);
    case CURLE_PEER_FAILED_VERIFICATION:
        return error_set(err, ERROR_IO,
                         "the receiver's certificate is not to be trusted (%s); look at it, and at "
                         "tls_ca",
                         trouble);
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        return error_set(err, ERROR_IO, "the files of tls_ca, tls_cert or tls_key are bad: %s",
                         trouble);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return error_set(err, ERROR_CONFIGURATION, "the url is none that events can go to: %s",
                         trouble);
    default:
        return error_set(err, ERROR_IO, "the receiver cannot be reached: %s", trouble);
    }
}

/* 0: there is an answer. */
static int post(struct webhook *w, const struct upstream_event *event, const char *token,
                struct error **err)
{
    struct curl_slist *headers = headers_of(event, token);
    CURLcode result = headers ? CURLE_OK : CURLE_OUT_OF_MEMORY;
    char *location = NULL;
    curl_off_t retry_after = 0;

    w->answer = (struct webhook_answer){0};
    w->trouble[0] = '\0';
    w->is_cut = false;
    result |= curl_easy_setopt(w->easy, CURLOPT_HTTPHEADER, headers);
    result |= curl_easy_setopt(w->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)event->body_size);
    result |= curl_easy_setopt(w->easy, CURLOPT_POSTFIELDS, event->body);
    if (result == CURLE_OK)
        result = drive(w);
    curl_easy_setopt(w->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    if (result != CURLE_OK && !w->is_cut)
        return explain(w, result, err);
    curl_easy_getinfo(w->easy, CURLINFO_RESPONSE_CODE, &w->answer.status);
    curl_easy_getinfo(w->easy, CURLINFO_RETRY_AFTER, &retry_after);
    curl_easy_getinfo(w->easy, CURLINFO_REDIRECT_URL, &location);
    w->answer.retry_after = retry_after;
    webhook_answer_set_location(&w->answer, location);
    return 0;
}

/* --- The sink -------------------------------------------------------------------------------- */

static int webhook_open(struct upstream *u, char last_id[static UUID_TEXT_SIZE], struct error **err)
{
    last_id[0] = '\0';
    return 0;
}

/* The token may have been changed while the request was under way. */
static int post_again(struct webhook *w, const struct upstream_event *event, const char *token,
                      struct error **err)
{
    _cleanup_(freep) char *fresh = NULL;
    int r = webhook_token_read(w->token_file, &fresh, err);

    if (r < 0 || text_equal(fresh, token))
        return r;
    return post(w, event, fresh, err);
}

static int post_with_token(struct webhook *w, const struct upstream_event *event,
                           struct error **err)
{
    _cleanup_(freep) char *token = NULL;
    int r = w->token_file ? webhook_token_read(w->token_file, &token, err) : 0;

    if (r == 0)
        r = post(w, event, token, err);
    if (r == 0 && w->answer.status == 401 && token)
        r = post_again(w, event, token, err);
    return r;
}

static int webhook_deliver(struct upstream *u, const struct upstream_event *events, size_t n,
                           size_t *delivered, struct error **err)
{
    struct webhook *w = (struct webhook *)u;
    usec_t pause;
    int r = post_with_token(w, &events[0], err);

    *delivered = 0;
    if (r < 0)
        return r;
    r = webhook_answer_judge(&w->answer, &pause, err);
    *delivered = r == 0;
    if (pause > 0)
        u->not_before = moment_now().monotonic + pause;
    return r;
}

static void webhook_interrupt(struct upstream *u)
{
    struct webhook *w = (struct webhook *)u;

    atomic_store(&w->interrupted, true);
    curl_multi_wakeup(w->multi);
}

static void webhook_free(struct upstream *u)
{
    struct webhook *w = (struct webhook *)u;

    if (!w)
        return;
    if (w->easy)
        curl_easy_cleanup(w->easy);
    if (w->multi)
        curl_multi_cleanup(w->multi);
    free(w->token_file);
    free(w);
}

static const struct upstream_ops webhook_ops = {
    .type = "webhook",
    .open = webhook_open,
    .deliver = webhook_deliver,
    .interrupt = webhook_interrupt,
    .free = webhook_free,
};

int upstream_webhook_new(const struct webhook_settings *settings, struct upstream **ret,
                         struct error **err)
{
    struct webhook *w = calloc(1, sizeof(*w));

    if (w && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
        w->upstream.ops = &webhook_ops;
        w->easy = curl_easy_init();
        w->multi = curl_multi_init();
    }
    if (!w || !w->easy || !w->multi || set_options(w, settings) < 0 ||
        text_replace(&w->token_file, or_null(settings->token_file)) < 0) {
        webhook_free(w ? &w->upstream : NULL);
        return error_no_memory(err);
    }
    *ret = &w->upstream;
    return 0;
}
