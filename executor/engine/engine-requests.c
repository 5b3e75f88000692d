/* engine-requests.c - what is asked of the engine: stops, cancels, looks at the picture, waits
 *
 * Theory of operation. A command is checked against the picture as it is, without a call. What it
 * changes is staged, and its answer goes out with the commit. A ClientToken is looked up first: a
 * known one is answered as it was the first time, whatever the state is now. Whoever waits for
 * something is parked until it has happened or the time is up.
 */
#include "engine/engine-internal.h"

#include "base/json.h"

#include <string.h>

struct answer *answer_new(const struct request *r)
{
    struct answer *a = calloc(1, sizeof(*a));

    if (a)
        memcpy(a->request_id, r->request_id, sizeof(a->request_id));
    return a;
}

/* An answer that there was no memory for is a NULL one: the edge says so. */
void engine_reply(struct request *r, struct answer *a)
{
    r->reply(r, a);
}

static void reply_error(struct request *r, const struct error *error)
{
    struct answer *a = answer_new(r);

    if (a) {
        a->code = error_code_of(error);
        (void)text_replace(&a->message, error_message(error));
    }
    engine_reply(r, a);
}

static void reply_body(struct request *r, json_object *body)
{
    struct answer *a = answer_new(r);

    if (a && !body)
        a->code = ERROR_NO_MEMORY;
    if (a)
        a->body = body;
    else
        json_object_put(body);
    engine_reply(r, a);
}

/* --- StopInstance ---------------------------------------------------------------------------- */

static struct staged_binding *find_staged_token(const struct engine *e, const struct command *c)
{
    for (struct staged_binding *b = e->bindings.first; b; b = b->next)
        if (b->token && text_equal(b->token, c->client_token) &&
            text_equal(b->principal, c->principal.name))
            return b;
    return NULL;
}

/* 1: the token is known, and *first is what it was answered with; 0: it is new. */
static int look_up_token(struct engine *e, const struct command *c,
                         char first[static UUID_TEXT_SIZE], struct error **err)
{
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
    engine_stage_reported(e, d, STATE_STOPPING, &d->incarnation);
    if (engine_stage_transition(e, d, op, STATE_RUNNING, STATE_STOPPING,
                                c->force_stop ? "StopInstance with ForceStop" : "StopInstance") < 0)
        e->turn_failed = true;
    engine_line_up(e, d);
    engine_admit(e, d);
    return 0;
}

static int escalate(struct engine *e, struct domain *d, const struct command *c, struct error **err)
{
    const struct input in = {
        .kind = IN_FORCE, .request_id = c->request_id, .principal = c->principal.name};
    int r = stage_alias(e, c, engine_operation_now(d), err);

    if (r == 0)
        engine_step(e, d, &in);
    return r;
}

/* What becomes of a command, beside accepted (0, staged) and refused (negative). */
enum { WAITS_FOR_TURN = 1, WAITS_FOR_DISKS = 2 };

/* A plan counts for the disks that were identified, and for no others. */
static bool has_plan(const struct domain *d, const struct request *r)
{
    _cleanup_(freep) char *now = NULL;

    if (!r->is_identified || r->plan_error)
        return false;
    now = disks_snapshot(d->instance);
    return now && text_equal(now, r->identified);
}

static struct check_context context_of(const struct engine *e, const struct domain *d,
                                       const struct request *r)
{
    return (struct check_context){
        .policy = &e->settings.policy,
        .instance = d->instance,
        .seen = d->seen,
        .certain = d->certain,
        .in_migration = d->in_migration,
        .is_saved = d->is_saved,
        .has_processes = e->has_processes,
        .incarnation = &d->incarnation,
        .can_clear = e->host.start_wipe != NULL,
        .plan = has_plan(d, r) ? &r->plan : NULL,
        .plan_error = r->plan_error,
        .at_start = &d->at_start.disks,
        .interlock = &d->reported.interlock,
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
    reply_error(r, error);
}

static int check_at_hand(const struct engine *e, struct error **err)
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

/* The domain that a command is for, with libvirt and the journal at hand. */
static int find_domain(struct engine *e, const char *id, struct domain **ret, struct error **err)
{
    int r = check_at_hand(e, err);

    if (r == 0)
        r = inventory_resolve(&e->inventory, id, ret, err);
    if (r < 0)
        return r;
    /* Its operation finishes in this turn: the command is for what comes after. */
    return (*ret)->next_op && operation_is_finished((*ret)->next_op) ? WAITS_FOR_TURN : 0;
}

static int stop(struct engine *e, struct request *r, struct answer *a, struct error **err)
{
    const struct command *c = &r->command;
    struct domain *d;
    int result = 0;

    if (c->client_token)
        result = look_up_token(e, c, a->request_id, err);
    if (result != 0)
        return result < 0 ? result : 0;
    if (c->expires && e->now.realtime > c->expires)
        return error_set(err, ERROR_TOO_OLD, NULL);
    result = find_domain(e, c->instance_id, &d, err);
    return result != 0 ? result : accept_command(e, d, r, err);
}

/* Contract 4.7: the disks that an instance kept when it went off by itself. */
static int clear_kept(struct engine *e, struct request *r, struct answer *a, struct error **err)
{
    struct domain *d;
    struct check_context x;
    int result = find_domain(e, r->instance_id, &d, err);

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

static void process_command(struct engine *e, struct request *r,
                            int (*command)(struct engine *, struct request *, struct answer *,
                                           struct error **))
{
    _cleanup_(error_free) struct error *error = NULL;
    _cleanup_(answer_free) struct answer *a = answer_new(r);
    int result;

    if (!a) {
        engine_reply(r, NULL);
        return;
    }
    result = command(e, r, a, &error);
    if (result == WAITS_FOR_TURN) {
        list_append(&e->requests, r);
    } else if (result < 0) {
        e->counters.refused += error_code_of(error) != ERROR_DRY_RUN;
        reply_error(r, error);
    } else if (result == 0) {
        engine_stage_reply(e, r, take(a), true);
    }
}

static void process_stop(struct engine *e, struct request *r)
{
    process_command(e, r, stop);
}

static void process_clear(struct engine *e, struct request *r)
{
    process_command(e, r, clear_kept);
}

/* --- The picture ----------------------------------------------------------------------------- */

/* A slice, so that a host of ten thousand domains holds up nobody who asks for one. */
static json_object *instances_slice(struct engine *e, const struct request *r)
{
    _cleanup_(json) json_object *body = json_object_new_object();
    json_object *array = json_object_new_array();
    unsigned n = 0;
    struct domain *d;

    if (!body || json_add(body, "instances", array) < 0)
        return NULL;
    inventory_foreach(&e->inventory, d)
    {
        if (d->number <= r->after || !d->instance_id)
            continue;
        if (json_append(array, domain_to_json(d)) < 0)
            return NULL;
        if (++n == r->most)
            return json_add_number(body, "last", d->number) < 0 ? NULL : take(body);
    }
    return take(body);
}

static void process_instances(struct engine *e, struct request *r)
{
    reply_body(r, instances_slice(e, r));
}

/* While libvirt cannot be asked what was known stands, and of nobody is it said that he is not
 * there. */
static int find_to_show(struct engine *e, const char *id, struct domain **ret, struct error **err)
{
    _cleanup_(error_free) struct error *why = NULL;

    if (inventory_resolve(&e->inventory, id, ret, &why) == 0)
        return 0;
    if (error_code_of(why) != ERROR_INSTANCE_NOT_FOUND)
        return error_move(err, &why);
    *ret = inventory_recall(&e->inventory, id);
    if (*ret)
        return 0;
    if (e->attachment != ATTACHED)
        return error_set(err, ERROR_UNAVAILABLE,
                         "libvirt is not at hand (%s), and %s is not known from before.",
                         e->away_why ? e->away_why : "still connecting", id);
    return error_move(err, &why);
}

static void process_instance(struct engine *e, struct request *r)
{
    _cleanup_(error_free) struct error *error = NULL;
    struct domain *d;

    if (find_to_show(e, r->instance_id, &d, &error) < 0)
        reply_error(r, error);
    else
        reply_body(r, domain_to_json(d));
}

/* --- Operations ------------------------------------------------------------------------------ */

/* The domain whose unfinished operation this RequestId names. 1; 0: there is such an operation, and
 * it is over. */
static int find_operation(struct engine *e, const char *request_id, struct domain **ret,
                          struct error **err)
{
    char own[UUID_TEXT_SIZE];
    void *found;
    int r;

    *ret = NULL;
    if (lh_table_lookup_ex(e->operations, request_id, &found)) {
        *ret = found;
        return 1;
    }
    r = journal_resolve(e->journal, request_id, own, err);
    if (r < 0)
        return r;
    if (r == 0)
        return error_set(err, ERROR_OPERATION_NOT_FOUND, NULL);
    if (!lh_table_lookup_ex(e->operations, own, &found))
        return 0;
    *ret = found;
    return 1;
}

/* Steps the operation that the request names with this input, if may() has nothing against it.
 * *ret: the operation as it is then. */
static int command_operation(struct engine *e, struct request *r, enum input_kind kind,
                             int (*may)(const struct operation *, struct error **),
                             json_object **ret, struct error **err)
{
    const struct input in = {.kind = kind, .principal = r->principal.name};
    const struct operation *op;
    struct domain *d;
    int found = find_operation(e, r->operation_id, &d, err);

    if (found < 0)
        return found;
    op = found ? engine_operation_now(d) : NULL;
    if (!op)
        return error_set(err, ERROR_INSTANCE_STATUS, "The operation is finished.");
    found = may(op, err);
    if (found < 0)
        return found;
    engine_step(e, d, &in);
    *ret = d->next_op ? operation_to_json(d->next_op) : NULL;
    return *ret ? 0 : error_no_memory(err);
}

static int cancel(struct engine *e, struct request *r, struct answer *a, struct error **err)
{
    return command_operation(e, r, IN_CANCEL, operation_may_cancel, &a->body, err);
}

static int retry(struct engine *e, struct request *r, struct answer *a, struct error **err)
{
    return command_operation(e, r, IN_RETRY, operation_may_retry, &a->body, err);
}

static void process_cancel(struct engine *e, struct request *r)
{
    process_command(e, r, cancel);
}

static void process_retry(struct engine *e, struct request *r)
{
    process_command(e, r, retry);
}

static void process_wait_operation(struct engine *e, struct request *r)
{
    _cleanup_(error_free) struct error *error = NULL;
    struct domain *d;
    int found = find_operation(e, r->operation_id, &d, &error);

    if (found < 0) {
        reply_error(r, error);
    } else if (found == 0 || r->wait == 0 || e->quiescing) {
        engine_reply(r, answer_new(r));
    } else {
        r->next = d->waiting;
        d->waiting = r;
        if (r->deadline < e->overdue_at)
            e->overdue_at = r->deadline;
    }
}

static void process_wait_events(struct engine *e, struct request *r)
{
    if (e->last_sequence > r->after || r->wait == 0 || e->quiescing) {
        engine_reply(r, answer_new(r));
        return;
    }
    list_append(&e->event_waiters, r);
    if (r->deadline < e->overdue_at)
        e->overdue_at = r->deadline;
}

static void process_ready(struct engine *e, struct request *r)
{
    _cleanup_(error_free) struct error *error = NULL;

    if (check_at_hand(e, &error) < 0)
        reply_error(r, error);
    else
        engine_reply(r, answer_new(r));
}

static void process_sinks(struct engine *e, struct request *r)
{
    _cleanup_(error_free) struct error *error = NULL;
    json_object *body = NULL;

    if (engine_describe_sinks(e, r->sink, &body, &error) < 0)
        reply_error(r, error);
    else
        reply_body(r, body);
}

static void process_sink_command(struct engine *e, struct request *r)
{
    process_command(e, r, engine_command_sink);
}

static void process_metrics(struct engine *e, struct request *r)
{
    _cleanup_(freep) char *text = engine_metrics_text(e);
    _cleanup_(json) json_object *body = json_object_new_object();

    if (!text || !body || json_add_string(body, "text", text) < 0)
        reply_body(r, NULL);
    else
        reply_body(r, take(body));
}

void engine_process_request(struct engine *e, struct request *r)
{
    static void (*const process[REQUEST_KIND_MAX])(struct engine *, struct request *) = {
        [REQUEST_STOP] = process_stop,
        [REQUEST_INSTANCES] = process_instances,
        [REQUEST_INSTANCE] = process_instance,
        [REQUEST_CLEAR] = process_clear,
        [REQUEST_RETRY] = process_retry,
        [REQUEST_CANCEL] = process_cancel,
        [REQUEST_WAIT_OPERATION] = process_wait_operation,
        [REQUEST_WAIT_EVENTS] = process_wait_events,
        [REQUEST_READY] = process_ready,
        [REQUEST_SINKS] = process_sinks,
        [REQUEST_REWIND_SINK] = process_sink_command,
        [REQUEST_REPLAY_LETTERS] = process_sink_command,
        [REQUEST_DROP_LETTERS] = process_sink_command,
        [REQUEST_METRICS] = process_metrics,
    };

    process[r->kind](e, r);
}

/* --- Waiting --------------------------------------------------------------------------------- */

void engine_answer_waiting(struct engine *e, struct domain *d)
{
    struct request *r = take(d->waiting), *next;

    for (; r; r = next) {
        next = r->next;
        engine_reply(r, answer_new(r));
    }
}

void engine_answer_event_waiters(struct engine *e)
{
    LIST_OF(struct request) waiters = {0};
    struct request *r;

    waiters.first = e->event_waiters.first;
    list_init(&e->event_waiters);
    while ((r = waiters.first)) {
        waiters.first = r->next;
        if (e->last_sequence > r->after)
            engine_reply(r, answer_new(r));
        else
            list_append(&e->event_waiters, r);
    }
}

/* Answers those of a list whose time is up and gives back the others. */
static struct request *sift(struct engine *e, struct request *list, bool all)
{
    struct request *kept = NULL, **end = &kept, *next;

    for (struct request *r = list; r; r = next) {
        next = r->next;
        if (all || r->deadline <= e->now.monotonic) {
            engine_reply(r, answer_new(r));
            continue;
        }
        if (r->deadline < e->overdue_at)
            e->overdue_at = r->deadline;
        *end = r;
        end = &r->next;
    }
    *end = NULL;
    return kept;
}

void engine_answer_overdue(struct engine *e, bool all)
{
    struct domain *d;

    if (!all && e->overdue_at > e->now.monotonic)
        return;
    e->overdue_at = USEC_NEVER;
    inventory_foreach(&e->inventory, d) d->waiting = sift(e, d->waiting, all);
    e->event_waiters.first = sift(e, e->event_waiters.first, all);
    e->event_waiters.end = &e->event_waiters.first;
    while (*e->event_waiters.end)
        e->event_waiters.end = &(*e->event_waiters.end)->next;
}

usec_t engine_next_overdue(const struct engine *e)
{
    return e->overdue_at;
}
