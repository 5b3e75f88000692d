/* call.h - one call to the hypervisor, from the engine to a worker and back */
#ifndef STOPD_ENGINE_CALL_H
#define STOPD_ENGINE_CALL_H

#include "stopd/hypervisor.h"

enum call_kind {
    CALL_CONNECT,
    CALL_LOOK,
    CALL_GLANCE,
    CALL_WAKE,
    CALL_PRESS,
    CALL_RESTORE,
    CALL_CUT,
    CALL_KIND_MAX
};
DECLARE_ENUM_WORDS(enum call_kind, call_kind);

struct call {
    enum call_kind kind;
    uint64_t id;         /* unique within the process */
    uint64_t generation; /* of the attachment under which it began */
    usec_t timeout;      /* past it the worker is written off, and the engine told so (result =
                            -ETIMEDOUT, stuck) */
    uuid_t domain;
    struct incarnation meant;
    enum button button;
    bool interlock;
    struct lifecycle former;
    bool only_crashed; /* CUT */
    bool heeds_lock;   /* PRESS, CUT: not what is locked by now */

    /* What came of it */
    bool stuck;     /* written off: the real result, if it ever comes, says no more than is_late */
    bool is_unmade; /* not even begun: one like it hangs, or no worker is left */
    bool is_late;   /* it was written off, and has come back: it may have had its effect since */
    int result;
    struct error *error;
    struct press press;
    bool has_processes;       /* CONNECT */
    struct sightings list;    /* CONNECT, GLANCE: every domain */
    struct sighting sighting; /* LOOK */

    /* Of whoever queues it */
    struct call *next;
    uint64_t place;
    usec_t queued; /* monotonic */
};
struct call *call_new(enum call_kind kind);
void call_free(struct call *c);
DEFINE_CLEANUP(struct call *, call_free);

/* Is it one that does something to a domain? */
bool call_acts(const struct call *c);

/* Makes the call, on the thread that asks, and fills in what came of it. CONNECT also lists. */
void call_execute(struct call *c, struct hypervisor *h);

#endif
