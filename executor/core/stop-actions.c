/* stop-actions.c - what a stop does in each row of its table, and when it may
 *
 * Theory of operation. See stop.c. A guard only looks; an action changes the operation and adds
 * effects to the reaction. Which act is under way is remembered in op->acting until its result
 * comes, so that none is asked for twice.
 */
#include "core/stop-actions.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* How soon to look again at something that is on its way, at first and at most. */
#define LOOK_DELAY_LEAST (50 * USEC_PER_MSEC)
#define LOOK_DELAY_MOST (10 * USEC_PER_SEC)
/* A power cut that had no effect is tried again after this. */
#define CUT_AGAIN (10 * USEC_PER_SEC)
#define RESTORE_AGAIN USEC_PER_SEC
#define RESTORE_TRIES_MOST 5
/* A button that the hypervisor did not take is tried again after this. */
#define PRESS_AGAIN USEC_PER_SEC

/* --- Guards -------------------------------------------------------------------------------- */

bool operation_has_consent(const struct operation *op)
{
    return op->force_stop ||
           (op->on_timeout == ON_TIMEOUT_FORCE && op->grace_left == 0 && op->presses > 0);
}

bool is_forced(const struct turn *t)
{
    return t->op->force_stop;
}

bool has_consent(const struct turn *t)
{
    return operation_has_consent(t->op);
}

/* How it fails is resolved already: it was relenting. */
bool is_given_up(const struct turn *t)
{
    return t->op->error != ERROR_NONE;
}

bool may_force(const struct turn *t)
{
    return t->op->on_timeout == ON_TIMEOUT_FORCE;
}

bool cut_due(const struct turn *t)
{
    return !t->op->acting && (t->op->next_cut == USEC_NEVER || t->op->next_cut <= t->now.monotonic);
}

bool may_cut_now(const struct turn *t)
{
    return has_consent(t) && cut_due(t);
}

bool button_due(const struct turn *t)
{
    return !t->op->acting &&
           (t->op->next_press == USEC_NEVER || t->op->next_press <= t->now.monotonic);
}

bool never_pressed(const struct turn *t)
{
    return t->op->presses == 0;
}

bool agent_is_absent(const struct turn *t)
{
    return t->in->error && t->in->error->code == ERROR_AGENT_ABSENT;
}

bool agent_gives_way(const struct turn *t)
{
    return agent_is_absent(t) && t->op->method == METHOD_AGENT_ACPI;
}

bool nothing_to_restore(const struct turn *t)
{
    return !t->op->interlock_wanted;
}

bool may_restore_now(const struct turn *t)
{
    return !t->op->acting;
}

bool restore_is_hopeless(const struct turn *t)
{
    return t->in->error && t->in->error->code != ERROR_UNKNOWN &&
           t->in->error->code != ERROR_NOT_RUNNING && t->op->restore_tries >= RESTORE_TRIES_MOST;
}

/* --- Words --------------------------------------------------------------------------------- */

void set_text(char **s, const char *value)
{
    (void)text_replace(s, value); /* a sentence lost to lack of memory is only a sentence */
}

static const char *error_text(const struct turn *t)
{
    return t->in->error ? error_message(t->in->error) : "no answer";
}

/* How it came about that the guest is off. */
const char *end_reason(const struct operation *op, enum end_cause cause)
{
    switch (cause) {
    case END_SHUTDOWN:
        return op->presses > 0 ? "guest shut down" : "guest shut down by itself";
    case END_DESTROYED:
        return op->cuts > 0 ? "power cut" : "destroyed by another hand";
    case END_CRASHED:
        return op->cuts > 0 ? "power cut" : "guest crashed";
    case END_FAILED:
        return "hypervisor failure";
    case END_DAEMON:
        return op->cuts > 0 ? "power cut" : "ended by the hypervisor's daemon";
    default:
        return op->cuts > 0 ? "power cut" : "off, cause unknown";
    }
}

static void report(struct turn *t, enum instance_state to, const char *reason)
{
    t->out->has_transition = true;
    t->out->from = STATE_STOPPING;
    t->out->to = to;
    snprintf(t->out->reason, sizeof(t->out->reason), "%s", reason);
}

/* --- Actions ------------------------------------------------------------------------------- */

void want(struct turn *t, enum effect effect)
{
    t->out->effects |= effect;
}

void look(struct turn *t)
{
    t->op->next_look = USEC_NEVER;
    want(t, EFFECT_LOOK);
}

/* Looks again after a while that doubles each time. */
void look_later(struct turn *t)
{
    struct operation *op = t->op;

    op->look_delay = op->look_delay ? op->look_delay * 2 : LOOK_DELAY_LEAST;
    if (op->look_delay > LOOK_DELAY_MOST)
        op->look_delay = LOOK_DELAY_MOST;
    op->next_look = t->now.monotonic + op->look_delay;
}

void stand_still(struct turn *t)
{
    struct operation *op = t->op;

    op->grace_left = operation_grace_left(op, t->now.monotonic);
    op->grace_since = USEC_NEVER;
    op->acting = 0;
    op->next_press = op->next_look = op->next_cut = op->next_restore = USEC_NEVER;
    op->next_clear = USEC_NEVER;
    op->look_delay = 0;
}

/* A guest that froze on the way takes no more buttons; what is left of its grace runs all the same.
 */
static void resume_grace(struct turn *t)
{
    if (t->op->presses > 0 && t->op->grace_since == USEC_NEVER)
        t->op->grace_since = t->now.monotonic;
}

/* The hypervisor is at hand again. Whatever was under way is forgotten; the look decides. */
void look_afresh(struct turn *t)
{
    stand_still(t);
    if (t->op->stage == STAGE_SHUTTING_DOWN)
        resume_grace(t);
    look(t);
}

void begin_shutdown(struct turn *t)
{
    operation_note(t->op, t->now.realtime, false, "shutting-down", "grace %" PRIu64 " s",
                   t->op->grace / USEC_PER_SEC);
    look(t);
}

/* The look has shown the lifecycle actions as they are now. They are kept before the button's call
 * changes them. */
void press(struct turn *t)
{
    struct operation *op = t->op;

    if (t->in->sighting && !op->interlock_wanted) {
        op->former = t->in->sighting->lifecycle;
        op->interlock_wanted = op->former.on_reboot == LIFECYCLE_RESTART ||
                               op->former.on_poweroff == LIFECYCLE_RESTART;
    }
    if (operation_button(op) == BUTTON_AGENT)
        op->agent_tries++;
    op->acting = EFFECT_PRESS;
    op->next_press = USEC_NEVER;
    op->look_delay = 0;
    want(t, EFFECT_PRESS);
}

void count_press(struct turn *t)
{
    struct operation *op = t->op;
    const char *button = button_to_string(operation_button(op));

    op->acting &= ~(unsigned)EFFECT_PRESS;
    op->presses++;
    set_text(&op->detail, NULL);
    if (op->grace_since == USEC_NEVER)
        op->grace_since = t->now.monotonic;
    op->grace_left = operation_grace_left(op, t->now.monotonic);
    op->grace_since = t->now.monotonic;
    op->next_press = t->now.monotonic + op->resend;
    if (op->presses == 1)
        operation_note(op, t->now.realtime, false, "button", "%s", button);
    else
        operation_note(op, t->now.realtime, true, "button again", "%s, pressed %u times", button,
                       op->presses);
    /* An agent that took the command and did nothing has had its turn. */
    op->agent_spent = op->method == METHOD_AGENT_ACPI;
}

void press_failed(struct turn *t)
{
    struct operation *op = t->op;

    op->acting &= ~(unsigned)EFFECT_PRESS;
    op->next_press = t->now.monotonic + PRESS_AGAIN;
    operation_note(op, t->now.realtime, true, "button not taken", "%s", error_text(t));
    set_text(&op->detail, error_text(t)); /* no grace runs yet: it stands in the open */
    if (t->in->error && t->in->error->code == ERROR_NOT_RUNNING)
        look(t);
    else
        look_later(t);
}

void press_acpi_instead(struct turn *t)
{
    t->op->acting = 0;
    t->op->agent_spent = true;
    operation_note(t->op, t->now.realtime, false, "agent does not answer", "%s; ACPI instead",
                   error_text(t));
    press(t);
}

void wake(struct turn *t)
{
    operation_note(t->op, t->now.realtime, true, "waking", "the guest is suspended to memory");
    want(t, EFFECT_WAKE);
    look_later(t);
}

static void cut(struct turn *t)
{
    struct operation *op = t->op;

    op->acting = EFFECT_CUT;
    op->cuts++;
    op->next_cut = USEC_NEVER;
    op->next_look = USEC_NEVER;
    want(t, EFFECT_CUT);
}

static void note_forcing(struct turn *t, const char *why)
{
    operation_note(t->op, t->now.realtime, false, "power cut", "%s", why);
}

/* The first cut needs no look of its own where the run that is meant is known: the call looks. */
static void start_cutting(struct turn *t, const char *why)
{
    note_forcing(t, why);
    t->op->next_press = USEC_NEVER;
    t->op->look_delay = 0;
    if (!t->op->has_processes || t->op->incarnation.pid)
        cut(t);
    else
        look(t);
}

void begin_forcing(struct turn *t)
{
    start_cutting(t, "commanded");
}

void cut_after_grace(struct turn *t)
{
    t->op->grace_left = 0;
    t->op->grace_since = USEC_NEVER;
    start_cutting(t, "the grace is over, and the time-out action is force");
}

void escalate(struct turn *t)
{
    struct operation *op = t->op;

    op->force_stop = true;
    set_text(&op->forced_by, t->in->request_id);
    op->error = ERROR_NONE;
    set_text(&op->error_message, NULL);
    op->grace_left = operation_grace_left(op, t->now.monotonic);
    op->grace_since = USEC_NEVER;
    operation_note(op, t->now.realtime, false, "force", "commanded by %s, RequestId %s",
                   t->in->principal, t->in->request_id);
    start_cutting(t, "commanded");
}

/* A guest that panicked runs nothing any more: there is nothing that a power cut could lose. */
void end_crashed(struct turn *t)
{
    start_cutting(t, "the guest has crashed, and its process is ended");
}

void cut_again(struct turn *t)
{
    if (t->op->cuts > 0)
        operation_note(t->op, t->now.realtime, true, "power cut again", "%u tries",
                       t->op->cuts + 1);
    cut(t);
}

void look_after_cut(struct turn *t)
{
    t->op->acting &= ~(unsigned)EFFECT_CUT;
    t->op->next_cut = t->now.monotonic + CUT_AGAIN;
    look(t);
}

void cut_failed(struct turn *t)
{
    t->op->acting &= ~(unsigned)EFFECT_CUT;
    t->op->next_cut = t->now.monotonic + PRESS_AGAIN;
    operation_note(t->op, t->now.realtime, true, "power cut failed", "%s", error_text(t));
    if (t->in->error && t->in->error->code == ERROR_NOT_RUNNING)
        look(t);
    else
        look_later(t);
}

void block(struct turn *t)
{
    const char *detail = t->in->sighting->process_detail;
    char text[512];

    snprintf(text, sizeof(text), "the hypervisor says off, but its process is still there: %s",
             is_set(detail) ? detail : "no more is known");
    if (t->op->stage == STAGE_BLOCKED && text_equal(t->op->detail, text)) {
        t->out->unchanged = true;
    } else {
        set_text(&t->op->detail, text);
        operation_note(t->op, t->now.realtime, true, "blocked", "%s", text);
    }
    t->op->next_press = USEC_NEVER;
    t->op->next_cut = USEC_NEVER;
    look_later(t);
}

void unblock(struct turn *t)
{
    set_text(&t->op->detail, NULL);
    t->op->acting = 0;
    operation_note(t->op, t->now.realtime, false, "running", "the hypervisor says so again");
    if (!is_given_up(t))
        resume_grace(t);
    look(t);
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
    set_text(&op->detail, NULL);
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
    const char *reason = end_reason(t->op, t->in->sighting->cause);

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

void settle_unrestored(struct turn *t)
{
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

void restore(struct turn *t)
{
    t->op->acting = EFFECT_RESTORE;
    t->op->restore_tries++;
    t->op->next_restore = USEC_NEVER;
    want(t, EFFECT_RESTORE);
}

static void begin_relenting(struct turn *t)
{
    stand_still(t);
    if (t->op->interlock_wanted) {
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

void refuse_agentless(struct turn *t)
{
    resolve(t, ERROR_AGENT_ABSENT, error_text(t));
    begin_relenting(t);
}

void restore_failed(struct turn *t)
{
    t->op->acting &= ~(unsigned)EFFECT_RESTORE;
    operation_note(t->op, t->now.realtime, true, "not put back yet", "%s", error_text(t));
    t->op->next_restore = t->now.monotonic + RESTORE_AGAIN;
}

enum button operation_button(const struct operation *op)
{
    bool agent = op->method == METHOD_AGENT || op->method == METHOD_AGENT_ACPI;

    return agent && !op->agent_spent ? BUTTON_AGENT : BUTTON_ACPI;
}
