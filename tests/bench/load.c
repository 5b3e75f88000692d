/* load.c - puts load on an HTTP server: one GET for each id, over so many connections at once
 *
 * Usage: load [OPTION]... URL
 *
 * {} in the URL stands for an id: a line of --ids, or a number below --count. Each connection is
 * opened and warmed up with GET /livez before the clock starts, then asks for one id after the
 * other until all are used up; nothing is asked twice. What came of it is one JSON object: how many
 * answers there were by status, the seconds from the first question to the last answer, and
 * latencies. The exit status is 0 when every question was answered with 200.
 *
 * One thread: a core of this machine is the most that it can take.
 */
#include <curl/curl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STATUSES 600 /* and 0: no answer */

struct options {
    const char *url, *unix_socket, *cacert, *cert, *key, *ids;
    unsigned connections;
    size_t count;
};

struct worker {
    CURL *curl;
    double asked; /* when */
};

struct load {
    struct options options;
    char **ids; /* NULL: numbers */
    size_t next, answered;
    CURLM *multi;
    struct worker *workers;
    double *latencies; /* seconds, in the order of the answers */
    size_t by_status[STATUSES];
    char problem[CURL_ERROR_SIZE]; /* of the last question that had no answer */
};

static void die(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    exit(2);
}

static void *allocate(size_t n, size_t size)
{
    void *memory = calloc(n ? n : 1, size);

    if (!memory)
        die("out of memory");
    return memory;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t throw_away(char *data, size_t size, size_t n, void *userdata)
{
    return size * n;
}

/* --- What is asked --------------------------------------------------------------------------- */

static void read_ids(struct load *l)
{
    FILE *file = strcmp(l->options.ids, "-") == 0 ? stdin : fopen(l->options.ids, "re");
    char *line = NULL;
    size_t size = 0, room = 0, n = 0;

    if (!file)
        die("the ids cannot be read");
    while (getline(&line, &size, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        if (n == room) {
            room = room ? 2 * room : 1024;
            l->ids = reallocarray(l->ids, room, sizeof(*l->ids));
            if (!l->ids)
                die("out of memory");
        }
        l->ids[n] = strdup(line);
        if (!l->ids[n++])
            die("out of memory");
    }
    free(line);
    if (file != stdin)
        fclose(file);
    if (l->options.count == 0 || l->options.count > n)
        l->options.count = n;
}

static void set_url(struct load *l, CURL *curl)
{
    const char *pattern = l->options.url, *hole = strstr(pattern, "{}");
    char number[32], url[4096];
    int n;

    snprintf(number, sizeof(number), "%zu", l->next);
    n = hole ? snprintf(url, sizeof(url), "%.*s%s%s", (int)(hole - pattern), pattern,
                        l->ids ? l->ids[l->next] : number, hole + 2)
             : snprintf(url, sizeof(url), "%s", pattern);
    if (n < 0 || (size_t)n >= sizeof(url))
        die("the URL is too long");
    curl_easy_setopt(curl, CURLOPT_URL, url);
    l->next++;
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

static void set_options(const struct load *l, CURL *curl)
{
    const struct options *o = &l->options;

    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, throw_away);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, l->problem);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 600L);
    if (o->unix_socket)
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, o->unix_socket);
    if (o->cacert)
        curl_easy_setopt(curl, CURLOPT_CAINFO, o->cacert);
    if (o->cert) {
        curl_easy_setopt(curl, CURLOPT_SSLCERT, o->cert);
        curl_easy_setopt(curl, CURLOPT_SSLKEY, o->key);
    }
}

/* --- Asking ---------------------------------------------------------------------------------- */

static void begin(struct load *l, struct worker *w)
{
    w->asked = now();
    if (curl_multi_add_handle(l->multi, w->curl) != CURLM_OK)
        die("a question cannot be asked");
}

static void ask_next(struct load *l, struct worker *w)
{
    set_url(l, w->curl);
    begin(l, w);
}

static void take_answer(struct load *l, struct worker *w, bool failed)
{
    long status = 0;

    if (!failed)
        curl_easy_getinfo(w->curl, CURLINFO_RESPONSE_CODE, &status);
    l->latencies[l->answered++] = now() - w->asked;
    l->by_status[status > 0 && status < STATUSES ? status : 0]++;
    if (l->next < l->options.count)
        ask_next(l, w);
}

static void warmed_up(struct load *l, struct worker *w, bool failed)
{
    if (failed)
        die(l->problem);
    curl_easy_setopt(w->curl, CURLOPT_FRESH_CONNECT, 0L);
}

/* Until so many answers are here. */
static void hear(struct load *l, size_t wanted, void (*take)(struct load *, struct worker *, bool))
{
    CURLMsg *message;
    int ignored;

    while (wanted > 0) {
        if (curl_multi_perform(l->multi, &ignored) != CURLM_OK)
            die("asking failed");
        while ((message = curl_multi_info_read(l->multi, &ignored))) {
            bool failed = message->data.result != CURLE_OK;
            struct worker *w;

            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&w);
            curl_multi_remove_handle(l->multi, w->curl);
            take(l, w, failed);
            wanted--;
        }
        if (wanted > 0)
            curl_multi_poll(l->multi, NULL, 0, 1000, NULL);
    }
}

/* Each worker opens one connection; they are the multi handle's, and stay with it. */
static void warm_up(struct load *l)
{
    char *url = warming_url(l);

    for (unsigned i = 0; i < l->options.connections; i++) {
        struct worker *w = &l->workers[i];

        w->curl = curl_easy_init();
        if (!w->curl)
            die("out of memory");
        set_options(l, w->curl);
        curl_easy_setopt(w->curl, CURLOPT_PRIVATE, w);
        curl_easy_setopt(w->curl, CURLOPT_URL, url);
        curl_easy_setopt(w->curl, CURLOPT_FRESH_CONNECT, 1L);
        begin(l, w);
    }
    hear(l, l->options.connections, warmed_up);
    curl_free(url);
}

static double run(struct load *l)
{
    double began = now();

    for (unsigned i = 0; i < l->options.connections && l->next < l->options.count; i++)
        ask_next(l, &l->workers[i]);
    hear(l, l->options.count, take_answer);
    return now() - began;
}

/* --- What came of it ------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void print(struct load *l, double seconds)
{
    const size_t n = l->answered;
    const char *separator = "";

    qsort(l->latencies, n, sizeof(*l->latencies), compare);
    printf("{\"connections\": %u, \"asked\": %zu, \"seconds\": %.6f, \"perSecond\": %.1f, "
           "\"milliseconds\": {\"p50\": %.3f, \"p99\": %.3f, \"most\": %.3f}, \"status\": {",
           l->options.connections, n, seconds, (double)n / seconds,
           n ? l->latencies[n / 2] * 1e3 : 0, n ? l->latencies[n * 99 / 100] * 1e3 : 0,
           n ? l->latencies[n - 1] * 1e3 : 0);
    for (size_t i = 0; i < STATUSES; i++)
        if (l->by_status[i] > 0) {
            printf("%s\"%zu\": %zu", separator, i, l->by_status[i]);
            separator = ", ";
        }
    printf("}}\n");
    if (l->by_status[0] > 0)
        fprintf(stderr, "load: %s\n", l->problem);
}

static void read_options(int argc, char **argv, struct options *o)
{
    static const struct option options[] = {
        {"connections", required_argument, NULL, 'n'},
        {"unix-socket", required_argument, NULL, 'u'},
        {"cacert", required_argument, NULL, 'a'},
        {"cert", required_argument, NULL, 'c'},
        {"key", required_argument, NULL, 'k'},
        {"ids", required_argument, NULL, 'i'},
        {"count", required_argument, NULL, 'm'},
        {0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        switch (c) {
        case 'n':
            o->connections = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'u':
            o->unix_socket = optarg;
            break;
        case 'a':
            o->cacert = optarg;
            break;
        case 'c':
            o->cert = optarg;
            break;
        case 'k':
            o->key = optarg;
            break;
        case 'i':
            o->ids = optarg;
            break;
        case 'm':
            o->count = strtoul(optarg, NULL, 10);
            break;
        default:
            exit(2);
        }
    }
    o->url = argv[optind];
    if (!o->url || o->connections == 0 || (o->cert && !o->key) || (!o->ids && o->count == 0))
        die("usage: load [--connections N] [--unix-socket PATH] [--cacert FILE] [--cert FILE --key "
            "FILE] --ids FILE | --count N URL");
}

int main(int argc, char **argv)
{
    struct load l = {.options = {.connections = 1}};

    read_options(argc, argv, &l.options);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(l.multi = curl_multi_init()))
        die("libcurl cannot be used");
    if (l.options.ids)
        read_ids(&l);
    l.workers = allocate(l.options.connections, sizeof(*l.workers));
    l.latencies = allocate(l.options.count, sizeof(*l.latencies));
    curl_multi_setopt(l.multi, CURLMOPT_MAXCONNECTS, (long)l.options.connections);
    warm_up(&l);
    print(&l, run(&l));
    for (unsigned i = 0; i < l.options.connections; i++)
        curl_easy_cleanup(l.workers[i].curl);
    curl_multi_cleanup(l.multi);
    for (size_t i = 0; l.ids && i < l.options.count; i++)
        free(l.ids[i]);
    free(l.ids);
    free(l.workers);
    free(l.latencies);
    return l.by_status[200] == l.options.count ? 0 : 1;
}
