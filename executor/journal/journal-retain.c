/* journal-retain.c - what may be forgotten
 *
 * Theory of operation. Finished operations go by when they finished, with their other RequestIds;
 * tokens by when they were given. Events are an outbox: they leave it from its oldest end only, so
 * that what is left is always one unbroken run of sequences, and none leaves that a sink still has
 * to get, however old it is. A sink that has never stored a cursor has got nothing yet. What a sink
 * refused counts as got: a dead letter has a copy of its event, and stays without a time limit.
 *
 * The newest event stays whatever its age, for it is what the next sequence is counted from: a
 * sequence that began anew would fall behind every cursor.
 *
 * A call has a budget of rows, because the loop waits for it; its caller comes again.
 */
#include "journal/private.h"

/* How many rows the last statement deleted, itself alone. */
static unsigned dropped(const struct journal *j)
{
    return (unsigned)sqlite3_changes(j->database.sqlite);
}

static int drop_operations(struct journal *j, usec_t before, unsigned *budget, struct error **err)
{
    int r = journal_write(j,
                          "DELETE FROM operation WHERE number IN"
                          " (SELECT number FROM operation WHERE finished_at < ?1"
                          "  ORDER BY finished_at LIMIT ?2)",
                          VALUES(number(before), number(*budget)), err);

    if (r >= 0)
        *budget -= dropped(j);
    return r;
}

static int drop_tokens(struct journal *j, usec_t before, unsigned *budget, struct error **err)
{
    int r = journal_write(j,
                          "DELETE FROM token WHERE (principal, token) IN"
                          " (SELECT principal, token FROM token WHERE at < ?1"
                          "  ORDER BY at LIMIT ?2)",
                          VALUES(number(before), number(*budget)), err);

    if (r >= 0)
        *budget -= dropped(j);
    return r;
}

/* *ret: the last of the events from the oldest on that nobody needs any more; 0: none. */
static int last_to_drop(struct journal *j, usec_t before, uint64_t delivered, unsigned budget,
                        uint64_t *ret, struct error **err)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    uint64_t sequence, at;
    int r = database_query(&j->database,
                           "SELECT sequence, at FROM event WHERE sequence <= ?1 AND"
                           " sequence < (SELECT max(sequence) FROM event)"
                           " ORDER BY sequence LIMIT ?2",
                           VALUES(number(delivered), number(budget)), &q, err);

    *ret = 0;
    while (r >= 0) {
        r = database_next(&j->database, q, err);
        if (r <= 0 || !column_number(q, 0, &sequence) || !column_number(q, 1, &at) || at >= before)
            break;
        *ret = sequence;
    }
    return r < 0 ? r : 0;
}

static int drop_events(struct journal *j, usec_t before, const char *const *sinks, size_t n_sinks,
                       unsigned *budget, struct error **err)
{
    uint64_t delivered = INT64_MAX, cursor = 0, last = 0;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < n_sinks; i++) {
        r = journal_load_cursor(j, sinks[i], &cursor, err);
        if (cursor < delivered)
            delivered = cursor;
    }
    if (r >= 0)
        r = last_to_drop(j, before, delivered, *budget, &last, err);
    if (r >= 0 && last > 0)
        r = journal_write(j, "DELETE FROM event WHERE sequence <= ?1", VALUES(number(last)), err);
    if (r >= 0 && last > 0)
        *budget -= dropped(j);
    return r;
}

int journal_retain(struct journal *j, usec_t before, const char *const *sinks, size_t n_sinks,
                   unsigned most, struct error **err)
{
    unsigned budget = most;
    int r = drop_operations(j, before, &budget, err);

    if (r >= 0)
        r = drop_tokens(j, before, &budget, err);
    if (r >= 0)
        r = drop_events(j, before, sinks, n_sinks, &budget, err);
    return r < 0 ? r : (int)(most - budget);
}
