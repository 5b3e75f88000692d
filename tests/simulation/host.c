/* host.c - what the engine lives on: calls that take their time, hints that get lost, a clock, a
 * death
 *
 * Theory of operation. A call that the engine starts becomes a flight. At one moment it has its
 * effect, which is when the driver is really called; at a later one its result arrives; if that is
 * too late, the engine is told that the call is stuck, as the workers would, and the flight goes on
 * with nobody waiting for it. Flights survive the death of stopd: what was sent to the hypervisor's
 * daemon may still be carried out.
 *
 * A death in the middle of a turn needs no unwinding. Before each thing that the engine does to the
 * outside (a write, a commit, a call, a reply) stands a point; once a point has been the last, all
 * that the turn still does is thrown away, which from outside is what a kill -9 looks like.
 */
#include "simulation/life.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SINK "file"

/* --- Points ------------------------------------------------------------------------------------
 */

bool host_point(struct life *life)
{
    if (life->is_dying)
        return false;
    if (life->countdown > 0 && --life->countdown == 0) {
        tell(life, "stopd is killed");
        life->is_dying = true;
        return false;
    }
    return true;
}

/* --- The clock and chance ----------------------------------------------------------------------
 */

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

    return dice_below(&life->dice, bound);
}

/* --- Calls -------------------------------------------------------------------------------------
 */

static void flight_free(struct flight *f)
{
    call_free(f->call);
    free(f);
}

static void choose_times(struct life *life, struct flight *f)
{
    const struct temper *t = &life->temper;
    struct dice *dice = &life->dice;
    bool is_rough = !life->is_quiet;

    f->effect_at = life->now + dice_between(dice, 100, 20 * USEC_PER_MSEC);
    if (is_rough && dice_percent(dice, t->slow_calls))
        f->effect_at += dice_between(dice, 0, 5 * USEC_PER_SEC);
    f->result_at = f->effect_at + dice_between(dice, 50, 5 * USEC_PER_MSEC);
    if (is_rough && dice_percent(dice, t->slow_calls))
        f->result_at += dice_between(dice, 0, 20 * USEC_PER_SEC);
    if (is_rough && dice_percent(dice, t->hung_calls)) {
        f->result_at = USEC_NEVER;
        f->effect_at = dice_percent(dice, 50)
                           ? USEC_NEVER
                           : life->now + dice_between(dice, 0, 150 * USEC_PER_SEC);
    }
    if (is_rough && dice_percent(dice, t->failing_calls))
        f->fault = dice_percent(dice, 50) ? FAULT_BEFORE : FAULT_BETWEEN;
    else if (is_rough && dice_percent(dice, t->lost_answers))
        f->fault = FAULT_AFTER;
    f->outlives_connection = dice_percent(dice, 20);
}

static void host_start_call(void *userdata, struct call *c)
{
    struct life *life = userdata;
    struct flight *f;

    if (!host_point(life)) {
        call_free(c);
        return;
    }
    witness_call(life, c);
    f = calloc(1, sizeof(*f));
    if (!f)
        abort();
    f->call = c;
    f->session = life->world->session;
    f->stuck_at = life->now + c->timeout;
    choose_times(life, f);
    f->next = life->flights;
    life->flights = f;
}

static bool shows_run(const struct life *life, const struct simulated_domain *d)
{
    return !simulated_is_present(d) ||
           (!d->is_misjudged && !(life->world->has_processes && d->manners.hides_process));
}

/* What the call has seen is what the engine knows once its result is in. */
static void note_what_is_seen(struct life *life, struct flight *f)
{
    const struct call *c = f->call;
    size_t i = 0;

    if ((c->kind != CALL_LOOK && c->kind != CALL_CONNECT) || c->result < 0)
        return;
    for (const struct simulated_domain *d = life->world->domains; d; d = d->next, i++)
        if (c->kind == CALL_CONNECT || uuid_compare(d->definition->uuid, c->domain) == 0) {
            struct glimpse *g = &f->glimpses[i];

            g->version = d->manners.is_unreadable ? 0 : d->version;
            g->run = d->run;
            g->is_defined = d->state != DOMAIN_ABSENT;
            g->is_crashed = d->state == DOMAIN_CRASHED;
            g->shows_run = g->version > 0 && shows_run(life, d);
            snprintf(g->id, sizeof(g->id), "%s",
                     g->is_defined ? instance_public_id(d->definition) : "");
        }
}

static void execute(struct life *life, struct flight *f)
{
    struct call *c = f->call;

    f->effect_at = USEC_NEVER;
    if (c->kind != CALL_CONNECT && f->session != life->world->session && !f->outlives_connection) {
        c->result = error_set(&c->error, ERROR_UNKNOWN, "the connection that it went over is gone");
        return;
    }
    life->world->next_fault = f->fault;
    life->executing = f;
    call_execute(c, &life->world->hypervisor);
    life->executing = NULL;
    life->world->next_fault = FAULT_NONE;
    note_what_is_seen(life, f);
    tell(life, "  %s takes effect%s: %s", call_kind_to_string(c->kind),
         f->is_written_off ? ", though written off" : "",
         c->result < 0 ? error_message(c->error) : "done");
}

static void write_off(struct life *life, struct flight *f)
{
    struct call *told = call_new(f->call->kind);

    if (!told)
        abort();
    f->is_written_off = true;
    told->id = f->call->id;
    told->generation = f->call->generation;
    told->timeout = f->call->timeout;
    uuid_copy(told->domain, f->call->domain);
    told->stuck = true;
    told->result = error_set(&told->error, ERROR_UNKNOWN, "no answer in time");
    tell(life, "  %s is stuck", call_kind_to_string(told->kind));
    engine_take_call(life->engine, told);
    life->has_arrivals = true;
}

static void arrive(struct life *life, struct flight *f)
{
    witness_learned(life, f);
    engine_take_call(life->engine, take(f->call));
    life->has_arrivals = true;
}

/* True: nothing is left of it. */
static bool advance_flight(struct life *life, struct flight *f)
{
    if (f->effect_at <= life->now)
        execute(life, f);
    if (!f->is_written_off && f->result_at <= life->now) {
        arrive(life, f);
        return true;
    }
    if (!f->is_written_off && f->stuck_at <= life->now)
        write_off(life, f);
    if (!f->is_written_off)
        return false;
    /* The driver lets no written-off connect loose on the connections of a later one. */
    return f->effect_at == USEC_NEVER || f->call->kind == CALL_CONNECT;
}

static void advance_flights(struct life *life)
{
    struct flight **at = &life->flights;

    while (*at) {
        struct flight *f = *at;

        if (!advance_flight(life, f)) {
            at = &f->next;
            continue;
        }
        *at = f->next;
        flight_free(f);
    }
}

bool host_has_flight(const struct life *life, const uuid_t domain)
{
    for (const struct flight *f = life->flights; f; f = f->next)
        if (f->call->kind != CALL_CONNECT && uuid_compare(f->call->domain, domain) == 0)
            return true;
    return false;
}

/* stopd is dead: what it had sent may still be carried out, the rest is not. */
static void orphan_flights(struct life *life)
{
    struct flight **at = &life->flights;

    while (*at) {
        struct flight *f = *at;

        f->is_written_off = true;
        if (f->call->kind == CALL_CONNECT || f->effect_at == USEC_NEVER ||
            dice_percent(&life->dice, 50)) {
            *at = f->next;
            flight_free(f);
        } else {
            f->outlives_connection = true;
            at = &f->next;
        }
    }
}

void host_forget_flights(struct life *life)
{
    struct flight *f;

    while ((f = life->flights)) {
        life->flights = f->next;
        flight_free(f);
    }
}

/* --- Hints -------------------------------------------------------------------------------------
 */

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

static void on_changed(void *userdata, const uuid_t domain)
{
    struct life *life = userdata;
    struct dice *dice = &life->dice;
    usec_t delay = dice_between(dice, 20, 2000);

    if (!life->engine || life->is_dying)
        return;
    if (!life->is_quiet && dice_percent(dice, life->temper.lost_hints)) {
        life->has_lost_hints = true;
        return;
    }
    if (!life->is_quiet && dice_percent(dice, life->temper.late_hints))
        delay += dice_between(dice, 0, 15 * USEC_PER_SEC);
    post_hint(life, domain, life->now + delay);
    if (dice_percent(dice, life->temper.doubled_hints))
        post_hint(life, domain, life->now + delay + dice_between(dice, 0, USEC_PER_SEC));
}

static void on_lost(void *userdata, const char *why)
{
    struct life *life = userdata;

    if (life->engine && !life->is_dying)
        life->lost_at = life->now + dice_between(&life->dice, 100, 6 * USEC_PER_SEC);
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

/* --- The engine --------------------------------------------------------------------------------
 */

static void host_committed(void *userdata, uint64_t sequence)
{
    struct life *life = userdata;

    if (!host_point(life))
        return;
    if (sequence != life->witness.sequence)
        rule_broken(life, "4.4 outbox", "sinks are woken for event %llu, the journal has %llu",
                    (unsigned long long)sequence, (unsigned long long)life->witness.sequence);
    life->delivered = sequence;
}

void host_start_engine(struct life *life)
{
    static const char *const sinks[] = {SINK};
    const struct engine_host host = {
        .userdata = life,
        .start_call = host_start_call,
        .now = host_now,
        .random = host_random,
        .committed = host_committed,
        .start_wipe = wiping_start,
        .end_wipe = wiping_end,
        .sign = wiping_sign,
    };
    struct hypervisor_listener *listener = &life->world->hypervisor.listener;
    _cleanup_(error_free) struct error *error = NULL;

    *listener = (struct hypervisor_listener){on_changed, on_lost, life};
    life->settings.sinks = sinks;
    life->settings.n_sinks = ELEMENTSOF(sinks);
    life->restart_at = USEC_NEVER;
    life->is_dying = false;
    life->countdown = 0;
    tell(life, "stopd starts");
    if (engine_new(&life->settings, &host, life->journal, &life->engine, &error) < 0)
        rule_broken(life, "4.5 recovery", "stopd does not start: %s", error_message(error));
    else
        witness_restarted(life);
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
    engine_free(take(life->engine));
    if (life->requests_out > 0)
        rule_broken(life, "5 answers", "%u requests were never answered", life->requests_out);
    life->requests_out = 0;
    orphan_flights(life);
    wiping_forget(life);
    drop_hints(life);
    simulated_lose_connection(life->world, "stopd is gone");
    life->lost_at = USEC_NEVER;
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

void host_turn(struct life *life)
{
    if (!life->is_quiet && life->temper.has_crashes && life->countdown == 0 &&
        dice_percent(&life->dice, 1))
        life->countdown = 1 + dice_below(&life->dice, 12);
    life->has_arrivals = false;
    if (life->delivered > life->cursor && dice_percent(&life->dice, 30)) {
        life->cursor = life->delivered;
        engine_take_cursor(life->engine, SINK, life->cursor);
    }
    engine_turn(life->engine);
    if (life->is_dying) {
        host_end_engine(life, false);
        return;
    }
    watch_spinning(life);
    witness_turn(life);
}

/* --- Time --------------------------------------------------------------------------------------
 */

void host_advance(struct life *life)
{
    advance_flights(life);
    if (!life->engine)
        return;
    deliver_hints(life);
    wiping_advance(life);
    if (life->lost_at <= life->now) {
        life->lost_at = USEC_NEVER;
        engine_take_lost(life->engine, "keepalive timeout");
        life->has_arrivals = true;
    }
}

static void earlier(usec_t *due, usec_t candidate)
{
    if (candidate < *due)
        *due = candidate;
}

usec_t host_next(const struct life *life)
{
    usec_t due = life->lost_at;

    for (const struct flight *f = life->flights; f; f = f->next) {
        earlier(&due, f->effect_at);
        if (!f->is_written_off) {
            earlier(&due, f->result_at);
            earlier(&due, f->stuck_at);
        }
    }
    for (const struct hint_in_flight *h = life->hints; h; h = h->next)
        earlier(&due, h->at);
    earlier(&due, wiping_next(life));
    return due;
}
