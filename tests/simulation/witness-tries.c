/* witness-tries.c - how often the clear of a disk is tried, how soon again, and when no more
 *
 * Theory of operation. What a helper tells of a failure is reported by the commit of the turn that
 * takes it, once; where that commit fails, or stopd dies before it, it was never told, and where
 * the commit is in doubt it may still come. By these reports the tries are counted, over restarts
 * too. A disk is put aside by a failure that no try can mend, by disks that were changed, or by the
 * last of its tries, and by that one always; then no helper has it again before an operator says
 * so. Until then each try waits longer than the one before it. When a try is due is forgotten with
 * stopd, so that a restart may make it early.
 */
#include "simulation/census.h"
#include "simulation/events.h"
#include "simulation/life.h"

#include <string.h>

/* The manual's, stopd(8). */
#define TRIES 8
#define BACKOFF_LEAST (10 * USEC_PER_SEC)
#define BACKOFF_MOST (300 * USEC_PER_SEC)
/* Of what is nobody's doing. */
#define WAIT_LEAST (5 * USEC_PER_SEC)

static bool is_on(const struct life *life, const struct ask *a)
{
    const struct operation *op =
        (a->kind == REQUEST_STOP || a->kind == REQUEST_CLEAR) && a->has_plan && life->engine
            ? engine_find_operation(life->engine, a->domain->definition->uuid)
            : NULL;

    return op && text_equal(op->request_id, a->request_id);
}

static usec_t backoff(unsigned failures)
{
    usec_t least = BACKOFF_LEAST << (failures < 6 ? failures - 1 : 5);

    return least < BACKOFF_MOST ? least : BACKOFF_MOST;
}

/* --- Jobs ----------------------------------------------------------------------------------- */

void witness_check_try(struct life *life, const struct wipe_job *job, const struct ask *ask)
{
    const struct seen_tries *t = job->index < ask->plan.n ? &ask->tries[job->index] : NULL;

    if (!t)
        return; /* said already */
    census_count("rule", "4.3 tries");
    if (t->is_quarantined && !witness_was_retried(life, ask, t->quarantined_at))
        rule_broken(life, "4.3 tries", "%s of %s is quarantined, and given to a helper again",
                    job->disk.target, domain_word(ask->domain));
    census_count("rule", "4.3 backoff");
    if (life->now < t->not_before && !witness_was_retried(life, ask, t->failed_at))
        rule_broken(life, "4.3 backoff", "%s of %s is tried again %.3f s after it failed, try %u",
                    job->disk.target, domain_word(ask->domain),
                    (double)(life->now - t->failed_at) / 1e6, t->least);
}

void witness_not_cleared(struct life *life, const struct wipe_job *job, bool counts, bool is_final)
{
    struct ask *a = witness_owner(life, job);
    struct seen_tries *t = a && job->index < a->plan.n ? &a->tries[job->index] : NULL;

    if (!t || !is_on(life, a))
        return;
    t->told += counts;
    t->was_nobodys = !counts;
    t->is_final = is_final;
}

/* --- Reports -------------------------------------------------------------------------------- */

/* Each of its disks is reported so once, before a helper has any. */
static bool are_disks_changed(struct life *life, const struct ask *ask)
{
    return witness_domain(life, ask->domain)->attached_version > ask->known_version;
}

static void check_quarantine(struct life *life, const struct ask *ask, const struct seen_tries *t,
                             const struct event *e)
{
    if (e->is_quarantined && !t->is_final && t->most < TRIES)
        rule_broken(life, "4.3 tries", "%s of %s is quarantined after %u failures", e->target,
                    domain_word(ask->domain), t->most);
    if (!e->is_quarantined && (t->is_final || t->least >= TRIES))
        rule_broken(life, "4.3 tries", "%s of %s has failed %s, and is not quarantined", e->target,
                    domain_word(ask->domain), t->is_final ? "for good" : "past its tries");
    if (e->tries < t->least || e->tries > t->most)
        rule_broken(life, "4.3 tries", "%s of %s has failed %u times, and the event says %llu",
                    e->target, domain_word(ask->domain), t->most, (unsigned long long)e->tries);
}

void witness_uncleared(struct life *life, struct ask *ask, const struct event *e)
{
    struct seen_tries *t = NULL;

    for (unsigned i = 0; i < ask->plan.n; i++)
        if (text_equal(ask->plan.disks[i].target, e->target))
            t = &ask->tries[i];
    census_count("rule", "4.3 reported");
    if (t && t->told + t->lost > 0) {
        *(t->told > 0 ? &t->told : &t->lost) -= 1;
        t->least++;
        t->most++;
        check_quarantine(life, ask, t, e);
        t->failed_at = life->now;
        t->not_before = life->now + backoff(t->least);
    } else if (!t || !e->is_quarantined || t->is_quarantined || !are_disks_changed(life, ask)) {
        rule_broken(life, "4.3 reported", "that %s of %s is not cleared is reported, and %s",
                    e->target, domain_word(ask->domain),
                    t ? "no helper told" : "it is none of its");
        return;
    }
    t->is_quarantined = e->is_quarantined;
    if (t->is_quarantined)
        t->quarantined_at = life->now;
}

static void settle(struct life *life, const struct ask *a, struct seen_tries *t)
{
    if (life->witness.has_failed) {
        t->lost = life->journal_fault == JOURNAL_IN_DOUBT ? t->told : 0;
    } else if (t->told > 0 && is_on(life, a)) {
        rule_broken(life, "4.3 reported", "a clear of %s has failed, and that is not reported",
                    domain_word(a->domain));
    } else if (t->was_nobodys && is_on(life, a)) {
        t->failed_at = life->now;
        t->not_before = life->now + WAIT_LEAST;
    }
    t->told = 0;
    t->was_nobodys = false;
}

void witness_check_reports(struct life *life)
{
    for (struct ask *a = life->witness.asks; a; a = a->next)
        for (unsigned i = 0; i < a->plan.n; i++)
            settle(life, a, &a->tries[i]);
}

void witness_forget_lost(struct life *life)
{
    for (struct ask *a = life->witness.asks; a; a = a->next)
        for (unsigned i = 0; i < a->plan.n; i++)
            a->tries[i].lost = 0;
}

void witness_forget_backoff(struct life *life)
{
    for (struct ask *a = life->witness.asks; a; a = a->next)
        for (unsigned i = 0; i < a->plan.n; i++) {
            a->tries[i].not_before = 0;
            a->tries[i].told = 0;
            a->tries[i].was_nobodys = false;
        }
}

/* --- An operator's word --------------------------------------------------------------------- */

static struct ask *retried(struct life *life, const struct ask *retry)
{
    char operation[UUID_TEXT_SIZE];

    for (struct ask *a = life->witness.asks; a; a = a->next)
        if (a == retry->about && a->has_plan)
            return a;
    if (journal_resolve(life->journal, retry->about->request_id, operation, NULL) <= 0)
        return NULL;
    for (struct ask *a = life->witness.asks; a; a = a->next)
        if (text_equal(a->request_id, operation))
            return a;
    return NULL;
}

/* Whether it is heard is not known yet, and may never be. */
void witness_retry_asked(struct life *life, const struct ask *ask)
{
    struct ask *stop = retried(life, ask);

    for (unsigned i = 0; stop && i < stop->plan.n; i++)
        stop->tries[i].least = 0;
}

/* One that a helper has keeps its tries, and commands come before what else a turn has heard: a
 * disk that is put aside in the same turn is so afterwards. */
void witness_retry_answered(struct life *life, const struct ask *ask)
{
    struct ask *stop = ask->code == ERROR_NONE ? retried(life, ask) : NULL;

    for (unsigned i = 0; stop && i < stop->plan.n; i++) {
        struct seen_tries *t = &stop->tries[i];

        if (!t->is_quarantined || t->quarantined_at == life->now)
            continue;
        t->most = 0;
        t->is_quarantined = false;
    }
}

/* --- The end -------------------------------------------------------------------------------- */

void witness_check_quarantine(struct life *life, const struct ask *ask)
{
    census_count("rule", "4.3 put aside");
    for (unsigned i = 0; i < ask->plan.n; i++)
        if (!(ask->cleared & 1u << i) && !ask->tries[i].is_quarantined)
            rule_broken(life, "4.3 put aside", "%s of %s waits for an operator, who was not told",
                        ask->plan.disks[i].target, domain_word(ask->domain));
}
