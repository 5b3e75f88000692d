/* request.h - what an edge asks the engine, and what it answers
 *
 * A request is made on any thread, posted, and from then on the engine's until reply() is called,
 * once, on the engine's thread, with an answer that is the receiver's from then on. reply() must
 * not block: it wakes whoever waits. */
#ifndef STOPD_ENGINE_REQUEST_H
#define STOPD_ENGINE_REQUEST_H

#include "core/command.h"
#include "core/disks.h"
#include "stopd/hypervisor.h"

#include <json-c/json.h>

enum request_kind {
    REQUEST_STOP,      /* command → body null, request_id of the accepted (or replayed) command */
    REQUEST_INSTANCES, /* the instances behind `after`, at most `most` → {"instances": […]}, and
                          where there may be more "last": to go on behind */
    REQUEST_INSTANCE,  /* instance_id → one instance's object */
    REQUEST_CLEAR, /* instance_id, confirm → request_id of the operation that clears its kept disks
                    */
    REQUEST_RETRY,          /* operation_id → the operation as it is then */
    REQUEST_CANCEL,         /* operation_id → the operation as it is then */
    REQUEST_WAIT_OPERATION, /* operation_id: answered when it is finished, or at the deadline; body
                               null (read the journal) */
    REQUEST_WAIT_EVENTS,    /* after: answered when there is an event behind it, or at the deadline;
                               body null */
    REQUEST_READY,          /* success, or ERROR_UNAVAILABLE saying what is not at hand */
    REQUEST_SINKS,          /* sink, or NULL for all → {"sinks": […]} */
    /* These three are ERROR_SINK_NOT_FOUND for a sink that there is not: */
    REQUEST_REWIND_SINK, /* sink, after → {"sink", "after"}: the events behind it are sent again */
    REQUEST_REPLAY_LETTERS, /* sink, after: the sequence of a dead letter, or 0: the next of all →
                               {"sink", "deadLetters"}: so many are sent again */
    REQUEST_DROP_LETTERS,   /* the same, and they are dropped */
    REQUEST_METRICS, /* → {"text": "…"} in the Prometheus format, the engine's own part */
    REQUEST_KIND_MAX,
};

struct answer {
    enum error_code code; /* ERROR_NONE: success */
    char *message;        /* for an error */
    char request_id[UUID_TEXT_SIZE];
    json_object *body; /* or NULL */
};
void answer_free(struct answer *a);
DEFINE_CLEANUP(struct answer *, answer_free);

struct request {
    enum request_kind kind;
    char request_id[UUID_TEXT_SIZE]; /* set by the edge, upper case */
    struct principal principal;
    struct command command; /* STOP; its request_id, principal and traceparent set. Of CLEAR: its
                               traceparent */
    char *instance_id;      /* INSTANCE, CLEAR */
    bool confirm;           /* CLEAR */
    char *operation_id;     /* CANCEL, RETRY, WAIT_OPERATION: a RequestId, any of an operation's */
    char *sink;             /* SINKS, REWIND_SINK, …_LETTERS */
    uint64_t after; /* WAIT_EVENTS, REWIND_SINK, …_LETTERS: a sequence; INSTANCES: a "last"; 0: from
                       the start */
    unsigned most; /* INSTANCES; 0: all */
    usec_t wait;   /* WAIT_*: at most so long, from when the engine takes it */

    void (*reply)(struct request *r, struct answer *a);
    void *userdata;
    /* The engine's own */
    struct request *next;
    bool rests_on_turn; /* what its turn has staged has a part in what becomes of it */
    usec_t deadline;
    uuid_t identify_domain;
    uint64_t identify_job; /* STOP and CLEAR of local disks: waits for this job, which brings … */
    bool is_identified;
    struct incarnation identified_run; /* what is accepted is meant for this run of the domain */
    char *identified;                  /* the disks that the instance had then: disks_snapshot() */
    struct disk_plan plan;             /* … this, or … */
    struct error *plan_error;
};
struct request *request_new(enum request_kind kind);
void request_free(struct request *r);
DEFINE_CLEANUP(struct request *, request_free);

#endif
