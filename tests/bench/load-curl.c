/* load-curl.c - load over a network, with libcurl: for TLS
 *
 * libcurl takes more of the processor for a question than most servers: what is measured this way
 * is the two together.
 */
#include "load.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

struct worker {
    CURL *curl;
    double asked; /* when */
};

struct way {
    struct load *load;
    CURLM *multi;
    struct worker *workers;
    char problem[CURL_ERROR_SIZE];
};

static size_t throw_away(char *data, size_t size, size_t n, void *userdata)
{
    return size * n;
}

/* The URL's server, and a path that costs it nothing. */
static char *warming_url(const struct load *l)
{
    CURLU *url = curl_url();
    char *text = NULL;

    if (!url || curl_url_set(url, CURLUPART_URL, l->options.url, 0) != CURLUE_OK ||
        curl_url_set(url, CURLUPART_PATH, "/livez", 0) != CURLUE_OK ||
        curl_url_set(url, CURLUPART_QUERY, NULL, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_URL, &text, 0) != CURLUE_OK)
        die("the URL is none");
    curl_url_cleanup(url);
    return text;
}

static void set_options(struct way *w, CURL *curl)
{
    const struct load_options *o = &w->load->options;

    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, throw_away);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, w->problem);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 600L);
    if (o->cacert)
        curl_easy_setopt(curl, CURLOPT_CAINFO, o->cacert);
    if (o->cert) {
        curl_easy_setopt(curl, CURLOPT_SSLCERT, o->cert);
        curl_easy_setopt(curl, CURLOPT_SSLKEY, o->key);
    }
}

/* --- Asking ---------------------------------------------------------------------------------- */

static void begin(struct way *w, struct worker *worker)
{
    worker->asked = now();
    if (curl_multi_add_handle(w->multi, worker->curl) != CURLM_OK)
        die("a question cannot be asked");
}

static void ask_next(struct way *w, struct worker *worker)
{
    char url[4096];

    if (!load_next(w->load, url, sizeof(url)))
        return;
    curl_easy_setopt(worker->curl, CURLOPT_URL, url);
    begin(w, worker);
}

static void take_answer(struct way *w, struct worker *worker, bool failed)
{
    long status = 0;

    if (failed)
        snprintf(w->load->problem, sizeof(w->load->problem), "%s", w->problem);
    else
        curl_easy_getinfo(worker->curl, CURLINFO_RESPONSE_CODE, &status);
    load_answered(w->load, worker->asked, status);
    ask_next(w, worker);
}

static void warmed_up(struct way *w, struct worker *worker, bool failed)
{
    if (failed)
        die(w->problem);
    curl_easy_setopt(worker->curl, CURLOPT_FRESH_CONNECT, 0L);
}

/* Until so many answers are here. */
static void hear(struct way *w, size_t wanted, void (*take)(struct way *, struct worker *, bool))
{
    CURLMsg *message;
    int ignored;

    while (wanted > 0) {
        if (curl_multi_perform(w->multi, &ignored) != CURLM_OK)
            die("asking failed");
        while ((message = curl_multi_info_read(w->multi, &ignored))) {
            bool failed = message->data.result != CURLE_OK;
            struct worker *worker;

            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&worker);
            curl_multi_remove_handle(w->multi, worker->curl);
            take(w, worker, failed);
            wanted--;
        }
        if (wanted > 0)
            curl_multi_poll(w->multi, NULL, 0, 1000, NULL);
    }
}

/* --- The way --------------------------------------------------------------------------------- */

/* Each worker opens one connection; they are the multi handle's, and stay with it. */
static void warm_up(struct way *w)
{
    const unsigned n = w->load->options.connections;
    char *url = warming_url(w->load);

    for (unsigned i = 0; i < n; i++) {
        struct worker *worker = &w->workers[i];

        worker->curl = curl_easy_init();
        if (!worker->curl)
            die("out of memory");
        set_options(w, worker->curl);
        curl_easy_setopt(worker->curl, CURLOPT_PRIVATE, worker);
        curl_easy_setopt(worker->curl, CURLOPT_URL, url);
        curl_easy_setopt(worker->curl, CURLOPT_FRESH_CONNECT, 1L);
        begin(w, worker);
    }
    hear(w, n, warmed_up);
    curl_free(url);
}

static void *open_way(struct load *l)
{
    struct way *w = allocate(1, sizeof(*w));

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(w->multi = curl_multi_init()))
        die("libcurl cannot be used");
    w->load = l;
    w->workers = allocate(l->options.connections, sizeof(*w->workers));
    curl_multi_setopt(w->multi, CURLMOPT_MAXCONNECTS, (long)l->options.connections);
    warm_up(w);
    return w;
}

static void ask(void *way)
{
    struct way *w = way;

    for (unsigned i = 0; i < w->load->options.connections; i++)
        ask_next(w, &w->workers[i]);
    hear(w, w->load->options.count, take_answer);
}

static void close_way(void *way)
{
    struct way *w = way;

    for (unsigned i = 0; i < w->load->options.connections; i++)
        curl_easy_cleanup(w->workers[i].curl);
    curl_multi_cleanup(w->multi);
    free(w->workers);
    free(w);
}

const struct load_way load_by_curl = {open_way, ask, close_way};
