/* identify-kit.h - an instance whose local disks are identified by a scripted helper */
#ifndef STOPD_TESTS_IDENTIFY_KIT_H
#define STOPD_TESTS_IDENTIFY_KIT_H

#include "loop-kit.h"
#include "wiper-kit.h"

#define IDENTIFIES "listen; identity\n"

static inline struct kit *with_script(void **state, const char *body)
{
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);

    kit_script(k, "helper", body);
    kit_start(k, &settings);
    return k;
}

static inline struct instance *an_instance(void)
{
    struct instance *i = instance_new();

    uuid_parse(OWN, i->uuid);
    i->name = strdup("guest0");
    i->id = strdup("i-bp67acfmxazb4ph");
    return i;
}

static inline struct local_disk *names(struct instance *i, const char *target)
{
    struct local_disk *d = instance_add_local_disk(i);

    d->target = strdup(target);
    return d;
}

static inline uint64_t identify(struct kit *k, struct instance *i)
{
    struct wipe_job *j = wipe_job_new(WIPE_JOB_IDENTIFY);

    j->id = ++k->last_job;
    uuid_copy(j->domain, i->uuid);
    j->instance = i;
    wiper_start(k->wiper, j);
    return k->last_job;
}

static inline struct wipe_report *identified(struct kit *k, struct instance *i)
{
    uint64_t job = identify(k, i);
    struct wipe_report *r = NULL;

    await(k, (r = kit_find(k, job, WIPE_REPORT_IDENTIFIED)));
    return r;
}

static inline void is_refused(struct kit *k, struct instance *i, enum error_code code,
                              const char *why)
{
    struct wipe_report *r = identified(k, i);

    assert_says(r->error, why);
    if (r->error->code != code)
        fail_msg("%s: %s", error_name(r->error->code), error_message(r->error));
    assert_int_equal(r->plan.n, 0);
}

/* --- Is there a method? ----------------------------------------------------------------------- */

static inline int teardown(void **state)
{
    kit_stop(*state);
    loop_detach_all();
    return kit_teardown(state);
}

#endif
