/* engine-commit.c - all that a turn has staged, in one transaction
 *
 * Theory of operation. Operations, reports, events, tokens, certificates, cursors and dead letters
 * become durable together or not at all, and share one sync. After it nothing may fail, so what
 * takes memory then is made before. A turn with nothing durable to say writes nothing.
 */
#include "engine/engine-internal.h"

#define RETAIN_EVERY (60 * USEC_PER_SEC)
#define RETAIN_MOST 1000
/* There is more to drop: soon, but not so that commands wait for it. */
#define RETAIN_AGAIN (100 * USEC_PER_MSEC)

/* That an instance is Stopping is what its operation says, which is in the same transaction: while
 * the facts beside the last report are as they were, the journal has all of it. */
static int write_report(struct engine *e, struct domain *d, struct error **err)
{
    _cleanup_(freep) char *facts = domain_remember(d, &d->next_reported);
    struct reported reported = {.instance_id = (char *)domain_public_id(d),
                                .state = d->next_reported.state,
                                .incarnation = d->next_reported.incarnation,
                                .facts = facts};
    int r;

    if (!facts)
        return error_no_memory(err);
    if (reported.state == STATE_STOPPING && facts_mark(facts) == d->facts)
        return 0;
    uuid_copy(reported.domain, d->uuid);
    r = journal_put_reported(e->journal, &reported, err);
    d->facts = facts_mark(facts);
    return r;
}

static int write_domain(struct engine *e, struct domain *d, struct error **err)
{
    int r = 0;

    if (d->next_op && d->op_changed)
        r = journal_put_operation(e->journal, d->next_op, err);
    if (r == 0 && d->reported_changed)
        r = write_report(e, d, err);
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
    const struct heartbeat heartbeat = engine_heartbeat(e);
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
    if (r == 0 && (e->journal_said || e->retain_at <= e->now.monotonic))
        r = journal_touch(e->journal, &heartbeat, err);
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

/* After the commit nothing may fail: what begins with this turn has its place by then. The table
 * leaves a mark where something was deleted, and who looks for what is not there, an operation that
 * is over above all, walks over all of them: so it is made anew before they are many. */
static int make_room(struct engine *e)
{
    int n = lh_table_length(e->operations), size = e->operations->size;

    for (const struct domain *d = e->staged; d; d = d->next_staged)
        n += d->next_op && !d->op;
    while (n > size * LH_LOAD_FACTOR)
        size *= 2;
    if (size == e->operations->size && e->n_marks < (size_t)size / 2)
        return 0;
    e->n_marks = 0;
    return lh_table_resize(e->operations, size);
}

int engine_commit(struct engine *e, struct error **err)
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
