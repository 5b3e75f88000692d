/* marker-keeper.c - the one thread that writes and removes markers
 *
 * Theory of operation. Writing a marker waits for the disk, and the engine must not; so there is a
 * thread for it. That it is one thread, with one queue, is what makes the order that of the
 * engine's decisions: a debt that is forgiven and then incurred again leaves a marker, the other
 * way round it leaves none, however slow the disk is.
 *
 * Two things keep a marker: the debt of its domain, and a helper that has the disk. A debt may be
 * forgiven while a helper hangs in the kernel with the disk open for writing; the marker then stays
 * until that helper is gone. Both are counted on this thread only, so there is nothing to lock but
 * the queue.
 *
 * The disk may be full. Whoever keeps some room for that is told, and tells the debts again when he
 * has given it away.
 */
#include "engine/marker-keeper.h"

#include "stopd/log.h"
#include "stopd/thread.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

enum task_kind { TASK_OWE, TASK_FORGIVE, TASK_HOLD, TASK_RELEASE };

struct task {
    enum task_kind kind;
    struct marker marker; /* OWE, HOLD */
    uuid_t domain;        /* FORGIVE, RELEASE */
    char name[MARKER_NAME_SIZE];
    /* HOLD: who asks waits, and owns the task again then. */
    bool is_done;
    int result;
    struct error *error;
    struct task *next;
};

/* Is at once the thread's note that the disk is held, and the task that will undo it. */
struct marker_hold {
    struct task release;
    struct marker_hold *next;
};

struct debtor {
    uuid_t domain;
    struct debtor *next;
};

struct marker_keeper {
    char *folder;
    pthread_t thread;
    pthread_mutex_t lock; /* for what follows, and a task's is_done */
    pthread_cond_t work, done;
    struct task *queue, **queue_end;
    bool stopping, ended, abandoned;
    void (*no_room)(void *userdata); /* called with the lock held: not after stopping */
    void *userdata;

    /* The thread's own */
    struct debtor *debtors;
    struct marker_hold *holds;
};

/* --- Who keeps a marker ---------------------------------------------------------------------- */

static struct debtor **find_debtor(struct marker_keeper *k, const uuid_t domain)
{
    struct debtor **link = &k->debtors;

    while (*link && uuid_compare((*link)->domain, domain) != 0)
        link = &(*link)->next;
    return link;
}

static int add_debtor(struct marker_keeper *k, const uuid_t domain)
{
    struct debtor *d;

    if (*find_debtor(k, domain))
        return 0;
    d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    uuid_copy(d->domain, domain);
    d->next = k->debtors;
    k->debtors = d;
    return 0;
}

static bool is_held(const struct marker_keeper *k, const char *name)
{
    for (const struct marker_hold *h = k->holds; h; h = h->next)
        if (text_equal(h->release.name, name))
            return true;
    return false;
}

/* --- Tasks ----------------------------------------------------------------------------------- */

static void say_no_room(struct marker_keeper *k)
{
    pthread_mutex_lock(&k->lock);
    if (k->no_room && !k->stopping)
        k->no_room(k->userdata);
    pthread_mutex_unlock(&k->lock);
}

static int write_marker(struct marker_keeper *k, struct task *t, struct error **err)
{
    int r;

    if (marker_locate(&t->marker) < 0)
        return error_no_memory(err);
    r = marker_write(k->folder, &t->marker, err);
    if (r < 0 && error_code_of(*err) == ERROR_NO_ROOM)
        say_no_room(k);
    return r;
}

static int owe(struct marker_keeper *k, struct task *t, struct error **err)
{
    if (add_debtor(k, t->marker.domain) < 0)
        return error_no_memory(err);
    return write_marker(k, t, err);
}

struct scope {
    const struct marker_keeper *keeper;
    const unsigned char *domain;
};

static bool is_over(void *userdata, const uuid_t domain, const char *name)
{
    const struct scope *s = userdata;

    return uuid_compare(domain, s->domain) == 0 && !is_held(s->keeper, name);
}

static int forgive(struct marker_keeper *k, const uuid_t domain, struct error **err)
{
    struct debtor **link = find_debtor(k, domain), *d = *link;
    struct scope scope = {k, domain};

    if (d) {
        *link = d->next;
        free(d);
    }
    return markers_remove(k->folder, is_over, &scope, err);
}

static int release(struct marker_keeper *k, struct task *t, struct error **err)
{
    struct marker_hold **link = &k->holds;
    struct scope scope = {k, t->domain};

    while (&(*link)->release != t)
        link = &(*link)->next;
    *link = (*link)->next;
    return *find_debtor(k, t->domain) ? 0 : markers_remove(k->folder, is_over, &scope, err);
}

/* The hold counts from here on, also where the marker cannot be written: then it is given back. */
static int hold(struct marker_keeper *k, struct task *t, struct error **err)
{
    struct marker_hold *h = (struct marker_hold *)t;

    h->next = k->holds;
    k->holds = h;
    return write_marker(k, t, err);
}

static int carry_out(struct marker_keeper *k, struct task *t, struct error **err)
{
    switch (t->kind) {
    case TASK_OWE:
        return owe(k, t, err);
    case TASK_FORGIVE:
        return forgive(k, t->domain, err);
    case TASK_HOLD:
        return hold(k, t, err);
    case TASK_RELEASE:
        return release(k, t, err);
    }
    return 0;
}

static void task_free(struct task *t)
{
    if (!t)
        return;
    marker_clear(&t->marker);
    error_free(t->error);
    free(t);
}
DEFINE_CLEANUP(struct task *, task_free);

static void finish(struct marker_keeper *k, struct task *t)
{
    struct error *error = NULL;
    int r = carry_out(k, t, &error);

    if (t->kind != TASK_HOLD) {
        if (r < 0)
            log_warning("what is owed a clear could not be written down: %s", error_message(error));
        error_free(error);
        task_free(t);
        return;
    }
    pthread_mutex_lock(&k->lock);
    t->result = r;
    t->error = error;
    t->is_done = true;
    pthread_cond_broadcast(&k->done);
    pthread_mutex_unlock(&k->lock);
}

/* --- The thread ------------------------------------------------------------------------------ */

static void keeper_free(struct marker_keeper *k)
{
    struct debtor *d;

    if (!k)
        return;
    while ((d = k->debtors)) {
        k->debtors = d->next;
        free(d);
    }
    pthread_mutex_destroy(&k->lock);
    pthread_cond_destroy(&k->work);
    pthread_cond_destroy(&k->done);
    free(k->folder);
    free(k);
}
DEFINE_CLEANUP(struct marker_keeper *, keeper_free);

static struct task *next_task(struct marker_keeper *k)
{
    struct task *t;

    pthread_mutex_lock(&k->lock);
    while (!k->queue && !k->stopping)
        pthread_cond_wait(&k->work, &k->lock);
    t = k->queue;
    if (t) {
        k->queue = t->next;
        if (!k->queue)
            k->queue_end = &k->queue;
    }
    pthread_mutex_unlock(&k->lock);
    return t;
}

static void *keep(void *userdata)
{
    struct marker_keeper *k = userdata;
    struct task *t;
    bool abandoned;

    while ((t = next_task(k)))
        finish(k, t);
    pthread_mutex_lock(&k->lock);
    k->ended = true;
    abandoned = k->abandoned;
    pthread_cond_broadcast(&k->done);
    pthread_mutex_unlock(&k->lock);
    if (abandoned)
        keeper_free(k);
    return NULL;
}

int marker_keeper_new(const char *folder, void (*no_room)(void *userdata), void *userdata,
                      struct marker_keeper **ret, struct error **err)
{
    _cleanup_(keeper_free) struct marker_keeper *k = calloc(1, sizeof(*k));
    int r;

    if (!k)
        return error_no_memory(err);
    pthread_mutex_init(&k->lock, NULL);
    pthread_cond_init(&k->work, NULL);
    condition_init(&k->done);
    k->queue_end = &k->queue;
    k->no_room = no_room;
    k->userdata = userdata;
    if (text_replace(&k->folder, folder) < 0)
        return error_no_memory(err);
    r = markers_make_folder(folder, err);
    if (r < 0)
        return r;
    r = thread_start(&k->thread, "markers", keep, k);
    if (r < 0)
        return error_set_errno(err, ERROR_INTERNAL, r, "starting the thread that keeps markers");
    *ret = take(k);
    return 0;
}

bool marker_keeper_free(struct marker_keeper *k, usec_t patience)
{
    usec_t until = moment_now().monotonic + patience;
    const struct timespec at = timespec_of(until);
    bool ended;

    if (!k)
        return true;
    pthread_mutex_lock(&k->lock);
    k->stopping = true;
    pthread_cond_signal(&k->work);
    while (!k->ended && pthread_cond_timedwait(&k->done, &k->lock, &at) == 0)
        ;
    ended = k->ended;
    k->abandoned = !ended;
    if (!ended)
        pthread_detach(k->thread);
    pthread_mutex_unlock(&k->lock);
    if (!ended)
        return false;
    pthread_join(k->thread, NULL);
    keeper_free(k);
    return true;
}

/* --- Telling it ------------------------------------------------------------------------------ */

/* With the lock held. */
static void append(struct marker_keeper *k, struct task *t)
{
    t->next = NULL;
    *k->queue_end = t;
    k->queue_end = &t->next;
    pthread_cond_signal(&k->work);
}

static void post(struct marker_keeper *k, struct task *t)
{
    pthread_mutex_lock(&k->lock);
    append(k, t);
    pthread_mutex_unlock(&k->lock);
}

void marker_keeper_owe(struct marker_keeper *k, struct marker *m)
{
    struct task *t = calloc(1, sizeof(*t));

    if (!t) {
        log_warning("out of memory: %s of %s has no marker yet", m->target, m->instance_id);
        marker_clear(m);
        return;
    }
    t->kind = TASK_OWE;
    t->marker = *m;
    *m = (struct marker){0};
    post(k, t);
}

void marker_keeper_forgive(struct marker_keeper *k, const uuid_t domain)
{
    struct task *t = calloc(1, sizeof(*t));

    if (!t) {
        log_warning("out of memory: markers stay until the next start");
        return;
    }
    t->kind = TASK_FORGIVE;
    uuid_copy(t->domain, domain);
    post(k, t);
}

int marker_keeper_hold(struct marker_keeper *k, struct marker *m, struct marker_hold **ret,
                       struct error **err)
{
    struct marker_hold *h = calloc(1, sizeof(*h));
    struct task *t = (struct task *)h; /* its first member */
    int r = h ? marker_name(m->domain, m->target, t->name, err) : error_no_memory(err);

    if (r < 0) {
        marker_clear(m);
        free(h);
        return r;
    }
    t->kind = TASK_HOLD;
    t->marker = *m;
    uuid_copy(t->domain, m->domain);
    *m = (struct marker){0};

    pthread_mutex_lock(&k->lock);
    append(k, t);
    while (!t->is_done)
        pthread_cond_wait(&k->done, &k->lock);
    pthread_mutex_unlock(&k->lock);
    if (t->result < 0) {
        struct error *error = take(t->error);

        marker_keeper_release(k, h);
        return error_move(err, &error);
    }
    *ret = h;
    return 0;
}

void marker_keeper_release(struct marker_keeper *k, struct marker_hold *h)
{
    if (!h)
        return;
    h->release.kind = TASK_RELEASE;
    post(k, &h->release);
}
