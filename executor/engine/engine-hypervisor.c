/* engine-hypervisor.c - the engine's side of the hypervisor: attachment, calls, what looks bring
 *
 * Theory of operation. The hypervisor is attached or it is not. Attaching is one call, which brings
 * every domain; until it is done nothing is concluded from what was known before. A result of a
 * call that began before the last attachment counts for nothing. For a domain with an operation, a
 * look becomes an input of that operation; for one without, the look is compared with what was last
 * reported, and a difference is a transition that nobody commanded, or that was missed.
 */
#include "engine/engine-internal.h"

#include "stopd/log-message-ids.h"
#include "stopd/log.h"

#include <string.h>

#define ATTACH_DELAY_LEAST (200 * USEC_PER_MSEC)
#define ATTACH_DELAY_MOST (30 * USEC_PER_SEC)
/* Opening a connection and reading ten thousand domains takes its time. */
#define ATTACH_TIMEOUT (120 * USEC_PER_SEC)
/* What an agent may take of the time for a shutdown before the next button; longer than a broken
 * connection goes unnoticed, so that silence is the agent's. */
#define AGENT_BUDGET (20 * USEC_PER_SEC)
#define LOOK_DELAY_LEAST (50 * USEC_PER_MSEC)
#define LOOK_DELAY_MOST (10 * USEC_PER_SEC)
#define LOOK_MIGRATING USEC_PER_SEC

/* --- Attaching ----------------------------------------------------------------------------- */

static void attach_later(struct engine *e)
{
    usec_t delay = ATTACH_DELAY_LEAST << (e->attach_tries < 8 ? e->attach_tries : 8);

    if (delay > ATTACH_DELAY_MOST)
        delay = ATTACH_DELAY_MOST;
    e->attach_tries++;
    /* Jitter, so that a host's clients do not all come back at once. */
    delay += e->host.random(e->host.userdata, (uint32_t)(delay / 2));
    e->attachment = DETACHED;
    e->attach_at = e->now.monotonic + delay;
}

static void say_away(struct engine *e, const char *why)
{
    const struct log_fields fields = {.message_id = MESSAGE_ID_HYPERVISOR_AWAY};

    (void)text_replace(&e->away_why, why);
    if (!e->away_said)
        log_say(LOG_LEVEL_WARNING, &fields,
                "the hypervisor is away, nothing is concluded until it is back: %s", why);
    e->away_said = true;
}

static void detach(struct engine *e, const char *why)
{
    struct domain *d;

    say_away(e, why);
    e->generation++;
    e->attach_tries = 0;
    e->glance_at = USEC_NEVER;
    attach_later(e);
    inventory_foreach(&e->inventory, d)
    {
        d->certain = false;
        engine_drop_button(e, d);
        d->wanted &= EFFECT_END_CLEAR; /* of an operation that ends in this turn */
        d->next_look = USEC_NEVER;
    }
    engine_step_all(e, IN_DETACHED);
}

void engine_process_lost(struct engine *e)
{
    _cleanup_(freep) char *why = take(e->lost);

    if (!why)
        return;
    if (e->attachment == ATTACHED)
        detach(e, why);
    else if (e->attachment == ATTACHING)
        e->lost_while_attaching = true;
}

void engine_attach_if_due(struct engine *e)
{
    struct call *c;

    if (e->attachment != DETACHED || e->attach_at > e->now.monotonic)
        return;
    c = call_new(CALL_CONNECT);
    if (!c) {
        attach_later(e);
        return;
    }
    c->id = e->attach_call = ++e->next_call_id;
    c->timeout = ATTACH_TIMEOUT;
    e->attachment = ATTACHING;
    e->attach_at = USEC_NEVER;
    e->lost_while_attaching = false;
    e->host.start_call(e->host.userdata, c);
}

/* --- What a look brings, for a domain without an operation ----------------------------------- */

static void look_again(struct engine *e, struct domain *d)
{
    d->look_delay = d->look_delay ? d->look_delay * 2 : LOOK_DELAY_LEAST;
    if (d->look_delay > LOOK_DELAY_MOST)
        d->look_delay = LOOK_DELAY_MOST;
    d->next_look = e->now.monotonic + d->look_delay;
    engine_stage_domain(e, d);
}

/* Nothing tells that a migration has failed, and until that is seen stops are refused. */
static void look_how_it_migrates(struct engine *e, struct domain *d)
{
    d->next_look = e->now.monotonic + LOOK_MIGRATING;
    engine_stage_domain(e, d);
}

static const char *unasked_reason(const struct sighting *s, enum input_kind seen)
{
    if (seen == IN_SEEN_SAVED)
        return "saved";
    switch (s->cause) {
    case END_SHUTDOWN:
        return "guest shut down by itself";
    case END_DESTROYED:
        return "destroyed";
    case END_CRASHED:
        return "guest crashed";
    case END_FAILED:
        return "hypervisor failure";
    case END_DAEMON:
        return "ended by the hypervisor's daemon";
    default:
        return "off, cause unknown";
    }
}

/* It was there when the first picture was taken, whose states are taken down in silence; of one
 * whose state could not be told then, the journal knows that much as Pending. */
static bool is_found(const struct domain *d)
{
    return d->is_found || (d->reported.known && d->reported.state == STATE_PENDING);
}

void engine_keep_first_picture(struct engine *e)
{
    struct domain *d;

    if (!e->is_picture_owed)
        return;
    inventory_foreach(&e->inventory, d) if (d->is_found && !d->reported_changed)
        engine_stage_reported(e, d, STATE_PENDING, &d->incarnation);
}

static void settle_running(struct engine *e, struct domain *d, const struct sighting *s)
{
    const struct last_report *last = &d->reported;
    bool is_same = !s->incarnation.pid || !last->incarnation.pid ||
                   incarnation_equal(&s->incarnation, &last->incarnation);

    if (!last->known || last->state == STATE_PENDING) {
        if (is_found(d) && is_same)
            engine_stage_reported(e, d, STATE_RUNNING, &s->incarnation);
        else
            engine_report_unasked(e, d, STATE_PENDING, STATE_RUNNING, "started", &s->incarnation);
    } else if (last->state == STATE_STOPPED) {
        engine_report_unasked(e, d, STATE_STOPPED, STATE_RUNNING, "started", &s->incarnation);
    } else if (!is_same) {
        engine_report_unasked(e, d, STATE_RUNNING, STATE_STOPPED, "ended unseen", NULL);
        engine_report_unasked(e, d, STATE_STOPPED, STATE_RUNNING, "started again", &s->incarnation);
    } else {
        if (s->incarnation.pid && !last->incarnation.pid) {
            engine_stage_reported(e, d, STATE_RUNNING, &s->incarnation);
            d->next_reported.interlock = last->interlock;
        }
        engine_settle_interlock(e, d, s);
    }
}

/* On its way to this host: its guest runs elsewhere until the migration has ended, and if that
 * fails it was never here. */
static void settle_arriving(struct engine *e, struct domain *d)
{
    d->is_found = false; /* it comes after the first picture */
    if (d->reported.known && d->reported.state == STATE_RUNNING)
        engine_report_unasked(e, d, STATE_RUNNING, STATE_STOPPED, "ended unseen", NULL);
}

static void settle_off(struct engine *e, struct domain *d, const struct sighting *s,
                       enum input_kind seen)
{
    if (!d->reported.known || d->reported.state == STATE_PENDING)
        engine_stage_reported(e, d, STATE_STOPPED, NULL);
    else if (seen == IN_SEEN_MIGRATED) /* it runs elsewhere: nothing has stopped */
        engine_stage_reported(e, d, STATE_STOPPED, NULL);
    else if (d->reported.state != STATE_STOPPED)
        engine_report_unasked(e, d, d->reported.state, STATE_STOPPED, unasked_reason(s, seen),
                              NULL);
    else if (d->reported.is_filed != d->is_filed)
        engine_stage_reported(e, d, STATE_STOPPED, NULL);
}

/* No run of it is known, none was reported, or it was reported off: nothing has to be proved to say
 * off. */
static bool is_known_off(const struct domain *d)
{
    return !d->reported.known || d->reported.state == STATE_STOPPED ||
           d->reported.state == STATE_PENDING;
}

static void settle_unasked(struct engine *e, struct domain *d, const struct sighting *s)
{
    bool is_gone = s->state == DOMAIN_OFF || s->state == DOMAIN_ABSENT;
    enum input_kind seen = sighting_weigh(s, &d->reported.incarnation, e->has_processes);

    if (seen == IN_SEEN_LINGERING && is_gone && is_known_off(d))
        seen = IN_SEEN_OFF;
    switch (seen) {
    case IN_SEEN_RUNNING:
    case IN_SEEN_PAUSED:
    case IN_SEEN_MIGRATING:
    case IN_SEEN_SUSPENDED:
    case IN_SEEN_CRASHED:
    case IN_SEEN_ANOTHER:
        if (domain_is_arriving(d))
            settle_arriving(e, d);
        else
            settle_running(e, d, s);
        d->look_delay = 0;
        break;
    case IN_SEEN_OFF:
    case IN_SEEN_SAVED:
    case IN_SEEN_MIGRATED:
        settle_off(e, d, s, seen);
        d->look_delay = 0;
        break;
    default:
        d->certain = false;
        look_again(e, d);
        return;
    }
    if (s->state == DOMAIN_ABSENT) {
        engine_stage_domain(e, d);
        d->reported_changed = d->is_found = false;
        d->forget = true;
    }
}

/* --- What a look brings, for any ---------------------------------------------------------------
 */

/* The picture is taken down at once: it is no part of the transaction, and a look made it. */
static void picture(struct engine *e, struct domain *d, struct sighting *s)
{
    d->certain = s->state != DOMAIN_UNKNOWN;
    d->forget = false; /* whoever cannot be seen now may be back */
    if (!d->certain)
        return;
    d->seen = s->state;
    /* An image in a file of its own has no mark but the cause, which is forgotten with libvirtd;
     * what was known before holds then, for no run has been seen since. */
    d->is_filed = s->state == DOMAIN_OFF && !s->has_managed_save &&
                  (s->cause == END_SAVED || (s->cause == END_UNKNOWN && d->is_filed));
    d->is_saved = s->has_managed_save || d->is_filed;
    d->in_migration = s->in_migration;
    d->incarnation = s->incarnation;
    /* Of one that is gone the last definition is kept until its end has been reported. */
    if (s->instance && inventory_define(&e->inventory, d, take(s->instance)) < 0)
        e->turn_failed = true;
    engine_note_start(e, d);
}

static void take_sighting(struct engine *e, struct domain *d, struct sighting *s,
                          const struct error *error)
{
    const struct operation *op = engine_operation_now(d);
    struct input in = {.sighting = s, .error = error};
    const struct last_report *last;
    bool is_defined = s->instance != NULL, is_clear = op && op->action == ACTION_CLEAR;

    picture(e, d, s);
    if (!op) {
        settle_unasked(e, d, s);
        if (s->in_migration)
            look_how_it_migrates(e, d);
        return;
    }
    in.kind = sighting_weigh(s, &op->incarnation, op->has_processes);
    in.definition = is_defined ? d->instance : NULL;
    engine_step(e, d, &in);
    /* A start that ends a clear of kept disks is no part of it, and a stop may be accepted next. */
    if (is_clear && !engine_operation_now(d))
        settle_unasked(e, d, s);
    if (in.kind == IN_SEEN_MIGRATED) /* the instance runs, elsewhere: what is left here is off */
        engine_stage_reported(e, d, STATE_STOPPED, NULL);
    if (s->in_migration && !engine_operation_now(d))
        look_how_it_migrates(e, d);
    /* Where Running was reported, its end is still to be: by the look that follows. */
    last = d->reported_changed ? &d->next_reported : &d->reported;
    if (s->state == DOMAIN_ABSENT && !engine_operation_now(d) && last->state == STATE_STOPPED) {
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

/* --- Attached -------------------------------------------------------------------------------- */

static void take_listed(struct engine *e, struct sighting *s)
{
    struct domain *d = inventory_get(&e->inventory, s->domain);

    if (!d) {
        e->turn_failed = true;
        return;
    }
    d->is_found |= e->is_first_picture;
    d->is_listed = true;
    if (s->state == DOMAIN_UNKNOWN) {
        engine_want_look(e, d);
        return;
    }
    if (engine_operation_now(d))
        picture(e, d, s); /* the operation asks for a look of its own */
    else
        take_sighting(e, d, s, NULL);
}

static void attached(struct engine *e, struct call *c)
{
    const struct log_fields fields = {.message_id = MESSAGE_ID_HYPERVISOR_BACK};
    struct domain *d;

    e->attachment = ATTACHED;
    e->has_processes = c->has_processes;
    e->attach_tries = 0;
    e->generation++;
    e->counters.attachments++;
    engine_glance_later(e);
    log_say(LOG_LEVEL_INFO, &fields, "the hypervisor is at hand, with %zu domains", c->list.n);
    e->away_said = false;
    inventory_foreach(&e->inventory, d) d->is_listed = false;
    for (size_t i = 0; i < c->list.n; i++)
        take_listed(e, &c->list.items[i]);
    if (e->is_first_picture && e->turn_failed) {
        detach(e, "there was no memory to take down all domains");
        return;
    }
    e->is_picture_owed |= e->is_first_picture;
    e->is_first_picture = false;
    inventory_foreach(&e->inventory, d)
    {
        if (!d->is_listed && !engine_operation_now(d))
            d->wanted |= EFFECT_LOOK;
        if (d->wanted)
            engine_stage_domain(e, d);
    }
    engine_step_all(e, IN_ATTACHED);
}

static void attach_ended(struct engine *e, struct call *c)
{
    if (c->id != e->attach_call || e->attachment != ATTACHING)
        return;
    if (c->result == 0 && !e->lost_while_attaching) {
        attached(e, c);
        return;
    }
    say_away(e, c->result < 0 ? error_message(c->error) : "lost while it was being opened");
    attach_later(e);
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
                                      .instance_id = d->instance_id};

    log_say(LOG_LEVEL_WARNING, &fields, "%s: the hypervisor has not answered '%s' in %llu s",
            d->instance_id ? d->instance_id : d->key, call_kind_to_string(c->kind),
            (unsigned long long)(c->timeout / USEC_PER_SEC));
}

static void look_ended(struct engine *e, struct domain *d, struct call *c)
{
    if (c->result < 0)
        c->sighting.state = DOMAIN_UNKNOWN;
    take_sighting(e, d, &c->sighting, c->error);
}

static void call_ended(struct engine *e, struct call *c)
{
    struct domain *d = inventory_find_uuid(&e->inventory, c->domain);
    struct input in = {.kind = result_input(c),
                       .error = c->error,
                       .interlocked = c->interlocked,
                       .is_back = engine_button_is_back(c),
                       .is_stuck = c->stuck};

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
        engine_step(e, d, &in);
    else if (c->kind == CALL_RESTORE)
        engine_take_restored(e, d, c);
    else
        engine_count_button_back(e, d, c);
}

void engine_process_call(struct engine *e, struct call *c)
{
    _cleanup_(call_free) struct call *owned = c;

    if (c->kind == CALL_CONNECT)
        attach_ended(e, owned);
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
        *(d->op ? &d->op->next_look : &d->next_look) = e->now.monotonic + LOOK_DELAY_MOST;
        engine_set_due(e, d);
        return;
    }
    d->wanted &= ~effect_of(c->kind);
    c->id = d->call_out = ++e->next_call_id;
    d->call_kind = c->kind;
    fill_in(e, d, c);
    e->host.start_call(e->host.userdata, c);
}
