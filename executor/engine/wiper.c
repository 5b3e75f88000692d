/* wiper.c - jobs, their threads, and the debts that markers stand for
 *
 * Theory of operation. A job is a detached thread: whatever it waits for, a helper that hangs in
 * the kernel, a disk that its marker is written to, libvirt, nobody waits for the job. What comes
 * of it is told by reports. A job is over only when its helper is gone, since until then the disk
 * may still be written to; the one exception is a job that identifies: it has its answer as soon as
 * its time is up, and stays behind with the helper.
 *
 * Who wants a job to end says so and rings its bell. There are two reasons. The debt is forgiven
 * (wiper_end): then the markers go too, each when its helper is gone. Or the program goes down
 * (wiper_free): then they stay, and so they do if it is killed.
 *
 * At the end a job that does not come back is left to itself, with all that it uses; nobody is told
 * of it any more.
 */
#include "engine/wiper-internal.h"
#include "stopd/thread.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* --- The wiper's own life -------------------------------------------------------------------- */

/* What the keeper has been told last is little work. */
#define KEEPER_PATIENCE USEC_PER_SEC

static void free_wiper(struct wiper *w)
{
    marker_keeper_free(w->keeper, KEEPER_PATIENCE);
    surveyor_free(w->surveyor, 0);
    wiper_config_free(w->config);
    pthread_mutex_destroy(&w->lock);
    pthread_mutex_destroy(&w->calling);
    pthread_cond_destroy(&w->gone);
    free(w);
}

/* With the lock held, which it gives up. */
static void unlock_and_release(struct wiper *w)
{
    bool last = --w->references == 0;

    pthread_cond_broadcast(&w->gone);
    pthread_mutex_unlock(&w->lock);
    if (last)
        free_wiper(w);
}

static void no_room(void *userdata)
{
    static const struct wipe_job none;
    struct wipe_report *r = wipe_report_new(WIPE_REPORT_NO_ROOM, &none);

    if (r) /* or the next time */
        wiper_tell(userdata, r);
}

int wiper_new(const struct wiper_settings *settings, struct hypervisor *h, struct wiper **ret,
              struct error **err)
{
    struct wiper *w = calloc(1, sizeof(*w));
    int r;

    if (!w)
        return error_no_memory(err);
    w->hypervisor = h;
    w->report = settings->report;
    w->userdata = settings->userdata;
    w->references = 1;
    pthread_mutex_init(&w->lock, NULL);
    pthread_mutex_init(&w->calling, NULL);
    condition_init(&w->gone);
    r = wiper_config_new(settings, &w->config, err);
    if (r == 0)
        r = surveyor_new(h, &w->surveyor, err);
    if (r == 0)
        r = marker_keeper_new(settings->marker_folder, no_room, w, &w->keeper, err);
    if (r < 0)
        wiper_free(w, USEC_PER_SEC);
    else
        *ret = w;
    return r;
}

void wiper_configure(struct wiper *w, const struct wiper_settings *settings)
{
    struct wiper_config *fresh, *former;

    /* What cannot be taken over leaves the former settings in place; they were checked before. */
    if (wiper_config_new(settings, &fresh, NULL) < 0)
        return;
    pthread_mutex_lock(&w->lock);
    former = w->config;
    w->config = fresh;
    pthread_mutex_unlock(&w->lock);
    wiper_config_release(w, former);
}

/* Waits until no job is left. */
static bool await_jobs(struct wiper *w, usec_t deadline)
{
    const struct timespec until = timespec_of(deadline);
    bool all_over;

    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    for (struct job *j = w->jobs; j; j = j->next)
        job_ring(j);
    pthread_cond_broadcast(&w->gone);
    while (w->jobs && pthread_cond_timedwait(&w->gone, &w->lock, &until) == 0)
        ;
    all_over = !w->jobs;
    pthread_mutex_unlock(&w->lock);
    return all_over;
}

static usec_t time_until(usec_t deadline)
{
    usec_t now = moment_now().monotonic;

    return deadline > now ? deadline - now : 0;
}

bool wiper_free(struct wiper *w, usec_t patience)
{
    usec_t deadline = moment_now().monotonic + patience;
    bool all_over;

    if (!w)
        return true;
    all_over = await_jobs(w, deadline);
    pthread_mutex_lock(&w->calling);
    w->silent = true;
    pthread_mutex_unlock(&w->calling);
    if (all_over) {
        marker_keeper_free(take(w->keeper), time_until(deadline));
        all_over = surveyor_free(take(w->surveyor), time_until(deadline));
    }
    /* Jobs that are left use all of it; the last of them frees it, if it ever comes to that. */
    pthread_mutex_lock(&w->lock);
    unlock_and_release(w);
    return all_over;
}

/* --- Threads --------------------------------------------------------------------------------- */

static void retire(struct job *self)
{
    struct wiper *w = self->wiper;
    struct job **link;

    pthread_mutex_lock(&w->lock);
    for (link = &w->jobs; *link != self;)
        link = &(*link)->next;
    *link = self->next;
    pthread_mutex_unlock(&w->lock);
    job_free(self);
    pthread_mutex_lock(&w->lock);
    unlock_and_release(w);
}

static void *run(void *userdata)
{
    struct job *j = userdata;

    if (j->order->kind == WIPE_JOB_IDENTIFY)
        identify_run(j);
    else
        clear_run(j);
    retire(j);
    return NULL;
}

/* With the lock held. */
static int start_thread(struct wiper *w, struct job *j)
{
    int r = thread_start(NULL, j->order->kind == WIPE_JOB_CLEAR ? "clear" : "identify", run, j);

    if (r < 0)
        return r;
    j->next = w->jobs;
    w->jobs = j;
    w->references++;
    return 0;
}

/* With the lock held. An earlier look at its disks hangs with its helper, most likely: another
 * would only hang beside it. */
static bool is_hanging(const struct wiper *w, const uuid_t domain)
{
    for (const struct job *j = w->jobs; j; j = j->next)
        if (j->is_behind && uuid_compare(j->order->domain, domain) == 0)
            return true;
    return false;
}

static void report_no_start(struct wiper *w, const struct wipe_job *order, struct error *why)
{
    bool identify = order->kind == WIPE_JOB_IDENTIFY;
    struct wipe_report *r =
        wipe_report_new(identify ? WIPE_REPORT_IDENTIFIED : WIPE_REPORT_FAILED, order);

    if (r)
        r->error = why;
    else
        error_free(why);
    wiper_tell(w, r);
}

static int begin(struct wiper *w, struct job *j, struct error **err)
{
    int r = 0, errnum;

    pthread_mutex_lock(&w->lock);
    if (j->order->kind == WIPE_JOB_IDENTIFY && is_hanging(w, j->order->domain))
        r = error_set(err, ERROR_DISK_STATUS,
                      "An earlier look at the local disks of %s has not come to its end.",
                      j->order->instance ? instance_public_id(j->order->instance) : "the instance");
    else if (w->stopping)
        r = error_set(err, ERROR_UNKNOWN, "stopd is going down");
    else if ((errnum = start_thread(w, j)) < 0)
        r = error_set_errno(err, ERROR_UNKNOWN, errnum, "starting a thread for a local disk");
    pthread_mutex_unlock(&w->lock);
    return r;
}

/* --- Debts ----------------------------------------------------------------------------------- */

int marker_of(struct marker *ret, const uuid_t domain, const char *request_id,
              const char *instance_id, const struct planned_disk *disk)
{
    struct marker m = {.kind = disk->kind};

    uuid_copy(m.domain, domain);
    snprintf(m.request_id, sizeof(m.request_id), "%s", request_id);
    snprintf(m.boot_id, sizeof(m.boot_id), "%s", disk->boot_id);
    if (text_replace(&m.instance_id, instance_id) < 0 ||
        text_replace(&m.target, disk->target) < 0 || text_replace(&m.device, disk->device) < 0 ||
        json_object_deep_copy(disk->identity, &m.identity, NULL) < 0) {
        marker_clear(&m);
        return -ENOMEM;
    }
    *ret = m;
    return 0;
}

static void owe(struct wiper *w, const uuid_t domain, const char *request_id,
                const char *instance_id, const struct planned_disk *disk)
{
    struct marker m;

    /* Without memory for it here, the clear itself fails for lack of a marker, or makes it. */
    if (marker_of(&m, domain, request_id, instance_id, disk) == 0)
        marker_keeper_owe(w->keeper, &m);
}

void wiper_owe(struct wiper *w, const uuid_t domain, const char *request_id,
               const char *instance_id, const struct disk_plan *disks)
{
    for (size_t i = 0; i < disks->n; i++)
        if (disks->items[i].state != DISK_CLEARED)
            owe(w, domain, request_id, instance_id, &disks->items[i]);
}

void wiper_start(struct wiper *w, struct wipe_job *order)
{
    struct error *error = NULL;
    struct job *j;

    if (order->kind == WIPE_JOB_CLEAR)
        owe(w, order->domain, order->request_id, order->instance_id, &order->disk);
    j = job_new(w, order);
    if (!j)
        error_set(&error, ERROR_UNKNOWN, "out of memory or descriptors");
    else if (begin(w, j, &error) == 0)
        return;
    report_no_start(w, order, error);
    if (j)
        job_free(j);
    else
        wipe_job_free(order);
}

void wiper_end(struct wiper *w, const uuid_t domain)
{
    pthread_mutex_lock(&w->lock);
    for (struct job *j = w->jobs; j; j = j->next)
        if (j->order->kind == WIPE_JOB_CLEAR && uuid_compare(j->order->domain, domain) == 0) {
            j->is_ended = true;
            job_ring(j);
        }
    pthread_cond_broadcast(&w->gone);
    pthread_mutex_unlock(&w->lock);
    marker_keeper_forgive(w->keeper, domain);
}
