/* load.h - what the files of the program load share
 *
 * A way is how questions get to the server. It is opened and warmed up, and then asks until all is
 * asked: load_next() says what, load_answered() takes down what came. */
#ifndef STOPD_BENCH_LOAD_H
#define STOPD_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>

struct load_options {
    const char *url, *unix_socket, *cacert, *cert, *key, *ids;
    unsigned connections;
    size_t count;
};

struct load {
    struct load_options options;
    char **ids; /* NULL: numbers */
    size_t next, answered;
    double *latencies; /* seconds, in the order of the answers */
    size_t *by_status;
    char problem[512]; /* of the last question that had no answer */
};

struct load_way {
    void *(*open)(struct load *l); /* connected, and each connection answered once */
    void (*ask)(void *way);        /* all that there is */
    void (*close)(void *way);
};
extern const struct load_way load_by_socket, load_by_curl;

_Noreturn void die(const char *what);
void *allocate(size_t n, size_t size);
double now(void);

/* The next question's URL with its id in place; NULL: all is asked. */
const char *load_next(struct load *l, char *buffer, size_t size);
/* asked: when. status 0: there was no answer. */
void load_answered(struct load *l, double asked, long status);

#endif
