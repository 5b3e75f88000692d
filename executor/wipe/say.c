/* say.c - the lines of a clear beside its progress */
#include "wipe/say.h"

#include <errno.h>

#include "base/json.h"

/* What stands in a line must all be there; the last word on it is report_say()'s. */
static int finish(struct wipe *w, json_object *line, int added, struct error **err)
{
    if (added < 0) {
        json_object_put(line);
        line = NULL;
    }
    return report_say(w->report, line, err);
}

static int add_device(json_object *line, const struct wipe *w)
{
    if (!line || json_add_string(line, "driver", w->device->ops->name) < 0 ||
        json_add_string(line, "device", w->device->path) < 0 ||
        json_add(line, "identity", wipe_identity_to_json(&w->identity)) < 0)
        return -ENOMEM;
    return 0;
}

static int add_facts(json_object *line, const struct wipe *w)
{
    json_object *facts = json_object_new_object();

    if (!line || json_add(line, "facts", facts) < 0 ||
        json_add_string(facts, "maker", w->facts.maker) < 0 ||
        json_add_string(facts, "media", w->facts.media) < 0 ||
        json_add_string(facts, "layout", w->facts.layout) < 0)
        return -ENOMEM;
    return 0;
}

int say_identity(struct wipe *w, struct error **err)
{
    json_object *line = report_line(WIPE_EVENT_IDENTITY);

    return finish(w, line, add_device(line, w) < 0 ? -ENOMEM : add_facts(line, w), err);
}

/* Every guard is asked, not only up to the first that refuses: who plans wants to know all that is
 * in the way. */
static json_object *ask_guards(struct wipe *w, bool *is_refused)
{
    _cleanup_(json) json_object *array = json_object_new_array();

    for (size_t i = 0; array && i < n_guards; i++) {
        struct refusal refusal = {0};
        json_object *o = json_object_new_object();
        bool refused = guard_ask(&guards[i], &w->scene, &refusal);

        if (json_append(array, o) < 0 || json_add_string(o, "guard", guards[i].name) < 0 ||
            json_add_string(o, "outcome", refused ? "refused" : "passed") < 0 ||
            (refused && (json_add_string(o, "culprit", refusal.culprit) < 0 ||
                         json_add_string(o, "message", refusal.message) < 0)))
            return NULL;
        if (refused && !w->refusal.guard)
            w->refusal = refusal;
        *is_refused = *is_refused || refused;
    }
    return take(array);
}

static int add_rung(json_object *line, const struct wipe *w, const struct rung *rung)
{
    if (!line ||
        json_add_string(line, "method", rung ? clear_method_to_string(rung->method) : NULL) < 0 ||
        json_add(line, "passedOver", ladder_passed_over(&w->ladder, rung)) < 0)
        return -ENOMEM;
    if (rung && (json_add_string(line, "level", clear_level_to_string(rung->offer.level)) < 0 ||
                 json_add_string(line, "technique", rung->offer.technique) < 0 ||
                 json_add_string(line, "why", rung->reason) < 0))
        return -ENOMEM;
    return 0;
}

int say_plan(struct wipe *w, bool *is_refused, struct error **err)
{
    json_object *line = report_line(WIPE_EVENT_PLAN);
    int r = add_device(line, w);

    if (r >= 0)
        r = add_facts(line, w);
    if (r >= 0)
        r = json_add(line, "guards", ask_guards(w, is_refused));
    if (r >= 0)
        r = add_rung(line, w, ladder_best(&w->ladder));
    if (r >= 0)
        r = json_add_string(line, "verify", wipe_verify_to_string(w->verification.mode));
    return finish(w, line, r, err);
}

int say_claimed(struct wipe *w, struct error **err)
{
    json_object *line = report_line(WIPE_EVENT_CLAIMED);

    return finish(w, line, add_device(line, w), err);
}

int say_method(struct wipe *w, const struct rung *rung, struct error **err)
{
    json_object *line = report_line(WIPE_EVENT_METHOD);
    int r = add_rung(line, w, rung);

    if (r >= 0)
        r = json_add_number(line, "resumedAt", w->state.durable);
    return finish(w, line, r, err);
}

int say_setback(struct wipe *w, const struct rung *rung, const char *message, struct error **err)
{
    json_object *line = report_line(WIPE_EVENT_SETBACK);
    int r = -ENOMEM;

    if (line && json_add_string(line, "method", clear_method_to_string(rung->method)) >= 0 &&
        json_add_string(line, "reason", w->has_lied ? "lied" : "failed") >= 0)
        r = json_add_string(line, "message", message);
    return finish(w, line, r, err);
}

int say_cleared(struct wipe *w, usec_t took, struct error **err)
{
    json_object *line = report_line(WIPE_EVENT_CLEARED);
    int r = -ENOMEM;

    if (line && json_add_string(line, "method", clear_method_to_string(w->state.method)) >= 0 &&
        json_add_number(line, "bytes", w->device->size) >= 0)
        r = json_add_number(line, "milliseconds", took / USEC_PER_MSEC);
    return finish(w, line, r, err);
}

int say_verified(struct wipe *w, struct error **err)
{
    const struct verification *v = &w->verification;
    json_object *line = report_line(WIPE_EVENT_VERIFIED);
    int r = -ENOMEM;

    if (line && json_add_string(line, "verify", wipe_verify_to_string(v->mode)) >= 0 &&
        json_add_number(line, "bytesRead", v->bytes_read) >= 0)
        r = json_add_number(line, "milliseconds", v->duration / USEC_PER_MSEC);
    return finish(w, line, r, err);
}

int say_error(struct report *report, enum wipe_outcome outcome, const struct refusal *refusal,
              const char *message, uint64_t durable)
{
    json_object *line = report_line(WIPE_EVENT_ERROR);

    if (!line || json_add_string(line, "outcome", wipe_outcome_to_string(outcome)) < 0 ||
        (refusal && refusal->guard &&
         (json_add_string(line, "guard", refusal->guard) < 0 ||
          json_add_string(line, "culprit", refusal->culprit) < 0)) ||
        json_add_string(line, "message", message) < 0 ||
        json_add_number(line, "durable", durable) < 0) {
        json_object_put(line);
        line = NULL;
    }
    return report_say(report, line, NULL);
}
