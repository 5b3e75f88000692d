/* events.h - the outbox as the simulator reads it back */
#ifndef STOPD_SIMULATION_EVENTS_H
#define STOPD_SIMULATION_EVENTS_H

#include "core/operation.h"

struct life;

#define EVENTS_MOST 32

struct event {
    uint64_t sequence;
    char *instance_id;
    enum event_kind {
        EVENT_UNKNOWN,
        EVENT_STATE,
        EVENT_FAILED,
        EVENT_CLEARED,
        EVENT_UNCLEARED,
    } kind;
    enum instance_state from, to;
    char local_storage[16];
    char request_id[UUID_TEXT_SIZE], code[64], reason[200];
    char stopped_mode[16];
    bool has_resources, is_released; /* of a transition */
    uint64_t vcpus, memory_kib;
    char public_ip[32];
    char target[16]; /* of a disk */
    uint64_t tries;  /* … that is not cleared */
    bool is_quarantined;
};

/* What was committed behind the last event that the witness has seen, at most EVENTS_MOST;
 * instance_id is the caller's to free. Returns how many. */
size_t events_read(struct life *life, struct event events[static EVENTS_MOST]);
void events_tell(const struct life *life, const struct event *e);

#endif
