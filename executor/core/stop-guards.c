/* stop-guards.c - when a row of the stop's table holds
 *
 * Theory of operation. See stop.c. A guard only looks, at the operation and at the input; what is
 * done where it holds is in stop-actions.c.
 */
#include "core/stop-actions.h"

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

bool operation_heeds_lock(const struct operation *op, unsigned act)
{
    return op->presses == 0 && op->cuts == (act == EFFECT_CUT ? 1 : 0) && !op->lock_overridden;
}

/* While a look's result is taken no act is out: a cut that is awaited then still waits behind it.
 */
bool is_locked_since(const struct turn *t)
{
    return operation_heeds_lock(t->op, t->op->acting) && t->in->definition &&
           instance_is_locked_for(t->in->definition, "security");
}

/* The call that was to act has found it so, and has done nothing. */
bool is_found_locked(const struct turn *t)
{
    return t->in->error && t->in->error->code == ERROR_LOCKED_FOR_SECURITY;
}

static bool agent_was_meant(const struct turn *t)
{
    return operation_button(t->op) == BUTTON_AGENT;
}

bool agent_is_silent(const struct turn *t)
{
    return agent_was_meant(t) && t->in->is_stuck && t->in->is_asked;
}

bool agent_refused(const struct turn *t)
{
    return t->in->error && t->in->error->code == ERROR_AGENT_REFUSED;
}

bool agent_gives_way(const struct turn *t)
{
    return t->op->method == METHOD_AGENT_ACPI && agent_was_meant(t) &&
           (t->in->is_stuck || agent_refused(t) ||
            (t->in->error && t->in->error->code == ERROR_AGENT_ABSENT));
}

/* One that was asked and is gone now may have gone on the way down. */
bool agent_is_absent(const struct turn *t)
{
    return never_pressed(t) && t->in->error && t->in->error->code == ERROR_AGENT_ABSENT;
}

bool nothing_to_restore(const struct turn *t)
{
    return !t->op->interlock_wanted;
}

bool may_restore_now(const struct turn *t)
{
    return !t->op->acting &&
           (t->op->next_restore == USEC_NEVER || t->op->next_restore <= t->now.monotonic);
}
