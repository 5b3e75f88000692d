/* wipe.c - one clear, from the request to the certificate
 *
 * Theory of operation. The device is opened for reading and asked what it is. The guards are asked.
 * The ladder is surveyed, and if no rung is open nothing is touched. Then the device is claimed,
 * and the guards are asked again, for somebody may have come between. From here on the rungs are
 * tried from the best down: each clears, and is believed only when the verification says so. A
 * guard that finds an intruder ends everything at once; a method that fails or lies only ends
 * itself.
 *
 * So there are four ends: cleared; refused, and nothing was touched; stopped half-way, to be gone
 * on with; and failed, when no rung is left.
 */
#include "wipe/wipe.h"

#include <errno.h>
#include <string.h>

#include "wipe/attempt.h"
#include "wipe/certificate.h"
#include "wipe/claim.h"
#include "wipe/places.h"
#include "wipe/random.h"
#include "wipe/say.h"
#include "wipe/steps.h"
#include "wipe/tenancy.h"

static void wipe_cleanup(struct wipe *w)
{
    meter_clear(&w->meter);
    footprint_clear(&w->scene.footprint);
    tenancy_clear(w);
    storage_close(w->device);
    json_object_put(w->state.steps);
    free(w->places);
}

static int look_at_device(struct wipe *w, struct error **err)
{
    int r = w->open_device(w->request->device, &w->device, err);

    if (r >= 0)
        r = w->device->ops->identify(w->device, &w->identity, err);
    if (r >= 0)
        r = w->device->ops->facts(w->device, &w->facts, err);
    if (r >= 0 && w->device->look_fd >= 0)
        r = footprint_take(w->device->look_fd, w->scene.sys, &w->scene.footprint, err);
    if (r < 0)
        return r;
    w->scene.request = w->request;
    w->scene.device = w->device;
    w->scene.identity = &w->identity;
    if (!w->device->ops->neighbours)
        return 0;
    w->scene.neighbours = &w->neighbours;
    return w->device->ops->neighbours(w->device, &w->neighbours, err);
}

/* --- Where to begin -------------------------------------------------------------------------- */

static void begin_rung(struct wipe *w, const struct rung *rung)
{
    w->state.method = rung->method;
    w->state.stage = rung->offer.reach == REACH_SPAN ? WIPE_STAGE_CLEARING : WIPE_STAGE_COMMAND;
    w->state.durable = 0;
}

/* A resume that does not fit this device and this ladder is as good as none: all is done again. */
static const struct rung *go_on(struct wipe *w)
{
    struct rung *rung = ladder_find(&w->ladder, w->state.method);
    bool is_command;

    if (!rung || !rung->is_open || w->state.size != w->device->size)
        return NULL;
    is_command = rung->offer.reach != REACH_SPAN;
    if (w->state.stage == WIPE_STAGE_CLEARING
            ? is_command
            : w->state.stage < WIPE_STAGE_VERIFYING && !is_command)
        return NULL;
    if (w->state.durable % w->device->block_size != 0 && w->state.durable != w->device->size)
        return NULL;
    return rung;
}

static const struct rung *best(struct wipe *w)
{
    const struct rung *rung = ladder_best(&w->ladder);

    if (rung)
        return rung;
    ladder_reopen_past(&w->ladder);
    return ladder_best(&w->ladder);
}

static int prepare_state(struct wipe *w, const struct rung **ret, struct error **err)
{
    const struct wipe_resume *resume = &w->request->resume;
    const struct rung *rung = NULL;
    int r;

    if (resume->is_present && resume->size == w->device->size) {
        json_object *copy = NULL;

        w->state = *resume;
        w->state.steps = NULL;
        if (resume->steps && json_object_deep_copy(resume->steps, &copy, NULL) < 0)
            return error_no_memory(err);
        w->state.steps = copy;
        r = steps_take_over(w, err);
        if (r < 0)
            return r;
        rung = go_on(w);
    } else {
        r = random_new_seed(w->state.seed);
        if (r < 0)
            return error_set_errno(err, ERROR_IO, r, "asking the kernel for random numbers");
        w->state.started_at = moment_now().realtime;
        w->state.size = w->device->size;
    }
    w->state.runs++;
    if (!rung) {
        rung = best(w);
        if (rung)
            begin_rung(w, rung);
    }
    *ret = rung;
    return 0;
}

/* --- The ladder ------------------------------------------------------------------------------ */

bool wipe_is_final(const struct wipe *w, const struct error *error)
{
    return w->refusal.guard || error_code_of(error) == ERROR_UNREACHABLE ||
           error_code_of(error) == ERROR_NO_MEMORY;
}

/* One rung, with all that it reaches ours. */
static int try_rung(struct wipe *w, const struct rung *rung, struct error **err)
{
    int r = rung->offer.reach == REACH_SUBSYSTEM ? tenancy_claim(w, err) : 0;

    if (r < 0)
        return r;
    /* A discard is a hint: only reading everything says whether it was taken. */
    w->verification.mode = rung->offer.level == LEVEL_NONE ? WIPE_VERIFY_FULL : w->request->verify;
    w->has_lied = false;
    r = say_method(w, rung, err);
    return r < 0 ? r : attempt(w, rung, err);
}

/* Tries rung after rung. On failure *err is the last one's, or a guard's. */
static int climb(struct wipe *w, const struct rung *rung, struct error **err)
{
    for (;;) {
        _cleanup_(error_free) struct error *error = NULL;
        int r;

        if (try_rung(w, rung, &error) >= 0)
            return 0;
        if (wipe_is_final(w, error))
            return error_move(err, &error);
        r = say_setback(w, rung, error_message(error), err);
        if (r >= 0)
            r = step_disown(w, rung->method, w->has_lied ? STEP_LIED : STEP_FAILED,
                            error_message(error), err);
        if (r < 0)
            return r;
        ladder_close(ladder_find(&w->ladder, rung->method), error_message(error));
        rung = best(w);
        if (!rung)
            return error_move(err, &error);
        begin_rung(w, rung);
    }
}

static int clear(struct wipe *w, struct error **err)
{
    const struct rung *rung = NULL;
    int r = prepare_state(w, &rung, err);

    if (r < 0)
        return r;
    if (!rung) {
        char why[512];

        ladder_say_closed(&w->ladder, why, sizeof(why));
        w->refusal.guard = "ladder";
        refuse(&w->refusal, "", "no method of the ladder is open for %s at level %s (%s)",
               w->device->path, clear_level_to_string(w->request->level), why);
        return error_set(err, ERROR_UNSUPPORTED, "%s", w->refusal.message);
    }
    r = places_remember(w, err);
    if (r >= 0)
        r = claim(w, err);
    if (r >= 0)
        r = wipe_look(w, err);
    if (r >= 0)
        r = say_claimed(w, err);
    if (r >= 0)
        r = climb(w, rung, err);
    return r < 0 ? r : certificate_say(w, err);
}

/* --- The verbs ------------------------------------------------------------------------------- */

static enum wipe_outcome outcome_of(const struct wipe *w)
{
    if (!w->refusal.guard)
        return WIPE_FAILED;
    return w->is_touched ? WIPE_STOPPED : WIPE_REFUSED;
}

static int end(struct wipe *w, const struct error *error)
{
    enum wipe_outcome outcome;

    /* All rungs that were left reach the companions, and one of those cannot be had. */
    if (!w->refusal.guard && !w->is_touched && w->tenancy.is_denied) {
        w->refusal.guard = "companion";
        refuse(&w->refusal, "", "%s", error_message(error));
    }
    outcome = outcome_of(w);
    say_error(w->report, outcome, &w->refusal, error_message(error), w->state.durable);
    return outcome == WIPE_REFUSED ? WIPE_EXIT_REFUSED : WIPE_EXIT_NOT_CLEARED;
}

static int run_verb(struct wipe *w, struct error **err)
{
    usec_t began = moment_now().monotonic;
    bool is_refused = false;
    int r;

    if (w->request->verb == WIPE_IDENTIFY)
        return say_identity(w, err);
    while (w->request->verb == WIPE_CLEAR && guards_refuse(&w->scene, GUARD_BEFORE, &w->refusal))
        if (!guards_wait(&w->refusal, false, began, PATIENCE_BEFORE))
            return error_set(err, ERROR_CONFLICT, "%s", w->refusal.message);
    r = ladder_survey(w->device, w->request, "", &w->ladder, err);
    if (r >= 0 && ladder_reaches_subsystem(&w->ladder)) {
        r = tenancy_survey(w, err);
        if (r >= 0)
            r = ladder_survey(w->device, w->request, w->tenancy.why_not, &w->ladder, err);
        /* Held open, they would be in the way of their own clears. */
        if (!ladder_reaches_subsystem(&w->ladder))
            tenancy_clear(w);
    }
    if (r < 0)
        return r;
    if (w->request->verb == WIPE_CLEAR)
        return clear(w, err);
    r = say_plan(w, &is_refused, err);
    if (r >= 0 && !is_refused && !ladder_best(&w->ladder)) {
        w->refusal.guard = "ladder";
        is_refused = true;
    }
    return r < 0 || !is_refused ? r : -EACCES;
}

int wipe_run(const struct wipe_request *request, wipe_opener open_device, struct report *report)
{
    _cleanup_(wipe) struct wipe w = {
        .request = request,
        .open_device = open_device,
        .report = report,
        .scene = {.proc = "/proc", .sys = "/sys"},
        .verification = {.mode = request->verify},
        .meter = {.report = report, .max_bytes_per_s = request->max_mib_per_s << 20},
    };
    _cleanup_(error_free) struct error *error = NULL;
    int r = look_at_device(&w, &error);

    if (r >= 0)
        r = run_verb(&w, &error);
    if (r >= 0)
        return WIPE_EXIT_DONE;
    return request->verb == WIPE_PLAN && !error ? WIPE_EXIT_REFUSED : end(&w, error);
}
