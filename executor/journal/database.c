/* database.c - what the journal needs of SQLite, and what SQLite's errors mean to an operator
 *
 * Theory of operation. A statement is written where it is used, as a literal; its address is the
 * key under which the prepared form is kept, so that a turn of the loop parses no SQL. A query goes
 * back by its cleanup attribute: a statement that is not reset would hold its read transaction
 * open, and the write-ahead log could not be begun anew.
 *
 * Whoever reads an error cannot see our SQL and does not know SQLite's result codes. Each is turned
 * into what is the matter with which file, and what helps.
 */
#include "journal/database.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* How long to wait for another program (sqlite3, a backup) that holds a lock for a moment. It is
 * the engine's loop that waits, so it is short. */
#define BUSY_MS 2000

struct value text(const char *s)
{
    if (!s)
        return null_value();
    return (struct value){.type = VALUE_TEXT, .text = s, .size = strlen(s)};
}

static bool is_disk_full(int errnum)
{
    return errnum == ENOSPC || errnum == EDQUOT || errnum == EFBIG;
}

int database_damaged(struct database *d, struct error **err, const char *how)
{
    d->is_damaged = true;
    return error_set(err, ERROR_JOURNAL,
                     "the journal %s is damaged (%s); stop stopd, keep a copy of the file, and "
                     "rescue it with \"sqlite3 %s .recover\", or move it away to begin a new one, "
                     "which forgets every stop under way",
                     d->path, how, d->path);
}

int database_read_only(const struct database *d, struct error **err)
{
    return error_set(err, ERROR_JOURNAL,
                     "the journal %s cannot be written; look at its owner and mode and at how its "
                     "file system is mounted",
                     d->path);
}

/* SQLite does not keep the errno of a COMMIT that failed, but that of an earlier failure. */
static int system_errno(const struct database *d)
{
    return d->errnum ? d->errnum : sqlite3_system_errno(d->sqlite);
}

bool database_wants_room(const struct database *d)
{
    int code = sqlite3_errcode(d->sqlite) & 0xff;

    return code == SQLITE_FULL ||
           ((code == SQLITE_IOERR || code == SQLITE_CANTOPEN) && is_disk_full(system_errno(d)));
}

int database_error(struct database *d, struct error **err, const char *doing)
{
    int code = sqlite3_extended_errcode(d->sqlite);
    int errnum = system_errno(d);

    if (code == SQLITE_NOMEM || code == SQLITE_IOERR_NOMEM)
        return error_no_memory(err);
    if (database_wants_room(d))
        return error_set(err, ERROR_JOURNAL, "the disk of the journal %s is full; make room on it",
                         d->path);
    switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return database_damaged(d, err, sqlite3_errmsg(d->sqlite));
    case SQLITE_READONLY:
        return database_read_only(d, err);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_set(err, ERROR_JOURNAL,
                         "another program holds a lock on the journal %s; end it", d->path);
    case SQLITE_CANTOPEN:
        return error_set_errno(err, ERROR_JOURNAL, errnum ? errnum : EIO,
                               "the journal %s cannot be opened", d->path);
    case SQLITE_IOERR:
        if (errnum == EROFS)
            return database_read_only(d, err);
        return error_set_errno(err, ERROR_JOURNAL, errnum ? errnum : EIO,
                               "the disk of the journal %s failed %s (%s)", d->path, doing,
                               sqlite3_errmsg(d->sqlite));
    default:
        return error_set(err, ERROR_JOURNAL, "%s the journal %s: %s", doing, d->path,
                         sqlite3_errmsg(d->sqlite));
    }
}

/* Counting each allocation takes a lock that all connections share, and nobody asks for the count.
 */
static void set_up_library(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

/* A row of ours, above all an operation's document, is more than the 1200 bytes of SQLite's own
 * reserve for short-lived memory. */
#define RESERVE_SIZE 4096
#define RESERVE_PIECES 24

int database_open(struct database *d, const char *path, enum database_mode mode, struct error **err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int flags = mode == DATABASE_WRITE ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;

    pthread_once(&once, set_up_library);
    *d = (struct database){0};
    if (text_replace(&d->path, path) < 0)
        return error_no_memory(err);
    if (sqlite3_open_v2(path, &d->sqlite, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                        NULL) != SQLITE_OK)
        return d->sqlite ? database_error(d, err, "opening") : error_no_memory(err);
    sqlite3_db_config(d->sqlite, SQLITE_DBCONFIG_LOOKASIDE, NULL, RESERVE_SIZE, RESERVE_PIECES);
    sqlite3_busy_timeout(d->sqlite, BUSY_MS);
    /* A file that somebody has prepared can bring no code of its own. */
    sqlite3_db_config(d->sqlite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(d->sqlite, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return database_execute(d, "PRAGMA cell_size_check = ON", err);
}

void database_close(struct database *d)
{
    for (size_t i = 0; i < DATABASE_STATEMENTS; i++)
        sqlite3_finalize(d->kept[i].statement);
    sqlite3_close(d->sqlite);
    free(d->path);
    *d = (struct database){0};
}

static int statement(struct database *d, const char *sql, sqlite3_stmt **ret, struct error **err)
{
    for (size_t i = 0; i < DATABASE_STATEMENTS; i++) {
        struct kept_statement *k = &d->kept[i];

        if (!k->sql) {
            if (sqlite3_prepare_v3(d->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &k->statement,
                                   NULL) != SQLITE_OK)
                return database_error(d, err, "reading");
            k->sql = sql;
        }
        if (k->sql == sql) {
            *ret = k->statement;
            return 0;
        }
    }
    return error_set(err, ERROR_INTERNAL, "more statements than DATABASE_STATEMENTS");
}

int database_prepare(struct database *d, const char *sql, struct error **err)
{
    sqlite3_stmt *q;

    return statement(d, sql, &q, err) < 0 ? -error_errno(ERROR_JOURNAL) : 0;
}

static int bind(sqlite3_stmt *q, struct values values)
{
    int r = SQLITE_OK;

    for (size_t i = 0; r == SQLITE_OK && i < values.n; i++) {
        const struct value *v = &values.items[i];
        int parameter = (int)i + 1;

        if (v->type == VALUE_NUMBER)
            r = sqlite3_bind_int64(q, parameter, v->number);
        else if (v->type == VALUE_TEXT)
            r = sqlite3_bind_text64(q, parameter, v->text, v->size, SQLITE_STATIC, SQLITE_UTF8);
    }
    return r;
}

int database_query(struct database *d, const char *sql, struct values values, sqlite3_stmt **ret,
                   struct error **err)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;

    if (statement(d, sql, &q, err) < 0)
        return -error_errno(ERROR_JOURNAL);
    if (bind(q, values) != SQLITE_OK)
        return database_error(d, err, "writing");
    *ret = take(q);
    return 0;
}

int database_next(struct database *d, sqlite3_stmt *q, struct error **err)
{
    d->errnum = errno = 0;
    switch (sqlite3_step(q)) {
    case SQLITE_ROW:
        return 1;
    case SQLITE_DONE:
        return 0;
    default:
        d->errnum = errno;
        return database_error(d, err, sqlite3_stmt_readonly(q) ? "reading" : "writing");
    }
}

void query_cleanup(sqlite3_stmt **q)
{
    if (!*q)
        return;
    /* What reset returns is the error that the step returned. */
    sqlite3_reset(*q);
    sqlite3_clear_bindings(*q);
}

int database_run(struct database *d, const char *sql, struct values values, struct error **err)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    int r = database_query(d, sql, values, &q, err);

    while (r >= 0) {
        r = database_next(d, q, err);
        if (r == 0)
            return 0;
    }
    return r;
}

int database_execute(struct database *d, const char *sql, struct error **err)
{
    if (sqlite3_exec(d->sqlite, sql, NULL, NULL, NULL) != SQLITE_OK)
        return database_error(d, err, "setting up");
    return 0;
}

int database_ask_text(struct database *d, const char *sql, char ret[static DATABASE_ANSWER],
                      struct error **err)
{
    sqlite3_stmt *q = NULL;
    const char *answer;
    bool no_memory = false;

    ret[0] = '\0';
    if (sqlite3_prepare_v2(d->sqlite, sql, -1, &q, NULL) != SQLITE_OK)
        return database_error(d, err, "reading");
    if (sqlite3_step(q) == SQLITE_ROW) {
        answer = (const char *)sqlite3_column_text(q, 0);
        no_memory = column_had_no_memory(q);
        snprintf(ret, DATABASE_ANSWER, "%s", answer ? answer : "");
    }
    if (sqlite3_finalize(q) != SQLITE_OK)
        return database_error(d, err, "reading");
    return no_memory ? error_no_memory(err) : 0;
}

int database_ask_number(struct database *d, const char *sql, int64_t *ret, struct error **err)
{
    char answer[DATABASE_ANSWER];
    int r = database_ask_text(d, sql, answer, err);

    if (r >= 0)
        *ret = strtoll(answer, NULL, 10);
    return r;
}

const char *column_text(sqlite3_stmt *q, int column, size_t *size)
{
    const char *s;
    size_t n;

    if (sqlite3_column_type(q, column) != SQLITE_TEXT)
        return NULL;
    s = (const char *)sqlite3_column_text(q, column);
    n = (size_t)sqlite3_column_bytes(q, column);
    if (!s || strlen(s) != n)
        return NULL;
    if (size)
        *size = n;
    return s;
}

bool column_had_no_memory(sqlite3_stmt *q)
{
    return sqlite3_errcode(sqlite3_db_handle(q)) == SQLITE_NOMEM;
}

bool column_number(sqlite3_stmt *q, int column, uint64_t *ret)
{
    int64_t n;

    if (sqlite3_column_type(q, column) != SQLITE_INTEGER)
        return false;
    n = sqlite3_column_int64(q, column);
    if (n < 0)
        return false;
    *ret = (uint64_t)n;
    return true;
}
