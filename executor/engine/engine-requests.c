/* engine-requests.c - what is asked of the engine: commands, the picture, operations, sinks
 *
 * Theory of operation. Each kind of request has a function, which answers, stages an answer for the
 * commit, or parks the request. What only reads is answered at once from the picture in memory. So
 * is a refusal, save where something that this turn has staged has led to it: if the turn is lost
 * that never was, and whoever was refused for it may ask again.
 */
#include "engine/engine-internal.h"

#include "base/json.h"

static void refuse(struct engine *e, struct request *r, struct answer *a, const struct error *error)
{
    e->counters.refused += error_code_of(error) != ERROR_DRY_RUN;
    a->code = error_code_of(error);
    (void)text_replace(&a->message, error_message(error));
    if (r->rests_on_turn)
        engine_stage_reply(e, r, a, true);
    else
        engine_reply(r, a);
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
    r->rests_on_turn = false;
    result = command(e, r, a, &error);
    if (result == WAITS_FOR_TURN)
        list_append(&e->requests, r);
    else if (result < 0)
        refuse(e, r, take(a), error);
    else if (result == 0)
        engine_stage_reply(e, r, take(a), true);
}

static void process_stop(struct engine *e, struct request *r)
{
    process_command(e, r, engine_stop);
}

static void process_clear(struct engine *e, struct request *r)
{
    process_command(e, r, engine_clear_kept);
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
        if (d->number <= r->after || !(d->instance_id || domain_is_here(d)))
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
    engine_reply_body(r, instances_slice(e, r));
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
        engine_reply_error(r, error);
    else
        engine_reply_body(r, domain_to_json(d));
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
    r->rests_on_turn = found && d->next_op;
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
        engine_reply_error(r, error);
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

    if (engine_check_at_hand(e, &error) < 0)
        engine_reply_error(r, error);
    else
        engine_reply(r, answer_new(r));
}

static void process_sinks(struct engine *e, struct request *r)
{
    _cleanup_(error_free) struct error *error = NULL;
    json_object *body = NULL;

    if (engine_describe_sinks(e, r->sink, &body, &error) < 0)
        engine_reply_error(r, error);
    else
        engine_reply_body(r, body);
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
        engine_reply_body(r, NULL);
    else
        engine_reply_body(r, take(body));
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
