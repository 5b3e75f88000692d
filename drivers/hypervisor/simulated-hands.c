/* simulated-hands.c - what others do to the simulated world: guests by themselves, administrators,
 * the host
 *
 * Each returns whether it can be done in the state that the domain is in. What goes through the
 * hypervisor can only be done to what it says is there.
 */
#include "drivers/hypervisor/simulated-world.h"

#include <stdio.h>
#include <string.h>

static bool add_process(struct simulated *s, struct simulated_domain *d)
{
    struct simulated_process *grown =
        reallocarray(d->processes, d->n_processes + 1, sizeof(*grown));

    if (!grown)
        return false;
    d->processes = grown;
    grown[d->n_processes++] =
        (struct simulated_process){.who = d->incarnation, .run = d->run, .ends_at = USEC_NEVER};
    return true;
}

static bool is_used(const struct simulated *s, pid_t pid)
{
    for (const struct simulated_domain *d = s->domains; d; d = d->next)
        for (size_t i = 0; i < d->n_processes; i++)
            if (d->processes[i].who.pid == pid)
                return true;
    return false;
}

/* Pids are used again, as on a host that has been up for long; only the start time differs. That is
 * counted from the host's boot on, so after one both may be what they were. */
static struct incarnation next_incarnation(struct simulated *s)
{
    struct incarnation who = {.start_time = (s->now - s->booted_at) / 10000};

    memcpy(who.boot_id, s->boot_id, sizeof(who.boot_id));
    s->last_pid = s->last_pid % s->pids + 1;
    who.pid = 4000 + s->last_pid;
    while (is_used(s, who.pid))
        who.pid++;
    return who;
}

static bool begin_run(struct simulated *s, struct simulated_domain *d, enum domain_state state)
{
    if (d->state != DOMAIN_OFF && d->state != DOMAIN_ABSENT)
        return false;
    d->run++;
    d->buttons = 0;
    d->cause = END_UNKNOWN;
    d->has_managed_save = false;
    d->lifecycle = d->defined_lifecycle;
    d->incarnation = (struct incarnation){0};
    if (s->has_processes) {
        d->incarnation = next_incarnation(s);
        if (!add_process(s, d))
            return false;
    }
    if (state == DOMAIN_RUNNING)
        d->last_run = d->incarnation;
    d->state = state;
    d->in_migration = state == DOMAIN_PAUSED;
    d->way = WAY_IN;
    world_tell(s, d, HAPPENED_BEGAN, d->run);
    world_hint(s, d);
    return true;
}

bool simulated_start(struct simulated *s, struct simulated_domain *d)
{
    return begin_run(s, d, DOMAIN_RUNNING);
}

bool simulated_arrive(struct simulated *s, struct simulated_domain *d)
{
    return begin_run(s, d, DOMAIN_PAUSED);
}

bool simulated_power_off(struct simulated *s, struct simulated_domain *d)
{
    if (d->state != DOMAIN_RUNNING)
        return false;
    world_shut_down(s, d);
    return true;
}

bool simulated_reboot(struct simulated *s, struct simulated_domain *d)
{
    if (d->state != DOMAIN_RUNNING && d->state != DOMAIN_CRASHED)
        return false;
    world_reboot(s, d);
    return true;
}

bool simulated_panic(struct simulated *s, struct simulated_domain *d)
{
    if (d->state != DOMAIN_RUNNING)
        return false;
    world_panic(s, d);
    return true;
}

bool simulated_destroy(struct simulated *s, struct simulated_domain *d)
{
    if (d->is_misjudged || !simulated_is_present(d))
        return false;
    world_end_run(s, d, END_DESTROYED, 0);
    return true;
}

bool simulated_kill(struct simulated *s, struct simulated_domain *d, enum end_cause cause)
{
    if (!simulated_is_present(d) || d->state == DOMAIN_ENDING)
        return false;
    world_end_run(s, d, cause, d->manners.flush);
    return true;
}

bool simulated_save(struct simulated *s, struct simulated_domain *d, bool managed)
{
    if (d->is_misjudged || d->in_migration ||
        (d->state != DOMAIN_RUNNING && d->state != DOMAIN_PAUSED))
        return false;
    d->is_being_saved = managed;
    world_end_run(s, d, END_SAVED, d->manners.flush);
    return true;
}

bool simulated_migrate(struct simulated *s, struct simulated_domain *d)
{
    if (d->is_misjudged || (d->state != DOMAIN_RUNNING && d->state != DOMAIN_PAUSED) ||
        d->in_migration)
        return false;
    d->in_migration = true;
    d->way = WAY_OUT;
    world_tell(s, d, HAPPENED_CHANGED, d->run);
    world_hint(s, d);
    return true;
}

bool simulated_migrated(struct simulated *s, struct simulated_domain *d, bool arrived)
{
    if (d->is_misjudged || !d->in_migration || d->state == DOMAIN_ENDING)
        return false;
    d->in_migration = false;
    if (d->way == WAY_IN && arrived) {
        d->last_run = d->incarnation;
        world_change_state(s, d, DOMAIN_RUNNING);
    } else if (d->way == WAY_IN) {
        world_end_run(s, d, END_FAILED, 0);
    } else if (arrived) {
        world_end_run(s, d, END_MIGRATED, d->manners.flush);
    } else {
        world_tell(s, d, HAPPENED_CHANGED, d->run); /* and no hint: libvirt gives none */
    }
    return true;
}

bool simulated_pause(struct simulated *s, struct simulated_domain *d)
{
    if (d->is_misjudged || d->state != DOMAIN_RUNNING)
        return false;
    world_change_state(s, d, DOMAIN_PAUSED);
    return true;
}

bool simulated_resume(struct simulated *s, struct simulated_domain *d)
{
    if (d->is_misjudged || (d->state != DOMAIN_PAUSED && d->state != DOMAIN_PMSUSPENDED) ||
        (d->in_migration && d->way == WAY_IN))
        return false;
    world_change_state(s, d, DOMAIN_RUNNING);
    return true;
}

bool simulated_suspend(struct simulated *s, struct simulated_domain *d)
{
    if (d->is_misjudged || d->state != DOMAIN_RUNNING)
        return false;
    world_change_state(s, d, DOMAIN_PMSUSPENDED);
    return true;
}

bool simulated_undefine(struct simulated *s, struct simulated_domain *d)
{
    if (!d->is_persistent)
        return false;
    d->is_persistent = false;
    if (d->state == DOMAIN_OFF) {
        d->state = DOMAIN_ABSENT;
        d->has_managed_save = false; /* which may have been the last that told of a save */
        if (d->cause == END_UNKNOWN)
            world_forget_cause(s, d);
    }
    world_tell(s, d, HAPPENED_DEFINED, 0);
    world_hint(s, d);
    return true;
}

bool simulated_redefine(struct simulated *s, struct simulated_domain *d)
{
    d->is_persistent = true;
    if (d->state == DOMAIN_ABSENT)
        d->state = DOMAIN_OFF;
    d->version++;
    world_tell(s, d, HAPPENED_DEFINED, 0);
    world_hint(s, d);
    return true;
}

bool simulated_unlock(struct simulated *s, struct simulated_domain *d)
{
    if (d->definition->n_locks == 0)
        return false;
    free(d->definition->locks[--d->definition->n_locks]);
    d->is_locked_live = false;
    d->version++;
    world_tell(s, d, HAPPENED_DEFINED, 0);
    world_hint(s, d);
    return true;
}

void simulated_misjudge(struct simulated *s, struct simulated_domain *d, bool is_misjudged)
{
    if (d->is_misjudged == is_misjudged)
        return;
    d->is_misjudged = is_misjudged;
    world_hint(s, d);
}

/* --- The host ------------------------------------------------------------------------------- */

void simulated_lose_connection(struct simulated *s, const char *why)
{
    const struct hypervisor_listener *l = &s->hypervisor.listener;
    bool was = s->is_connected;

    s->is_connected = false;
    if (was && l->lost)
        l->lost(l->userdata, why);
}

void simulated_restart_daemon(struct simulated *s)
{
    for (struct simulated_domain *d = s->domains; d; d = d->next)
        if (!simulated_is_present(d))
            world_forget_cause(s, d);
    simulated_lose_connection(s, "the daemon was restarted");
}

static void lose_power(struct simulated *s, struct simulated_domain *d)
{
    bool was_there = simulated_is_present(d);

    d->answer_at = d->off_at = d->reset_at = USEC_NEVER;
    d->in_migration = false;
    d->state = d->is_persistent ? DOMAIN_OFF : DOMAIN_ABSENT;
    while (d->n_processes > 0)
        world_process_gone(s, d, 0);
    if (d->is_locked_live)
        simulated_unlock(s, d);
    if (was_there)
        world_tell(s, d, HAPPENED_OFF, d->run);
    world_forget_cause(s, d);
    if (was_there && !s->has_processes)
        world_tell(s, d, HAPPENED_GONE, d->run);
}

void simulated_reboot_host(struct simulated *s, const char *boot_id)
{
    s->is_connected = false;
    snprintf(s->boot_id, sizeof(s->boot_id), "%s", boot_id);
    s->last_pid = 0;
    s->booted_at = s->now;
    for (struct simulated_domain *d = s->domains; d; d = d->next)
        lose_power(s, d);
}
