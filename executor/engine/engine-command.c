/* engine-command.c - commands to stop an instance, or to clear the disks that it kept
 *
 * Theory of operation. A command is checked against the picture as it is, without a call. What it
 * changes is staged, and its answer goes out with the commit. A ClientToken is looked up first: a
 * known one is answered as it was the first time, whatever the state is now. A command that has to
 * have local disks identified is parked for that and processed again; one for an instance whose
 * operation ends in this very turn waits for the next.
 */
#include "engine/engine-internal.h"

#include <string.h>

static struct staged_binding *find_staged_token(const struct engine *e, const struct command *c)
{
    for (struct staged_binding *b = e->bindings.first; b; b = b->next)
        if (b->token && text_equal(b->token, c->client_token) &&
            text_equal(b->principal, c->principal.name))
            return b;
    return NULL;
}

/* 1: the token is known, and *first is what it was answered with; 0: it is new. */
static int look_up_token(struct engine *e, struct request *req, char first[static UUID_TEXT_SIZE],
                         struct error **err)
{
    const struct command *c = &req->command;
    _cleanup_(freep) char *fingerprint = NULL, *request_id = NULL;
    const struct staged_binding *staged = find_staged_token(e, c);
    const char *known;
    int r;

    if (!staged) {
        r = journal_find_token(e->journal, c->principal.name, c->client_token, &fingerprint,
                               &request_id, err);
        if (r <= 0)
            return r;
    }
    req->rests_on_turn = staged;
    known = staged ? staged->fingerprint : fingerprint;
    if (!text_equal(known, c->fingerprint))
        return error_set(err, ERROR_TOKEN_MISMATCH, NULL);
    memcpy(first, staged ? staged->request_id : request_id, UUID_TEXT_SIZE);
    return 1;
}

static int stage_token(struct engine *e, const struct command *c, struct error **err)
{
    struct staged_binding *b;

    if (!c->client_token)
        return 0;
    b = calloc(1, sizeof(*b));
    if (!b || text_replace(&b->principal, c->principal.name) ||
        text_replace(&b->token, c->client_token) || text_replace(&b->fingerprint, c->fingerprint)) {
        if (b)
            list_append(&e->bindings, b); /* freed with the turn */
        e->turn_failed = true;
        return error_no_memory(err);
    }
    memcpy(b->request_id, c->request_id, sizeof(b->request_id));
    list_append(&e->bindings, b);
    return 0;
}

static int stage_alias(struct engine *e, const struct command *c, const struct operation *op,
                       struct error **err)
{
    struct staged_binding *b = calloc(1, sizeof(*b));

    if (!b)
        return error_no_memory(err);
    memcpy(b->request_id, c->request_id, sizeof(b->request_id));
    memcpy(b->operation, op->request_id, sizeof(b->operation));
    list_append(&e->bindings, b);
    return 0;
}

static int begin(struct engine *e, struct domain *d, const struct command *c,
                 const struct check_context *x, struct error **err)
{
    struct operation *op = operation_begin(c, x, e->now);

    if (!op)
        return error_no_memory(err);
    op->place = ++e->last_place;
    d->next_op = op;
    d->op_changed = true;
    engine_stage_domain(e, d);
    engine_stage_reported(e, d, STATE_STOPPING, x->incarnation);
    if (engine_stage_transition(e, d, op, STATE_RUNNING, STATE_STOPPING,
                                c->force_stop ? "StopInstance with ForceStop" : "StopInstance") < 0)
        e->turn_failed = true;
    engine_line_up(e, d);
    engine_admit(e, d);
    return 0;
}

static int escalate(struct engine *e, struct domain *d, const struct command *c, struct error **err)
{
    const struct input in = {.kind = IN_FORCE,
                             .request_id = c->request_id,
                             .principal = c->principal.name,
                             .overriding = command_overriding(c),
                             .overrides_lock = c->override_lock};
    int r = stage_alias(e, c, engine_operation_now(d), err);

    if (r < 0)
        return r;
    engine_step(e, d, &in);
    /* By whose word the power is cut is no mere sentence. */
    if (!d->next_op || !text_equal(d->next_op->forced_by, c->request_id)) {
        e->turn_failed = true;
        return error_no_memory(err);
    }
    return 0;
}

/* A plan counts for the disks that were identified, and for no others. */
static bool has_plan(const struct domain *d, const struct request *r)
{
    _cleanup_(freep) char *now = NULL;

    if (!r->is_identified || r->plan_error)
        return false;
    now = disks_snapshot(d->instance);
    return now && text_equal(now, r->identified);
}

/* The hypervisor cannot tell what it is, and the process of the run that was last reported is
 * there: so it is on, whatever holds its monitor. What was about to leave may be elsewhere. */
static bool is_proved_on(const struct engine *e, const struct domain *d)
{
    const struct last_report *last = &d->reported;

    return d->is_untold && !d->in_migration && e->has_processes && last->known &&
           last->state == STATE_RUNNING && last->incarnation.pid && e->host.is_alive &&
           e->host.is_alive(e->host.userdata, &last->incarnation);
}

static struct check_context context_of(const struct engine *e, const struct domain *d,
                                       const struct request *r)
{
    bool is_on = is_proved_on(e, d);

    return (struct check_context){
        .policy = &e->settings.policy,
        .instance = d->instance,
        .seen = d->seen,
        .certain = d->certain,
        .in_migration = d->in_migration,
        .is_saved = d->is_saved,
        .has_processes = e->has_processes,
        .is_on = is_on,
        .incarnation = is_on ? &d->reported.incarnation : &d->incarnation,
        .can_clear = e->host.start_wipe != NULL,
        .plan = has_plan(d, r) ? &r->plan : NULL,
        .plan_error = r->plan_error,
        .at_start = &d->at_start.disks,
        .interlock = &engine_report_now(d)->interlock,
        .running = engine_operation_now(d),
    };
}

/* Everything after the token. */
static int accept_command(struct engine *e, struct domain *d, struct request *req,
                          struct error **err)
{
    const struct command *c = &req->command;
    const struct check_context x = context_of(e, d, req);
    bool escalates = false;
    int r;

    if (req->is_identified && !incarnation_equal(&req->identified_run, &d->incarnation))
        return error_set(
            err, ERROR_INSTANCE_STATUS,
            "The instance was stopped or started while its local disks were identified; "
            "ask again.");
    r = command_check(c, &x, &escalates, err);
    if (r == CHECK_NEEDS_DISKS) {
        engine_identify(e, d, req);
        return WAITS_FOR_DISKS;
    }
    if (r < 0)
        return r;
    if (c->dry_run)
        return error_set(err, ERROR_DRY_RUN, NULL);
    r = escalates ? escalate(e, d, c, err) : begin(e, d, c, &x, err);
    return r < 0 ? r : stage_token(e, c, err);
}

static int refuse_going_down(struct error **err)
{
    return error_set(err, ERROR_UNAVAILABLE, "stopd is going down; nothing was accepted.");
}

void engine_refuse_late(struct request *r)
{
    _cleanup_(error_free) struct error *error = NULL;

    refuse_going_down(&error);
    engine_reply_error(r, error);
}

int engine_check_at_hand(const struct engine *e, struct error **err)
{
    if (e->quiescing)
        return refuse_going_down(err);
    if (e->journal_said)
        return error_set(err, ERROR_UNAVAILABLE,
                         "The journal cannot be written; nothing was accepted.");
    if (e->on_reserve)
        return error_set(err, ERROR_UNAVAILABLE,
                         "The disk of the journal is full; what is under way is finished, and "
                         "nothing new is accepted.");
    if (e->attachment != ATTACHED)
        return error_set(err, ERROR_UNAVAILABLE,
                         "libvirt is not at hand (%s); nothing was accepted.",
                         e->away_why ? e->away_why : "still connecting");
    return 0;
}

/* What is here and cannot be read is not what is not here. */
static int resolve(const struct engine *e, const char *id, struct domain **ret, struct error **err)
{
    _cleanup_(error_free) struct error *why = NULL;
    const struct domain *unread;
    int r = inventory_resolve(&e->inventory, id, ret, &why);

    if (r == 0)
        return 0;
    unread =
        error_code_of(why) == ERROR_INSTANCE_NOT_FOUND ? inventory_recall(&e->inventory, id) : NULL;
    if (unread && domain_is_here(unread))
        return error_set(err, ERROR_UNAVAILABLE,
                         "libvirt cannot tell the definition of domain %s at present.",
                         unread->key);
    return error_move(err, &why);
}

/* The domain that a command is for, with libvirt and the journal at hand. */
static int find_domain(struct engine *e, struct request *req, const char *id, struct domain **ret,
                       struct error **err)
{
    int r = engine_check_at_hand(e, err);

    if (r == 0)
        r = resolve(e, id, ret, err);
    if (r < 0)
        return r;
    req->rests_on_turn = (*ret)->next_op;
    /* Its operation finishes in this turn: the command is for what comes after. */
    return (*ret)->next_op && operation_is_finished((*ret)->next_op) ? WAITS_FOR_TURN : 0;
}

int engine_stop(struct engine *e, struct request *r, struct answer *a, struct error **err)
{
    const struct command *c = &r->command;
    struct domain *d;
    int result = 0;

    if (c->client_token)
        result = look_up_token(e, r, a->request_id, err);
    if (result != 0)
        return result < 0 ? result : 0;
    if (c->expires && e->now.realtime > c->expires)
        return error_set(err, ERROR_TOO_OLD, NULL);
    result = find_domain(e, r, c->instance_id, &d, err);
    return result != 0 ? result : accept_command(e, d, r, err);
}

/* Contract 4.7: the disks that an instance kept when it went off by itself. */
int engine_clear_kept(struct engine *e, struct request *r, struct answer *a, struct error **err)
{
    struct domain *d;
    struct check_context x;
    int result = find_domain(e, r, r->instance_id, &d, err);

    if (result != 0)
        return result;
    if (!r->confirm)
        return error_set(err, ERROR_INVALID_PARAMETER,
                         "The member confirm must be true: what is on the disks is lost for good.");
    x = context_of(e, d, r);
    result = clear_check(&x, err);
    if (result == CHECK_NEEDS_DISKS) {
        engine_identify(e, d, r);
        return WAITS_FOR_DISKS;
    }
    if (result < 0)
        return result;
    d->next_op = operation_begin_clear(&x, r->request_id, &r->principal, e->now);
    if (!d->next_op || text_replace(&d->next_op->traceparent, r->command.traceparent) < 0)
        return error_no_memory(err);
    d->op_changed = true;
    d->wanted |= EFFECT_CLEAR;
    engine_stage_domain(e, d);
    return 0;
}
