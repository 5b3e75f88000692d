/* journal-faults.c - a journal that fails, and one that is cut off between any two of its steps
 *
 * Theory of operation. The simulator is linked with --wrap for the journal's writes: the engine
 * calls the functions here, they call the real ones. Each is a point at which stopd can die, and a
 * place where a write can fail.
 *
 * A commit that is in doubt is the hard one: this process goes on as if nothing had been written,
 * but after a crash before the next good commit the transaction may be there. It is really
 * committed, both states of the database are copied, and the former is put back; a crash tosses a
 * coin between them.
 *
 * A full disk has room for no commit; a piece of the reserve is room for two. The journal is in
 * memory and has no reserve of its own: its two functions for it are played here.
 */
#include "simulation/census.h"
#include "simulation/life.h"
#include "simulation/sinks.h"

#include "journal/private.h"

#include <errno.h>
#include <stdio.h>

#define PIECES 3

/* The linker's names. */
int __real_journal_begin(struct journal *j, struct error **err);
int __real_journal_commit(struct journal *j, struct error **err);
int __wrap_journal_begin(struct journal *j, struct error **err);
int __wrap_journal_commit(struct journal *j, struct error **err);

static struct {
    struct life *life;       /* whose journal it is */
    sqlite3 *before, *after; /* the two states of a commit in doubt */
    bool is_in_doubt;
    unsigned pieces; /* of the reserve that are left */
    unsigned room;   /* for so many commits, while the disk is full */
} faults;

void journal_faults_attend(struct life *life)
{
    faults.life = life;
    faults.pieces = PIECES;
    faults.room = 0;
    faults.is_in_doubt = false;
}

static void copy_database(sqlite3 *to, sqlite3 *from)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");

    if (!backup || sqlite3_backup_step(backup, -1) != SQLITE_DONE ||
        sqlite3_backup_finish(backup) != SQLITE_OK)
        abort();
}

static void keep_state(sqlite3 **kept, const struct journal *j)
{
    if (!*kept && sqlite3_open(":memory:", kept) != SQLITE_OK)
        abort();
    copy_database(*kept, j->database.sqlite);
}

void journal_faults_crash(struct life *life)
{
    if (!faults.is_in_doubt)
        return;
    faults.is_in_doubt = false;
    if (dice_percent(&life->dice, 50))
        return;
    tell(life, "the commit that was in doubt is there");
    copy_database(life->journal->database.sqlite, faults.after);
    witness_committed(life);
}

static int away(struct error **err)
{
    faults.life->witness.has_failed = true;
    return error_set(err, ERROR_JOURNAL, "the disk is full");
}

static bool is_full(const struct life *life)
{
    return life->journal_fault == JOURNAL_FULL && faults.room == 0;
}

bool __wrap_journal_spend_reserve(struct journal *j);
bool __wrap_journal_restore_reserve(struct journal *j);

bool __wrap_journal_spend_reserve(struct journal *j)
{
    if (!is_full(faults.life) || faults.life->is_dying || faults.pieces == 0)
        return false;
    tell(faults.life, "a piece of the journal's reserve is spent");
    census_count("journal", "spends a piece of its reserve");
    faults.pieces--;
    faults.room += 2;
    return true;
}

bool __wrap_journal_restore_reserve(struct journal *j)
{
    if (faults.life->journal_fault != JOURNAL_FULL) {
        faults.pieces = PIECES;
        faults.room = 0;
    }
    return faults.pieces == PIECES;
}

bool journal_faults_is_on_reserve(void)
{
    return faults.pieces < PIECES;
}

int __wrap_journal_begin(struct journal *j, struct error **err)
{
    struct life *life = faults.life;

    witness_check_unacted(life);
    if (!host_point(life, "a transaction") || life->journal_fault == JOURNAL_NO_BEGIN)
        return away(err);
    if (life->journal_fault == JOURNAL_IN_DOUBT)
        keep_state(&faults.before, j);
    return __real_journal_begin(j, err);
}

static int leave_in_doubt(struct life *life, struct journal *j, struct error **err)
{
    int r = __real_journal_commit(j, err);

    life->witness.has_failed = true;
    if (r < 0)
        return r;
    keep_state(&faults.after, j);
    copy_database(j->database.sqlite, faults.before);
    faults.is_in_doubt = true;
    tell(life, "a commit is in doubt");
    return error_set(err, ERROR_INTERNAL, "it is not known whether a commit reached the disk");
}

int __wrap_journal_commit(struct journal *j, struct error **err)
{
    struct life *life = faults.life;
    int r;

    if (!host_point(life, "a commit") || life->journal_fault == JOURNAL_COMMIT_FAILS ||
        is_full(life)) {
        journal_rollback(j);
        return away(err);
    }
    if (life->journal_fault == JOURNAL_IN_DOUBT)
        return leave_in_doubt(life, j, err);
    r = __real_journal_commit(j, err);
    if (r == 0) {
        faults.room -= faults.room > 0;
        faults.is_in_doubt = false;
        witness_committed(life);
    }
    return r;
}

/* Whether a write may be tried. */
static bool may_write(struct error **err)
{
    struct life *life = faults.life;

    if (host_point(life, "a write") && life->journal_fault != JOURNAL_WRITE_FAILS)
        return true;
    away(err);
    return false;
}

#define WRAP_WRITE(name, parameters, arguments)                 \
    int __real_##name parameters;                               \
    int __wrap_##name parameters;                               \
    int __wrap_##name parameters                                \
    {                                                           \
        return may_write(err) ? __real_##name arguments : -EIO; \
    }                                                           \
    struct base_swallow_semicolon

WRAP_WRITE(journal_put_operation, (struct journal * j, struct operation *op, struct error **err),
           (j, op, err));
WRAP_WRITE(journal_put_reported, (struct journal * j, const struct reported *r, struct error **err),
           (j, r, err));
WRAP_WRITE(journal_forget_reported, (struct journal * j, const uuid_t domain, struct error **err),
           (j, domain, err));
WRAP_WRITE(journal_put_event,
           (struct journal * j, const struct upstream_event *event, usec_t realtime,
            struct error **err),
           (j, event, realtime, err));
WRAP_WRITE(journal_put_alias,
           (struct journal * j, const char *request_id, const char *operation, struct error **err),
           (j, request_id, operation, err));
WRAP_WRITE(journal_put_token,
           (struct journal * j, const char *principal, const char *token, const char *fingerprint,
            const char *request_id, usec_t realtime, struct error **err),
           (j, principal, token, fingerprint, request_id, realtime, err));
WRAP_WRITE(journal_put_certificate,
           (struct journal * j, const char *request_id, const char *target, const char *document,
            usec_t realtime, struct error **err),
           (j, request_id, target, document, realtime, err));
WRAP_WRITE(journal_put_cursor,
           (struct journal * j, const char *sink, uint64_t sequence, struct error **err),
           (j, sink, sequence, err));
WRAP_WRITE(journal_rewind,
           (struct journal * j, const char *sink, uint64_t after, struct error **err),
           (j, sink, after, err));
WRAP_WRITE(journal_put_dead_letter,
           (struct journal * j, const char *sink, uint64_t sequence, const char *reason,
            usec_t realtime, struct error **err),
           (j, sink, sequence, reason, realtime, err));
WRAP_WRITE(journal_refuse_dead_letter,
           (struct journal * j, const char *sink, uint64_t sequence, const char *reason,
            usec_t realtime, struct error **err),
           (j, sink, sequence, reason, realtime, err));
WRAP_WRITE(journal_deliver_dead_letter,
           (struct journal * j, const char *sink, uint64_t sequence, struct error **err),
           (j, sink, sequence, err));
WRAP_WRITE(journal_mark_dead_letters,
           (struct journal * j, const char *sink, uint64_t sequence, uint64_t mark, unsigned most,
            unsigned *ret, struct error **err),
           (j, sink, sequence, mark, most, ret, err));
WRAP_WRITE(journal_drop_dead_letters,
           (struct journal * j, const char *sink, uint64_t sequence, unsigned most, unsigned *ret,
            struct error **err),
           (j, sink, sequence, most, ret, err));
WRAP_WRITE(journal_touch, (struct journal * j, const struct heartbeat *h, struct error **err),
           (j, h, err));
WRAP_WRITE(journal_retain,
           (struct journal * j, usec_t before, const char *const *sinks, size_t n_sinks,
            unsigned most, struct error **err),
           (j, before, sinks, n_sinks, most, err));

/* A new life begins with an empty journal; emptying it is cheaper than making one. */
void journal_wipe(struct journal *j)
{
    static const char *const tables[] = {"alias",    "certificate", "operation",
                                         "token",    "event",       "cursor",
                                         "reported", "heartbeat",   "dead_letter"};
    char sql[64];

    for (size_t i = 0; i < ELEMENTSOF(tables); i++) {
        snprintf(sql, sizeof(sql), "DELETE FROM %s", tables[i]);
        if (sqlite3_exec(j->database.sqlite, sql, NULL, NULL, NULL) != SQLITE_OK)
            abort();
    }
}
