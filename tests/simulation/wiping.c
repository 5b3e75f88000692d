/* wiping.c - the helpers that identify and clear disks, as far as the engine sees them
 *
 * Theory of operation. A job is a row of steps at times of its own: a clear makes progress,
 * verifies, and is certified; or a method fails and the next is at it, the helper falls silent, or
 * gives up. Before each step it looks at the domain, as the real one does: where a run of it is
 * there, or its saved image, it touches nothing and says that this is not its doing. What it
 * touches is told to the witness at once. Helpers are stopd's children and end with it.
 */
#include "simulation/life.h"

#include "base/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct wiping {
    struct wipe_job *job;
    uint64_t number; /* see fate_number() */
    unsigned n_steps;
    bool is_rough;
    usec_t next_at;
    unsigned steps; /* of progress, still to be made */
    bool is_verified;
    enum { WILL_CLEAR, WILL_FAIL, WILL_FAIL_FOR_GOOD, WILL_STOP } fate;
    bool is_told_to_end;
    struct wiping *next;
};

static void wiping_free(struct wiping *w)
{
    wipe_job_free(w->job);
    free(w);
}

static void report(struct life *life, struct wipe_report *r)
{
    engine_take_report(life->engine, r);
    life->has_arrivals = true;
}

static struct wipe_report *new_report(enum wipe_report_kind kind, const struct wiping *w)
{
    struct wipe_report *r = wipe_report_new(kind, w->job);

    if (!r)
        abort();
    return r;
}

/* --- Identification ------------------------------------------------------------------------- */

static void plan_disk(const struct life *life, struct disk_plan *plan, const struct disk *disk)
{
    struct planned_disk *d = disk_plan_add(plan);
    struct device device = devices_find(life, disk->source);

    if (!d)
        abort();
    (void)text_replace(&d->target, disk->target);
    (void)text_replace(&d->device, disk->source);
    d->kind = disk->kind;
    d->bytes = device.bytes;
    d->identity = json_object_new_object();
    (void)json_add_string(d->identity, "serial", device.serial);
}

static void identify(struct life *life, const struct wiping *w)
{
    struct wipe_report *r = new_report(WIPE_REPORT_IDENTIFIED, w);
    const struct instance *i = w->job->instance;

    if (w->fate == WILL_FAIL)
        error_set(&r->error, ERROR_DISK_STATUS, "vdb has another serial than the metadata names");
    else if (w->fate == WILL_STOP)
        error_set(&r->error, ERROR_UNAVAILABLE, "the helper cannot be reached");
    for (size_t k = 0; !r->error && k < i->n_disks; k++)
        if (cast_is_local_disk(&i->disks[k]))
            plan_disk(life, &r->plan, &i->disks[k]);
    if (!r->error)
        witness_identified(life, w->job, &r->plan);
    tell(life, "  identified: %s", r->error ? error_message(r->error) : "all disks");
    report(life, r);
}

/* --- A clear -------------------------------------------------------------------------------- */

static void fail(struct life *life, const struct wiping *w, enum error_code code, bool is_final,
                 const char *why)
{
    struct wipe_report *r = new_report(WIPE_REPORT_FAILED, w);

    tell(life, "  %s of %s is not cleared: %s", w->job->disk.target, w->job->instance_id, why);
    error_set(&r->error, code, "%s", why);
    witness_not_cleared(life, w->job, code != ERROR_UNKNOWN, is_final);
    r->is_final = is_final;
    r->is_spent = dice_percent(&life->dice, 30);
    report(life, r);
}

static void tell_progress(struct life *life, struct wiping *w, enum disk_state state)
{
    struct wipe_report *r = new_report(WIPE_REPORT_PROGRESS, w);

    r->state = state;
    (void)text_replace(&r->method, "write-zeroes");
    r->done = r->verified = 4096 * (1 + w->steps);
    r->resume = json_object_new_object();
    (void)json_add_number(r->resume, "steps", w->steps);
    report(life, r);
}

static void tell_trouble(struct life *life, struct wiping *w)
{
    struct wipe_report *r =
        new_report(dice_percent(&life->dice, 50) ? WIPE_REPORT_SETBACK : WIPE_REPORT_SILENT, w);

    (void)text_replace(&r->message, "the device answers with errors");
    report(life, r);
}

static void certify(struct life *life, const struct wiping *w)
{
    struct wipe_report *r = new_report(WIPE_REPORT_CLEARED, w);

    r->certificate = json_object_new_object();
    (void)json_add_string(r->certificate, "result", "cleared");
    tell(life, "  %s of %s is cleared", w->job->disk.target, w->job->instance_id);
    witness_cleared(life, w->job);
    report(life, r);
}

/* A run of it is there, or will be. */
static const char *why_not(const struct life *life, const struct wipe_job *job)
{
    const struct simulated_domain *d = simulated_find(life->world, job->domain);

    if (!life->world->is_available)
        return "the hypervisor cannot be asked";
    if (d->n_processes > 0 || simulated_is_present(d))
        return "the domain is not off any more";
    return d->has_managed_save ? "the domain is saved" : NULL;
}

/* By what the helper was given to tell it by. */
static bool is_another_disk(const struct life *life, const struct wipe_job *job)
{
    struct device device = devices_find(life, job->disk.device);
    const char *serial = NULL;

    if (job->disk.bytes != device.bytes)
        return true;
    return json_get_string(job->disk.identity, "serial", &serial) == 0 && is_set(serial) &&
           !text_equal(serial, device.serial);
}

static bool is_dead(const struct life *life, const struct wiping *w)
{
    return devices_find(life, w->job->disk.device).is_dead;
}

/* True: the job is over. */
static bool clear_step(struct life *life, struct wiping *w)
{
    const char *why = w->is_told_to_end ? "told to end" : why_not(life, w->job);

    if (why) {
        fail(life, w, ERROR_UNKNOWN, false, why);
        return true;
    }
    if (is_another_disk(life, w->job)) {
        fail(life, w, ERROR_DISK_STATUS, true, "it is another disk");
        return true;
    }
    witness_touched(life, w->job);
    if (w->steps > 0) {
        w->steps--;
        if (w->is_rough && !life->is_quiet && dice_percent(&life->dice, 25))
            tell_trouble(life, w);
        else
            tell_progress(life, w, DISK_CLEARING);
    } else if ((w->fate != WILL_CLEAR && !life->is_quiet) || is_dead(life, w)) {
        fail(life, w, w->fate == WILL_STOP ? ERROR_UNKNOWN : ERROR_IO,
             w->fate == WILL_FAIL_FOR_GOOD, "the device does not clear");
        return true;
    } else if (!w->is_verified) {
        w->is_verified = true;
        tell_progress(life, w, DISK_VERIFYING);
    } else {
        certify(life, w);
        return true;
    }
    w->next_at = life->now + dice_between(&life->dice, USEC_PER_MSEC, 15 * USEC_PER_SEC);
    return false;
}

/* --- The engine's side ---------------------------------------------------------------------- */

void wiping_start(void *userdata, struct wipe_job *job)
{
    struct life *life = userdata;
    struct dice *dice = &life->dice;
    struct wiping *w;

    if (!host_point(life, "a helper starts")) {
        wipe_job_free(job);
        return;
    }
    tell(life, "job: %s", job->kind == WIPE_JOB_CLEAR ? "clear" : "identify");
    witness_job(life, job);
    w = calloc(1, sizeof(*w));
    if (!w)
        abort();
    w->job = job;
    w->number = fate_number(life, FATE_HELPER, simulated_find(life->world, job->domain),
                            job->kind == WIPE_JOB_CLEAR);
    fate_draw(life, FATE_HELPER, w->number);
    w->steps = dice_below(dice, 4);
    w->next_at = life->now + dice_between(dice, USEC_PER_MSEC, 3 * USEC_PER_SEC);
    w->is_rough = !life->is_quiet && dice_percent(dice, life->temper.has_bad_disks ? 80 : 35) &&
                  fate_happens(life, FATE_HELPER, w->number);
    if (w->is_rough && dice_percent(dice, 85))
        w->fate = 1 + dice_below(dice, WILL_STOP);
    w->next = life->wipings;
    life->wipings = w;
}

void wiping_end(void *userdata, const uuid_t domain)
{
    struct life *life = userdata;

    if (!host_point(life, "a helper is ended"))
        return;
    for (struct wiping *w = life->wipings; w; w = w->next)
        if (w->job->kind == WIPE_JOB_CLEAR && uuid_compare(w->job->domain, domain) == 0)
            w->is_told_to_end = true;
}

json_object *wiping_sign(void *userdata, json_object *certificate)
{
    struct life *life = userdata;
    json_object *document = NULL;
    uint64_t number = fate_number(life, FATE_HELPER, NULL, 2);

    fate_draw(life, FATE_HELPER, number);
    if (!life->is_quiet && dice_percent(&life->dice, 5) && fate_happens(life, FATE_HELPER, number))
        return NULL;
    if (json_object_deep_copy(certificate, &document, NULL) < 0)
        abort();
    return document;
}

bool wiping_has_job(const struct life *life, const struct wipe_job *job)
{
    for (const struct wiping *w = life->wipings; w; w = w->next)
        if (w->job->kind == WIPE_JOB_CLEAR && !w->is_told_to_end &&
            uuid_compare(w->job->domain, job->domain) == 0 && w->job->index == job->index)
            return true;
    return false;
}

unsigned wiping_clears(const struct life *life)
{
    unsigned n = 0;

    for (const struct wiping *w = life->wipings; w; w = w->next)
        n += w->job->kind == WIPE_JOB_CLEAR && !w->is_told_to_end;
    return n;
}

void wiping_advance(struct life *life)
{
    struct wiping **at = &life->wipings;

    while (*at) {
        struct wiping *w = *at;
        bool is_over = false;

        if (w->next_at <= life->now) {
            fate_draw(life, FATE_LUCK, (w->number << 10) + ++w->n_steps);
            is_over = w->job->kind == WIPE_JOB_IDENTIFY || clear_step(life, w);
            if (w->job->kind == WIPE_JOB_IDENTIFY)
                identify(life, w);
            host_consider_crash(life, (w->number << 10) + w->n_steps);
        }
        if (!is_over) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        wiping_free(w);
    }
}

usec_t wiping_next(const struct life *life)
{
    usec_t due = USEC_NEVER;

    for (const struct wiping *w = life->wipings; w; w = w->next)
        if (w->next_at < due)
            due = w->next_at;
    return due;
}

void wiping_forget(struct life *life)
{
    struct wiping *w;

    while ((w = life->wipings)) {
        life->wipings = w->next;
        wiping_free(w);
    }
}
