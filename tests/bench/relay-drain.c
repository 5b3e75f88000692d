/* relay-drain.c - how fast events reach a NATS stream: from a journal through the relay and its
 * sink, or from memory by the NATS library alone; see tests/bench/relay
 *
 *     relay-drain fill JOURNAL EVENTS INSTANCES
 *     relay-drain relay|bare JOURNAL URL CA CERT KEY
 *
 * The last two print the seconds from before the connection to the last acknowledgement, and how
 * many events that were. The bare one has read its events before, and has nothing to do but publish
 * and count; subjects, ids and bodies are the same. */
#include "drivers/nats/nats.h"
#include "engine/relay.h"
#include "journal/journal.h"

#include <errno.h>
#include <nats/nats.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define HOST "bench"

static void die(const struct error *e)
{
    fprintf(stderr, "relay-drain: %s\n", error_message(e));
    exit(1);
}

static void print_rate(usec_t begun, uint64_t events)
{
    printf("%.6f %llu\n", (double)(moment_now().monotonic - begun) / USEC_PER_SEC,
           (unsigned long long)events);
}

/* --- The journal ----------------------------------------------------------------------------- */

/* An event as the engine writes one. */
static int body_of(char *to, size_t size, uint64_t sequence, const char *id, unsigned instance)
{
    return snprintf(
        to, size,
        "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"/hosts/" HOST
        "\",\"type\":\"stopd.instance.state.v1\",\"subject\":\"i-bp67acfmxazb%04u\","
        "\"time\":\"2026-11-24T10:23:45.123Z\",\"datacontenttype\":\"application/json\","
        "\"sequence\":\"%020llu\",\"data\":{\"instanceId\":\"i-bp67acfmxazb%04u\",\"from\":"
        "\"Running\",\"to\":\"Stopping\",\"reason\":\"StopInstance\",\"requestId\":"
        "\"F543799E-0FC8-448D-B6E1-C983976B049E\",\"forceStop\":false,\"stoppedMode\":"
        "\"KeepCharging\",\"resources\":{\"vcpus\":2,\"memoryKiB\":8388608,\"publicIp\":null,"
        "\"released\":false}}}",
        id, instance, (unsigned long long)sequence, instance);
}

static int put_event(struct journal *j, uint64_t sequence, unsigned instance, struct error **err)
{
    char id[UUID_TEXT_SIZE], instance_id[32], body[1024];
    struct upstream_event e = {.sequence = sequence,
                               .id = id,
                               .instance_id = instance_id,
                               .type = "stopd.instance.state.v1",
                               .body = body};

    uuid_new_lower(id);
    snprintf(instance_id, sizeof(instance_id), "i-bp67acfmxazb%04u", instance);
    e.body_size = (size_t)body_of(body, sizeof(body), sequence, id, instance);
    return journal_put_event(j, &e, moment_now().realtime, err);
}

static void fill(const char *path, uint64_t events, unsigned instances)
{
    struct error *err = NULL;
    struct journal *j = NULL;
    bool fresh;

    if (journal_open(path, &fresh, &j, &err) < 0)
        die(err);
    for (uint64_t n = 1; n <= events;) {
        if (journal_begin(j, &err) < 0)
            die(err);
        for (uint64_t end = n + 5000; n <= events && n < end; n++)
            if (put_event(j, n, (unsigned)(n % instances), &err) < 0)
                die(err);
        if (journal_commit(j, &err) < 0)
            die(err);
    }
    journal_close(j);
}

/* --- Through the relay ----------------------------------------------------------------------- */

struct progress {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t cursor;
};

static int on_report(void *userdata, struct sink_report *report)
{
    _cleanup_(sink_report_free) struct sink_report *owned = report;
    struct progress *p = userdata;

    pthread_mutex_lock(&p->lock);
    if (owned->news == SINK_MOVED)
        p->cursor = owned->sequence;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return 0;
}

static uint64_t last_of(const char *path)
{
    struct error *err = NULL;
    struct journal *j = NULL;
    uint64_t last = 0;
    bool fresh;

    if (journal_open(path, &fresh, &j, &err) < 0 || journal_last_sequence(j, &last, &err) < 0)
        die(err);
    journal_close(j);
    return last;
}

static void drain(const char *path, const struct nats_settings *settings)
{
    struct progress p = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    struct relay_settings relay = {
        .name = "bench", .journal_path = path, .report = on_report, .userdata = &p};
    const uint64_t last = last_of(path);
    struct error *err = NULL;
    struct relay *r = NULL;
    usec_t begun;

    if (nats_sink_new(settings, false, &relay.upstream, &err) < 0)
        die(err);
    begun = moment_now().monotonic;
    if (relay_start(&relay, &r, &err) < 0)
        die(err);
    relay_notify(r, last);
    pthread_mutex_lock(&p.lock);
    while (p.cursor < last)
        pthread_cond_wait(&p.changed, &p.lock);
    pthread_mutex_unlock(&p.lock);
    print_rate(begun, last);
    relay_stop(r, 10 * USEC_PER_SEC);
}

/* --- The library alone ----------------------------------------------------------------------- */

struct copies {
    struct copy {
        char *id, *subject, *body;
        int size;
    } * items;
    size_t n, room;
};

static int keep(void *userdata, const struct upstream_event *e)
{
    struct copies *c = userdata;
    struct copy *to;

    if (c->n == c->room) {
        c->room = c->room ? 2 * c->room : 4096;
        c->items = reallocarray(c->items, c->room, sizeof(*c->items));
        if (!c->items)
            return -ENOMEM;
    }
    to = &c->items[c->n++];
    *to = (struct copy){.id = strdup(e->id), .body = strdup(e->body), .size = (int)e->body_size};
    return asprintf(&to->subject, "stopd.event." HOST ".%s.state", e->instance_id) < 0 ? -ENOMEM
                                                                                       : 0;
}

static void check(natsStatus s, const char *doing)
{
    if (s == NATS_OK)
        return;
    fprintf(stderr, "relay-drain: %s: %s\n", doing, nats_GetLastError(NULL));
    exit(1);
}

static void on_refused(jsCtx *js, jsPubAckErr *e, void *closure)
{
    fprintf(stderr, "relay-drain: refused: %s\n", e->ErrText);
    exit(1);
}

static void publish(const char *path, const struct nats_settings *settings)
{
    struct journal_reader *reader = NULL;
    natsConnection *nc = NULL;
    struct error *err = NULL;
    natsOptions *o = NULL;
    struct copies c = {0};
    jsCtx *js = NULL;
    jsOptions jo;
    usec_t begun;

    if (journal_reader_open(path, &reader, &err) < 0 ||
        journal_read_events(reader, 0, UINT32_MAX, keep, &c, &err) < 0)
        die(err);
    begun = moment_now().monotonic;
    check(natsOptions_Create(&o), "options");
    check(natsOptions_SetURL(o, settings->url), "url");
    check(natsOptions_SetSecure(o, true), "TLS");
    check(natsOptions_LoadCATrustedCertificates(o, settings->tls_ca), "CA");
    check(natsOptions_LoadCertificatesChain(o, settings->tls_cert, settings->tls_key), "pair");
    check(natsConnection_Connect(&nc, o), "connecting");
    jsOptions_Init(&jo);
    jo.PublishAsync.ErrHandler = on_refused;
    check(natsConnection_JetStream(&js, nc, &jo), "JetStream");
    for (size_t i = 0; i < c.n; i++) {
        jsPubOptions po;

        jsPubOptions_Init(&po);
        po.MsgId = c.items[i].id;
        check(js_PublishAsync(js, c.items[i].subject, c.items[i].body, c.items[i].size, &po),
              "publishing");
    }
    check(js_PublishAsyncComplete(js, NULL), "completing");
    print_rate(begun, c.n);
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "fill") == 0) {
        fill(argv[2], strtoull(argv[3], NULL, 10), (unsigned)strtoul(argv[4], NULL, 10));
    } else if (argc == 7) {
        const struct nats_settings settings = {.host_id = HOST,
                                               .url = argv[3],
                                               .tls_ca = argv[4],
                                               .tls_cert = argv[5],
                                               .tls_key = argv[6]};

        if (strcmp(argv[1], "relay") == 0)
            drain(argv[2], &settings);
        else
            publish(argv[2], &settings);
    } else {
        fputs("relay-drain: see tests/bench/relay\n", stderr);
        return 64;
    }
    return 0;
}
