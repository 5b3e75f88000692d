/* line.c - a line that stopd-wipe says, as its reader sees it */
#include "base/json.h"
#include "stopd/wipe-protocol.h"

#include <errno.h>

DEFINE_ENUM_WORDS(enum wipe_event, wipe_event, WIPE_EVENT_MAX, "identity", "plan", "claimed",
                  "method", "progress", "setback", "cleared", "verified", "certificate", "error");
DEFINE_ENUM_WORDS(enum wipe_outcome, wipe_outcome, WIPE_OUTCOME_MAX, "refused", "stopped", "failed",
                  "usage");

/* A line may carry a certificate with its raw identify data. */
#define LINE_DEPTH 16

void wipe_line_clear(struct wipe_line *l)
{
    json_object_put(l->json);
    *l = (struct wipe_line){0};
}

json_object *wipe_identity_to_json(const struct storage_identity *i)
{
    _cleanup_(json) json_object *o = json_object_new_object();

    for (int key = 0; o && key < IDENTITY_KEY_MAX; key++) {
        const char *name = identity_key_to_string((enum identity_key)key), *value = i->value[key];
        bool is_number = key == IDENTITY_SIZE || key == IDENTITY_NSID || key == IDENTITY_INODE;

        if (!*value)
            continue;
        if ((is_number ? json_add_number(o, name, strtoull(value, NULL, 10))
                       : json_add_string(o, name, value)) < 0)
            return NULL;
    }
    return take(o);
}

static void tokener_cleanup(json_tokener **t)
{
    if (*t)
        json_tokener_free(*t);
}

int wipe_line_parse(const char *text, size_t n, struct wipe_line *ret, struct error **err)
{
    _cleanup_(tokener) json_tokener *t = json_tokener_new_ex(LINE_DEPTH);
    struct wipe_line l = {.outcome = WIPE_OUTCOME_MAX};
    const char *event = NULL, *outcome = NULL;

    if (!t)
        return error_no_memory(err);
    /* Parts of it are kept as they are, and read again as strictly. */
    json_tokener_set_flags(t, JSON_TOKENER_STRICT);
    l.json = n < INT32_MAX ? json_tokener_parse_ex(t, text, (int)n) : NULL;
    json_get_string(l.json, "event", &event);
    if (wipe_event_from_string(event, &l.event) < 0) {
        wipe_line_clear(&l);
        return error_set(err, ERROR_IO, "what stopd-wipe says is no line of its protocol");
    }
    json_get_string(l.json, "method", &l.method);
    json_get_string(l.json, "phase", &l.phase);
    json_get_string(l.json, "reason", &l.reason);
    json_get_string(l.json, "guard", &l.guard);
    json_get_string(l.json, "culprit", &l.culprit);
    json_get_string(l.json, "message", &l.message);
    json_get_number(l.json, "done", &l.done);
    json_get_number(l.json, "total", &l.total);
    json_get_number(l.json, "durable", &l.durable);
    json_get_number(l.json, "mibPerS", &l.mib_per_s);
    json_get_number(l.json, "secondsLeft", &l.seconds_left);
    if (json_get_string(l.json, "outcome", &outcome) >= 0)
        wipe_outcome_from_string(outcome, &l.outcome);
    *ret = l;
    return 0;
}
