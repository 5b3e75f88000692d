/* resume.c - how far a clear has come, as it goes out with the progress and comes back with the
 * next request
 *
 * Theory of operation. Whoever keeps it (the daemon's journal) keeps it as it is and understands
 * nothing of it. It is a hint that saves work and never the proof that something was done: the
 * verification at the end reads the whole device, whoever cleared which part of it. What is read
 * here makes sense by itself; whether it fits the device is asked when the device is open. */
#include "base/json.h"
#include "stopd/wipe-protocol.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* More steps than the ladder has methods, tried many times over, are no record of a clear. */
#define STEPS_MAX 256

json_object *wipe_resume_to_json(const struct wipe_resume *r)
{
    _cleanup_(json) json_object *o = json_object_new_object();

    if (!o || json_add_number(o, "size", r->size) < 0 ||
        json_add_string(o, "method", clear_method_to_string(r->method)) < 0 ||
        json_add_string(o, "stage", wipe_stage_to_string(r->stage)) < 0 ||
        json_add_number(o, "durable", r->durable) < 0 || json_add_string(o, "seed", r->seed) < 0 ||
        json_add_time(o, "startedAt", r->started_at) < 0 ||
        json_add_number(o, "runs", r->runs) < 0 ||
        (r->steps && json_add(o, "steps", json_object_get(r->steps)) < 0))
        return NULL;
    return take(o);
}

static bool is_seed(const char *s)
{
    return s && strlen(s) == WIPE_SEED_SIZE - 1 && strspn(s, "0123456789abcdef") == strlen(s);
}

static bool are_steps(json_object *steps)
{
    if (json_object_array_length(steps) > STEPS_MAX)
        return false;
    for (size_t i = 0; i < json_object_array_length(steps); i++)
        if (!json_object_is_type(json_object_array_get_idx(steps, i), json_type_object))
            return false;
    return true;
}

int wipe_resume_from_json(json_object *object, struct wipe_resume *ret, struct error **err)
{
    const char *method = NULL, *stage = NULL, *seed = NULL;
    struct wipe_resume r = {.is_present = true};
    json_object *steps = NULL;

    if (json_get_number(object, "size", &r.size) < 0 ||
        json_get_string(object, "method", &method) < 0 ||
        json_get_string(object, "stage", &stage) < 0 ||
        json_get_number(object, "durable", &r.durable) < 0 ||
        json_get_string(object, "seed", &seed) < 0 ||
        json_get_time(object, "startedAt", &r.started_at) < 0 ||
        json_get_number(object, "runs", &r.runs) < 0 ||
        clear_method_from_string(method, &r.method) < 0 ||
        wipe_stage_from_string(stage, &r.stage) < 0 || !is_seed(seed) || r.durable > r.size)
        return error_set(err, ERROR_USAGE, "resume is not what came out with a progress");
    if (json_object_object_get_ex(object, "steps", &steps) &&
        (!json_object_is_type(steps, json_type_array) || !are_steps(steps)))
        return error_set(err, ERROR_USAGE, "the steps of resume are no list of objects");
    memcpy(r.seed, seed, sizeof(r.seed));
    r.steps = json_object_get(steps);
    json_object_put(ret->steps);
    *ret = r;
    return 0;
}
