/* asks.c - what is asked of stopd: stops, repeats, contradictions, cancels, looks
 *
 * A command goes the way that the edges' do: as parameters through command_parse(). A ClientToken
 * comes back, mostly with the same parameters, sometimes with others.
 */
#include "simulation/life.h"
#include "simulation/sink.h"
#include "simulation/sinks.h"

#include <stdio.h>
#include <string.h>

#define TOKENS 4 /* of each caller */
#define PRINCIPAL "simulator"

static const char *const callers[] = {PRINCIPAL, "somebody else", "root"};

static struct ask *new_ask(struct life *life, struct request *r)
{
    struct ask *ask = calloc(1, sizeof(*ask));

    if (!ask)
        abort();
    ask->life = life;
    ask->kind = r->kind;
    memcpy(ask->request_id, r->request_id, sizeof(ask->request_id));
    ask->asked_at = life->now;
    ask->next = life->witness.asks;
    life->witness.asks = ask;
    r->userdata = ask;
    return ask;
}

static void on_reply(struct request *r, struct answer *a)
{
    struct ask *ask = r->userdata;
    struct life *life = ask->life;

    life->requests_out--;
    if (host_point(life, "a reply")) {
        if (!a)
            abort();
        tell(life, "answer to %.8s: %s%s%s", ask->request_id,
             a->code ? error_public_code(a->code) : "OK", a->message ? ": " : "",
             a->message ? a->message : "");
        witness_answered(ask, a);
    }
    answer_free(a);
    request_free(r);
}

static void send(struct life *life, struct request *r)
{
    life->requests_out++;
    r->reply = on_reply;
    engine_take_request(life->engine, r);
    life->has_arrivals = true;
}

static struct ask *choose_operation(struct life *life, bool is_any)
{
    struct ask *chosen = NULL;
    uint32_t n = 0;

    for (struct ask *a = life->witness.asks; a; a = a->next)
        if ((a->kind == REQUEST_STOP || (is_any && a->kind == REQUEST_CLEAR)) &&
            dice_below(&life->dice, ++n) == 0)
            chosen = a;
    return chosen;
}

static struct ask *choose_stop(struct life *life)
{
    return choose_operation(life, false);
}

/* --- StopInstance --------------------------------------------------------------------------- */

static const struct ask *first_with_token(const struct life *life, unsigned token)
{
    const struct ask *first = NULL;

    for (const struct ask *a = life->witness.asks; a; a = a->next)
        if (a->kind == REQUEST_STOP && a->token == token)
            first = a;
    return first;
}

static void repeat(struct ask *ask, const struct ask *first)
{
    ask->domain = first->domain;
    ask->force = first->force;
    ask->is_dry = first->is_dry;
    ask->confirms = first->confirms;
    ask->hibernates = first->hibernates;
    ask->asks_mode = first->asks_mode;
    ask->overrides_lock = first->overrides_lock;
    ask->overrides_arrears = first->overrides_arrears;
    ask->asks_on_timeout = first->asks_on_timeout;
    ask->asks_grace = first->asks_grace;
}

/* An operator's, of a guest that cannot be stopped otherwise; now and then of any, or by somebody
 * who may not. */
static void choose_override(struct life *life, struct ask *ask)
{
    const struct instance *i = ask->domain->definition;
    bool is_needed = i->n_locks > 0 || i->account != ACCOUNT_OK;
    bool is_root = text_equal(callers[ask->caller], "root");
    unsigned which;

    if (!dice_percent(&life->dice, is_root ? (is_needed ? 80 : 30) : 1))
        return;
    which = 1 + dice_below(&life->dice, 3);
    ask->overrides_lock = which & 1;
    ask->overrides_arrears = which & 2;
}

/* What this command asks for; a repeated one mostly what it asked for before. */
static void choose_stop_parameters(struct life *life, struct ask *ask)
{
    struct dice *dice = &life->dice;
    const struct ask *first;

    ask->caller = dice_percent(dice, 15) ? 1 + dice_below(dice, ELEMENTSOF(callers) - 1) : 0;
    ask->token = dice_percent(dice, 35) ? 1 + ask->caller * TOKENS + dice_below(dice, TOKENS) : 0;
    first = ask->token ? first_with_token(life, ask->token) : NULL;
    if (first && first != ask && dice_percent(dice, 75)) {
        repeat(ask, first);
        return;
    }
    ask->force = dice_percent(dice, 25);
    ask->asks_on_timeout = (enum timeout_action)dice_below(dice, ON_TIMEOUT_MAX);
    ask->asks_grace = dice_percent(dice, 50) ? 1 + dice_below(dice, 40) : 0;
    ask->is_dry = dice_percent(dice, 4);
    ask->confirms = dice_percent(dice, 95);
    ask->hibernates = dice_percent(dice, 2);
    if (dice_percent(dice, 30))
        ask->asks_mode = (enum stopped_mode)dice_below(dice, STOPPED_MODE_MAX);
    choose_override(life, ask);
}

static void add(struct parameters *p, const char *name, const char *value)
{
    if (parameters_add(p, name, value) < 0)
        abort();
}

/* What the outside calls the domain. Where that changes, what stopd has last heard; else a command
 * could be for another domain by now. */
static const char *id_of(struct life *life, const struct simulated_domain *d,
                         char text[static UUID_TEXT_SIZE])
{
    const char *known = witness_domain(life, d)->known_id;

    if (!life->temper.has_identity_changes)
        return instance_public_id(d->definition);
    uuid_unparse_lower(d->definition->uuid, text);
    return *known ? known : text;
}

static void write_parameters(struct ask *ask, struct parameters *p)
{
    char text[64];

    snprintf(ask->named, sizeof(ask->named), "%s", id_of(ask->life, ask->domain, text));
    add(p, "InstanceId", ask->named);
    add(p, "ForceStop", ask->force ? "true" : "false");
    if (ask->confirms)
        add(p, "ConfirmStop", "true");
    if (ask->asks_mode != STOPPED_MODE_UNSET)
        add(p, "StoppedMode", stopped_mode_to_string(ask->asks_mode));
    if (ask->hibernates)
        add(p, "Hibernate", "true");
    if (ask->overrides_lock || ask->overrides_arrears)
        add(p, "Override",
            !ask->overrides_arrears ? "lock"
            : !ask->overrides_lock  ? "arrears"
                                    : "lock,arrears");
    if (ask->asks_on_timeout != ON_TIMEOUT_UNSET)
        add(p, "OnGraceTimeout", ask->asks_on_timeout == ON_TIMEOUT_FORCE ? "Force" : "Fail");
    if (ask->asks_grace > 0) {
        snprintf(text, sizeof(text), "%u", ask->asks_grace);
        add(p, "GracePeriod", text);
    }
    if (ask->token) {
        snprintf(text, sizeof(text), "token-%u", 1 + (ask->token - 1) % TOKENS);
        add(p, "ClientToken", text);
    }
    if (ask->is_dry)
        add(p, "DryRun", "true");
}

/* What holds for it in the end, by the contract's order: command, metadata, configuration. */
static void resolve_policy(const struct life *life, struct ask *ask)
{
    const struct stop_policy *own = &ask->domain->definition->stop;
    const struct stop_policy *house = &life->settings.policy.stop;
    enum timeout_action action = ask->asks_on_timeout ? ask->asks_on_timeout
                                 : own->on_timeout    ? own->on_timeout
                                                      : house->on_timeout;

    ask->force_on_timeout = action == ON_TIMEOUT_FORCE;
    ask->grace = ask->asks_grace ? ask->asks_grace * USEC_PER_SEC
                 : own->grace    ? own->grace
                                 : house->grace;
    ask->method = own->method ? own->method : house->method;
    ask->resend = life->settings.policy.resend;
}

static void tell_stop(const struct life *life, const struct ask *ask)
{
    tell(life,
         "%s: StopInstance %.8s%s%s by %s, token %u, grace %u s, on timeout '%s', mode '%s'%s",
         domain_word(ask->domain), ask->request_id, ask->force ? " by force" : "",
         ask->is_dry ? ", dry" : "", callers[ask->caller], ask->token, ask->asks_grace,
         timeout_action_to_string(ask->asks_on_timeout), stopped_mode_to_string(ask->asks_mode),
         ask->overrides_lock || ask->overrides_arrears ? ", overriding" : "");
}

static void send_stop(struct life *life, struct simulated_domain *d, bool is_by_force)
{
    struct request *r = d ? request_new(REQUEST_STOP) : NULL;
    struct parameters p = {0};
    _cleanup_(error_free) struct error *error = NULL;
    struct ask *ask;

    if (!d)
        return;
    if (!r)
        abort();
    ask = new_ask(life, r);
    ask->domain = d;
    choose_stop_parameters(life, ask);
    if (is_by_force) {
        ask->domain = d;
        ask->force = true;
        ask->token = 0;
    }
    resolve_policy(life, ask);
    ask->run = witness_domain(life, ask->domain)->settled_run;
    ask->asked_version = witness_domain(life, ask->domain)->settled_version;
    write_parameters(ask, &p);
    memcpy(r->command.request_id, r->request_id, sizeof(r->command.request_id));
    snprintf(r->principal.name, sizeof(r->principal.name), "%s", callers[ask->caller]);
    r->principal.may_change = true;
    r->principal.is_local_root = ask->is_by_root = text_equal(callers[ask->caller], "root");
    r->command.principal = r->principal;
    tell_stop(life, ask);
    (void)command_parse(&p, &r->command, &error);
    parameters_clear(&p);
    witness_parsed(life, ask, error);
    if (error) {
        request_free(r);
        return;
    }
    (void)text_replace(&ask->fingerprint, r->command.fingerprint);
    send(life, r);
}

void ask_stop(struct life *life, struct simulated_domain *d)
{
    send_stop(life, d, false);
}

void ask_force(struct life *life, struct simulated_domain *d)
{
    send_stop(life, d, true);
}

/* --- The rest ------------------------------------------------------------------------------- */

/* Contract 4.7: the disks of an instance that is off. */
void ask_clear(struct life *life, struct simulated_domain *d)
{
    struct request *r = d ? request_new(REQUEST_CLEAR) : NULL;
    char uuid[UUID_TEXT_SIZE] = "";
    struct ask *ask;

    if (!d)
        return;
    if (!r)
        abort();
    ask = new_ask(life, r);
    ask->domain = d;
    r->confirm = ask->is_confirmed = dice_percent(&life->dice, 85);
    snprintf(r->principal.name, sizeof(r->principal.name), "%s", PRINCIPAL);
    if (life->temper.has_identity_changes) /* else it could be another's by now */
        uuid_unparse_lower(d->definition->uuid, uuid);
    (void)text_replace(&r->instance_id, *uuid ? uuid : instance_public_id(d->definition));
    tell(life, "%s: clear its kept disks, %.8s", domain_word(ask->domain), ask->request_id);
    send(life, r);
}

static bool ask_about_operation(struct life *life, struct ask *stop, enum request_kind kind)
{
    struct request *r;
    struct ask *ask;

    if (!stop)
        return false;
    r = request_new(kind);
    if (!r)
        abort();
    ask = new_ask(life, r);
    ask->about = stop;
    ask->domain = stop->domain;
    snprintf(r->principal.name, sizeof(r->principal.name), "%s", PRINCIPAL);
    (void)text_replace(&r->operation_id, stop->request_id);
    if (kind == REQUEST_WAIT_OPERATION)
        r->wait = dice_between(&life->dice, 0, 60 * USEC_PER_SEC);
    ask->deadline = life->now + r->wait;
    tell(life, "%s %.8s of %.8s",
         kind == REQUEST_CANCEL  ? "cancel"
         : kind == REQUEST_RETRY ? "retry"
                                 : "wait for the end",
         ask->request_id, stop->request_id);
    if (kind == REQUEST_RETRY)
        witness_retry_asked(life, ask);
    send(life, r);
    return true;
}

bool ask_about(struct life *life, const struct simulated_domain *d, enum request_kind kind)
{
    return ask_about_operation(life, witness_operation(life, d), kind);
}

static void ask_plainly(struct life *life, enum request_kind kind)
{
    struct simulated_domain *d = kind == REQUEST_INSTANCE ? cast_any(life) : NULL;
    bool is_about_nobody = kind == REQUEST_INSTANCE && !d;
    struct request *r = is_about_nobody ? NULL : request_new(kind);
    struct ask *ask;

    if (is_about_nobody)
        return;
    if (!r)
        abort();
    ask = new_ask(life, r);
    ask->domain = d;
    if (d)
        (void)text_replace(&r->instance_id, instance_public_id(d->definition));
    if (kind == REQUEST_WAIT_EVENTS) {
        r->after = life->witness.sequence;
        r->wait = dice_between(&life->dice, 0, 60 * USEC_PER_SEC);
    }
    ask->after = r->after;
    ask->deadline = life->now + r->wait;
    send(life, r);
}

/* --- What an operator wants of sinks --------------------------------------------------------- */

/* A dead letter of it, if it has one. */
static uint64_t any_letter(struct life *life, const struct sink *s)
{
    uint64_t chosen = 1 + dice_below(&life->dice, (uint32_t)s->n + 2);

    for (uint32_t i = 0, n = 0; i < s->n; i++)
        if (s->seen[i].letter != LETTER_NONE && dice_below(&life->dice, ++n) == 0)
            chosen = i + 1;
    return chosen;
}

/* The events behind any that it has got; or dead letters, mostly one that there is. */
static void choose_wish(struct life *life, struct request *r, struct sink *s)
{
    bool is_of_all = dice_percent(&life->dice, 50);

    if (r->kind == REQUEST_REWIND_SINK)
        r->after = s ? dice_below(&life->dice, (uint32_t)s->n + 2) : 1;
    else
        r->after = is_of_all || !s ? 0 : any_letter(life, s);
    /* Who wants letters sent again has seen to it that they are taken, or thinks so. */
    if (s && r->kind != REQUEST_DROP_LETTERS)
        s->is_mended = dice_percent(&life->dice, 60);
}

static void ask_sink(struct life *life)
{
    static const enum request_kind kinds[] = {REQUEST_REWIND_SINK, REQUEST_REWIND_SINK,
                                              REQUEST_REPLAY_LETTERS, REQUEST_REPLAY_LETTERS,
                                              REQUEST_DROP_LETTERS};
    static const char *const words[REQUEST_KIND_MAX] = {[REQUEST_REWIND_SINK] = "events again",
                                                        [REQUEST_REPLAY_LETTERS] = "letters again",
                                                        [REQUEST_DROP_LETTERS] = "letters dropped"};
    size_t n;
    const char *const *names = sinks_names(life, &n);
    struct request *r = request_new(kinds[dice_below(&life->dice, ELEMENTSOF(kinds))]);
    const char *name =
        dice_percent(&life->dice, 4) ? "nowhere" : names[dice_below(&life->dice, (uint32_t)n)];
    struct ask *ask;

    if (!r)
        abort();
    choose_wish(life, r, sinks_find(life, name));
    (void)text_replace(&r->sink, name);
    ask = new_ask(life, r);
    ask->after = r->after;
    snprintf(ask->named, sizeof(ask->named), "%s", name);
    snprintf(r->principal.name, sizeof(r->principal.name), "%s", PRINCIPAL);
    tell(life, "sink %s: %s, %llu, %.8s", name, words[r->kind], (unsigned long long)r->after,
         ask->request_id);
    send(life, r);
}

void ask_something(struct life *life)
{
    static const enum request_kind plain[] = {REQUEST_INSTANCES, REQUEST_INSTANCE,
                                              REQUEST_WAIT_EVENTS, REQUEST_READY, REQUEST_METRICS};
    uint32_t at = dice_below(&life->dice, 100);

    if (!life->engine)
        return;
    if (life->temper.has_operator && dice_percent(&life->dice, 50))
        ask_sink(life);
    else if (life->temper.has_local_storage && dice_percent(&life->dice, 8))
        ask_clear(life, cast_any(life));
    else if (at < 70)
        ask_stop(life, cast_any(life));
    else if (at < 82)
        (void)ask_about_operation(life, choose_stop(life), REQUEST_CANCEL);
    else if (at < 90)
        (void)ask_about_operation(life, choose_stop(life), REQUEST_WAIT_OPERATION);
    else if (at < 94 && life->temper.has_local_storage)
        ask_clear(life, cast_any(life));
    else if (at < (life->temper.has_bad_disks ? 100 : 97) && life->temper.has_local_storage)
        (void)ask_about_operation(life, choose_operation(life, true), REQUEST_RETRY);
    else
        ask_plainly(life, plain[at % ELEMENTSOF(plain)]);
}
