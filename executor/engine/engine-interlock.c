/* engine-interlock.c - a reboot interlock that may come after the stop that it was for
 *
 * Theory of operation. A button whose call was written off, or was on its way when stopd or the
 * connection went, may still be carried out, and the interlock with it, when the stop is over and
 * the guest's lifecycle actions have been put back: a reboot hours later would turn it off. So an
 * operation counts the buttons that nobody has seen come back, and one that leaves the guest
 * running leaves that count, and the actions as they were, beside the report of that run. While
 * they stand there each look is held against them, and what an interlock has changed is put back.
 * The debt ends when every button is back and a look that began after that shows the actions as
 * they were, or with the run; the next stop of the run takes it over. A button that was sent before
 * stopd was started anew never comes back to be counted, and no hint tells of an interlock: so
 * every glance brings a look.
 *
 * A button is counted by the turn that wants it, and sent after that, or after the call that is
 * out. Whether it comes back, or is not sent after all, is told once: where that turn is lost with
 * the journal away, it is counted in place, and written down with whatever comes next.
 */
#include "engine/engine-internal.h"

#include "stopd/log.h"

#define RESTORE_AGAIN_LEAST USEC_PER_SEC
#define RESTORE_AGAIN_MOST (60 * USEC_PER_SEC)

static void stage(struct engine *e, struct domain *d, const struct interlock *owed)
{
    struct last_report report = *engine_report_now(d);

    report.interlock = *owed;
    engine_stage_domain(e, d);
    d->next_reported = report;
    d->reported_changed = true;
}

bool engine_owes_restore(const struct domain *d)
{
    return interlock_is_owed(&d->reported.interlock);
}

void engine_leave_interlock(struct engine *e, struct domain *d, const struct operation *op)
{
    const struct interlock owed = operation_interlock(op);

    if (interlock_is_owed(&owed) &&
        incarnation_equal(&engine_report_now(d)->incarnation, &op->incarnation))
        stage(e, d, &owed);
}

bool engine_button_is_back(const struct call *c)
{
    return c->kind == CALL_PRESS && c->interlock && !c->stuck &&
           (c->is_unmade || c->press.is_over || error_code_of(c->error) != ERROR_UNKNOWN);
}

void engine_drop_button(struct engine *e, struct domain *d)
{
    const struct input back = {.kind = IN_BUTTON_BACK, .is_back = true};
    const struct operation *op = engine_operation_now(d);
    bool was_wanted = d->wanted & EFFECT_PRESS;

    d->wanted &= ~(unsigned)EFFECT_PRESS;
    if (!was_wanted || !op || !op->interlock_wanted)
        return;
    d->buttons_back += d->has_counted_button;
    d->has_counted_button = false;
    engine_step(e, d, &back);
}

void engine_keep_buttons(struct domain *d)
{
    d->buttons_back = 0;
    d->has_counted_button = d->wanted & EFFECT_PRESS && d->op && d->op->interlock_wanted;
}

void engine_give_back_buttons(struct domain *d)
{
    struct interlock *owed = &d->reported.interlock;
    unsigned *out = d->op ? &d->op->buttons_out : &owed->buttons_out;
    unsigned back = d->buttons_back + d->has_counted_button;

    owed->may_be_set |= !d->op && back > 0 && *out > 0;
    *out -= back < *out ? back : *out;
    d->wanted &= ~(unsigned)EFFECT_PRESS;
    d->buttons_back = 0;
    d->has_counted_button = false;
}

void engine_count_button_back(struct engine *e, struct domain *d, const struct call *c)
{
    const struct input back = {.kind = IN_BUTTON_BACK, .is_back = true};
    const struct operation *op = engine_operation_now(d);
    const struct last_report *report = engine_report_now(d);
    struct interlock owed = report->interlock;

    if (!engine_button_is_back(c))
        return;
    d->button_back_at = e->next_call_id;
    if (op && incarnation_equal(&op->incarnation, &c->meant)) {
        d->buttons_back++;
        engine_step(e, d, &back);
    } else if (!op && owed.buttons_out > 0 && incarnation_equal(&report->incarnation, &c->meant)) {
        d->buttons_back++;
        owed.buttons_out--;
        owed.may_be_set = true;
        stage(e, d, &owed);
        engine_want_look(e, d);
    }
}

static bool is_locked(enum lifecycle_action now, enum lifecycle_action former)
{
    return now == LIFECYCLE_DESTROY && former != LIFECYCLE_DESTROY && former != LIFECYCLE_UNKNOWN;
}

void engine_settle_interlock(struct engine *e, struct domain *d, const struct sighting *s)
{
    const struct interlock *owed = &engine_report_now(d)->interlock;

    if (!interlock_is_owed(owed) || s->lifecycle.on_poweroff == LIFECYCLE_UNKNOWN ||
        s->lifecycle.on_reboot == LIFECYCLE_UNKNOWN)
        return;
    engine_stage_domain(e, d);
    if (!is_locked(s->lifecycle.on_poweroff, owed->former.on_poweroff) &&
        !is_locked(s->lifecycle.on_reboot, owed->former.on_reboot)) {
        d->restore_delay = d->restore_at = 0;
        if (owed->buttons_out == 0 && d->look_id > d->button_back_at)
            stage(e, d, &(struct interlock){0});
        return;
    }
    if (s->in_migration) /* nothing is done to it then */
        d->restore_at = e->now.monotonic + RESTORE_AGAIN_LEAST;
    if (d->restore_at > e->now.monotonic) {
        d->next_look = d->restore_at;
        return;
    }
    d->restore_delay = d->restore_delay ? d->restore_delay * 2 : RESTORE_AGAIN_LEAST;
    if (d->restore_delay > RESTORE_AGAIN_MOST)
        d->restore_delay = RESTORE_AGAIN_MOST;
    d->restore_at = e->now.monotonic + d->restore_delay;
    d->wanted |= EFFECT_RESTORE;
}

void engine_take_restored(struct engine *e, struct domain *d, const struct call *c)
{
    const char *id = domain_public_id(d);

    if (c->result == 0)
        log_notice("%s: a power button that came after its stop was over had set the guest's "
                   "on_reboot and on_poweroff; they are put back",
                   id);
    if (c->result == 0 || error_code_of(c->error) == ERROR_NOT_RUNNING)
        engine_want_look(e, d);
    else
        d->next_look = d->restore_at;
}
