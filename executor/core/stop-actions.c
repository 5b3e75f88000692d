/* stop-actions.c - what a stop does in each row of its table
 *
 * Theory of operation. See stop.c. An action changes the operation and adds effects to the
 * reaction. Which act is under way is remembered in op->acting until its result
 * comes, so that none is asked for twice.
 */
#include "core/stop-actions.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A power cut that had no effect is tried again after this. */
#define CUT_AGAIN (10 * USEC_PER_SEC)
/* A call that failed is made again after this, which doubles each time. */
#define AGAIN_LEAST USEC_PER_SEC
#define PRESS_AGAIN_MOST (10 * USEC_PER_SEC)
/* An agent that has failed so often has had its turn where there is ACPI. */
#define AGENT_TRIES_MOST 3
/* What has failed so often stands in the open as what the stop waits for. */
#define TRIES_UNSAID 3

/* --- Words --------------------------------------------------------------------------------- */

void set_text(char **s, const char *value)
{
    (void)text_replace(s, value); /* a sentence lost to lack of memory is only a sentence */
}

/* That it cannot be seen look_unseen() says, and it is said until something else is. */
void say(struct operation *op, const char *what)
{
    set_text(&op->detail, what);
    op->is_unseen = false;
}

const char *error_text(const struct turn *t)
{
    return t->in->error ? error_message(t->in->error) : "no answer";
}

/* How it came about that the guest is off, as the hypervisor tells it. */
static const char *end_reason(const struct operation *op, enum end_cause cause)
{
    switch (cause) {
    case END_SHUTDOWN:
        return op->presses > 0 || op->agent_tries > 0 ? "guest shut down"
                                                      : "guest shut down by itself";
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

/* What was noted on the way counts, save of a crash that somebody has undone: only what runs shuts
 * down. */
const char *how_it_ended(const struct turn *t)
{
    enum end_cause cause = t->in->sighting->cause;

    return t->op->ended && cause != END_SHUTDOWN ? t->op->ended : end_reason(t->op, cause);
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
    op->look_delay = op->press_delay = 0;
}

usec_t again_after(usec_t delay, usec_t most)
{
    delay = delay ? delay * 2 : AGAIN_LEAST;
    return delay < most ? delay : most;
}

/* What it waits for stands in the open, once it has failed often enough. */
void say_obstacle(struct turn *t, unsigned tries, const char *what)
{
    char text[600];

    if (tries < TRIES_UNSAID)
        return;
    snprintf(text, sizeof(text), "%s: %s", what, error_text(t));
    say(t->op, text);
}

/* A guest that froze on the way takes no more buttons; what is left of its grace runs all the same.
 */
void resume_grace(struct operation *op, struct moment now)
{
    if (op->presses > 0 && op->grace_since == USEC_NEVER)
        op->grace_since = now.monotonic;
}

/* Where no button has been taken the same allowance bounds how long the hypervisor may refuse it.
 * The first that it takes begins the grace, whole. */
static void begin_patience(struct turn *t)
{
    if (never_pressed(t) && t->op->grace_since == USEC_NEVER)
        t->op->grace_since = t->now.monotonic;
}

/* The hypervisor is at hand again. Whatever was under way is forgotten; the look decides. */
void look_afresh(struct turn *t)
{
    stand_still(t);
    if (t->op->stage == STAGE_SHUTTING_DOWN || t->op->stage == STAGE_RELENTING ||
        t->op->stage == STAGE_FORCING)
        say(t->op, NULL);
    if (t->op->stage == STAGE_SHUTTING_DOWN)
        resume_grace(t->op, t->now);
    if (t->op->stage == STAGE_CLEARING)
        hold_until_seen(t);
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
    op->buttons_out += op->interlock_wanted;
    if (operation_button(op) == BUTTON_AGENT)
        op->agent_tries++;
    op->acting = EFFECT_PRESS;
    op->is_blind = !t->in->sighting;
    op->next_press = USEC_NEVER;
    op->look_delay = 0;
    want(t, EFFECT_PRESS);
}

void count_press(struct turn *t)
{
    struct operation *op = t->op;
    const char *button = button_to_string(operation_button(op));

    op->acting &= ~(unsigned)EFFECT_PRESS;
    op->press_delay = 0;
    say(op, NULL);
    op->grace_left = op->presses == 0 ? op->grace : operation_grace_left(op, t->now.monotonic);
    op->grace_since = t->now.monotonic;
    op->presses++;
    op->next_press = t->now.monotonic + op->resend;
    if (op->presses == 1)
        operation_note(op, t->now.realtime, false, "button", "%s", button);
    else
        operation_note(op, t->now.realtime, true, "button again", "%s, pressed %u times", button,
                       op->presses);
    /* An agent that took the command and did nothing has had its turn. */
    op->agent_spent = op->method == METHOD_AGENT_ACPI;
}

/* It was out when the power was to be cut, or when the stop was given up: its guest has been asked
 * all the same. */
void count_late_press(struct turn *t)
{
    struct operation *op = t->op;

    op->acting &= ~(unsigned)EFFECT_PRESS;
    if (op->presses == 0)
        op->grace_left = op->grace;
    op->presses++;
}

void press_failed(struct turn *t)
{
    struct operation *op = t->op;

    op->acting &= ~(unsigned)EFFECT_PRESS;
    op->press_delay = again_after(op->press_delay, PRESS_AGAIN_MOST);
    op->next_press = t->now.monotonic + op->press_delay;
    operation_note(op, t->now.realtime, true, "button not taken", "%s", error_text(t));
    say(op, error_text(t)); /* no grace runs yet: it stands in the open */
    op->agent_spent |= op->method == METHOD_AGENT_ACPI && op->agent_tries >= AGENT_TRIES_MOST;
    begin_patience(t);
    if (t->in->error && t->in->error->code == ERROR_NOT_RUNNING)
        look(t);
    else
        look_later(t);
}

/* It has been asked, and whether it does anything about it is seen by the guest's end. */
void count_silent_agent(struct turn *t)
{
    operation_note(t->op, t->now.realtime, true, "agent does not answer", "%s", error_text(t));
    count_press(t);
}

/* For so long as nothing can be told nothing is concluded; but it stands in the open. */
void look_unseen(struct turn *t)
{
    const char *detail = t->in->sighting->process_detail;
    char text[600];

    look_later(t);
    if (t->op->look_delay < LOOK_DELAY_MOST || t->op->is_unseen)
        return;
    snprintf(text, sizeof(text), "the hypervisor cannot tell its state: %s",
             t->in->error || !is_set(detail) ? error_text(t) : detail);
    say(t->op, text);
    t->op->is_unseen = true;
    t->out->unchanged = false;
}

void wait_for_migration(struct turn *t)
{
    static const char why[] = "the domain is being migrated; the stop waits for how that ends";
    struct operation *op = t->op;

    op->grace_left = operation_grace_left(op, t->now.monotonic);
    op->grace_since = USEC_NEVER;
    op->next_press = op->next_cut = op->next_restore = USEC_NEVER;
    op->next_look = t->now.monotonic + LOOK_MIGRATING;
    if (text_equal(op->detail, why)) {
        t->out->unchanged = true;
        return;
    }
    say(op, why);
    operation_note(op, t->now.realtime, true, "in migration", "%s", why);
}

void press_acpi_instead(struct turn *t)
{
    t->op->acting = 0;
    t->op->agent_spent = true;
    operation_note(t->op, t->now.realtime, false,
                   agent_refused(t) ? "agent refuses" : "agent does not answer", "%s; ACPI instead",
                   error_text(t));
    press(t);
}

void wake(struct turn *t)
{
    operation_note(t->op, t->now.realtime, true, "waking", "the guest is suspended to memory");
    begin_patience(t);
    want(t, EFFECT_WAKE);
    look_later(t);
}

/* Ending the process of a guest that has crashed is not what ended the guest; unless somebody had
 * its power cut anyway. */
static void note_crash(struct turn *t)
{
    if (t->in->kind == IN_SEEN_CRASHED && !has_consent(t))
        set_text(&t->op->ended, "guest crashed");
}

static void cut(struct turn *t)
{
    struct operation *op = t->op;

    op->acting = EFFECT_CUT;
    op->is_blind = !t->in->sighting;
    op->cuts++;
    op->next_cut = USEC_NEVER;
    op->next_look = USEC_NEVER;
    want(t, EFFECT_CUT);
}

static void note_forcing(struct turn *t, const char *why)
{
    operation_note(t->op, t->now.realtime, false, "power cut", "%s", why);
}

/* The first cut needs no look of its own where the run that is meant is known: the call looks. In
 * migration, or where there may be a lock, the look decides. */
static void start_cutting(struct turn *t, const char *why)
{
    note_forcing(t, why);
    say(t->op, NULL);
    t->op->next_press = USEC_NEVER;
    t->op->look_delay = t->op->press_delay = 0;
    if (!t->op->in_migration && !is_locked_since(t) &&
        (!t->op->has_processes || t->op->incarnation.pid))
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
    op->lock_overridden |= t->in->overrides_lock;
    set_text(&op->forced_by, t->in->request_id);
    op->error = ERROR_NONE;
    set_text(&op->error_message, NULL);
    op->grace_left = operation_grace_left(op, t->now.monotonic);
    op->grace_since = USEC_NEVER;
    operation_note(op, t->now.realtime, false, "force", "commanded by %s, RequestId %s%s",
                   t->in->principal, t->in->request_id, t->in->overriding ? t->in->overriding : "");
    start_cutting(t, "commanded");
}

/* A guest that panicked runs nothing any more: there is nothing that a power cut could lose. */
void end_crashed(struct turn *t)
{
    note_crash(t);
    start_cutting(t, "the guest has crashed, and its process is ended");
}

void cut_again(struct turn *t)
{
    if (t->op->cuts > 0)
        operation_note(t->op, t->now.realtime, true, "power cut again", "%u tries",
                       t->op->cuts + 1);
    note_crash(t);
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
    t->op->press_delay = again_after(t->op->press_delay, PRESS_AGAIN_MOST);
    t->op->next_cut = t->now.monotonic + t->op->press_delay;
    operation_note(t->op, t->now.realtime, true, "power cut failed", "%s", error_text(t));
    say_obstacle(t, t->op->cuts, "the power cut does not succeed");
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
        say(t->op, text);
        operation_note(t->op, t->now.realtime, true, "blocked", "%s", text);
    }
    /* Until its process has ended too, the hypervisor may have forgotten. */
    if (!t->op->ended && t->in->sighting->cause != END_UNKNOWN) {
        set_text(&t->op->ended, how_it_ended(t));
        t->out->unchanged = false;
    }
    t->op->next_press = USEC_NEVER;
    t->op->next_cut = USEC_NEVER;
    look_later(t);
}

void unblock(struct turn *t)
{
    say(t->op, NULL);
    t->op->acting = 0;
    operation_note(t->op, t->now.realtime, false, "running", "the hypervisor says so again");
    if (!is_given_up(t))
        resume_grace(t->op, t->now);
    look(t);
}

enum button operation_button(const struct operation *op)
{
    bool agent = op->method == METHOD_AGENT || op->method == METHOD_AGENT_ACPI;

    return agent && !op->agent_spent ? BUTTON_AGENT : BUTTON_ACPI;
}
