/* simulated.h - a hypervisor that is a small world of its own: guests, their processes, other hands
 *
 * For the simulator and for tests. One thread, no clock: time is what the caller says it is, and a
 * call takes none. What happens in the world is told to an observer at once and truly; what the
 * hypervisor says of it (the calls, the listener) can be late, wrong about processes, or nothing at
 * all, as the real one's can. Nothing here is random: chance is the caller's. */
#ifndef STOPD_HYPERVISOR_SIMULATED_H
#define STOPD_HYPERVISOR_SIMULATED_H

#include "stopd/hypervisor.h"

/* What a guest does some time after it has felt the power button. */
enum guest_answer {
    ANSWER_POWER_OFF,
    ANSWER_NONE,
    ANSWER_REBOOT,
    ANSWER_PANIC,
    ANSWER_SUSPEND, /* to memory: pmsuspended */
    ANSWER_FREEZE,  /* a write error on the way down pauses it */
    ANSWER_MAX,
};
DECLARE_ENUM_WORDS(enum guest_answer, guest_answer);

enum guest_agent { GUEST_AGENT_ABSENT, GUEST_AGENT_OBEYS, GUEST_AGENT_SILENT, GUEST_AGENT_REFUSES };

/* How a guest and its process behave. Changed at any time, by whoever tells the story. */
struct guest_manners {
    enum guest_answer answer;
    usec_t answer_delay;
    unsigned deaf; /* so many buttons go by unnoticed first */
    enum guest_agent agent;
    usec_t flush;  /* between the guest's end and the hypervisor's word that it is off */
    usec_t linger; /* the process outlives that word by this; USEC_NEVER: for good; 0: not at all */
    bool kept_when_crashed;        /* on_crash preserve */
    usec_t reset_after;            /* … and then another hand resets it so soon; 0: nobody does */
    enum domain_state after_reset; /* and leaves it PAUSED or PMSUSPENDED; anything else: running */
    unsigned destroys_failed;      /* so many power cuts fail first */
    unsigned destroys_lost;        /* and so many say that they succeeded and do nothing */
    bool cannot_interlock;
    bool refuses_restore;
    bool refuses_button, refuses_wake; /* the hypervisor does, with an error of its own */
    bool is_unreadable;                /* the hypervisor cannot tell its state */
    bool hides_process;                /* its pid cannot be read */
    bool fate_is_unprovable;           /* whether a process of it has ended cannot be told */
    bool forgets_cause;                /* off, and nobody knows why */
};

struct simulated_process {
    struct incarnation who;
    unsigned run;
    usec_t ends_at;
    bool is_watched; /* somebody has looked while it was alive */
};

struct simulated_domain {
    struct instance *definition;
    unsigned version; /* of the definition; rises with each change */
    bool is_persistent;
    struct guest_manners manners;

    enum domain_state state;
    enum end_cause cause;
    bool has_managed_save, is_being_saved, in_migration;
    enum migration_way way;             /* of the migration */
    bool is_locked_live;                /* its lock stands in the live definition alone */
    bool is_misjudged;                  /* the hypervisor says off while the run goes on */
    struct lifecycle lifecycle;         /* of the run that is there */
    struct lifecycle defined_lifecycle; /* what a run begins with */
    struct incarnation incarnation;     /* of the run that is there, or was last */
    struct incarnation last_run;        /* likewise, of the last whose guest has been here */
    unsigned run;                       /* counted from 1 */
    unsigned buttons;                   /* that this run's guest has felt */

    struct simulated_process *processes; /* alive */
    size_t n_processes;
    usec_t answer_at, off_at, reset_at; /* NEVER: not on its way */
    struct simulated_domain *next;
};

/* What truly happens to a domain. */
enum happening {
    HAPPENED_BEGAN,    /* a run; d->run is its number */
    HAPPENED_PRESSED,  /* a button was taken */
    HAPPENED_LOCKED,   /* the reboot interlock was set */
    HAPPENED_RESTORED, /* the lifecycle actions were put back */
    HAPPENED_WOKEN,
    HAPPENED_CUT,     /* the power, by this hypervisor's caller; told before it takes effect */
    HAPPENED_CHANGED, /* paused, resumed, suspended, crashed, in migration or not: see d */
    HAPPENED_REBOOTED,
    HAPPENED_ENDING,    /* the guest is off */
    HAPPENED_OFF,       /* the hypervisor says so */
    HAPPENED_GONE,      /* the process of `run` has ended */
    HAPPENED_FORGOTTEN, /* the hypervisor does not know any more why it is off */
    HAPPENED_DEFINED,   /* the definition is another, or none */
    HAPPENED_MAX,
};
DECLARE_ENUM_WORDS(enum happening, happening);

struct simulated_observer {
    void (*happened)(void *userdata, struct simulated_domain *d, enum happening what, unsigned run);
    void *userdata;
};

struct simulated {
    struct hypervisor hypervisor; /* its listener is told of every change at once */
    struct simulated_observer observer;
    usec_t now;
    bool has_processes;
    bool is_available; /* a connection can be opened */
    bool is_connected;
    uint64_t session; /* rises with each connection */
    char boot_id[UUID_TEXT_SIZE];
    usec_t booted_at;
    pid_t last_pid, pids; /* how many there are before they are used again */
    enum call_fault {
        FAULT_NONE,
        FAULT_BEFORE,  /* nothing is done */
        FAULT_BETWEEN, /* of a button's two halves only the interlock */
        FAULT_AFTER,   /* all is done, and the answer is lost */
    } next_fault;      /* of the next call alone */
    struct simulated_domain *domains;
};

/* NULL when out of memory. The hypervisor's own free() frees it. */
struct simulated *simulated_new(bool has_processes);
/* A domain that is off. Takes definition. NULL when out of memory. */
struct simulated_domain *simulated_define(struct simulated *s, struct instance *definition);
struct simulated_domain *simulated_find(const struct simulated *s, const uuid_t uuid);

/* Carries out what is due until then, in its order. */
void simulated_advance(struct simulated *s, usec_t now);
usec_t simulated_next(const struct simulated *s); /* USEC_NEVER: nothing is on its way */

/* Is it there, in whatever state but off? */
bool simulated_is_present(const struct simulated_domain *d);
/* Is the process of this run alive? Without processes: is the run going on? */
bool simulated_is_alive(const struct simulated *s, const struct simulated_domain *d, unsigned run);

/* --- Other hands, and the guest's own. False: it cannot be done in this state. -------------- */
bool simulated_start(struct simulated *s, struct simulated_domain *d);
bool simulated_power_off(struct simulated *s, struct simulated_domain *d);
bool simulated_reboot(struct simulated *s, struct simulated_domain *d);
bool simulated_panic(struct simulated *s, struct simulated_domain *d);
bool simulated_destroy(struct simulated *s, struct simulated_domain *d);
/* Its process ends without any shutdown; cause is what the hypervisor makes of it. */
bool simulated_kill(struct simulated *s, struct simulated_domain *d, enum end_cause cause);
bool simulated_save(struct simulated *s, struct simulated_domain *d, bool managed);
bool simulated_migrate(struct simulated *s, struct simulated_domain *d); /* begins */
/* A run of it begins, which stands still until the guest is here. */
bool simulated_arrive(struct simulated *s, struct simulated_domain *d);
/* Either way. One that does not arrive here leaves nothing behind. */
bool simulated_migrated(struct simulated *s, struct simulated_domain *d, bool arrived);
bool simulated_pause(struct simulated *s, struct simulated_domain *d);
bool simulated_resume(struct simulated *s, struct simulated_domain *d);
bool simulated_suspend(struct simulated *s, struct simulated_domain *d);
bool simulated_undefine(struct simulated *s, struct simulated_domain *d);
/* Defines it (again); the definition is to be changed before. */
bool simulated_redefine(struct simulated *s, struct simulated_domain *d);

/* Its last operation lock is taken from the definition; that of a live one goes with the run. */
bool simulated_unlock(struct simulated *s, struct simulated_domain *d);

/* The hypervisor says that it is off whatever it is, or comes to its senses. */
void simulated_misjudge(struct simulated *s, struct simulated_domain *d, bool is_misjudged);

/* --- The host ------------------------------------------------------------------------------- */
void simulated_lose_connection(struct simulated *s, const char *why);
/* The hypervisor's daemon comes up anew: nobody knows any more why what is off is off. */
void simulated_restart_daemon(struct simulated *s);
/* Every process is gone, and so is what is not on the disk. */
void simulated_reboot_host(struct simulated *s, const char *boot_id);

#endif
