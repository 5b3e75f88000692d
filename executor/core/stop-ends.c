/* stop-ends.c - how a stop ends, and what is put right before one that has failed does
 *
 * Theory of operation. How it fails is resolved when it is given up; it is said, and reported, when
 * nothing is left to put back. What cannot be put back for a while keeps the stop open, with the
 * reason: the guest would end on its next reboot, and whoever reads Running would not know.
 */
#include "core/stop-actions.h"

#include <inttypes.h>
#include <stdio.h>

#define RESTORE_AGAIN_MOST (60 * USEC_PER_SEC)
#define RESTORE_TRIES_MOST 5

static void report(struct turn *t, enum instance_state to, const char *reason)
{
    t->out->has_transition = true;
    t->out->from = STATE_STOPPING;
    t->out->to = to;
    snprintf(t->out->reason, sizeof(t->out->reason), "%s", reason);
}

static void resolve(struct turn *t, enum error_code code, const char *message)
{
    t->op->error = code;
    set_text(&t->op->error_message, message);
}

/* The operation is over: nothing of it is due any more. */
static void finish(struct turn *t, enum outcome outcome)
{
    struct operation *op = t->op;

    stand_still(t);
    op->outcome = outcome;
    op->finished_at = t->now.realtime;
    say(op, NULL);
    if (op->disks.n > 0)
        want(t, EFFECT_END_CLEAR);
}

void finish_stopped(struct turn *t, const char *reason)
{
    resolve(t, ERROR_NONE, NULL);
    finish(t, OUTCOME_STOPPED);
    if (t->op->action == ACTION_STOP)
        report(t, STATE_STOPPED, reason);
}

void report_stopped(struct turn *t)
{
    const char *reason = how_it_ended(t);

    t->op->off_at = t->now.realtime;
    operation_note(t->op, t->now.realtime, false, "off", "%s", reason);
    finish_stopped(t, reason);
}

static void report_failed(struct turn *t, enum instance_state state)
{
    bool cancelled = t->op->error == ERROR_CANCELLED;

    finish(t, cancelled ? OUTCOME_CANCELLED : OUTCOME_FAILED);
    operation_note(t->op, t->now.realtime, false, cancelled ? "cancelled" : "failed", "%s",
                   t->op->error_message);
    if (t->op->action == ACTION_STOP)
        report(t, state, t->op->error_message ? t->op->error_message : "failed");
    t->out->failed = true;
}

/* What was resolved when relenting began is said now. */
void settle(struct turn *t)
{
    report_failed(t, STATE_RUNNING);
}

/* A button that is out yet may set it again, and one that was may have done so since; whoever reads
 * operation_interlock() knows. */
void settle_restored(struct turn *t)
{
    t->op->interlock_wanted = t->op->restore_is_raced;
    settle(t);
}

void settle_unrestored(struct turn *t)
{
    t->op->interlock_wanted = false;
    t->op->buttons_out = 0; /* what they set could not be put back either */
    operation_note(t->op, t->now.realtime, false, "not put back",
                   "on_reboot and on_poweroff stay as the stop set them: %s", error_text(t));
    settle(t);
}

static void fail_with(struct turn *t, enum error_code code, enum instance_state state)
{
    resolve(t, code, error_public_message(code));
    report_failed(t, state);
}

void fail_saved(struct turn *t)
{
    fail_with(t, ERROR_SAVED, STATE_STOPPED);
}

void fail_migrated(struct turn *t)
{
    fail_with(t, ERROR_MIGRATED, STATE_RUNNING);
}

void fail_started_again(struct turn *t)
{
    fail_with(t, ERROR_STARTED_AGAIN, STATE_RUNNING);
}

/* --- Relenting ----------------------------------------------------------------------------- */

bool restore_is_hopeless(const struct turn *t)
{
    return t->in->error && t->in->error->code != ERROR_UNKNOWN &&
           t->in->error->code != ERROR_NOT_RUNNING && t->op->restore_tries >= RESTORE_TRIES_MOST;
}

void restore(struct turn *t)
{
    t->op->acting = EFFECT_RESTORE;
    t->op->restore_is_raced = t->op->buttons_out > 0;
    t->op->restore_tries++;
    t->op->next_restore = USEC_NEVER;
    want(t, EFFECT_RESTORE);
}

static void begin_relenting(struct turn *t)
{
    stand_still(t);
    say(t->op, NULL);
    if (t->op->interlock_wanted && !t->op->in_migration) {
        operation_note(t->op, t->now.realtime, false, "giving up", "%s", t->op->error_message);
        restore(t);
    } else {
        look(t); /* one call at a time: its result comes when no button is on its way any more */
    }
}

void give_up(struct turn *t)
{
    char message[160];

    snprintf(message, sizeof(message),
             "The guest did not shut down within %" PRIu64
             " s, and nobody consented to a power cut.",
             t->op->grace / USEC_PER_SEC);
    resolve(t, ERROR_GRACE_OVER, message);
    begin_relenting(t);
}

static void resolve_cancelled(struct turn *t)
{
    char message[400];

    snprintf(message, sizeof(message), "Cancelled by %s.", t->in->principal);
    resolve(t, ERROR_CANCELLED, message);
}

/* No button preceded: that is no time-out of the guest's, and no consent to a power cut is for it.
 */
void give_up_unpressed(struct turn *t)
{
    char message[600];

    snprintf(message, sizeof(message),
             "The hypervisor did not take the power button within %" PRIu64 " s: %s",
             t->op->grace / USEC_PER_SEC,
             is_set(t->op->detail) ? t->op->detail : "the guest could not be woken");
    resolve(t, ERROR_BUTTON_REFUSED, message);
    begin_relenting(t);
}

void cancel(struct turn *t)
{
    resolve_cancelled(t);
    begin_relenting(t);
}

void cancel_unbegun(struct turn *t)
{
    resolve_cancelled(t);
    settle(t);
}

void refuse_paused(struct turn *t)
{
    resolve(t, ERROR_INSTANCE_STATUS,
            "The domain is paused and cannot answer a power button; resume it, or use "
            "ForceStop=true.");
    begin_relenting(t);
}

void refuse_migrating(struct turn *t)
{
    resolve(t, ERROR_INSTANCE_STATUS, REFUSED_IN_MIGRATION);
    begin_relenting(t);
}

void refuse_locked(struct turn *t)
{
    t->op->cuts = 0; /* the one that is out has not been made, or waits still */
    resolve(t, ERROR_LOCKED_FOR_SECURITY,
            "The instance was locked for security reasons after its stop was accepted.");
    begin_relenting(t);
}

void refuse_agentless(struct turn *t)
{
    resolve(t, ERROR_AGENT_ABSENT, error_text(t));
    begin_relenting(t);
}

void restore_failed(struct turn *t)
{
    t->op->acting &= ~(unsigned)EFFECT_RESTORE;
    operation_note(t->op, t->now.realtime, true, "not put back yet", "%s", error_text(t));
    t->op->press_delay = again_after(t->op->press_delay, RESTORE_AGAIN_MOST);
    t->op->next_restore = t->now.monotonic + t->op->press_delay;
    say_obstacle(t, t->op->restore_tries, "on_reboot and on_poweroff are not put back yet");
}
