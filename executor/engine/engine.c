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

    if (e->requests.first || e->calls.first || e->hints.first || e->reports.first || e->is_lost)
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
    e->is_lost = true;
    (void)text_replace(&e->lost_why, why);
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
    if (engine_commit(e, &failure) < 0)
        engine_give_back(e, failure);
    else
        engine_act(e);
    engine_send_replies(e, failure);
    engine_forget_turn(e);
    engine_answer_overdue(e, false);
}
