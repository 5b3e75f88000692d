/* wiper-job.c - what every job does: report, hear that it has to end, end its helper */
#include "engine/wiper-internal.h"

#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

void wiper_config_release(struct wiper *w, struct wiper_config *c)
{
    bool last;

    if (!c)
        return;
    pthread_mutex_lock(&w->lock);
    last = --c->references == 0;
    pthread_mutex_unlock(&w->lock);
    if (last)
        wiper_config_free(c);
}

void job_free(struct job *j)
{
    if (!j)
        return;
    wiper_config_release(j->wiper, j->config);
    wipe_job_free(j->order);
    if (j->bell >= 0)
        close(j->bell);
    free(j);
}

struct job *job_new(struct wiper *w, struct wipe_job *order)
{
    struct job *j = calloc(1, sizeof(*j));

    if (!j)
        return NULL;
    j->wiper = w;
    j->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (j->bell < 0) {
        job_free(j);
        return NULL;
    }
    pthread_mutex_lock(&w->lock);
    j->config = w->config;
    j->config->references++;
    pthread_mutex_unlock(&w->lock);
    j->order = order;
    return j;
}

void job_ring(struct job *j)
{
    const uint64_t one = 1;

    (void)!write(j->bell, &one, sizeof(one));
}

const char *job_must_end(struct job *j)
{
    struct wiper *w = j->wiper;
    const char *why = NULL;

    pthread_mutex_lock(&w->lock);
    if (j->is_ended)
        why = "the clear was ended, for nothing is owed any more";
    else if (w->stopping)
        why = "stopd is going down, and the clear goes on at its next start";
    pthread_mutex_unlock(&w->lock);
    return why;
}

void wiper_tell(struct wiper *w, struct wipe_report *r)
{
    if (!r)
        abort(); /* the engine would wait for this job for good: go on from the journal */
    pthread_mutex_lock(&w->calling);
    if (w->silent)
        wipe_report_free(r);
    else
        w->report(w->userdata, r);
    pthread_mutex_unlock(&w->calling);
}

void job_report(struct job *j, struct wipe_report *r)
{
    wiper_tell(j->wiper, r);
}

/* With the lock held. */
static bool is_taken(const struct wiper *w, dev_t disk)
{
    for (const struct job *j = w->jobs; j; j = j->next)
        if (j->disk == disk)
            return true;
    return false;
}

bool job_takes_disk(struct job *j, dev_t disk)
{
    struct wiper *w = j->wiper;
    bool is_free;

    pthread_mutex_lock(&w->lock);
    is_free = !is_taken(w, disk);
    if (is_free)
        j->disk = disk;
    pthread_mutex_unlock(&w->lock);
    return is_free;
}

void job_stays_behind(struct job *j)
{
    pthread_mutex_lock(&j->wiper->lock);
    j->is_behind = true;
    pthread_mutex_unlock(&j->wiper->lock);
}

static void report_silence(struct job *j, const char *helper)
{
    struct wipe_report *r = wipe_report_new(WIPE_REPORT_SILENT, j->order);

    if (r &&
        asprintf(&r->message, "the helper was told to end and is still there (%s)", helper) < 0)
        r->message = NULL;
    if (r && r->message)
        job_report(j, r);
    else
        wipe_report_free(r);
}

void job_end_helper(struct job *j, struct helper *h, bool is_done)
{
    const struct wiper_config *c = j->config;
    usec_t began = moment_now().monotonic;

    if (is_done && helper_await_end(h, j->bell, began + c->stop_patience))
        return;
    helper_stop(h);
    if (helper_await_end(h, -1, moment_now().monotonic + c->stop_patience))
        return;
    helper_kill(h);
    while (!helper_await_end(h, -1, moment_now().monotonic + c->silence))
        if (j->order->kind == WIPE_JOB_CLEAR)
            report_silence(j, helper_describe(h));
}
