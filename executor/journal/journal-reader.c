/* journal-reader.c - the journal for everybody else: the API's threads, the sinks
 *
 * Theory of operation. A reader sees what was committed when its query began, and holds nobody up.
 * It does hold up the log, which cannot begin anew while a query is open: a callback has to be
 * quick, and what is slow (a sink, a client) works on copies.
 */
#include "base/json.h"
#include "journal/private.h"

#include <errno.h>

int journal_reader_open(const char *path, struct journal_reader **ret, struct error **err)
{
    _cleanup_(journal_reader_close) struct journal_reader *reader = calloc(1, sizeof(*reader));
    int r;

    if (!reader)
        return error_no_memory(err);
    r = database_open(&reader->database, path, DATABASE_READ, err);
    if (r >= 0)
        r = schema_check(&reader->database, err);
    if (r < 0)
        return r;
    *ret = take(reader);
    return 0;
}

void journal_reader_close(struct journal_reader *reader)
{
    if (!reader)
        return;
    database_close(&reader->database);
    free(reader);
}

static int public_document_of_row(sqlite3_stmt *q, json_object **ret, struct error **err)
{
    int r = document_of_row(q, ret, err);

    if (r >= 0)
        operation_document_publish(*ret);
    return r;
}

int journal_read_operation(struct journal_reader *reader, const char *request_id, json_object **ret,
                           struct error **err)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    int r = database_query(&reader->database,
                           "SELECT request_id, document FROM operation WHERE request_id ="
                           " coalesce((SELECT operation FROM alias WHERE request_id = ?1), ?1)",
                           VALUES(text(request_id)), &q, err);

    if (r >= 0)
        r = database_next(&reader->database, q, err);
    if (r <= 0)
        return r;
    r = public_document_of_row(q, ret, err);
    return r < 0 ? r : 1;
}

#define SELECT_OPERATION "SELECT request_id, document FROM operation WHERE "
#define NEWEST_FIRST " ORDER BY number DESC LIMIT ?1"
/* Those that are unfinished have an index of their own: few of them are of an instance, and all are
 * in few states. */
#define SELECT_OF_BOTH(where)                                                              \
    SELECT_OPERATION                                                                       \
    "number IN"                                                                            \
    " (SELECT number FROM operation INDEXED BY operation_unfinished"                       \
    "  WHERE finished_at IS NULL AND " where " UNION ALL"                                  \
    "  SELECT number FROM operation WHERE finished_at IS NOT NULL AND " where NEWEST_FIRST \
    ")" NEWEST_FIRST

/* A statement for each combination, so that each is served by the index that fits it: an instance
 * has few operations and a state may have very many, so "+state" keeps its index out. */
static int query_operations(struct database *d, const char *instance_id, const char *state,
                            unsigned limit, sqlite3_stmt **ret, struct error **err)
{
    if (instance_id && state)
        return database_query(d, SELECT_OF_BOTH("instance_id = ?2 AND +state = ?3"),
                              VALUES(number(limit), text(instance_id), text(state)), ret, err);
    if (instance_id)
        return database_query(d, SELECT_OF_BOTH("instance_id = ?2"),
                              VALUES(number(limit), text(instance_id)), ret, err);
    if (state)
        return database_query(d, SELECT_OF_BOTH("state = ?2"), VALUES(number(limit), text(state)),
                              ret, err);
    return database_query(d, SELECT_OPERATION "true" NEWEST_FIRST, VALUES(number(limit)), ret, err);
}

static int list_documents(struct journal_reader *reader, sqlite3_stmt *q, json_object **ret,
                          struct error **err)
{
    _cleanup_(json) json_object *list = json_object_new_array();
    int r;

    if (!list)
        return error_no_memory(err);
    while ((r = database_next(&reader->database, q, err)) > 0) {
        json_object *document = NULL;

        r = public_document_of_row(q, &document, err);
        if (r < 0)
            return r;
        if (json_append(list, document) < 0)
            return error_no_memory(err);
    }
    if (r >= 0)
        *ret = take(list);
    return r;
}

int journal_read_operations(struct journal_reader *reader, const char *instance_id,
                            const char *state, unsigned limit, json_object **ret,
                            struct error **err)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    int r = query_operations(&reader->database, instance_id, state, limit, &q, err);

    return r < 0 ? r : list_documents(reader, q, ret, err);
}

int journal_read_unfinished(struct journal_reader *reader, unsigned limit, json_object **ret,
                            struct error **err)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    int r = database_query(&reader->database,
                           SELECT_OPERATION "number IN (SELECT number FROM operation"
                                            " WHERE finished_at IS NULL)" NEWEST_FIRST,
                           VALUES(number(limit)), &q, err);

    return r < 0 ? r : list_documents(reader, q, ret, err);
}

int journal_read_events(struct journal_reader *reader, uint64_t after, unsigned limit,
                        int (*each)(void *userdata, const struct upstream_event *e), void *userdata,
                        struct error **err)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    int r = database_query(&reader->database,
                           "SELECT sequence, id, instance_id, type, body FROM event"
                           " WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
                           VALUES(number(after), number(limit)), &q, err);

    if (r < 0)
        return r;
    while ((r = database_next(&reader->database, q, err)) > 0) {
        struct upstream_event event;

        r = event_of_row(q, &event, err);
        if (r < 0)
            return r;
        r = each(userdata, &event);
        if (r != 0)
            return each_ended(r, err);
    }
    return r;
}

int journal_read_event_sequence(struct journal_reader *reader, const char *id, uint64_t *ret,
                                struct error **err)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    int r = database_query(&reader->database, "SELECT sequence FROM event WHERE id = ?1",
                           VALUES(text(id)), &q, err);

    if (r >= 0)
        r = database_next(&reader->database, q, err);
    if (r > 0 && !column_number(q, 0, ret))
        r = row_damaged(q, err, "the sequence of", id);
    return r;
}

int journal_read_cursor(struct journal_reader *reader, const char *sink, uint64_t *ret,
                        bool *rewound, struct error **err)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    uint64_t flag = 0;
    int r =
        database_query(&reader->database, "SELECT sequence, rewound FROM cursor WHERE sink = ?1",
                       VALUES(text(sink)), &q, err);

    *rewound = false;
    if (r >= 0)
        r = database_next(&reader->database, q, err);
    if (r > 0 && (!column_number(q, 0, ret) || !column_number(q, 1, &flag)))
        r = row_damaged(q, err, "the cursor of", sink);
    if (r > 0)
        *rewound = flag != 0;
    return r;
}

/* One row's {target, certificate}. */
static int certificate_of_row(sqlite3_stmt *q, json_object **ret)
{
    _cleanup_(json) json_object *o = json_object_new_object(), *certificate = NULL;
    size_t size = 0;
    const char *target = column_text(q, 0, NULL), *document = column_text(q, 1, &size);
    int r = target && document ? json_parse_object(document, size, &certificate) : -EINVAL;

    if (r < 0)
        return r;
    if (!o || json_add_string(o, "target", target) < 0 ||
        json_add(o, "certificate", take(certificate)) < 0)
        return -ENOMEM;
    *ret = take(o);
    return 0;
}

static int add_certificates(struct journal_reader *reader, const char *request_id,
                            json_object *array, struct error **err)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    int r = database_query(&reader->database,
                           "SELECT target, document FROM certificate WHERE request_id = ?1"
                           " ORDER BY target",
                           VALUES(text(request_id)), &q, err);

    while (r >= 0 && (r = database_next(&reader->database, q, err)) > 0) {
        json_object *certificate;

        r = certificate_of_row(q, &certificate);
        if (r == 0)
            r = json_append(array, certificate);
        if (r < 0)
            return r == -ENOMEM ? error_no_memory(err)
                                : row_damaged(q, err, "certificate", request_id);
    }
    return r;
}

int journal_read_certificates(struct journal_reader *reader, const char *request_id,
                              json_object **ret, struct error **err)
{
    _cleanup_(json) json_object *operation = NULL, *o = json_object_new_object();
    json_object *array = json_object_new_array();
    const char *own;
    int r = journal_read_operation(reader, request_id, &operation, err);

    if (r <= 0) {
        json_object_put(array);
        return r;
    }
    if (!o || json_get_string(operation, "requestId", &own) < 0 ||
        json_add_string(o, "requestId", own) < 0) {
        json_object_put(array);
        return error_no_memory(err);
    }
    if (json_add(o, "certificates", array) < 0)
        return error_no_memory(err);
    r = add_certificates(reader, own, array, err);
    if (r < 0)
        return r;
    *ret = take(o);
    return 1;
}
