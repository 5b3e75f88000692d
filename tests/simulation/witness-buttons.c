/* witness-buttons.c - when a button has to be pressed, and which
 *
 * Theory of operation. While a stop has its turn and its guest runs, so that a button can be
 * pressed, one goes out every stop.resend: counted is the time in which nobody is asked anything of
 * that domain. What comes between (the hypervisor or the journal away, a call that failed, a guest
 * that stood still) may make the next one late by as much as a failed call is put off.
 *
 * The agent has a budget of its own for an answer; after that, or where it is absent, or does not
 * do it, or took the command and did nothing until the button is due again, it is ACPI's turn.
 */
#include "simulation/census.h"
#include "simulation/life.h"

/* How long what failed may be put off. */
#define AGAIN_MOST (10 * USEC_PER_SEC)
/* For turns, and for the first look. */
#define SLACK (2 * USEC_PER_SEC)
/* The manual's, stopd.conf(5). */
#define AGENT_BUDGET (20 * USEC_PER_SEC)

static bool may_be_pressed(const struct life *life, const struct ask *a)
{
    const struct simulated_domain *d = a->domain;
    const struct operation *op;

    if (!life->engine || !engine_is_attached(life->engine) || life->journal_fault ||
        a->is_cancelled || d->state != DOMAIN_RUNNING || d->in_migration || d->is_misjudged ||
        d->manners.is_unreadable || d->manners.hides_process ||
        (life->world->has_processes && d->run != a->run))
        return false;
    op = engine_find_operation(life->engine, d->definition->uuid);
    return op && op->stage == STAGE_SHUTTING_DOWN && text_equal(op->request_id, a->request_id);
}

static const struct flight *flight_of(const struct life *life, const struct simulated_domain *d)
{
    for (const struct flight *f = life->flights; f; f = f->next)
        if (!f->is_written_off && uuid_compare(f->call->domain, d->definition->uuid) == 0)
            return f;
    return NULL;
}

static usec_t longer(usec_t a, usec_t b)
{
    return a > b ? a : b;
}

static void interrupt(struct ask *a)
{
    a->unpressed = 0;
    a->press_within = longer(a->resend, AGAIN_MOST);
}

static void wait_for_agent(struct life *life, struct ask *a, const struct flight *f, usec_t passed)
{
    bool is_out = f && f->call->kind == CALL_PRESS && f->call->button == BUTTON_AGENT;

    a->agent_out = is_out ? a->agent_out + passed : 0;
    census_count("rule", "2 stop.method");
    if (a->agent_out > AGENT_BUDGET + SLACK)
        rule_broken(life, "2 stop.method", "the agent of %s is waited for %.1f s",
                    domain_word(a->domain), (double)a->agent_out / 1e6);
    if (a->is_agent_asked && !f)
        a->agent_waited += passed;
    if (a->agent_waited > a->resend + AGAIN_MOST + SLACK)
        rule_broken(life, "2 stop.method", "the agent of %s does not do it, and ACPI is not asked",
                    domain_word(a->domain));
}

static void pass_time(struct life *life, struct ask *a, usec_t passed)
{
    const struct flight *f = flight_of(life, a->domain);

    if (a->method != METHOD_ACPI)
        wait_for_agent(life, a, f, passed);
    if (f)
        return;
    a->unpressed += passed;
    census_count("rule", "2 stop.resend");
    if (a->unpressed > a->press_within + SLACK)
        rule_broken(life, "2 stop.resend", "%s is not pressed for %.1f s, and its guest runs",
                    domain_word(a->domain), (double)a->unpressed / 1e6);
}

void witness_buttons_time(struct life *life, usec_t passed)
{
    for (struct ask *a = life->witness.asks; a; a = a->next) {
        if (a->kind != REQUEST_STOP || !ask_is_under_way(a))
            continue;
        if (may_be_pressed(life, a)) {
            pass_time(life, a, passed);
            continue;
        }
        interrupt(a);
        a->is_agent_asked = false;
        a->agent_waited = a->agent_out = 0;
    }
}

void witness_button(struct life *life, const struct call *c)
{
    struct simulated_domain *d = simulated_find(life->world, c->domain);
    struct ask *a = d ? witness_operation(life, d) : NULL;

    if (c->kind != CALL_PRESS || !a)
        return;
    a->unpressed = 0;
    a->is_agent_asked = c->button == BUTTON_AGENT && a->method == METHOD_AGENT_ACPI;
    if (!a->is_agent_asked)
        a->agent_waited = 0;
}

void witness_button_back(struct life *life, const struct call *c, bool is_taken)
{
    struct simulated_domain *d = simulated_find(life->world, c->domain);
    struct ask *a = d ? witness_operation(life, d) : NULL;

    if (!a || (c->kind != CALL_PRESS && is_taken))
        return;
    if (!is_taken) {
        interrupt(a);
        return;
    }
    a->unpressed = 0;
    a->press_within = a->resend;
}
