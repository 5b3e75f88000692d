/* operation.h - one stop on its way: everything that has to outlive a crash, as a value */
#ifndef STOPD_CORE_OPERATION_H
#define STOPD_CORE_OPERATION_H

#include "core/timeline.h"
#include "base/json-writer.h"
#include "core/command.h"
#include "core/disks.h"
#include "stopd/hypervisor.h"

#include <json-c/json.h>

/* The cloud's words for an instance. */
enum instance_state {
    STATE_PENDING,
    STATE_RUNNING,
    STATE_STARTING,
    STATE_STOPPING,
    STATE_STOPPED,
    STATE_MAX
};
DECLARE_ENUM_WORDS(enum instance_state, instance_state);

/* Where an operation is. The outside sees it as a phase: relenting, in which the guest's lifecycle
 * actions are put back after a stop that failed or was cancelled, is the end of shutting-down. */
enum stage {
    STAGE_QUEUED,        /* accepted; waits for its turn (stop.parallel) */
    STAGE_SHUTTING_DOWN, /* the button is pressed until the guest is off or the grace is over */
    STAGE_RELENTING,
    STAGE_FORCING,     /* the power is being cut */
    STAGE_BLOCKED,     /* the hypervisor says off, but that is not proved */
    STAGE_CLEARING,    /* off, proved; its local disks are being cleared */
    STAGE_QUARANTINED, /* a disk could not be cleared: waits for an operator's retry */
    STAGE_DONE,
    STAGE_MAX,
};
DECLARE_ENUM_WORDS(enum stage, stage);

enum outcome { OUTCOME_NONE, OUTCOME_STOPPED, OUTCOME_FAILED, OUTCOME_CANCELLED, OUTCOME_MAX };
DECLARE_ENUM_WORDS(enum outcome, outcome); /* "" Stopped Failed Cancelled */

enum operation_action { ACTION_STOP, ACTION_CLEAR, ACTION_MAX };
DECLARE_ENUM_WORDS(enum operation_action, operation_action); /* StopInstance ClearLocalDisks */

/* What a stop's reboot interlock leaves to be put right of the run that it was for. */
struct interlock {
    bool may_be_set;         /* by a button that was taken, or may have been */
    unsigned buttons_out;    /* that would set it, and may be carried out yet */
    struct lifecycle former; /* on_poweroff and on_reboot as they were before it */
};
bool interlock_is_owed(const struct interlock *i);

struct operation {
    /* Fixed at acceptance */
    char request_id[UUID_TEXT_SIZE];
    enum operation_action action;
    uuid_t domain;
    char *instance_id;
    char *domain_name;
    enum stopped_mode stopped_mode;
    usec_t grace;
    usec_t resend;
    enum stop_method method;
    enum timeout_action on_timeout;
    bool lock_overridden; /* by its command, or by one that made it a power cut */
    char *principal;
    char *traceparent;
    usec_t accepted_at; /* realtime, like the two below; 0: not yet */

    /* Where it is */
    enum stage stage;
    enum outcome outcome;
    enum error_code error; /* ERROR_NONE unless it failed, or is about to (relenting) */
    char *error_message;
    bool force_stop; /* commanded, or gone over to */
    char *forced_by; /* the RequestId of the command that made a soft stop a power cut, or NULL */
    usec_t off_at, finished_at;
    char *ended; /* how its guest came to an end, once that is known: "guest crashed"; or NULL */
    enum end_cause end; /* as the hypervisor told it of a run whose process was still there; it may
                           have forgotten by the time that one has ended */
    struct timeline timeline;
    char *detail; /* what it waits for, or NULL */

    /* What acting on the guest needs */
    struct incarnation incarnation; /* the run that is being stopped; pid 0: not seen yet */
    bool has_processes; /* the hypervisor's domains are processes: off has to be proved by them */
    struct lifecycle former; /* on_poweroff and on_reboot as they were before the interlock */
    bool interlock_wanted; /* former is durable, the interlock may be set: put it back on failure */
    unsigned buttons_out;  /* that would set it, and have not been seen to come back */
    bool agent_spent;      /* method agent,acpi: the agent has had its turn */
    unsigned presses;      /* that the hypervisor took */
    unsigned agent_tries;
    unsigned cuts;
    unsigned restore_tries;
    usec_t grace_left; /* as of grace_since; before the first button how long it may be refused */

    /* The local disks of an I1-class instance, as they were identified at acceptance; else empty */
    struct disk_plan disks;
    char *disks_at_acceptance; /* those of its definition that may be local: disks_snapshot() */
    bool disks_changed; /* a look since then has shown another one: nothing is cleared on a guess */

    /* Monotonic, of this process's life only: not journalled. USEC_NEVER: not set */
    usec_t grace_since; /* the grace is running since; NEVER: it stands still */
    usec_t next_press;
    usec_t next_look;
    usec_t look_delay;  /* the last back-off */
    usec_t press_delay; /* … of a call that failed: of the stage's own kind */
    bool is_unseen;     /* and detail says so */
    bool in_migration;  /* at the last look */
    usec_t next_cut;
    usec_t next_restore;
    bool restore_is_raced; /* a button was out as the restoring call began, and may overtake it */
    usec_t next_clear;
    bool is_held;    /* no disk is given to a helper before the domain is seen off again */
    bool is_blind;   /* the act that was last asked for follows no look */
    unsigned acting; /* the enum effect whose result is awaited; 0: none */
    uint64_t place;  /* in the queue; rises in the order of acceptance */
    uint64_t number; /* of its row in the journal; 0: it has none yet */
};

struct operation *operation_new(void);
void operation_free(struct operation *op);
DEFINE_CLEANUP(struct operation *, operation_free);
struct operation *operation_copy(const struct operation *op);

/* The phase of the contract's section 5. */
const char *operation_phase(const struct operation *op);
bool operation_is_finished(const struct operation *op);
/* The state of its instance as this operation alone says: Stopping, or how it ended. */
enum instance_state operation_state(const struct operation *op);
/* What it leaves to be put right of a guest that goes on running. */
struct interlock operation_interlock(const struct operation *op);
/* When the operation next has something to do by the clock; USEC_NEVER: not until something
 * happens. */
usec_t operation_next_due(const struct operation *op);
/* Grace left now. */
usec_t operation_grace_left(const struct operation *op, usec_t monotonic);
/* Adds a line to the timeline; a line with the same what as the last takes its place where merge is
 * set, so that a button pressed for a day stays one line. Never fails visibly: a line lost to lack
 * of memory is only a line. */
void operation_note(struct operation *op, usec_t realtime, bool merge, const char *what,
                    const char *format, ...) _printf_(5, 6);

/* The operation of the contract's section 5. The caller owns the object; NULL when out of memory.
 */
json_object *operation_to_json(const struct operation *op);
/* The same as text, which is the writer's; for the journal with a member "journal" that holds the
 * rest. NULL when out of memory. */
const char *operation_write(const struct operation *op, bool for_journal, struct json_writer *w);
/* Reads what operation_write() made for the journal. A document that is not one is an error, never
 * a guess. */
int operation_from_journal(json_object *document, struct operation **ret, struct error **err);
/* Takes the member "journal" out of a stored document, so that what is left is
 * operation_to_json()'s. */
void operation_document_publish(json_object *document);

#endif
