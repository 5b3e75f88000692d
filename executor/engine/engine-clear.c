/* engine-clear.c - the engine's side of clearing: which disk has a helper, and what helpers say
 *
 * Theory of operation. An operation that owes a clear wants every disk of it that waits, and whose
 * time has come, given to a helper. At most local_storage.parallel are under way; the others wait
 * for a place. Which jobs are out is known only here and only for this process's life: after a
 * restart every disk that is not cleared is given to a helper again, with the last word on where
 * to go on. What a job says of an operation that has ended since is thrown away.
 *
 * A command that needs local disks identified is parked, and processed afresh when the answer is
 * there: everything else may have changed meanwhile. Where the instance's disks have, they are
 * identified again. Commands for one instance share an identification, and are processed in the
 * order in which they came.
 */
#include "engine/engine-internal.h"

#include <string.h>

/* What there was no memory to begin is begun after this. */
#define START_AGAIN USEC_PER_SEC

/* --- Identification -------------------------------------------------------------------------- */

static void park(struct engine *e, struct request *r, const uuid_t domain, uint64_t job)
{
    uuid_copy(r->identify_domain, domain);
    r->identify_job = job;
    list_append(&e->identifying, r);
}

/* The same disks are being identified for another request. */
static bool share(struct engine *e, struct domain *d, struct request *r)
{
    for (const struct request *other = e->identifying.first; other; other = other->next)
        if (uuid_compare(other->identify_domain, d->uuid) == 0 &&
            text_equal(other->identified, r->identified)) {
            park(e, r, d->uuid, other->identify_job);
            return true;
        }
    return false;
}

void engine_identify(struct engine *e, struct domain *d, struct request *r)
{
    struct wipe_job *job;

    if (!r->is_identified)
        r->identified_run = d->incarnation;
    r->is_identified = true;
    disk_plan_clear(&r->plan);
    free(r->identified);
    r->identified = disks_snapshot(d->instance);
    if (r->identified && share(e, d, r))
        return;
    job = wipe_job_new(WIPE_JOB_IDENTIFY);
    if (!job || !r->identified || !(job->instance = instance_copy(d->instance))) {
        wipe_job_free(job);
        error_no_memory(&r->plan_error);
        list_append(&e->requests, r);
        return;
    }
    job->id = ++e->next_call_id;
    uuid_copy(job->domain, d->uuid);
    park(e, r, d->uuid, job->id);
    e->host.start_wipe(e->host.userdata, job);
}

static void take_identification(struct request *r, const struct wipe_report *report)
{
    if (report->error)
        error_set(&r->plan_error, report->error->code, "%s", error_message(report->error));
    else if (disk_plan_copy(&r->plan, &report->plan) < 0)
        error_no_memory(&r->plan_error);
}

static void identified(struct engine *e, const struct wipe_report *report)
{
    LIST_OF(struct request) parked = {0};
    struct request *r;

    parked.first = e->identifying.first;
    list_init(&e->identifying);
    while ((r = parked.first)) {
        parked.first = r->next;
        if (r->identify_job != report->job) {
            list_append(&e->identifying, r);
            continue;
        }
        take_identification(r, report);
        engine_process_request(e, r);
    }
}

void engine_refuse_identifying(struct engine *e)
{
    struct request *r;

    while ((r = list_take_first(&e->identifying)))
        engine_refuse_late(r);
}

/* --- Jobs ------------------------------------------------------------------------------------ */

static struct clear_job *find_job(const struct engine *e, uint64_t id)
{
    struct clear_job *j = e->clear_jobs;

    while (j && j->id != id)
        j = j->next;
    return j;
}

static bool has_job(const struct engine *e, const struct domain *d, size_t index)
{
    for (const struct clear_job *j = e->clear_jobs; j; j = j->next)
        if (j->domain == d && j->index == index)
            return true;
    return false;
}

static void drop_job(struct engine *e, struct clear_job *job)
{
    struct clear_job **link = &e->clear_jobs;

    while (*link != job)
        link = &(*link)->next;
    *link = job->next;
    free(job);
    e->n_clear_jobs--;
}

/* A place is free: whoever waits for one asks again. */
static void let_others_begin(struct engine *e)
{
    struct domain *d;

    if (!e->clears_wait)
        return;
    e->clears_wait = false;
    e->once_more = true; /* where this turn is past that already */
    inventory_foreach(&e->inventory, d) if (d->op && d->op->stage == STAGE_CLEARING)
    {
        d->wanted |= EFFECT_CLEAR;
        engine_stage_domain(e, d);
    }
}

static struct wipe_job *make_job(struct engine *e, const struct domain *d, size_t index)
{
    _cleanup_(wipe_job_free) struct wipe_job *job = wipe_job_new(WIPE_JOB_CLEAR);
    struct disk_plan one = {.items = &d->op->disks.items[index], .n = 1}, copy;

    if (!job || disk_plan_copy(&copy, &one) < 0)
        return NULL;
    job->disk = copy.items[0];
    free(copy.items);
    job->id = ++e->next_call_id;
    uuid_copy(job->domain, d->uuid);
    job->index = index;
    memcpy(job->request_id, d->op->request_id, sizeof(job->request_id));
    job->ended = d->op->incarnation;
    if (!(job->instance = d->instance ? instance_copy(d->instance) : instance_new()) ||
        text_replace(&job->instance_id, d->op->instance_id) < 0 ||
        text_replace(&job->operator, d->op->principal) < 0)
        return NULL;
    return take(job);
}

static void start(struct engine *e, struct domain *d, size_t index)
{
    struct clear_job *out = calloc(1, sizeof(*out));
    struct wipe_job *job = out ? make_job(e, d, index) : NULL;

    if (!job) {
        free(out);
        d->op->next_clear = e->now.monotonic + START_AGAIN;
        engine_set_due(e, d);
        return;
    }
    out->id = job->id;
    out->domain = d;
    out->index = index;
    memcpy(out->request_id, job->request_id, sizeof(out->request_id));
    out->next = e->clear_jobs;
    e->clear_jobs = out;
    e->n_clear_jobs++;
    e->host.start_wipe(e->host.userdata, job);
}

static bool is_due(const struct engine *e, const struct planned_disk *disk)
{
    return disk->state != DISK_CLEARED && disk->state != DISK_QUARANTINED &&
           disk->next_try <= e->now.monotonic;
}

static void end_all(struct engine *e, struct domain *d)
{
    struct clear_job *next;

    for (struct clear_job *j = e->clear_jobs; j; j = next) {
        next = j->next;
        if (j->domain == d)
            drop_job(e, j);
    }
    e->host.end_wipe(e->host.userdata, d->uuid);
    inventory_forget_debt(&e->inventory, d);
    let_others_begin(e);
}

void engine_dispatch_clears(struct engine *e, struct domain *d)
{
    bool end = d->wanted & EFFECT_END_CLEAR, begin = d->wanted & EFFECT_CLEAR;

    d->wanted &= ~(unsigned)(EFFECT_CLEAR | EFFECT_END_CLEAR);
    if (!e->host.start_wipe)
        return;
    if (end)
        end_all(e, d);
    if (!begin || !d->op || d->op->stage != STAGE_CLEARING || d->op->is_held ||
        e->attachment != ATTACHED)
        return;
    if (e->host.owe_wipe)
        e->host.owe_wipe(e->host.userdata, d->op);
    for (size_t i = 0; i < d->op->disks.n; i++) {
        if (!is_due(e, &d->op->disks.items[i]) || has_job(e, d, i))
            continue;
        if (e->settings.clear_parallel && e->n_clear_jobs >= e->settings.clear_parallel)
            e->clears_wait = true;
        else
            start(e, d, i);
    }
}

/* --- What they say --------------------------------------------------------------------------- */

static enum input_kind input_of(enum wipe_report_kind kind)
{
    switch (kind) {
    case WIPE_REPORT_SETBACK:
        return IN_DISK_SETBACK;
    case WIPE_REPORT_SILENT:
        return IN_DISK_SILENT;
    case WIPE_REPORT_CLEARED:
        return IN_DISK_CLEARED;
    case WIPE_REPORT_FAILED:
        return IN_DISK_FAILED;
    default:
        return IN_DISK_PROGRESS;
    }
}

/* What cannot be proved by a signature does not count as cleared. */
static void sign(struct engine *e, struct wipe_report *r, struct disk_news *news,
                 enum input_kind *kind)
{
    news->certificate = e->host.sign(e->host.userdata, r->certificate);
    if (news->certificate)
        return;
    *kind = IN_DISK_FAILED;
    news->message = "the certificate could not be signed with the host's key";
    news->is_nobodys = true;
}

static void told(struct engine *e, struct wipe_report *r)
{
    struct clear_job *job = find_job(e, r->job);
    struct disk_news news = {.index = r->index,
                             .state = r->state,
                             .method = r->method,
                             .done = r->done,
                             .verified = r->verified,
                             .mib_per_s = r->mib_per_s,
                             .seconds_left = r->seconds_left,
                             .resume = r->resume,
                             .message = r->error ? r->error->message : r->message,
                             .is_final = r->is_final,
                             .is_spent = r->is_spent,
                             .is_nobodys = r->error && r->error->code == ERROR_UNKNOWN,
                             .spread = e->host.random(e->host.userdata, 1000)};
    struct input in = {.kind = input_of(r->kind), .news = &news};
    const struct operation *op;
    struct domain *d;

    if (!job)
        return;
    d = job->domain;
    op = engine_operation_now(d);
    if (op && strcmp(op->request_id, job->request_id) == 0 && r->index < op->disks.n) {
        if (r->kind == WIPE_REPORT_CLEARED)
            sign(e, r, &news, &in.kind);
        engine_step(e, d, &in);
        json_object_put(news.certificate);
    }
    if (r->kind == WIPE_REPORT_CLEARED || r->kind == WIPE_REPORT_FAILED) {
        drop_job(e, job);
        let_others_begin(e);
    }
}

void engine_process_report(struct engine *e, struct wipe_report *r)
{
    _cleanup_(wipe_report_free) struct wipe_report *owned = r;

    if (owned->kind == WIPE_REPORT_IDENTIFIED && engine_take_start(e, owned))
        return;
    if (owned->kind == WIPE_REPORT_NO_ROOM)
        engine_give_room(e);
    else if (owned->kind == WIPE_REPORT_IDENTIFIED)
        identified(e, owned);
    else
        told(e, owned);
}
