/* witness-journal.c - what the journal holds after each commit, against what has truly happened
 *
 * Theory of operation. Events are read back as soon as they are committed. Their sequences rise by
 * one; the transitions of a domain are a chain without a gap; each Stopped stands for a run whose
 * process has gone, each Running for a run that has not been reported before. How a stop ended has
 * to be the truth about the run that it was for.
 *
 * Runs that came and went while nobody looked need no report, so what is counted is a bound: no
 * more ends than processes that ended, no more starts than runs.
 */
#include "simulation/events.h"
#include "simulation/census.h"
#include "simulation/life.h"
#include "simulation/sinks.h"

#include "base/json.h"
#include "journal/private.h"

#include <stdio.h>
#include <string.h>

/* --- Whose event it is ---------------------------------------------------------------------- */

static struct ask *find_ask(const struct life *life, const char *request_id)
{
    for (struct ask *a = life->witness.asks; a && *request_id; a = a->next)
        if (a->kind == REQUEST_STOP && text_equal(a->request_id, request_id))
            return a;
    return NULL;
}

static struct simulated_domain *find_domain(const struct life *life, const struct event *e,
                                            const struct ask *ask)
{
    if (ask)
        return ask->domain;
    for (struct simulated_domain *d = life->world->domains; d; d = d->next)
        if (text_equal(instance_public_id(d->definition), e->instance_id))
            return d;
    return NULL;
}

/* --- Stops ---------------------------------------------------------------------------------- */

/* Contract 4: while the hypervisor cannot tell, nothing is concluded. What its process proves to be
 * on is stopped all the same, where nothing is asked of its guest. */
static void check_untold(struct life *life, const struct ask *ask)
{
    const struct seen_domain *seen = witness_domain(life, ask->domain);
    bool is_alive = seen->known_run > 0 && !seen->runs[seen->known_run].is_gone;

    if (!seen->is_untold || !seen->was_untold)
        return;
    census_count("rule", "4 untold");
    if (!ask->force || !life->world->has_processes || !is_alive)
        rule_broken(life, "4 untold", "%.8s of %s is accepted, of which nobody can tell what it is",
                    ask->request_id, domain_word(ask->domain));
}

static void see_accepted(struct life *life, struct ask *ask, const struct event *e)
{
    if (!ask || ask->is_dry) {
        rule_broken(life, "4.4 outbox", "a stop is reported that nobody asked for: %.8s",
                    e->request_id);
        return;
    }
    if (ask->is_operation)
        rule_broken(life, "4.4 outbox", "the beginning of %.8s is reported twice", e->request_id);
    for (const struct ask *a = life->witness.asks; a; a = a->next) {
        if (a == ask || a->kind != REQUEST_STOP)
            continue;
        if (ask->token && a->token == ask->token && a->is_operation && !life->temper.is_forgetful)
            rule_broken(life, "3 ClientToken", "token %u began two stops", ask->token);
        if (a->domain == ask->domain && a->is_operation && !a->is_ended)
            rule_broken(life, "3 status", "two stops of %s at once", domain_word(ask->domain));
    }
    for (size_t i = 0, claims = 0; i < WITNESS_DOMAINS; i++) {
        claims += text_equal(life->witness.domains[i].known_id, ask->named);
        if (claims > 1)
            rule_broken(life, "3 conflict", "two domains are known to claim %s, and one is stopped",
                        ask->named);
    }
    census_count("rule", "3 reserve");
    if (journal_faults_is_on_reserve())
        rule_broken(life, "3 reserve", "%.8s is accepted while the journal's disk is full",
                    ask->request_id);
    check_untold(life, ask);
    witness_check_accepted(life, ask, e);
    witness_accepted_late(life, ask);
    ask->known_version = witness_domain(life, ask->domain)->known_version;
    ask->is_operation = true;
    ask->place = ++life->witness.n_accepted;
    life->witness.n_operations++;
}

/* With the operation ends the consent of all that was said about it. */
static void see_ended(struct life *life, struct ask *ask)
{
    ask->is_ended = true;
    for (struct ask *a = life->witness.asks; a; a = a->next)
        if (a->kind == REQUEST_STOP && a->domain == ask->domain &&
            (a == ask || a->is_answered || a->is_forsaken))
            a->is_void = true;
}

static void check_stopped(struct life *life, const struct ask *ask, const char *reason)
{
    const struct seen_run *run = &witness_domain(life, ask->domain)->runs[ask->run];

    witness_check_cleared(life, ask);
    witness_check_told(life, ask, reason);
    /* Where another run has come behind it only the last one's end can be known. */
    if (!life->world->has_processes || !witness_can_tell(run) || ask->domain->run != ask->run)
        return;
    census_count("rule", "4.6 saved");
    if (run->cause == END_SAVED || run->cause == END_MIGRATED)
        rule_broken(life, "4.6 saved", "%s was %s and is reported as stopped",
                    domain_word(ask->domain), end_cause_to_string(run->cause));
    witness_check_cause(life, ask->domain, run, reason);
}

static bool has_ended_as(const struct seen_domain *seen, const struct ask *ask,
                         enum end_cause cause)
{
    for (unsigned run = ask->run; run <= seen->known_run; run++)
        if (seen->runs[run].cause == cause)
            return true;
    return false;
}

static bool was_cancel_asked(const struct life *life, const struct ask *ask)
{
    for (const struct ask *a = life->witness.asks; a; a = a->next)
        if (a->kind == REQUEST_CANCEL && a->domain == ask->domain)
            return true;
    return false;
}

static void check_failure(struct life *life, struct ask *ask, const char *code)
{
    struct seen_domain *seen = witness_domain(life, ask->domain);
    bool knows = life->world->has_processes;

    census_count("failure", code);
    if (text_equal(code, "GracePeriodOver")) {
        census_count("rule", "4.1 grace");
        if (!ask->is_pressed || ask->counted < ask->grace)
            rule_broken(life, "4.1 grace", "%.8s is given up before its grace is over",
                        ask->request_id);
    } else if (text_equal(code, "PowerButtonRefused")) {
        if (life->now < ask->asked_at + ask->grace)
            rule_broken(life, "4.5 reason", "%.8s fails for want of a button, too early",
                        ask->request_id);
    } else if (text_equal(code, "InstanceSaved")) {
        if (knows && !has_ended_as(seen, ask, END_SAVED))
            rule_broken(life, "4.6 saved", "%.8s fails as saved, which it was not",
                        ask->request_id);
    } else if (text_equal(code, "InstanceMigrated")) {
        if (knows && !has_ended_as(seen, ask, END_MIGRATED))
            rule_broken(life, "4.6 saved", "%.8s fails as migrated, which it was not",
                        ask->request_id);
    } else if (text_equal(code, "InstanceStartedAgain")) {
        if (knows && seen->known_run <= ask->run)
            rule_broken(life, "4.6 incarnation", "%.8s fails as started again, which it was not",
                        ask->request_id);
        seen->reported_run = seen->known_run;
        /* Of one that has come and gone nobody knows the process: the end of the one that was meant
         * is what is proved. */
        seen->accounted = (seen->past_run > ask->run ? ask->run : seen->known_run) - 1;
    } else if (text_equal(code, "Cancelled")) {
        if (!was_cancel_asked(life, ask))
            rule_broken(life, "4.5 cancel", "%.8s is cancelled by nobody", ask->request_id);
    } else if (text_equal(code, "InstanceLockedForSecurity")) {
        witness_check_locked(life, ask);
    } else if (text_equal(code, "GuestAgentAbsent") || text_equal(code, "GuestAgentRefused")) {
        if (ask->method != METHOD_AGENT)
            rule_broken(life, "2 stop.method", "%.8s fails for want of an agent, and there is ACPI",
                        ask->request_id);
    } else if (!text_equal(code, "IncorrectInstanceStatus")) {
        rule_broken(life, "4.5 reason", "%.8s fails as '%s'", ask->request_id, code);
    }
}

/* --- Transitions ---------------------------------------------------------------------------- */

static int chain_of(enum instance_state state)
{
    switch (state) {
    case STATE_RUNNING:
        return CHAIN_RUNNING;
    case STATE_STOPPING:
        return CHAIN_STOPPING;
    case STATE_STOPPED:
        return CHAIN_STOPPED;
    default:
        return CHAIN_NEW;
    }
}

static void check_chain(struct life *life, struct simulated_domain *d, const struct event *e)
{
    struct seen_domain *seen = witness_domain(life, d);
    bool fits = (int)seen->chain == chain_of(e->from);

    census_count("rule", "4.4 chain");
    /* Where nothing was reported yet, what was taken down in silence comes first. */
    if (seen->chain == CHAIN_NEW)
        fits = true;
    if (seen->chain_is_open && (e->from == STATE_PENDING || e->from == STATE_STOPPED))
        fits = true;
    if (!fits || e->from == e->to)
        rule_broken(life, "4.4 chain", "event %llu of %s goes from %s to %s, the last was %d",
                    (unsigned long long)e->sequence, domain_word(d),
                    instance_state_to_string(e->from), instance_state_to_string(e->to),
                    (int)seen->chain);
    if (e->to == STATE_RUNNING && e->from != STATE_STOPPING)
        seen->chain_is_open = !simulated_is_present(d) && seen->chain_is_open;
    seen->chain = (typeof(seen->chain))chain_of(e->to);
}

/* Stopped: the process of a run has gone that has not been accounted for. Where the next run is
 * there already, that it is another one is all there is to say of the former. */
static void check_proof(struct life *life, struct simulated_domain *d, const struct event *e)
{
    struct seen_domain *seen = witness_domain(life, d);

    bool is_superseded = text_equal(e->reason, "ended unseen");

    census_count("rule", "4.7 proof");
    for (unsigned run = seen->accounted + 1; run <= seen->known_run; run++)
        if (seen->runs[run].is_gone || (is_superseded && run < seen->known_run)) {
            seen->accounted = run;
            if (life->world->has_processes && run == d->run && !seen->runs[run].is_cause_lost)
                witness_check_cause(life, d, &seen->runs[run], e->reason);
            return;
        }
    rule_broken(life, "4.7 proof", "%s is reported Stopped (%s), and no run of it has ended",
                domain_word(d), e->reason);
}

static void check_start(struct life *life, struct simulated_domain *d)
{
    struct seen_domain *seen = witness_domain(life, d);

    census_count("rule", "4.7 once");
    if (seen->known_run <= seen->reported_run)
        rule_broken(life, "4.7 once", "the start of run %u of %s is reported again",
                    seen->known_run, domain_word(d));
    if (seen->is_arriving)
        rule_broken(life, "4.7 arrival", "%s is reported as started, and has not arrived yet",
                    domain_word(d));
    seen->reported_run = seen->known_run;
    seen->is_unread = false;
    if (seen->accounted < seen->known_run - 1)
        seen->accounted = seen->known_run - 1;
}

static const struct event *failure_of(const struct event *events, size_t n, const char *request_id)
{
    for (size_t i = 0; i < n; i++)
        if (events[i].kind == EVENT_FAILED && text_equal(events[i].request_id, request_id))
            return &events[i];
    return NULL;
}

static void take_transition(struct life *life, const struct event *e, const struct event *failure)
{
    struct ask *ask = find_ask(life, e->request_id);
    struct simulated_domain *d = find_domain(life, e, ask);

    if (e->to == STATE_STOPPING)
        see_accepted(life, ask, e);
    if (d && !life->temper.has_identity_changes) {
        check_chain(life, d, e);
        if (e->to == STATE_STOPPED)
            check_proof(life, d, e);
        if (e->to == STATE_STOPPED && !ask && cast_is_cleared(d->definition))
            census_count("rule", "4.7 kept");
        if (e->to == STATE_STOPPED && !ask && *witness_domain(life, d)->known_id &&
            cast_is_cleared(d->definition) && !text_equal(e->local_storage, "kept"))
            rule_broken(life, "4.7 kept",
                        "%s went off by itself, and its disks are not said to be kept",
                        domain_word(d));
        if (e->to == STATE_RUNNING && e->from != STATE_STOPPING)
            check_start(life, d);
    }
    witness_check_mode(life, ask, e, failure != NULL);
    if (d && !life->temper.has_identity_changes)
        witness_check_resources(life, d, e);
    if (e->to != STATE_STOPPING && e->from == STATE_STOPPING) {
        if (!ask || !ask->is_operation || ask->is_ended) {
            rule_broken(life, "4.4 outbox", "a stop ends that does not go on: %.8s", e->request_id);
            return;
        }
        if (failure)
            check_failure(life, ask, failure->code);
        else if (e->to == STATE_STOPPED)
            check_stopped(life, ask, e->reason);
        else
            rule_broken(life, "4.5 reason", "%.8s fails without saying why", e->request_id);
        see_ended(life, ask);
    }
}

/* Operations, reports and events say the same: they were written together. */
void witness_check_reported(struct life *life)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;

    if (database_query(&life->journal->database, "SELECT domain, " REPORTED_STATE " FROM reported",
                       NO_VALUES, &q, NULL) < 0)
        abort();
    while (database_next(&life->journal->database, q, NULL) > 0) {
        struct simulated_domain *d;
        struct seen_domain *seen;
        enum instance_state state;
        bool is_stopping = false;
        uuid_t uuid;

        if (uuid_parse(column_text(q, 0, NULL), uuid) < 0 ||
            instance_state_from_string(column_text(q, 1, NULL), &state) < 0)
            abort();
        d = simulated_find(life->world, uuid);
        seen = witness_domain(life, d);
        for (const struct ask *a = life->witness.asks; a; a = a->next)
            is_stopping |= a->domain == d && a->is_operation && !a->is_ended;
        census_count("rule", "4.4 one transaction");
        if (is_stopping != (state == STATE_STOPPING))
            rule_broken(life, "4.4 one transaction", "%s is reported as %s, and is %sin a stop",
                        domain_word(d), instance_state_to_string(state), is_stopping ? "" : "not ");
        if (!life->temper.has_identity_changes && !seen->chain_is_open &&
            seen->chain != CHAIN_NEW && (int)seen->chain != chain_of(state))
            rule_broken(life, "4.4 one transaction",
                        "%s is reported as %s, which is not its last event", domain_word(d),
                        instance_state_to_string(state));
    }
}

/* Who an operation is about is fixed as it is accepted, whatever its domain is called meanwhile. */
static void check_whose(struct life *life, const struct event *e)
{
    for (struct ask *a = life->witness.asks; a && *e->request_id; a = a->next) {
        if (!text_equal(a->request_id, e->request_id))
            continue;
        census_count("rule", "4.4 whose");
        if (!*a->told_as)
            snprintf(a->told_as, sizeof(a->told_as), "%s", e->instance_id);
        else if (!text_equal(a->told_as, e->instance_id))
            rule_broken(life, "4.4 whose", "event %llu of %.8s is of %s, and it began as one of %s",
                        (unsigned long long)e->sequence, e->request_id, e->instance_id, a->told_as);
    }
}

static void take_disk(struct life *life, const struct event *e)
{
    for (struct ask *a = life->witness.asks; a; a = a->next) {
        if (!text_equal(a->request_id, e->request_id))
            continue;
        a->certificates += e->kind == EVENT_CLEARED;
        if (e->kind == EVENT_UNCLEARED)
            witness_uncleared(life, a, e);
    }
}

void witness_committed(struct life *life)
{
    struct event events[EVENTS_MOST];
    size_t n = events_read(life, events);

    life->witness.n_commits++;
    witness_keep_picture(life);
    sinks_see_commit(life);
    witness_look_for_clears(life);
    for (size_t i = 0; i < n; i++) {
        const struct event *e = &events[i];

        events_tell(life, e);
        if (e->sequence != ++life->witness.sequence)
            rule_broken(life, "4.4 outbox", "event %llu follows event %llu",
                        (unsigned long long)e->sequence,
                        (unsigned long long)life->witness.sequence - 1);
        check_whose(life, e);
        if (e->kind == EVENT_STATE)
            take_transition(life, e, failure_of(events, n, e->request_id));
        else if (e->kind == EVENT_CLEARED || e->kind == EVENT_UNCLEARED)
            take_disk(life, e);
        free(e->instance_id);
        life->witness.n_events++;
    }
    if (n > 0)
        witness_check_reported(life);
    witness_forget_lost(life);
}
