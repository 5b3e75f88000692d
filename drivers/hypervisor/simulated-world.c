/* simulated-world.c - guests and their processes over time
 *
 * Theory of operation. A domain has at most one run at a time as the hypervisor sees it, but any
 * number of processes: one that was said to be off may live on beside the next run's. Three moments
 * of an end are kept apart, because the real hypervisor keeps them apart: the guest is off, the
 * hypervisor says off, the process is gone, the last two in either order.
 *
 * What lies in the future is a handful of times in each domain; advance() carries out the earliest
 * until the caller's now. Lists are short, so nothing is sorted.
 */
#include "drivers/hypervisor/simulated-world.h"

#include <stdio.h>
#include <string.h>

DEFINE_ENUM_WORDS(enum guest_answer, guest_answer, ANSWER_MAX, "powers off", "does nothing",
                  "reboots", "panics", "suspends", "freezes");
DEFINE_ENUM_WORDS(enum happening, happening, HAPPENED_MAX, "began", "button pressed",
                  "interlock set", "lifecycle restored", "woken", "power cut", "changed",
                  "rebooted", "ending", "off", "process gone", "cause forgotten", "defined");

void world_tell(struct simulated *s, struct simulated_domain *d, enum happening what, unsigned run)
{
    if (s->observer.happened)
        s->observer.happened(s->observer.userdata, d, what, run);
}

void world_hint(struct simulated *s, const struct simulated_domain *d)
{
    const struct hypervisor_listener *l = &s->hypervisor.listener;

    if (s->is_connected && l->changed)
        l->changed(l->userdata, d->definition->uuid);
}

/* --- Domains -------------------------------------------------------------------------------- */

struct simulated_domain *simulated_define(struct simulated *s, struct instance *definition)
{
    struct simulated_domain *d = calloc(1, sizeof(*d)), **end = &s->domains;

    if (!d) {
        instance_free(definition);
        return NULL;
    }
    d->definition = definition;
    d->is_persistent = true;
    d->version = 1;
    d->state = DOMAIN_OFF;
    d->defined_lifecycle = (struct lifecycle){LIFECYCLE_DESTROY, LIFECYCLE_RESTART};
    d->answer_at = d->off_at = d->reset_at = USEC_NEVER;
    while (*end)
        end = &(*end)->next;
    *end = d;
    world_tell(s, d, HAPPENED_DEFINED, 0);
    world_hint(s, d);
    return d;
}

struct simulated_domain *simulated_find(const struct simulated *s, const uuid_t uuid)
{
    for (struct simulated_domain *d = s->domains; d; d = d->next)
        if (uuid_compare(d->definition->uuid, uuid) == 0)
            return d;
    return NULL;
}

void world_free(struct simulated *s)
{
    struct simulated_domain *d = s->domains, *next;

    for (; d; d = next) {
        next = d->next;
        instance_free(d->definition);
        free(d->processes);
        free(d);
    }
    free(s);
}

bool simulated_is_present(const struct simulated_domain *d)
{
    return d->state != DOMAIN_OFF && d->state != DOMAIN_ABSENT;
}

struct simulated_process *world_process(const struct simulated_domain *d, unsigned run)
{
    for (size_t i = 0; i < d->n_processes; i++)
        if (d->processes[i].run == run)
            return &d->processes[i];
    return NULL;
}

bool simulated_is_alive(const struct simulated *s, const struct simulated_domain *d, unsigned run)
{
    if (s->has_processes)
        return world_process(d, run) != NULL;
    return d->run == run && simulated_is_present(d);
}

void world_change_state(struct simulated *s, struct simulated_domain *d, enum domain_state state)
{
    d->state = state;
    world_tell(s, d, HAPPENED_CHANGED, d->run);
    world_hint(s, d);
}

/* --- The end of a run ----------------------------------------------------------------------- */

void world_process_gone(struct simulated *s, struct simulated_domain *d, size_t i)
{
    const struct simulated_process gone = d->processes[i];

    d->processes[i] = d->processes[--d->n_processes];
    world_tell(s, d, HAPPENED_GONE, gone.run);
    if (gone.is_watched)
        world_hint(s, d);
}

void world_forget_cause(struct simulated *s, struct simulated_domain *d)
{
    d->cause = END_UNKNOWN;
    world_tell(s, d, HAPPENED_FORGOTTEN, d->run);
}

static void say_off(struct simulated *s, struct simulated_domain *d)
{
    d->off_at = USEC_NEVER;
    d->in_migration = false;
    d->state = d->is_persistent ? DOMAIN_OFF : DOMAIN_ABSENT;
    /* Another end that came before the image was whole leaves none. */
    d->has_managed_save = d->is_persistent && d->is_being_saved && d->cause == END_SAVED;
    d->is_being_saved = false;
    if (d->is_locked_live)
        simulated_unlock(s, d);
    world_tell(s, d, HAPPENED_OFF, d->run);
    if (d->manners.forgets_cause)
        world_forget_cause(s, d);
    if (!s->has_processes)
        world_tell(s, d, HAPPENED_GONE, d->run);
    world_hint(s, d);
}

static usec_t later(usec_t a, usec_t b)
{
    return a > USEC_NEVER - b ? USEC_NEVER : a + b;
}

void world_end_run(struct simulated *s, struct simulated_domain *d, enum end_cause cause,
                   usec_t flush)
{
    struct simulated_process *p = world_process(d, d->run);

    d->cause = cause;
    d->answer_at = USEC_NEVER;
    d->off_at = s->now + flush;
    d->state = DOMAIN_ENDING;
    if (p)
        p->ends_at = d->manners.linger ? later(d->off_at, d->manners.linger) : s->now + flush / 2;
    world_tell(s, d, HAPPENED_ENDING, d->run);
    if (p && p->ends_at <= s->now)
        world_process_gone(s, d, (size_t)(p - d->processes));
    if (d->off_at <= s->now)
        say_off(s, d);
    else
        world_hint(s, d);
}

static void reset(struct simulated *s, struct simulated_domain *d)
{
    d->buttons = 0;
    d->answer_at = USEC_NEVER;
    if (d->state != DOMAIN_RUNNING)
        world_change_state(s, d, DOMAIN_RUNNING);
    world_tell(s, d, HAPPENED_REBOOTED, d->run);
    world_hint(s, d);
}

void world_shut_down(struct simulated *s, struct simulated_domain *d)
{
    if (d->lifecycle.on_poweroff == LIFECYCLE_RESTART)
        reset(s, d);
    else
        world_end_run(s, d, END_SHUTDOWN, d->manners.flush);
}

/* A guest that is reset under the interlock ends as one that was shut down. */
void world_reboot(struct simulated *s, struct simulated_domain *d)
{
    if (d->lifecycle.on_reboot == LIFECYCLE_DESTROY)
        world_end_run(s, d, END_SHUTDOWN, d->manners.flush);
    else
        reset(s, d);
}

void world_panic(struct simulated *s, struct simulated_domain *d)
{
    if (!d->manners.kept_when_crashed) {
        world_end_run(s, d, END_CRASHED, d->manners.flush);
        return;
    }
    d->answer_at = USEC_NEVER;
    d->reset_at = d->manners.reset_after ? s->now + d->manners.reset_after : USEC_NEVER;
    world_change_state(s, d, DOMAIN_CRASHED);
}

/* --- The button and its answer -------------------------------------------------------------- */

void world_press(struct simulated *s, struct simulated_domain *d, enum button button)
{
    if (button == BUTTON_AGENT && d->manners.agent == GUEST_AGENT_SILENT)
        return;
    if (d->buttons++ >= d->manners.deaf && d->answer_at == USEC_NEVER)
        d->answer_at = s->now + d->manners.answer_delay;
}

static void answer(struct simulated *s, struct simulated_domain *d)
{
    d->answer_at = USEC_NEVER;
    if (d->state != DOMAIN_RUNNING)
        return;
    switch (d->manners.answer) {
    case ANSWER_POWER_OFF:
        world_shut_down(s, d);
        break;
    case ANSWER_REBOOT:
        world_reboot(s, d);
        break;
    case ANSWER_PANIC:
        world_panic(s, d);
        break;
    case ANSWER_SUSPEND:
        world_change_state(s, d, DOMAIN_PMSUSPENDED);
        break;
    case ANSWER_FREEZE:
        world_change_state(s, d, DOMAIN_PAUSED);
        break;
    default:
        break;
    }
}

/* --- Time ----------------------------------------------------------------------------------- */

static usec_t next_of(const struct simulated_domain *d)
{
    usec_t next = d->answer_at < d->off_at ? d->answer_at : d->off_at;

    if (d->reset_at < next)
        next = d->reset_at;
    for (size_t i = 0; i < d->n_processes; i++)
        if (d->processes[i].ends_at < next)
            next = d->processes[i].ends_at;
    return next;
}

usec_t simulated_next(const struct simulated *s)
{
    usec_t next = USEC_NEVER;

    for (const struct simulated_domain *d = s->domains; d; d = d->next)
        if (next_of(d) < next)
            next = next_of(d);
    return next;
}

static void carry_out(struct simulated *s, struct simulated_domain *d, usec_t due)
{
    s->now = due;
    for (size_t i = 0; i < d->n_processes; i++)
        if (d->processes[i].ends_at <= due) {
            world_process_gone(s, d, i);
            return;
        }
    if (d->off_at <= due) {
        say_off(s, d);
    } else if (d->reset_at <= due) {
        d->reset_at = USEC_NEVER;
        if (d->state == DOMAIN_CRASHED)
            world_reboot(s, d);
        if (d->state == DOMAIN_RUNNING && (d->manners.after_reset == DOMAIN_PAUSED ||
                                           d->manners.after_reset == DOMAIN_PMSUSPENDED))
            world_change_state(s, d, d->manners.after_reset);
    } else {
        answer(s, d);
    }
}

void simulated_advance(struct simulated *s, usec_t now)
{
    usec_t due;

    while ((due = simulated_next(s)) <= now)
        for (struct simulated_domain *d = s->domains; d; d = d->next)
            if (next_of(d) == due) {
                carry_out(s, d, due);
                break;
            }
    s->now = now;
}
