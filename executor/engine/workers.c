/* workers.c - threads on which calls to the hypervisor may block
 *
 * Theory of operation. A call can hang for minutes: on a guest whose monitor is stuck, on a daemon
 * that was stopped. Each runs on a worker, and when its time is up the worker is written off: the
 * engine is told so by a stand-in for the call, another thread takes the worker's place, and if the
 * call ever returns its result is thrown away with it. There is a bound to how many may be written
 * off at once; past it the pool shrinks instead, until some return; what waits for a worker that
 * there is not is answered as unknown when its time is up. While a call is written off, another of
 * its kind for the same domain is answered at once, as unknown: it would only hang beside it, and
 * one stuck guest would use up the pool.
 *
 * Acts may hang where questions do not: on a guest's monitor, on its agent, and longest of all a
 * power cut, for which libvirt waits on a process in uninterruptible sleep. So a quarter of the
 * workers, at least one, is kept for asking, or nobody would see what becomes of the rest; and of
 * those that may act power cuts leave one, so that other guests' buttons go by them.
 *
 * Waking a thread costs more than many a call, and most of all it costs whoever wakes. So calls
 * come a turn's at a time, whoever brings them wakes one worker, and a worker that leaves a call
 * behind which another could make wakes the next before it makes its own.
 */
#include "engine/workers.h"

#include "engine/call-queue.h"
#include "stopd/thread.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

/* How many times the pool's size may be written off at once. */
#define WRITTEN_OFF_FACTOR 4

struct worker {
    struct workers *pool;
    struct call *call; /* NULL: idle */
    usec_t deadline;
    bool written_off;
    struct worker *next;
};

struct workers {
    struct hypervisor *hypervisor;
    void (*done)(void *userdata, struct call *c);
    void *userdata;
    unsigned wanted;

    pthread_mutex_t lock;
    pthread_cond_t work, gone;
    struct call_queue queue;
    struct worker *all; /* those whose thread lives */
    unsigned n_alive, n_written_off, n_busy;
    unsigned n_acting, n_cutting; /* of those that are not written off; cuts are acts */
    bool stopping;
    unsigned references; /* of the threads and the owner: the last one frees */
};

unsigned workers_most_calls(unsigned n)
{
    return n * (1 + WRITTEN_OFF_FACTOR);
}

/* Of those that there are: past the bound of the written off they become fewer. */
static unsigned most_acts(const struct workers *w)
{
    unsigned n = w->n_alive - w->n_written_off;
    unsigned kept = n / 4 ? n / 4 : 1;

    return n > kept ? n - kept : 0;
}

static unsigned most_cuts(const struct workers *w)
{
    unsigned acts = most_acts(w);

    return acts > 1 ? acts - 1 : acts;
}

/* Counts a call that begins (1) or is over (-1). */
static void count(struct workers *w, const struct call *c, int change)
{
    w->n_acting += (unsigned)(call_acts(c) * change);
    w->n_cutting += (unsigned)((c->kind == CALL_CUT) * change);
}

/* What one more worker could make now. */
static void find_out_what_may_run(const struct workers *w, bool ret[static CALL_CLASS_MAX])
{
    ret[CALL_ASKS] = true;
    ret[CALL_ACTS] = w->n_acting < most_acts(w);
    ret[CALL_CUTS] = ret[CALL_ACTS] && w->n_cutting < most_cuts(w);
}

/* The first call that may run now. With the lock held. */
static struct call *take_call(struct workers *w)
{
    bool may[CALL_CLASS_MAX];

    find_out_what_may_run(w, may);
    return call_queue_take(&w->queue, may);
}

/* With the lock held. */
static void wake_one(struct workers *w)
{
    bool may[CALL_CLASS_MAX];

    find_out_what_may_run(w, may);
    if (call_queue_first(&w->queue, may))
        pthread_cond_signal(&w->work);
}

static void unlock_and_release(struct workers *w)
{
    bool last = --w->references == 0;

    pthread_cond_broadcast(&w->gone);
    pthread_mutex_unlock(&w->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->gone);
    free(w);
}

static void retire(struct worker *self)
{
    struct workers *w = self->pool;
    struct worker **link = &w->all;

    while (*link != self)
        link = &(*link)->next;
    *link = self->next;
    w->n_alive--;
    free(self);
    unlock_and_release(w);
}

/* Runs one call without the lock. True: the worker was not written off meanwhile. */
static bool run(struct worker *self, struct call *c)
{
    struct workers *w = self->pool;

    self->call = c;
    self->deadline = moment_now().monotonic + c->timeout;
    w->n_busy++;
    count(w, c, 1);
    wake_one(w);
    pthread_mutex_unlock(&w->lock);

    call_execute(c, w->hypervisor);

    pthread_mutex_lock(&w->lock);
    self->call = NULL;
    w->n_busy--;
    if (!self->written_off)
        count(w, c, -1);
    if (self->written_off) {
        w->n_written_off--;
        /* What it has done to the domain meanwhile is not known here, but can be looked at. */
        if (call_acts(c) && !w->stopping) {
            c->is_late = true;
            w->done(w->userdata, c);
        } else {
            call_free(c);
        }
        return false;
    }
    /* The pool may be gone for its owner by the time that a late call returns, never before. */
    w->done(w->userdata, c);
    return true;
}

static void *work(void *arg)
{
    struct worker *self = arg;
    struct workers *w = self->pool;
    struct call *c;

    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (!w->stopping && !(c = take_call(w)))
            pthread_cond_wait(&w->work, &w->lock);
        if (w->stopping)
            break;
        if (!run(self, c)) {
            /* Somebody has its place, unless the pool has shrunk. */
            if (w->n_alive - w->n_written_off > w->wanted)
                break;
            self->written_off = false;
        }
    }
    retire(self);
    return NULL;
}

/* With the lock held. */
static int add_worker(struct workers *w)
{
    struct worker *self = calloc(1, sizeof(*self));
    int r;

    if (!self)
        return -ENOMEM;
    self->pool = w;
    r = thread_start(NULL, "hypervisor call", work, self);
    if (r < 0) {
        free(self);
        return r;
    }
    self->next = w->all;
    w->all = self;
    w->n_alive++;
    w->references++;
    return 0;
}

int workers_new(struct hypervisor *h, unsigned n, void (*done)(void *userdata, struct call *c),
                void *userdata, struct workers **ret, struct error **err)
{
    struct workers *w = calloc(1, sizeof(*w));
    int r = 0;

    if (!w)
        return error_no_memory(err);
    w->hypervisor = h;
    w->done = done;
    w->userdata = userdata;
    w->wanted = n;
    call_queue_init(&w->queue);
    w->references = 1;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->work, NULL);
    condition_init(&w->gone);

    pthread_mutex_lock(&w->lock);
    while (r == 0 && w->n_alive < n)
        r = add_worker(w);
    pthread_mutex_unlock(&w->lock);
    if (r < 0) {
        workers_free(w, USEC_PER_SEC);
        return error_set_errno(err, ERROR_IO, -r, "starting the threads that call the hypervisor");
    }
    *ret = w;
    return 0;
}

/* Is one like it written off, and still out? With the lock held. */
static bool is_hanging(const struct workers *w, const struct call *c)
{
    for (const struct worker *each = w->all; each; each = each->next)
        if (each->written_off && each->call && each->call->kind == c->kind &&
            each->call->button == c->button && c->kind != CALL_CONNECT &&
            uuid_compare(each->call->domain, c->domain) == 0)
            return true;
    return false;
}

static void refuse(struct workers *w, struct call *c, const char *why)
{
    c->is_unmade = true;
    c->result = error_set(&c->error, ERROR_UNKNOWN, "%s", why);
    w->done(w->userdata, c);
}

void workers_start(struct workers *w, struct call *c)
{
    usec_t now = moment_now().monotonic;
    struct call *refused = NULL, *next;

    pthread_mutex_lock(&w->lock);
    for (; c; c = next) {
        next = c->next;
        c->queued = now;
        if (is_hanging(w, c)) {
            c->next = refused;
            refused = c;
        } else {
            call_queue_add(&w->queue, c);
        }
    }
    wake_one(w);
    pthread_mutex_unlock(&w->lock);
    for (; refused; refused = next) {
        next = refused->next;
        refused->next = NULL;
        refuse(w, refused, "libvirt has not come back from an earlier call of this kind");
    }
}

/* What the engine gets in place of a call that is still out. */
static struct call *stand_in(const struct call *c)
{
    struct call *s = call_new(c->kind);

    if (!s)
        return NULL;
    s->id = c->id;
    s->generation = c->generation;
    s->timeout = c->timeout;
    uuid_copy(s->domain, c->domain);
    s->meant = c->meant;
    s->stuck = true;
    s->press.is_asked = atomic_load(&c->press.is_asked);
    s->result = error_set(&s->error, ERROR_UNKNOWN, "libvirt did not answer within %llu s",
                          (unsigned long long)(c->timeout / USEC_PER_SEC));
    return s;
}

static void write_off(struct workers *w, struct worker *worker)
{
    struct call *s = stand_in(worker->call);

    if (!s)
        return; /* again in a second */
    worker->written_off = true;
    w->n_written_off++;
    count(w, worker->call, -1);
    if (w->n_written_off <= w->wanted * WRITTEN_OFF_FACTOR)
        (void)add_worker(w); /* fewer workers, where it cannot be had */
    wake_one(w);             /* one that was passed over may run now */
    w->done(w->userdata, s);
}

/* Those that no worker is left for: all hang, and may do so for good. With the lock held. */
static void expire_waiting(struct workers *w, usec_t monotonic)
{
    bool may[CALL_CLASS_MAX] = {[CALL_ASKS] = w->n_alive == w->n_written_off,
                                [CALL_ACTS] = most_acts(w) == 0,
                                [CALL_CUTS] = most_cuts(w) == 0};
    struct call *c;

    for (int i = 0; i < CALL_CLASS_MAX; i++) {
        bool only[CALL_CLASS_MAX] = {false};

        only[i] = may[i];
        while ((c = call_queue_first(&w->queue, only)) && c->queued + c->timeout <= monotonic)
            refuse(w, call_queue_take(&w->queue, only),
                   "libvirt has not come back from so many calls that no more are made");
    }
}

void workers_expire(struct workers *w, usec_t monotonic)
{
    pthread_mutex_lock(&w->lock);
    for (struct worker *each = w->all; each; each = each->next)
        if (each->call && !each->written_off && each->deadline <= monotonic)
            write_off(w, each);
    expire_waiting(w, monotonic);
    pthread_mutex_unlock(&w->lock);
}

bool workers_are_busy(struct workers *w)
{
    bool busy;

    pthread_mutex_lock(&w->lock);
    busy = !call_queue_is_empty(&w->queue) || w->n_busy > w->n_written_off;
    pthread_mutex_unlock(&w->lock);
    return busy;
}

bool workers_free(struct workers *w, usec_t patience)
{
    const bool all[CALL_CLASS_MAX] = {true, true, true};
    struct timespec until;
    struct call *c;
    bool all_gone;

    if (!w)
        return true;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(patience / USEC_PER_SEC);
    until.tv_nsec += (long)(patience % USEC_PER_SEC) * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }

    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_broadcast(&w->work);
    while ((c = call_queue_take(&w->queue, all)))
        call_free(c);
    while (w->n_alive > 0 && pthread_cond_timedwait(&w->gone, &w->lock, &until) == 0)
        ;
    /* From now on nobody is told of what comes late. */
    for (struct worker *each = w->all; each; each = each->next)
        if (each->call && !each->written_off) {
            each->written_off = true;
            w->n_written_off++;
        }
    all_gone = w->n_alive == 0;
    unlock_and_release(w);
    return all_gone;
}
