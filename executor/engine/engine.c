/* engine.c - a turn: take what has arrived, step it, commit once, then act and reply
 *
 * Theory of operation. Everything that a turn changes is staged beside what is true: operations as
 * copies, reports, events, replies. One transaction makes all of it durable; then the copies take
 * the originals' place, calls go out and replies are sent. When the transaction fails, what was
 * staged is dropped, and the world is as if nothing had arrived: commands are answered
 * ServiceUnavailable, and since inputs are only reasons to look, a look at everything a second
 * later brings back what was lost. There is no other error path, and a restart is the same path
 * again.
 *
 * What an operation wants done is a set of effects on its domain. One call is out for a domain at a
 * time; what is wanted meanwhile waits, the strongest first. Effects may be dropped at any time:
 * the operation's deadlines ask again.
 */
#include "engine/engine-internal.h"

#include "stopd/log.h"
#include "stopd/log-message-ids.h"

#include <errno.h>
#include <string.h>

#define JOURNAL_AGAIN USEC_PER_SEC
#define RETAIN_EVERY (60 * USEC_PER_SEC)
#define RETAIN_MOST 1000
/* There is more to drop: soon, but not so that commands wait for it. */
#define RETAIN_AGAIN (100 * USEC_PER_MSEC)

/* --- Staging ------------------------------------------------------------------------------- */

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

/* --- The commit ---------------------------------------------------------------------------- */

static int write_domain(struct engine *e, struct domain *d, struct error **err)
{
    int r = 0;

    if (d->next_op && d->op_changed)
        r = journal_put_operation(e->journal, d->next_op, err);
    if (r == 0 && d->reported_changed) {
        _cleanup_(freep) char *facts = domain_remember(d, &d->next_reported);
        struct reported reported = {.instance_id = d->instance_id ? d->instance_id : d->key,
                                    .state = d->next_reported.state,
                                    .incarnation = d->next_reported.incarnation,
                                    .facts = facts};

        if (!facts)
            return error_no_memory(err);
        uuid_copy(reported.domain, d->uuid);
        r = journal_put_reported(e->journal, &reported, err);
    }
    if (r == 0 && d->forget)
        r = journal_forget_reported(e->journal, d->uuid, err);
    return r;
}

static int write_binding(struct engine *e, const struct staged_binding *b, struct error **err)
{
    if (b->token)
        return journal_put_token(e->journal, b->principal, b->token, b->fingerprint, b->request_id,
                                 e->now.realtime, err);
    return journal_put_alias(e->journal, b->request_id, b->operation, err);
}

static int write_all(struct engine *e, struct error **err)
{
    int r = 0;

    for (struct domain *d = e->staged; d && r == 0; d = d->next_staged)
        r = write_domain(e, d, err);
    for (struct staged_binding *b = e->bindings.first; b && r == 0; b = b->next)
        r = write_binding(e, b, err);
    for (struct staged_certificate *c = e->certificates.first; c && r == 0; c = c->next)
        r = journal_put_certificate(e->journal, c->request_id, c->target, c->document,
                                    e->now.realtime, err);
    for (struct staged_event *s = e->events.first; s && r == 0; s = s->next)
        r = journal_put_event(e->journal, &s->event, e->now.realtime, err);
    if (r == 0)
        r = engine_write_sinks(e, err);
    if (r == 0 && e->journal_said)
        r = journal_touch(e->journal, e->now.realtime, err);
    if (r == 0 && e->retain_at <= e->now.monotonic)
        r = journal_retain(e->journal, engine_retain_from(e), e->settings.sinks,
                           e->settings.n_sinks, RETAIN_MOST, err);
    e->retain_more = r >= RETAIN_MOST;
    return r < 0 ? r : 0;
}

/* A journal that failed is tried by every turn until it can be written again, and with that has
 * something to write. */
static bool has_something_durable(const struct engine *e)
{
    if (e->journal_said || e->events.first || e->bindings.first ||
        e->cursors_at <= e->now.monotonic || e->retain_at <= e->now.monotonic ||
        engine_has_sink_news(e))
        return true;
    for (const struct domain *d = e->staged; d; d = d->next_staged)
        if (d->reported_changed || d->forget || (d->next_op && d->op_changed))
            return true;
    return false;
}

/* After the commit nothing may fail: what begins with this turn has its place by then. */
static int make_room(struct engine *e)
{
    int n = lh_table_length(e->operations), size = e->operations->size;

    for (const struct domain *d = e->staged; d; d = d->next_staged)
        n += d->next_op && !d->op;
    while (n > size * LH_LOAD_FACTOR)
        size *= 2;
    return size == e->operations->size ? 0 : lh_table_resize(e->operations, size);
}

static int commit(struct engine *e, struct error **err)
{
    int r;

    if (e->turn_failed || make_room(e) < 0)
        return error_no_memory(err);
    if (!has_something_durable(e))
        return 0;
    e->counters.commits++;
    r = journal_begin(e->journal, err);
    if (r < 0)
        return r;
    r = write_all(e, err);
    if (r < 0) {
        journal_rollback(e->journal);
        return r;
    }
    r = journal_commit(e->journal, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < e->n_cursors; i++)
        e->cursors[i].changed = false;
    e->cursors_at = USEC_NEVER;
    if (e->retain_at <= e->now.monotonic)
        e->retain_at = e->now.monotonic + (e->retain_more ? RETAIN_AGAIN : RETAIN_EVERY);
    return 0;
}

/* --- After it ------------------------------------------------------------------------------ */

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
                op->n_timeline ? op->timeline[op->n_timeline - 1].detail : "off", op->request_id);
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
    if (d->forget)
        d->reported = (struct last_report){0};
}

static void drop_domain(struct engine *e, struct domain *d)
{
    operation_free(take(d->next_op));
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

static void send_replies(struct engine *e, const struct error *failure)
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

static void forget_turn(struct engine *e)
{
    struct staged_event *s;
    struct staged_binding *b;
    struct staged_certificate *c;

    while ((s = list_take_first(&e->events)))
        staged_event_free(s);
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

static bool is_idle(const struct domain *d)
{
    return !d->op && !d->call_out && !d->wanted && !d->waiting && !d->staged && !d->at_start.job;
}

static void act(struct engine *e)
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

    inventory_foreach(&e->inventory, d) if (d->op) step(d->op, &away, e->now, &ignored);
}

static void give_back(struct engine *e, const struct error *failure)
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

/* --- What is due by the clock -------------------------------------------------------------- */

void engine_step_all(struct engine *e, enum input_kind kind)
{
    const struct input in = {.kind = kind};
    struct domain *d;

    inventory_foreach(&e->inventory, d) if (engine_operation_now(d)) engine_step(e, d, &in);
}

static void step_due(struct engine *e, struct domain *d)
{
    const struct operation *op;
    struct input in = {0};

    /* Each step moves its deadline on; the bound is only a promise that a mistake there cannot hang
     * the loop. */
    for (unsigned i = 0; i < 16 && (op = engine_operation_now(d)); i++) {
        in.kind = operation_due_input(op, e->now.monotonic);
        if (in.kind == IN_MAX)
            return;
        engine_step(e, d, &in);
    }
}

static void step_due_domain(struct engine *e, struct domain *d)
{
    if (engine_operation_now(d)) {
        step_due(e, d);
    } else if (d->next_look <= e->now.monotonic) {
        d->next_look = USEC_NEVER;
        d->wanted |= EFFECT_LOOK;
        engine_stage_domain(e, d);
    }
}

/* Whoever is due is taken off the agenda; with the turn's end, or where nothing came of it, it has
 * its new place there. */
static void step_clock(struct engine *e)
{
    struct agenda *agenda = &e->inventory.agenda;
    struct agenda_entry *first;
    struct domain *unmoved = NULL, *d;

    e->once_more = false;
    engine_admit_in_line(e);
    while ((first = agenda_first(agenda)) && first->due <= e->now.monotonic) {
        d = domain_of_due(first);
        agenda_set(agenda, first, USEC_NEVER);
        step_due_domain(e, d);
        if (!d->staged) {
            d->next_due = unmoved;
            unmoved = d;
        }
    }
    for (; unmoved; unmoved = d) {
        d = unmoved->next_due;
        engine_set_due(e, unmoved);
    }
}

static usec_t next_due(const struct engine *e)
{
    const struct agenda_entry *first = agenda_first(&e->inventory.agenda);

    return e->once_more || engine_may_admit(e) ? 0 : first ? first->due : USEC_NEVER;
}

usec_t engine_next_turn(const struct engine *e)
{
    const usec_t dues[] = {e->retain_at,  next_due(e),   e->attach_at,          e->glance_at,
                           e->cursors_at, e->reserve_at, engine_next_overdue(e)};
    usec_t due = USEC_NEVER;

    if (e->requests.first || e->calls.first || e->hints.first || e->reports.first || e->lost)
        return 0;
    if (e->journal_at != USEC_NEVER)
        return e->journal_at;
    for (size_t i = 0; i < ELEMENTSOF(dues); i++)
        if (dues[i] < due)
            due = dues[i];
    return due;
}

/* --- What arrives -------------------------------------------------------------------------- */

void engine_take_request(struct engine *e, struct request *r)
{
    r->deadline = e->host.now(e->host.userdata).monotonic + r->wait;
    list_append(&e->requests, r);
}

void engine_take_call(struct engine *e, struct call *c)
{
    list_append(&e->calls, c);
}

void engine_take_report(struct engine *e, struct wipe_report *r)
{
    list_append(&e->reports, r);
}

void engine_take_hint(struct engine *e, const uuid_t domain)
{
    struct hint *h = calloc(1, sizeof(*h));

    if (!h)
        return; /* a hint may be lost */
    uuid_copy(h->domain, domain);
    list_append(&e->hints, h);
}

void engine_take_lost(struct engine *e, const char *why)
{
    (void)text_replace(&e->lost, why);
}

void engine_quiesce(struct engine *e)
{
    e->quiescing = true;
    e->cursors_at = 0;
    engine_refuse_identifying(e);
    engine_answer_overdue(e, true);
}

/* --- The turn ------------------------------------------------------------------------------ */

static void process_arrivals(struct engine *e)
{
    LIST_OF(struct request) requests = {0};
    struct request *r;
    struct call *c;
    struct hint *h;
    struct wipe_report *report;

    /* Commands first: what they are checked against is what was true when they came. One that has
     * to wait for this turn's end is put back. */
    requests.first = e->requests.first;
    list_init(&e->requests);
    while ((r = requests.first)) {
        requests.first = r->next;
        engine_process_request(e, r);
    }
    engine_process_lost(e);
    while ((c = list_take_first(&e->calls)))
        engine_process_call(e, c);
    while ((h = list_take_first(&e->hints))) {
        engine_process_hint(e, h->domain);
        free(h);
    }
    while ((report = list_take_first(&e->reports)))
        engine_process_report(e, report);
}

/* What a turn that could not be written has lost: a look at everything brings it back. */
static void catch_up(struct engine *e)
{
    if (e->journal_at > e->now.monotonic)
        return;
    e->journal_at = USEC_NEVER;
    engine_step_all(e, e->attachment == ATTACHED ? IN_ATTACHED : IN_DETACHED);
}

void engine_turn(struct engine *e)
{
    _cleanup_(error_free) struct error *failure = NULL;

    e->now = e->host.now(e->host.userdata);
    e->counters.turns++;
    e->n_admitted = 0;
    e->turn_failed = false;
    engine_watch_clock(e);
    engine_watch_reserve(e);
    process_arrivals(e);
    if (e->journal_at != USEC_NEVER)
        catch_up(e);
    engine_attach_if_due(e);
    engine_glance_if_due(e);
    if (e->journal_at == USEC_NEVER)
        step_clock(e);
    engine_keep_first_picture(e);
    if (commit(e, &failure) < 0)
        give_back(e, failure);
    else
        act(e);
    send_replies(e, failure);
    forget_turn(e);
    engine_answer_overdue(e, false);
}
