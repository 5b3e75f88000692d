/* database.h - one SQLite connection: statements that are kept, rows that are read with suspicion
 *
 * Used on one thread at a time. Errors are sentences for the operator and name the file. */
#ifndef STOPD_JOURNAL_DATABASE_H
#define STOPD_JOURNAL_DATABASE_H

#include "stopd/error.h"

#include <sqlite3.h>

/* As many statements as one connection keeps. */
#define DATABASE_STATEMENTS 48

struct database {
    sqlite3 *sqlite;
    char *path;
    bool is_damaged; /* it was seen to be */
    int errnum;      /* of the last step that failed; 0: not known */
    struct kept_statement {
        const char *sql; /* known by its address */
        sqlite3_stmt *statement;
    } kept[DATABASE_STATEMENTS];
};

enum database_mode { DATABASE_READ, DATABASE_WRITE };

/* Opens a file that exists, or ":memory:". database_close() is owed also after a failure. */
int database_open(struct database *d, const char *path, enum database_mode mode,
                  struct error **err);
void database_close(struct database *d);

/* What went wrong on this connection just now, as a sentence that says what helps. doing: a word or
 * two such as "reading". */
int database_error(struct database *d, struct error **err, const char *doing);
/* Two of them, where it is not SQLite that says so. */
int database_damaged(struct database *d, struct error **err, const char *how);
int database_read_only(const struct database *d, struct error **err);
/* Was it for want of room on the disk? */
bool database_wants_room(const struct database *d);

/* A value for a statement's parameter. Text is not copied: it outlives the statement's run. */
struct value {
    enum { VALUE_NULL, VALUE_NUMBER, VALUE_TEXT } type;
    int64_t number;
    const char *text;
    size_t size;
};

static inline struct value null_value(void)
{
    return (struct value){.type = VALUE_NULL};
}

static inline struct value number(uint64_t n)
{
    return (struct value){.type = VALUE_NUMBER, .number = (int64_t)n};
}

struct value text(const char *s); /* NULL is SQL's NULL */

/* The values of a statement's parameters, in their order. */
struct values {
    const struct value *items;
    size_t n;
};
#define NO_VALUES ((struct values){0})
#define VALUES(...)                                       \
    ((struct values){(const struct value[]){__VA_ARGS__}, \
                     sizeof((const struct value[]){__VA_ARGS__}) / sizeof(struct value)})

/* Prepares a statement that later must not fail for want of memory. */
int database_prepare(struct database *d, const char *sql, struct error **err);
/* Runs a statement to its end; rows are thrown away. sql has to be a literal: the statement is
 * prepared at its first use and kept under the literal's address. */
int database_run(struct database *d, const char *sql, struct values values, struct error **err);

/* Starts a query; the statement goes back to the database with _cleanup_(query) sqlite3_stmt *q. */
int database_query(struct database *d, const char *sql, struct values values, sqlite3_stmt **ret,
                   struct error **err);
/* 1: there is a row, 0: the end, or a negative errno. */
int database_next(struct database *d, sqlite3_stmt *q, struct error **err);
void query_cleanup(sqlite3_stmt **q);

/* A pragma or a schema's SQL: run once, not kept. */
int database_execute(struct database *d, const char *sql, struct error **err);
/* What a pragma such as user_version answers, as a number or as (the beginning of) a text. */
#define DATABASE_ANSWER 128
int database_ask_number(struct database *d, const char *sql, int64_t *ret, struct error **err);
int database_ask_text(struct database *d, const char *sql, char ret[static DATABASE_ANSWER],
                      struct error **err);

/* Columns of the row at hand. A file can hold anything: what is not text without a NUL is NULL,
 * what is not a number from 0 on is false, and then *ret is untouched. */
const char *column_text(sqlite3_stmt *q, int column, size_t *size);
bool column_number(sqlite3_stmt *q, int column, uint64_t *ret);
/* Was one of them NULL or false because there was no memory to read it? */
bool column_had_no_memory(sqlite3_stmt *q);

#endif
