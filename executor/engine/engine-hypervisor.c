/* engine-hypervisor.c - calls to the hypervisor, one at a time for a domain, and what they bring
 *
 * Theory of operation. What is wanted of a domain goes out as a call, the strongest first; what is
 * wanted meanwhile waits. What a look brings is taken into the picture; then it is an input of the
 * domain's operation, or, where there is none, is compared with what was last reported. The result
 * of a call that began before the last attachment counts for nothing.
 */
#include "engine/engine-internal.h"

#include "stopd/log-message-ids.h"
#include "stopd/log.h"

/* What an agent may take of the time for a shutdown before the next button; longer than a broken
 * connection goes unnoticed, so that silence is the agent's. */
#define AGENT_BUDGET (20 * USEC_PER_SEC)
/* Until a call is tried for which there was no memory. */
#define DISPATCH_AGAIN (10 * USEC_PER_SEC)

/* --- What a look brings ---------------------------------------------------------------------- */

/* Nothing tells that a migration has failed, and until that is seen stops are refused. */
static void look_how_it_migrates(struct engine *e, struct domain *d)
{
    d->next_look = e->now.monotonic + LOOK_MIGRATING;
    engine_stage_domain(e, d);
}

/* One that is on its way off says nothing of how it was before. */
static void note_how_it_stood(struct domain *d, const struct sighting *s)
{
    if (s->state == DOMAIN_ENDING)
        return;
    d->has_stood =
        s->state == DOMAIN_RUNNING || s->state == DOMAIN_PAUSED || s->state == DOMAIN_PMSUSPENDED;
    d->stood = s->incarnation;
}

/* The picture is taken down at once: it is no part of the transaction, and a look made it. */
void engine_take_picture(struct engine *e, struct domain *d, struct sighting *s)
{
    d->certain = s->state != DOMAIN_UNKNOWN;
    d->is_untold = !d->certain;
    d->forget = false; /* whoever cannot be seen now may be back */
    /* Of one that is gone the last definition is kept until its end has been reported. */
    if (s->instance && inventory_define(&e->inventory, d, take(s->instance)) < 0)
        e->turn_failed = true;
    if (!d->certain)
        return;
    d->seen = s->state;
    note_how_it_stood(d, s);
    /* An image in a file of its own has no mark but the cause, which is forgotten with libvirtd and
     * by a start that fails; what was known before holds then, for no run has been seen since. */
    d->is_filed = s->state == DOMAIN_OFF && !s->has_managed_save &&
                  (s->cause == END_SAVED ||
                   ((s->cause == END_UNKNOWN || s->cause == END_FAILED) && d->is_filed));
    d->is_saved = s->has_managed_save || d->is_filed;
    d->in_migration = s->in_migration;
    d->way = s->way;
    d->incarnation = s->incarnation;
    engine_note_start(e, d);
}

void engine_take_sighting(struct engine *e, struct domain *d, struct sighting *s,
                          const struct error *error)
{
    const struct operation *op = engine_operation_now(d);
    struct input in = {.sighting = s,
                       .error = error,
                       .has_stood =
                           op && d->has_stood && incarnation_equal(&d->stood, &op->incarnation)};
    bool is_clear = op && op->action == ACTION_CLEAR;

    engine_take_picture(e, d, s);
    if (!op) {
        engine_settle_unasked(e, d, s);
        if (s->in_migration)
            look_how_it_migrates(e, d);
        return;
    }
    in.kind = operation_weigh(op, s);
    in.definition = d->instance; /* of one that is gone as it was last known */
    engine_step(e, d, &in);
    /* A start that ends a clear of kept disks is no part of it, and a stop may be accepted next. */
    if (is_clear && !engine_operation_now(d))
        engine_settle_unasked(e, d, s);
    if (in.kind == IN_SEEN_MIGRATED) /* the instance runs, elsewhere: what is left here is off */
        engine_stage_reported(e, d, STATE_STOPPED, NULL);
    if (s->in_migration && !engine_operation_now(d))
        look_how_it_migrates(e, d);
    /* Where Running was reported, its end is still to be: by the look that follows. */
    if (s->state == DOMAIN_ABSENT && !engine_operation_now(d) &&
        engine_report_now(d)->state == STATE_STOPPED) {
        d->reported_changed = false;
        d->forget = true;
    }
}

void engine_want_look(struct engine *e, struct domain *d)
{
    d->wanted |= EFFECT_LOOK;
    engine_stage_domain(e, d);
}

void engine_process_hint(struct engine *e, const uuid_t domain)
{
    struct domain *d;

    if (e->attachment == DETACHED)
        return; /* the full read is still to come; one that is under way may have passed it by */
    d = inventory_get(&e->inventory, domain);
    if (!d)
        return;
    engine_want_look(e, d);
}

/* --- Calls ----------------------------------------------------------------------------------- */

static enum input_kind result_input(const struct call *c)
{
    bool failed = c->result < 0;

    switch (c->kind) {
    case CALL_PRESS:
        return failed ? IN_PRESS_FAILED : IN_PRESSED;
    case CALL_CUT:
        return failed ? IN_CUT_FAILED : IN_CUT;
    case CALL_RESTORE:
        return failed ? IN_RESTORE_FAILED : IN_RESTORED;
    default:
        return IN_WOKEN;
    }
}

static void say_stuck(const struct domain *d, const struct call *c)
{
    const struct log_fields fields = {.message_id = MESSAGE_ID_CALL_STUCK,
                                      .instance_id = domain_public_id(d)};

    log_say(LOG_LEVEL_WARNING, &fields, "%s: the hypervisor has not answered '%s' in %llu s",
            domain_public_id(d), call_kind_to_string(c->kind),
            (unsigned long long)(c->timeout / USEC_PER_SEC));
}

static void look_ended(struct engine *e, struct domain *d, struct call *c)
{
    if (c->result < 0)
        c->sighting.state = DOMAIN_UNKNOWN;
    d->look_id = c->id;
    engine_take_sighting(e, d, &c->sighting, c->error);
}

static void step_call(struct engine *e, struct domain *d, const struct input *in)
{
    d->buttons_back += in->is_back;
    engine_step(e, d, in);
}

static void call_ended(struct engine *e, struct call *c)
{
    struct domain *d = inventory_find_uuid(&e->inventory, c->domain);
    struct input in = {.kind = result_input(c),
                       .error = c->error,
                       .is_back = engine_button_is_back(c),
                       .is_stuck = c->stuck,
                       .is_asked = c->press.is_asked};

    if (d && c->is_late) {
        engine_count_button_back(e, d, c);
        engine_process_hint(e, c->domain);
    }
    if (!d || c->is_late || d->call_out != c->id)
        return;
    d->call_out = 0;
    engine_stage_domain(e, d);
    if (c->stuck) {
        e->counters.stuck_calls++;
        say_stuck(d, c);
    }
    if (c->generation != e->generation) { /* the attachment since then has asked for looks */
        engine_count_button_back(e, d, c);
        return;
    }
    if (c->kind == CALL_LOOK)
        look_ended(e, d, c);
    else if (engine_operation_now(d))
        step_call(e, d, &in);
    else if (c->kind == CALL_RESTORE)
        engine_take_restored(e, d, c);
    else
        engine_count_button_back(e, d, c);
}

void engine_process_call(struct engine *e, struct call *c)
{
    _cleanup_(call_free) struct call *owned = c;

    if (c->kind == CALL_CONNECT)
        engine_attach_ended(e, owned);
    else if (c->kind == CALL_GLANCE)
        engine_process_glance(e, owned);
    else
        call_ended(e, owned);
}

static enum call_kind strongest(unsigned wanted)
{
    if (wanted & EFFECT_CUT)
        return CALL_CUT;
    if (wanted & EFFECT_RESTORE)
        return CALL_RESTORE;
    if (wanted & EFFECT_PRESS)
        return CALL_PRESS;
    return wanted & EFFECT_WAKE ? CALL_WAKE : CALL_LOOK;
}

static unsigned effect_of(enum call_kind kind)
{
    switch (kind) {
    case CALL_CUT:
        return EFFECT_CUT;
    case CALL_RESTORE:
        return EFFECT_RESTORE;
    case CALL_PRESS:
        return EFFECT_PRESS;
    case CALL_WAKE:
        return EFFECT_WAKE;
    default:
        return EFFECT_LOOK;
    }
}

static void fill_in(const struct engine *e, const struct domain *d, struct call *c)
{
    uuid_copy(c->domain, d->uuid);
    c->timeout = c->kind == CALL_CUT ? e->settings.destroy_timeout : e->settings.call_timeout;
    c->generation = e->generation;
    c->meant = d->op ? d->op->incarnation : d->reported.incarnation;
    c->former = d->reported.interlock.former;
    if (d->op) {
        c->button = operation_button(d->op);
        c->interlock = d->op->interlock_wanted;
        c->former = d->op->former;
        c->only_crashed = !operation_has_consent(d->op);
        c->heeds_lock = d->op->is_blind && operation_heeds_lock(d->op, effect_of(c->kind)) &&
                        (c->kind == CALL_PRESS || c->kind == CALL_CUT);
    }
    if (c->kind == CALL_PRESS && c->button == BUTTON_AGENT && c->timeout > AGENT_BUDGET)
        c->timeout = AGENT_BUDGET;
}

void engine_dispatch(struct engine *e, struct domain *d)
{
    struct call *c;

    if (!(d->wanted & ~(unsigned)(EFFECT_CLEAR | EFFECT_END_CLEAR)) || d->call_out ||
        e->attachment != ATTACHED)
        return;
    c = call_new(strongest(d->wanted));
    if (!c) {
        *(d->op ? &d->op->next_look : &d->next_look) = e->now.monotonic + DISPATCH_AGAIN;
        engine_set_due(e, d);
        return;
    }
    d->wanted &= ~effect_of(c->kind);
    if (c->kind == CALL_PRESS)
        d->has_counted_button = false;
    c->id = d->call_out = ++e->next_call_id;
    d->call_kind = c->kind;
    fill_in(e, d, c);
    e->host.start_call(e->host.userdata, c);
}
