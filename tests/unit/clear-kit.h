/* clear-kit.h - clears under the wiper kit, and how they end */
#ifndef STOPD_TESTS_CLEAR_KIT_H
#define STOPD_TESTS_CLEAR_KIT_H

#include "wiper-kit.h"

static inline struct wipe_job *kit_clear_job(struct kit *k)
{
    struct wipe_job *j = wipe_job_new(WIPE_JOB_CLEAR);
    char text[256];
    struct stat st;

    j->id = ++k->last_job;
    uuid_parse(OWN, j->domain);
    strcpy(j->request_id, REQUEST);
    j->instance_id = strdup("i-bp67acfmxazb4ph");
    text_replace(&j->operator, "unix:uid=0(root)");
    j->ended = (struct incarnation){.pid = 4711, .start_time = 1};
    j->disk.target = strdup("vdb");
    j->disk.device = strdup(k->device);
    j->disk.kind = DISK_FILE;
    j->disk.bytes = 4096;
    if (stat(k->device, &st) < 0)
        abort();
    snprintf(text, sizeof(text), "{\"size\":4096,\"device\":\"%u:%u\",\"inode\":%llu}",
             major(st.st_dev), minor(st.st_dev), (unsigned long long)st.st_ino);
    j->disk.identity = json_tokener_parse(text);
    return j;
}

/* Starts the clear of the disk and gives the job's id. */
static inline uint64_t kit_clear(struct kit *k)
{
    struct wipe_job *j = kit_clear_job(k);

    wiper_start(k->wiper, j);
    return k->last_job;
}

static inline void kit_end(struct kit *k)
{
    uuid_t domain;

    uuid_parse(OWN, domain);
    wiper_end(k->wiper, domain);
}

/* A helper that works until it is told to stop. */
#define AT_WORK \
    "listen; claimed; touch working; while true; do progress clearing 1 4096; sleep 0.02; done\n"

static inline void add_extra_domains(struct kit *k)
{
    for (int i = 0; i < 3; i++) {
        char uuid[UUID_TEXT_SIZE];
        struct kit_domain *d;

        snprintf(uuid, sizeof(uuid), "3333333%d-3333-4333-8333-333333333333", i);
        d = kit_domain(k, uuid);
        d->state = i == 0 ? DOMAIN_RUNNING : DOMAIN_OFF;
        snprintf(d->disk, sizeof(d->disk), "/images/of-%d", i);
    }
}

/* Starts a wiper with this script for its helper. */
static inline struct kit *with_script(void **state, const char *body)
{
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);

    kit_script(k, "helper", body);
    kit_start(k, &settings);
    return k;
}

static inline struct wipe_report *fails(struct kit *k, uint64_t job)
{
    struct wipe_report *r = NULL;

    await(k, kit_is_over(k, job));
    r = kit_find(k, job, WIPE_REPORT_FAILED);
    if (!r)
        fail_msg("it was reported as cleared");
    return r;
}

/* Fails for no fault of the disk's, which is no try. */
static inline void fails_uncounted(struct kit *k, uint64_t job, const char *why)
{
    struct wipe_report *r = fails(k, job);

    assert_says(r->error, why);
    assert_int_equal(r->error->code, ERROR_UNKNOWN);
    assert_false(r->is_final);
}

static inline void fails_counted(struct kit *k, uint64_t job, const char *why)
{
    struct wipe_report *r = fails(k, job);

    assert_says(r->error, why);
    assert_int_not_equal(r->error->code, ERROR_UNKNOWN);
}

#endif
