/* hypervisor.h - what the executor needs of a hypervisor
 *
 * Calls block and may hang: they run on workers, any number at once, at most one for a domain. Each
 * returns 0, or a negative errno with *err. ERROR_UNKNOWN (-EAGAIN) means that the hypervisor could
 * not tell (away, timed out, an error of its own); it never means off. An abandoned call may return
 * at any later time.
 *
 * Identity: a domain goes by its UUID, one run of it by its incarnation. Every act is told the
 * incarnation that is meant, looks at it again first, and answers ERROR_NOT_RUNNING without doing
 * anything where another one, or none, is there, or it is being migrated. */
#ifndef STOPD_HYPERVISOR_H
#define STOPD_HYPERVISOR_H

#include "stopd/instance.h"

#include <stdatomic.h>
#include <sys/types.h>

/* One run of a domain's process. pid 0: none is known (off, a hypervisor without processes, or not
 * readable). */
struct incarnation {
    char boot_id[UUID_TEXT_SIZE]; /* /proc/sys/kernel/random/boot_id of the run */
    pid_t pid;
    uint64_t start_time; /* field 22 of /proc/PID/stat, in clock ticks since boot */
};
bool incarnation_equal(const struct incarnation *a, const struct incarnation *b);

enum domain_state {
    DOMAIN_UNKNOWN, /* could not be asked */
    DOMAIN_RUNNING, /* virDomainState RUNNING, BLOCKED */
    DOMAIN_PAUSED,
    DOMAIN_PMSUSPENDED,
    DOMAIN_CRASHED, /* the guest panicked and its process is kept */
    DOMAIN_ENDING,  /* SHUTDOWN: the guest is off, its process may still be flushing */
    DOMAIN_OFF,     /* SHUTOFF */
    DOMAIN_ABSENT,  /* no such domain */
    DOMAIN_STATE_MAX,
};
DECLARE_ENUM_WORDS(enum domain_state, domain_state);

/* Why a domain is off, as far as the hypervisor knows (virDomainShutoffReason, or the last
 * lifecycle event of one that is gone). */
enum end_cause {
    END_UNKNOWN,
    END_SHUTDOWN, /* the guest's own power-off, with or without the button */
    END_DESTROYED,
    END_CRASHED, /* its process ended without a shutdown, or the guest panicked */
    END_SAVED,
    END_MIGRATED,
    END_FAILED,
    END_DAEMON, /* the hypervisor's daemon ended it */
    END_CAUSE_MAX,
};
DECLARE_ENUM_WORDS(enum end_cause, end_cause);

/* virDomainLifecycleAction of a domain's on_poweroff and on_reboot, as far as they matter here. */
enum lifecycle_action {
    LIFECYCLE_UNKNOWN,
    LIFECYCLE_DESTROY,
    LIFECYCLE_RESTART,
    LIFECYCLE_PRESERVE,
    LIFECYCLE_MAX
};
DECLARE_ENUM_WORDS(enum lifecycle_action, lifecycle_action);
struct lifecycle {
    enum lifecycle_action on_poweroff, on_reboot;
};

/* Which way a domain migrates. What stands still meanwhile may be a guest that leaves as well as
 * one that has not come yet. */
enum migration_way { WAY_UNTOLD, WAY_OUT, WAY_IN };

/* What became of the process of the incarnation that was asked about. */
enum process_fate {
    PROCESS_NONE, /* none was asked about, or this hypervisor has no processes (test:///) */
    PROCESS_ALIVE,
    PROCESS_ENDED, /* proved: the pidfd has ended, or no process has that pid with that start time;
                      a zombie has, once its last thread has: where only the first has exited, as
                      state Z alone would say, the others may still write */
    PROCESS_UNKNOWN, /* it cannot be proved either way */
    PROCESS_FATE_MAX,
};
DECLARE_ENUM_WORDS(enum process_fate, process_fate);

/* One look at one domain. The hypervisor's word and the process's, kept apart: the core weighs
 * them. */
struct sighting {
    uuid_t domain;
    enum domain_state state;
    enum end_cause cause; /* where state is OFF or ABSENT */
    bool has_run_since; /* … another run than the remembered one has begun since, and was no failed
                           start; false also where that cannot be told */
    bool has_managed_save; /* an OFF domain with a saved image: saved, not stopped */
    bool save_is_untold;   /* what disks that image names could not be read; else the instance has
                              them too */
    bool in_migration;
    enum migration_way way;         /* where it is in migration */
    struct incarnation incarnation; /* of the process that is there now */
    enum process_fate remembered;   /* of the incarnation that look() was given */
    char *process_detail; /* where it is alive: "pid 4711, state D, wchan io_schedule"; or why not
                             provable */
    struct lifecycle lifecycle; /* live; where running */
    struct instance *instance; /* its definition now; NULL where the domain is absent, is ending and
                                  was known before, or where it could not be read */
};
void sighting_clear(struct sighting *s);   /* frees what it holds; the struct is the caller's */
void sighting_cleanup(struct sighting *s); /* for _cleanup_(sighting) struct sighting s = {} */

struct sightings {
    struct sighting *items;
    size_t n;
};
void sightings_clear(struct sightings *s);

/* How far a button came, whatever the result. */
struct press {
    atomic_bool is_asked; /* the guest may have been asked; other threads read it meanwhile */
    bool is_over;         /* nothing of it will be carried out later: the answer was not lost */
};

enum button { BUTTON_ACPI, BUTTON_AGENT, BUTTON_MAX };
DECLARE_ENUM_WORDS(enum button, button);

/* Hints from the hypervisor's own thread. They are never the truth, only a reason to look; they may
 * be lost, late or doubled. A listener only posts. */
struct hypervisor_listener {
    void (*changed)(
        void *userdata,
        const uuid_t domain); /* something about this domain: state, definition, process */
    void (*lost)(void *userdata, const char *why); /* the connection broke */
    void *userdata;
};

struct hypervisor;
struct hypervisor_ops {
    const char *name;

    /* Opens the connections (one for acting, one for asking) and registers for events; closes
     * broken ones first. *has_processes: domains here are processes of this host, whose end can be
     * proved. */
    int (*connect)(struct hypervisor *h, bool *has_processes, struct error **err);
    /* Every domain there is. Those that cannot be read are in the list as DOMAIN_UNKNOWN, with what
     * is known of their definition all the same. */
    int (*list)(struct hypervisor *h, struct sightings *ret, struct error **err);
    /* Every domain there is, by as little asking as can be: of each only domain, state and
     * incarnation are told, and nothing is watched. For whoever may have missed a hint. */
    int (*glance)(struct hypervisor *h, struct sightings *ret, struct error **err);
    /* remembered: the incarnation whose process is asked about; NULL: none. An absent domain is a
     * sighting, not an error. Where a process is alive its end is watched from now on, and
     * announced by changed(). */
    int (*look)(struct hypervisor *h, const uuid_t domain, const struct incarnation *remembered,
                struct sighting *ret, struct error **err);

    /* Is the process of this run proved to be alive? For any thread: the kernel alone is asked,
     * which does not wait. NULL: domains are no processes here. */
    bool (*is_alive)(struct hypervisor *h, const struct incarnation *who);

    /* The path on this host of a storage pool's volume, there now or not; *ret NULL: it has none
     * (it is a network's). Whatever is an error, the path is not known. NULL: there are no pools.
     */
    int (*find_volume)(struct hypervisor *h, const char *pool, const char *volume, char **ret,
                       struct error **err);

    /* ERROR_LOCKED_FOR_SECURITY where an operation lock for security stands in the domain's
     * metadata now, live or inactive. For whoever is about to act and has not looked just before;
     * waits for nothing that a stuck monitor holds. NULL: there are no locks here. */
    int (*check_lock)(struct hypervisor *h, const uuid_t domain, struct error **err);

    /* Presses the button once, with explicit flags. seen: the actions as they were before the stop,
     * which the caller has made durable; those of them that are not destroy are set to it first, so
     * that a guest that reboots on the button ends off; a hypervisor that cannot is no error. NULL:
     * they are left alone. ret is all false before. */
    int (*press_button)(struct hypervisor *h, const uuid_t domain, const struct incarnation *meant,
                        enum button button, const struct lifecycle *seen, struct press *ret,
                        struct error **err);
    /* Puts on_poweroff and on_reboot back. */
    int (*restore)(struct hypervisor *h, const uuid_t domain, const struct incarnation *meant,
                   const struct lifecycle *former, struct error **err);
    /* Wakes a domain that is pmsuspended. */
    int (*wake)(struct hypervisor *h, const uuid_t domain, const struct incarnation *meant,
                struct error **err);
    /* Cuts the power. 0 says that the hypervisor reports success, which proves nothing (look).
     * only_crashed: of a guest that has crashed and has not been reset since, which is looked at
     * again right before; else ERROR_NOT_RUNNING, and nothing is done. */
    int (*cut_power)(struct hypervisor *h, const uuid_t domain, const struct incarnation *meant,
                     bool only_crashed, struct error **err);

    /* Ends the driver's threads and frees it. No call may be out, save abandoned ones: then it
     * leaks instead of waiting for them. */
    void (*free)(struct hypervisor *h);
};

/* A driver's object begins with this. */
struct hypervisor {
    const struct hypervisor_ops *ops;
    struct hypervisor_listener listener; /* set before the first connect, not changed after */
};

#endif
