/* engine-load.c - how an engine comes to life: from the journal, as if after a long pause */
#include "engine/engine-internal.h"

#include <errno.h>
#include <string.h>

static int load_reported(void *userdata, const struct reported *r)
{
    struct engine *e = userdata;
    struct domain *d = inventory_get(&e->inventory, r->domain);
    int result;

    if (!d || text_replace(&d->instance_id, r->instance_id) < 0)
        return -ENOMEM;
    d->facts = facts_mark(r->facts);
    d->reported =
        (struct last_report){.known = true, .state = r->state, .incarnation = r->incarnation};
    result = domain_recall(d, r->facts);
    if (result == -EBADMSG)
        error_set(&e->load_problem, ERROR_JOURNAL,
                  "what the journal remembers of %s is damaged; put back a copy of it, or move it "
                  "away to begin a new one, which forgets every stop under way",
                  r->instance_id);
    if (result < 0)
        return result;
    e->is_first_picture = false;
    return 0;
}

/* That a stop was accepted was reported in the same transaction, and its own row says so. */
static int recall_acceptance(struct domain *d, const struct operation *op)
{
    bool is_stopping = operation_state(op) == STATE_STOPPING;

    if (is_stopping)
        d->reported = (struct last_report){
            .known = true, .state = STATE_STOPPING, .incarnation = op->incarnation};
    return is_stopping || !d->instance_id ? text_replace(&d->instance_id, op->instance_id) : 0;
}

static int load_operation(void *userdata, struct operation *op)
{
    struct engine *e = userdata;
    struct domain *d = inventory_get(&e->inventory, op->domain);

    if (d && d->op) {
        error_set(
            &e->load_problem, ERROR_JOURNAL,
            "the journal holds two unfinished operations of %s, %s and %s, and only one can "
            "go on; it was altered by another hand: put back a copy of it, or move it away to "
            "begin a new one, which forgets every stop under way",
            op->instance_id, d->op->request_id, op->request_id);
        operation_free(op);
        return -EBADMSG;
    }
    if (!d || recall_acceptance(d, op) < 0 ||
        lh_table_insert(e->operations, op->request_id, d) < 0) {
        operation_free(op);
        return -ENOMEM;
    }
    op->place = ++e->last_place;
    d->op = op;
    e->n_operations++;
    engine_count_in_line(e, op, 1);
    engine_line_up(e, d);
    return 0;
}

static int load(struct engine *e, struct error **err)
{
    int r = journal_last_sequence(e->journal, &e->last_sequence, err);

    if (r == 0) {
        e->staged_sequence = e->last_sequence;
        e->is_first_picture = e->last_sequence == 0;
        r = journal_load_reported(e->journal, load_reported, e, err);
    }
    if (r == 0)
        r = journal_load_unfinished(e->journal, load_operation, e, err);
    if (!e->load_problem)
        return r;
    if (err)
        error_free(take(*err));
    return error_move(err, &e->load_problem);
}

static int make_cursors(struct engine *e)
{
    if (e->settings.n_sinks == 0)
        return 0;
    e->cursors = calloc(e->settings.n_sinks, sizeof(*e->cursors));
    if (!e->cursors)
        return -1;
    for (; e->n_cursors < e->settings.n_sinks; e->n_cursors++)
        if (text_replace(&e->cursors[e->n_cursors].sink, e->settings.sinks[e->n_cursors]) < 0)
            return -1;
    return 0;
}

static int load_cursors(struct engine *e, struct error **err)
{
    int r = 0;

    for (size_t i = 0; i < e->n_cursors && r == 0; i++)
        r = journal_load_cursor(e->journal, e->cursors[i].sink, &e->cursors[i].sequence, err);
    return r < 0 ? r : journal_last_mark(e->journal, &e->mark, err);
}

/* Between the commit that owes a clear and its markers the program may have died. */
void engine_say_debts(struct engine *e)
{
    struct domain *d;

    if (!e->host.owe_wipe)
        return;
    inventory_foreach(&e->inventory, d) if (d->op && (d->op->stage == STAGE_CLEARING ||
                                                      d->op->stage == STAGE_QUARANTINED))
        e->host.owe_wipe(e->host.userdata, d->op);
}

int engine_new(const struct engine_settings *settings, const struct engine_host *host,
               struct journal *j, struct engine **ret, struct error **err)
{
    _cleanup_(engine_free) struct engine *e = calloc(1, sizeof(*e));
    int r;

    if (!e)
        return error_no_memory(err);
    e->settings = *settings;
    e->host = *host;
    e->journal = j;
    e->now = host->now(host->userdata);
    list_init(&e->requests);
    list_init(&e->calls);
    list_init(&e->hints);
    list_init(&e->reports);
    list_init(&e->refusals);
    list_init(&e->events);
    list_init(&e->replies);
    list_init(&e->bindings);
    list_init(&e->certificates);
    list_init(&e->event_waiters);
    list_init(&e->identifying);
    e->glance_at = USEC_NEVER;
    e->cursors_at = e->journal_at = e->overdue_at = USEC_NEVER;
    e->retain_at = e->reserve_at = e->now.monotonic;
    e->operations = lh_kchar_table_new(64, NULL);
    if (!e->operations || inventory_init(&e->inventory) < 0 || make_cursors(e) < 0)
        return error_no_memory(err);
    r = load(e, err);
    if (r == 0)
        r = load_cursors(e, err);
    if (r == 0)
        r = engine_resume_clock(e, err);
    if (r < 0)
        return error_context(err, "loading the journal");
    engine_say_debts(e);
    *ret = take(e);
    return 0;
}

void engine_configure(struct engine *e, const struct engine_settings *settings)
{
    e->settings = *settings;
}

static void discard_arrivals(struct engine *e)
{
    struct request *r;
    struct call *c;
    struct hint *h;
    struct wipe_report *report;
    struct clear_job *job;

    while ((r = list_take_first(&e->requests)))
        engine_refuse_late(r);
    engine_refuse_identifying(e);
    while ((c = list_take_first(&e->calls)))
        call_free(c);
    while ((h = list_take_first(&e->hints)))
        free(h);
    while ((report = list_take_first(&e->reports)))
        wipe_report_free(report);
    engine_forget_refusals(e);
    while ((job = e->clear_jobs)) {
        e->clear_jobs = job->next;
        free(job);
    }
}

void engine_free(struct engine *e)
{
    if (!e)
        return;
    if (e->inventory.by_uuid)
        engine_answer_overdue(e, true);
    discard_arrivals(e);
    if (e->operations)
        lh_table_free(e->operations);
    inventory_clear(&e->inventory);
    for (size_t i = 0; i < e->n_cursors; i++)
        free(e->cursors[i].sink);
    free(e->cursors);
    error_free(e->load_problem);
    json_object_put(e->letter_counts);
    free(e->lost_why);
    free(e->away_why);
    json_writer_clear(&e->event_writer);
    free(e);
}

uint64_t engine_last_sequence(const struct engine *e)
{
    return e->last_sequence;
}

size_t engine_unfinished(const struct engine *e)
{
    return e->n_operations;
}

const struct operation *engine_find_operation(const struct engine *e, const uuid_t domain)
{
    const struct domain *d = inventory_find_uuid(&e->inventory, domain);

    return d ? d->op : NULL;
}

int engine_note_debt(struct engine *e, const uuid_t domain, const char *request_id)
{
    return inventory_note_debt(&e->inventory, domain, request_id);
}

bool engine_is_attached(const struct engine *e)
{
    return e->attachment == ATTACHED;
}
