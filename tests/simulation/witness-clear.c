/* witness-clear.c - what may be cleared, and when an instance with local disks is Stopped
 *
 * Theory of operation. The helpers tell the witness of each job that they are given and of each
 * step that touches a disk. It holds them against the world (has the run ended?) and against the
 * journal (is the stop still under way?), and keeps the account of what was cleared for which stop.
 */
#include "simulation/census.h"
#include "simulation/life.h"

#include <string.h>

struct ask *witness_owner(const struct life *life, const struct wipe_job *job)
{
    for (struct ask *a = life->witness.asks; a; a = a->next)
        if ((a->kind == REQUEST_STOP || a->kind == REQUEST_CLEAR) &&
            text_equal(a->request_id, job->request_id))
            return a;
    return NULL;
}

/* By its own RequestId, or by that of a command that has gone over it. */
static bool is_about(struct life *life, const struct ask *retry, const struct ask *stop)
{
    char operation[UUID_TEXT_SIZE];

    return retry->about == stop ||
           (journal_resolve(life->journal, retry->about->request_id, operation, NULL) > 0 &&
            text_equal(operation, stop->request_id));
}

bool witness_was_retried(struct life *life, const struct ask *ask, usec_t since)
{
    for (const struct ask *a = life->witness.asks; a; a = a->next)
        if (a->kind == REQUEST_RETRY && a->asked_at >= since &&
            (!a->is_answered || a->code == ERROR_NONE || a->code == ERROR_INTERNAL) &&
            is_about(life, a, ask))
            return true;
    return false;
}

/* Without processes one run cannot be told from the next. */
static bool has_ended(struct life *life, const struct ask *a, unsigned run)
{
    const struct seen_domain *seen = witness_domain(life, a->domain);
    bool has_ended = run == 0;

    if (life->world->has_processes && run > 0)
        return seen->runs[run].is_gone && seen->runs[run].is_off;
    for (; run <= a->domain->run && !has_ended; run++)
        has_ended = seen->runs[run].is_off;
    return has_ended;
}

/* Nothing of a disk changes before the run has ended and the hypervisor has said so, nor where it
 * goes on somewhere. */
static void check_ended(struct life *life, const struct wipe_job *job, const struct ask *a,
                        const char *what)
{
    const struct seen_domain *seen = witness_domain(life, a->domain);
    unsigned meant = a->kind == REQUEST_CLEAR ? seen->met_run : a->run;
    const struct seen_run *run = &witness_domain(life, a->domain)->runs[a->run];

    census_count("rule", "4.2 off");
    if (life->engine && seen->met_run > meant && life->world->has_processes)
        meant = seen->met_run; /* nor once it is known that another has begun */
    if (!has_ended(life, a, meant))
        rule_broken(life, "4.2 off", "%s of %s %s, and its guest has not ended", job->disk.target,
                    domain_word(a->domain), what);
    if (a->kind == REQUEST_CLEAR || !life->world->has_processes)
        return;
    if (witness_can_tell(run) && a->domain->run == a->run &&
        (run->cause == END_SAVED || run->cause == END_MIGRATED))
        rule_broken(life, "4.6 saved", "%s of %s %s, though it was %s", job->disk.target,
                    domain_word(a->domain), what, end_cause_to_string(run->cause));
}

/* Whatever it was seen as before. The clear of kept disks may begin by what it was accepted on. */
static void check_seen_off(struct life *life, const struct wipe_job *job, const struct ask *a)
{
    const struct seen_domain *seen = witness_domain(life, a->domain);

    census_count("rule", "4.2 seen off");
    if (seen->looked == LOOKED_ELSE || (seen->looked == LOOKED_NOT && a->kind == REQUEST_STOP))
        rule_broken(life, "4.2 seen off", "%s of %s is given to a helper, and is not seen off",
                    job->disk.target, domain_word(a->domain));
}

/* What a later run had on them was not meant. */
static void check_kept(struct life *life, const struct wipe_job *job, const struct ask *a)
{
    if (a->kind == REQUEST_CLEAR && a->is_answered && life->engine && life->world->has_processes &&
        witness_domain(life, a->domain)->met_run > a->run)
        rule_broken(life, "4.7 kept", "%s is cleared for %.8s, though %s was started since",
                    job->disk.target, job->request_id, domain_word(a->domain));
    if (a->kind == REQUEST_STOP && life->engine &&
        witness_domain(life, a->domain)->later_run > a->run)
        rule_broken(life, "4.6 kept", "%s is cleared for %.8s, though %s has run again since",
                    job->disk.target, job->request_id, domain_word(a->domain));
}

/* That it was cancelled is in the journal. */
static void check_consent(struct life *life, const struct wipe_job *job, const struct ask *a)
{
    census_count("rule", "4.2 consent");
    if (a->is_cancelled && !a->is_escalated && !witness_is_forced(life, a))
        rule_broken(life, "4.2 consent", "a clear for %.8s, which was cancelled", job->request_id);
}

/* Which disks the guest had in the end is not known, and nobody has looked. */
static void check_disks(struct life *life, const struct ask *a)
{
    const struct seen_domain *seen = witness_domain(life, a->domain);

    census_count("rule", "4.2 disks");
    if (a->kind == REQUEST_STOP && seen->disks_version > a->known_version &&
        seen->disks_run == a->run && seen->settled_version >= seen->disks_version &&
        !witness_was_retried(life, a, 0))
        rule_broken(life, "4.2 disks", "a clear for %.8s, though %s was given another disk since",
                    a->request_id, domain_word(a->domain));
}

void witness_job(struct life *life, const struct wipe_job *job)
{
    unsigned most = life->settings.clear_parallel;
    const struct ask *a;

    if (job->kind != WIPE_JOB_CLEAR)
        return;
    life->witness.has_acted = true;
    a = witness_owner(life, job);
    if (!a || (a->kind == REQUEST_STOP && (!a->is_operation || a->is_ended))) {
        rule_broken(life, "4.2 consent", "a clear for %.8s, which is not under way",
                    job->request_id);
        return;
    }
    check_disks(life, a);
    check_kept(life, job, a);
    check_consent(life, job, a);
    if (!engine_is_attached(life->engine))
        rule_broken(life, "3 attachment", "a clear begins while the hypervisor is away");
    if (wiping_has_job(life, job))
        rule_broken(life, "2 one helper", "%s of %s is given to two helpers at once",
                    job->disk.target, domain_word(a->domain));
    if (most && wiping_clears(life) >= most)
        rule_broken(life, "2 local_storage.parallel", "more than %u disks are cleared at once",
                    most);
    witness_check_identity(life, job, a);
    witness_check_try(life, job, a);
    check_seen_off(life, job, a);
    check_ended(life, job, a, "is given to a helper");
}

void witness_touched(struct life *life, const struct wipe_job *job)
{
    const struct ask *a = witness_owner(life, job);

    if (!a)
        return; /* said already */
    if (a->kind == REQUEST_STOP && a->is_ended && life->engine)
        rule_broken(life, "4.6 clear", "%s of %s is cleared on after its stop has ended",
                    job->disk.target, domain_word(a->domain));
    check_kept(life, job, a);
    check_consent(life, job, a);
    witness_check_device(life, job, a);
    if (a->domain->n_processes > 0 || simulated_is_present(a->domain))
        rule_broken(life, "4.2 off", "%s of %s is cleared, and a run of it is there",
                    job->disk.target, domain_word(a->domain));
    check_ended(life, job, a, "is cleared");
}

void witness_cleared(struct life *life, const struct wipe_job *job)
{
    struct ask *a = witness_owner(life, job);

    int place = a ? witness_place_of(a, job->disk.device) : -1;

    if (place >= 0)
        a->cleared |= 1u << place;
}

/* Stopped by a command: all of it is cleared, and certified to everybody. */
void witness_check_cleared(struct life *life, const struct ask *ask)
{
    const struct instance *i = ask->domain->definition;
    unsigned n = 0;

    for (size_t k = 0; cast_is_cleared(i) && k < i->n_disks; k++)
        n += cast_is_local_disk(&i->disks[k]);
    if (n == 0)
        return;
    census_count("rule", "4.3 cleared");
    if (ask->cleared != (1u << n) - 1)
        rule_broken(life, "4.3 cleared",
                    "%s is Stopped, and of its %u local disks not all are cleared",
                    domain_word(ask->domain), n);
    if (ask->certificates != n)
        rule_broken(life, "4.3 cleared", "%s is Stopped with %u certificates for %u local disks",
                    domain_word(ask->domain), ask->certificates, n);
}
