/* wiper-internal.h - what the wiper's files share among themselves */
#ifndef STOPD_ENGINE_WIPER_INTERNAL_H
#define STOPD_ENGINE_WIPER_INTERNAL_H

#include "engine/marker-keeper.h"
#include "engine/wiper-helper.h"
#include "engine/wiper-survey.h"
#include "engine/wiper.h"
#include "stopd/wipe-protocol.h"

#include <pthread.h>

/* --- wiper-config.c: local_storage.* as of the beginning of a job ---------------------------- */

struct wiper_config {
    unsigned references; /* guarded by the wiper's lock */
    char *helper;
    struct wipe_list devices, files;
    char *methods;
    enum clear_level level;
    enum wipe_verify verify;
    uint64_t max_mib_per_s;
    char *host_id;
    usec_t identify_timeout, silence, call_timeout, look_every, stop_patience;
};
int wiper_config_new(const struct wiper_settings *settings, struct wiper_config **ret,
                     struct error **err);
void wiper_config_free(struct wiper_config *c);
DEFINE_CLEANUP(struct wiper_config *, wiper_config_free);

/* --- wiper.c, wiper-job.c: jobs and their threads ------------------------------------------ */

struct wiper {
    struct hypervisor *hypervisor;
    struct surveyor *surveyor;
    struct marker_keeper *keeper;
    void (*report)(void *userdata, struct wipe_report *r);
    void *userdata;

    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t gone;  /* a job; or some are to end */
    struct wiper_config *config;
    struct job *jobs;
    unsigned references; /* of the jobs' threads and the owner */
    bool stopping;

    pthread_mutex_t calling; /* held over report() */
    bool silent;
};

struct job {
    struct wiper *wiper;
    struct wipe_job *order;
    struct wiper_config *config;
    int bell;       /* rings when one of these changes: */
    bool is_ended;  /* nothing is owed any more; guarded by the wiper's lock, as the next */
    bool is_behind; /* IDENTIFY: has answered, and stays with a helper that does not end */
    dev_t disk;     /* CLEAR: the whole disk that it has until it is gone, or 0; likewise */
    struct job *next;
};

/* Takes the order where it succeeds; NULL: no memory, or no descriptor. */
struct job *job_new(struct wiper *w, struct wipe_job *order);
void job_free(struct job *j);
void job_ring(struct job *j); /* a bell that has been rung stays so, for the job is to end */
void wiper_config_release(struct wiper *w, struct wiper_config *c);

/* NULL, or why the job is to end: a clause. */
const char *job_must_end(struct job *j);
/* Gives the report to the wiper's owner. NULL, for lack of memory, ends the program. */
void wiper_tell(struct wiper *w, struct wipe_report *r);
void job_report(struct job *j, struct wipe_report *r);
void job_stays_behind(struct job *j);
/* Whether no other job has this whole disk: then this one has it until its end. */
bool job_takes_disk(struct job *j, dev_t disk);
/* Ends a helper that is to end: waits for it, tells it to stop, kills it, and waits for as long as
 * it takes. is_done: it has said its last word, and needs only the time to leave. */
void job_end_helper(struct job *j, struct helper *h, bool is_done);

/* The marker of one disk. 0 or -ENOMEM. */
int marker_of(struct marker *ret, const uuid_t domain, const char *request_id,
              const char *instance_id, const struct planned_disk *disk);

/* --- The two kinds of jobs; each reports its end --------------------------------------------- */

void identify_run(struct job *j);
void clear_run(struct job *j);

/* --- wiper-lines.c: what the lines of a helper that clears mean ------------------------------ */

struct clearing {
    struct job *job;
    struct marker_hold *hold;
    struct helper *helper;
    char *device;              /* the path that we know it by: the domain's, then the helper's */
    struct wanted_disk wanted; /* what that is */

    /* What the helper has said */
    bool has_spoken, is_claimed, is_cleared, is_verified;
    bool is_done; /* its last word */
    json_object *certificate;

    /* How it ends, where it is not cleared */
    struct error *error;
    bool is_final, is_spent;
};
/* Acts on one line and reports it. Negative: the job is over, with an error. */
int clearing_take_line(struct clearing *c, const char *line, size_t n, struct error **err);

/* --- wiper-request.c: what a helper is asked ------------------------------------------------- */

void request_cleanup(struct wipe_request *r);
/* A plan where it cannot be told beforehand that some method of the ladder will do, else only what
 * the device is. */
int request_for_identify(const struct wiper_config *c, const struct instance *instance,
                         const struct disk *disk, struct wipe_request *ret, struct error **err);
/* The instance's other local disks: a method that reaches all of an NVM subsystem reaches them as
 * well. */
int request_add_companions(const struct wiper_config *c, const struct instance *instance,
                           const char *target, struct wipe_request *r, struct error **err);
/* For everything that is known before the domains are looked at. */
int request_for_clear(const struct wiper_config *c, const struct wipe_job *order,
                      struct wipe_request *ret, struct error **err);
/* Starts a helper and asks it. */
int request_send(const struct wiper_config *c, const struct wipe_request *r, struct helper **ret,
                 struct error **err);

/* --- wiper-allowed.c: what may ever be cleared --------------------------------------------- */

/* Is this path, and the kernel's own name for the device, under local_storage.devices (files)? */
bool is_allowed(const struct wiper_config *c, const char *resolved);

#endif
