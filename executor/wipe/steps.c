/* steps.c - what was done to the device, step by step, over all runs of one clear
 *
 * Theory of operation. The steps are JSON from the beginning, because that is all they are ever
 * used as: they travel with the resume from run to run and end in the certificate. The one thing
 * read back from them is which methods have failed, so that no run tries them again.
 */
#include "wipe/steps.h"

#include <errno.h>
#include <stdio.h>

#include "base/json.h"

DEFINE_ENUM_WORDS(enum step_purpose, step_purpose, STEP_PURPOSE_MAX, "clear", "zeros", "revive");
DEFINE_ENUM_WORDS(enum step_outcome, step_outcome, STEP_OUTCOME_MAX, "begun", "interrupted", "done",
                  "failed", "lied");

/* A clear that is killed again and again is told of by its first steps and its last ones. */
#define STEPS_KEPT 64

static json_object *last_step(const struct wipe *w)
{
    size_t n = w->state.steps ? json_object_array_length(w->state.steps) : 0;

    return n > 0 ? json_object_array_get_idx(w->state.steps, n - 1) : NULL;
}

int step_begin(struct wipe *w, enum step_purpose purpose, enum clear_method method,
               const char *technique, struct error **err)
{
    json_object *step;

    if (!w->state.steps)
        w->state.steps = json_object_new_array();
    if (!w->state.steps)
        return error_no_memory(err);
    if (json_object_array_length(w->state.steps) >= STEPS_KEPT)
        json_object_array_del_idx(w->state.steps, STEPS_KEPT / 2, 1);
    step = json_object_new_object();
    if (json_append(w->state.steps, step) < 0 ||
        json_add_string(step, "purpose", step_purpose_to_string(purpose)) < 0 ||
        json_add_string(step, "method", clear_method_to_string(method)) < 0 ||
        json_add_string(step, "technique", technique) < 0 ||
        json_add_number(step, "from", w->state.durable) < 0 ||
        json_add_time(step, "startedAt", moment_now().realtime) < 0 ||
        json_add_string(step, "outcome", step_outcome_to_string(STEP_BEGUN)) < 0)
        return error_no_memory(err);
    return 0;
}

static json_object *command_to_json(const struct storage_command *c)
{
    _cleanup_(json) json_object *o = json_object_new_object();
    char word[16];

    if (!o || json_add_string(o, "command", c->name) < 0)
        return NULL;
    if (c->is_admin) {
        const struct {
            const char *name;
            uint32_t value;
        } words[] = {
            {"opcode", c->opcode}, {"nsid", c->nsid}, {"cdw10", c->cdw10}, {"cdw11", c->cdw11}};

        for (size_t i = 0; i < ELEMENTSOF(words); i++) {
            snprintf(word, sizeof(word), i == 0 ? "0x%02x" : "0x%08x", words[i].value);
            if (json_add_string(o, words[i].name, word) < 0)
                return NULL;
        }
    } else if (json_add_number(o, "offset", c->span.offset) < 0 ||
               json_add_number(o, "length", c->span.length) < 0) {
        return NULL;
    }
    if (json_add_number(o, "count", c->count) < 0 ||
        json_add(o, "status", json_object_new_int(c->status)) < 0)
        return NULL;
    return take(o);
}

int step_end(struct wipe *w, enum step_outcome outcome, const char *message,
             const struct storage_record *record, struct error **err)
{
    json_object *step = last_step(w), *commands = json_object_new_array();

    if (json_add(step, "commands", commands) < 0)
        return error_no_memory(err);
    for (size_t i = 0; i < record->n; i++)
        if (json_append(commands, command_to_json(&record->commands[i])) < 0)
            return error_no_memory(err);
    if (json_add_time(step, "finishedAt", moment_now().realtime) < 0 ||
        json_add_string(step, "outcome", step_outcome_to_string(outcome)) < 0 ||
        (message && json_add_string(step, "message", message) < 0))
        return error_no_memory(err);
    return 0;
}

static bool is_step(json_object *step, enum step_purpose purpose, enum clear_method method)
{
    const char *purpose_word = NULL, *method_word = NULL;

    json_get_string(step, "purpose", &purpose_word);
    json_get_string(step, "method", &method_word);
    return text_equal(purpose_word, step_purpose_to_string(purpose)) &&
           text_equal(method_word, clear_method_to_string(method));
}

int step_disown(struct wipe *w, enum clear_method method, enum step_outcome outcome,
                const char *message, struct error **err)
{
    json_object *step = last_step(w);
    size_t n = w->state.steps ? json_object_array_length(w->state.steps) : 0;

    while (n > 0 && !is_step(step, STEP_CLEAR, method))
        step = json_object_array_get_idx(w->state.steps, --n);
    if (n == 0) { /* it failed before its first step */
        int r = step_begin(w, STEP_CLEAR, method, "", err);

        if (r < 0)
            return r;
        step = last_step(w);
    }
    if (json_add_string(step, "outcome", step_outcome_to_string(outcome)) < 0 ||
        json_add_string(step, "message", message) < 0)
        return error_no_memory(err);
    return 0;
}

static int take_over(struct wipe *w, json_object *step)
{
    const char *word = NULL, *method_word = NULL, *message = NULL;
    enum step_outcome outcome;
    enum clear_method method;
    struct rung *rung;

    json_get_string(step, "outcome", &word);
    json_get_string(step, "method", &method_word);
    json_get_string(step, "message", &message);
    if (step_outcome_from_string(word, &outcome) < 0 ||
        clear_method_from_string(method_word, &method) < 0)
        return -EINVAL;
    if (outcome == STEP_BEGUN)
        return json_add_string(step, "outcome", step_outcome_to_string(STEP_INTERRUPTED));
    rung = is_step(step, STEP_CLEAR, method) ? ladder_find(&w->ladder, method) : NULL;
    if (!rung || (outcome != STEP_FAILED && outcome != STEP_LIED))
        return 0;
    ladder_close(rung, message ? message : word);
    rung->is_past_failure = outcome == STEP_FAILED;
    return 0;
}

int steps_take_over(struct wipe *w, struct error **err)
{
    size_t n = w->state.steps ? json_object_array_length(w->state.steps) : 0;

    for (size_t i = 0; i < n; i++) {
        int r = take_over(w, json_object_array_get_idx(w->state.steps, i));

        if (r == -ENOMEM)
            return error_no_memory(err);
        if (r < 0)
            return error_set(err, ERROR_USAGE,
                             "the steps of resume are not what came out with a progress");
    }
    return 0;
}
