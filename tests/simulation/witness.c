/* witness.c - the rules that hold between what was asked and what happens in the world
 *
 * Theory of operation. The world tells of each act at the moment of its effect, and the witness
 * asks whether anybody had consented to it: by a command that it knows of, that was meant for this
 * run of the domain, and that is not over. It counts each grace by itself, from the first button
 * that the world took, only while stopd runs and the hypervisor is at hand. The engine starts
 * counting later than that, never earlier, so what it counts can only be less.
 *
 * What the journal says is witness-journal.c's, and what stopd answers witness-answers.c's.
 */
#include "simulation/census.h"
#include "simulation/life.h"

#include "journal/private.h"

#include <stdio.h>
#include <string.h>

struct seen_domain *witness_domain(struct life *life, const struct simulated_domain *d)
{
    size_t i = 0;

    for (const struct simulated_domain *each = life->world->domains; each != d; each = each->next)
        i++;
    return &life->witness.domains[i];
}

void witness_clear(struct life *life)
{
    struct ask *a;

    while ((a = life->witness.asks)) {
        life->witness.asks = a->next;
        free(a->fingerprint);
        free(a);
    }
}

/* --- Consent -------------------------------------------------------------------------------- */

/* Was this command meant for this run, and does it still stand? */
static bool stands_for(const struct life *life, const struct ask *a,
                       const struct simulated_domain *d, unsigned run)
{
    return a->kind == REQUEST_STOP && a->domain == d && !a->is_dry && !a->is_void &&
           (!life->world->has_processes || a->run == run);
}

/* Nothing is done that the journal does not know. A command that goes over another is known there
 * by its own RequestId. */
static bool is_journalled(struct life *life, const struct ask *a)
{
    return a->is_operation || life->temper.is_forgetful || witness_is_durable(life, a->request_id);
}

static bool grace_has_run(const struct ask *a)
{
    return a->is_pressed && a->counted >= a->grace;
}

static bool has_consented(struct life *life, const struct simulated_domain *d, unsigned run)
{
    for (const struct ask *a = life->witness.asks; a; a = a->next) {
        if (!stands_for(life, a, d, run))
            continue;
        if (a->force && is_journalled(life, a))
            return true;
        if (!ask_is_under_way(a))
            continue;
        if (a->force_on_timeout && !a->is_cancelled && grace_has_run(a))
            return true;
        /* Nothing runs in it that could lose anything. */
        if (d->state == DOMAIN_CRASHED)
            return true;
    }
    return false;
}

static bool somebody_asked(const struct life *life, const struct simulated_domain *d, unsigned run)
{
    for (const struct ask *a = life->witness.asks; a; a = a->next)
        if (stands_for(life, a, d, run))
            return true;
    return false;
}

static bool is_any_journalled(struct life *life, const struct simulated_domain *d, unsigned run)
{
    for (const struct ask *a = life->witness.asks; a; a = a->next)
        if (stands_for(life, a, d, run) && is_journalled(life, a))
            return true;
    return false;
}

struct ask *witness_operation(const struct life *life, const struct simulated_domain *d)
{
    for (struct ask *a = life->witness.asks; a; a = a->next)
        if (a->kind == REQUEST_STOP && a->domain == d && ask_is_under_way(a))
            return a;
    return NULL;
}

/* --- What happens in the world -------------------------------------------------------------- */

static void see_press(struct life *life, struct simulated_domain *d, unsigned run)
{
    struct ask *a = witness_operation(life, d);

    if (d->manners.cannot_interlock)
        witness_domain(life, d)->unlocked_run = run;
    if (life->executing->is_written_off)
        return; /* of a stop that may be over by now; nobody can call it back */
    census_count("rule", "4.6 incarnation");
    if (!somebody_asked(life, d, run))
        rule_broken(life, "4.6 incarnation", "run %u of %s felt a button that nobody asked for",
                    run, domain_word(d));
    else if (!is_any_journalled(life, d, run))
        rule_broken(life, "4.4 journalled", "%s felt a button of which the journal does not know",
                    domain_word(d));
    if (a)
        a->is_felt = true;
    if (a && !a->is_pressed)
        a->counted = 0;
    if (a)
        a->is_pressed = true;
}

static void see_cut(struct life *life, struct simulated_domain *d, unsigned run)
{
    census_count("rule", "4.1 consent");
    if (has_consented(life, d, run))
        return;
    if (somebody_asked(life, d, run) || !life->world->has_processes)
        rule_broken(life, "4.1 consent", "the power of %s was cut, to which nobody had consented",
                    domain_word(d));
    else
        rule_broken(life, "4.6 incarnation",
                    "the power of run %u of %s was cut, which nobody had meant", run,
                    domain_word(d));
}

static bool meddles(const struct life *life)
{
    return life->executing &&
           (life->executing->is_written_off || life->executing->session != life->world->session);
}

/* A guest that reboots on the button ends off; unless the stop has been given up by then, rightly
 * or not, which is judged by what it reports. */
static void see_reboot(struct life *life, struct simulated_domain *d, unsigned run)
{
    const struct seen_domain *seen = witness_domain(life, d);
    const struct ask *a = witness_operation(life, d);

    if (!a || !a->is_felt || a->is_cancelled || grace_has_run(a) || seen->unlocked_run == run ||
        seen->tainted_run == run || seen->restored_run == run || a->run != run)
        return;
    census_count("rule", "4.6 reboot");
    for (const struct ask *c = life->witness.asks; c; c = c->next)
        if (c->kind == REQUEST_CANCEL && c->domain == d && !c->is_answered)
            return; /* a cancel may be in the journal */
    rule_broken(life, "4.6 reboot", "%s rebooted on the button and runs on", domain_word(d));
}

void witness_happened(void *userdata, struct simulated_domain *d, enum happening what, unsigned run)
{
    struct life *life = userdata;
    struct seen_domain *seen = witness_domain(life, d);

    tell(life, "  %s: %s%s%s", domain_word(d), happening_to_string(what),
         what == HAPPENED_CHANGED ? ", " : "",
         what == HAPPENED_CHANGED ? domain_state_to_string(d->state) : "");
    switch (what) {
    case HAPPENED_PRESSED:
        witness_check_blind(life, d);
        see_press(life, d, run);
        break;
    case HAPPENED_CUT:
        witness_check_blind(life, d);
        see_cut(life, d, run);
        break;
    case HAPPENED_LOCKED:
        seen->restored_run = 0;
        if (meddles(life) || !witness_operation(life, d)) {
            seen->late_lock_run = run;
            life->has_lost_hints = true; /* nobody tells of it */
        }
        break;
    case HAPPENED_RESTORED:
        seen->restored_run = run;
        if (meddles(life))
            seen->tainted_run = run;
        else
            seen->late_lock_run = 0;
        break;
    case HAPPENED_CHANGED:
        life->has_crash |= d->state == DOMAIN_CRASHED;
        seen->runs[run].is_crashed = d->state == DOMAIN_CRASHED;
        break;
    case HAPPENED_REBOOTED:
        see_reboot(life, d, run);
        break;
    case HAPPENED_ENDING:
        seen->runs[run].cause = d->cause;
        break;
    case HAPPENED_FORGOTTEN:
        if (!d->has_managed_save)
            seen->runs[run].is_cause_lost = true;
        break;
    case HAPPENED_OFF:
        seen->runs[run].is_off = true;
        if (d->state == DOMAIN_ABSENT || seen->runs[run].cause == END_MIGRATED)
            seen->chain_is_open = true;
        break;
    case HAPPENED_DEFINED:
        witness_defined(life, d);
        if (d->state == DOMAIN_ABSENT)
            seen->chain_is_open = true;
        break;
    case HAPPENED_GONE:
        seen->runs[run].is_gone = true;
        break;
    default:
        break;
    }
}

void witness_time(struct life *life, usec_t passed)
{
    for (struct ask *a = life->witness.asks; a; a = a->next)
        if (a->is_pressed && ask_is_under_way(a))
            a->counted += passed;
}

void witness_wrote_off(struct life *life, const struct flight *f)
{
    const struct call *c = f->call;
    struct simulated_domain *d = simulated_find(life->world, c->domain);
    struct ask *stop = d ? witness_operation(life, d) : NULL;

    witness_button_back(life, c, false);
    if (stop && c->press.is_asked)
        stop->may_be_taken = true;
    if (c->kind == CALL_LOOK && d && f->session == life->world->session) {
        witness_domain(life, d)->looked = LOOKED_ELSE;
        witness_domain(life, d)->is_untold = true;
    }
}

/* --- What the engine does ------------------------------------------------------------------- */

static void check_cancelled(struct life *life, const struct call *c,
                            const struct simulated_domain *d)
{
    const struct ask *a = witness_operation(life, d);

    if (c->kind == CALL_PRESS && a && a->is_cancelled)
        rule_broken(life, "4.5 cancel", "%s is pressed after its stop was cancelled",
                    domain_word(d));
}

void witness_call(struct life *life, const struct call *c)
{
    struct simulated_domain *d = simulated_find(life->world, c->domain);

    tell(life, "call: %s%s%s%s", call_kind_to_string(c->kind), d ? " " : "",
         d ? domain_word(d) : "",
         c->kind != CALL_PRESS       ? ""
         : c->button == BUTTON_AGENT ? ", its agent"
                                     : ", ACPI");
    life->witness.has_acted |= call_acts(c);
    if ((c->kind == CALL_CONNECT) == engine_is_attached(life->engine))
        rule_broken(life, "3 attachment", "'%s' is called while the hypervisor is %s",
                    call_kind_to_string(c->kind),
                    engine_is_attached(life->engine) ? "attached" : "not attached");
    for (const struct flight *f = life->flights; f; f = f->next)
        if (!f->is_written_off && (f->call->kind == CALL_CONNECT) == (c->kind == CALL_CONNECT) &&
            uuid_compare(f->call->domain, c->domain) == 0)
            rule_broken(life, "3 one call", "'%s' is called while '%s' is out",
                        call_kind_to_string(c->kind), call_kind_to_string(f->call->kind));
    if (!d)
        return;
    check_cancelled(life, c, d);
    witness_check_lock(life, d, c);
    witness_button(life, c);
    if (c->kind == CALL_RESTORE && d->manners.refuses_restore)
        witness_domain(life, d)->tainted_run = d->run;
}

/* Nothing is done before the journal knows of it. */
void witness_check_unacted(struct life *life)
{
    census_count("rule", "4.4 journalled");
    if (life->witness.has_acted)
        rule_broken(life, "4.4 journalled", "a turn acts before it is in the journal");
}

static bool is_anything_reported(struct life *life)
{
    int64_t n = 0;

    return database_ask_number(&life->journal->database, "SELECT count(*) FROM reported", &n,
                               NULL) < 0 ||
           n > 0;
}

/* The first picture of an engine that has never reported anything is taken down in silence. */
static bool is_first_picture(struct life *life)
{
    return life->witness.sequence == 0 && !is_anything_reported(life);
}

/* It is in the journal as a whole or not at all; where another came before it, or stopd has died
 * since, it may be either one's. */
void witness_keep_picture(struct life *life)
{
    bool is_certain = life->witness.n_pictures == 1 && life->witness.n_crashes == 0;

    if (!life->witness.is_picture_due || !is_anything_reported(life))
        return;
    life->witness.is_picture_due = false;
    for (size_t i = 0; i < WITNESS_DOMAINS; i++)
        life->witness.domains[i].is_kept |= life->witness.domains[i].is_found && is_certain;
}

/* What is silent is the first that gets into the journal, however many tries that takes. */
static void take_down(struct life *life, const struct simulated_domain *d, const struct glimpse *g)
{
    struct seen_domain *seen = witness_domain(life, d);
    enum instance_state state;

    if (!seen->is_found)
        return;
    if (seen->chain != CHAIN_NEW || !g->is_defined ||
        (witness_find_row(life, d, &state) && state != STATE_PENDING)) {
        seen->is_found = seen->is_kept = false;
        return;
    }
    if (g->is_arriving) { /* it comes after the first picture */
        seen->is_found = seen->is_kept = false;
        return;
    }
    /* One that was said to be off may be reported or not when it is seen, or one that was on its
     * way off then and has begun anew; so may all where stopd has been started anew before the
     * picture was in the journal, or when all that it knew had left the host. */
    if (seen->found_run == 0) {
        seen->found_run = g->run;
        seen->is_found_dark = g->is_dark;
    }
    seen->is_unread |=
        !g->shows_run || g->run > seen->found_run ||
        (!seen->is_kept && (life->witness.n_pictures > 1 || life->witness.n_crashes > 0));
    /* That it was there is in the journal, though not as what. */
    if (seen->is_found_dark && seen->is_kept && g->shows_run && g->run == seen->found_run)
        seen->is_unread = false;
    seen->reported_run = seen->is_unread ? 0 : g->run;
    seen->accounted = g->run > 0 ? g->run - 1 : 0;
}

/* Of an attachment that is over, or will be when the engine looks at what has arrived: it counts
 * for nothing. */
static bool is_of_the_past(const struct life *life, const struct flight *f)
{
    return f->call->kind != CALL_CONNECT &&
           (f->session != life->world->session || !engine_is_attached(life->engine) ||
            life->lost_at <= life->now);
}

void witness_learned(struct life *life, const struct flight *f)
{
    bool is_first = f->call->kind == CALL_CONNECT && f->call->result == 0 && is_first_picture(life);
    const struct simulated_domain *pressed = f->call->kind == CALL_PRESS && f->call->result == 0
                                                 ? simulated_find(life->world, f->call->domain)
                                                 : NULL;
    struct ask *stop = pressed ? witness_operation(life, pressed) : NULL;
    size_t i = 0;

    witness_button_back(life, f->call, f->call->result == 0);
    if (is_of_the_past(life, f))
        return;
    if (stop)
        stop->is_just_taken = true;
    if (error_code_of(f->call->error) == ERROR_LOCKED_FOR_SECURITY)
        witness_held_back(life, f->call);
    life->witness.n_pictures += is_first;
    life->witness.is_picture_due |= is_first;
    for (const struct simulated_domain *d = life->world->domains; d; d = d->next, i++) {
        const struct glimpse *g = &f->glimpses[i];
        struct seen_domain *seen = &life->witness.domains[i];

        if (f->call->kind == CALL_CONNECT)
            seen->looked = LOOKED_NOT;
        else if (f->call->kind == CALL_LOOK &&
                 uuid_compare(d->definition->uuid, f->call->domain) == 0)
            seen->looked_at = life->now,
            seen->looked =
                f->call->result == 0 && g->is_off && !g->is_saved ? LOOKED_OFF : LOOKED_ELSE;
        if (f->call->kind == CALL_CONNECT
                ? f->call->result == 0
                : f->call->kind == CALL_LOOK &&
                      uuid_compare(d->definition->uuid, f->call->domain) == 0)
            seen->is_untold = g->version == 0;
        seen->is_found |= is_first && g->is_defined;
        if (is_first || g->version > 0)
            take_down(life, d, g);
        if (g->version == 0)
            continue;
        if (g->shows_run)
            seen->known_run = g->run;
        seen->is_arriving = g->is_arriving;
        if (g->shows_run && g->is_up && f->call->kind == CALL_LOOK)
            seen->shown_run = g->run;
        if (g->later_run)
            seen->past_run = g->later_run;
        if (g->goes_on)
            seen->ended_run = g->run;
        if (g->shows_run && g->is_up)
            seen->runs[g->run].was_crashed = g->is_crashed;
        if (g->shows_run && f->call->kind == CALL_LOOK)
            seen->is_shown_locked = seen->facts[g->version].is_locked;
        if (g->is_defined)
            seen->known_version = g->version;
        memcpy(seen->known_id, g->id, sizeof(seen->known_id));
    }
}

/* Whoever is not in a stop has its lifecycle actions as they were; after a button that came late,
 * in the end. */
void witness_check_lifecycle(struct life *life, const struct simulated_domain *d, bool is_end)
{
    bool is_up = simulated_is_present(d) && d->state != DOMAIN_ENDING;

    if (!is_up || (!is_end && witness_domain(life, d)->late_lock_run == d->run) ||
        witness_domain(life, d)->tainted_run == d->run || witness_operation(life, d) ||
        host_has_flight(life, d->definition->uuid))
        return;
    census_count("rule", "4.6 interlock");
    if (d->lifecycle.on_reboot != d->defined_lifecycle.on_reboot ||
        d->lifecycle.on_poweroff != d->defined_lifecycle.on_poweroff)
        rule_broken(life, "4.6 interlock",
                    "%s is in no stop, and its lifecycle actions are not put back", domain_word(d));
}

static bool is_queued(const struct life *life, const struct ask *a)
{
    const struct operation *op = engine_find_operation(life->engine, a->domain->definition->uuid);

    return op && op->stage == STAGE_QUEUED && !op->force_stop;
}

/* First come, first served. */
static void check_order(struct life *life)
{
    for (struct ask *a = life->witness.asks; a; a = a->next) {
        const struct operation *op =
            ask_is_under_way(a) ? engine_find_operation(life->engine, a->domain->definition->uuid)
                                : NULL;

        if (!op || op->stage == STAGE_QUEUED || a->has_begun)
            continue;
        a->has_begun = true;
        for (const struct ask *b = life->witness.asks; b && op->stage == STAGE_SHUTTING_DOWN;
             b = b->next)
            if (ask_is_under_way(b) && b->place < a->place && is_queued(life, b))
                rule_broken(life, "2 first come", "%.8s has its turn before %.8s, which came first",
                            a->request_id, b->request_id);
    }
}

/* Contract 4.5: with what it waits for. */
static void check_said(struct life *life)
{
    for (const struct simulated_domain *d = life->world->domains; d; d = d->next) {
        const struct operation *op = engine_find_operation(life->engine, d->definition->uuid);

        if (op && !is_set(op->detail) &&
            (op->stage == STAGE_QUARANTINED || text_equal(operation_phase(op), "blocked")))
            rule_broken(life, "4.5 open", "the stop of %s is %s, and does not say by what",
                        domain_word(d), operation_phase(op));
    }
}

static void check_parallel(struct life *life)
{
    unsigned n = 0;

    for (const struct simulated_domain *d = life->world->domains; d; d = d->next) {
        const struct operation *op = engine_find_operation(life->engine, d->definition->uuid);

        n += op && op->stage == STAGE_SHUTTING_DOWN;
    }
    /* One that was said to be off, or has crashed, leaves its place to another, and may be back. */
    if (life->parallel_most && n > life->parallel_most && !life->has_misjudged && !life->has_crash)
        rule_broken(life, "2 stop.parallel", "%u guests are in shutdown at once, %u may be", n,
                    life->parallel_most);
}

/* A loss is learned before anything else of its turn. */
void witness_keep_taken(struct life *life, bool is_kept)
{
    bool counts = is_kept && life->engine && engine_is_attached(life->engine);

    for (struct ask *a = life->witness.asks; a; a = a->next) {
        a->is_taken |= counts && a->is_just_taken;
        a->is_just_taken = false;
    }
}

void witness_turn(struct life *life)
{
    witness_keep_taken(life, !life->witness.has_failed);
    witness_check_reports(life);
    check_said(life);
    check_parallel(life);
    check_order(life);
    for (size_t i = 0; i < WITNESS_DOMAINS; i++) {
        struct seen_domain *seen = &life->witness.domains[i];

        seen->was_untold = seen->is_untold;
        seen->settled_run = seen->known_run;
        seen->settled_version = seen->known_version;
        if (seen->shown_run > 0 && !life->witness.has_failed)
            seen->met_run = seen->shown_run;
        if (seen->past_run > 0 && !life->witness.has_failed)
            seen->later_run = seen->past_run;
        if (seen->ended_run > 0 && !life->witness.has_failed)
            seen->runs[seen->ended_run].is_told = true;
        seen->shown_run = seen->past_run = seen->ended_run = 0;
    }
    life->witness.has_failed = false;
    if (!engine_is_attached(life->engine))
        return;
    for (const struct simulated_domain *d = life->world->domains; d; d = d->next)
        witness_check_lifecycle(life, d, false);
}
