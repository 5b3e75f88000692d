/* metrics.h - what the API counts about itself */
#ifndef STOPD_API_METRICS_H
#define STOPD_API_METRICS_H

#include "stopd/base.h"

#include <pthread.h>
#include <stdio.h>

#define METRICS_ROUTES_MOST 32
#define METRICS_STATUSES 13

struct route;
struct listener;

/* Any listener's thread. */
struct metrics {
    pthread_mutex_t lock;
    struct {
        uint64_t by_status[METRICS_STATUSES];
        uint64_t n;
        usec_t time;
    } routes[METRICS_ROUTES_MOST + 1]; /* the last: no route */
};

void metrics_init(struct metrics *m);
void metrics_destroy(struct metrics *m);
/* An exchange of this route (NULL: none) is over; status 0: it was not answered. */
void metrics_count(struct metrics *m, const struct route *route, unsigned status, usec_t took);
/* In the Prometheus text format: of requests, and of each listener's connections. */
void metrics_write(struct metrics *m, struct listener *const *listeners, size_t n, FILE *to);

#endif
