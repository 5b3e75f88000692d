/* engine.h - commit, then act: what drives operations, on one thread
 *
 * All functions are for the engine's thread. The engine owns the picture of the domains, the
 * operations and the journal; it reads no clock, starts no thread and makes no call itself: a host
 * does these for it. The daemon's host is a loop with workers (loop.h); the simulator's is a seed.
 */
#ifndef STOPD_ENGINE_H
#define STOPD_ENGINE_H

#include "core/stop.h"
#include "engine/call.h"
#include "engine/request.h"
#include "engine/sink-report.h"
#include "engine/wiper.h"
#include "journal/journal.h"

#include <stdio.h>

/* What the engine asks of the sinks, on its thread; none of it may block. i: the sink's place in
 * engine_settings.sinks. Where describe is NULL the others are not called either. */
struct engine_sinks {
    void *userdata;
    /* How the sink fares: an object, the caller's; NULL when out of memory. */
    json_object *(*describe)(void *userdata, size_t i);
    /* These two: see relay_rewind() and relay_replay_letters(). */
    void (*rewind)(void *userdata, size_t i, uint64_t after, unsigned rewinds);
    void (*replay_letters)(void *userdata, size_t i, uint64_t mark);
};

struct engine_host {
    void *userdata;
    /* Starts a call on a worker; its end, or that it is stuck, comes back by engine_take_call().
     * Takes c. */
    void (*start_call)(void *userdata, struct call *c);
    struct moment (*now)(void *userdata);
    /* Is the process of this run proved to be alive, now? Must not wait. NULL: nothing is proved.
     */
    bool (*is_alive)(void *userdata, const struct incarnation *run);
    /* Any number below bound; for jitter. */
    uint32_t (*random)(void *userdata, uint32_t bound);
    /* Events up to this sequence are committed: wake the sinks. */
    void (*committed)(void *userdata, uint64_t sequence);
    /* Starts a job; what comes of it comes back by engine_take_report(). Takes j. NULL where there
     * is no way to clear disks: an instance that owes a clear is not stopped then. */
    void (*start_wipe)(void *userdata, struct wipe_job *j);
    /* The operation's disks are owed a clear from now on, those included whose turn has not come;
     * again does no harm. May be NULL. */
    void (*owe_wipe)(void *userdata, const struct operation *op);
    /* Ends a domain's clears, and forgets that it owes any. */
    void (*end_wipe)(void *userdata, const uuid_t domain);
    /* The host's signature under a certificate: the signed document, the caller's; NULL: it could
     * not be signed. */
    json_object *(*sign)(void *userdata, json_object *certificate);
    struct engine_sinks sinks;
    /* Adds the host's own figures to an answer of /metrics; may be NULL. */
    void (*add_metrics)(void *userdata, FILE *f);
};

struct engine_settings {
    const char *host_id;
    struct policy policy;    /* its lists are the caller's and outlive the engine */
    unsigned parallel;       /* stop.parallel; 0: no bound */
    unsigned clear_parallel; /* local_storage.parallel */
    usec_t call_timeout, destroy_timeout;
    usec_t retain;            /* journal.retain */
    const char *const *sinks; /* names of the configured sinks */
    size_t n_sinks;
};

struct engine;
/* Loads what the journal holds. Settings are copied, what they point to is not. */
int engine_new(const struct engine_settings *settings, const struct engine_host *host,
               struct journal *j, struct engine **ret, struct error **err);
void engine_free(struct engine *e);
DEFINE_CLEANUP(struct engine *, engine_free);
/* SIGHUP: new settings count for commands from now on. */
void engine_configure(struct engine *e, const struct engine_settings *settings);

/* What has arrived; nothing is done about it before engine_turn(). */
void engine_take_request(struct engine *e, struct request *r);
void engine_take_call(struct engine *e, struct call *c);
void engine_take_report(struct engine *e, struct wipe_report *r);
void engine_take_hint(struct engine *e, const uuid_t domain);
void engine_take_lost(struct engine *e, const char *why);
void engine_take_sink_report(struct engine *e, struct sink_report *r);
/* No new commands from now on: they get ServiceUnavailable. Parked requests are answered. */
void engine_quiesce(struct engine *e);

/* Steps all that has arrived and what is due, commits once, then acts and replies. */
void engine_turn(struct engine *e);
/* The monotonic time of the next turn that is needed without anything arriving; USEC_NEVER: none.
 */
usec_t engine_next_turn(const struct engine *e);

/* Of the last event that is committed; 0: none yet. */
uint64_t engine_last_sequence(const struct engine *e);

/* The domain is owed a clear by a stop that the journal does not know. 0 or -ENOMEM. */
int engine_note_debt(struct engine *e, const uuid_t domain, const char *request_id);

/* For tests and the simulator. */
size_t engine_unfinished(const struct engine *e);
const struct operation *engine_find_operation(const struct engine *e, const uuid_t domain);
bool engine_is_attached(const struct engine *e);

#endif
