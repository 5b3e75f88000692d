/* schema.c - the journal's tables, and how an older file becomes one of today
 *
 * Theory of operation. An operation is stored as the document that core makes of it, so that a new
 * member of struct operation needs no new column. Beside the document stand the columns by which
 * operations are looked for; they are written from the same struct in the same statement and, save
 * its number, never read back into it.
 *
 * PRAGMA user_version counts the steps below that a file has gone through. A new step is added at
 * the end, and none is ever changed. A file that has more steps than we know was written by a newer
 * program, whose columns we would not fill: it is refused. PRAGMA application_id tells a journal
 * from any other SQLite file that the configuration may name by mistake.
 */
#include "journal/private.h"

#include <stdio.h>

/* "stop" */
#define APPLICATION_ID 0x73746f70

static const char *const steps[] = {
    /* 1 */
    "CREATE TABLE operation ("
    "    number      INTEGER PRIMARY KEY," /* rises in the order of acceptance */
    "    request_id  TEXT NOT NULL UNIQUE COLLATE NOCASE,"
    "    instance_id TEXT NOT NULL,"
    "    state       TEXT NOT NULL," /* the public one: Stopping while it is unfinished */
    "    finished_at INTEGER,"       /* microseconds since the epoch; NULL: unfinished */
    "    document    TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX operation_of_instance ON operation (instance_id, number);"
    "CREATE INDEX operation_in_state ON operation (state, number);"
    "CREATE INDEX operation_unfinished ON operation (number) WHERE finished_at IS NULL;"
    "CREATE INDEX operation_finished ON operation (finished_at) WHERE finished_at IS NOT NULL;"

    /* Another RequestId of an operation; it goes with the operation. */
    "CREATE TABLE alias ("
    "    request_id TEXT PRIMARY KEY COLLATE NOCASE,"
    "    operation  TEXT NOT NULL COLLATE NOCASE"
    "               REFERENCES operation (request_id) ON DELETE CASCADE"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX alias_of_operation ON alias (operation);"

    "CREATE TABLE token ("
    "    principal   TEXT NOT NULL,"
    "    token       TEXT NOT NULL,"
    "    fingerprint TEXT NOT NULL,"
    "    request_id  TEXT NOT NULL,"
    "    at          INTEGER NOT NULL,"
    "    PRIMARY KEY (principal, token)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX token_by_age ON token (at);"

    /* The outbox. */
    "CREATE TABLE event ("
    "    sequence    INTEGER PRIMARY KEY,"
    "    id          TEXT NOT NULL UNIQUE,"
    "    instance_id TEXT NOT NULL,"
    "    type        TEXT NOT NULL,"
    "    at          INTEGER NOT NULL,"
    "    body        TEXT NOT NULL"
    ") STRICT;"

    /* Signed certificates; they go with their operation. */
    "CREATE TABLE certificate ("
    "    request_id TEXT NOT NULL COLLATE NOCASE"
    "               REFERENCES operation (request_id) ON DELETE CASCADE,"
    "    target     TEXT NOT NULL,"
    "    at         INTEGER NOT NULL,"
    "    document   TEXT NOT NULL,"
    "    PRIMARY KEY (request_id, target)"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE cursor ("
    "    sink     TEXT PRIMARY KEY,"
    "    sequence INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"

    /* Written to find out whether writing is possible. */
    "CREATE TABLE heartbeat ("
    "    only INTEGER PRIMARY KEY CHECK (only = 1),"
    "    at   INTEGER NOT NULL"
    ") STRICT;"

    "CREATE TABLE reported ("
    "    domain      TEXT PRIMARY KEY,"
    "    instance_id TEXT NOT NULL,"
    "    state       TEXT NOT NULL,"
    "    boot_id     TEXT NOT NULL,"
    "    pid         INTEGER NOT NULL,"
    "    start_time  INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;",

    /* What the hypervisor may have forgotten by the time that it is needed. */
    "ALTER TABLE reported ADD COLUMN facts TEXT;",

    /* 3 */
    /* What a sink refused, with a copy of the event: the outbox need not keep it. */
    "CREATE TABLE dead_letter ("
    "    sink        TEXT NOT NULL,"
    "    sequence    INTEGER NOT NULL,"
    "    id          TEXT NOT NULL,"
    "    instance_id TEXT NOT NULL,"
    "    type        TEXT NOT NULL,"
    "    body        TEXT NOT NULL,"
    "    at          INTEGER NOT NULL," /* when it was refused last */
    "    reason      TEXT NOT NULL,"
    "    mark        INTEGER NOT NULL DEFAULT 0," /* it is to be sent again, see journal.h */
    "    PRIMARY KEY (sink, sequence)"
    ") STRICT;"
    "CREATE INDEX dead_letter_marked ON dead_letter (sink, sequence) WHERE mark > 0;"
    /* 1: somebody put it back; until it moves on, the sink has more than it says. */
    "ALTER TABLE cursor ADD COLUMN rewound INTEGER NOT NULL DEFAULT 0;",

    /* 4 */
    /* While it is unfinished an operation stands in one index, and in others after: so that
     * accepting it writes into that one alone, and ending it moves nothing within any. */
    "DROP INDEX operation_of_instance;"
    "DROP INDEX operation_in_state;"
    "DROP INDEX operation_unfinished;"
    "CREATE INDEX operation_unfinished ON operation (instance_id, state)"
    "    WHERE finished_at IS NULL;"
    "CREATE INDEX operation_ended_of_instance ON operation (instance_id, number)"
    "    WHERE finished_at IS NOT NULL;"
    "CREATE INDEX operation_ended_in_state ON operation (state, number)"
    "    WHERE finished_at IS NOT NULL;",

    /* 5 */
    /* How much of the time is no age, and how much longer that counts; see engine-clock.c. */
    ("ALTER TABLE heartbeat ADD COLUMN ahead INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE heartbeat ADD COLUMN ahead_left INTEGER NOT NULL DEFAULT 0;"),
};

static int refuse_newer(const struct database *d, int64_t version, struct error **err)
{
    return error_set(err, ERROR_JOURNAL,
                     "the journal %s was written by a newer stopd (its schema is %lld, this one "
                     "knows %zu); install that version again, or move the file away to begin a "
                     "new one, which forgets every stop under way",
                     d->path, (long long)version, ELEMENTSOF(steps));
}

static int refuse_stranger(const struct database *d, struct error **err)
{
    return error_set(err, ERROR_JOURNAL,
                     "%s is not a journal of stopd but some other database; set journal.path to "
                     "another file",
                     d->path);
}

static int look(struct database *d, int64_t *application, int64_t *version, struct error **err)
{
    int r = database_ask_number(d, "PRAGMA application_id", application, err);

    if (r >= 0)
        r = database_ask_number(d, "PRAGMA user_version", version, err);
    return r;
}

static int look_for_tables(struct database *d, bool *empty, struct error **err)
{
    int64_t n;
    int r = database_ask_number(d, "SELECT count(*) FROM sqlite_schema", &n, err);

    if (r >= 0)
        *empty = n == 0;
    return r;
}

static int take_step(struct database *d, size_t step, struct error **err)
{
    char mark[128];
    int r = database_execute(d, "BEGIN IMMEDIATE", err);

    snprintf(mark, sizeof(mark), "PRAGMA application_id = %d; PRAGMA user_version = %zu; COMMIT",
             APPLICATION_ID, step + 1);
    if (r >= 0)
        r = database_execute(d, steps[step], err);
    if (r >= 0)
        r = database_execute(d, mark, err);
    if (r < 0 && !sqlite3_get_autocommit(d->sqlite))
        sqlite3_exec(d->sqlite, "ROLLBACK", NULL, NULL, NULL);
    return r;
}

int schema_prepare(struct database *d, bool *fresh, struct error **err)
{
    int64_t application, version;
    int r = look(d, &application, &version, err);

    *fresh = false;
    if (r >= 0 && application == 0 && version == 0)
        r = look_for_tables(d, fresh, err);
    if (r < 0)
        return r;
    if (!*fresh && application != APPLICATION_ID)
        return refuse_stranger(d, err);
    if (version < 0 || version > (int64_t)ELEMENTSOF(steps))
        return refuse_newer(d, version, err);
    for (size_t step = (size_t)version; r >= 0 && step < ELEMENTSOF(steps); step++)
        r = take_step(d, step, err);
    return r;
}

int schema_check(struct database *d, struct error **err)
{
    int64_t application, version;
    int r = look(d, &application, &version, err);

    if (r < 0)
        return r;
    if (application != APPLICATION_ID)
        return refuse_stranger(d, err);
    if (version != (int64_t)ELEMENTSOF(steps))
        return refuse_newer(d, version, err);
    return 0;
}
