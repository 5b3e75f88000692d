/* simulated-world.c - guests and their processes over time, and the hands that stir them
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

/* --- Domains --------------------------------------------------------------------------------- */

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
    d->answer_at = d->off_at = USEC_NEVER;
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

/* --- The end of a run --------------------------------------------------------------------------
 */

static void process_gone(struct simulated *s, struct simulated_domain *d, size_t i)
{
    const struct simulated_process gone = d->processes[i];

    d->processes[i] = d->processes[--d->n_processes];
    world_tell(s, d, HAPPENED_GONE, gone.run);
    if (gone.is_watched)
        world_hint(s, d);
}

static void forget_cause(struct simulated *s, struct simulated_domain *d)
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
    world_tell(s, d, HAPPENED_OFF, d->run);
    if (d->manners.forgets_cause)
        forget_cause(s, d);
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
        process_gone(s, d, (size_t)(p - d->processes));
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

static void shut_down(struct simulated *s, struct simulated_domain *d)
{
    if (d->lifecycle.on_poweroff == LIFECYCLE_RESTART)
        reset(s, d);
    else
        world_end_run(s, d, END_SHUTDOWN, d->manners.flush);
}

/* A guest that is reset under the interlock ends as one that was shut down. */
static void reboot(struct simulated *s, struct simulated_domain *d)
{
    if (d->lifecycle.on_reboot == LIFECYCLE_DESTROY)
        world_end_run(s, d, END_SHUTDOWN, d->manners.flush);
    else
        reset(s, d);
}

static void panic(struct simulated *s, struct simulated_domain *d)
{
    if (!d->manners.kept_when_crashed) {
        world_end_run(s, d, END_CRASHED, d->manners.flush);
        return;
    }
    d->answer_at = USEC_NEVER;
    world_change_state(s, d, DOMAIN_CRASHED);
}

/* --- The button and its answer -----------------------------------------------------------------
 */

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
        shut_down(s, d);
        break;
    case ANSWER_REBOOT:
        reboot(s, d);
        break;
    case ANSWER_PANIC:
        panic(s, d);
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

/* --- Time --------------------------------------------------------------------------------------
 */

static usec_t next_of(const struct simulated_domain *d)
{
    usec_t next = d->answer_at < d->off_at ? d->answer_at : d->off_at;

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
            process_gone(s, d, i);
            return;
        }
    if (d->off_at <= due)
        say_off(s, d);
    else
        answer(s, d);
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

/* --- Other hands -------------------------------------------------------------------------------
 */

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

/* Pids are used again, as on a host that has been up for long; only the start time differs. */
static struct incarnation next_incarnation(struct simulated *s)
{
    struct incarnation who = {.start_time = s->now / 10000};

    memcpy(who.boot_id, s->boot_id, sizeof(who.boot_id));
    s->last_pid = s->last_pid % s->pids + 1;
    who.pid = 4000 + s->last_pid;
    return who;
}

bool simulated_start(struct simulated *s, struct simulated_domain *d)
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
    d->state = DOMAIN_RUNNING;
    world_tell(s, d, HAPPENED_BEGAN, d->run);
    world_hint(s, d);
    return true;
}

bool simulated_power_off(struct simulated *s, struct simulated_domain *d)
{
    if (d->state != DOMAIN_RUNNING)
        return false;
    shut_down(s, d);
    return true;
}

bool simulated_reboot(struct simulated *s, struct simulated_domain *d)
{
    if (d->state != DOMAIN_RUNNING && d->state != DOMAIN_CRASHED)
        return false;
    reboot(s, d);
    return true;
}

bool simulated_panic(struct simulated *s, struct simulated_domain *d)
{
    if (d->state != DOMAIN_RUNNING)
        return false;
    panic(s, d);
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
    if (d->is_misjudged || d->state != DOMAIN_RUNNING || d->in_migration)
        return false;
    d->in_migration = true;
    world_tell(s, d, HAPPENED_CHANGED, d->run);
    world_hint(s, d);
    return true;
}

bool simulated_migrated(struct simulated *s, struct simulated_domain *d, bool arrived)
{
    if (d->is_misjudged || !d->in_migration || d->state == DOMAIN_ENDING)
        return false;
    d->in_migration = false;
    if (arrived)
        world_end_run(s, d, END_MIGRATED, d->manners.flush);
    else
        world_change_state(s, d, d->state);
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
    if (d->is_misjudged || (d->state != DOMAIN_PAUSED && d->state != DOMAIN_PMSUSPENDED))
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
            forget_cause(s, d);
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

void simulated_misjudge(struct simulated *s, struct simulated_domain *d, bool is_misjudged)
{
    if (d->is_misjudged == is_misjudged)
        return;
    d->is_misjudged = is_misjudged;
    world_hint(s, d);
}

/* --- The host ----------------------------------------------------------------------------------
 */

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
            forget_cause(s, d);
    simulated_lose_connection(s, "the daemon was restarted");
}

static void lose_power(struct simulated *s, struct simulated_domain *d)
{
    bool was_there = simulated_is_present(d);

    d->answer_at = d->off_at = USEC_NEVER;
    d->in_migration = false;
    d->state = d->is_persistent ? DOMAIN_OFF : DOMAIN_ABSENT;
    while (d->n_processes > 0)
        process_gone(s, d, 0);
    if (was_there)
        world_tell(s, d, HAPPENED_OFF, d->run);
    forget_cause(s, d);
    if (was_there && !s->has_processes)
        world_tell(s, d, HAPPENED_GONE, d->run);
}

void simulated_reboot_host(struct simulated *s, const char *boot_id)
{
    s->is_connected = false;
    snprintf(s->boot_id, sizeof(s->boot_id), "%s", boot_id);
    s->last_pid = 0;
    for (struct simulated_domain *d = s->domains; d; d = d->next)
        lose_power(s, d);
}
