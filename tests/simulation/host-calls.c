/* host-calls.c - calls to the hypervisor on their way
 *
 * Theory of operation. A call that the engine starts becomes a flight. At one moment it has its
 * effect, which is when the driver is really called; at a later one its result arrives; if that is
 * too late, the engine is told that the call is stuck, as the workers would, and the flight goes on
 * with nobody waiting for it. Flights survive the death of stopd: what was sent to the hypervisor's
 * daemon may still be carried out.
 */
#include "simulation/census.h"
#include "simulation/life.h"

#include <stdio.h>
#include <string.h>

static void flight_free(struct flight *f)
{
    call_free(f->call);
    free(f);
}

static void roughen(struct life *life, struct flight *f)
{
    const struct temper *t = &life->temper;
    struct dice *dice = &life->dice;

    if (dice_percent(dice, t->slow_calls)) {
        usec_t by = dice_between(dice, 0, 5 * USEC_PER_SEC);

        f->effect_at += by;
        f->result_at += by;
    }
    if (dice_percent(dice, t->slow_calls))
        f->result_at += dice_between(dice, 0, 20 * USEC_PER_SEC);
    if (dice_percent(dice, t->hung_calls)) {
        f->result_at = USEC_NEVER;
        f->effect_at = dice_percent(dice, 50)
                           ? USEC_NEVER
                           : life->now + dice_between(dice, 0, 150 * USEC_PER_SEC);
    }
    if (dice_percent(dice, t->failing_calls))
        f->fault = dice_percent(dice, 50) ? FAULT_BEFORE : FAULT_BETWEEN;
    else if (dice_percent(dice, t->lost_answers))
        f->fault = FAULT_AFTER;
    f->outlives_connection = dice_percent(dice, 20);
}

static void count_trouble(const struct flight *f)
{
    static const char *const faults[] = {"is slow", "fails", "fails between its halves",
                                         "loses its answer"};
    char name[64];

    snprintf(name, sizeof(name), "%s %s", call_kind_to_string(f->call->kind),
             f->result_at != USEC_NEVER  ? faults[f->fault]
             : f->effect_at < USEC_NEVER ? "hangs, with its effect"
                                         : "hangs");
    census_count("call", name);
}

/* Whoever asks an agent that says nothing is kept waiting. */
static bool asks_silent_agent(const struct life *life, const struct call *c)
{
    const struct simulated_domain *d = simulated_find(life->world, c->domain);

    return c->kind == CALL_PRESS && c->button == BUTTON_AGENT && d &&
           d->manners.agent == GUEST_AGENT_SILENT;
}

static void choose_times(struct life *life, struct flight *f)
{
    struct flight rough;

    fate_draw(life, FATE_CALL, f->number);
    f->effect_at = life->now + dice_between(&life->dice, 100, 20 * USEC_PER_MSEC);
    f->result_at = f->effect_at + dice_between(&life->dice, 50, 5 * USEC_PER_MSEC);
    if (life->is_quiet)
        return;
    if (asks_silent_agent(life, f->call) && dice_percent(&life->dice, 50))
        f->result_at += dice_between(&life->dice, 0, 60 * USEC_PER_SEC);
    rough = *f;
    roughen(life, &rough);
    if ((rough.result_at != f->result_at || rough.fault || rough.outlives_connection) &&
        fate_happens(life, FATE_CALL, f->number)) {
        *f = rough;
        count_trouble(f);
    }
}

/* No trouble is worth so many calls: something makes the engine ask and ask. */
static void watch_rush(struct life *life)
{
    if (life->rush_until <= life->now) {
        life->rush_until = life->now + 10 * USEC_PER_SEC;
        life->rush = 0;
    }
    if (++life->rush > 300)
        rule_broken(life, "loop", "more than 300 calls in ten seconds");
}

void host_start_call(void *userdata, struct call *c)
{
    struct life *life = userdata;
    struct flight *f;

    if (!host_point(life, "a call")) {
        call_free(c);
        return;
    }
    witness_call(life, c);
    watch_rush(life);
    f = calloc(1, sizeof(*f));
    if (!f)
        abort();
    f->call = c;
    f->session = life->world->session;
    f->started_at = life->now;
    f->follows_look = witness_has_just_looked(life, c);
    f->stuck_at = life->now + c->timeout;
    f->number = fate_number(life, FATE_CALL, simulated_find(life->world, c->domain), c->kind);
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
            g->later_run = c->kind == CALL_LOOK && c->sighting.has_run_since ? d->run : 0;
            g->is_defined = d->state != DOMAIN_ABSENT;
            g->shows_run = g->version > 0 && shows_run(life, d);
            g->is_up = simulated_is_present(d);
            g->is_arriving = g->is_up && d->in_migration && d->way == WAY_IN;
            g->is_crashed = d->state == DOMAIN_CRASHED;
            g->is_off = c->sighting.state == DOMAIN_OFF || c->sighting.state == DOMAIN_ABSENT;
            g->is_saved = c->kind == CALL_LOOK && !g->is_up &&
                          (c->sighting.cause == END_SAVED || c->sighting.has_managed_save);
            g->goes_on = g->is_saved ||
                         (c->kind == CALL_LOOK && !g->is_up && c->sighting.cause == END_MIGRATED);
            g->is_dark = g->version == 0 || (!g->shows_run && !d->is_misjudged);
            snprintf(g->id, sizeof(g->id), "%s",
                     g->is_defined ? instance_public_id(d->definition) : "");
        }
}

static void execute(struct life *life, struct flight *f)
{
    struct call *c = f->call;

    f->effect_at = USEC_NEVER;
    f->has_taken_effect = true;
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
    told->press.is_asked = f->call->press.is_asked;
    witness_wrote_off(life, f);
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
    host_consider_crash(life, f->number);
}

/* The worker that was written off is back. */
static void come_late(struct life *life, struct flight *f)
{
    if (f->is_orphan || !life->engine || !call_acts(f->call))
        return;
    f->call->is_late = true;
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
    if (f->effect_at == USEC_NEVER && f->has_taken_effect)
        come_late(life, f);
    /* The driver lets no written-off connect loose on the connections of a later one. */
    return f->effect_at == USEC_NEVER || f->call->kind == CALL_CONNECT;
}

void host_advance_calls(struct life *life)
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
void host_orphan_calls(struct life *life)
{
    struct flight **at = &life->flights;

    while (*at) {
        struct flight *f = *at;

        f->is_written_off = f->is_orphan = true;
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

void host_forget_calls(struct life *life)
{
    struct flight *f;

    while ((f = life->flights)) {
        life->flights = f->next;
        flight_free(f);
    }
}

usec_t host_next_call(const struct life *life)
{
    usec_t due = USEC_NEVER;

    for (const struct flight *f = life->flights; f; f = f->next) {
        earlier(&due, f->effect_at);
        if (!f->is_written_off) {
            earlier(&due, f->result_at);
            earlier(&due, f->stuck_at);
        }
    }
    return due;
}
