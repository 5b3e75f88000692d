/* engine-attach.c - the hypervisor is attached, or it is not
 *
 * Theory of operation. Attaching is one call, which brings every domain; until it is done nothing
 * is concluded from what was known before. When the hypervisor is lost nothing is certain any more,
 * graces stand still, and attaching is tried again with growing delays. Each attachment and each
 * loss is a new generation, and a call that began in an earlier one counts for nothing.
 */
#include "engine/engine-internal.h"

#include "stopd/log-message-ids.h"
#include "stopd/log.h"

#define ATTACH_DELAY_LEAST (200 * USEC_PER_MSEC)
#define ATTACH_DELAY_MOST (30 * USEC_PER_SEC)
/* Opening a connection and reading ten thousand domains takes its time. */
#define ATTACH_TIMEOUT (120 * USEC_PER_SEC)

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
    _cleanup_(freep) char *why = take(e->lost_why);

    if (!e->is_lost)
        return;
    e->is_lost = false;
    if (e->attachment == ATTACHED)
        detach(e, why ? why : "the connection broke");
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

static void take_listed(struct engine *e, struct sighting *s)
{
    struct domain *d = inventory_get(&e->inventory, s->domain);

    if (!d) {
        e->turn_failed = true;
        return;
    }
    d->is_found |= e->is_first_picture;
    d->is_listed = true;
    d->look_id = e->attach_call;
    if (s->state == DOMAIN_UNKNOWN) {
        engine_take_picture(e, d, s);
        engine_want_look(e, d);
        return;
    }
    if (engine_operation_now(d))
        engine_take_picture(e, d, s); /* the operation asks for a look of its own */
    else
        engine_take_sighting(e, d, s, NULL);
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

void engine_attach_ended(struct engine *e, struct call *c)
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
