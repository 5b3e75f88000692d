/* journal.h - what must not be forgotten: operations, events, what was reported; in SQLite
 *
 * One writer, the engine's thread, under an exclusive lock on the journal's lock file; any number
 * of readers with connections of their own (journal_reader), each on one thread. WAL with
 * synchronous=FULL: a commit that returned is on the disk. */
#ifndef STOPD_JOURNAL_H
#define STOPD_JOURNAL_H

#include "core/operation.h"
#include "stopd/upstream.h"

struct journal;

/* Opens and, where it is missing, makes the journal at path (or ":memory:", for simulations: no
 * lock, no readers). Errors: JOURNAL_LOCKED where another process holds it (named by its pid),
 * JOURNAL for a damaged file or a schema that is newer than ours, each with a sentence that says
 * what to do. *fresh: it was made now. */
int journal_open(const char *path, bool *fresh, struct journal **ret, struct error **err);
void journal_close(struct journal *j);
DEFINE_CLEANUP(struct journal *, journal_close);

/* One transaction for a turn of the loop. Anything between begin and commit fails as a whole: after
 * an error call rollback. Once the file was seen to be damaged none begins any more. */
int journal_begin(struct journal *j, struct error **err);
/* ERROR_JOURNAL: nothing was written. ERROR_INTERNAL: the outcome is not known. Either way the
 * transaction is over, and this process sees nothing of it; the next commit that succeeds makes
 * sure that it never was. */
int journal_commit(struct journal *j, struct error **err);
void journal_rollback(struct journal *j);

/* Writes the operation as it is now, and gives it its number where it has none. */
int journal_put_operation(struct journal *j, struct operation *op, struct error **err);
/* Another RequestId that names the same operation. */
int journal_put_alias(struct journal *j, const char *request_id, const char *operation,
                      struct error **err);
/* The answer that a ClientToken of a caller is bound to. */
int journal_put_token(struct journal *j, const char *principal, const char *token,
                      const char *fingerprint, const char *request_id, usec_t realtime,
                      struct error **err);
/* Events are written once; the sequence is the caller's, rising by one. */
int journal_put_event(struct journal *j, const struct upstream_event *event, usec_t realtime,
                      struct error **err);
/* The signed certificate of one cleared disk; kept as long as its operation. */
int journal_put_certificate(struct journal *j, const char *request_id, const char *target,
                            const char *document, usec_t realtime, struct error **err);
int journal_put_cursor(struct journal *j, const char *sink, uint64_t sequence, struct error **err);
/* Puts the cursor back (or on): the sink gets the events behind after once more. Its dead letters
 * among them that the outbox still has are none any more. */
int journal_rewind(struct journal *j, const char *sink, uint64_t after, struct error **err);
/* The real-time clock, and how much of it is no age of what is kept, for so much longer. */
struct heartbeat {
    usec_t at, ahead, ahead_left;
};
/* Writes that and nothing else; also to find out whether a journal that could not be written can be
 * now. */
int journal_touch(struct journal *j, const struct heartbeat *h, struct error **err);

/* The reserve: room beside the journal that is kept for when its disk is full, so that what is
 * under way can be finished then. */
/* After a transaction that failed: if it was for want of room, gives the disk a piece of the
 * reserve. true: it is worth trying again at once. */
bool journal_spend_reserve(struct journal *j);
/* A piece for what else has to be written on this disk, a few at most until the reserve is whole
 * again. true: there was one. */
bool journal_give_room(struct journal *j);
/* It is spent, in part at least, or there never was room for it: nothing new is to be begun. */
bool journal_is_on_reserve(const struct journal *j);
/* Makes it anew where there is room; whether it is whole. */
bool journal_restore_reserve(struct journal *j);

/* Dead letters: what a sink refused. Each is kept, with a copy of its event, until it is dropped by
 * one of these.
 *
 * An event of the outbox becomes one, or is one that was refused again. */
int journal_put_dead_letter(struct journal *j, const char *sink, uint64_t sequence,
                            const char *reason, usec_t realtime, struct error **err);
/* One that was sent again: refused once more, where there still is such a one; or delivered. */
int journal_refuse_dead_letter(struct journal *j, const char *sink, uint64_t sequence,
                               const char *reason, usec_t realtime, struct error **err);
int journal_deliver_dead_letter(struct journal *j, const char *sink, uint64_t sequence,
                                struct error **err);
/* Marks one to be sent again, or drops it; sequence 0: the first `most` that are not marked yet, or
 * that there are. *ret: how many. mark: higher than any before, so that who sends them can tell new
 * marks from those that are done and only not written yet. */
int journal_mark_dead_letters(struct journal *j, const char *sink, uint64_t sequence, uint64_t mark,
                              unsigned most, unsigned *ret, struct error **err);
int journal_drop_dead_letters(struct journal *j, const char *sink, uint64_t sequence, unsigned most,
                              unsigned *ret, struct error **err);

/* What was last reported of a domain, and which run that was. */
struct reported {
    uuid_t domain;
    char *instance_id;
    enum instance_state state;
    struct incarnation incarnation; /* pid 0: none */
    char *facts;                    /* the engine's own notes beside it, or NULL */
};
void reported_clear(struct reported *r);
int journal_put_reported(struct journal *j, const struct reported *r, struct error **err);
int journal_forget_reported(struct journal *j, const uuid_t domain, struct error **err);

/* Reading, for the writer's thread. Callbacks return 0 to go on; their pointers end with them. A
 * negative errno ends the reading and is returned with *err set, a positive value ends it with 0.
 */
int journal_load_unfinished(struct journal *j,
                            int (*each)(void *userdata, struct operation *op /* taken */),
                            void *userdata, struct error **err);
int journal_load_reported(struct journal *j, int (*each)(void *userdata, const struct reported *r),
                          void *userdata, struct error **err);
int journal_last_sequence(struct journal *j, uint64_t *ret, struct error **err); /* 0: none yet */
/* 0 where none was ever stored. */
int journal_load_cursor(struct journal *j, const char *sink, uint64_t *ret, struct error **err);
/* What journal_touch() wrote last: 1; 0: nothing yet. */
int journal_last_touch(struct journal *j, struct heartbeat *ret, struct error **err);
/* The highest mark of a dead letter; 0: none. */
int journal_last_mark(struct journal *j, uint64_t *ret, struct error **err);
/* How many dead letters there are, by sink; sinks without any are left out. */
int journal_count_dead_letters(struct journal *j,
                               int (*each)(void *userdata, const char *sink, uint64_t n),
                               void *userdata, struct error **err);
/* 1: the sink has such a dead letter; 0: it has not. */
int journal_has_dead_letter(struct journal *j, const char *sink, uint64_t sequence,
                            struct error **err);
/* A known token: 1 with both set (the caller frees), 0: not known. */
int journal_find_token(struct journal *j, const char *principal, const char *token,
                       char **fingerprint, char **request_id, struct error **err);
/* The operation that a RequestId names, also by alias: 1 and its own RequestId, 0: none. */
int journal_resolve(struct journal *j, const char *request_id, char ret[static UUID_TEXT_SIZE],
                    struct error **err);

/* Drops finished operations, tokens and events older than before, but no event that a named sink
 * has not got. In a transaction of the caller's. At most `most` rows a call, so that the loop is
 * not held up. Returns how many: come again when that is `most`. The newest event stays, for the
 * next sequence is counted from it. */
int journal_retain(struct journal *j, usec_t before, const char *const *sinks, size_t n_sinks,
                   unsigned most, struct error **err);

/* --- Readers: read-only connections for other threads --- */
struct journal_reader;
int journal_reader_open(const char *path, struct journal_reader **ret, struct error **err);
void journal_reader_close(struct journal_reader *r);
DEFINE_CLEANUP(struct journal_reader *, journal_reader_close);

/* The public document (contract section 5) of the operation that this RequestId names: 1, 0: none.
 */
int journal_read_operation(struct journal_reader *r, const char *request_id, json_object **ret,
                           struct error **err);
/* An array of public documents, newest first; instance and state may be NULL. */
int journal_read_operations(struct journal_reader *r, const char *instance_id, const char *state,
                            unsigned limit, json_object **ret, struct error **err);
/* The same of those that are not finished. */
int journal_read_unfinished(struct journal_reader *r, unsigned limit, json_object **ret,
                            struct error **err);
/* The certificates of an operation, {"requestId", "certificates": [{target, certificate}…]}: 1; 0:
 * no such operation. */
int journal_read_certificates(struct journal_reader *r, const char *request_id, json_object **ret,
                              struct error **err);
/* Up to limit events behind a sequence, in order. The callback must be quick: while it runs, the
 * log cannot begin anew. */
int journal_read_events(struct journal_reader *r, uint64_t after, unsigned limit,
                        int (*each)(void *userdata, const struct upstream_event *e), void *userdata,
                        struct error **err);
/* 1 and the sequence of the event with this id; 0: none. */
int journal_read_event_sequence(struct journal_reader *r, const char *id, uint64_t *ret,
                                struct error **err);
/* 1 and the sink's cursor; 0: never stored. *rewound: it was put back, and has not moved since. */
int journal_read_cursor(struct journal_reader *r, const char *sink, uint64_t *ret, bool *rewound,
                        struct error **err);

struct dead_letter {
    struct upstream_event event;
    usec_t at; /* realtime: when it was refused last */
    const char *reason;
    uint64_t mark; /* it is to be sent again; 0: it is not */
};
/* Up to limit dead letters of a sink behind a sequence, in order. */
int journal_read_dead_letters(struct journal_reader *r, const char *sink, uint64_t after,
                              unsigned limit,
                              int (*each)(void *userdata, const struct dead_letter *letter),
                              void *userdata, struct error **err);
/* Of those with marks above done and up to last. */
int journal_read_marked_letters(struct journal_reader *r, const char *sink, uint64_t done,
                                uint64_t last, uint64_t after, unsigned limit,
                                int (*each)(void *userdata, const struct dead_letter *letter),
                                void *userdata, struct error **err);
/* The highest mark of the sink's; 0: none. */
int journal_read_last_mark(struct journal_reader *r, const char *sink, uint64_t *ret,
                           struct error **err);

#endif
