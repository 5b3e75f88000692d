/* metrics.c - what the API counts about itself, in the Prometheus text format */
#include "api/metrics.h"

#include "api/route.h"
#include "api/server.h"

#include <inttypes.h>

/* Those that we answer with; no answer, because the client left; anything else. */
static const struct {
    unsigned status;
    const char *label;
} statuses[METRICS_STATUSES] = {
    {200, "200"}, {400, "400"}, {403, "403"}, {404, "404"}, {405, "405"},
    {409, "409"}, {413, "413"}, {429, "429"}, {431, "431"}, {500, "500"},
    {503, "503"}, {0, "none"},  {0, "other"},
};

static size_t route_index(const struct route *route)
{
    size_t n;
    const struct route *all = routes_all(&n);

    return route ? (size_t)(route - all) : METRICS_ROUTES_MOST;
}

void metrics_init(struct metrics *m)
{
    pthread_mutex_init(&m->lock, NULL);
}

void metrics_destroy(struct metrics *m)
{
    pthread_mutex_destroy(&m->lock);
}

void metrics_count(struct metrics *m, const struct route *route, unsigned status, usec_t took)
{
    size_t r = route_index(route), s = 0;

    while (s < METRICS_STATUSES - 1 && statuses[s].status != status)
        s++;
    pthread_mutex_lock(&m->lock);
    m->routes[r].by_status[s]++;
    m->routes[r].n++;
    m->routes[r].time += took;
    pthread_mutex_unlock(&m->lock);
}

static const char *pattern_of(size_t i)
{
    size_t n;
    const struct route *all = routes_all(&n);

    if (i == METRICS_ROUTES_MOST)
        return "none";
    return i < n ? all[i].pattern : NULL;
}

static void write_requests(const struct metrics *m, FILE *to)
{
    fprintf(to, "# HELP stopd_api_requests_total Requests that are over, by route and status.\n"
                "# TYPE stopd_api_requests_total counter\n");
    for (size_t i = 0; i <= METRICS_ROUTES_MOST; i++)
        for (size_t s = 0; pattern_of(i) && s < METRICS_STATUSES; s++)
            if (m->routes[i].by_status[s] > 0)
                fprintf(to, "stopd_api_requests_total{route=\"%s\",status=\"%s\"} %" PRIu64 "\n",
                        pattern_of(i), statuses[s].label, m->routes[i].by_status[s]);
}

static void write_times(const struct metrics *m, FILE *to)
{
    fprintf(to, "# HELP stopd_api_request_seconds From a request's first line to the end of its "
                "answer, waits included.\n"
                "# TYPE stopd_api_request_seconds summary\n");
    for (size_t i = 0; i <= METRICS_ROUTES_MOST; i++)
        if (pattern_of(i) && m->routes[i].n > 0)
            fprintf(to,
                    "stopd_api_request_seconds_sum{route=\"%s\"} %.6f\n"
                    "stopd_api_request_seconds_count{route=\"%s\"} %" PRIu64 "\n",
                    pattern_of(i), (double)m->routes[i].time / (double)USEC_PER_SEC, pattern_of(i),
                    m->routes[i].n);
}

static void write_connections(struct listener *const *listeners, size_t n, FILE *to)
{
    static const struct {
        enum connection_kind kind;
        const char *label;
    } kinds[] = {
        {CONNECTION_UNPROVED, "unproved"}, {CONNECTION_QUIET, "quiet"}, {CONNECTION_BUSY, "busy"}};

    fprintf(to,
            "# HELP stopd_api_connections Connections now: that have yet to show a certificate, "
            "quiet, or with a request that waits or streams.\n"
            "# TYPE stopd_api_connections gauge\n");
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < ELEMENTSOF(kinds); k++)
            fprintf(to, "stopd_api_connections{listener=\"%s\",kind=\"%s\"} %u\n",
                    listeners[i]->kind->name, kinds[k].label,
                    atomic_load(&listeners[i]->connections.n[kinds[k].kind]));
    fprintf(to, "# HELP stopd_api_connections_total Connections since the start.\n"
                "# TYPE stopd_api_connections_total counter\n");
    for (size_t i = 0; i < n; i++)
        fprintf(to, "stopd_api_connections_total{listener=\"%s\"} %" PRIu64 "\n",
                listeners[i]->kind->name, atomic_load(&listeners[i]->connections.opened));
}

static void write_cuts(struct listener *const *listeners, size_t n, FILE *to)
{
    fprintf(to, "# HELP stopd_api_connections_cut_total Connections that were cut, by reason.\n"
                "# TYPE stopd_api_connections_cut_total counter\n");
    for (size_t i = 0; i < n; i++)
        fprintf(to,
                "stopd_api_connections_cut_total{listener=\"%s\",reason=\"slow\"} %" PRIu64 "\n"
                "stopd_api_connections_cut_total{listener=\"%s\",reason=\"room\"} %" PRIu64 "\n",
                listeners[i]->kind->name, atomic_load(&listeners[i]->connections.cut_as_slow),
                listeners[i]->kind->name, atomic_load(&listeners[i]->connections.cut_for_room));
    fprintf(to, "# HELP stopd_api_connections_unproved_total Connections that ended without an "
                "accepted certificate where one is needed.\n"
                "# TYPE stopd_api_connections_unproved_total counter\n");
    for (size_t i = 0; i < n; i++)
        fprintf(to, "stopd_api_connections_unproved_total{listener=\"%s\"} %" PRIu64 "\n",
                listeners[i]->kind->name, atomic_load(&listeners[i]->connections.unproved));
}

void metrics_write(struct metrics *m, struct listener *const *listeners, size_t n, FILE *to)
{
    pthread_mutex_lock(&m->lock);
    write_requests(m, to);
    write_times(m, to);
    pthread_mutex_unlock(&m->lock);
    write_connections(listeners, n, to);
    write_cuts(listeners, n, to);
}
