/* events.c - reads committed events back from the journal, as whoever they are sent to would */
#include "simulation/events.h"

#include "base/json.h"
#include "journal/private.h"
#include "simulation/life.h"

#include <stdio.h>

static void copy_member(json_object *data, const char *key, char *ret, size_t size)
{
    const char *value = NULL;

    if (json_get_string(data, key, &value) == 0 && value)
        snprintf(ret, size, "%s", value);
}

static enum event_kind event_kind_of(const char *type)
{
    static const char *const types[] = {"", "stopd.instance.state.v1", "stopd.operation.failed.v1",
                                        "stopd.storage.cleared.v1", "stopd.storage.failed.v1"};
    int kind = text_index(types, ELEMENTSOF(types), type);

    return kind < 0 ? EVENT_UNKNOWN : (enum event_kind)kind;
}

static bool parse_event(sqlite3_stmt *q, struct event *ret)
{
    _cleanup_(json) json_object *body = json_tokener_parse(column_text(q, 3, NULL));
    const char *from = NULL, *to = NULL, *sequence = NULL, *subject = NULL, *id = NULL;
    json_object *data, *resources;
    char expected[24];

    *ret = (struct event){0};
    column_number(q, 0, &ret->sequence);
    snprintf(expected, sizeof(expected), "%020llu", (unsigned long long)ret->sequence);
    if (json_get_object(body, "data", &data) < 0 ||
        json_get_string(body, "sequence", &sequence) < 0 || !text_equal(sequence, expected))
        return false;
    (void)text_replace(&ret->instance_id, column_text(q, 1, NULL));
    if (json_get_string(body, "subject", &subject) < 0 ||
        json_get_string(data, "instanceId", &id) < 0 || !text_equal(subject, ret->instance_id) ||
        !text_equal(id, ret->instance_id))
        return false;
    copy_member(data, "requestId", ret->request_id, sizeof(ret->request_id));
    copy_member(data, "code", ret->code, sizeof(ret->code));
    copy_member(data, "reason", ret->reason, sizeof(ret->reason));
    ret->kind = event_kind_of(column_text(q, 2, NULL));
    copy_member(data, "localStorage", ret->local_storage, sizeof(ret->local_storage));
    copy_member(data, "target", ret->target, sizeof(ret->target));
    if (ret->kind == EVENT_UNCLEARED)
        return *ret->target && json_get_number(data, "tries", &ret->tries) == 0 &&
               json_get_bool(data, "quarantined", &ret->is_quarantined) == 0;
    if (ret->kind != EVENT_STATE)
        return ret->kind != EVENT_UNKNOWN;
    copy_member(data, "stoppedMode", ret->stopped_mode, sizeof(ret->stopped_mode));
    ret->has_resources = json_get_object(data, "resources", &resources) == 0 &&
                         json_get_bool(resources, "released", &ret->is_released) == 0 &&
                         json_get_number(resources, "vcpus", &ret->vcpus) == 0 &&
                         json_get_number(resources, "memoryKiB", &ret->memory_kib) == 0;
    if (ret->has_resources)
        copy_member(resources, "publicIp", ret->public_ip, sizeof(ret->public_ip));
    return json_get_string(data, "from", &from) == 0 && json_get_string(data, "to", &to) == 0 &&
           from && to && instance_state_from_string(from, &ret->from) == 0 &&
           instance_state_from_string(to, &ret->to) == 0;
}

size_t events_read(struct life *life, struct event events[static EVENTS_MOST])
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    size_t n = 0;

    if (database_query(&life->journal->database,
                       "SELECT sequence, instance_id, type, body FROM event"
                       " WHERE sequence > ?1 ORDER BY sequence",
                       VALUES(number(life->witness.sequence)), &q, NULL) < 0)
        abort();
    while (n < EVENTS_MOST && database_next(&life->journal->database, q, NULL) > 0)
        if (!parse_event(q, &events[n++]))
            rule_broken(life, "6 events", "event %llu is not whole",
                        (unsigned long long)life->witness.sequence + n);
    return n;
}

void events_tell(const struct life *life, const struct event *e)
{
    static const char *const words[] = {"?", "", "fails", "a disk is cleared",
                                        "a disk is not cleared"};
    bool is_state = e->kind == EVENT_STATE;

    tell(life, "event %llu: %s %s%s%s (%s%s)%s%.8s", (unsigned long long)e->sequence,
         e->instance_id, is_state ? instance_state_to_string(e->from) : words[e->kind],
         is_state ? "→" : "", is_state ? instance_state_to_string(e->to) : "", e->code, e->reason,
         *e->request_id ? ", " : "", e->request_id);
}
