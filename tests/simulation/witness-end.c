/* witness-end.c - what has to hold when a life is over
 *
 * Theory of operation. The world has been well behaved for long enough: every stop has ended, or
 * stands in the open with what it waits for; what was last reported of each domain is what it is;
 * every sink has all that there is for it.
 */
#include "simulation/census.h"
#include "simulation/life.h"
#include "simulation/sinks.h"

#include "journal/private.h"

/* What the world keeps open for good: a process that does not end. */
static bool is_kept_open(const struct life *life, const struct simulated_domain *d)
{
    return life->world->has_processes && d->n_processes > 0 && !simulated_is_present(d);
}

/* An operator has to look at its disks. */
static bool is_quarantined(const struct life *life, const struct simulated_domain *d)
{
    const struct operation *op =
        life->engine ? engine_find_operation(life->engine, d->definition->uuid) : NULL;

    return op && op->stage == STAGE_QUARANTINED;
}

static void check_end_of(struct life *life, const struct simulated_domain *d, bool has_row,
                         enum instance_state state)
{
    const struct seen_domain *seen = witness_domain(life, d);
    bool is_there = simulated_is_present(d);

    if (is_kept_open(life, d) || is_quarantined(life, d))
        return;
    census_count("rule", "4.7 missed");
    if (is_there && (!has_row || state != STATE_RUNNING))
        rule_broken(life, "4.7 missed", "%s runs in the end and is reported as %s", domain_word(d),
                    has_row ? instance_state_to_string(state) : "nothing");
    if (!is_there && has_row && state != STATE_STOPPED)
        rule_broken(life, "4.7 missed", "%s is off in the end and is reported as %s",
                    domain_word(d), instance_state_to_string(state));
    if (is_there && life->world->has_processes && !life->temper.has_identity_changes &&
        seen->reported_run != d->run && !seen->is_unread)
        rule_broken(life, "4.7 missed", "run %u of %s was never reported, run %u was", d->run,
                    domain_word(d), seen->reported_run);
}

bool witness_find_row(struct life *life, const struct simulated_domain *d, enum instance_state *ret)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    char uuid[UUID_TEXT_SIZE];

    uuid_unparse_lower(d->definition->uuid, uuid);
    if (database_query(&life->journal->database,
                       "SELECT " REPORTED_STATE " FROM reported WHERE domain = ?1",
                       VALUES(text(uuid)), &q, NULL) < 0)
        abort();
    return database_next(&life->journal->database, q, NULL) > 0 &&
           instance_state_from_string(column_text(q, 0, NULL), ret) == 0;
}

/* What cannot end stands in the open, with what it waits for. */
static void check_open(struct life *life, const struct ask *a)
{
    const struct operation *op =
        life->engine ? engine_find_operation(life->engine, a->domain->definition->uuid) : NULL;

    if (op && op->stage == STAGE_QUARANTINED)
        witness_check_quarantine(life, a);
    census_count("rule", "4.5 open");
    if (op && !is_set(op->detail))
        rule_broken(life, "4.5 open", "%.8s of %s does not end, and does not say why",
                    a->request_id, domain_word(a->domain));
}

void witness_end(struct life *life)
{
    sinks_check(life);
    for (const struct ask *a = life->witness.asks; a; a = a->next) {
        census_count("rule", "4.5 end");
        if (a->kind == REQUEST_STOP && a->is_operation && !a->is_ended &&
            !is_kept_open(life, a->domain) && !is_quarantined(life, a->domain))
            rule_broken(life, "4.5 end", "%.8s of %s has not ended", a->request_id,
                        domain_word(a->domain));
        if (a->kind == REQUEST_STOP && ask_is_under_way(a))
            check_open(life, a);
        if (a->kind == REQUEST_STOP && a->is_ended && !life->temper.is_forgetful) {
            /* It is in the journal as such. */
            char operation[UUID_TEXT_SIZE];

            if (journal_resolve(life->journal, a->request_id, operation, NULL) <= 0)
                rule_broken(life, "4.5 durable", "%.8s has left the journal", a->request_id);
        }
    }
    for (const struct simulated_domain *d = life->world->domains; d; d = d->next) {
        enum instance_state state = STATE_PENDING;
        bool has_row = witness_find_row(life, d, &state);

        check_end_of(life, d, has_row, state);
        witness_check_lifecycle(life, d, true);
    }
}
