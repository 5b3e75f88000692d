/* stop.h - the stop itself: one table of stages and inputs, and the checks before it */
#ifndef STOPD_CORE_STOP_H
#define STOPD_CORE_STOP_H

#include "core/operation.h"

/* Of a domain with an operation and without: how soon to look again at something that is on its
 * way, at first and at most. */
#define LOOK_DELAY_LEAST (50 * USEC_PER_MSEC)
#define LOOK_DELAY_MOST (10 * USEC_PER_SEC)
/* Nothing tells of a migration's failure. */
#define LOOK_MIGRATING USEC_PER_SEC

/* What can happen to an operation. SEEN_*: what a look at its domain amounts to, see
 * operation_weigh(). */
enum input_kind {
    IN_ADMITTED, /* its turn has come */
    IN_ATTACHED, /* the hypervisor is at hand (again), or the program has just started: look at the
                    world */
    IN_DETACHED, /* the hypervisor is away */
    IN_SEEN_RUNNING,
    IN_SEEN_PAUSED,
    IN_SEEN_MIGRATING, /* on its way to another host, or from one, whatever else it is */
    IN_SEEN_SUSPENDED, /* pmsuspended */
    IN_SEEN_CRASHED,   /* the guest panicked, its process is kept */
    IN_SEEN_ENDING,    /* on its way off: not off yet */
    IN_SEEN_LINGERING, /* the hypervisor says off, the process lives or cannot be judged */
    IN_SEEN_OFF,       /* off, proved */
    IN_SEEN_SAVED,
    IN_SEEN_MIGRATED,
    IN_SEEN_ANOTHER, /* another run of the domain is there, or has come and gone */
    IN_SEEN_UNKNOWN, /* could not be seen */
    IN_PRESSED,      /* the hypervisor took the button */
    IN_PRESS_FAILED,
    IN_BUTTON_BACK, /* one whose result is not waited for any more */
    IN_CUT,         /* the hypervisor says it cut the power */
    IN_CUT_FAILED,
    IN_WOKEN, /* or not: look */
    IN_RESTORED,
    IN_RESTORE_FAILED,
    IN_PRESS_DUE, /* by the clock: */
    IN_LOOK_DUE,
    IN_CUT_DUE,
    IN_RESTORE_DUE,
    IN_CLEAR_DUE,
    IN_GRACE_OVER,
    IN_FORCE, /* a command that makes a soft stop a power cut */
    IN_CANCEL,
    IN_RETRY,         /* an operator's, of a clear that gave up */
    IN_DISK_PROGRESS, /* from the helper that has a disk: */
    IN_DISK_SETBACK,  /* a method failed or lied, the next is at it */
    IN_DISK_SILENT,   /* it says nothing any more */
    IN_DISK_CLEARED,  /* cleared, verified, certified */
    IN_DISK_FAILED,
    IN_MAX,
};
DECLARE_ENUM_WORDS(enum input_kind, input_kind);

/* What a helper says of one disk. */
struct disk_news {
    size_t index; /* in the operation's plan */
    enum disk_state state;
    const char *method;
    uint64_t done, verified, mib_per_s, seconds_left;
    json_object *resume;      /* where it changed */
    json_object *certificate; /* CLEARED: signed; only handed on */
    const char *message;      /* SETBACK, SILENT, FAILED */
    bool is_final;            /* FAILED: no try can help before somebody has looked */
    bool is_spent;   /* FAILED: no method is left to go on with; the next try begins anew */
    bool is_nobodys; /* FAILED: it was not the disk's doing (libvirt away, no helper): not counted
                        as a try */
    unsigned spread; /* FAILED: per mille, drawn by lot: what failed together comes back apart */
};

struct input {
    enum input_kind kind;
    const struct sighting *sighting; /* SEEN_* */
    bool has_stood; /* SEEN_*: its run was last seen up and not crashed, by whatever told of it
                       before this */
    const struct instance *definition; /* ADMITTED, SEEN_*: as last known; or NULL */
    const struct error *error;         /* *_FAILED, SEEN_UNKNOWN */
    bool is_back;  /* PRESSED, PRESS_FAILED, BUTTON_BACK: a button that was to set the
                      interlock is on its way no more */
    bool is_stuck; /* *_FAILED: it has not come back, and may have its effect yet */
    bool is_asked; /* PRESS_FAILED: the guest may have been asked all the same */
    const struct disk_news *news; /* DISK_* */
    const char *request_id;       /* FORCE, CANCEL: who and by what */
    const char *principal;
    const char *overriding; /* FORCE: command_overriding() */
    bool overrides_lock;    /* FORCE */
};

/* What is to be done once the operation is durable. A set; the engine carries out one for a domain
 * at a time, the highest first, and may drop any: each is asked for again when it still matters. */
enum effect {
    EFFECT_LOOK = 1 << 0,
    EFFECT_WAKE = 1 << 1,
    EFFECT_PRESS = 1 << 2,
    EFFECT_RESTORE = 1 << 3,
    EFFECT_CUT = 1 << 4,
    EFFECT_CLEAR = 1 << 5,     /* of every disk that waits and is due */
    EFFECT_END_CLEAR = 1 << 6, /* helpers end, and nothing is owed any more */
};

/* A state transition to be reported upstream, and whether the operation's failure is reported
 * beside it. */
#define NO_RULE ((unsigned)-1)
struct reaction {
    unsigned effects; /* of enum effect */
    bool has_transition;
    enum instance_state from, to;
    char reason[160];
    bool failed;
    bool disk_cleared, disk_failed; /* of input.news: to be reported */
    bool every_disk_failed;         /* before a helper had any */
    bool unchanged;                 /* nothing that has to outlive a crash has changed */
    unsigned rule;                  /* the row of stop_rules() that took the input; NO_RULE: none */
};

/* From (operation, input, time) to (operation, effects). Total: an input that means nothing in a
 * stage changes nothing. Calls nothing but the C library. */
void step(struct operation *op, const struct input *in, struct moment now, struct reaction *ret);

/* Consent to a power cut: commanded, or the action of a grace that is over. */
bool operation_has_consent(const struct operation *op);

/* Before this act, or while it is awaited: nothing else has been done to the guest that makes half
 * a stop of it, and nobody overrode locks, so that a lock that is set by now ends the stop. act: an
 * enum effect, or 0. */
bool operation_heeds_lock(const struct operation *op, unsigned act);

/* The input that is due by the clock, if operation_next_due() has come; IN_MAX: none. step() with
 * it moves the deadline on. */
enum input_kind operation_due_input(const struct operation *op, usec_t monotonic);

/* What the hypervisor's word and the process's fate amount to, for a stop of this incarnation (pid
 * 0: not known). Gives one of IN_SEEN_*. */
enum input_kind sighting_weigh(const struct sighting *s, const struct incarnation *meant,
                               bool has_processes);
/* The same for this operation, which may know more of how its run has ended than a hypervisor that
 * has forgotten. */
enum input_kind operation_weigh(const struct operation *op, const struct sighting *s);
/* How the run has ended, as this sighting tells it. */
enum end_cause sighting_end(const struct sighting *s);
/* Saved or migrated: it goes on with its disks. */
bool end_goes_on(enum end_cause end);

/* The button that the next press is. */
enum button operation_button(const struct operation *op);

/* 0, or why this operation cannot be cancelled any more. */
int operation_may_cancel(const struct operation *op, struct error **err);

/* 0, or why there is nothing to retry. */
int operation_may_retry(const struct operation *op, struct error **err);

/* For the test that the table is whole, and for the README's diagram. */
struct rule_view {
    enum stage stage;
    enum input_kind input;
    const char *guard, *action;
    enum stage next; /* STAGE_MAX: the action decides */
};
size_t stop_rules(const struct rule_view **ret);
/* The reason why an input is ignored in a stage; NULL where it is not. */
const char *stop_ignores(enum stage stage, enum input_kind input);

/* Configuration that decides about commands. */
struct policy {
    struct stop_policy stop; /* grace, method, on_timeout all set */
    usec_t resend;
    enum stopped_mode stopped_mode;    /* set */
    const char *const *local_families; /* local_storage.families */
    size_t n_local_families;
};

/* The answer to a stop of what is on its way to another host, or from one. */
#define REFUSED_IN_MIGRATION                                                                      \
    "The instance is being migrated; stop it when that has ended, on the host that it then runs " \
    "on."

/* What a command is checked against. */
struct check_context {
    const struct policy *policy;
    const struct instance *instance;
    enum domain_state seen; /* as last seen */
    bool certain;           /* the hypervisor is at hand and could tell */
    bool is_on; /* where that is not so: the process of this run proves it all the same */
    bool in_migration;
    bool has_processes;                    /* the hypervisor's domains are processes */
    const struct incarnation *incarnation; /* of the run that was last seen */
    bool is_saved;                         /* off, with a saved image */
    bool can_clear;                        /* there is a way to the helper that clears */
    const struct disk_plan *plan;          /* its local disks, identified just now; NULL: not yet */
    const struct error *plan_error;        /* or why they could not be */
    const struct disk_plan *at_start;      /* as they were when this run was first seen; empty, or
                                              NULL: not known */
    const struct interlock *interlock;     /* that earlier stops of this run have left; or NULL */
    const struct operation *running;       /* an unfinished operation of the instance, or NULL */
};
/* The checks of contract section 3 from InstanceLockedForSecurity on, in its order; the first that
 * fails answers. 0: all passed, a dry run included (that answer is the caller's to give).
 * *escalates: the command makes context->running a power cut. */
int command_check(const struct command *c, const struct check_context *context, bool *escalates,
                  struct error **err);

/* The operation that an accepted command begins: command, then metadata, then policy decide. NULL
 * when out of memory. */
/* Another answer of command_check(): the local disks have to be identified first, see
 * check_context.plan. */
#define CHECK_NEEDS_DISKS 1

/* May the kept disks of an instance that is off be cleared (contract 4.7)? Answers like
 * command_check(). */
int clear_check(const struct check_context *context, struct error **err);
/* The operation that such a clear begins. NULL when out of memory. */
struct operation *operation_begin_clear(const struct check_context *context, const char *request_id,
                                        const struct principal *principal, struct moment now);

struct operation *operation_begin(const struct command *c, const struct check_context *context,
                                  struct moment now);

#endif
