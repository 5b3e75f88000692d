/* attempt.c - one rung of the ladder, from its first mark to the last block verified
 *
 * Theory of operation. A method that works on spans is done when the last span is durable. A
 * command for the whole device says that it is done, and then the marks must be gone before
 * anything else is written: zeros written over a format that did nothing would hide that the data
 * are still in the flash. Only then is what it left made to read as zeros, where it does not
 * already. In the end all methods are verified alike.
 *
 * A device whose last format was cut short takes nothing but another one. It cannot be marked, so
 * it is formatted once to come back, marked, and formatted again: only the second one counts.
 *
 * The state is told before each thing that cannot be taken back, so that a later run knows what may
 * have happened.
 */
#include "wipe/attempt.h"

#include <stdio.h>

#include "base/json.h"
#include "wipe/canary.h"
#include "wipe/say.h"
#include "wipe/spans.h"
#include "wipe/steps.h"
#include "wipe/verify.h"

/* The state goes out at once. */
static int tell(struct wipe *w, enum wipe_stage stage, uint64_t durable, struct error **err)
{
    w->state.stage = stage;
    w->state.durable = w->meter.durable = durable;
    json_object_put(w->meter.resume);
    w->meter.resume = wipe_resume_to_json(&w->state);
    return w->meter.resume ? meter_say(&w->meter, err) : error_no_memory(err);
}

static enum step_outcome outcome_of(const struct wipe *w, int result)
{
    if (result >= 0)
        return STEP_DONE;
    if (w->refusal.guard)
        return STEP_INTERRUPTED;
    return w->has_lied ? STEP_LIED : STEP_FAILED;
}

typedef int (*step_work)(struct wipe *w, enum clear_method method, struct storage_record *record,
                         struct error **err);

/* Runs the work of a step and writes down what came of it. */
static int as_step(struct wipe *w, enum step_purpose purpose, enum clear_method method,
                   const char *technique, step_work work, struct error **err)
{
    _cleanup_(error_free) struct error *error = NULL;
    struct storage_record record = {0};
    int ended, r = step_begin(w, purpose, method, technique, err);

    if (r < 0)
        return r;
    r = work(w, method, &record, &error);
    ended = step_end(w, outcome_of(w, r), r < 0 ? error_message(error) : NULL, &record,
                     r < 0 ? NULL : err);
    return r < 0 ? error_move(err, &error) : ended;
}

/* One command for everything, then a look whether it was carried out. */
static int command(struct wipe *w, enum clear_method method, struct storage_record *record,
                   struct error **err)
{
    struct storage_span all = {0, w->device->size};
    struct storage_pace pace;
    bool is_zero = false;
    int r = wipe_look(w, err);

    if (r < 0)
        return r;
    meter_begin(&w->meter, "clearing", clear_method_to_string(method), w->device->size, 0);
    pace = meter_pace(&w->meter, all);
    w->is_touched = true;
    r = w->device->ops->clear(w->device, method, all, w->request->level < LEVEL_PURGE, &pace,
                              record, err);
    if (r >= 0)
        r = w->device->ops->flush(w->device, err);
    if (r >= 0)
        r = canaries_gone(w, &is_zero, err);
    if (r < 0)
        return r;
    return tell(w, WIPE_STAGE_ZEROING, is_zero ? w->device->size : 0, err);
}

/* What a cryptographic erase leaves is noise, and nobody can tell noise from data. */
static int make_zeros(struct wipe *w, struct error **err)
{
    enum clear_method method = CLEAR_WRITE_ZEROES;
    struct storage_offer offer;
    int r;

    if (w->state.durable >= w->device->size)
        return 0;
    r = w->device->ops->offer(w->device, method, &offer, err);
    if (r >= 0 && !offer.is_available) {
        method = CLEAR_OVERWRITE;
        r = w->device->ops->offer(w->device, method, &offer, err);
    }
    if (r < 0)
        return r;
    return as_step(w, STEP_ZEROS, method, offer.technique, spans_clear, err);
}

static int run(struct wipe *w, const struct rung *rung, struct error **err)
{
    const char *technique = rung->offer.technique;
    int r = 0;

    if (w->state.stage == WIPE_STAGE_CLEARING)
        return as_step(w, STEP_CLEAR, rung->method, technique, spans_clear, err);
    if (w->state.stage == WIPE_STAGE_COMMAND)
        r = as_step(w, STEP_CLEAR, rung->method, technique, command, err);
    return r < 0 || w->state.stage != WIPE_STAGE_ZEROING ? r : make_zeros(w, err);
}

/* The command, with nothing asked of what it does. */
static int revive(struct wipe *w, enum clear_method method, struct storage_record *record,
                  struct error **err)
{
    struct storage_span all = {0, w->device->size};
    struct storage_pace pace = meter_pace(&w->meter, all);
    int r = wipe_look(w, err);

    if (r < 0)
        return r;
    w->is_touched = true;
    return w->device->ops->clear(w->device, method, all, w->request->level < LEVEL_PURGE, &pace,
                                 record, err);
}

static int mark(struct wipe *w, const struct rung *rung, struct error **err)
{
    _cleanup_(error_free) struct error *error = NULL;
    int r = canaries_place(w, &error);

    if (r >= 0)
        return 0;
    if (w->state.stage != WIPE_STAGE_COMMAND || wipe_is_final(w, error))
        return error_move(err, &error);
    r = as_step(w, STEP_REVIVE, rung->method, rung->offer.technique, revive, err);
    return r < 0 ? r : canaries_place(w, err);
}

int attempt(struct wipe *w, const struct rung *rung, struct error **err)
{
    bool is_read_back = w->verification.mode != WIPE_VERIFY_NONE;
    usec_t began = moment_now().monotonic;
    int r;

    meter_begin(&w->meter, "clearing", clear_method_to_string(rung->method), w->device->size,
                w->state.durable);
    r = tell(w, w->state.stage, w->state.durable, err);
    if (r >= 0 && is_read_back && w->state.stage < WIPE_STAGE_ZEROING)
        r = mark(w, rung, err);
    if (r >= 0)
        r = run(w, rung, err);
    if (r >= 0)
        r = tell(w, WIPE_STAGE_VERIFYING, w->device->size, err);
    if (r >= 0)
        r = say_cleared(w, moment_now().monotonic - began, err);
    if (r < 0 || !is_read_back)
        return r;
    r = verify(w, err);
    return r < 0 ? r : say_verified(w, err);
}
