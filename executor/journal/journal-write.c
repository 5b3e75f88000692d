/* journal-write.c - what a turn of the loop writes down
 *
 * Each function is one statement in the transaction that the caller has begun.
 */
#include "journal/private.h"

/* Its state is one all the time until it is finished, so nothing that an index is made of changes
 * before. */
static const char put_unfinished[] =
    "INSERT INTO operation (request_id, instance_id, state, finished_at, document)"
    " VALUES (?1, ?2, ?3, ?4, ?5)"
    " ON CONFLICT (request_id) DO UPDATE SET document = excluded.document";
static const char put_finished[] =
    "INSERT INTO operation (request_id, instance_id, state, finished_at, document)"
    " VALUES (?1, ?2, ?3, ?4, ?5)"
    " ON CONFLICT (request_id) DO UPDATE SET state = excluded.state,"
    " finished_at = excluded.finished_at, document = excluded.document";

int journal_put_operation(struct journal *j, const struct operation *op, struct error **err)
{
    const char *document = operation_write(op, true, &j->document);
    bool finished = operation_is_finished(op);

    if (!document) {
        j->failed = true;
        return error_no_memory(err);
    }
    return journal_write(
        j, finished ? put_finished : put_unfinished,
        VALUES(text(op->request_id), text(op->instance_id),
               text(instance_state_to_string(operation_state(op))),
               finished ? number(op->finished_at) : null_value(),
               (struct value){.type = VALUE_TEXT, .text = document, .size = j->document.size}),
        err);
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
