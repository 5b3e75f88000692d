/* aim.c - what befalls a guest just as its stop has got somewhere
 *
 * Theory of operation. Weather comes at any time, and most of what two things make of each other
 * needs them within milliseconds. In some lives a stop is therefore watched: when it enters a
 * stage, something is done to its guest at once or a little later that is of consequence in just
 * this stage. It is weather like any other, with numbers of its own, and can be left out of a
 * story. Where turns take time each stroke has echoes: commands so close behind it that they share
 * a turn with what it has made of the guest.
 */
#include "simulation/census.h"
#include "simulation/life.h"

#include <stdio.h>

/* --- Strokes -------------------------------------------------------------------------------- */

static bool power_off(struct life *life, struct simulated_domain *d)
{
    return simulated_power_off(life->world, d);
}

static bool pause_it(struct life *life, struct simulated_domain *d)
{
    return simulated_pause(life->world, d);
}

static bool suspend(struct life *life, struct simulated_domain *d)
{
    return simulated_suspend(life->world, d);
}

static bool migrate(struct life *life, struct simulated_domain *d)
{
    life->arrived_at = life->now + dice_between(&life->dice, 0, 20 * USEC_PER_SEC);
    return simulated_migrate(life->world, d);
}

static bool panic_and_stay(struct life *life, struct simulated_domain *d)
{
    d->manners.kept_when_crashed = true;
    return simulated_panic(life->world, d);
}

/* By another hand, and it may stand still behind that. */
static bool reset_crashed(struct life *life, struct simulated_domain *d)
{
    static const enum domain_state states[] = {DOMAIN_RUNNING, DOMAIN_PAUSED, DOMAIN_PMSUSPENDED};

    if (d->state != DOMAIN_CRASHED)
        return false;
    d->manners.after_reset = states[dice_below(&life->dice, ELEMENTSOF(states))];
    d->reset_at = life->now;
    return true;
}

/* The hypervisor comes to its senses, and something else has happened before anybody looks. */
static bool come_back(struct life *life, struct simulated_domain *d)
{
    static bool (*const as_well[])(struct life *, struct simulated_domain *) = {
        pause_it, suspend, migrate, migrate, panic_and_stay};

    if (!d->is_misjudged || !simulated_is_present(d))
        return false;
    if (!weather_misjudge(life, d))
        return false;
    if (dice_percent(&life->dice, 85))
        (void)as_well[dice_below(&life->dice, ELEMENTSOF(as_well))](life, d);
    return true;
}

/* Whether its process has ended cannot be told any more, and something makes stopd look. */
static bool doubt(struct life *life, struct simulated_domain *d)
{
    if (d->version > WITNESS_VERSIONS / 2 || d->state == DOMAIN_ABSENT)
        return false;
    d->manners.fate_is_unprovable = true;
    return simulated_redefine(life->world, d);
}

static bool power_off_slowly(struct life *life, struct simulated_domain *d)
{
    d->manners.flush = dice_between(&life->dice, 1, 5) * USEC_PER_SEC;
    return simulated_power_off(life->world, d);
}

/* Nobody can tell by its process that it is another run. */
static bool run_unseen(struct life *life, struct simulated_domain *d)
{
    d->manners.hides_process = true;
    return weather_start(life, d) && power_off_slowly(life, d);
}

/* And something else before anybody looks. */
static bool lock(struct life *life, struct simulated_domain *d)
{
    static bool (*const as_well[])(struct life *, struct simulated_domain *) = {
        pause_it, suspend, migrate, panic_and_stay, power_off_slowly};

    if (d->version > WITNESS_VERSIONS / 2 || !weather_lock(life, d))
        return false;
    if (dice_percent(&life->dice, 60))
        (void)as_well[dice_below(&life->dice, ELEMENTSOF(as_well))](life, d);
    return true;
}

/* By those who do not know of the lock yet, while a look is on its way. */
static bool lock_and_force(struct life *life, struct simulated_domain *d)
{
    if (!lock(life, d))
        return false;
    ask_force(life, d);
    return true;
}

/* To a file, and its process takes long to end. */
static bool save_and_linger(struct life *life, struct simulated_domain *d)
{
    d->manners.linger = dice_between(&life->dice, 5, 60) * USEC_PER_SEC;
    return simulated_save(life->world, d, false);
}

static bool forget_ends(struct life *life, struct simulated_domain *d)
{
    if (simulated_is_present(d))
        return false;
    simulated_restart_daemon(life->world);
    return true;
}

/* Its state cannot be told any more. */
static bool hide(struct life *life, struct simulated_domain *d)
{
    if (d->version > WITNESS_VERSIONS / 2 || d->state == DOMAIN_ABSENT)
        return false;
    d->manners.is_unreadable = true;
    return simulated_redefine(life->world, d);
}

static bool force(struct life *life, struct simulated_domain *d)
{
    ask_force(life, d);
    return true;
}

static bool cancel(struct life *life, struct simulated_domain *d)
{
    return ask_about(life, d, REQUEST_CANCEL);
}

static bool retry(struct life *life, struct simulated_domain *d)
{
    return ask_about(life, d, REQUEST_RETRY);
}

static bool clear_kept(struct life *life, struct simulated_domain *d)
{
    ask_clear(life, d);
    return true;
}

static bool stop_again(struct life *life, struct simulated_domain *d)
{
    ask_stop(life, d);
    return true;
}

static bool power_off_and_cancel(struct life *life, struct simulated_domain *d)
{
    return power_off(life, d) && cancel(life, d);
}

/* A row's stage that stands for an echo. */
#define ECHO STAGE_MAX

static const struct stroke {
    enum stage stage;
    unsigned weight;
    const char *what;
    bool (*happen)(struct life *life, struct simulated_domain *d);
} strokes[] = {
    {STAGE_QUEUED, 3, "is powered off from inside", power_off},
    {STAGE_QUEUED, 4, "is given another disk, and goes off", weather_attach_disk_and_end},
    {STAGE_QUEUED, 2, "is said to be off while it runs", weather_misjudge},
    {STAGE_QUEUED, 2, "begins to migrate", migrate},
    {STAGE_QUEUED, 1, "is paused", pause_it},
    {STAGE_QUEUED, 1, "is suspended", suspend},
    {STAGE_QUEUED, 1, "panics", panic_and_stay},
    {STAGE_QUEUED, 3, "is to be forced", force},
    {STAGE_QUEUED, 3, "is to go on", cancel},
    {STAGE_QUEUED, 4, "is locked", lock},

    {STAGE_SHUTTING_DOWN, 5, "panics", panic_and_stay},
    {STAGE_SHUTTING_DOWN, 2, "is given another disk, and goes off", weather_attach_disk_and_end},
    {STAGE_SHUTTING_DOWN, 2, "has another local disk", weather_exchange_disk},
    {STAGE_SHUTTING_DOWN, 2, "is said to be off while it runs", weather_misjudge},
    {STAGE_SHUTTING_DOWN, 2, "begins to migrate", migrate},
    {STAGE_SHUTTING_DOWN, 2, "is suspended", suspend},
    {STAGE_SHUTTING_DOWN, 1, "is paused", pause_it},
    {STAGE_SHUTTING_DOWN, 2, "is saved, and its process lingers", save_and_linger},
    {STAGE_SHUTTING_DOWN, 1, "is to be forced", force},
    {STAGE_SHUTTING_DOWN, 4, "is to go on", cancel},
    {STAGE_SHUTTING_DOWN, 3, "is locked", lock},
    {STAGE_SHUTTING_DOWN, 6, "is locked, and is to be forced", lock_and_force},

    {STAGE_RELENTING, 2, "is suspended", suspend},
    {STAGE_RELENTING, 3, "panics", panic_and_stay},
    {STAGE_RELENTING, 2, "begins to migrate", migrate},
    {STAGE_RELENTING, 1, "is paused", pause_it},
    {STAGE_RELENTING, 8, "is said to be off while it runs", weather_misjudge},
    {STAGE_RELENTING, 2, "is powered off from inside", power_off},
    {STAGE_RELENTING, 2, "is given another disk, and goes off", weather_attach_disk_and_end},
    {STAGE_RELENTING, 1, "is to be forced", force},

    {STAGE_FORCING, 9, "is reset since it crashed", reset_crashed},
    {STAGE_FORCING, 1, "is suspended", suspend},
    {STAGE_FORCING, 1, "is locked", lock},
    {STAGE_FORCING, 1, "is paused", pause_it},
    {STAGE_FORCING, 1, "begins to migrate", migrate},
    {STAGE_FORCING, 2, "is given another disk, and goes off", weather_attach_disk_and_end},
    {STAGE_FORCING, 3, "is said to be off while it runs", weather_misjudge},

    {STAGE_BLOCKED, 12, "runs after all", come_back},
    {STAGE_BLOCKED, 2, "is given another disk, and goes off", weather_attach_disk_and_end},
    {STAGE_BLOCKED, 4, "is off, for a reason that is forgotten", forget_ends},
    {STAGE_BLOCKED, 1, "is powered off from inside", power_off},

    {STAGE_CLEARING, 1, "is started", weather_start},
    {STAGE_CLEARING, 2, "is started, its process unseen, and goes off again", run_unseen},
    {STAGE_CLEARING, 4, "is started, and something else at once", weather_start_briefly},
    {STAGE_CLEARING, 3, "is started, and is off again", weather_run_briefly},
    {STAGE_CLEARING, 2, "has a process that cannot be judged", doubt},
    {STAGE_CLEARING, 2, "has a state that cannot be told", hide},
    {STAGE_CLEARING, 2, "is to be cleared again", retry},
    {STAGE_CLEARING, 2, "has another local disk", weather_exchange_disk},

    {STAGE_QUARANTINED, 2, "is started", weather_start},
    {STAGE_QUARANTINED, 8, "is started, and something else at once", weather_start_briefly},
    {STAGE_QUARANTINED, 3, "is started, and is off again", weather_run_briefly},
    {STAGE_QUARANTINED, 2, "has a process that cannot be judged", doubt},
    {STAGE_QUARANTINED, 2, "has a state that cannot be told", hide},
    {STAGE_QUARANTINED, 3, "is to be cleared again", retry},
    {STAGE_QUARANTINED, 1, "has another local disk", weather_exchange_disk},

    {STAGE_DONE, 1, "is to have its kept disks cleared", clear_kept},

    {ECHO, 6, "is to go on, as an echo", cancel},
    {ECHO, 2, "is to be forced, as an echo", force},
    {ECHO, 2, "is to be stopped again, as an echo", stop_again},
    {ECHO, 2, "is to be cleared again, as an echo", retry},
    {ECHO, 2, "is to have its kept disks cleared, as an echo", clear_kept},
    {ECHO, 1, "is powered off from inside, as an echo", power_off},
    {ECHO, 2, "is powered off from inside and to go on, as an echo", power_off_and_cancel},
};

static const struct stroke *choose(struct life *life, enum stage stage)
{
    const struct stroke *chosen = NULL;
    unsigned weights = 0;

    for (size_t i = 0; i < ELEMENTSOF(strokes); i++) {
        if (strokes[i].stage != stage)
            continue;
        weights += strokes[i].weight;
        if (dice_below(&life->dice, weights) < strokes[i].weight)
            chosen = &strokes[i];
    }
    return chosen;
}

/* --- Aiming --------------------------------------------------------------------------------- */

static const struct operation *operation_of(const struct life *life,
                                            const struct simulated_domain *d)
{
    return life->engine ? engine_find_operation(life->engine, d->definition->uuid) : NULL;
}

/* At once, or while the stage is likely to last. */
static void aim(struct life *life, unsigned i, unsigned chance)
{
    const struct dice kept = life->dice;
    struct dice *dice = &life->dice;

    life->aims[i].number = fate_number(life, FATE_WEATHER, life->guests[i], 1);
    life->aims[i].at = USEC_NEVER;
    fate_draw(life, FATE_WEATHER, life->aims[i].number);
    if (dice_percent(dice, chance)) {
        usec_t most = (dice_percent(dice, 60) ? 1 : 20) * USEC_PER_SEC;

        life->aims[i].at = life->now + (dice_percent(dice, 40) ? 0 : dice_between(dice, 0, most));
    }
    life->dice = kept;
}

void aim_at_kept_disks(struct life *life, const struct simulated_domain *d)
{
    for (unsigned i = 0; i < life->n_guests && life->temper.is_aimed; i++) {
        if (life->guests[i] != d || life->aims[i].stage != STAGE_DONE)
            continue;
        aim(life, i, 100);
        life->aims[i].at = life->now + dice_between(&life->dice, 0, 8 * USEC_PER_SEC);
    }
}

void aim_watch(struct life *life)
{
    if (!life->temper.is_aimed || life->is_quiet)
        return;
    for (unsigned i = 0; i < life->n_guests; i++) {
        const struct simulated_domain *d = life->guests[i];
        const struct operation *op = d ? operation_of(life, d) : NULL;
        enum stage stage = op ? op->stage : STAGE_DONE;

        if (!d || life->aims[i].stage == stage)
            continue;
        life->aims[i].stage = stage;
        if (stage == STAGE_DONE)
            life->aims[i].at = USEC_NEVER;
        else
            aim(life, i, stage == STAGE_QUARANTINED || stage == STAGE_BLOCKED ? 95 : 65);
    }
}

static void befall(struct life *life, struct simulated_domain *d, enum stage stage,
                   enum fate_kind kind, uint64_t number)
{
    const struct dice kept = life->dice;
    const struct stroke *s;

    fate_draw(life, kind, number + 50000);
    s = choose(life, stage);
    if (s && life->engine && fate_happens(life, kind, number)) {
        tell(life, "%s %s, just now", domain_word(d), s->what);
        if (s->happen(life, d))
            census_count("just now", s->what);
        else
            tell(life, "  (not in this state)");
        host_consider_crash(life, number);
    }
    life->dice = kept;
}

/* At once, within what most turns take, and within a slow one. */
static void prepare_echoes(struct life *life, struct aim *at)
{
    static const usec_t most[AIM_ECHOES] = {3 * USEC_PER_MSEC, 50 * USEC_PER_MSEC,
                                            400 * USEC_PER_MSEC};
    const struct dice kept = life->dice;

    at->echoed = at->number;
    fate_draw(life, FATE_COMMAND, at->number);
    for (unsigned i = 0; i < AIM_ECHOES && life->temper.turn_most > 0; i++)
        at->echoes[i] = life->now + dice_between(&life->dice, 0, most[i]);
    life->dice = kept;
}

static void echo(struct life *life, unsigned i)
{
    struct aim *at = &life->aims[i];

    for (unsigned k = 0; k < AIM_ECHOES; k++)
        if (at->echoes[k] <= life->now) {
            at->echoes[k] = USEC_NEVER;
            befall(life, life->guests[i], ECHO, FATE_COMMAND, at->echoed * 10 + 1 + k);
        }
}

static void strike(struct life *life, unsigned i)
{
    const struct operation *op = operation_of(life, life->guests[i]);
    struct aim *at = &life->aims[i];

    at->at = USEC_NEVER;
    befall(life, life->guests[i], op ? op->stage : STAGE_DONE, FATE_WEATHER, at->number);
    prepare_echoes(life, at);
    if (at->stage != STAGE_DONE)
        aim(life, i, 40);
}

void aim_advance(struct life *life)
{
    for (unsigned i = 0; i < life->n_guests && !life->is_quiet; i++) {
        if (!life->guests[i])
            continue;
        echo(life, i);
        if (life->aims[i].at <= life->now)
            strike(life, i);
    }
}

usec_t aim_next(const struct life *life)
{
    usec_t due = USEC_NEVER;

    for (unsigned i = 0; i < life->n_guests; i++) {
        earlier(&due, life->aims[i].at);
        for (unsigned k = 0; k < AIM_ECHOES; k++)
            earlier(&due, life->aims[i].echoes[k]);
    }
    return due;
}
