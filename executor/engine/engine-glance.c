/* engine-glance.c - what no hint has told of
 *
 * Theory of operation. Hints may be lost, and for a domain without an operation nothing else would
 * make anybody look. So every few minutes all domains are glanced at, by one cheap call; where what
 * it tells differs from the picture that is a hint like any other, and a look decides.
 */
#include "engine/engine-internal.h"

/* How often, and how much later at random, so that a host's clients do not all ask at once. */
#define GLANCE_EVERY (180 * USEC_PER_SEC)
#define GLANCE_JITTER (60 * USEC_PER_SEC)

void engine_glance_later(struct engine *e)
{
    e->glance_at =
        e->now.monotonic + GLANCE_EVERY + e->host.random(e->host.userdata, (uint32_t)GLANCE_JITTER);
}

void engine_glance_if_due(struct engine *e)
{
    struct call *c;

    if (e->attachment != ATTACHED || e->glance_at > e->now.monotonic)
        return;
    c = call_new(CALL_GLANCE);
    if (!c) {
        engine_glance_later(e);
        return;
    }
    c->id = e->glance_call = ++e->next_call_id;
    c->generation = e->generation;
    c->timeout = e->settings.call_timeout;
    e->glance_at = USEC_NEVER;
    e->host.start_call(e->host.userdata, c);
}

static void compare(struct engine *e, const struct sighting *s)
{
    struct domain *d = inventory_get(&e->inventory, s->domain);

    if (!d)
        return; /* a hint may be lost */
    d->is_listed = true;
    if (s->state != DOMAIN_UNKNOWN &&
        (!d->certain || s->state != d->seen ||
         (s->incarnation.pid && !incarnation_equal(&s->incarnation, &d->incarnation)) ||
         engine_owes_restore(d)))
        engine_want_look(e, d);
}

void engine_process_glance(struct engine *e, const struct call *c)
{
    struct domain *d;

    if (c->id != e->glance_call)
        return;
    e->glance_call = 0;
    if (c->generation != e->generation || e->attachment != ATTACHED)
        return; /* the attachment has brought more */
    engine_glance_later(e);
    if (c->result < 0)
        return;
    inventory_foreach(&e->inventory, d) d->is_listed = false;
    for (size_t i = 0; i < c->list.n; i++)
        compare(e, &c->list.items[i]);
    inventory_foreach(&e->inventory, d) if (!d->is_listed && !d->op) engine_want_look(e, d);
}
