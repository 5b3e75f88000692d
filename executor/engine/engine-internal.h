/* engine-internal.h - what the engine's files share; for executor/engine/ only */
#ifndef STOPD_ENGINE_INTERNAL_H
#define STOPD_ENGINE_INTERNAL_H

#include "base/json-writer.h"
#include "engine/engine.h"
#include "engine/inventory.h"

enum attachment { DETACHED, ATTACHING, ATTACHED };

/* An event that this turn writes. One block of memory: free() is all that it needs. */
struct staged_event {
    struct upstream_event event; /* its pointers lead into this struct */
    struct staged_event *next;
    char id[UUID_TEXT_SIZE];
    char texts[]; /* the instance's id, the body */
};

/* A reply that goes out when the turn is durable. */
struct staged_reply {
    struct request *request;
    struct answer *answer;
    bool is_of_commit; /* fails with the commit; else it stands whatever becomes of it */
    struct staged_reply *next;
};

/* A token or an alias that this turn writes. */
struct staged_binding {
    char *principal, *token, *fingerprint; /* of a token; NULL for an alias */
    char request_id[UUID_TEXT_SIZE];
    char operation[UUID_TEXT_SIZE]; /* of an alias */
    struct staged_binding *next;
};

struct cursor {
    char *sink;
    uint64_t sequence;
    bool changed;
    unsigned rewinds; /* since the start; what a relay says that knows of fewer is out of date */
};

/* A list with its end at hand, so that order is kept at no cost. */
#define LIST_OF(type)       \
    struct {                \
        type *first, **end; \
    }
#define list_init(list) ((list)->first = NULL, (list)->end = &(list)->first)
#define list_append(list, item) \
    (*(list)->end = (item), (item)->next = NULL, (list)->end = &(item)->next)
#define list_take_first(list)                            \
    __extension__({                                      \
        __typeof__((list)->first) item_ = (list)->first; \
        if (item_) {                                     \
            (list)->first = item_->next;                 \
            if (!(list)->first)                          \
                (list)->end = &(list)->first;            \
        }                                                \
        item_;                                           \
    })

/* A certificate that this turn writes. */
struct staged_certificate {
    char request_id[UUID_TEXT_SIZE];
    char *target, *document;
    struct staged_certificate *next;
};

/* A clear that a helper is at. */
struct clear_job {
    uint64_t id;
    struct domain *domain;
    size_t index;
    char request_id[UUID_TEXT_SIZE];
    struct clear_job *next;
};

struct hint {
    uuid_t domain;
    struct hint *next;
};

struct engine {
    struct engine_settings settings;
    struct engine_host host;
    struct journal *journal;
    struct inventory inventory;
    struct lh_table *operations; /* RequestId of an unfinished operation → its domain */
    size_t n_marks;              /* of what was deleted there; see make_room() */
    size_t n_operations, n_shutting_down;
    size_t n_queued, n_queued_forced; /* soft stops that wait for their turn, and power cuts */
    uint64_t last_place;              /* of the queue of stops */
    uint64_t last_sequence;           /* committed */
    bool is_first_picture; /* nothing was ever reported: the first full read is only taken down */
    bool is_picture_owed;  /* it is not in the journal yet */
    bool quiescing;
    struct error *load_problem; /* of the journal's content, more exact than the journal's own */

    /* What has arrived since the last turn */
    LIST_OF(struct request) requests;
    LIST_OF(struct call) calls;
    LIST_OF(struct hint) hints;
    LIST_OF(struct wipe_report) reports;
    LIST_OF(struct sink_report) refusals; /* and ends of dead letters: until they are written */
    bool is_lost;                         /* the hypervisor */
    char *lost_why;                       /* or NULL: there was no memory for it */

    /* The hypervisor */
    enum attachment attachment;
    bool has_processes;
    char *away_why;
    bool away_said;
    unsigned attach_tries;
    usec_t attach_at;    /* NEVER: not waiting to */
    uint64_t generation; /* calls that began under another one are over, whatever they say */
    uint64_t next_call_id;
    uint64_t attach_call;
    uint64_t glance_call; /* 0: none is out */
    usec_t glance_at;     /* NEVER: one is out, or the hypervisor is away */
    bool lost_while_attaching;

    /* This turn */
    struct moment now;
    bool turn_failed; /* out of memory: it must not be committed */
    size_t n_admitted;
    LIST_OF(struct staged_event) events;
    struct json_writer event_writer; /* of the event that is being made */
    LIST_OF(struct staged_reply) replies;
    LIST_OF(struct staged_binding) bindings;
    LIST_OF(struct staged_certificate) certificates;
    struct domain *staged, **staged_end; /* in the order in which they were */
    uint64_t staged_sequence;

    /* Clears under way */
    struct clear_job *clear_jobs;
    size_t n_clear_jobs;
    bool clears_wait;     /* for a place: local_storage.parallel are under way */
    size_t n_start_looks; /* at local disks of instances that have started */
    bool starts_wait;

    /* Parked */
    LIST_OF(struct request) identifying; /* for their local disks to be identified */
    LIST_OF(struct request) event_waiters;
    usec_t overdue_at; /* no request that is parked has to be answered before */
    struct cursor *cursors;
    size_t n_cursors;
    usec_t
        cursors_at; /* written by then, with a turn's commit or in one of their own; NEVER: none */
    uint64_t mark;  /* the last one of a dead letter */
    json_object *letter_counts; /* dead letters by sink; NULL: not known, or not any more */
    usec_t retain_at;
    bool retain_more;
    int64_t clock_offset; /* of the real-time clock from the monotonic one */
    usec_t ahead;         /* what was written before looks older by this, until … */
    usec_t ahead_until;
    bool once_more;    /* another turn is needed at once */
    usec_t journal_at; /* after a failed commit: try again then; NEVER: the journal is at hand */
    bool journal_said;
    bool on_reserve;   /* the journal's disk is full: nothing new is accepted */
    usec_t reserve_at; /* look then whether it still is; NEVER: it is not */
    usec_t room_at;    /* not before then do markers get another piece of the reserve */

    struct {
        uint64_t turns, commits, commit_failures, accepted, refused, stuck_calls, attachments;
        uint64_t ended[OUTCOME_MAX];
    } counters;
};

/* --- engine.c --------------------------------------------------------------------------------- */
void engine_step_all(struct engine *e, enum input_kind kind);

/* --- engine-stage.c --------------------------------------------------------------------------- */
void engine_stage_domain(struct engine *e, struct domain *d);
/* The operation as this turn has made it so far; NULL: none, or finished. */
const struct operation *engine_operation_now(const struct domain *d);
/* The last report as this turn has made it so far. The next that is staged takes its place. */
const struct last_report *engine_report_now(const struct domain *d);
/* Steps the domain's operation, which must be there. */
void engine_step(struct engine *e, struct domain *d, const struct input *in);
void engine_stage_reported(struct engine *e, struct domain *d, enum instance_state state,
                           const struct incarnation *incarnation);
/* Reports a transition of a domain that nobody commanded. */
void engine_report_unasked(struct engine *e, struct domain *d, enum instance_state from,
                           enum instance_state to, const char *reason,
                           const struct incarnation *incarnation);
/* A reply to be sent after the commit. Takes both. */
void engine_stage_reply(struct engine *e, struct request *r, struct answer *a, bool is_of_commit);
/* Ends each turn: what was staged is written, or dropped. */
void engine_forget_turn(struct engine *e);

/* --- engine-commit.c -------------------------------------------------------------------------- */
/* 0, or negative: nothing of the turn is in the journal, or (ERROR_INTERNAL) nobody knows. */
int engine_commit(struct engine *e, struct error **err);

/* --- engine-act.c ----------------------------------------------------------------------------- */
/* After the commit. */
void engine_act(struct engine *e);
/* After one that failed. */
void engine_give_back(struct engine *e, const struct error *failure);
/* failure: of the commit; NULL: there was none. */
void engine_send_replies(struct engine *e, const struct error *failure);
/* What is due of the domain has changed outside of a turn's staging. */
void engine_set_due(struct engine *e, struct domain *d);

/* --- engine-events.c ------------------------------------------------------------------------- */
/* Builds and stages a CloudEvent. op may be NULL. 0 or -ENOMEM. */
int engine_stage_transition(struct engine *e, const struct domain *d, const struct operation *op,
                            enum instance_state from, enum instance_state to, const char *reason);
int engine_stage_failure(struct engine *e, const struct domain *d, const struct operation *op);
int engine_stage_disk_failure(struct engine *e, const struct domain *d, const struct operation *op,
                              size_t index);
/* certificate: signed. */
int engine_stage_certificate(struct engine *e, const struct domain *d, const struct operation *op,
                             size_t index, json_object *certificate);

/* --- engine-attach.c -------------------------------------------------------------------------- */
void engine_process_lost(struct engine *e);
void engine_attach_if_due(struct engine *e);
void engine_attach_ended(struct engine *e, struct call *c);

/* --- engine-hypervisor.c --------------------------------------------------------------------- */
void engine_process_call(struct engine *e, struct call *c);
void engine_process_hint(struct engine *e, const uuid_t domain);
void engine_want_look(struct engine *e, struct domain *d);
/* Takes what a look has seen into the picture, and its definition with it. */
void engine_take_picture(struct engine *e, struct domain *d, struct sighting *s);
/* … and what follows from it. error: why it saw nothing, or NULL. */
void engine_take_sighting(struct engine *e, struct domain *d, struct sighting *s,
                          const struct error *error);
/* Starts what is wanted of a domain, if nothing is out for it. After the commit. */
void engine_dispatch(struct engine *e, struct domain *d);

/* --- engine-unasked.c ------------------------------------------------------------------------- */
/* A look at a domain without an operation. */
void engine_settle_unasked(struct engine *e, struct domain *d, const struct sighting *s);
/* Ends each turn: until the first picture is in the journal, all of it is in what the turn writes;
 * or whoever is read after a restart would seem to have been started meanwhile. */
void engine_keep_first_picture(struct engine *e);

/* --- engine-interlock.c ---------------------------------------------------------------------- */
bool engine_owes_restore(const struct domain *d);
/* The operation has ended, and the run that it was for goes on and is reported. */
void engine_leave_interlock(struct engine *e, struct domain *d, const struct operation *op);
/* Was it to set the interlock, and is sure to be carried out no more? */
bool engine_button_is_back(const struct call *c);
/* One that was wanted and counted, and whose call has not gone out, is not meant any more. */
void engine_drop_button(struct engine *e, struct domain *d);
/* With the commit: what this turn has counted is durable. */
void engine_keep_buttons(struct domain *d);
/* After a turn that failed: none that waits is sent, and what has come back is back all the same.
 */
void engine_give_back_buttons(struct domain *d);
/* … which nobody waits for any more: one button less is out. */
void engine_count_button_back(struct engine *e, struct domain *d, const struct call *c);
/* A look without an operation shows the run that was reported. */
void engine_settle_interlock(struct engine *e, struct domain *d, const struct sighting *s);
/* What came of putting it back without an operation. */
void engine_take_restored(struct engine *e, struct domain *d, const struct call *c);

/* --- engine-queue.c -------------------------------------------------------------------------- */
/* The domain's operation, as this turn has it, has its place in the line, or has left it. After
 * each change of either. */
void engine_line_up(struct engine *e, struct domain *d);
/* Lets a queued operation begin, if it may. */
void engine_admit(struct engine *e, struct domain *d);
/* Lets the first in line begin for whom there is a place. */
void engine_admit_in_line(struct engine *e);
/* Would engine_admit_in_line() admit anybody in a new turn? */
bool engine_may_admit(const struct engine *e);
/* An operation is durable as it is (by 1), or is so no more (by -1). */
void engine_count_in_line(struct engine *e, const struct operation *op, int by);

/* --- engine-glance.c ------------------------------------------------------------------------- */
/* The next glance is some minutes away. */
void engine_glance_later(struct engine *e);
void engine_glance_if_due(struct engine *e);
void engine_process_glance(struct engine *e, const struct call *c);

/* --- engine-load.c --------------------------------------------------------------------------- */
/* Of every operation whose clear is owed, to the keeper of markers. Again does no harm. */
void engine_say_debts(struct engine *e);

/* --- engine-clear.c -------------------------------------------------------------------------- */
void engine_process_report(struct engine *e, struct wipe_report *r);
/* Starts and ends clears as the domain's operation wants. After the commit. */
void engine_dispatch_clears(struct engine *e, struct domain *d);
/* Parks a request until the local disks of the domain are identified; it is processed again then.
 */
void engine_identify(struct engine *e, struct domain *d, struct request *r);
/* Answers all that are parked so: nothing was accepted. */
void engine_refuse_identifying(struct engine *e);

/* --- engine-at-start.c ----------------------------------------------------------------------- */
/* After each look at a domain: wants its disks identified where its run, or they, are new. */
void engine_note_start(struct engine *e, struct domain *d);
/* Starts what is wanted, as far as there is a place. After the commit. */
void engine_look_at_starts(struct engine *e);
/* Is the report of such a look? Then it is taken. */
bool engine_take_start(struct engine *e, struct wipe_report *r);

/* --- engine-command.c ------------------------------------------------------------------------- */
/* What becomes of a command, beside accepted (0, staged) and refused (negative). */
enum { WAITS_FOR_TURN = 1, WAITS_FOR_DISKS = 2 };
int engine_stop(struct engine *e, struct request *r, struct answer *a, struct error **err);
/* Contract 4.7: the disks that an instance kept when it went off by itself. */
int engine_clear_kept(struct engine *e, struct request *r, struct answer *a, struct error **err);
/* Can anything be accepted now? */
int engine_check_at_hand(const struct engine *e, struct error **err);
/* The program goes down, and nothing has come of the request. */
void engine_refuse_late(struct request *r);

/* --- engine-requests.c ----------------------------------------------------------------------- */
void engine_process_request(struct engine *e, struct request *r);

/* --- engine-answers.c ------------------------------------------------------------------------- */
struct answer *answer_new(const struct request *r);
/* An answer that there was no memory for is a NULL one: the edge says so. */
void engine_reply(struct request *r, struct answer *a);
void engine_reply_error(struct request *r, const struct error *error);
/* Takes the body; NULL: there was no memory for it. */
void engine_reply_body(struct request *r, json_object *body);
/* Answers who waits for the operation's end, and for events, and those whose time is up. */
void engine_answer_waiting(struct engine *e, struct domain *d);
void engine_answer_event_waiters(struct engine *e);
void engine_answer_overdue(struct engine *e, bool all);
usec_t engine_next_overdue(const struct engine *e);

/* --- engine-clock.c --------------------------------------------------------------------------- */
/* Begins each turn. */
void engine_watch_clock(struct engine *e);
/* At the start: takes up what the former life reckoned ages by; and what it leaves to the next. */
int engine_resume_clock(struct engine *e, struct error **err);
struct heartbeat engine_heartbeat(const struct engine *e);
/* What is older than this, by the real-time clock, may be forgotten. */
usec_t engine_retain_from(const struct engine *e);

/* --- engine-reserve.c ------------------------------------------------------------------------- */
/* After a turn that failed: true: try again at once. */
bool engine_spend_reserve(struct engine *e, const struct error *failure);
/* A marker found no room. */
void engine_give_room(struct engine *e);
/* Begins each turn. */
void engine_watch_reserve(struct engine *e);

/* --- engine-sinks.c -------------------------------------------------------------------------- */
/* Is there something about sinks that this turn has to write, cursors apart? */
bool engine_has_sink_news(const struct engine *e);
int engine_write_sinks(struct engine *e, struct error **err);
/* After the commit. */
void engine_act_on_sinks(struct engine *e);
void engine_forget_refusals(struct engine *e);
/* REQUEST_SINKS: of one sink, or (NULL) of all. */
int engine_describe_sinks(struct engine *e, const char *sink, json_object **ret,
                          struct error **err);
/* What an operator wants of a sink, as a command that the turn's commit answers. */
int engine_command_sink(struct engine *e, struct request *r, struct answer *a, struct error **err);
/* Dead letters by sink, {"NAME": number}; NULL: they could not be counted. */
json_object *engine_letter_counts(struct engine *e);

/* --- engine-metrics.c ------------------------------------------------------------------------ */
char *engine_metrics_text(struct engine *e);

#endif
