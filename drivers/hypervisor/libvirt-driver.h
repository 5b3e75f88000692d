/* libvirt-driver.h - what the files of the libvirt driver share
 *
 * Locks: `lock` guards connections, `ends.lock` and `listener_lock` what their names say. None is
 * held while libvirt is called, and none is taken while another is held. */
#ifndef STOPD_LIBVIRT_DRIVER_H
#define STOPD_LIBVIRT_DRIVER_H

#include "stopd/hypervisor.h"

#include <pthread.h>
#include <libvirt/libvirt.h>

enum connection_state {
    CONNECTION_OPENING, /* its opener's */
    CONNECTION_POOLED,  /* given to calls */
    CONNECTION_RETIRED, /* closed when the call on it has returned */
};

/* What is known of the hypervisor behind a connection. */
struct surroundings {
    bool in_process; /* embed or test: no daemon, no RPC, no keepalive */
    bool has_processes;
    bool takes_flags; /* of a shutdown; test:/// takes none */
    char *pid_directory;
    char *log_directory; /* NULL: not known */
    char *why_no_pid;    /* processes cannot be seen from here, and why; NULL: they can */
};

#define EVENT_KINDS 7

struct connection {
    struct connection *next; /* in libvirt->connections; guarded by its lock, as the next three */
    enum connection_state state;
    bool broken;    /* libvirt said so: it does not heal */
    unsigned calls; /* in flight on it: one at most, save in-process */

    /* Its opener's until it is pooled, not changed after */
    struct libvirt *driver;
    virConnectPtr conn;
    struct surroundings around;
    int events[EVENT_KINDS]; /* callback ids */
    size_t n_events;
};

/* How the last run of a domain ended, as its events told. */
struct end {
    uuid_t domain;
    enum end_cause cause;
    uint64_t stamp; /* 0: a free place */
};
#define ENDS_MAX 1024

struct watch;
struct later;

struct libvirt {
    struct hypervisor base;
    char *uri;
    unsigned most_calls;

    pthread_mutex_t lock;
    struct connection *connections; /* all, in every state */
    uint64_t generation;            /* of the last connect() that began */
    unsigned n_inside;              /* calls that have not left the driver, connect() included */
    bool is_lost;                   /* the listener has been told since the last connect() */
    bool is_closing;

    struct {
        pthread_mutex_t lock;
        pthread_cond_t added; /* on CLOCK_MONOTONIC */
        struct end items[ENDS_MAX];
        uint64_t stamp;
    } ends;

    struct watch *watches; /* guarded by libvirt-watch.c's own lock */
    size_t n_watches;
    struct later *later;  /* guarded by libvirt-later.c's own lock, as the next */
    bool later_is_closed; /* nothing is put off any more */

    pthread_mutex_t listener_lock;
    enum { LISTENER_AWAITED, LISTENER_HEARS, LISTENER_GONE } listener_state;
};

static inline struct libvirt *libvirt_of(struct hypervisor *h)
{
    return (struct libvirt *)h;
}

/* libvirt-connection.c */
int libvirt_connect(struct hypervisor *h, bool *has_processes, struct error **err);
/* A connection for one call. lease_end() ends the call; a NULL is accepted. */
int lease_begin(struct libvirt *l, struct connection **ret, struct error **err);
void lease_end(struct connection *c);
/* Are domains processes, by what is known over any connection, and can they be seen from here? */
bool processes_are_seen(struct libvirt *l);
DEFINE_CLEANUP(struct connection *, lease_end);
/* Retires every connection. False where calls are still out, which then outlive this. */
bool connections_close(struct libvirt *l);
bool connection_is_broken(struct connection *c);

/* libvirt-events.c */
int events_register(struct connection *c, struct error **err);
void events_deregister(struct connection *c);
/* The listener is told things from the first connect() until free(), after which it may be gone. */
void begin_listening(struct libvirt *l);
void end_listening(struct libvirt *l);
void tell_changed(struct libvirt *l, const uuid_t domain);
void tell_lost(struct libvirt *l, const char *why);
/* Has an event told that the last run of this domain has ended? */
bool end_is_known(struct libvirt *l, const uuid_t domain);
/* What is known of the last end. Where nothing is and is_due says that an event must be on its way,
 * it is waited for a moment. A sighting that began at `stamp` and saw the domain up forgets what
 * was older. */
enum end_cause end_recall(struct libvirt *l, const uuid_t domain, bool is_due);
uint64_t end_stamp(struct libvirt *l);
void end_forget(struct libvirt *l, const uuid_t domain, uint64_t stamp);

/* libvirt-watch.c */
/* Watches for the end of this process, whose pidfd is handed over (-1: there is none, and nothing
 * is watched). */
void watch_process(struct libvirt *l, const uuid_t domain, const struct incarnation *who,
                   int pidfd);
void watches_clear(struct libvirt *l);

/* libvirt-later.c */
/* Tells that this domain has changed if, in a second, tell_at_last() has not done so; at once where
 * that cannot be put off. */
void tell_later(struct libvirt *l, const uuid_t domain);
void tell_at_last(struct libvirt *l, const uuid_t domain);
/* Drops what is put off; from now on nothing is. */
void later_clear(struct libvirt *l);

/* libvirt-look.c */
int libvirt_list(struct hypervisor *h, struct sightings *ret, struct error **err);
int libvirt_look(struct hypervisor *h, const uuid_t domain, const struct incarnation *remembered,
                 struct sighting *ret, struct error **err);

bool libvirt_is_alive(struct hypervisor *h, const struct incarnation *who);

/* What virDomainState and its reason amount to. */
enum domain_state libvirt_domain_state(int state, int reason);
/* Is it on its way to another host, or from one? False where libvirt cannot tell, or not without
 * waiting. */
bool libvirt_in_migration(const struct connection *c, virDomainPtr dom);

/* libvirt-glance.c */
int libvirt_glance(struct hypervisor *h, struct sightings *ret, struct error **err);
/* libvirt-volume.c */
int libvirt_find_volume(struct hypervisor *h, const char *pool, const char *volume, char **ret,
                        struct error **err);

/* libvirt-act.c */
int libvirt_check_lock(struct hypervisor *h, const uuid_t domain, struct error **err);
int libvirt_press_button(struct hypervisor *h, const uuid_t domain, const struct incarnation *meant,
                         enum button button, const struct lifecycle *seen, struct press *ret,
                         struct error **err);
int libvirt_restore(struct hypervisor *h, const uuid_t domain, const struct incarnation *meant,
                    const struct lifecycle *former, struct error **err);
int libvirt_wake(struct hypervisor *h, const uuid_t domain, const struct incarnation *meant,
                 struct error **err);
int libvirt_cut_power(struct hypervisor *h, const uuid_t domain, const struct incarnation *meant,
                      bool only_crashed, struct error **err);

static inline void domain_free(virDomainPtr dom)
{
    if (dom)
        virDomainFree(dom);
}
DEFINE_CLEANUP(virDomainPtr, domain_free);

#endif
