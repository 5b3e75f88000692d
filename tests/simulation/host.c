/* host.c - what the engine lives on: hints that get lost, a clock, a life and a death
 *
 * Theory of operation. A death in the middle of a turn needs no unwinding. Before each thing that
 * the engine does to the outside (a write, a commit, a call, a reply) stands a point; once a point
 * has been the last, all that the turn still does is thrown away, which from outside is what a kill
 * -9 looks like.
 */
#include "simulation/census.h"
#include "simulation/life.h"
#include "simulation/sinks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* --- Points --------------------------------------------------------------------------------- */

bool host_point(struct life *life, const char *before)
{
    if (life->is_dying)
        return false;
    if (life->countdown > 0 && --life->countdown == 0) {
        tell(life, "stopd is killed before %s", before);
        census_count("killed before", before);
        life->is_dying = true;
        return false;
    }
    return true;
}

void host_consider_crash(struct life *life, uint64_t number)
{
    const struct dice kept = life->dice;

    if (!life->temper.has_crashes || life->is_quiet || !life->engine || life->countdown > 0)
        return;
    fate_draw(life, FATE_CRASH, number);
    if (dice_percent(&life->dice, life->temper.is_aimed ? 5 : 2)) {
        unsigned points = 1 + dice_below(&life->dice, 12);

        if (fate_happens(life, FATE_CRASH, number))
            life->countdown = points;
    }
    life->dice = kept;
}

/* --- The clock and chance ------------------------------------------------------------------- */

struct moment host_now(void *userdata)
{
    const struct life *life = userdata;
    const usec_t epoch = 1790000000 * USEC_PER_SEC;

    return (struct moment){
        .monotonic = life->now - life->booted_at + 20 * USEC_PER_SEC,
        .realtime = (usec_t)((int64_t)(epoch + life->now) + life->clock_error),
    };
}

static uint32_t host_random(void *userdata, uint32_t bound)
{
    struct life *life = userdata;

    return dice_below(&life->uuid_dice, bound);
}

static bool host_is_alive(void *userdata, const struct incarnation *run)
{
    struct hypervisor *h = &((struct life *)userdata)->world->hypervisor;

    return h->ops->is_alive(h, run);
}

/* --- Hints ---------------------------------------------------------------------------------- */

static void post_hint(struct life *life, const uuid_t domain, usec_t at)
{
    struct hint_in_flight *h = calloc(1, sizeof(*h));

    if (!h)
        abort();
    uuid_copy(h->domain, domain);
    h->at = at;
    h->next = life->hints;
    life->hints = h;
}

/* Lost, late, doubled; or as it should be. */
static void send_hint(struct life *life, const uuid_t domain)
{
    uint64_t number = fate_number(life, FATE_HINT, simulated_find(life->world, domain), 0);
    const struct temper *t = &life->temper;
    struct dice *dice = &life->dice;
    usec_t delay, later, again;
    bool is_lost;

    fate_draw(life, FATE_HINT, number);
    delay = dice_between(dice, 20, 2000);
    is_lost = !life->is_quiet && dice_percent(dice, t->lost_hints);
    later = !life->is_quiet && dice_percent(dice, t->late_hints)
                ? dice_between(dice, 0, 15 * USEC_PER_SEC)
                : 0;
    again = dice_percent(dice, t->doubled_hints) ? dice_between(dice, 1, USEC_PER_SEC) : 0;
    if ((is_lost || later || again) && !fate_happens(life, FATE_HINT, number)) {
        is_lost = false;
        later = again = 0;
    }
    life->has_lost_hints |= is_lost;
    if (is_lost || later || again)
        census_count("hint", is_lost ? "lost" : later ? "late" : "doubled");
    if (is_lost)
        return;
    post_hint(life, domain, life->now + delay + later);
    if (again)
        post_hint(life, domain, life->now + delay + later + again);
}

static void on_changed(void *userdata, const uuid_t domain)
{
    struct life *life = userdata;
    const struct dice kept = life->dice;

    if (!life->engine || life->is_dying)
        return;
    send_hint(life, domain);
    life->dice = kept;
}

static void on_lost(void *userdata, const char *why)
{
    struct life *life = userdata;

    const struct dice kept = life->dice;

    if (!life->engine || life->is_dying)
        return;
    fate_draw(life, FATE_LUCK, fate_number(life, FATE_LUCK, NULL, 2));
    life->lost_at = life->now + dice_between(&life->dice, 100, 6 * USEC_PER_SEC);
    life->dice = kept;
}

static void deliver_hints(struct life *life)
{
    struct hint_in_flight **at = &life->hints;

    while (*at) {
        struct hint_in_flight *h = *at;

        if (h->at > life->now) {
            at = &h->next;
            continue;
        }
        engine_take_hint(life->engine, h->domain);
        life->has_arrivals = true;
        *at = h->next;
        free(h);
    }
}

static void drop_hints(struct life *life)
{
    struct hint_in_flight *h;

    while ((h = life->hints)) {
        life->hints = h->next;
        free(h);
    }
    life->lost_at = USEC_NEVER;
}

/* --- The engine ----------------------------------------------------------------------------- */

static void host_committed(void *userdata, uint64_t sequence)
{
    struct life *life = userdata;

    if (!host_point(life, "the sinks are woken"))
        return;
    if (sequence != life->witness.sequence)
        rule_broken(life, "4.4 outbox", "sinks are woken for event %llu, the journal has %llu",
                    (unsigned long long)sequence, (unsigned long long)life->witness.sequence);
    sinks_notify(life, sequence);
}

void host_start_engine(struct life *life)
{
    const struct engine_host host = {
        .userdata = life,
        .start_call = host_start_call,
        .now = host_now,
        .is_alive = host_is_alive,
        .random = host_random,
        .committed = host_committed,
        .start_wipe = wiping_start,
        .end_wipe = wiping_end,
        .sign = wiping_sign,
        .sinks = sinks_for_engine(life),
    };
    struct hypervisor_listener *listener = &life->world->hypervisor.listener;
    _cleanup_(error_free) struct error *error = NULL;

    *listener = (struct hypervisor_listener){on_changed, on_lost, life};
    life->settings.sinks = sinks_names(life, &life->settings.n_sinks);
    life->restart_at = USEC_NEVER;
    life->turn_ends = life->now;
    life->is_dying = false;
    life->countdown = 0;
    tell(life, "stopd starts");
    if (engine_new(&life->settings, &host, life->journal, &life->engine, &error) < 0)
        rule_broken(life, "4.5 recovery", "stopd does not start: %s", error_message(error));
    else
        witness_restarted(life);
    if (life->engine)
        sinks_start(life);
    life->has_arrivals = true;
}

void host_end_engine(struct life *life, bool properly)
{
    if (!life->engine)
        return;
    if (properly) {
        tell(life, "stopd ends");
        life->is_ending = true;
        engine_quiesce(life->engine);
        host_turn(life);
        if (!life->engine)
            return; /* killed on the way */
    } else {
        life->is_dying = true;
        journal_rollback(life->journal);
    }
    fate_draw(life, FATE_LUCK, fate_number(life, FATE_LUCK, NULL, 5));
    sinks_stop(life, properly);
    engine_free(take(life->engine));
    if (life->requests_out > 0)
        rule_broken(life, "5 answers", "%u requests were never answered", life->requests_out);
    life->requests_out = 0;
    fate_draw(life, FATE_LUCK, fate_number(life, FATE_LUCK, NULL, 3));
    host_orphan_calls(life);
    wiping_forget(life);
    drop_hints(life);
    simulated_lose_connection(life->world, "stopd is gone");
    life->lost_at = USEC_NEVER;
    fate_draw(life, FATE_LUCK, fate_number(life, FATE_LUCK, NULL, 4));
    if (!properly)
        journal_faults_crash(life);
    life->is_dying = life->is_ending = false;
    life->witness.n_crashes++;
    witness_forsake(life);
    life->restart_at = life->now + dice_between(&life->dice, USEC_PER_MSEC, 90 * USEC_PER_SEC);
}

/* Calls on time that does not go on are a loop. */
static void watch_spinning(struct life *life)
{
    life->spins = life->now == life->last_turn ? life->spins + 1 : 0;
    life->last_turn = life->now;
    if (life->spins > 100)
        rule_broken(life, "loop", "the engine wants turn after turn at the same time");
}

/* Mostly short, now and then as long as a slow disk makes it. Each has dice of its own, by its
 * time. */
static usec_t turn_length(struct life *life)
{
    const struct dice kept = life->dice;
    usec_t most = life->is_quiet ? 0 : life->temper.turn_most;

    fate_draw(life, FATE_LUCK, life->now);
    most = dice_between(&life->dice, 0, dice_percent(&life->dice, 25) ? most : most / 20);
    life->dice = kept;
    return most;
}

void host_turn(struct life *life)
{
    life->has_arrivals = life->witness.has_acted = false;
    engine_turn(life->engine);
    if (life->is_dying) {
        host_end_engine(life, false);
        return;
    }
    watch_spinning(life);
    witness_turn(life);
    aim_watch(life);
    life->turn_ends = life->now + turn_length(life);
}

/* --- Time ----------------------------------------------------------------------------------- */

void host_advance(struct life *life)
{
    host_advance_calls(life);
    if (!life->engine)
        return;
    deliver_hints(life);
    wiping_advance(life);
    sinks_advance(life);
    if (life->lost_at <= life->now) {
        life->lost_at = USEC_NEVER;
        engine_take_lost(life->engine, "keepalive timeout");
        life->has_arrivals = true;
    }
}

usec_t host_next(const struct life *life)
{
    usec_t due = life->lost_at;

    earlier(&due, host_next_call(life));
    for (const struct hint_in_flight *h = life->hints; h; h = h->next)
        earlier(&due, h->at);
    earlier(&due, wiping_next(life));
    earlier(&due, sinks_next(life));
    return due;
}
