/* journal.c - opening the journal, and one transaction for each turn of the loop
 *
 * Theory of operation. There is one writer, which claims the journal's place before it touches the
 * file, and there are readers with connections of their own; the write-ahead log lets them not wait
 * for each other. With synchronous=FULL the log is on the disk before COMMIT returns, and before
 * any reader can see what was committed: what a sink has been handed cannot be taken back.
 *
 * A COMMIT that fails is of one of two kinds. Where the log could not be written, for want of room
 * above all, its last frame, the one that makes a transaction valid, is not there: nothing was
 * written. Where anything failed behind that frame, the fsync above all, the frame may or may not
 * reach the disk: after a crash the transaction may be there. In this process it is not, and the
 * next commit overwrites that frame, and with it the doubt. So a caller that is told ERROR_INTERNAL
 * goes on from what it had before, and only must not promise that nothing happened.
 *
 * A transaction in which one write failed must not be committed by a caller that overlooked it:
 * SQLite takes back the statement, or on a full disk sometimes the whole transaction. So the
 * journal remembers a failure until the transaction is over.
 */
#include "journal/place.h"
#include "journal/private.h"

#include <string.h>
#include <unistd.h>

/* Past this many pages, about 4 MiB, a commit also moves the log's pages into the file. */
#define CHECKPOINT_PAGES "1000"
/* A log that one long reader let grow is cut back to this. */
#define LOG_SIZE_LIMIT "16777216"

/* A transaction that is not rolled back would hold up every later one, and this connection would
 * see what was never committed. So the statement is prepared at the opening, and known by its
 * address. */
static const char rollback[] = "ROLLBACK";

static int use_log(struct database *d, bool in_memory, struct error **err)
{
    char mode[DATABASE_ANSWER];
    int r;

    if (in_memory)
        return 0;
    r = database_ask_text(d, "PRAGMA journal_mode = WAL", mode, err);
    if (r < 0)
        return r;
    if (strcmp(mode, "wal") != 0)
        return error_set(err, ERROR_JOURNAL,
                         "the file system of the journal %s has no write-ahead log (it is in mode "
                         "%s); put it on a local disk",
                         d->path, mode);
    /* The reading at the end makes the log and its index, which on a full disk would fail later. */
    return database_execute(d,
                            "PRAGMA synchronous = FULL;"
                            "PRAGMA wal_autocheckpoint = " CHECKPOINT_PAGES ";"
                            "PRAGMA journal_size_limit = " LOG_SIZE_LIMIT ";"
                            "SELECT count(*) FROM sqlite_schema",
                            err);
}

/* Damage is better met now than in the middle of a stop. */
static int check_pages(struct database *d, struct error **err)
{
    char verdict[DATABASE_ANSWER], *how = verdict;
    int r = database_ask_text(d, "PRAGMA quick_check(1)", verdict, err);

    if (r < 0)
        return r;
    if (strcmp(verdict, "ok") == 0)
        return 0;
    if (strncmp(verdict, "*** ", 4) == 0 && strchr(verdict, '\n')) /* a heading */
        how = strchr(verdict, '\n') + 1;
    how[strcspn(how, "\n")] = '\0';
    return database_damaged(d, err, how);
}

static int set_up(struct database *d, bool in_memory, bool *fresh, struct error **err)
{
    int r = 0;

    if (sqlite3_db_readonly(d->sqlite, "main") == 1)
        r = database_read_only(d, err);
    if (r >= 0)
        r = schema_prepare(d, fresh, err);
    if (r >= 0 && !*fresh)
        r = check_pages(d, err);
    if (r >= 0)
        r = use_log(d, in_memory, err);
    if (r >= 0)
        r = database_execute(d, "PRAGMA foreign_keys = ON", err);
    if (r >= 0)
        r = database_prepare(d, rollback, err);
    return r;
}

/* A full disk needs room even to be opened on: the log's index is a file too. */
static int open_database(struct journal *j, const char *path, bool in_memory, bool *fresh,
                         struct error **err)
{
    for (;;) {
        _cleanup_(error_free) struct error *cause = NULL;
        int r = database_open(&j->database, path, DATABASE_WRITE, &cause);

        if (r >= 0)
            r = set_up(&j->database, in_memory, fresh, &cause);
        if (r >= 0)
            return 0;
        j->wants_room = j->database.sqlite && database_wants_room(&j->database);
        if (!journal_spend_reserve(j))
            return error_move(err, &cause);
        database_close(&j->database);
    }
}

static int open_claimed(struct journal *j, const char *path, bool in_memory, bool *fresh,
                        struct error **err)
{
    int r = 0;

    if (!in_memory) {
        r = place_claim(path, &j->lock, err);
        if (r >= 0)
            r = place_make_file(path, err);
        if (r >= 0)
            r = reserve_open(&j->reserve, path, err);
    }
    return r < 0 ? r : open_database(j, path, in_memory, fresh, err);
}

int journal_open(const char *path, bool *fresh, struct journal **ret, struct error **err)
{
    _cleanup_(journal_close) struct journal *j = calloc(1, sizeof(*j));
    bool made_now = false;
    int r;

    if (!j)
        return error_no_memory(err);
    j->lock = -1;
    r = open_claimed(j, path, strcmp(path, ":memory:") == 0, &made_now, err);
    if (r < 0)
        return r;
    if (fresh)
        *fresh = made_now;
    *ret = take(j);
    return 0;
}

void journal_close(struct journal *j)
{
    if (!j)
        return;
    database_close(&j->database);
    reserve_clear(&j->reserve);
    json_writer_clear(&j->document);
    /* Last, so that the next writer finds the log put away. */
    if (j->lock >= 0)
        close(j->lock);
    free(j);
}

static bool in_transaction(const struct journal *j)
{
    return !sqlite3_get_autocommit(j->database.sqlite);
}

int journal_begin(struct journal *j, struct error **err)
{
    int r;

    j->failed = j->wants_room = false;
    /* What still can be written could go to a wrong place, and would look like all is well. */
    if (j->database.is_damaged)
        return database_damaged(&j->database, err, "seen while it was in use");
    r = database_run(&j->database, "BEGIN IMMEDIATE", NO_VALUES, err);
    if (r < 0)
        j->wants_room = database_wants_room(&j->database);
    return r;
}

int journal_write(struct journal *j, const char *sql, struct values values, struct error **err)
{
    int r;

    if (!in_transaction(j))
        r = error_set(err, ERROR_JOURNAL, "a write to the journal outside of a transaction");
    else
        r = database_run(&j->database, sql, values, err);
    if (r < 0) {
        j->failed = true;
        j->wants_room |= database_wants_room(&j->database);
    }
    return r;
}

/* Did a COMMIT that failed with this certainly write no valid transaction? */
static bool wrote_nothing(const struct database *d)
{
    switch (sqlite3_extended_errcode(d->sqlite)) {
    case SQLITE_FULL:
    case SQLITE_BUSY:
    case SQLITE_READONLY:
        return true;
    default:
        return false;
    }
}

int journal_commit(struct journal *j, struct error **err)
{
    struct database *d = &j->database;
    _cleanup_(error_free) struct error *cause = NULL;
    bool nothing;

    if (j->failed || !in_transaction(j)) {
        journal_rollback(j);
        return error_set(err, ERROR_JOURNAL,
                         "a write to the journal had failed; nothing of this "
                         "turn was written");
    }
    if (database_run(d, "COMMIT", NO_VALUES, &cause) >= 0)
        return 0;
    nothing = wrote_nothing(d);
    j->wants_room = database_wants_room(d);
    journal_rollback(j);
    if (nothing)
        return error_move(err, &cause);
    return error_set(err, ERROR_INTERNAL, "it is not known whether a commit reached the disk: %s",
                     error_message(cause));
}

void journal_rollback(struct journal *j)
{
    /* After some errors SQLite has done it by itself. */
    if (in_transaction(j))
        database_run(&j->database, rollback, NO_VALUES, NULL);
    j->failed = false;
}

bool journal_spend_reserve(struct journal *j)
{
    return j->wants_room && reserve_spend(&j->reserve);
}

bool journal_give_room(struct journal *j)
{
    return reserve_give(&j->reserve);
}

bool journal_is_on_reserve(const struct journal *j)
{
    return !reserve_is_whole(&j->reserve);
}

bool journal_restore_reserve(struct journal *j)
{
    return reserve_restore(&j->reserve);
}
