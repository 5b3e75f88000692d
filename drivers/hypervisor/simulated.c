/* simulated.c - the simulated world as a hypervisor: what its calls answer and do
 *
 * Theory of operation. Every call takes no time here and is carried out or refused at once; how
 * long it takes, whether its answer is lost or never comes is up to whoever makes it. next_fault
 * makes one call fail before, between or after its act, as a connection does that breaks. Each act
 * looks at the incarnation that is meant first, as the interface asks.
 */
#include "drivers/hypervisor/simulated-world.h"

#include <stdio.h>
#include <string.h>

static struct simulated *simulated_of(struct hypervisor *h)
{
    return (struct simulated *)h; /* its first member */
}

static enum call_fault take_fault(struct simulated *s)
{
    enum call_fault fault = s->next_fault;

    s->next_fault = FAULT_NONE;
    return fault;
}

static int fail(struct error **err)
{
    return error_set(err, ERROR_UNKNOWN, "the connection broke in the middle of the call");
}

/* --- Asking --------------------------------------------------------------------------------- */

static int simulated_connect(struct hypervisor *h, bool *has_processes, struct error **err)
{
    struct simulated *s = simulated_of(h);

    s->is_connected = false;
    if (take_fault(s) != FAULT_NONE || !s->is_available)
        return error_set(err, ERROR_UNKNOWN, "no daemon answers");
    s->is_connected = true;
    s->session++;
    *has_processes = s->has_processes;
    return 0;
}

static const struct simulated_process *find_process(const struct simulated_domain *d,
                                                    const struct incarnation *who)
{
    for (size_t i = 0; i < d->n_processes; i++)
        if (incarnation_equal(&d->processes[i].who, who))
            return &d->processes[i];
    return NULL;
}

static enum process_fate fate_of(const struct simulated *s, const struct simulated_domain *d,
                                 const struct incarnation *who)
{
    if (!who || !s->has_processes || who->pid == 0)
        return PROCESS_NONE;
    if (strcmp(who->boot_id, s->boot_id) != 0)
        return PROCESS_ENDED;
    if (d && d->manners.fate_is_unprovable)
        return PROCESS_UNKNOWN;
    return d && find_process(d, who) ? PROCESS_ALIVE : PROCESS_ENDED;
}

static bool is_said_present(const struct simulated_domain *d)
{
    return simulated_is_present(d) && !d->is_misjudged;
}

static enum domain_state state_said(const struct simulated_domain *d)
{
    return is_said_present(d) || !simulated_is_present(d) ? d->state : DOMAIN_OFF;
}

static int describe_process(const struct incarnation *who, struct sighting *ret)
{
    if (ret->remembered != PROCESS_ALIVE)
        return 0;
    return asprintf(&ret->process_detail, "pid %d, state D, wchan io_schedule", (int)who->pid);
}

/* What the host's logs tell, which say nothing of another boot. */
static bool has_run_since(const struct simulated *s, const struct simulated_domain *d,
                          const struct incarnation *who)
{
    return strcmp(who->boot_id, s->boot_id) == 0 && strcmp(d->last_run.boot_id, s->boot_id) == 0 &&
           d->last_run.start_time > who->start_time;
}

/* What there is to see of a domain, or of one that is not there (NULL). Watches what is alive. */
static int see(struct simulated *s, struct simulated_domain *d,
               const struct incarnation *remembered, struct sighting *ret, struct error **err)
{
    struct simulated_process *p;

    ret->remembered = fate_of(s, d, remembered);
    if (describe_process(remembered, ret) < 0)
        return error_no_memory(err);
    if (!d) {
        ret->state = DOMAIN_ABSENT;
        return 0;
    }
    uuid_copy(ret->domain, d->definition->uuid);
    ret->state = state_said(d);
    for (size_t i = 0; i < d->n_processes; i++)
        d->processes[i].is_watched = true;
    if (is_said_present(d)) {
        ret->in_migration = d->in_migration;
        ret->way = d->in_migration ? d->way : WAY_UNTOLD;
        ret->lifecycle = d->lifecycle;
        p = world_process(d, d->run);
        if (p && !d->manners.hides_process)
            ret->incarnation = p->who;
    } else if (!simulated_is_present(d)) {
        ret->cause = d->cause;
        ret->has_run_since = ret->remembered == PROCESS_ENDED && has_run_since(s, d, remembered);
        ret->has_managed_save = d->has_managed_save;
    }
    if (d->state != DOMAIN_ABSENT) {
        ret->instance = instance_copy(d->definition);
        if (!ret->instance)
            return error_no_memory(err);
    }
    return 0;
}

static int simulated_look(struct hypervisor *h, const uuid_t domain,
                          const struct incarnation *remembered, struct sighting *ret,
                          struct error **err)
{
    struct simulated *s = simulated_of(h);
    struct simulated_domain *d = simulated_find(s, domain);

    uuid_copy(ret->domain, domain);
    if (take_fault(s) != FAULT_NONE || !s->is_connected)
        return fail(err);
    if (d && d->manners.is_unreadable)
        return error_set(err, ERROR_UNKNOWN, "the domain's job lock is held");
    return see(s, d, remembered, ret, err);
}

static bool simulated_is_proved_alive(struct hypervisor *h, const struct incarnation *who)
{
    const struct simulated *s = simulated_of(h);

    for (const struct simulated_domain *d = s->domains; d; d = d->next)
        if (fate_of(s, d, who) == PROCESS_ALIVE)
            return true;
    return false;
}

static int simulated_list(struct hypervisor *h, struct sightings *ret, struct error **err)
{
    struct simulated *s = simulated_of(h);
    size_t n = 0;

    if (!s->is_connected)
        return fail(err);
    for (struct simulated_domain *d = s->domains; d; d = d->next)
        n += d->state != DOMAIN_ABSENT;
    ret->items = calloc(n + 1, sizeof(*ret->items));
    if (!ret->items)
        return error_no_memory(err);
    for (struct simulated_domain *d = s->domains; d; d = d->next) {
        struct sighting *item = &ret->items[ret->n];

        if (d->state == DOMAIN_ABSENT)
            continue;
        ret->n++;
        uuid_copy(item->domain, d->definition->uuid);
        if (!d->manners.is_unreadable && see(s, d, NULL, item, err) < 0)
            return -1;
    }
    return 0;
}

static int simulated_glance(struct hypervisor *h, struct sightings *ret, struct error **err)
{
    struct simulated *s = simulated_of(h);
    size_t n = 0;

    if (take_fault(s) != FAULT_NONE || !s->is_connected)
        return fail(err);
    for (struct simulated_domain *d = s->domains; d; d = d->next)
        n += d->state != DOMAIN_ABSENT;
    ret->items = calloc(n + 1, sizeof(*ret->items));
    if (!ret->items)
        return error_no_memory(err);
    for (struct simulated_domain *d = s->domains; d; d = d->next) {
        struct sighting *item = &ret->items[ret->n];
        const struct simulated_process *p = world_process(d, d->run);

        if (d->state == DOMAIN_ABSENT)
            continue;
        ret->n++;
        uuid_copy(item->domain, d->definition->uuid);
        item->state = d->manners.is_unreadable ? DOMAIN_UNKNOWN : state_said(d);
        if (p && is_said_present(d) && !d->manners.hides_process)
            item->incarnation = p->who;
    }
    return 0;
}

/* --- Acting --------------------------------------------------------------------------------- */

/* The domain, if the run that is meant is there. */
static int reach(struct simulated *s, const uuid_t domain, const struct incarnation *meant,
                 struct simulated_domain **ret, struct error **err)
{
    struct simulated_domain *d = *ret = simulated_find(s, domain);

    if (!s->is_connected)
        return fail(err);
    if (!d || !is_said_present(d))
        return error_set(err, ERROR_NOT_RUNNING, NULL);
    if (s->has_processes && d->manners.hides_process)
        return error_set(err, ERROR_UNKNOWN, "which process it is cannot be read");
    if (s->has_processes &&
        (!world_process(d, d->run) || !incarnation_equal(&d->incarnation, meant)))
        return error_set(err, ERROR_NOT_RUNNING, "another run of the domain is there");
    return 0;
}

/* Not while a migration holds the domain. */
static int reach_settled(struct simulated *s, const uuid_t domain, const struct incarnation *meant,
                         struct simulated_domain **ret, struct error **err)
{
    int r = reach(s, domain, meant, ret, err);

    if (r == 0 && (*ret)->in_migration)
        return error_set(err, ERROR_NOT_RUNNING, "the domain is being migrated");
    return r;
}

static void interlock(struct simulated *s, struct simulated_domain *d)
{
    if (d->manners.cannot_interlock || (d->lifecycle.on_poweroff == LIFECYCLE_DESTROY &&
                                        d->lifecycle.on_reboot == LIFECYCLE_DESTROY))
        return;
    d->lifecycle = (struct lifecycle){LIFECYCLE_DESTROY, LIFECYCLE_DESTROY};
    world_tell(s, d, HAPPENED_LOCKED, d->run);
}

/* The fault of the call is its act's. */
static int simulated_check_lock(struct hypervisor *h, const uuid_t domain, struct error **err)
{
    struct simulated *s = simulated_of(h);
    const struct simulated_domain *d = simulated_find(s, domain);

    if (!s->is_connected)
        return fail(err);
    if (!d || d->state == DOMAIN_ABSENT || !instance_is_locked_for(d->definition, "security"))
        return 0;
    return error_set(err, ERROR_LOCKED_FOR_SECURITY, NULL);
}

static int simulated_press(struct hypervisor *h, const uuid_t domain,
                           const struct incarnation *meant, enum button button,
                           const struct lifecycle *seen, struct press *ret, struct error **err)
{
    struct simulated *s = simulated_of(h);
    enum call_fault fault = take_fault(s);
    struct simulated_domain *d;
    int r;

    if (fault == FAULT_BEFORE)
        return fail(err);
    ret->is_over = true;
    r = reach_settled(s, domain, meant, &d, err);
    if (r < 0)
        return r;
    if (d->state != DOMAIN_RUNNING)
        return error_set(err, ERROR_NOT_RUNNING, NULL);
    if (d->manners.refuses_button)
        return error_set(err, ERROR_UNKNOWN, "the monitor does not know the command");
    if (seen)
        interlock(s, d);
    ret->is_over = fault == FAULT_NONE;
    if (fault == FAULT_BETWEEN)
        return fail(err);
    if (button == BUTTON_AGENT && d->manners.agent == GUEST_AGENT_ABSENT)
        return error_set(err, ERROR_AGENT_ABSENT, NULL);
    if (button == BUTTON_AGENT && d->manners.agent == GUEST_AGENT_REFUSES)
        return error_set(err, ERROR_AGENT_REFUSED, NULL);
    ret->is_asked = true;
    world_tell(s, d, HAPPENED_PRESSED, d->run);
    world_press(s, d, button);
    return fault == FAULT_AFTER ? fail(err) : 0;
}

static void put_back(enum lifecycle_action *action, enum lifecycle_action former)
{
    if (former != LIFECYCLE_UNKNOWN)
        *action = former;
}

static int simulated_restore(struct hypervisor *h, const uuid_t domain,
                             const struct incarnation *meant, const struct lifecycle *former,
                             struct error **err)
{
    struct simulated *s = simulated_of(h);
    enum call_fault fault = take_fault(s);
    struct simulated_domain *d;
    int r;

    if (fault == FAULT_BEFORE)
        return fail(err);
    r = reach_settled(s, domain, meant, &d, err);
    if (r < 0)
        return r;
    if (d->manners.refuses_restore)
        return error_set(err, ERROR_UNSUPPORTED, "the monitor does not know the command");
    put_back(&d->lifecycle.on_poweroff, former->on_poweroff);
    if (fault == FAULT_BETWEEN)
        return fail(err);
    put_back(&d->lifecycle.on_reboot, former->on_reboot);
    world_tell(s, d, HAPPENED_RESTORED, d->run);
    return fault == FAULT_AFTER ? fail(err) : 0;
}

static int simulated_wake(struct hypervisor *h, const uuid_t domain,
                          const struct incarnation *meant, struct error **err)
{
    struct simulated *s = simulated_of(h);
    enum call_fault fault = take_fault(s);
    struct simulated_domain *d;
    int r;

    if (fault == FAULT_BEFORE)
        return fail(err);
    r = reach_settled(s, domain, meant, &d, err);
    if (r < 0)
        return r;
    if (d->state != DOMAIN_PMSUSPENDED)
        return error_set(err, ERROR_NOT_RUNNING, "the domain is not suspended");
    if (d->manners.refuses_wake)
        return error_set(err, ERROR_UNKNOWN, "the monitor does not know the command");
    world_tell(s, d, HAPPENED_WOKEN, d->run);
    world_change_state(s, d, DOMAIN_RUNNING);
    return fault == FAULT_NONE ? 0 : fail(err);
}

static int simulated_cut_power(struct hypervisor *h, const uuid_t domain,
                               const struct incarnation *meant, bool only_crashed,
                               struct error **err)
{
    struct simulated *s = simulated_of(h);
    enum call_fault fault = take_fault(s);
    struct simulated_domain *d;
    int r;

    if (fault == FAULT_BEFORE)
        return fail(err);
    r = reach_settled(s, domain, meant, &d, err);
    if (r < 0)
        return r;
    if (only_crashed && d->state != DOMAIN_CRASHED)
        return error_set(err, ERROR_NOT_RUNNING, "the guest has been reset since it crashed");
    if (d->manners.destroys_failed > 0) {
        d->manners.destroys_failed--;
        return error_set(err, ERROR_IO, "the process does not end");
    }
    if (d->manners.destroys_lost > 0) {
        d->manners.destroys_lost--;
        return 0;
    }
    world_tell(s, d, HAPPENED_CUT, d->run);
    world_end_run(s, d, END_DESTROYED, 0);
    return fault == FAULT_NONE ? 0 : fail(err);
}

static void simulated_free(struct hypervisor *h)
{
    world_free(simulated_of(h));
}

static const struct hypervisor_ops simulated_ops = {
    .name = "simulated",
    .connect = simulated_connect,
    .list = simulated_list,
    .glance = simulated_glance,
    .look = simulated_look,
    .is_alive = simulated_is_proved_alive,
    .check_lock = simulated_check_lock,
    .press_button = simulated_press,
    .restore = simulated_restore,
    .wake = simulated_wake,
    .cut_power = simulated_cut_power,
    .free = simulated_free,
};

struct simulated *simulated_new(bool has_processes)
{
    struct simulated *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->hypervisor.ops = &simulated_ops;
    s->has_processes = has_processes;
    s->is_available = true;
    s->pids = 30000;
    snprintf(s->boot_id, sizeof(s->boot_id), "%s", "00000000-0000-4000-8000-000000000001");
    return s;
}
