/* witness.h - who sees everything and knows what may not happen: the contract's rules, held against
 * the world
 *
 * The witness knows what was asked and answered, what truly happened in the world, and what the
 * journal holds after each commit. It takes nothing from the engine's own words. */
#ifndef STOPD_SIMULATION_WITNESS_H
#define STOPD_SIMULATION_WITNESS_H

#include "drivers/hypervisor/simulated.h"
#include "engine/request.h"

struct life;
struct flight;
struct call;
struct wipe_job;
struct disk_plan;

#define WITNESS_DOMAINS 4
#define WITNESS_RUNS 64
#define WITNESS_VERSIONS 64
#define WITNESS_ID 48
#define WITNESS_DISKS 3
#define WITNESS_PLANS 8

/* Local disks as a helper has told what they are. */
struct seen_plan {
    usec_t told_at;
    unsigned n;
    struct seen_disk {
        char target[16], device[32], serial[32];
        uint64_t bytes;
    } disks[WITNESS_DISKS];
};

/* What has failed of the clear of one disk. */
struct seen_tries {
    /* Failures that count, reported since it was accepted or an operator has said retry; where it
     * is not known whether that was heard, at least and at most. */
    unsigned least, most;
    unsigned told, lost;        /* by helpers, in this turn; in a turn whose commit is in doubt */
    bool is_final, was_nobodys; /* the one of this turn */
    bool is_quarantined;
    usec_t quarantined_at;
    usec_t failed_at, not_before; /* no helper has it again before; 0: whenever */
};

/* Something that was asked, and what became of it. */
struct ask {
    struct life *life;
    enum request_kind kind;
    char request_id[UUID_TEXT_SIZE];
    usec_t asked_at, deadline;       /* of WAIT_* */
    struct simulated_domain *domain; /* of STOP, CANCEL, WAIT_OPERATION */
    struct ask *about;               /* of CANCEL, WAIT_OPERATION: the STOP that is meant */
    uint64_t after;                  /* of WAIT_EVENTS, and of what is wanted of sinks */

    /* Of STOP */
    char named[64]; /* as the command calls it; the sink of a wish */
    unsigned run;   /* the last that the engine knew of when it was asked: the one that is meant */
    unsigned asked_version; /* and of the definition */
    unsigned token;         /* 0: none; each caller has numbers of its own */
    unsigned caller;
    bool is_by_root;
    char *fingerprint;
    bool force, is_dry, hibernates, confirms;
    bool overrides_lock, overrides_arrears;
    enum stopped_mode asks_mode;
    enum timeout_action asks_on_timeout;
    unsigned asks_grace;   /* seconds; 0: nothing said */
    bool force_on_timeout; /* what holds for it in the end, with the metadata and the policy */
    usec_t grace;

    /* The answer; none while !is_answered, for good after a crash */
    bool is_answered, is_forsaken;
    enum error_code code;
    char answer_id[UUID_TEXT_SIZE];

    /* What a STOP has become in the journal, as its events say */
    bool is_operation, is_ended, is_cancelled;
    enum stopped_mode came_of_mode;
    bool is_confirmed;      /* of CLEAR */
    unsigned known_version; /* of the definition that it was accepted with */
    bool is_void; /* as consent: refused, or the operation that it was for is over; a wish of a sink
                     that did not come about */
    bool is_pressed;
    bool is_felt;       /* and the world took it: the interlock with it, where there is one */
    bool is_escalated;  /* a later force has gone over it */
    bool is_past_locks; /* … that overrides them */
    bool is_held_back;  /* an act of it has found its guest locked, and was not done */
    bool is_cut;        /* a power cut has gone out for it */
    bool is_taken;      /* stopd knows of a button that was */
    bool may_be_taken;  /* … may count as one, or not: an agent says nothing, a turn broke off */
    bool is_just_taken; /* … by the turn that is to come */
    char told_as[WITNESS_ID];               /* the instance that its first event was about */
    unsigned place;                         /* by acceptance */
    bool has_begun;                         /* its turn has come */
    unsigned cleared;                       /* disks of it, one bit each, by the helpers' account */
    unsigned certificates;                  /* that were reported for it */
    bool has_plan;                          /* of STOP and CLEAR, of an instance that is cleared */
    struct seen_plan plan;                  /* which disks it was accepted with */
    struct seen_tries tries[WITNESS_DISKS]; /* of each of them */

    /* Of a STOP whose guest can be asked, see witness-buttons.c */
    enum stop_method method;
    usec_t resend;
    usec_t unpressed, press_within; /* for so long no button has gone out, and one has to */
    usec_t agent_out;               /* so long an agent is being asked */
    bool is_agent_asked;            /* and ACPI not yet */
    usec_t agent_waited;            /* since then, without anybody being asked */
    usec_t counted;   /* of the grace, from the first button on: only while stopd ran and the
                         hypervisor was at hand */
    struct ask *next; /* an older one */
};

/* A stop that is in the journal, and not over. */
static inline bool ask_is_under_way(const struct ask *a)
{
    return a->is_operation && !a->is_ended;
}

/* What a definition says that decides about commands. */
struct facts {
    bool is_locked, is_classic, is_prepaid, is_spot;
    bool has_local_disks; /* of whatever family */
    bool owes_clears;     /* of one that is cleared */
    bool is_in_arrears;
    enum tristate economical;
};

/* What the witness remembers of a domain. */
struct seen_domain {
    enum { CHAIN_NEW, CHAIN_RUNNING, CHAIN_STOPPING, CHAIN_STOPPED } chain;
    bool chain_is_open; /* the next event may begin anew: it went to another host, or was gone */
    unsigned known_run; /* the engine has been told of this one at the latest */
    unsigned shown_run; /* a look of this turn has shown this one while it was there; 0: none */
    unsigned met_run;   /* and so has one whose turn the journal did not lose */
    unsigned past_run;  /* a look of this turn has told of this one that it came and went behind the
                           run that was asked about; 0: none */
    unsigned later_run; /* and so has one whose turn the journal did not lose */
    enum {
        LOOKED_NOT,
        LOOKED_OFF,
        LOOKED_ELSE
    } looked;               /* by the latest look at it, since stopd is
                               up and the hypervisor at hand */
    unsigned ended_run;     /* a look of this turn has told of this one that it goes on; 0: none */
    unsigned settled_run;   /* and had been before this turn */
    unsigned known_version; /* and of this definition */
    unsigned settled_version;
    char known_id[WITNESS_ID];
    unsigned accounted;     /* up to this run each end has been reported, or is past reporting */
    unsigned reported_run;  /* the run of the latest Running that was reported */
    usec_t looked_at;       /* when the latest look came in */
    usec_t locked_at;       /* since when its definition has been locked; 0: it is not */
    bool is_untold;         /* by the last look: the hypervisor could not tell what it is */
    bool was_untold;        /* … before this turn */
    bool is_arriving;       /* by what the engine has seen: its guest is not here yet */
    bool is_shown_locked;   /* by the last look that showed a run */
    bool is_found;          /* was there when the first picture was taken */
    bool is_kept;           /* and that picture is in the journal */
    unsigned found_run;     /* which run it was in then */
    bool is_found_dark;     /* the hypervisor could not tell of it what it was */
    bool is_unread;         /* could not be read when the first picture was taken */
    unsigned tainted_run;   /* a call that was written off has meddled with this one, or its
                               lifecycle cannot be put back */
    unsigned late_lock_run; /* a call that was written off, or whose stop is over, has interlocked
                               this one, and nobody has put that right since */
    struct facts facts[WITNESS_VERSIONS]; /* of each version of its definition */
    unsigned attached_version;            /* another disk was, whether the guest runs or not */
    unsigned disks_version, disks_run;    /* and another disk, since the guest runs */
    unsigned restored_run; /* its lifecycle actions were put back, and not set again since */
    unsigned unlocked_run; /* a button was pressed that could set no interlock */
    struct seen_run {
        bool is_gone; /* its process has ended */
        bool is_off;  /* the hypervisor says that it has, or has said so when it had not */
        enum end_cause cause;
        bool is_cause_lost; /* the hypervisor does not know it any more */
        bool is_told;       /* but stopd has learnt from it that it was saved or migrated */
        bool is_crashed;    /* its guest has panicked, and its process was kept */
        bool was_crashed;   /* when stopd last saw it there */
    } runs[WITNESS_RUNS];   /* by their number */
    struct seen_plan plans[WITNESS_PLANS]; /* that were told of it, in a ring */
    unsigned n_plans;
};

struct witness {
    struct ask *asks;
    struct seen_domain domains[WITNESS_DOMAINS];
    uint64_t sequence;   /* of the last event that was read */
    bool has_failed;     /* a write or a commit of this turn has */
    bool has_acted;      /* a call or a clear has gone out in this turn */
    bool is_picture_due; /* the first one has been taken, and is in no commit yet */
    unsigned n_pictures; /* that were taken while the journal knew of nothing */
    unsigned n_accepted;
    unsigned n_operations, n_events, n_commits, n_crashes;
};

void witness_clear(struct life *life);
struct seen_domain *witness_domain(struct life *life, const struct simulated_domain *d);

/* The stop of the domain that is under way, or NULL. */
struct ask *witness_operation(const struct life *life, const struct simulated_domain *d);

/* A commit has succeeded: reads what it wrote. */
void witness_committed(struct life *life);
void witness_check_reported(struct life *life);
/* What the journal says was last reported of a domain. */
/* What a restart would take for the last report of a domain: its row, and where a stop of it is
 * unfinished, that. */
#define REPORTED_STATE                                                         \
    "coalesce((SELECT o.state FROM operation AS o WHERE o.finished_at IS NULL" \
    " AND o.state = 'Stopping' AND json_extract(o.document, '$.journal.domain') = domain), state)"
bool witness_find_row(struct life *life, const struct simulated_domain *d,
                      enum instance_state *ret);
void witness_happened(void *userdata, struct simulated_domain *d, enum happening what,
                      unsigned run);
/* An agent's button that is written off counts as taken. */
void witness_wrote_off(struct life *life, const struct flight *f);
/* The engine starts a call; it is told what one has seen. */
void witness_call(struct life *life, const struct call *c);
void witness_learned(struct life *life, const struct flight *f);
/* A transaction begins. */
void witness_check_unacted(struct life *life);
/* What a turn has learnt counts from its end on; where its transaction failed, or stopd died in it,
 * it has to be learnt anew. */
void witness_keep_taken(struct life *life, bool is_kept);
/* Time passes with stopd running and the hypervisor at hand. */
void witness_time(struct life *life, usec_t passed);
void witness_check_lifecycle(struct life *life, const struct simulated_domain *d, bool is_end);
/* After each commit. */
void witness_keep_picture(struct life *life);
/* After each turn: what has to hold between turns. */
void witness_turn(struct life *life);
/* The journal knows of a command by this RequestId. */
bool witness_is_durable(struct life *life, const char *request_id);
/* stopd is gone: who waits for an answer waits in vain. */
void witness_forsake(struct life *life);
/* Where disks had to be identified, a command is accepted later than it was asked for, and of the
 * run that is known by then. */
void witness_accepted_late(struct life *life, struct ask *ask);
/* stopd is up again: what was promised is still there. */
void witness_restarted(struct life *life);
/* The life is over. */
void witness_end(struct life *life);
/* Is it one by force, or has one by force gone over it? */
bool witness_is_forced(struct life *life, const struct ask *stop);
void witness_answered(struct ask *ask, const struct answer *a);
/* REWIND_SINK, REPLAY_LETTERS, DROP_LETTERS. */
void witness_sink_answered(struct life *life, const struct ask *ask);
/* A helper is given a job, touches a disk, has cleared one. */
void witness_job(struct life *life, const struct wipe_job *job);
void witness_touched(struct life *life, const struct wipe_job *job);
void witness_cleared(struct life *life, const struct wipe_job *job);
void witness_check_cleared(struct life *life, const struct ask *ask);
/* Who asked for what this job does. */
struct ask *witness_owner(const struct life *life, const struct wipe_job *job);
/* A retry of it was asked for since, and was not refused. */
bool witness_was_retried(struct life *life, const struct ask *ask, usec_t since);

/* --- witness-disks.c: which disks a command was accepted with --- */
/* A helper tells what they are. */
void witness_identified(struct life *life, const struct wipe_job *job,
                        const struct disk_plan *plan);
/* It is in the journal, with this document. */
void witness_check_plan(struct life *life, struct ask *ask, json_object *document);
/* … so are clears of kept disks, of which no event tells. */
void witness_look_for_clears(struct life *life);
void witness_check_identity(struct life *life, const struct wipe_job *job, const struct ask *ask);
void witness_check_device(struct life *life, const struct wipe_job *job, const struct ask *ask);
/* Its place in the plan by the device; -1: it has none. */
int witness_place_of(const struct ask *ask, const char *device);

/* --- witness-tries.c: how often a clear is tried, how soon again, and when no more --- */
void witness_check_try(struct life *life, const struct wipe_job *job, const struct ask *ask);
void witness_not_cleared(struct life *life, const struct wipe_job *job, bool counts, bool is_final);
struct event;
void witness_uncleared(struct life *life, struct ask *ask, const struct event *e);
/* After a turn: what helpers told in it is reported. */
void witness_check_reports(struct life *life);
/* A commit is done, or stopd is gone: what was lost before it will not come any more. */
void witness_forget_lost(struct life *life);
void witness_retry_asked(struct life *life, const struct ask *ask);
void witness_retry_answered(struct life *life, const struct ask *ask);
/* stopd is up again, and knows nothing of when a try is due. */
void witness_forget_backoff(struct life *life);
/* In the end no disk is put aside but for a reason that was told. */
void witness_check_quarantine(struct life *life, const struct ask *ask);

/* --- witness-buttons.c: when a button has to be pressed, and which --- */
void witness_buttons_time(struct life *life, usec_t passed);
void witness_button(struct life *life, const struct call *c);
void witness_button_back(struct life *life, const struct call *c, bool is_taken);

/* --- witness-cause.c: how a guest has ended, as an event tells it --- */
/* Of a run that no other has followed, and whose end the hypervisor still knows. */
void witness_check_cause(struct life *life, const struct simulated_domain *d,
                         const struct seen_run *run, const char *reason);
/* stopd knows how it has ended, or can. */
bool witness_can_tell(const struct seen_run *run);
/* … of a stop's Stopped, whatever is known of its run. */
void witness_check_told(struct life *life, const struct ask *ask, const char *reason);

/* --- witness-table.c: which answer has to come by the contract's table --- */
/* The definition is another. */
void witness_defined(struct life *life, const struct simulated_domain *d);
/* The edge has refused a command, or taken it. */
void witness_parsed(struct life *life, struct ask *ask, const struct error *error);
void witness_check_answer(struct life *life, const struct ask *ask);
/* Of the journal; NULL: it is not there. */
json_object *witness_read_operation(struct life *life, const char *request_id);
/* It is in the journal as a stop of its own, or has gone over one by force. */
void witness_check_accepted(struct life *life, struct ask *ask, const struct event *e);
void witness_check_went_over(struct life *life, const struct ask *ask);
/* An act goes out: not the first of a stop whose guest is known to be locked since. */
void witness_check_lock(struct life *life, const struct simulated_domain *d, const struct call *c);
/* An act has found its guest locked, and has done nothing. */
void witness_held_back(struct life *life, const struct call *c);
bool witness_has_just_looked(struct life *life, const struct call *c);
/* An act takes effect: not the first of such a stop, where nobody has looked since the lock was
 * set. */
void witness_check_blind(struct life *life, struct simulated_domain *d);
/* A stop has failed for a lock. */
void witness_check_locked(struct life *life, const struct ask *ask);
/* Where the event has them. */
void witness_check_resources(struct life *life, const struct simulated_domain *d,
                             const struct event *e);
/* ask: of the stop that the transition is of; NULL: of none. */
void witness_check_mode(struct life *life, const struct ask *ask, const struct event *e,
                        bool has_failed);

#endif
