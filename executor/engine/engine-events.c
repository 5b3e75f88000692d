/* engine-events.c - what is reported upstream, as CloudEvents 1.0 in JSON (contract section 6)
 *
 * Theory of operation. Who an operation is about was fixed as it was accepted: all that is told of
 * it is told under that instance id, whatever the domain's metadata say meanwhile. What nobody has
 * commanded is told under the id that the domain has as it happens.
 */
#include "engine/engine-internal.h"

#include "base/json.h"
#include "base/json-writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* op: NULL where it is of none. */
static const char *id_of(const struct domain *d, const struct operation *op)
{
    return op ? op->instance_id : domain_public_id(d);
}

static void write_resources(struct json_writer *w, const struct domain *d, bool released)
{
    const struct instance *i = domain_definition(d);

    json_write_begin(w, "resources", '{');
    if (i) {
        json_write_number(w, "vcpus", i->vcpus);
        json_write_number(w, "memoryKiB", i->memory_kib);
        json_write_string(w, "publicIp", i->public_ip);
        json_write_bool(w, "released", released);
    }
    json_write_end(w, '}');
}

/* An event that is being written; its data come between its beginning and stage(). */
struct draft {
    struct json_writer *w; /* the engine's, so that it takes memory once */
    const char *type, *subject;
    char id[UUID_TEXT_SIZE];
};

static void begin_event(struct engine *e, const struct domain *d, const char *type,
                        const struct operation *op, struct draft *ret)
{
    struct json_writer *w = &e->event_writer;
    char source[300], sequence[24], time[TIME_TEXT_SIZE];

    *ret = (struct draft){.w = w, .type = type, .subject = id_of(d, op)};
    json_writer_reset(w);
    uuid_new_lower(ret->id);
    snprintf(source, sizeof(source), "/hosts/%s", e->settings.host_id);
    snprintf(sequence, sizeof(sequence), "%020" PRIu64, e->staged_sequence + 1);
    json_write_begin(w, NULL, '{');
    json_write_string(w, "specversion", "1.0");
    json_write_string(w, "id", ret->id);
    json_write_string(w, "source", source);
    json_write_string(w, "type", type);
    json_write_string(w, "subject", ret->subject);
    json_write_string(w, "time", time_to_text(e->now.realtime, time));
    json_write_string(w, "datacontenttype", "application/json");
    json_write_string(w, "sequence", sequence);
    if (op && op->traceparent)
        json_write_string(w, "traceparent", op->traceparent);
    json_write_begin(w, "data", '{');
}

static int stage(struct engine *e, struct draft *draft)
{
    const char *id = draft->subject, *body;
    size_t of_id = strlen(id) + 1, of_body;
    struct staged_event *s;

    json_write_end(draft->w, '}');
    json_write_end(draft->w, '}');
    body = json_written(draft->w);
    of_body = draft->w->size + 1;
    s = body ? malloc(sizeof(*s) + of_id + of_body) : NULL;
    if (!s)
        return -ENOMEM;
    memcpy(s->id, draft->id, sizeof(s->id));
    memcpy(s->texts, id, of_id);
    memcpy(s->texts + of_id, body, of_body);
    s->event = (struct upstream_event){.sequence = ++e->staged_sequence,
                                       .id = s->id,
                                       .instance_id = s->texts,
                                       .type = draft->type,
                                       .body = s->texts + of_id,
                                       .body_size = of_body - 1};
    list_append(&e->events, s);
    return 0;
}

/* A guest that went off by itself keeps its local disks, and the control plane has to know. */
static bool keeps_local_storage(const struct engine *e, const struct domain *d,
                                const struct operation *op, enum instance_state to)
{
    const struct policy *p = &e->settings.policy;
    const struct instance *i = domain_definition(d);

    return !op && to == STATE_STOPPED && i &&
           instance_is_of_family(i, p->local_families, p->n_local_families);
}

int engine_stage_transition(struct engine *e, const struct domain *d, const struct operation *op,
                            enum instance_state from, enum instance_state to, const char *reason)
{
    struct draft draft;
    struct json_writer *w = &e->event_writer;
    /* What was saved is Stopped too, and goes on with what is its own. */
    bool released =
        op && op->outcome == OUTCOME_STOPPED && op->stopped_mode == STOPPED_MODE_STOP_CHARGING;

    begin_event(e, d, "stopd.instance.state.v1", op, &draft);
    json_write_string(w, "instanceId", draft.subject);
    json_write_string(w, "from", instance_state_to_string(from));
    json_write_string(w, "to", instance_state_to_string(to));
    json_write_string(w, "reason", reason);
    json_write_string(w, "requestId", op ? op->request_id : NULL);
    json_write_bool(w, "forceStop", op && op->force_stop);
    json_write_string(w, "stoppedMode", op ? stopped_mode_to_string(op->stopped_mode) : NULL);
    write_resources(w, d, released);
    if (keeps_local_storage(e, d, op, to))
        json_write_string(w, "localStorage", "kept");
    return stage(e, &draft);
}

static void write_disk(struct draft *draft, const struct operation *op, size_t index)
{
    const struct planned_disk *disk = &op->disks.items[index];
    struct json_writer *w = draft->w;

    json_write_object(w, "identity", disk->identity);
    json_write_string(w, "instanceId", draft->subject);
    json_write_string(w, "requestId", op->request_id);
    json_write_string(w, "target", disk->target);
    json_write_string(w, "device", disk->device);
}

int engine_stage_disk_failure(struct engine *e, const struct domain *d, const struct operation *op,
                              size_t index)
{
    struct draft draft;
    const struct planned_disk *disk = &op->disks.items[index];

    begin_event(e, d, "stopd.storage.failed.v1", op, &draft);
    write_disk(&draft, op, index);
    json_write_string(draft.w, "message", disk->problem);
    json_write_number(draft.w, "tries", disk->tries);
    json_write_bool(draft.w, "quarantined", disk->state == DISK_QUARANTINED);
    return stage(e, &draft);
}

int engine_stage_certificate(struct engine *e, const struct domain *d, const struct operation *op,
                             size_t index, json_object *certificate)
{
    struct staged_certificate *c = calloc(1, sizeof(*c));
    struct draft draft;

    if (!c || json_to_text(certificate, &c->document) ||
        text_replace(&c->target, op->disks.items[index].target)) {
        if (c)
            free(c->document);
        free(c);
        return -ENOMEM;
    }
    memcpy(c->request_id, op->request_id, sizeof(c->request_id));
    list_append(&e->certificates, c);
    begin_event(e, d, "stopd.storage.cleared.v1", op, &draft);
    write_disk(&draft, op, index);
    json_write_object(draft.w, "certificate", certificate);
    return stage(e, &draft);
}

int engine_stage_failure(struct engine *e, const struct domain *d, const struct operation *op)
{
    struct draft draft;

    begin_event(e, d, "stopd.operation.failed.v1", op, &draft);
    json_write_string(draft.w, "instanceId", draft.subject);
    json_write_string(draft.w, "requestId", op->request_id);
    json_write_string(draft.w, "outcome", outcome_to_string(op->outcome));
    json_write_string(draft.w, "code", error_public_code(op->error));
    json_write_string(draft.w, "message", op->error_message);
    return stage(e, &draft);
}
