/* wipe-report.c - wipe jobs and reports as values */
#include "engine/wiper.h"

struct wipe_job *wipe_job_new(enum wipe_job_kind kind)
{
    struct wipe_job *j = calloc(1, sizeof(*j));

    if (j)
        j->kind = kind;
    return j;
}

void wipe_job_free(struct wipe_job *j)
{
    if (!j)
        return;
    instance_free(j->instance);
    planned_disk_clear(&j->disk);
    free(j->instance_id);
    free(j->operator);
    free(j);
}

struct wipe_report *wipe_report_new(enum wipe_report_kind kind, const struct wipe_job *j)
{
    struct wipe_report *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    r->kind = kind;
    r->job = j->id;
    uuid_copy(r->domain, j->domain);
    r->index = j->index;
    return r;
}

void wipe_report_free(struct wipe_report *r)
{
    if (!r)
        return;
    disk_plan_clear(&r->plan);
    free(r->method);
    free(r->message);
    json_object_put(r->resume);
    json_object_put(r->certificate);
    error_free(r->error);
    free(r);
}
