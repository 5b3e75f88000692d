/* engine-queue.c - whose turn it is: stop.parallel
 *
 * Theory of operation. So many guests may be in shutdown at once; who comes later waits in the
 * order of acceptance, which is the journal's as well. A power cut takes no place and waits for
 * none. The line is a heap by place, kept with each step of an operation, so that a thousand that
 * wait cost the next command nothing.
 */
#include "engine/engine-internal.h"

static bool has_room(const struct engine *e)
{
    unsigned bound = e->settings.parallel;

    return bound == 0 || e->n_shutting_down + e->n_admitted < bound;
}

/* The soft stop that has waited longest for its turn. */
static struct domain *first_in_line(const struct engine *e)
{
    struct agenda_entry *first = agenda_first(&e->inventory.line);

    return first ? domain_in_line(first) : NULL;
}

void engine_line_up(struct engine *e, struct domain *d)
{
    const struct operation *op = engine_operation_now(d);
    bool waits = op && op->stage == STAGE_QUEUED && !op->force_stop;

    agenda_set(&e->inventory.line, &d->in_line, waits ? op->place : USEC_NEVER);
}

/* Its turn has come, unless stop.parallel guests are in shutdown already, or others came first. */
void engine_admit(struct engine *e, struct domain *d)
{
    const struct input admitted = {.kind = IN_ADMITTED, .definition = d->instance};
    const struct operation *op = engine_operation_now(d);

    if (!op || op->stage != STAGE_QUEUED || e->attachment != ATTACHED)
        return;
    if (!op->force_stop && e->settings.parallel && (!has_room(e) || first_in_line(e) != d))
        return;
    e->n_admitted += !op->force_stop;
    engine_step(e, d, &admitted);
}

bool engine_may_admit(const struct engine *e)
{
    unsigned bound = e->settings.parallel;
    bool has_place = bound == 0 || e->n_shutting_down < bound;

    return e->attachment == ATTACHED && (e->n_queued_forced > 0 || (e->n_queued > 0 && has_place));
}

void engine_count_in_line(struct engine *e, const struct operation *op, int by)
{
    size_t *n = op->stage == STAGE_SHUTTING_DOWN ? &e->n_shutting_down
                : op->stage != STAGE_QUEUED      ? NULL
                : op->force_stop                 ? &e->n_queued_forced
                                                 : &e->n_queued;

    if (n)
        *n += (size_t)by;
}

/* Whose place is free goes to the first in line, so that behind this nobody waits beside one. */
void engine_admit_in_line(struct engine *e)
{
    struct domain *d;

    if (!engine_may_admit(e))
        return;
    while (e->settings.parallel && has_room(e) && (d = first_in_line(e)))
        engine_admit(e, d);
    /* Those who need no place: power cuts, and where there is no bound all that the hypervisor's
     * absence has held up. */
    if (e->n_queued_forced > 0 || e->settings.parallel == 0)
        inventory_foreach(&e->inventory, d) engine_admit(e, d);
}
