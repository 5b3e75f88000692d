/* sink.c - a sink that takes most events and refuses some for good, and the relay that tells of it
 *
 * Theory of operation. Rule 4: none is lost. Whatever fails, and wherever stopd dies, what the
 * journal's cursor is past has been offered to the sink; and of that, what the sink refused is a
 * dead letter, each once. The sink is of one mind: it refuses the same events each time. A relay
 * begins where the journal says, so that a cursor that is ahead of the truth skips events.
 */
#include "simulation/life.h"

#include "journal/private.h"

#define SINK "file"

static bool is_refused(uint64_t sequence)
{
    return sequence % 5 == 2;
}

static uint64_t refused_up_to(uint64_t sequence)
{
    uint64_t n = 0;

    for (uint64_t i = 1; i <= sequence; i++)
        n += is_refused(i);
    return n;
}

static void report(struct life *life, enum sink_news news, uint64_t sequence)
{
    struct sink_report *r = sink_report_new(news, SINK, sequence, "it is refused", 0);

    if (!r)
        abort();
    engine_take_sink_report(life->engine, r);
}

static uint64_t cursor_of(struct life *life)
{
    uint64_t cursor = 0;

    if (journal_load_cursor(life->journal, SINK, &cursor, NULL) < 0)
        abort();
    return cursor;
}

void sink_configure(struct life *life)
{
    static const char *const sinks[] = {SINK};

    life->settings.sinks = sinks;
    life->settings.n_sinks = ELEMENTSOF(sinks);
    life->sink.position = cursor_of(life);
}

void sink_run(struct life *life)
{
    struct simulated_sink *s = &life->sink;
    uint64_t behind = s->notified > s->position ? s->notified - s->position : 0;

    if (behind == 0 || !dice_percent(&life->dice, 30))
        return;
    for (uint64_t n = 1 + dice_below(&life->dice, (uint32_t)behind); n > 0; n--) {
        s->position++;
        if (s->position > s->offered)
            s->offered = s->position;
        if (is_refused(s->position))
            report(life, SINK_SET_ASIDE, s->position);
    }
    report(life, SINK_MOVED, s->position);
}

static uint64_t letters_up_to(struct life *life, uint64_t sequence)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    uint64_t n = 0;

    if (database_query(&life->journal->database,
                       "SELECT count(*) FROM dead_letter WHERE sequence <= ?1",
                       VALUES(number(sequence)), &q, NULL) < 0 ||
        database_next(&life->journal->database, q, NULL) <= 0 || !column_number(q, 0, &n))
        abort();
    return n;
}

void sink_check(struct life *life)
{
    uint64_t cursor = cursor_of(life), letters;

    if (cursor == life->sink.checked)
        return;
    life->sink.checked = cursor;
    if (cursor > life->sink.offered)
        rule_broken(life, "4.4 outbox", "the cursor is at %llu, the sink has heard up to %llu",
                    (unsigned long long)cursor, (unsigned long long)life->sink.offered);
    letters = letters_up_to(life, cursor);
    if (letters != refused_up_to(cursor))
        rule_broken(life, "4.4 outbox", "up to %llu there are %llu dead letters, and %llu refusals",
                    (unsigned long long)cursor, (unsigned long long)letters,
                    (unsigned long long)refused_up_to(cursor));
}
