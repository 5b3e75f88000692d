/* engine-unasked.c - transitions that nobody commanded
 *
 * Theory of operation. What a look shows of a domain without an operation is compared with what was
 * last reported of it: a difference is a transition that nobody commanded, or one that was missed
 * while stopd or the hypervisor was away. What this turn has reported already counts, for commands
 * are taken before what looks bring: a stop may have been cancelled by then. The first picture of a
 * host of which nothing was ever reported is taken down in silence.
 */
#include "engine/engine-internal.h"

static void look_again(struct engine *e, struct domain *d)
{
    d->look_delay = d->look_delay ? d->look_delay * 2 : LOOK_DELAY_LEAST;
    if (d->look_delay > LOOK_DELAY_MOST)
        d->look_delay = LOOK_DELAY_MOST;
    d->next_look = e->now.monotonic + d->look_delay;
    engine_stage_domain(e, d);
}

static const char *unasked_reason(const struct sighting *s, enum input_kind seen)
{
    if (seen == IN_SEEN_SAVED)
        return "saved";
    switch (s->cause) {
    case END_SHUTDOWN:
        return "guest shut down by itself";
    case END_DESTROYED:
        return "destroyed";
    case END_CRASHED:
        return "guest crashed";
    case END_FAILED:
        return "hypervisor failure";
    case END_DAEMON:
        return "ended by the hypervisor's daemon";
    default:
        return "off, cause unknown";
    }
}

/* It was there when the first picture was taken, whose states are taken down in silence; of one
 * whose state could not be told then, the journal knows that much as Pending. */
static bool is_found(const struct domain *d)
{
    const struct last_report *last = engine_report_now(d);

    return d->is_found || (last->known && last->state == STATE_PENDING);
}

void engine_keep_first_picture(struct engine *e)
{
    struct domain *d;

    if (!e->is_picture_owed)
        return;
    inventory_foreach(&e->inventory, d) if (d->is_found && !d->reported_changed)
        engine_stage_reported(e, d, STATE_PENDING, &d->incarnation);
}

static void settle_running(struct engine *e, struct domain *d, const struct sighting *s)
{
    const struct last_report last = *engine_report_now(d); /* which what is staged here replaces */
    bool is_same = !s->incarnation.pid || !last.incarnation.pid ||
                   incarnation_equal(&s->incarnation, &last.incarnation);

    if (!last.known || last.state == STATE_PENDING) {
        if (is_found(d) && is_same)
            engine_stage_reported(e, d, STATE_RUNNING, &s->incarnation);
        else
            engine_report_unasked(e, d, STATE_PENDING, STATE_RUNNING, "started", &s->incarnation);
    } else if (last.state == STATE_STOPPED) {
        engine_report_unasked(e, d, STATE_STOPPED, STATE_RUNNING, "started", &s->incarnation);
    } else if (!is_same) {
        engine_report_unasked(e, d, STATE_RUNNING, STATE_STOPPED, "ended unseen", NULL);
        engine_report_unasked(e, d, STATE_STOPPED, STATE_RUNNING, "started again", &s->incarnation);
    } else {
        if (s->incarnation.pid && !last.incarnation.pid) {
            engine_stage_reported(e, d, STATE_RUNNING, &s->incarnation);
            d->next_reported.interlock = last.interlock;
        }
        engine_settle_interlock(e, d, s);
    }
}

/* On its way to this host: its guest runs elsewhere until the migration has ended, and if that
 * fails it was never here. */
static void settle_arriving(struct engine *e, struct domain *d)
{
    const struct last_report *last = engine_report_now(d);

    d->is_found = false; /* it comes after the first picture */
    if (last->known && last->state == STATE_RUNNING)
        engine_report_unasked(e, d, STATE_RUNNING, STATE_STOPPED, "ended unseen", NULL);
}

static void settle_off(struct engine *e, struct domain *d, const struct sighting *s,
                       enum input_kind seen)
{
    const struct last_report *last = engine_report_now(d);

    if (!last->known || last->state == STATE_PENDING)
        engine_stage_reported(e, d, STATE_STOPPED, NULL);
    else if (seen == IN_SEEN_MIGRATED) /* it runs elsewhere: nothing has stopped */
        engine_stage_reported(e, d, STATE_STOPPED, NULL);
    else if (last->state != STATE_STOPPED)
        engine_report_unasked(e, d, last->state, STATE_STOPPED, unasked_reason(s, seen), NULL);
    else if (last->is_filed != d->is_filed || last->incarnation.pid)
        engine_stage_reported(e, d, STATE_STOPPED, NULL);
}

/* No run of it was reported, or it was reported off. */
static bool is_reported_off(const struct domain *d)
{
    const struct last_report *last = engine_report_now(d);

    return !last->known || last->state == STATE_STOPPED || last->state == STATE_PENDING;
}

/* … and none is known: nothing has to be proved to say off. */
static bool is_known_off(const struct domain *d)
{
    return is_reported_off(d) && !engine_report_now(d)->incarnation.pid;
}

/* A run that has come and gone without being reported is nobody's news; but until its process has
 * ended the domain is not off, and its disks are not to be cleared. */
static void remember_ending(struct engine *e, struct domain *d, const struct sighting *s)
{
    const struct last_report *last = engine_report_now(d);

    if (s->state == DOMAIN_ENDING && s->incarnation.pid && is_reported_off(d) &&
        !incarnation_equal(&s->incarnation, &last->incarnation))
        engine_stage_reported(e, d, last->known ? last->state : STATE_STOPPED, &s->incarnation);
}

void engine_settle_unasked(struct engine *e, struct domain *d, const struct sighting *s)
{
    bool is_gone = s->state == DOMAIN_OFF || s->state == DOMAIN_ABSENT;
    enum input_kind seen = sighting_weigh(s, &engine_report_now(d)->incarnation, e->has_processes);

    if (seen == IN_SEEN_LINGERING && is_gone && is_known_off(d))
        seen = IN_SEEN_OFF;
    if (seen == IN_SEEN_MIGRATING && domain_may_arrive(d))
        seen = IN_SEEN_UNKNOWN;
    switch (seen) {
    case IN_SEEN_RUNNING:
    case IN_SEEN_PAUSED:
    case IN_SEEN_MIGRATING:
    case IN_SEEN_SUSPENDED:
    case IN_SEEN_CRASHED:
    case IN_SEEN_ANOTHER:
        if (domain_is_arriving(d))
            settle_arriving(e, d);
        else
            settle_running(e, d, s);
        d->look_delay = 0;
        break;
    case IN_SEEN_OFF:
    case IN_SEEN_SAVED:
    case IN_SEEN_MIGRATED:
        settle_off(e, d, s, seen);
        d->look_delay = 0;
        break;
    default:
        remember_ending(e, d, s);
        d->certain = false;
        look_again(e, d);
        return;
    }
    if (s->state == DOMAIN_ABSENT) {
        engine_stage_domain(e, d);
        d->reported_changed = d->is_found = false;
        d->forget = true;
    }
}
