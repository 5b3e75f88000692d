/* weather.c - what happens to the world without anybody asking stopd: guests, other hands, the host
 *
 * Theory of operation. At random times one thing at a time happens to one domain or to the host.
 * When the life turns quiet everything that is a trouble of the hypervisor's is put right; guests
 * keep their manners, and a process that lingers for good does so.
 */
#include "simulation/census.h"
#include "simulation/life.h"

#include <stdio.h>
#include <string.h>

static usec_t seconds(struct life *life, usec_t least, usec_t most)
{
    return dice_between(&life->dice, least * USEC_PER_SEC, most * USEC_PER_SEC);
}

/* --- Domains -------------------------------------------------------------------------------- */

static bool power_off(struct life *life, struct simulated_domain *d)
{
    return simulated_power_off(life->world, d);
}

static bool reboot(struct life *life, struct simulated_domain *d)
{
    return simulated_reboot(life->world, d);
}

static bool panic(struct life *life, struct simulated_domain *d)
{
    return simulated_panic(life->world, d);
}

static bool destroy(struct life *life, struct simulated_domain *d)
{
    return simulated_destroy(life->world, d);
}

static bool kill_process(struct life *life, struct simulated_domain *d)
{
    static const enum end_cause causes[] = {END_CRASHED, END_FAILED, END_DAEMON};

    return simulated_kill(life->world, d, causes[dice_below(&life->dice, ELEMENTSOF(causes))]);
}

bool weather_start(struct life *life, struct simulated_domain *d)
{
    return d->run + 1 < WITNESS_RUNS && simulated_start(life->world, d);
}

/* Off and on again before anybody looks. */
static bool restart(struct life *life, struct simulated_domain *d)
{
    return simulated_destroy(life->world, d) && weather_start(life, d);
}

static bool migrate(struct life *life, struct simulated_domain *d)
{
    life->arrived_at = life->now + seconds(life, 0, 20);
    return simulated_migrate(life->world, d);
}

static bool arrive(struct life *life, struct simulated_domain *d)
{
    if (d->run + 1 >= WITNESS_RUNS || !simulated_arrive(life->world, d))
        return false;
    life->arrived_at = life->now + seconds(life, 0, 20);
    return true;
}

/* All that anybody may see of it is how it ends, which takes its process a while. */
bool weather_run_briefly(struct life *life, struct simulated_domain *d)
{
    if (dice_percent(&life->dice, 50)) {
        d->manners.flush = seconds(life, 1, 5);
        d->manners.linger = seconds(life, 1, 60);
    }
    aim_at_kept_disks(life, d);
    return weather_start(life, d) && simulated_power_off(life->world, d);
}

/* Nobody has seen it run. */
bool weather_start_briefly(struct life *life, struct simulated_domain *d)
{
    static bool (*const what_next[])(struct simulated *, struct simulated_domain *) = {
        simulated_pause, simulated_suspend, simulated_panic};

    if (dice_percent(&life->dice, 25))
        return weather_run_briefly(life, d);
    if (dice_percent(&life->dice, 15))
        return weather_start(life, d) && migrate(life, d);
    return weather_start(life, d) &&
           (dice_percent(&life->dice, 20)
                ? simulated_save(life->world, d, true)
                : what_next[dice_below(&life->dice, ELEMENTSOF(what_next))](life->world, d));
}

static bool save(struct life *life, struct simulated_domain *d)
{
    return simulated_save(life->world, d, dice_percent(&life->dice, 60));
}

static bool pause_or_resume(struct life *life, struct simulated_domain *d)
{
    return simulated_resume(life->world, d) || simulated_pause(life->world, d);
}

static bool suspend(struct life *life, struct simulated_domain *d)
{
    return simulated_suspend(life->world, d);
}

static bool undefine(struct life *life, struct simulated_domain *d)
{
    return simulated_undefine(life->world, d) || simulated_redefine(life->world, d);
}

static bool change_manners(struct life *life, struct simulated_domain *d)
{
    cast_manners(life, d);
    return true;
}

/* Proof of death fails for a while. */
static bool hide_fate(struct life *life, struct simulated_domain *d)
{
    d->manners.fate_is_unprovable = !d->manners.fate_is_unprovable;
    return true;
}

/* Without a process to hold it against, nobody could tell. */
bool weather_misjudge(struct life *life, struct simulated_domain *d)
{
    if (!life->world->has_processes || d->state == DOMAIN_ENDING)
        return false;
    simulated_misjudge(life->world, d, !d->is_misjudged);
    witness_domain(life, d)->runs[d->run].is_off = true;
    life->has_misjudged = true;
    return true;
}

/* In the live definition alone a lock goes with the run. */
bool weather_lock(struct life *life, struct simulated_domain *d)
{
    if (d->state == DOMAIN_ABSENT || d->definition->n_locks > 0)
        return false;
    (void)instance_add_lock(d->definition, "security");
    d->is_locked_live = simulated_is_present(d) && dice_percent(&life->dice, 50);
    return simulated_redefine(life->world, d);
}

static bool unlock(struct life *life, struct simulated_domain *d)
{
    return d->state != DOMAIN_ABSENT && simulated_unlock(life->world, d);
}

static bool change_account(struct life *life, struct simulated_domain *d)
{
    if (d->state == DOMAIN_ABSENT)
        return false;
    if (d->definition->account == ACCOUNT_OK)
        cast_account(life, d->definition);
    else
        d->definition->account = ACCOUNT_OK;
    return simulated_redefine(life->world, d);
}

/* Another disk than was there when a stop was accepted, perhaps. */
static bool attach_disk(struct life *life, struct simulated_domain *d)
{
    const struct instance *i = d->definition;

    if (d->state == DOMAIN_ABSENT || text_equal(i->disks[i->n_disks - 1].target, "vdz"))
        return false;
    (void)instance_add_disk(d->definition, "vdz", "/dev/nvme9n1", DISK_BLOCK);
    witness_domain(life, d)->attached_version = d->version + 1;
    if (simulated_is_present(d)) { /* what is attached later no guest has had */
        witness_domain(life, d)->disks_version = d->version + 1;
        witness_domain(life, d)->disks_run = d->run;
    }
    return simulated_redefine(life->world, d);
}

/* Before anybody looks. */
bool weather_attach_disk_and_end(struct life *life, struct simulated_domain *d)
{
    return attach_disk(life, d) && power_off(life, d);
}

/* Under the same path, or the former one again. */
bool weather_exchange_disk(struct life *life, struct simulated_domain *d)
{
    const struct instance *i = d->definition;
    unsigned n = 0, chosen = 0;

    for (unsigned k = 0; cast_is_cleared(i) && k < i->n_disks; k++)
        if (cast_is_local_disk(&i->disks[k]) && dice_below(&life->dice, ++n) == 0)
            chosen = k;
    if (n == 0)
        return false;
    devices_exchange(life, i->disks[chosen].source);
    return true;
}

/* Its id becomes the next one's as well: two claim it. Or its own again. */
static bool change_id(struct life *life, struct simulated_domain *d)
{
    const struct simulated_domain *other = d->next ? d->next : life->world->domains;

    if (!life->temper.has_identity_changes || d->state == DOMAIN_ABSENT || !other->definition->id)
        return false;
    (void)text_replace(&d->definition->id,
                       dice_percent(&life->dice, 50) ? other->definition->id : d->definition->name);
    return simulated_redefine(life->world, d);
}

static bool rename_it(struct life *life, struct simulated_domain *d)
{
    char name[32];

    if (!life->temper.has_identity_changes || d->state != DOMAIN_OFF)
        return false;
    snprintf(name, sizeof(name), "vm%u", 10 + dice_below(&life->dice, 80));
    (void)text_replace(&d->definition->name, name);
    return simulated_redefine(life->world, d);
}

static const struct {
    unsigned weight;
    const char *what;
    bool (*happen)(struct life *life, struct simulated_domain *d);
} domain_weather[] = {
    {10, "is powered off from inside", power_off},
    {6, "is rebooted from inside", reboot},
    {5, "panics", panic},
    {8, "is destroyed by another hand", destroy},
    {5, "loses its process", kill_process},
    {20, "is started", weather_start},
    {8, "is destroyed and started again", restart},
    {8, "is started, and something else at once", weather_start_briefly},
    {6, "is saved", save},
    {6, "begins to migrate", migrate},
    {3, "begins to arrive from another host", arrive},
    {8, "is paused or resumed", pause_or_resume},
    {4, "is suspended", suspend},
    {4, "is undefined, or defined again", undefine},
    {4, "changes its manners", change_manners},
    {3, "has a process that cannot be judged, or can again", hide_fate},
    {8, "is said to be off while it runs, or no more", weather_misjudge},
    {3, "is locked", weather_lock},
    {2, "is locked no more", unlock},
    {4, "is in arrears, or no more", change_account},
    {2, "is given another disk", attach_disk},
    {2, "is given another disk, and is powered off from inside", weather_attach_disk_and_end},
    {3, "has another local disk under the same path", weather_exchange_disk},
    {4, "has another id", change_id},
    {2, "is renamed", rename_it},
};

static void change_domain(struct life *life)
{
    struct simulated_domain *d = cast_any(life);
    unsigned weights = 0, at;

    /* One thing comes upon another. */
    if (life->struck && dice_percent(&life->dice, 35))
        d = life->struck;
    if (!d)
        return;
    life->struck = d;
    for (size_t i = 0; i < ELEMENTSOF(domain_weather); i++)
        weights += domain_weather[i].weight;
    at = dice_below(&life->dice, weights);
    for (size_t i = 0; i < ELEMENTSOF(domain_weather); i++) {
        if (at >= domain_weather[i].weight) {
            at -= domain_weather[i].weight;
            continue;
        }
        tell(life, "%s %s", domain_word(d), domain_weather[i].what);
        if (domain_weather[i].happen(life, d))
            census_count("weather", domain_weather[i].what);
        else
            tell(life, "  (not in this state)");
        return;
    }
}

/* --- The host ------------------------------------------------------------------------------- */

void weather_lose_hypervisor(struct life *life, usec_t away)
{
    life->world->is_available = away == 0;
    life->available_at = life->now + away;
    if (dice_percent(&life->dice, 50))
        simulated_restart_daemon(life->world);
    else
        simulated_lose_connection(life->world, "end of file from the daemon");
}

static void lose_hypervisor(struct life *life)
{
    usec_t away = dice_percent(&life->dice, 40) ? 0 : seconds(life, 0, 60);

    census_count("weather", "the hypervisor is lost");
    tell(life, "the hypervisor is lost for %.1f s", (double)away / 1e6);
    weather_lose_hypervisor(life, away);
}

static void end_stopd(struct life *life)
{
    bool properly = dice_percent(&life->dice, 30);

    if (!life->temper.has_crashes || !life->engine)
        return;
    census_count("weather", properly ? "stopd is ended" : "stopd is killed");
    if (!properly)
        tell(life, "stopd is killed");
    host_end_engine(life, properly);
}

/* Back or forth, by minutes or hours. */
static void set_clock(struct life *life)
{
    usec_t most = dice_percent(&life->dice, 70) ? 300 : 6 * 3600;

    life->clock_error += (int64_t)seconds(life, 0, 2 * most) - (int64_t)(most * USEC_PER_SEC);
}

static void reboot_host(struct life *life)
{
    char boot_id[UUID_TEXT_SIZE];

    if (!life->temper.has_host_reboots)
        return;
    census_count("weather", "the host is rebooted");
    tell(life, "the host is rebooted");
    uuid_new_lower(boot_id);
    host_end_engine(life, false);
    host_forget_calls(life);
    life->restart_at = life->now + seconds(life, 1, 60);
    life->booted_at = life->now;
    if (dice_percent(&life->dice, 40))
        set_clock(life); /* nobody has told it the time yet */
    simulated_reboot_host(life->world, boot_id);
    for (struct simulated_domain *d = life->world->domains; d; d = d->next)
        if (d->is_persistent && dice_percent(&life->dice, 40))
            weather_start(life, d);
}

static void break_journal(struct life *life)
{
    static const char *const words[] = {
        "", "begins nothing", "writes nothing", "commits nothing", "is in doubt", "is full"};

    if (!dice_percent(&life->dice, life->temper.commit_failures))
        return;
    life->journal_fault = (enum journal_fault)(1 + dice_below(&life->dice, JOURNAL_FULL));
    life->journal_well_at =
        life->now + seconds(life, 0, life->journal_fault == JOURNAL_FULL ? 120 : 30);
    census_count("journal", words[life->journal_fault]);
    tell(life, "the journal fails (%u) for %.1f s", life->journal_fault,
         (double)(life->journal_well_at - life->now) / 1e6);
}

static void change_bound(struct life *life)
{
    if (!life->temper.has_parallel_bound || !life->engine)
        return;
    life->settings.parallel = dice_below(&life->dice, 3);
    if (life->settings.parallel == 0 || life->settings.parallel > life->parallel_most)
        life->parallel_most = life->parallel_most ? life->settings.parallel : 0;
    census_count("weather", "stop.parallel is set");
    tell(life, "stop.parallel is %u now", life->settings.parallel);
    engine_configure(life->engine, &life->settings);
}

/* What a command means that does not say. */
static void change_mode(struct life *life)
{
    enum stopped_mode *mode = &life->settings.policy.stopped_mode;

    if (!life->engine)
        return;
    *mode = *mode == STOPPED_MODE_KEEP_CHARGING ? STOPPED_MODE_STOP_CHARGING
                                                : STOPPED_MODE_KEEP_CHARGING;
    census_count("weather", "stop.stopped_mode is set");
    tell(life, "stop.stopped_mode is %s now", stopped_mode_to_string(*mode));
    engine_configure(life->engine, &life->settings);
}

static void step_clock(struct life *life)
{
    set_clock(life);
    census_count("weather", "the clock is set");
    tell(life, "the clock is set");
}

void weather_change(struct life *life)
{
    static void (*const host_weather[])(struct life *) = {
        lose_hypervisor, lose_hypervisor, end_stopd,    end_stopd,  end_stopd,   reboot_host,
        break_journal,   break_journal,   change_bound, step_clock, change_mode,
    };

    if (dice_percent(&life->dice, 60))
        change_domain(life);
    else
        host_weather[dice_below(&life->dice, ELEMENTSOF(host_weather))](life);
}

/* --- What comes of itself ------------------------------------------------------------------- */

void weather_advance(struct life *life)
{
    if (life->available_at <= life->now) {
        life->available_at = USEC_NEVER;
        life->world->is_available = true;
    }
    if (life->journal_well_at <= life->now) {
        life->journal_well_at = USEC_NEVER;
        life->journal_fault = JOURNAL_FINE;
    }
    if (life->arrived_at <= life->now) {
        bool arrived;

        fate_draw(life, FATE_LUCK, fate_number(life, FATE_LUCK, NULL, 1));
        arrived = dice_percent(&life->dice, 60);
        life->arrived_at = USEC_NEVER;
        tell(life, "a migration %s", arrived ? "has arrived" : "fails");
        for (struct simulated_domain *d = life->world->domains; d; d = d->next)
            if (simulated_migrated(life->world, d, arrived))
                census_count("weather", arrived ? "a migration arrives" : "a migration fails");
    }
}

usec_t weather_next(const struct life *life)
{
    usec_t due = life->available_at;

    if (life->journal_well_at < due)
        due = life->journal_well_at;
    return life->arrived_at < due ? life->arrived_at : due;
}

void weather_calm(struct life *life)
{
    tell(life, "--- quiet");
    life->is_quiet = true;
    life->countdown = 0;
    for (struct simulated_domain *d = life->world->domains; d; d = d->next) {
        struct guest_manners *m = &d->manners;

        m->destroys_failed = m->destroys_lost = 0;
        m->is_unreadable = m->hides_process = m->fate_is_unprovable = false;
        simulated_misjudge(life->world, d, false);
    }
    life->available_at = life->journal_well_at = life->arrived_at = life->now;
    weather_advance(life);
    if (!life->engine && life->restart_at == USEC_NEVER)
        life->restart_at = life->now;
}
