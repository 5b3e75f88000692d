/* relay-status.c - how a sink fares: for metrics at any time, for the operator when it changes */
#include "engine/relay-internal.h"
#include "stopd/log-message-ids.h"
#include "stopd/log.h"

#include <stdio.h>

void relay_status(struct relay *r, struct relay_status *ret)
{
    pthread_mutex_lock(&r->lock);
    *ret = r->status;
    ret->lag = r->newest > ret->delivered ? r->newest - ret->delivered : 0;
    pthread_mutex_unlock(&r->lock);
}

void relay_move_to(struct relay *r, uint64_t sequence, uint64_t events)
{
    r->position = sequence;
    pthread_mutex_lock(&r->lock);
    r->status.delivered = sequence;
    r->status.events += events;
    if (sequence > r->newest)
        r->newest = sequence;
    pthread_mutex_unlock(&r->lock);
}

void relay_count_delivered(struct relay *r, uint64_t events)
{
    pthread_mutex_lock(&r->lock);
    r->status.events += events;
    pthread_mutex_unlock(&r->lock);
}

void relay_set_busy(struct relay *r, bool busy)
{
    usec_t since = busy ? moment_now().monotonic : 0;

    pthread_mutex_lock(&r->lock);
    r->status.busy_since = since;
    pthread_mutex_unlock(&r->lock);
}

void relay_note_failure(struct relay *r, const struct error *e)
{
    const struct log_fields fields = {.message_id = MESSAGE_ID_SINK_FAILED,
                                      .code = error_public_code(error_code_of(e))};
    bool was_failing;

    pthread_mutex_lock(&r->lock);
    was_failing = r->status.failing;
    if (!was_failing)
        r->status.failing_since = moment_now().realtime;
    r->status.failing = true;
    r->status.failures++;
    snprintf(r->status.error, sizeof(r->status.error), "%s", error_message(e));
    pthread_mutex_unlock(&r->lock);
    if (!was_failing)
        log_say(LOG_LEVEL_ERROR, &fields,
                "sink %s: %s; its events wait in the journal, and it is tried again", r->name,
                error_message(e));
}

void relay_note_success(struct relay *r)
{
    bool was_failing;

    r->backoff = 0;
    pthread_mutex_lock(&r->lock);
    was_failing = r->status.failing;
    r->status.failing = false;
    r->status.failing_since = 0;
    pthread_mutex_unlock(&r->lock);
    if (was_failing)
        log_notice("sink %s is well again", r->name);
}

/* Each is somebody's to look at, and said each time. */
void relay_note_set_aside(struct relay *r, const struct upstream_event *event, const char *reason)
{
    const struct log_fields fields = {.message_id = MESSAGE_ID_SINK_REFUSED,
                                      .instance_id = event->instance_id,
                                      .code = error_public_code(ERROR_REFUSED)};

    pthread_mutex_lock(&r->lock);
    r->status.set_aside++;
    pthread_mutex_unlock(&r->lock);
    log_say(LOG_LEVEL_ERROR, &fields,
            "sink %s: event %llu (%s of %s) is refused and set aside: %s; it is kept until it is "
            "sent again or dropped, by stopctl events --replay or --drop %s",
            r->name, (unsigned long long)event->sequence, event->type, event->instance_id, reason,
            r->name);
}

/* The journal's events are one unbroken run; a gap in front of it was dropped before this sink
 * existed. */
void relay_note_gap(struct relay *r, uint64_t first)
{
    uint64_t missed = first - r->position - 1;

    if (r->position == 0 || missed == 0)
        return;
    pthread_mutex_lock(&r->lock);
    r->status.missed += missed;
    pthread_mutex_unlock(&r->lock);
    log_warning("sink %s: %llu events behind sequence %llu are no longer in the journal", r->name,
                (unsigned long long)missed, (unsigned long long)r->position);
}
