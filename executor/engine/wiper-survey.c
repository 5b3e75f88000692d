/* wiper-survey.c - which disks every domain names, read anew
 *
 * Theory of operation. Before a disk is claimed, and again and again until it is cleared, nobody
 * else may name it: not a domain that runs, not one that is only defined. No event tells of all
 * that can change this (a disk attached to the inactive definition gives none), so everything is
 * read each time. On a host with many clears under way that would be a flood of calls; so a survey
 * belongs to all, and only one that began before somebody's question is too old for his answer.
 *
 * A call that hangs is left to its thread, which throws its answer away. Only so many may hang at
 * once; past that no other is begun, and there is no answer, which is "unknown" and forbids every
 * claim.
 *
 * Paths are resolved on the survey's thread too: one on a network file system can hang as well.
 */
#include "engine/wiper-survey.h"
#include "stopd/thread.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#define CALLS_MAX 16
/* A survey that has been out for so long is taken for stuck, and another one begun. */
#define STUCK (60 * USEC_PER_SEC)
#define SURVEYS_MAX 3

struct surveyor {
    struct hypervisor *hypervisor;
    pthread_mutex_t lock; /* for all of it */
    pthread_cond_t news;
    unsigned references; /* of the threads and the owner */
    unsigned n_calls, n_surveys;
    usec_t begun; /* the last survey, whatever became of it */
    struct survey *newest;
    struct error *error; /* of the survey that failed last … */
    usec_t failed;       /* … and when that began */
};

enum ask_state { ASK_OUT, ASK_BACK, ASK_ABANDONED };

/* One call: a look, or a survey, which is NULL in that. */
struct ask {
    struct surveyor *surveyor;
    struct survey *survey;
    uuid_t domain;
    bool has_remembered;
    struct incarnation remembered;
    enum ask_state state; /* of a look */
    int result;
    struct error *error;
    struct sighting sighting;
};

static void survey_free(struct survey *v)
{
    if (!v)
        return;
    sightings_clear(&v->domains);
    for (size_t i = 0; i < v->n_volumes; i++) {
        free(v->volumes[i].path);
        error_free(v->volumes[i].error);
    }
    free(v->volumes);
    free(v->untold);
    free(v->disks);
    free(v);
}

static void ask_free(struct ask *a)
{
    if (!a)
        return;
    survey_free(a->survey);
    error_free(a->error);
    sighting_clear(&a->sighting);
    free(a);
}
DEFINE_CLEANUP(struct ask *, ask_free);

static void free_surveyor(struct surveyor *s)
{
    survey_free(s->newest);
    error_free(s->error);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->news);
    free(s);
}

/* With the lock held, which it gives up. */
static void unlock_and_release(struct surveyor *s)
{
    bool last = --s->references == 0;

    pthread_cond_broadcast(&s->news);
    pthread_mutex_unlock(&s->lock);
    if (last)
        free_surveyor(s);
}

/* --- Making a survey ------------------------------------------------------------------------- */

/* Room for all that can be: of disks, volumes and disks that are not told. */
static int make_room(struct survey *v, struct error **err)
{
    size_t n = 0, n_relatives = 0;

    for (size_t i = 0; i < v->domains.n; i++) {
        const struct instance *instance = v->domains.items[i].instance;

        n += instance ? instance->n_disks + instance->n_relatives : 0;
        n_relatives += instance ? instance->n_relatives : 0;
    }
    v->disks = calloc(n + 1, sizeof(*v->disks));
    v->volumes = calloc(n_relatives + 1, sizeof(*v->volumes));
    v->untold = calloc(n_relatives + 1, sizeof(*v->untold));
    return v->disks && v->volumes && v->untold ? 0 : error_no_memory(err);
}

/* What cannot be resolved is not there: a domain may name a disk that is away. One that stands on
 * more than can be told apart is an error, for it might be any. */
static int add_disk(struct survey *v, const struct sighting *domain, const char *target,
                    const char *source, struct error **err)
{
    struct named_disk *d = &v->disks[v->n++];
    int r;

    *d = (struct named_disk){.domain = domain, .target = target, .source = source};
    r = disk_node_of(source, &d->node);
    if (r == -E2BIG)
        return error_set(err, ERROR_UNKNOWN, "what %s of domain %s stands on cannot be told apart",
                         source, domain->instance->name);
    if (r < 0)
        d->node = (struct disk_node){.kind = DISK_OTHER};
    return 0;
}

static const struct found_volume *find_volume(struct surveyor *s, struct survey *v,
                                              const struct disk_relative *relative)
{
    const struct hypervisor_ops *ops = s->hypervisor->ops;
    struct found_volume *found = &v->volumes[v->n_volumes];

    for (size_t i = 0; i < v->n_volumes; i++)
        if (text_equal(v->volumes[i].pool, relative->pool) &&
            text_equal(v->volumes[i].volume, relative->volume))
            return &v->volumes[i];
    v->n_volumes++;
    found->pool = relative->pool;
    found->volume = relative->volume;
    if (!ops->find_volume)
        error_set(&found->error, ERROR_UNKNOWN, "%s has no storage pools", ops->name);
    else
        ops->find_volume(s->hypervisor, found->pool, found->volume, &found->path, &found->error);
    return found;
}

static int add_relative(struct surveyor *s, struct survey *v, const struct sighting *domain,
                        const struct disk_relative *relative, struct error **err)
{
    const struct found_volume *volume;

    if (relative->path)
        return add_disk(v, domain, relative->target, relative->path, err);
    volume = find_volume(s, v, relative);
    if (volume->error)
        v->untold[v->n_untold++] = (struct untold_disk){domain, relative->target, volume};
    return volume->path ? add_disk(v, domain, relative->target, volume->path, err) : 0;
}

static int list_disks(struct surveyor *s, struct survey *v, struct error **err)
{
    int r = make_room(v, err);

    for (size_t i = 0; i < v->domains.n && r == 0; i++) {
        const struct sighting *domain = &v->domains.items[i];
        const struct instance *instance = domain->instance;

        for (size_t k = 0; instance && k < instance->n_disks && r == 0; k++)
            if (is_set(instance->disks[k].source))
                r = add_disk(v, domain, instance->disks[k].target, instance->disks[k].source, err);
        for (size_t k = 0; instance && k < instance->n_relatives && r == 0; k++)
            r = add_relative(s, v, domain, &instance->relatives[k], err);
    }
    return r;
}

static int make_survey(struct surveyor *s, struct survey *v, struct error **err)
{
    int r = s->hypervisor->ops->list(s->hypervisor, &v->domains, err);

    return r < 0 ? r : list_disks(s, v, err);
}

/* With the lock held. */
static void publish(struct surveyor *s, struct ask *a)
{
    s->n_surveys--;
    if (a->result < 0 && a->survey->began >= s->failed) {
        error_free(s->error);
        s->error = take(a->error);
        s->failed = a->survey->began;
    }
    if (a->result < 0 || (s->newest && s->newest->began > a->survey->began))
        return;
    if (s->newest && --s->newest->references == 0)
        survey_free(s->newest);
    s->newest = take(a->survey);
    s->newest->references = 1;
}

/* --- The threads ----------------------------------------------------------------------------- */

static void *carry_out(void *userdata)
{
    struct ask *a = userdata;
    struct surveyor *s = a->surveyor;
    bool is_ours = true;

    a->result = a->survey ? make_survey(s, a->survey, &a->error)
                          : s->hypervisor->ops->look(s->hypervisor, a->domain,
                                                     a->has_remembered ? &a->remembered : NULL,
                                                     &a->sighting, &a->error);
    pthread_mutex_lock(&s->lock);
    s->n_calls--;
    if (a->survey) {
        publish(s, a);
    } else {
        is_ours = a->state == ASK_ABANDONED;
        a->state = ASK_BACK;
    }
    if (is_ours)
        ask_free(a);
    unlock_and_release(s);
    return NULL;
}

/* With the lock held. 0 or an errno; takes a then. */
static int begin(struct surveyor *s, struct ask *a)
{
    int r;

    if (s->n_calls >= CALLS_MAX)
        return -EAGAIN;
    a->surveyor = s;
    r = thread_start(NULL, "survey", carry_out, a);
    if (r < 0)
        return r;
    s->n_calls++;
    s->references++;
    return 0;
}

/* With the lock held. Not while another one is out, unless that is stuck. */
static void begin_survey(struct surveyor *s)
{
    _cleanup_(ask_free) struct ask *a = NULL;
    usec_t now = moment_now().monotonic;

    if (s->n_surveys > 0 && (now < s->begun + STUCK || s->n_surveys >= SURVEYS_MAX))
        return;
    a = calloc(1, sizeof(*a));
    if (!a || !(a->survey = calloc(1, sizeof(*a->survey))))
        return;
    a->survey->began = now;
    if (begin(s, a) != 0)
        return;
    a = NULL;
    s->n_surveys++;
    s->begun = now;
}

int surveyor_new(struct hypervisor *h, struct surveyor **ret, struct error **err)
{
    struct surveyor *s = calloc(1, sizeof(*s));

    if (!s)
        return error_no_memory(err);
    s->hypervisor = h;
    s->references = 1;
    pthread_mutex_init(&s->lock, NULL);
    condition_init(&s->news);
    *ret = s;
    return 0;
}

bool surveyor_free(struct surveyor *s, usec_t patience)
{
    struct timespec until = timespec_of(moment_now().monotonic + patience);
    bool all_back;

    if (!s)
        return true;
    pthread_mutex_lock(&s->lock);
    while (s->n_calls > 0 && pthread_cond_timedwait(&s->news, &s->lock, &until) == 0)
        ;
    all_back = s->n_calls == 0;
    unlock_and_release(s);
    return all_back;
}

/* --- Asking ---------------------------------------------------------------------------------- */

static struct survey *find_recent(struct surveyor *s, usec_t since)
{
    if (!s->newest || s->newest->began < since)
        return NULL;
    s->newest->references++;
    return s->newest;
}

const struct survey *surveyor_peek(struct surveyor *s, usec_t since)
{
    struct survey *v;

    pthread_mutex_lock(&s->lock);
    v = find_recent(s, since);
    if (!v)
        begin_survey(s);
    pthread_mutex_unlock(&s->lock);
    return v;
}

static int no_answer(struct error **err, usec_t patience)
{
    return error_set(err, ERROR_UNKNOWN, "libvirt did not answer within %llu s",
                     (unsigned long long)(patience / USEC_PER_SEC));
}

int surveyor_take(struct surveyor *s, usec_t since, usec_t patience, const struct survey **ret,
                  struct error **err)
{
    struct timespec until = timespec_of(moment_now().monotonic + patience);
    struct survey *v;
    int r = 0, late = 0;

    pthread_mutex_lock(&s->lock);
    while (!(v = find_recent(s, since)) && !(s->error && s->failed >= since) && !late) {
        begin_survey(s);
        late = pthread_cond_timedwait(&s->news, &s->lock, &until);
    }
    if (v)
        *ret = v;
    else if (late)
        r = no_answer(err, patience);
    else
        r = error_set(err, ERROR_UNKNOWN, "%s", error_message(s->error));
    pthread_mutex_unlock(&s->lock);
    return r;
}

void surveyor_give_back(struct surveyor *s, const struct survey *v)
{
    struct survey *own = (struct survey *)v;

    if (!v)
        return;
    pthread_mutex_lock(&s->lock);
    if (--own->references == 0)
        survey_free(own);
    pthread_mutex_unlock(&s->lock);
}

/* With the lock held. Where it does not come back in time it belongs to its thread. */
static int await_look(struct surveyor *s, struct ask *a, usec_t patience, struct sighting *ret,
                      struct error **err)
{
    struct timespec until = timespec_of(moment_now().monotonic + patience);
    int r;

    while (a->state == ASK_OUT && pthread_cond_timedwait(&s->news, &s->lock, &until) == 0)
        ;
    if (a->state == ASK_OUT) {
        a->state = ASK_ABANDONED;
        return no_answer(err, patience);
    }
    r = a->result;
    if (r < 0) {
        error_move(err, &a->error);
    } else {
        *ret = a->sighting;
        a->sighting = (struct sighting){0};
    }
    ask_free(a);
    return r;
}

int surveyor_look(struct surveyor *s, const uuid_t domain, const struct incarnation *remembered,
                  usec_t patience, struct sighting *ret, struct error **err)
{
    struct ask *a = calloc(1, sizeof(*a));
    int r;

    if (!a)
        return error_no_memory(err);
    uuid_copy(a->domain, domain);
    a->has_remembered = remembered != NULL;
    if (remembered)
        a->remembered = *remembered;
    pthread_mutex_lock(&s->lock);
    r = begin(s, a);
    if (r == 0) {
        r = await_look(s, a, patience, ret, err);
    } else {
        ask_free(a);
        r = error_set_errno(err, ERROR_UNKNOWN, r, "asking libvirt");
    }
    pthread_mutex_unlock(&s->lock);
    return r;
}
