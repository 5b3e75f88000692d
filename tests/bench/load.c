/* load.c - puts load on an HTTP server: one GET for each id, over so many connections at once
 *
 * Usage: load [OPTION]... URL
 *
 * {} in the URL stands for an id: a line of --ids, or a number below --count. Each connection is
 * opened and warmed up with GET /livez before the clock starts, then asks for one id after the
 * other until all are used up; nothing is asked twice. What came of it is one JSON object: how many
 * answers there were by status, the seconds from the first question to the last answer, the
 * microseconds of processor that this program took for each, and latencies. The exit status is 0
 * when every question was answered with 200.
 *
 * One thread: a core of this machine is the most that it can take. A Unix socket is asked with
 * system calls alone (load-socket.c), anything else with libcurl (load-curl.c).
 */
#include "load.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define STATUSES 600 /* and 0: no answer */

_Noreturn void die(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    exit(2);
}

void *allocate(size_t n, size_t size)
{
    void *memory = calloc(n ? n : 1, size);

    if (!memory)
        die("out of memory");
    return memory;
}

double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
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

const char *load_next(struct load *l, char *buffer, size_t size)
{
    const char *pattern = l->options.url, *hole = strstr(pattern, "{}");
    char number[32];
    int n;

    if (l->next == l->options.count)
        return NULL;
    snprintf(number, sizeof(number), "%zu", l->next);
    n = hole ? snprintf(buffer, size, "%.*s%s%s", (int)(hole - pattern), pattern,
                        l->ids ? l->ids[l->next] : number, hole + 2)
             : snprintf(buffer, size, "%s", pattern);
    if (n < 0 || (size_t)n >= size)
        die("the URL is too long");
    l->next++;
    return buffer;
}

/* --- What came of it ------------------------------------------------------------------------- */

void load_answered(struct load *l, double asked, long status)
{
    l->latencies[l->answered++] = now() - asked;
    l->by_status[status > 0 && status < STATUSES ? status : 0]++;
}

/* Of this program, in microseconds. */
static double processor_used(void)
{
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void print(struct load *l, double seconds, double processor)
{
    const size_t n = l->answered;
    const char *separator = "";

    qsort(l->latencies, n, sizeof(*l->latencies), compare);
    printf("{\"connections\": %u, \"asked\": %zu, \"seconds\": %.6f, \"perSecond\": %.1f, "
           "\"processor\": %.2f, \"milliseconds\": {\"p50\": %.3f, \"p99\": %.3f, \"most\": %.3f}, "
           "\"status\": {",
           l->options.connections, n, seconds, (double)n / seconds, n ? processor / (double)n : 0,
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

static void read_options(int argc, char **argv, struct load_options *o)
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
    const struct load_way *by;
    double began, processor;
    void *way;
    bool all_well;

    read_options(argc, argv, &l.options);
    if (l.options.ids)
        read_ids(&l);
    l.latencies = allocate(l.options.count, sizeof(*l.latencies));
    l.by_status = allocate(STATUSES, sizeof(*l.by_status));
    by = l.options.unix_socket ? &load_by_socket : &load_by_curl;
    way = by->open(&l);
    processor = processor_used();
    began = now();
    by->ask(way);
    print(&l, now() - began, processor_used() - processor);
    by->close(way);
    all_well = l.by_status[200] == l.options.count;
    for (size_t i = 0; l.ids && i < l.options.count; i++)
        free(l.ids[i]);
    free(l.ids);
    free(l.latencies);
    free(l.by_status);
    return all_well ? 0 : 1;
}
