/* engine-events.c - what is reported upstream, as CloudEvents 1.0 in JSON (contract section 6) */
#include "engine/engine-internal.h"

#include "base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void staged_event_free(struct staged_event *s)
{
    if (!s)
        return;
    free(s->instance_id);
    free(s->body);
    free(s);
}

static json_object *resources_to_json(const struct domain *d, bool released)
{
    _cleanup_(json) json_object *o = json_object_new_object();
    const struct instance *i = d->instance;

    if (!o || !i)
        return take(o);
    if (json_add_number(o, "vcpus", i->vcpus) || json_add_number(o, "memoryKiB", i->memory_kib) ||
        json_add_string(o, "publicIp", i->public_ip) || json_add_bool(o, "released", released))
        return NULL;
    return take(o);
}

/* Takes data. */
static int stage(struct engine *e, const struct domain *d, const char *type,
                 const char *traceparent, json_object *data)
{
    _cleanup_(json) json_object *o = json_object_new_object();
    struct staged_event *s = calloc(1, sizeof(*s));
    char source[300], sequence[24], time[TIME_TEXT_SIZE];

    if (!o || !s || !data) {
        json_object_put(data);
        staged_event_free(s);
        return -ENOMEM;
    }
    uuid_new_lower(s->id);
    snprintf(source, sizeof(source), "/hosts/%s", e->settings.host_id);
    snprintf(sequence, sizeof(sequence), "%020" PRIu64, e->staged_sequence + 1);
    if (json_add_string(o, "specversion", "1.0") || json_add_string(o, "id", s->id) ||
        json_add_string(o, "source", source) || json_add_string(o, "type", type) ||
        json_add_string(o, "subject", d->instance_id) ||
        json_add_string(o, "time", time_to_text(e->now.realtime, time)) ||
        json_add_string(o, "datacontenttype", "application/json") ||
        json_add_string(o, "sequence", sequence) ||
        (traceparent && json_add_string(o, "traceparent", traceparent)) ||
        json_add(o, "data", json_object_get(data)) || json_to_text(o, &s->body) ||
        text_replace(&s->instance_id, d->instance_id)) {
        json_object_put(data);
        staged_event_free(s);
        return -ENOMEM;
    }
    json_object_put(data);
    s->event = (struct upstream_event){.sequence = ++e->staged_sequence,
                                       .id = s->id,
                                       .instance_id = s->instance_id,
                                       .type = type,
                                       .body = s->body,
                                       .body_size = strlen(s->body)};
    list_append(&e->events, s);
    return 0;
}

/* A guest that went off by itself keeps its local disks, and the control plane has to know. */
static bool keeps_local_storage(const struct engine *e, const struct domain *d,
                                const struct operation *op, enum instance_state to)
{
    const struct policy *p = &e->settings.policy;

    return !op && to == STATE_STOPPED && d->instance &&
           instance_is_of_family(d->instance, p->local_families, p->n_local_families);
}

int engine_stage_transition(struct engine *e, const struct domain *d, const struct operation *op,
                            enum instance_state from, enum instance_state to, const char *reason)
{
    json_object *data = json_object_new_object();
    bool released = op && to == STATE_STOPPED && op->stopped_mode == STOPPED_MODE_STOP_CHARGING;

    if (!data || json_add_string(data, "instanceId", d->instance_id) ||
        json_add_string(data, "from", instance_state_to_string(from)) ||
        json_add_string(data, "to", instance_state_to_string(to)) ||
        json_add_string(data, "reason", reason) ||
        json_add_string(data, "requestId", op ? op->request_id : NULL) ||
        json_add_bool(data, "forceStop", op && op->force_stop) ||
        json_add_string(data, "stoppedMode",
                        op ? stopped_mode_to_string(op->stopped_mode) : NULL) ||
        json_add(data, "resources", resources_to_json(d, released)) ||
        (keeps_local_storage(e, d, op, to) && json_add_string(data, "localStorage", "kept"))) {
        json_object_put(data);
        return -ENOMEM;
    }
    return stage(e, d, "stopd.instance.state.v1", op ? op->traceparent : NULL, data);
}

static json_object *disk_data(const struct domain *d, const struct operation *op, size_t index)
{
    _cleanup_(json) json_object *data = json_object_new_object();
    const struct planned_disk *disk = &op->disks.items[index];
    json_object *identity = NULL;

    if (!data || json_object_deep_copy(disk->identity, &identity, NULL) < 0 ||
        json_add(data, "identity", identity) ||
        json_add_string(data, "instanceId", d->instance_id) ||
        json_add_string(data, "requestId", op->request_id) ||
        json_add_string(data, "target", disk->target) ||
        json_add_string(data, "device", disk->device))
        return NULL;
    return take(data);
}

int engine_stage_disk_failure(struct engine *e, const struct domain *d, const struct operation *op,
                              size_t index)
{
    json_object *data = disk_data(d, op, index);
    const struct planned_disk *disk = &op->disks.items[index];

    if (!data || json_add_string(data, "message", disk->problem) ||
        json_add_number(data, "tries", disk->tries) ||
        json_add_bool(data, "quarantined", disk->state == DISK_QUARANTINED)) {
        json_object_put(data);
        return -ENOMEM;
    }
    return stage(e, d, "stopd.storage.failed.v1", op->traceparent, data);
}

int engine_stage_certificate(struct engine *e, const struct domain *d, const struct operation *op,
                             size_t index, json_object *certificate)
{
    struct staged_certificate *c = calloc(1, sizeof(*c));
    json_object *data = disk_data(d, op, index), *copy = NULL;

    if (!c || !data || json_to_text(certificate, &c->document) ||
        text_replace(&c->target, op->disks.items[index].target) ||
        json_object_deep_copy(certificate, &copy, NULL) < 0 ||
        json_add(data, "certificate", copy)) {
        json_object_put(data);
        if (c) {
            free(c->document);
            free(c->target);
        }
        free(c);
        return -ENOMEM;
    }
    memcpy(c->request_id, op->request_id, sizeof(c->request_id));
    list_append(&e->certificates, c);
    return stage(e, d, "stopd.storage.cleared.v1", op->traceparent, data);
}

int engine_stage_failure(struct engine *e, const struct domain *d, const struct operation *op)
{
    json_object *data = json_object_new_object();

    if (!data || json_add_string(data, "instanceId", d->instance_id) ||
        json_add_string(data, "requestId", op->request_id) ||
        json_add_string(data, "outcome", outcome_to_string(op->outcome)) ||
        json_add_string(data, "code", error_public_code(op->error)) ||
        json_add_string(data, "message", op->error_message)) {
        json_object_put(data);
        return -ENOMEM;
    }
    return stage(e, d, "stopd.operation.failed.v1", op->traceparent, data);
}
