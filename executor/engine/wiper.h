/* wiper.h - the engine's way to the helpers that identify and clear disks
 *
 * A job is a thread that talks to one stopd-wipe after another (local_storage.helper: spawned, or
 * reached over a socket). What comes of it is told by reports, from that thread. A helper that
 * hangs holds up its own job and nothing else. */
#ifndef STOPD_ENGINE_WIPER_H
#define STOPD_ENGINE_WIPER_H

#include "core/disks.h"
#include "stopd/hypervisor.h"

enum wipe_job_kind { WIPE_JOB_IDENTIFY, WIPE_JOB_CLEAR };

struct wipe_job {
    enum wipe_job_kind kind;
    uint64_t id; /* unique within the process */
    uuid_t domain;
    /* IDENTIFY: the definition whose local disks are wanted, the job's own copy */
    struct instance *instance;
    /* CLEAR: one disk of an operation, a copy. Its resume goes to the helper as it is */
    struct planned_disk disk;
    size_t index; /* in the operation's plan */
    char request_id[UUID_TEXT_SIZE];
    char *instance_id, *operator;
    struct incarnation ended; /* the run whose end was proved; looked at again before the claim */
    struct wipe_job *next;
};
struct wipe_job *wipe_job_new(enum wipe_job_kind kind);
void wipe_job_free(struct wipe_job *j);
DEFINE_CLEANUP(struct wipe_job *, wipe_job_free);

enum wipe_report_kind {
    WIPE_REPORT_IDENTIFIED, /* plan, or error (ERROR_DISK_STATUS: as an answer to the command;
                               ERROR_UNAVAILABLE: no helper) */
    WIPE_REPORT_PROGRESS,   /* state (clearing, verifying), method, done, verified (as a share of
                               the disk's bytes, however many of them are read), mib_per_s,
                               seconds_left; resume where it changed */
    WIPE_REPORT_SETBACK,    /* message: a method failed or lied, and the next one is at it */
    WIPE_REPORT_SILENT,     /* message: the helper has said nothing for so long, or does not end; it
                               may be hung in the kernel. Again after each further period */
    WIPE_REPORT_CLEARED,    /* certificate: the helper's, not signed. The job is over */
    WIPE_REPORT_NO_ROOM, /* of no job: a marker finds no room on the journal's disk. Whoever makes
                            some says wiper_owe() again */
    WIPE_REPORT_FAILED,  /* error, is_final, is_spent. The job is over, its helper gone.
                            ERROR_UNKNOWN: it was not the disk's doing (libvirt cannot tell, no
                            helper, the domain is not off, ended), and is no try */
};

struct wipe_report {
    enum wipe_report_kind kind;
    uint64_t job;
    uuid_t domain;
    size_t index;
    struct disk_plan plan;
    enum disk_state state;
    char *method, *message;
    uint64_t done, verified, mib_per_s, seconds_left;
    json_object *resume, *certificate;
    struct error *error;
    bool is_final; /* FAILED: trying again cannot help before somebody has looked: another identity,
                      a level that no method reaches, a device that may not be cleared */
    bool is_spent; /* FAILED: every method of the ladder failed, and is passed over where the same
                      resume is given again: the next try begins anew */
    struct wipe_report *next;
};
struct wipe_report *wipe_report_new(enum wipe_report_kind kind, const struct wipe_job *j);
void wipe_report_free(struct wipe_report *r);
DEFINE_CLEANUP(struct wipe_report *, wipe_report_free);

/* local_storage.*, copied. */
struct wiper_settings {
    const char *helper;                        /* spawn:PATH or unix:SOCKET */
    const char *const *devices, *const *files; /* globs */
    size_t n_devices, n_files;
    const char *methods, *level, *verify; /* as configured */
    uint64_t max_mib_per_s;
    const char *host_id;
    const char *marker_folder; /* what is owed a clear, for libvirt's hook (see markers.h); beside
                                  the journal */
    usec_t identify_timeout;   /* of one device */
    usec_t silence;            /* after which a helper's silence is reported */
    usec_t call_timeout;       /* of a call to the hypervisor; 0: 30 s */
    usec_t look_every;    /* so often all domains are looked at while a helper works; 0: 10 s */
    usec_t stop_patience; /* between telling a helper to stop and killing it; 0: 3 s */
    void (*report)(void *userdata, struct wipe_report *r); /* from a job's thread; takes r */
    void *userdata;
};

struct wiper;
int wiper_new(const struct wiper_settings *settings, struct hypervisor *h, struct wiper **ret,
              struct error **err);
void wiper_configure(struct wiper *w,
                     const struct wiper_settings *settings); /* for jobs that begin from now on */
/* Takes the job. Any thread; does not block. A job that cannot be started is reported as failed. */
void wiper_start(struct wiper *w, struct wipe_job *j);
/* A domain owes its disks a clear from now on: no domain may start on them, those included whose
 * turn has not come. To be called before their clears, once the debt is durable, and at the start
 * for every operation that goes on; again does no harm. Any thread; does not block. */
void wiper_owe(struct wiper *w, const uuid_t domain, const char *request_id,
               const char *instance_id, const struct disk_plan *disks);
/* It owes nothing any more, by the journal: its helpers are told to stop, and killed where they do
 * not; each still ends with a report. Then others may start on its disks. To be called at the end
 * of every operation that had disks to clear, however it ended, after its end is durable. */
void wiper_end(struct wiper *w, const uuid_t domain);
/* Helpers are told to stop; what is durable is in their last progress, and what is owed stays so.
 * Waits at most so long. False: something is still out, and the hypervisor has to outlive it.
 * Nobody is told of what comes after that. */
bool wiper_free(struct wiper *w, usec_t patience);

#endif
