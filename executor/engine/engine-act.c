/* engine-act.c - what follows a turn's transaction: acts and replies, or everything given back
 *
 * Theory of operation. Once the transaction is durable the copies take the originals' place, calls
 * and clears go out, and replies are sent. If it failed, what was staged is dropped and commands
 * are answered ServiceUnavailable; a look at everything a second later brings back what was lost,
 * since inputs are only reasons to look.
 */
#include "engine/engine-internal.h"

#include "stopd/log-message-ids.h"
#include "stopd/log.h"

#define JOURNAL_AGAIN USEC_PER_SEC

static void say_operation(const struct operation *op, bool is_new)
{
    const struct log_fields fields = {
        .message_id = is_new ? MESSAGE_ID_STOP_ACCEPTED : MESSAGE_ID_STOP_ENDED,
        .instance_id = op->instance_id,
        .request_id = op->request_id,
        .code = op->error ? error_public_code(op->error) : NULL,
    };

    if (is_new)
        log_say(LOG_LEVEL_INFO, &fields, "%s: stop accepted from %s (%s, RequestId %s)",
                op->instance_id, op->principal, op->force_stop ? "power cut" : "shutdown",
                op->request_id);
    else if (op->outcome == OUTCOME_STOPPED)
        log_say(LOG_LEVEL_INFO, &fields, "%s: Stopped (%s, RequestId %s)", op->instance_id,
                op->timeline.n ? op->timeline.items[op->timeline.n - 1].detail : "off",
                op->request_id);
    else
        log_say(LOG_LEVEL_NOTICE, &fields, "%s: the stop ended as %s: %s (RequestId %s)",
                op->instance_id, outcome_to_string(op->outcome), op->error_message, op->request_id);
}

static void adopt_operation(struct engine *e, struct domain *d)
{
    bool is_new = !d->op;

    if (!is_new)
        engine_count_in_line(e, d->op, -1);
    engine_count_in_line(e, d->next_op, 1);
    /* There is room, see make_room(). */
    if (is_new) {
        lh_table_insert(e->operations, d->next_op->request_id, d);
        e->n_operations++;
        e->counters.accepted++;
        say_operation(d->next_op, true);
    } else {
        /* The key is the operation's own text. */
        lh_table_delete(e->operations, d->op->request_id);
        lh_table_insert(e->operations, d->next_op->request_id, d);
    }
    operation_free(d->op);
    d->op = take(d->next_op);
    if (operation_is_finished(d->op)) {
        say_operation(d->op, false);
        e->counters.ended[d->op->outcome]++;
        lh_table_delete(e->operations, d->op->request_id);
        e->n_marks++;
        e->n_operations--;
        /* A hint may have come while the last look was out; and a stop that was given up may take
         * effect late. */
        d->wanted &= EFFECT_LOOK | EFFECT_END_CLEAR;
        if (operation_state(d->op) == STATE_RUNNING || d->op->action == ACTION_CLEAR ||
            (d->seen == DOMAIN_ABSENT && !d->forget))
            d->wanted |= EFFECT_LOOK;
        operation_free(take(d->op));
        engine_answer_waiting(e, d);
    }
}

static void adopt_domain(struct engine *e, struct domain *d)
{
    if (d->next_op)
        adopt_operation(e, d);
    if (d->reported_changed) {
        d->reported = d->next_reported;
        d->is_found = false;
    }
    if (d->forget) {
        d->reported = (struct last_report){0};
        d->facts = 0;
    }
    engine_keep_buttons(d);
}

static void drop_domain(struct engine *e, struct domain *d)
{
    operation_free(take(d->next_op));
    d->facts = 0; /* the journal may have others */
    d->wanted = 0;
    d->forget = false;
    d->certain = false; /* the picture is ahead of what was reported */
    d->next_look = e->now.monotonic + JOURNAL_AGAIN;
}

static usec_t due_of(const struct domain *d)
{
    return d->op ? operation_next_due(d->op) : d->next_look;
}

void engine_set_due(struct engine *e, struct domain *d)
{
    agenda_set(&e->inventory.agenda, &d->due, due_of(d));
}

static void unstage(struct engine *e, struct domain *d)
{
    d->staged = d->op_changed = d->reported_changed = false;
    d->next_staged = NULL;
    engine_set_due(e, d);
    engine_line_up(e, d);
}

void engine_send_replies(struct engine *e, const struct error *failure)
{
    struct staged_reply *s;

    while ((s = list_take_first(&e->replies))) {
        if (failure && s->is_of_commit) {
            answer_free(s->answer);
            s->answer = answer_new(s->request);
            if (s->answer) {
                s->answer->code =
                    failure->code == ERROR_INTERNAL ? ERROR_INTERNAL : ERROR_UNAVAILABLE;
                (void)text_replace(&s->answer->message, failure->code == ERROR_INTERNAL
                                                            ? error_public_message(ERROR_INTERNAL)
                                                            : failure->message);
            }
        }
        engine_reply(s->request, s->answer);
        free(s);
    }
}

static bool is_idle(const struct domain *d)
{
    return !d->op && !d->call_out && !d->wanted && !d->waiting && !d->staged && !d->at_start.job;
}

void engine_act(struct engine *e)
{
    struct domain *d = take(e->staged), *next;

    e->last_sequence = e->staged_sequence;
    e->is_picture_owed = false;
    for (struct domain *each = d; each; each = each->next_staged)
        adopt_domain(e, each);
    for (; d; d = next) {
        next = d->next_staged;
        unstage(e, d);
        engine_dispatch_clears(e, d);
        if (d->forget && is_idle(d)) {
            inventory_remove(&e->inventory, d);
            continue;
        }
        if (d->forget)
            (void)inventory_define(&e->inventory, d, NULL);
        engine_dispatch(e, d);
    }
    engine_look_at_starts(e);
    engine_act_on_sinks(e);
    if (e->events.first) {
        e->host.committed(e->host.userdata, e->last_sequence);
        engine_answer_event_waiters(e);
    }
    if (e->journal_said) {
        log_notice("the journal can be written again");
        e->journal_said = false;
    }
}

/* What happens while the journal is away leaves no trace, a hypervisor that goes least of all: so
 * until it is back every operation stands as if the hypervisor were away, and no grace runs. In
 * place, for the little that this changes may be forgotten. */
static void stand_still(struct engine *e)
{
    const struct input away = {.kind = IN_DETACHED};
    struct reaction ignored;
    struct domain *d;

    inventory_foreach(&e->inventory, d)
    {
        engine_give_back_buttons(d);
        if (d->op)
            step(d->op, &away, e->now, &ignored);
    }
}

void engine_give_back(struct engine *e, const struct error *failure)
{
    struct domain *d = take(e->staged), *next;

    for (; d; d = next) {
        next = d->next_staged;
        drop_domain(e, d);
        unstage(e, d);
    }
    stand_still(e);
    e->staged_sequence = e->last_sequence;
    e->counters.commit_failures++;
    if (engine_spend_reserve(e, failure)) {
        e->journal_at = e->now.monotonic;
        return;
    }
    e->journal_at = e->now.monotonic + JOURNAL_AGAIN;
    if (!e->journal_said) {
        const struct log_fields fields = {.message_id = MESSAGE_ID_JOURNAL_AWAY};

        log_say(LOG_LEVEL_ERROR, &fields,
                "the journal cannot be written, nothing is done that it does not know: %s; trying "
                "again every second",
                failure->message);
        e->journal_said = true;
    }
}
