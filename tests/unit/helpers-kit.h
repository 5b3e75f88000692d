/* helpers-kit.h - an I1 guest with two local disks in the world of engine-kit.h, and helpers that
 * clear them
 *
 * Theory of operation. A helper does one thing after each turn: it tells how far it is, that it
 * verifies, that the disk is cleared. None is given a disk of a guest that is there (contract 4.2),
 * and the engine's own calm (no memory and no disk fail) is round what helpers do. */
#ifndef STOPD_TESTS_HELPERS_KIT_H
#define STOPD_TESTS_HELPERS_KIT_H

#include "engine-kit.h"

#define LOCAL_DISKS 2

static const char *const local_targets[LOCAL_DISKS] = {"vdb", "vdc"};

static struct {
    struct helper_at_work {
        struct wipe_job *job;
        unsigned steps;
        struct helper_at_work *next;
    } * first;
    unsigned bad_tries; /* so many fail, half-way */
    unsigned resumed;   /* that went on where another had come to */
    bool hang;          /* nobody does anything more */
} helpers;

static inline char *helpers_device(size_t i)
{
    static char device[32];

    snprintf(device, sizeof(device), "/dev/nvme%zun1", i);
    return device;
}

/* Before the engine knows of it. */
static inline void make_i1(struct simulated_domain *d)
{
    struct instance *i = d->definition;

    assert_int_equal(text_replace(&i->type, "ecs.i1.xlarge"), 0);
    i->disks = calloc(LOCAL_DISKS, sizeof(*i->disks));
    i->n_disks = LOCAL_DISKS;
    for (size_t k = 0; k < LOCAL_DISKS; k++) {
        assert_int_equal(text_replace(&i->disks[k].target, local_targets[k]), 0);
        assert_int_equal(text_replace(&i->disks[k].source, helpers_device(k)), 0);
        i->disks[k].kind = DISK_BLOCK;
    }
}

/* --- What they say ---------------------------------------------------------------------------- */

static inline struct wipe_report *helper_report(const struct helper_at_work *h,
                                                enum wipe_report_kind kind)
{
    struct wipe_report *r = wipe_report_new(kind, h->job);

    assert_non_null(r);
    return r;
}

static inline json_object *helpers_object(const char *key, const char *value)
{
    json_object *o = json_object_new_object();

    json_object_object_add(o, key, json_object_new_string(value));
    return o;
}

static inline struct wipe_report *identified(const struct helper_at_work *h)
{
    struct wipe_report *r = helper_report(h, WIPE_REPORT_IDENTIFIED);

    for (size_t k = 0; k < LOCAL_DISKS; k++) {
        struct planned_disk *d = disk_plan_add(&r->plan);

        assert_int_equal(text_replace(&d->target, local_targets[k]), 0);
        assert_int_equal(text_replace(&d->device, helpers_device(k)), 0);
        d->kind = DISK_BLOCK;
        d->bytes = 1 << 20;
        d->identity = helpers_object("serial", local_targets[k]);
    }
    return r;
}

static inline struct wipe_report *progress(const struct helper_at_work *h, enum disk_state state)
{
    struct wipe_report *r = helper_report(h, WIPE_REPORT_PROGRESS);

    r->state = state;
    r->method = strdup("overwrite");
    r->done = 1 << 19;
    r->resume = helpers_object("at", "half-way");
    return r;
}

static inline struct wipe_report *failed(const struct helper_at_work *h)
{
    struct wipe_report *r = helper_report(h, WIPE_REPORT_FAILED);

    error_set(&r->error, ERROR_IO, "a block could not be written");
    helpers.bad_tries--;
    return r;
}

static inline struct wipe_report *cleared(const struct helper_at_work *h)
{
    struct wipe_report *r = helper_report(h, WIPE_REPORT_CLEARED);

    r->certificate = helpers_object("target", h->job->disk.target);
    return r;
}

/* The next word; *is_last: and then it is gone. */
static inline struct wipe_report *next_word(struct helper_at_work *h, bool *is_last)
{
    unsigned step = h->steps++;

    *is_last = h->job->kind == WIPE_JOB_IDENTIFY || step == 2 || (step == 1 && helpers.bad_tries);
    if (h->job->kind == WIPE_JOB_IDENTIFY)
        return identified(h);
    if (step == 0)
        return progress(h, DISK_CLEARING);
    if (step == 1)
        return helpers.bad_tries ? failed(h) : progress(h, DISK_VERIFYING);
    return cleared(h);
}

/* --- Their life ------------------------------------------------------------------------------- */

static inline void helpers_free(struct helper_at_work **at)
{
    struct helper_at_work *h = *at;

    *at = h->next;
    wipe_job_free(h->job);
    free(h);
}

static inline void helpers_start(struct life *l, struct wipe_job *j)
{
    struct helper_at_work *h;

    engine_calm();
    h = calloc(1, sizeof(*h));
    h->job = j;
    h->next = helpers.first;
    helpers.first = h;
    if (j->kind == WIPE_JOB_CLEAR) {
        const char *serial = NULL;

        if (l->guest->state != DOMAIN_OFF || l->guest->n_processes > 0)
            fail_msg("%s is given to a helper while its guest is there", j->disk.target);
        assert_int_equal(json_get_string(j->disk.identity, "serial", &serial), 0);
        assert_string_equal(serial, j->disk.target);
        helpers.resumed += j->disk.resume != NULL;
    }
    engine_rough();
}

static inline void helpers_work(struct life *l)
{
    engine_calm();
    for (struct helper_at_work **at = &helpers.first; *at && !helpers.hang;) {
        bool is_last;

        engine_take_report(l->engine, next_word(*at, &is_last));
        if (is_last)
            helpers_free(at);
        else
            at = &(*at)->next;
    }
    engine_rough();
}

/* Nothing is owed any more: those that clear stop. */
static inline void helpers_end(struct life *l, const uuid_t domain)
{
    for (struct helper_at_work **at = &helpers.first; *at;)
        if ((*at)->job->kind == WIPE_JOB_CLEAR && uuid_compare((*at)->job->domain, domain) == 0)
            helpers_free(at);
        else
            at = &(*at)->next;
}

static inline void helpers_leave(struct life *l)
{
    while (helpers.first)
        helpers_free(&helpers.first);
}

static const struct life_helpers helpers_all = {helpers_start, helpers_work, helpers_end,
                                                helpers_leave};

#endif
