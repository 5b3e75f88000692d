/* engine-stage.c - what a turn changes, beside what is true
 *
 * Theory of operation. Operations are stepped on copies; reports, events and replies are listed.
 * Nothing of it counts before the turn's transaction is durable, and if it fails all of it is
 * dropped. What cannot be written down for want of memory fails the whole turn: half of what
 * happened must not be committed.
 */
#include "engine/engine-internal.h"

void engine_stage_domain(struct engine *e, struct domain *d)
{
    if (d->staged)
        return;
    d->staged = true;
    d->next_staged = NULL;
    *(e->staged ? e->staged_end : &e->staged) = d;
    e->staged_end = &d->next_staged;
}

const struct operation *engine_operation_now(const struct domain *d)
{
    const struct operation *op = d->next_op ? d->next_op : d->op;

    return op && !operation_is_finished(op) ? op : NULL;
}

const struct last_report *engine_report_now(const struct domain *d)
{
    return d->reported_changed ? &d->next_reported : &d->reported;
}

void engine_stage_reported(struct engine *e, struct domain *d, enum instance_state state,
                           const struct incarnation *incarnation)
{
    engine_stage_domain(e, d);
    d->next_reported = (struct last_report){
        .known = true, .state = state, .is_filed = state == STATE_STOPPED && d->is_filed};
    if (incarnation)
        d->next_reported.incarnation = *incarnation;
    d->reported_changed = true;
}

/* A turn that could not write down what happened must not commit half of it. */
static void stage_or_fail_turn(struct engine *e, int r)
{
    if (r < 0)
        e->turn_failed = true;
}

void engine_report_unasked(struct engine *e, struct domain *d, enum instance_state from,
                           enum instance_state to, const char *reason,
                           const struct incarnation *incarnation)
{
    stage_or_fail_turn(e, engine_stage_transition(e, d, NULL, from, to, reason));
    engine_stage_reported(e, d, to, incarnation);
}

/* Effects that an earlier stage wanted are no longer meant, except a look and the end of clears. */
static void want(struct domain *d, enum stage before, const struct operation *op, unsigned effects)
{
    if (op->stage != before)
        d->wanted &= EFFECT_LOOK | EFFECT_END_CLEAR;
    d->wanted |= effects;
}

static void stage_disk_events(struct engine *e, struct domain *d, const struct disk_news *news,
                              const struct reaction *reaction)
{
    if (reaction->disk_cleared)
        stage_or_fail_turn(
            e, engine_stage_certificate(e, d, d->next_op, news->index, news->certificate));
    for (size_t i = 0; reaction->every_disk_failed && i < d->next_op->disks.n; i++)
        stage_or_fail_turn(e, engine_stage_disk_failure(e, d, d->next_op, i));
    if (reaction->disk_failed)
        stage_or_fail_turn(e, engine_stage_disk_failure(e, d, d->next_op, news->index));
}

void engine_step(struct engine *e, struct domain *d, const struct input *in)
{
    struct reaction reaction;
    enum stage before;

    if (!d->next_op) {
        d->next_op = operation_copy(d->op);
        if (!d->next_op) {
            e->turn_failed = true;
            return;
        }
    }
    engine_stage_domain(e, d);
    before = d->next_op->stage;
    step(d->next_op, in, e->now, &reaction);
    engine_line_up(e, d);
    d->op_changed |= !reaction.unchanged;
    if (d->next_op->stage != before)
        engine_drop_button(e, d);
    want(d, before, d->next_op, reaction.effects);
    stage_disk_events(e, d, in->news, &reaction);
    if (reaction.has_transition) {
        const struct incarnation *run = NULL;

        /* One that is off by now has none of its own: the end of the run that was is still to be
         * proved. */
        if (reaction.to == STATE_RUNNING)
            run = in->sighting && in->sighting->incarnation.pid ? &in->sighting->incarnation
                                                                : &d->next_op->incarnation;

        stage_or_fail_turn(e, engine_stage_transition(e, d, d->next_op, reaction.from, reaction.to,
                                                      reaction.reason));
        engine_stage_reported(e, d, reaction.to, run);
        if (reaction.to == STATE_RUNNING)
            engine_leave_interlock(e, d, d->next_op);
    }
    if (reaction.failed)
        stage_or_fail_turn(e, engine_stage_failure(e, d, d->next_op));
}

void engine_stage_reply(struct engine *e, struct request *r, struct answer *a, bool is_of_commit)
{
    struct staged_reply *s = calloc(1, sizeof(*s));

    if (!s) { /* nothing is said of what is not durable yet */
        answer_free(a);
        engine_reply(r, NULL);
        return;
    }
    s->request = r;
    s->answer = a;
    s->is_of_commit = is_of_commit;
    list_append(&e->replies, s);
}

void engine_forget_turn(struct engine *e)
{
    struct staged_event *s;
    struct staged_binding *b;
    struct staged_certificate *c;

    while ((s = list_take_first(&e->events)))
        free(s);
    while ((b = list_take_first(&e->bindings))) {
        free(b->principal);
        free(b->token);
        free(b->fingerprint);
        free(b);
    }
    while ((c = list_take_first(&e->certificates))) {
        free(c->target);
        free(c->document);
        free(c);
    }
}
