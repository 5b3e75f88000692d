/* loop.h - the daemon's host of an engine: one event loop, an inbox for other threads, workers for
 * calls */
#ifndef STOPD_ENGINE_LOOP_H
#define STOPD_ENGINE_LOOP_H

#include "engine/engine.h"

#include <stdio.h>

struct loop;

struct loop_settings {
    struct engine_settings engine;
    unsigned workers;            /* hypervisor.workers */
    struct wiper_settings wiper; /* local_storage.*; whom it reports to is the loop's own */
    /* The host's signature under a certificate, on the engine's thread; see engine_host. */
    json_object *(*sign)(void *userdata, json_object *certificate);
    /* SIGHUP, on the engine's thread. */
    void (*reload)(void *userdata);
    /* Events up to this sequence are committed, on the engine's thread. */
    void (*committed)(void *userdata, uint64_t sequence);
    struct engine_sinks sinks;
    /* Writes what the engine does not know into the answer of /metrics, on the engine's thread. */
    void (*add_metrics)(void *userdata, FILE *f);
    void *userdata;
};

/* Takes the hypervisor, also where it fails, and becomes its listener; the journal outlives the
 * loop. Blocks SIGTERM, SIGINT and SIGHUP in the calling thread, which must be the one that runs
 * the loop; to be called before other threads start. */
int loop_new(const struct loop_settings *settings, struct hypervisor *h, struct journal *j,
             struct loop **ret, struct error **err);
/* Until SIGTERM or SIGINT: 0; or a negative errno. */
int loop_run(struct loop *l, struct error **err);
/* Once more, after loop_run(): takes what has arrived since, such as the sinks' last cursors, and
 * commits it. */
void loop_finish(struct loop *l);
struct engine *loop_engine(struct loop *l); /* for the engine's thread */
void loop_configure_wiper(struct loop *l, const struct wiper_settings *settings);
/* Waits a few seconds for calls that are out. What is abandoned then is left as it is: the process
 * is about to end. */
void loop_free(struct loop *l);
DEFINE_CLEANUP(struct loop *, loop_free);

/* From any thread; they never block for longer than a lock is held. */
void loop_post_request(struct loop *l, struct request *r);
/* Takes r. 0, or -ENOMEM: it was not posted. */
int loop_post_sink_report(struct loop *l, struct sink_report *r);

#endif
