/* journal-letters.c - dead letters, and cursors that are put back
 *
 * Theory of operation. What a sink refused is written in the transaction that moves its cursor past
 * it, or in an earlier one: so it is either still to be sent, or a dead letter, or both, and never
 * neither. A crash between the two sends it again, and a second refusal is the same row. The row
 * has a copy of the event, so that a letter that nobody looks at for months does not keep the
 * outbox from forgetting what came behind it.
 *
 * A letter that is to be sent again is marked, and stays until the sink has it: the mark outlives
 * the program, and one that was dropped meanwhile does not come back by a late refusal.
 *
 * Putting a cursor back makes the letters behind it superfluous, as far as the outbox has their
 * events: they are sent with the rest. In one transaction, for the same reason as above.
 */
#include "journal/private.h"

int journal_put_dead_letter(struct journal *j, const char *sink, uint64_t sequence,
                            const char *reason, usec_t realtime, struct error **err)
{
    return journal_write(
        j,
        "INSERT INTO dead_letter (sink, sequence, id, instance_id, type, body, at, reason)"
        " SELECT ?1, sequence, id, instance_id, type, body, ?3, ?4 FROM event WHERE sequence = ?2"
        " ON CONFLICT (sink, sequence) DO UPDATE SET at = excluded.at, reason = excluded.reason",
        VALUES(text(sink), number(sequence), number(realtime), text(reason)), err);
}

int journal_refuse_dead_letter(struct journal *j, const char *sink, uint64_t sequence,
                               const char *reason, usec_t realtime, struct error **err)
{
    return journal_write(j,
                         "UPDATE dead_letter SET at = ?3, reason = ?4, mark = 0"
                         " WHERE sink = ?1 AND sequence = ?2",
                         VALUES(text(sink), number(sequence), number(realtime), text(reason)), err);
}

int journal_deliver_dead_letter(struct journal *j, const char *sink, uint64_t sequence,
                                struct error **err)
{
    return journal_write(j, "DELETE FROM dead_letter WHERE sink = ?1 AND sequence = ?2",
                         VALUES(text(sink), number(sequence)), err);
}

/* How many rows the last statement changed. */
static unsigned changed(const struct journal *j)
{
    return (unsigned)sqlite3_changes(j->database.sqlite);
}

int journal_mark_dead_letters(struct journal *j, const char *sink, uint64_t sequence, uint64_t mark,
                              unsigned most, unsigned *ret, struct error **err)
{
    int r = sequence > 0
                ? journal_write(j,
                                "UPDATE dead_letter SET mark = ?3"
                                " WHERE sink = ?1 AND sequence = ?2",
                                VALUES(text(sink), number(sequence), number(mark)), err)
                : journal_write(j,
                                "UPDATE dead_letter SET mark = ?3 WHERE sink = ?1 AND sequence IN"
                                " (SELECT sequence FROM dead_letter WHERE sink = ?1 AND mark = 0"
                                "  ORDER BY sequence LIMIT ?2)",
                                VALUES(text(sink), number(most), number(mark)), err);

    if (r >= 0)
        *ret = changed(j);
    return r;
}

int journal_drop_dead_letters(struct journal *j, const char *sink, uint64_t sequence, unsigned most,
                              unsigned *ret, struct error **err)
{
    int r = sequence > 0 ? journal_deliver_dead_letter(j, sink, sequence, err)
                         : journal_write(j,
                                         "DELETE FROM dead_letter WHERE sink = ?1 AND sequence IN"
                                         " (SELECT sequence FROM dead_letter WHERE sink = ?1"
                                         "  ORDER BY sequence LIMIT ?2)",
                                         VALUES(text(sink), number(most)), err);

    if (r >= 0)
        *ret = changed(j);
    return r;
}

int journal_rewind(struct journal *j, const char *sink, uint64_t after, struct error **err)
{
    int r = journal_write(j,
                          "INSERT INTO cursor (sink, sequence, rewound) VALUES (?1, ?2, 1)"
                          " ON CONFLICT (sink) DO UPDATE SET sequence = excluded.sequence,"
                          " rewound = 1",
                          VALUES(text(sink), number(after)), err);

    if (r >= 0)
        r = journal_write(j,
                          "DELETE FROM dead_letter WHERE sink = ?1 AND sequence > ?2 AND"
                          " sequence IN (SELECT sequence FROM event)",
                          VALUES(text(sink), number(after)), err);
    return r;
}

int journal_count_dead_letters(struct journal *j,
                               int (*each)(void *userdata, const char *sink, uint64_t n),
                               void *userdata, struct error **err)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    int r = database_query(&j->database, "SELECT sink, count(*) FROM dead_letter GROUP BY sink",
                           NO_VALUES, &q, err);

    while (r >= 0 && (r = database_next(&j->database, q, err)) > 0) {
        const char *sink = column_text(q, 0, NULL);
        uint64_t n = 0;

        if (!sink || !column_number(q, 1, &n))
            return row_damaged(q, err, "a dead letter of", sink ? sink : "(no sink)");
        r = each(userdata, sink, n);
        if (r != 0)
            return each_ended(r, err);
    }
    return r;
}

int journal_has_dead_letter(struct journal *j, const char *sink, uint64_t sequence,
                            struct error **err)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    int r =
        database_query(&j->database, "SELECT 1 FROM dead_letter WHERE sink = ?1 AND sequence = ?2",
                       VALUES(text(sink), number(sequence)), &q, err);

    return r < 0 ? r : database_next(&j->database, q, err);
}

int journal_last_mark(struct journal *j, uint64_t *ret, struct error **err)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    int r = database_query(&j->database, "SELECT max(mark) FROM dead_letter WHERE mark > 0",
                           NO_VALUES, &q, err);

    *ret = 0;
    if (r >= 0)
        r = database_next(&j->database, q, err);
    if (r < 0)
        return r;
    column_number(q, 0, ret); /* NULL where there is none */
    return 0;
}
