/* witness.c - the rules that hold between what was asked and what happens in the world
 *
 * Theory of operation. The world tells of each act at the moment of its effect, and the witness
 * asks whether anybody had consented to it: by a command that it knows of, that was meant for this
 * run of the domain, and that is not over. It counts each grace by itself, from the first button
 * that the world took, only while stopd runs and the hypervisor is at hand. The engine starts
 * counting later than that, never earlier, so what it counts can only be less.
 *
 * What the journal says is witness-journal.c's.
 */
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

/* --- Consent -----------------------------------------------------------------------------------
 */

/* Was this command meant for this run, and does it still stand? */
static bool stands_for(const struct life *life, const struct ask *a,
                       const struct simulated_domain *d, unsigned run)
{
    return a->kind == REQUEST_STOP && a->domain == d && !a->is_dry && !a->is_void &&
           (!life->world->has_processes || a->run == run);
}

static bool is_under_way(const struct ask *a)
{
    return a->is_operation && !a->is_ended;
}

static bool grace_has_run(const struct ask *a)
{
    return a->is_pressed && a->counted >= a->grace;
}

/* Nothing runs in a guest that has crashed that could lose anything. That another hand resets it
 * between the look that saw it crashed and the cut is a risk that remains. */
static bool has_crashed(struct life *life, const struct simulated_domain *d)
{
    return d->state == DOMAIN_CRASHED || witness_domain(life, d)->is_known_crashed;
}

static bool has_consented(struct life *life, const struct simulated_domain *d, unsigned run)
{
    for (const struct ask *a = life->witness.asks; a; a = a->next) {
        if (!stands_for(life, a, d, run))
            continue;
        if (a->force)
            return true;
        if (!is_under_way(a))
            continue;
        if (a->force_on_timeout && !a->is_cancelled && grace_has_run(a))
            return true;
        if (has_crashed(life, d))
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

static struct ask *operation_of(const struct life *life, const struct simulated_domain *d)
{
    for (struct ask *a = life->witness.asks; a; a = a->next)
        if (a->kind == REQUEST_STOP && a->domain == d && is_under_way(a))
            return a;
    return NULL;
}

/* --- What happens in the world -----------------------------------------------------------------
 */

static void see_press(struct life *life, struct simulated_domain *d, unsigned run)
{
    struct ask *a = operation_of(life, d);

    if (d->manners.cannot_interlock)
        witness_domain(life, d)->unlocked_run = run;
    if (life->executing->is_written_off)
        return; /* of a stop that may be over by now; nobody can call it back */
    if (!somebody_asked(life, d, run))
        rule_broken(life, "4.6 incarnation", "run %u of %s felt a button that nobody asked for",
                    run, domain_word(d));
    if (a && !a->is_pressed) {
        a->is_pressed = true;
        a->counted = 0;
    }
}

static void see_cut(struct life *life, struct simulated_domain *d, unsigned run)
{
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

/* A guest that reboots on the button ends off. */
static void see_reboot(struct life *life, struct simulated_domain *d, unsigned run)
{
    const struct seen_domain *seen = witness_domain(life, d);
    const struct ask *a = operation_of(life, d);

    if (!a || !a->is_pressed || a->is_cancelled || grace_has_run(a) || seen->unlocked_run == run ||
        seen->tainted_run == run || a->run != run)
        return;
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
        see_press(life, d, run);
        break;
    case HAPPENED_CUT:
        see_cut(life, d, run);
        break;
    case HAPPENED_LOCKED:
        if (meddles(life) || !operation_of(life, d))
            seen->tainted_run = run;
        break;
    case HAPPENED_RESTORED:
        if (meddles(life))
            seen->tainted_run = run;
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
        if (d->state == DOMAIN_ABSENT || seen->runs[run].cause == END_MIGRATED)
            seen->chain_is_open = true;
        break;
    case HAPPENED_DEFINED:
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
        if (a->is_pressed && is_under_way(a))
            a->counted += passed;
}

/* --- What the engine does ----------------------------------------------------------------------
 */

static void check_cancelled(struct life *life, const struct call *c,
                            const struct simulated_domain *d)
{
    const struct ask *a = operation_of(life, d);

    if (c->kind == CALL_PRESS && a && a->is_cancelled)
        rule_broken(life, "4.5 cancel", "%s is pressed after its stop was cancelled",
                    domain_word(d));
}

void witness_call(struct life *life, const struct call *c)
{
    struct simulated_domain *d = simulated_find(life->world, c->domain);

    tell(life, "call: %s%s%s", call_kind_to_string(c->kind), d ? " " : "", d ? domain_word(d) : "");
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
    if (c->kind == CALL_RESTORE && d->manners.refuses_restore)
        witness_domain(life, d)->tainted_run = d->run;
}

/* The first picture of an engine that has never reported anything is taken down in silence. */
static bool is_first_picture(struct life *life)
{
    int64_t n = 0;

    return life->witness.sequence == 0 &&
           database_ask_number(&life->journal->database, "SELECT count(*) FROM reported", &n,
                               NULL) == 0 &&
           n == 0;
}

/* What is silent is the first that gets into the journal, however many tries that takes. */
static void take_down(struct life *life, const struct simulated_domain *d, const struct glimpse *g)
{
    struct seen_domain *seen = witness_domain(life, d);
    enum instance_state state;

    if (!seen->is_found)
        return;
    if (seen->chain != CHAIN_NEW || !g->is_defined || witness_find_row(life, d, &state)) {
        seen->is_found = false;
        return;
    }
    /* One that could not be read may be reported or not when it is; so may all where stopd has been
     * started anew before the picture was whole, or when all that it knew had left the host. */
    seen->is_unread |= !g->shows_run || life->witness.n_pictures > 1 || life->witness.n_crashes > 0;
    seen->reported_run = seen->is_unread ? 0 : g->run;
    seen->accounted = g->run > 0 ? g->run - 1 : 0;
}

void witness_learned(struct life *life, const struct flight *f)
{
    bool is_first = f->call->kind == CALL_CONNECT && f->call->result == 0 && is_first_picture(life);
    size_t i = 0;

    if (f->call->kind != CALL_CONNECT && f->session != life->world->session)
        return; /* of an attachment that is over: it counts for nothing */
    life->witness.n_pictures += is_first;
    for (const struct simulated_domain *d = life->world->domains; d; d = d->next, i++) {
        const struct glimpse *g = &f->glimpses[i];
        struct seen_domain *seen = &life->witness.domains[i];

        seen->is_found |= is_first && g->is_defined;
        if (is_first || g->version > 0)
            take_down(life, d, g);
        if (g->version == 0)
            continue;
        if (g->shows_run)
            seen->known_run = g->run;
        seen->is_known_crashed = g->is_crashed;
        seen->known_version = g->version;
        memcpy(seen->known_id, g->id, sizeof(seen->known_id));
    }
}

/* Whoever is not in a stop has its lifecycle actions as they were. */
static void check_lifecycle(struct life *life, const struct simulated_domain *d)
{
    bool is_up = simulated_is_present(d) && d->state != DOMAIN_ENDING;

    if (!is_up || witness_domain(life, d)->tainted_run == d->run || operation_of(life, d) ||
        host_has_flight(life, d->definition->uuid))
        return;
    if (d->lifecycle.on_reboot != d->defined_lifecycle.on_reboot ||
        d->lifecycle.on_poweroff != d->defined_lifecycle.on_poweroff)
        rule_broken(life, "4.6 interlock",
                    "%s is in no stop, and its lifecycle actions are not put back", domain_word(d));
}

static void check_parallel(struct life *life)
{
    unsigned n = 0;

    for (const struct simulated_domain *d = life->world->domains; d; d = d->next) {
        const struct operation *op = engine_find_operation(life->engine, d->definition->uuid);

        n += op && op->stage == STAGE_SHUTTING_DOWN;
    }
    /* One that was said to be off leaves its place to another, and is back. */
    if (life->parallel_most && n > life->parallel_most && !life->has_misjudged)
        rule_broken(life, "2 stop.parallel", "%u guests are in shutdown at once, %u may be", n,
                    life->parallel_most);
}

void witness_turn(struct life *life)
{
    check_parallel(life);
    for (size_t i = 0; i < WITNESS_DOMAINS; i++)
        life->witness.domains[i].settled_run = life->witness.domains[i].known_run;
    if (!engine_is_attached(life->engine))
        return;
    for (const struct simulated_domain *d = life->world->domains; d; d = d->next)
        check_lifecycle(life, d);
}

/* --- Answers -----------------------------------------------------------------------------------
 */

static bool is_durable(struct life *life, const char *request_id)
{
    char operation[UUID_TEXT_SIZE];

    return sqlite3_get_autocommit(life->journal->database.sqlite) &&
           journal_resolve(life->journal, request_id, operation, NULL) > 0;
}

/* What a token was answered with, and what with an answer that is not known may have been. */
static void check_token(struct life *life, const struct ask *ask)
{
    bool was_sent = false;

    for (const struct ask *a = life->witness.asks; a; a = a->next) {
        if (a->kind != REQUEST_STOP || a->token != ask->token)
            continue;
        was_sent |= text_equal(a->request_id, ask->answer_id);
        if (a == ask || !a->is_answered || a->code != ERROR_NONE)
            continue;
        if (!text_equal(a->fingerprint, ask->fingerprint))
            rule_broken(life, "3 ClientToken", "token %u is accepted with other parameters",
                        ask->token);
        else if (!text_equal(a->answer_id, ask->answer_id))
            rule_broken(life, "3 ClientToken", "token %u is answered with another RequestId",
                        ask->token);
    }
    if (!was_sent)
        rule_broken(life, "3 ClientToken", "token %u is answered with a RequestId from nowhere",
                    ask->token);
}

/* A known token is never refused, save where the journal could not be asked. */
static void check_refused_token(struct life *life, const struct ask *ask)
{
    enum error_code expected;

    for (const struct ask *a = life->witness.asks; a; a = a->next) {
        if (a->kind != REQUEST_STOP || a->token != ask->token || !a->is_answered ||
            a->code != ERROR_NONE)
            continue;
        expected = text_equal(a->fingerprint, ask->fingerprint) ? ERROR_NONE : ERROR_TOKEN_MISMATCH;
        if (ask->code != expected && ask->code != ERROR_UNAVAILABLE && ask->code != ERROR_INTERNAL)
            rule_broken(life, "3 ClientToken", "token %u is known, and refused as %s", ask->token,
                        error_public_code(ask->code));
    }
}

static void see_stop_answered(struct life *life, struct ask *ask)
{
    if (ask->code != ERROR_NONE) {
        ask->is_void |= ask->code != ERROR_INTERNAL; /* then it may be in the journal */
        if (ask->token && !life->temper.is_forgetful)
            check_refused_token(life, ask);
        return;
    }
    if (!is_durable(life, ask->answer_id))
        rule_broken(life, "3 durable", "%.8s is answered OK and is not in the journal",
                    ask->answer_id);
    if (ask->token && !life->temper.is_forgetful)
        check_token(life, ask);
    if (!text_equal(ask->answer_id, ask->request_id))
        ask->is_void = true; /* the first one's consent stands, this one brings no other */
    else if (ask->force && !ask->is_operation && operation_of(life, ask->domain))
        operation_of(life, ask->domain)->is_escalated = true;
}

static void check_instances(struct life *life, json_object *body)
{
    json_object *array = NULL, *state, *certain, *uuid;

    if (!json_object_object_get_ex(body, "instances", &array))
        return;
    for (size_t i = 0; i < json_object_array_length(array); i++) {
        static const char *const words[] = {NULL, "Running", "Stopping", "Stopped"};
        json_object *item = json_object_array_get_idx(array, i);
        const struct simulated_domain *d;
        const struct seen_domain *seen;
        uuid_t id;

        if (!json_object_object_get_ex(item, "uuid", &uuid) ||
            uuid_parse(json_object_get_string(uuid), id) < 0 ||
            !json_object_object_get_ex(item, "state", &state) ||
            !json_object_object_get_ex(item, "certain", &certain)) {
            rule_broken(life, "5 instances", "an instance is not whole");
            return;
        }
        d = simulated_find(life->world, id);
        seen = witness_domain(life, d);
        if (!engine_is_attached(life->engine) && json_object_get_boolean(certain))
            rule_broken(life, "4 certain", "%s is certain while nobody can be asked",
                        domain_word(d));
        if (!life->temper.has_identity_changes && !seen->chain_is_open &&
            seen->chain != CHAIN_NEW &&
            !text_equal(json_object_get_string(state), words[seen->chain]))
            rule_broken(life, "4 state", "%s is shown as %s and was reported as %s", domain_word(d),
                        json_object_get_string(state), words[seen->chain]);
    }
}

static void see_cancel_answered(struct life *life, struct ask *ask)
{
    struct ask *a = operation_of(life, ask->domain);

    if (ask->code == ERROR_NONE && a)
        a->is_cancelled = true;
}

static void check_waited(struct life *life, const struct ask *ask)
{
    bool is_over = life->now >= ask->deadline || life->is_ending || !life->engine;

    if (ask->code != ERROR_NONE || is_over)
        return;
    if (ask->kind == REQUEST_WAIT_EVENTS && life->witness.sequence <= ask->after)
        rule_broken(life, "5 wait", "an answer for events comes without any");
    if (ask->kind == REQUEST_WAIT_OPERATION && is_under_way(ask->about))
        rule_broken(life, "5 wait", "the end of %.8s is answered before it",
                    ask->about->request_id);
}

void witness_answered(struct ask *ask, const struct answer *a)
{
    struct life *life = ask->life;

    if (ask->is_answered)
        rule_broken(life, "5 answers", "%.8s is answered twice", ask->request_id);
    ask->is_answered = true;
    ask->code = a->code;
    memcpy(ask->answer_id, a->request_id, sizeof(ask->answer_id));
    switch (ask->kind) {
    case REQUEST_STOP:
        see_stop_answered(life, ask);
        break;
    case REQUEST_CANCEL:
        see_cancel_answered(life, ask);
        break;
    case REQUEST_CLEAR:
        if (ask->code == ERROR_NONE && !is_durable(life, ask->answer_id))
            rule_broken(life, "3 durable",
                        "the clear %.8s is answered OK and is not in the journal", ask->answer_id);
        break;
    case REQUEST_RETRY:
        break;
    case REQUEST_INSTANCES:
        check_instances(life, a->body);
        break;
    default:
        check_waited(life, ask);
        break;
    }
}

void witness_forsake(struct life *life)
{
    for (struct ask *a = life->witness.asks; a; a = a->next)
        a->is_forsaken |= !a->is_answered;
}

void witness_restarted(struct life *life)
{
    for (struct ask *a = life->witness.asks; a; a = a->next) {
        bool is_there = a->kind == REQUEST_STOP && is_durable(life, a->request_id);

        if (a->kind != REQUEST_STOP)
            continue;
        if (a->is_answered && a->code == ERROR_NONE && !is_durable(life, a->answer_id) &&
            !life->temper.is_forgetful)
            rule_broken(life, "4.5 durable", "%.8s was accepted and is forgotten after a restart",
                        a->answer_id);
        if ((a->is_forsaken || a->code == ERROR_INTERNAL) && !is_there)
            a->is_void = true; /* it never was */
    }
    witness_check_reported(life);
}
