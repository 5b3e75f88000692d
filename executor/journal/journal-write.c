/* journal-write.c - what a turn of the loop writes down
 *
 * Each function writes one row in the transaction that the caller has begun.
 */
#include "journal/private.h"

/* Its state is one all the time until it is finished, so nothing that an index is made of changes
 * before; and by its number a row is found without any. That it is the row is looked at all the
 * same. */
static const char insert[] =
    "INSERT INTO operation (request_id, instance_id, state, finished_at, document)"
    " VALUES (?1, ?2, ?3, ?4, ?5)";
static const char go_on[] =
    "UPDATE operation SET document = ?3 WHERE number = ?1 AND request_id = ?2";
static const char finish[] = "UPDATE operation SET document = ?3, state = ?4, finished_at = ?5"
                             " WHERE number = ?1 AND request_id = ?2";

static int update_operation(struct journal *j, const struct operation *op, struct value document,
                            struct error **err)
{
    if (!operation_is_finished(op))
        return journal_write(j, go_on, VALUES(number(op->number), text(op->request_id), document),
                             err);
    return journal_write(j, finish,
                         VALUES(number(op->number), text(op->request_id), document,
                                text(instance_state_to_string(operation_state(op))),
                                number(op->finished_at)),
                         err);
}

static int insert_operation(struct journal *j, struct operation *op, struct value document,
                            struct error **err)
{
    int r = journal_write(j, insert,
                          VALUES(text(op->request_id), text(op->instance_id),
                                 text(instance_state_to_string(operation_state(op))),
                                 operation_is_finished(op) ? number(op->finished_at) : null_value(),
                                 document),
                          err);

    if (r >= 0)
        op->number = (uint64_t)sqlite3_last_insert_rowid(j->database.sqlite);
    return r;
}

int journal_put_operation(struct journal *j, struct operation *op, struct error **err)
{
    const char *written = operation_write(op, true, &j->document);
    const struct value document = {.type = VALUE_TEXT, .text = written, .size = j->document.size};
    int r;

    if (!written) {
        j->failed = true;
        return error_no_memory(err);
    }
    if (op->number > 0) {
        r = update_operation(j, op, document, err);
        if (r < 0 || sqlite3_changes(j->database.sqlite) > 0)
            return r;
    }
    /* It is new, or its row has not become durable, or somebody has deleted it by hand. */
    return insert_operation(j, op, document, err);
}

int journal_put_alias(struct journal *j, const char *request_id, const char *operation,
                      struct error **err)
{
    return journal_write(j, "INSERT INTO alias (request_id, operation) VALUES (?1, ?2)",
                         VALUES(text(request_id), text(operation)), err);
}

int journal_put_token(struct journal *j, const char *principal, const char *token,
                      const char *fingerprint, const char *request_id, usec_t realtime,
                      struct error **err)
{
    return journal_write(
        j,
        "INSERT INTO token (principal, token, fingerprint, request_id, at)"
        " VALUES (?1, ?2, ?3, ?4, ?5)",
        VALUES(text(principal), text(token), text(fingerprint), text(request_id), number(realtime)),
        err);
}

int journal_put_event(struct journal *j, const struct upstream_event *event, usec_t realtime,
                      struct error **err)
{
    const struct value body = {.type = VALUE_TEXT, .text = event->body, .size = event->body_size};

    return journal_write(j,
                         "INSERT INTO event (sequence, id, instance_id, type, at, body)"
                         " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                         VALUES(number(event->sequence), text(event->id), text(event->instance_id),
                                text(event->type), number(realtime), body),
                         err);
}

int journal_put_certificate(struct journal *j, const char *request_id, const char *target,
                            const char *document, usec_t realtime, struct error **err)
{
    return journal_write(j,
                         "INSERT INTO certificate (request_id, target, at, document)"
                         " VALUES (?1, ?2, ?3, ?4)"
                         " ON CONFLICT (request_id, target) DO UPDATE SET at = excluded.at,"
                         " document = excluded.document",
                         VALUES(text(request_id), text(target), number(realtime), text(document)),
                         err);
}

int journal_put_cursor(struct journal *j, const char *sink, uint64_t sequence, struct error **err)
{
    return journal_write(j,
                         "INSERT INTO cursor (sink, sequence) VALUES (?1, ?2)"
                         " ON CONFLICT (sink) DO UPDATE SET sequence = excluded.sequence,"
                         " rewound = 0",
                         VALUES(text(sink), number(sequence)), err);
}

int journal_touch(struct journal *j, const struct heartbeat *h, struct error **err)
{
    return journal_write(j,
                         "INSERT INTO heartbeat (only, at, ahead, ahead_left)"
                         " VALUES (1, ?1, ?2, ?3)"
                         " ON CONFLICT (only) DO UPDATE SET at = excluded.at,"
                         " ahead = excluded.ahead, ahead_left = excluded.ahead_left",
                         VALUES(number(h->at), number(h->ahead), number(h->ahead_left)), err);
}

int journal_put_reported(struct journal *j, const struct reported *r, struct error **err)
{
    char domain[UUID_TEXT_SIZE];

    uuid_unparse_lower(r->domain, domain);
    return journal_write(
        j,
        "INSERT INTO reported (domain, instance_id, state, boot_id, pid, start_time, facts)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
        " ON CONFLICT (domain) DO UPDATE SET instance_id = excluded.instance_id,"
        " state = excluded.state, boot_id = excluded.boot_id, pid = excluded.pid,"
        " start_time = excluded.start_time, facts = excluded.facts",
        VALUES(text(domain), text(r->instance_id), text(instance_state_to_string(r->state)),
               text(r->incarnation.boot_id), number((uint64_t)r->incarnation.pid),
               number(r->incarnation.start_time), text(r->facts)),
        err);
}

int journal_forget_reported(struct journal *j, const uuid_t domain, struct error **err)
{
    char name[UUID_TEXT_SIZE];

    uuid_unparse_lower(domain, name);
    return journal_write(j, "DELETE FROM reported WHERE domain = ?1", VALUES(text(name)), err);
}
