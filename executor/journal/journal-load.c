/* journal-load.c - what the engine reads back, on the writer's own connection */
#include "base/json.h"
#include "journal/private.h"

#include <errno.h>
#include <string.h>

/* The row as an operation that is still to be brought to its end. */
static int unfinished_of_row(sqlite3_stmt *q, struct operation **ret, struct error **err)
{
    _cleanup_(operation_free) struct operation *op = NULL;
    _cleanup_(json) json_object *document = NULL;
    int r = document_of_row(q, &document, err);

    if (r < 0)
        return r;
    r = operation_from_journal(document, &op, NULL);
    if (r == -ENOMEM)
        return error_no_memory(err);
    if (r < 0 || operation_is_finished(op) || !column_number(q, 2, &op->number))
        return row_damaged(q, err, "operation", column_text(q, 0, NULL));
    *ret = take(op);
    return 0;
}

int journal_load_unfinished(struct journal *j, int (*each)(void *userdata, struct operation *op),
                            void *userdata, struct error **err)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    int r = database_query(&j->database,
                           "SELECT request_id, document, number FROM operation WHERE number IN"
                           " (SELECT number FROM operation WHERE finished_at IS NULL)"
                           " ORDER BY number",
                           NO_VALUES, &q, err);

    if (r < 0)
        return r;
    while ((r = database_next(&j->database, q, err)) > 0) {
        struct operation *op = NULL;

        r = unfinished_of_row(q, &op, err);
        if (r < 0)
            return r;
        r = each(userdata, op);
        if (r != 0)
            return each_ended(r, err);
    }
    return r;
}

int journal_load_reported(struct journal *j, int (*each)(void *userdata, const struct reported *r),
                          void *userdata, struct error **err)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    int r = database_query(&j->database,
                           "SELECT domain, instance_id, state, boot_id, pid, start_time, facts"
                           " FROM reported ORDER BY domain",
                           NO_VALUES, &q, err);

    if (r < 0)
        return r;
    while ((r = database_next(&j->database, q, err)) > 0) {
        struct reported reported;

        r = reported_of_row(q, &reported, err);
        if (r < 0)
            return r;
        r = each(userdata, &reported);
        reported_clear(&reported);
        if (r != 0)
            return each_ended(r, err);
    }
    return r;
}

int journal_last_sequence(struct journal *j, uint64_t *ret, struct error **err)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    int r = database_query(&j->database, "SELECT max(sequence) FROM event", NO_VALUES, &q, err);

    if (r >= 0)
        r = database_next(&j->database, q, err);
    if (r < 0)
        return r;
    *ret = 0;
    column_number(q, 0, ret); /* NULL where there is no event */
    return 0;
}

int journal_last_touch(struct journal *j, struct heartbeat *ret, struct error **err)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    int r = database_query(&j->database, "SELECT at, ahead, ahead_left FROM heartbeat", NO_VALUES,
                           &q, err);

    if (r >= 0)
        r = database_next(&j->database, q, err);
    if (r > 0 && !(column_number(q, 0, &ret->at) && column_number(q, 1, &ret->ahead) &&
                   column_number(q, 2, &ret->ahead_left)))
        return row_damaged(q, err, "heartbeat", "1");
    return r;
}

int journal_load_cursor(struct journal *j, const char *sink, uint64_t *ret, struct error **err)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    int r = database_query(&j->database, "SELECT sequence FROM cursor WHERE sink = ?1",
                           VALUES(text(sink)), &q, err);

    if (r >= 0)
        r = database_next(&j->database, q, err);
    if (r < 0)
        return r;
    *ret = 0;
    if (r > 0 && !column_number(q, 0, ret))
        return row_damaged(q, err, "the cursor of", sink);
    return 0;
}

int journal_find_token(struct journal *j, const char *principal, const char *token,
                       char **fingerprint, char **request_id, struct error **err)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    _cleanup_(freep) char *parameters = NULL, *answer = NULL;
    size_t size = 0;
    int r = database_query(&j->database,
                           "SELECT fingerprint, request_id FROM token"
                           " WHERE principal = ?1 AND token = ?2",
                           VALUES(text(principal), text(token)), &q, err);

    if (r >= 0)
        r = database_next(&j->database, q, err);
    if (r <= 0)
        return r;
    if (!column_text(q, 0, NULL) || !column_text(q, 1, &size) || size != UUID_TEXT_SIZE - 1)
        return row_damaged(q, err, "ClientToken", token);
    if (text_replace(&parameters, column_text(q, 0, NULL)) < 0 ||
        text_replace(&answer, column_text(q, 1, NULL)) < 0 || column_had_no_memory(q))
        return error_no_memory(err);
    *fingerprint = take(parameters);
    *request_id = take(answer);
    return 1;
}

int journal_resolve(struct journal *j, const char *request_id, char ret[static UUID_TEXT_SIZE],
                    struct error **err)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    const char *found;
    int r = database_query(&j->database,
                           "SELECT request_id FROM operation WHERE request_id ="
                           " coalesce((SELECT operation FROM alias WHERE request_id = ?1), ?1)",
                           VALUES(text(request_id)), &q, err);

    if (r >= 0)
        r = database_next(&j->database, q, err);
    if (r <= 0)
        return r;
    found = column_text(q, 0, NULL);
    if (!found || strlen(found) >= UUID_TEXT_SIZE)
        return row_damaged(q, err, "operation", request_id);
    memcpy(ret, found, strlen(found) + 1);
    return 1;
}
