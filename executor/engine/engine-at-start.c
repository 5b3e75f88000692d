/* engine-at-start.c - what an instance's local disks were when it started
 *
 * Theory of operation. The disks of an I1-class instance are identified when a run of its domain is
 * first seen, at its start or at ours, so that at the acceptance of a stop it can be told whether
 * another disk has come under the same path meanwhile. What was found is kept in memory only: with
 * a new run, other disks in the definition, or a new life of this program it is taken anew. Where
 * it could not be found out (no helper, a device that does not answer) it is not known, and nobody
 * is held up by that; the acceptance looks for itself in any case.
 *
 * A host may have hundreds of such instances, and all of them are seen at once when the program
 * starts: only so many looks are out at a time.
 */
#include "engine/engine-internal.h"

#include "stopd/log.h"

#include <string.h>

#define LOOKS_MOST 4

static bool runs(const struct domain *d)
{
    return d->seen == DOMAIN_RUNNING || d->seen == DOMAIN_PAUSED || d->seen == DOMAIN_PMSUSPENDED ||
           d->seen == DOMAIN_CRASHED;
}

static bool has_local_storage(const struct engine *e, const struct domain *d)
{
    const struct policy *p = &e->settings.policy;

    return d->instance && !d->instance->metadata_error &&
           instance_is_of_family(d->instance, p->local_families, p->n_local_families);
}

/* A look that is out is of then: its answer is thrown away. */
static void forget(struct disks_at_start *a)
{
    uint64_t job = a->job;

    free(a->of);
    disk_plan_clear(&a->disks);
    *a = (struct disks_at_start){.job = job, .is_stale = job != 0};
}

void engine_note_start(struct engine *e, struct domain *d)
{
    struct disks_at_start *a = &d->at_start;
    _cleanup_(freep) char *now = NULL;

    if (!e->host.start_wipe || !runs(d) || !has_local_storage(e, d)) {
        forget(a);
        return;
    }
    now = disks_snapshot(d->instance);
    e->starts_wait |= a->is_wanted;
    if (!now || (a->of && text_equal(a->of, now) && incarnation_equal(&a->run, &d->incarnation)))
        return;
    forget(a);
    a->of = take(now);
    a->run = d->incarnation;
    a->is_wanted = true;
    e->starts_wait = true;
}

static void start(struct engine *e, struct domain *d)
{
    struct wipe_job *job = wipe_job_new(WIPE_JOB_IDENTIFY);

    d->at_start.is_wanted = false;
    if (!job || !(job->instance = instance_copy(d->instance))) {
        wipe_job_free(job);
        return;
    }
    job->id = d->at_start.job = ++e->next_call_id;
    uuid_copy(job->domain, d->uuid);
    e->n_start_looks++;
    e->host.start_wipe(e->host.userdata, job);
}

void engine_look_at_starts(struct engine *e)
{
    struct domain *d;

    if (!e->starts_wait || e->quiescing)
        return;
    e->starts_wait = false;
    inventory_foreach(&e->inventory, d)
    {
        /* One that an operation is under way for has been identified for that. */
        if (!d->at_start.is_wanted || d->at_start.job || d->op || !d->instance)
            continue;
        if (e->n_start_looks >= LOOKS_MOST)
            e->starts_wait = true;
        else
            start(e, d);
    }
}

bool engine_take_start(struct engine *e, struct wipe_report *r)
{
    struct domain *d = inventory_find_uuid(&e->inventory, r->domain);
    struct disks_at_start *a = d ? &d->at_start : NULL;

    if (!a || a->job != r->job)
        return false;
    e->n_start_looks--;
    e->starts_wait = true;
    a->job = 0;
    engine_stage_domain(e, d);
    if (a->is_stale) {
        a->is_stale = false;
    } else if (r->error) {
        log_debug("%s: its local disks are not known: %s", d->instance_id, error_message(r->error));
    } else {
        a->disks = r->plan;
        r->plan = (struct disk_plan){0};
        log_debug("%s: its %zu local disks are known", d->instance_id, a->disks.n);
    }
    return true;
}
