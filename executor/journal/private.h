/* private.h - what the journal's files share among themselves */
#ifndef STOPD_JOURNAL_PRIVATE_H
#define STOPD_JOURNAL_PRIVATE_H

#include "journal/database.h"
#include "journal/journal.h"
#include "journal/reserve.h"

struct journal {
    struct database database;
    struct reserve reserve;
    int lock;    /* of PATH.lock; -1 in memory */
    bool failed; /* a write in the open transaction failed: it is not to be committed */
    struct json_writer document; /* of the operation that is being written */
    bool wants_room;             /* the last transaction that failed did so on a full disk */
};

struct journal_reader {
    struct database database;
};

/* Makes the schema in an empty database, brings an older one up to date, refuses any other. */
int schema_prepare(struct database *d, bool *fresh, struct error **err);
/* Is this a journal, and of the schema that is known here? */
int schema_check(struct database *d, struct error **err);

/* One write within the open transaction. */
int journal_write(struct journal *j, const char *sql, struct values values, struct error **err);

/* Rows as values; an error names the row. */
int document_of_row(sqlite3_stmt *q, json_object **ret,
                    struct error **err); /* request_id, document */
/* sequence, id, instance_id, type, body; ret points into the row. */
int event_of_row(sqlite3_stmt *q, struct upstream_event *ret, struct error **err);
/* The columns of the table, in its order. */
int reported_of_row(sqlite3_stmt *q, struct reported *ret, struct error **err);
/* Or there was no memory to read it: then the error says that. */
int row_damaged(sqlite3_stmt *q, struct error **err, const char *row, const char *name);

/* What a reading function returns whose callback returned r, which is not 0. */
int each_ended(int r, struct error **err);

#endif
