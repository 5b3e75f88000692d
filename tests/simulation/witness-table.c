/* witness-table.c - which answer has to come by the contract's table, and what an accepted stop
 * says
 *
 * Theory of operation. The witness keeps what each version of a definition says. What stopd knew
 * when it checked a command lies between what it knew when that was asked and what it knows when it
 * is answered; where all versions between say the same, the answer of the table's middle rows is
 * certain. Rows before them (nobody at hand, a known token) may answer first, rows behind them only
 * where none of these does.
 */
#include "simulation/census.h"
#include "simulation/events.h"
#include "simulation/life.h"

#include "base/json.h"
#include "journal/private.h"

#include <stdio.h>
#include <string.h>

/* --- Facts ---------------------------------------------------------------------------------- */

void witness_defined(struct life *life, const struct simulated_domain *d)
{
    struct seen_domain *seen = witness_domain(life, d);
    const struct instance *i = d->definition;

    if (!instance_is_locked_for(i, "security"))
        seen->locked_at = 0;
    else if (seen->locked_at == 0)
        seen->locked_at = life->now;

    if (d->version >= WITNESS_VERSIONS)
        abort();
    witness_domain(life, d)->facts[d->version] = (struct facts){
        .is_locked = instance_is_locked_for(i, "security"),
        .is_classic = i->network == NETWORK_CLASSIC,
        .is_prepaid = i->charge == CHARGE_PREPAID,
        .is_spot = i->spot,
        .has_local_disks = cast_is_cleared(i) || i->n_local_disks > 0,
        .owes_clears = cast_is_cleared(i),
        .is_in_arrears = i->account != ACCOUNT_OK,
        .economical = i->economical,
    };
}

static bool are_equal(const struct facts *a, const struct facts *b)
{
    return a->is_locked == b->is_locked && a->is_classic == b->is_classic &&
           a->is_prepaid == b->is_prepaid && a->is_spot == b->is_spot &&
           a->has_local_disks == b->has_local_disks && a->owes_clears == b->owes_clears &&
           a->is_in_arrears == b->is_in_arrears && a->economical == b->economical;
}

/* What stopd went by, if that is certain; else NULL. */
static const struct facts *facts_for(struct life *life, const struct ask *ask)
{
    const struct seen_domain *seen = witness_domain(life, ask->domain);

    if (ask->asked_version == 0 || life->temper.has_identity_changes)
        return NULL;
    for (unsigned v = ask->asked_version; v < seen->known_version; v++)
        if (!are_equal(&seen->facts[v], &seen->facts[v + 1]))
            return NULL;
    return &seen->facts[ask->asked_version];
}

/* --- The table ------------------------------------------------------------------------------ */

static enum error_code why_not_stop_charging(const struct facts *f)
{
    return f->is_classic        ? ERROR_CLASSIC_NETWORK
           : f->is_prepaid      ? ERROR_PREPAID
           : f->has_local_disks ? ERROR_HAS_LOCAL_DISKS
           : f->is_spot         ? ERROR_SPOT
                                : ERROR_NONE;
}

/* Of the rows that the definition and the command decide alone, the first that fails. */
static enum error_code expected(const struct ask *ask, const struct facts *f)
{
    if (f->is_locked && !ask->overrides_lock)
        return ERROR_LOCKED_FOR_SECURITY;
    if (f->is_in_arrears && !ask->overrides_arrears)
        return ERROR_EXPIRED_OR_IN_ARREARS;
    if (ask->asks_mode == STOPPED_MODE_STOP_CHARGING && why_not_stop_charging(f) != ERROR_NONE)
        return why_not_stop_charging(f);
    if (ask->hibernates)
        return ERROR_HIBERNATION;
    return f->owes_clears && !ask->confirms ? ERROR_CONFIRM_STOP : ERROR_NONE;
}

static bool is_of_these_rows(enum error_code code)
{
    static const enum error_code rows[] = {ERROR_LOCKED_FOR_SECURITY, ERROR_EXPIRED_OR_IN_ARREARS,
                                           ERROR_CLASSIC_NETWORK,     ERROR_PREPAID,
                                           ERROR_HAS_LOCAL_DISKS,     ERROR_SPOT,
                                           ERROR_HIBERNATION,         ERROR_CONFIRM_STOP};

    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        if (code == rows[i])
            return true;
    return false;
}

/* Whoever got so far has passed these rows. */
static bool is_of_a_later_row(enum error_code code)
{
    return code == ERROR_NONE || code == ERROR_DISK_STATUS || code == ERROR_INSTANCE_STATUS ||
           code == ERROR_DRY_RUN || code == ERROR_INTERNAL;
}

static void check_row(struct life *life, const struct ask *ask, enum error_code code)
{
    const struct facts *f = facts_for(life, ask);
    enum error_code due = f ? expected(ask, f) : ERROR_NONE;

    if (!f)
        return;
    if (is_of_these_rows(code) || is_of_a_later_row(code))
        census_count("table", due ? error_name(due) : "passed");
    if (due ? is_of_a_later_row(code) || (is_of_these_rows(code) && code != due)
            : is_of_these_rows(code))
        rule_broken(life, "3 table", "%.8s of %s has to be answered '%s', and is '%s'",
                    ask->request_id, domain_word(ask->domain), due ? error_name(due) : "accepted",
                    code ? error_name(code) : "accepted");
}

/* Contract 3: over the Unix socket as root. */
void witness_parsed(struct life *life, struct ask *ask, const struct error *error)
{
    bool may = ask->is_by_root || (!ask->overrides_lock && !ask->overrides_arrears);

    census_count("rule", "3 override");
    if (may != !error || (error && error->code != ERROR_FORBIDDEN))
        rule_broken(life, "3 override", "%.8s %s override, and is answered '%s'", ask->request_id,
                    may ? "may" : "may not", error ? error_message(error) : "nothing");
    if (!error)
        return;
    ask->is_answered = ask->is_void = true;
    ask->code = error->code;
}

void witness_check_answer(struct life *life, const struct ask *ask)
{
    char operation[UUID_TEXT_SIZE];

    if (ask->code == ERROR_DRY_RUN) {
        census_count("rule", "3 DryRun");
        if (!ask->is_dry || journal_resolve(life->journal, ask->request_id, operation, NULL) > 0)
            rule_broken(life, "3 DryRun", "%.8s was to change nothing, and is in the journal",
                        ask->request_id);
    }
    /* Not what was answered once before, or would have been, had the journal been well; nor what
     * was refused for what is of a turn of which nobody can tell. */
    if (ask->code == ERROR_NONE ? text_equal(ask->answer_id, ask->request_id)
                                : ask->code != ERROR_INTERNAL)
        check_row(life, ask, ask->code);
}

/* --- A lock that comes later ----------------------------------------------------------------- */

/* By its command, or by one that may have gone over it. */
static bool is_lock_overridden(const struct life *life, const struct ask *stop)
{
    bool is_overridden = stop->overrides_lock;

    for (const struct ask *a = life->witness.asks; a; a = a->next)
        is_overridden |= a->kind == REQUEST_STOP && a->domain == stop->domain && a->force &&
                         a->overrides_lock && a->asked_at >= stop->asked_at;
    return is_overridden;
}

static bool is_first_cut(const struct life *life, const struct ask *stop)
{
    const struct operation *op =
        life->engine ? engine_find_operation(life->engine, stop->domain->definition->uuid) : NULL;

    return op && op->cuts == 1;
}

/* Whether a cut that died with stopd went out is told by the journal alone. */
static bool is_first_act(const struct life *life, const struct ask *stop, const struct call *c)
{
    const struct operation *op =
        engine_find_operation(life->engine, stop->domain->definition->uuid);

    return !stop->is_taken && !stop->is_just_taken && !stop->may_be_taken && !stop->is_cut &&
           (c->kind == CALL_PRESS || (op && op->cuts == 1));
}

void witness_check_lock(struct life *life, const struct simulated_domain *d, const struct call *c)
{
    const struct seen_domain *seen = witness_domain(life, d);
    struct ask *stop = witness_operation(life, d);

    if (!stop || (c->kind != CALL_PRESS && c->kind != CALL_CUT))
        return;
    if (is_first_act(life, stop, c) && !is_lock_overridden(life, stop)) {
        census_count("rule", "3 lock");
        if (seen->is_shown_locked && seen->facts[seen->known_version].is_locked && !c->heeds_lock)
            rule_broken(life, "3 lock", "'%s' goes out to %s, which a look has shown to be locked",
                        call_kind_to_string(c->kind), domain_word(d));
    }
    stop->is_cut |= c->kind == CALL_CUT;
}

void witness_held_back(struct life *life, const struct call *c)
{
    struct ask *stop = witness_operation(life, simulated_find(life->world, c->domain));

    if (!stop)
        return;
    stop->is_held_back = true;
    stop->is_cut &= c->kind != CALL_CUT;
}

bool witness_has_just_looked(struct life *life, const struct call *c)
{
    const struct simulated_domain *d = simulated_find(life->world, c->domain);

    return d && witness_domain(life, d)->looked_at == life->now;
}

void witness_check_blind(struct life *life, struct simulated_domain *d)
{
    const struct flight *f = life->executing;
    const struct seen_domain *seen = witness_domain(life, d);
    const struct ask *stop = witness_operation(life, d);

    if (f->is_written_off || !stop || stop->is_taken || stop->is_just_taken || stop->is_felt ||
        f->follows_look || !seen->locked_at || f->started_at <= seen->locked_at ||
        is_lock_overridden(life, stop))
        return;
    if (f->call->kind == CALL_CUT ? !is_first_cut(life, stop) : stop->is_cut)
        return;
    rule_broken(life, "3 blind", "'%s' is done to %s, and nobody has looked since it was locked",
                call_kind_to_string(f->call->kind), domain_word(d));
}

void witness_check_locked(struct life *life, const struct ask *ask)
{
    const struct seen_domain *seen = witness_domain(life, ask->domain);
    bool was_locked = ask->is_held_back;

    for (unsigned v = ask->known_version; v <= seen->known_version; v++)
        was_locked |= seen->facts[v].is_locked;
    census_count("rule", "3 locked since");
    if (!was_locked || ask->overrides_lock || ask->is_past_locks)
        rule_broken(life, "3 locked since", "%.8s of %s fails for a lock that %s", ask->request_id,
                    domain_word(ask->domain), was_locked ? "it overrode" : "nobody has set");
    if (ask->is_taken || ask->is_cut)
        rule_broken(life, "3 locked since", "%.8s of %s fails for a lock, after a %s",
                    ask->request_id, domain_word(ask->domain), ask->is_cut ? "cut" : "button");
}

/* --- What an accepted one says --------------------------------------------------------------- */

/* Statements of its own: those of the journal are counted. */
json_object *witness_read_operation(struct life *life, const char *request_id)
{
    static struct database database;
    _cleanup_(query) sqlite3_stmt *q = NULL;

    database.sqlite = life->journal->database.sqlite;
    if (database_query(&database, "SELECT document FROM operation WHERE request_id = ?1",
                       VALUES(text(request_id)), &q, NULL) < 0)
        abort();
    return database_next(&database, q, NULL) > 0 ? json_tokener_parse(column_text(q, 0, NULL))
                                                 : NULL;
}

/* The detail of its timeline's first entry of this kind that holds these words, or NULL. */
static const char *find_entry(json_object *document, const char *what, const char *words)
{
    json_object *timeline;

    if (json_get_array(document, "timeline", &timeline) < 0)
        return NULL;
    for (size_t i = 0; i < json_object_array_length(timeline); i++) {
        json_object *entry = json_object_array_get_idx(timeline, i);
        const char *word = NULL, *detail = NULL;

        if (json_get_string(entry, "what", &word) == 0 && text_equal(word, what) &&
            json_get_string(entry, "detail", &detail) == 0 && detail && strstr(detail, words))
            return detail;
    }
    return NULL;
}

static void check_override(struct life *life, const struct ask *ask, const char *detail)
{
    bool says_lock = detail && strstr(detail, "overriding the security lock");
    bool says_arrears = detail && strstr(detail, "expiry and arrears");

    if (ask->overrides_lock || ask->overrides_arrears)
        census_count("rule", "3 override told");
    if (!detail || says_lock != ask->overrides_lock || says_arrears != ask->overrides_arrears)
        rule_broken(life, "3 override told", "%.8s overrides%s%s, and the journal says '%s'",
                    ask->request_id, ask->overrides_lock ? " the lock" : "",
                    ask->overrides_arrears ? " arrears" : "", detail ? detail : "nothing");
}

/* What it comes to by the command, the metadata, the configuration, in this order. */
static enum stopped_mode mode_due(const struct life *life, const struct ask *ask,
                                  const struct facts *f)
{
    enum stopped_mode mode = ask->asks_mode;

    if (mode == STOPPED_MODE_UNSET && f->economical != TRISTATE_UNSET)
        mode =
            f->economical == TRISTATE_YES ? STOPPED_MODE_STOP_CHARGING : STOPPED_MODE_KEEP_CHARGING;
    if (mode == STOPPED_MODE_UNSET)
        mode = life->settings.policy.stopped_mode;
    return why_not_stop_charging(f) == ERROR_NONE ? mode : STOPPED_MODE_KEEP_CHARGING;
}

static void check_mode_due(struct life *life, const struct ask *ask)
{
    const struct facts *f = facts_for(life, ask);

    if (!f)
        return;
    census_count("rule", "3 mode");
    if (ask->came_of_mode != mode_due(life, ask, f))
        rule_broken(life, "3 mode", "%.8s of %s comes to %s, and has to be %s", ask->request_id,
                    domain_word(ask->domain), stopped_mode_to_string(ask->came_of_mode),
                    stopped_mode_to_string(mode_due(life, ask, f)));
}

void witness_check_accepted(struct life *life, struct ask *ask, const struct event *e)
{
    _cleanup_(json) json_object *document = witness_read_operation(life, ask->request_id);
    const char *mode = NULL;

    check_row(life, ask, ERROR_NONE);
    if (!document || json_get_string(document, "stoppedMode", &mode) < 0 ||
        !text_equal(mode, e->stopped_mode) ||
        stopped_mode_from_string(mode, &ask->came_of_mode) < 0) {
        rule_broken(life, "3 mode", "of %.8s the journal says %s and the event %s", ask->request_id,
                    mode ? mode : "nothing", e->stopped_mode);
        return;
    }
    check_mode_due(life, ask);
    witness_check_plan(life, ask, document);
    check_override(life, ask, find_entry(document, "accepted", ""));
}

void witness_check_went_over(struct life *life, const struct ask *ask)
{
    char operation[UUID_TEXT_SIZE];
    _cleanup_(json) json_object *document = NULL;

    if (journal_resolve(life->journal, ask->request_id, operation, NULL) <= 0 ||
        !(document = witness_read_operation(life, operation)))
        return; /* forgotten, which others judge */
    check_override(life, ask, find_entry(document, "force", ask->request_id));
}

/* Released is what was stopped, and for which that was asked. */
void witness_check_mode(struct life *life, const struct ask *ask, const struct event *e,
                        bool has_failed)
{
    bool is_due = ask && e->from == STATE_STOPPING && e->to == STATE_STOPPED && !has_failed &&
                  ask->came_of_mode == STOPPED_MODE_STOP_CHARGING;

    census_count("rule", is_due ? "3 released" : "3 not released");
    if (e->is_released != is_due)
        rule_broken(life, "3 released", "event %llu says that resources are %sreleased",
                    (unsigned long long)e->sequence, e->is_released ? "" : "not ");
    if (ask && ask->came_of_mode != STOPPED_MODE_UNSET &&
        !text_equal(e->stopped_mode, stopped_mode_to_string(ask->came_of_mode)))
        rule_broken(life, "3 mode", "%.8s began as %s and ends as %s", ask->request_id,
                    stopped_mode_to_string(ask->came_of_mode), e->stopped_mode);
    if (!ask && *e->stopped_mode)
        rule_broken(life, "3 mode", "event %llu is of no stop and names %s",
                    (unsigned long long)e->sequence, e->stopped_mode);
}

void witness_check_resources(struct life *life, const struct simulated_domain *d,
                             const struct event *e)
{
    const struct instance *i = d->definition;

    if (!e->has_resources)
        return;
    census_count("rule", "6 resources");
    if (e->vcpus != i->vcpus || e->memory_kib != i->memory_kib ||
        !text_equal(e->public_ip, i->public_ip ? i->public_ip : ""))
        rule_broken(life, "6 resources", "event %llu has other resources than %s",
                    (unsigned long long)e->sequence, domain_word(d));
}
