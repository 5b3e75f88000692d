/* witness-sinks.c - what a sink may be sent, and what becomes of what it refuses
 *
 * Theory of operation. An event comes to a sink in its turn: behind the one before it, with the id
 * that it has always had, and only once it is in the journal for good. A relay goes back only to
 * where the cursor in the journal stands, and to a sink that says what it has only where somebody
 * has put that cursor back. The cursor itself goes back for nobody but an operator who asked.
 *
 * Of what the cursor is past, the events that were refused are dead letters, and no others. One is
 * sent again when an operator wants that, and then it is; one that was delivered so, or dropped, is
 * none any more and does not come back.
 *
 * What an operator asked for counts from the commit on, known or not; where stopd died over it, it
 * has come about or never will.
 */
#include "simulation/sink.h"

#include "simulation/census.h"
#include "simulation/life.h"

#include "journal/private.h"

#include <stdio.h>
#include <string.h>

static unsigned long long ull(uint64_t n)
{
    return (unsigned long long)n;
}

static struct seen_event *event_at(const struct sink *s, uint64_t sequence)
{
    return sequence > 0 && sequence <= s->n ? &s->seen[sequence - 1] : NULL;
}

void sink_clear(struct sink *s)
{
    free(s->seen);
}

/* --- What was asked ------------------------------------------------------------------------- */

/* Has somebody asked for this, and may it be what happens now? after 0 of letters is all. */
static const struct ask *asked_for(const struct sink *s, enum request_kind kind, uint64_t after)
{
    for (const struct ask *a = s->life->witness.asks; a; a = a->next) {
        bool may_be = !a->is_answered || a->code == ERROR_INTERNAL;

        if (a->kind == kind && may_be && !a->is_void && text_equal(a->named, sink_name(s)) &&
            (a->after == after || (kind != REQUEST_REWIND_SINK && a->after == 0)))
            return a;
    }
    return NULL;
}

/* --- What its relay reads ------------------------------------------------------------------- */

static sqlite3_stmt *ask_letters(const struct sink *s)
{
    sqlite3_stmt *q = NULL;

    if (database_query(&s->life->journal->database,
                       "SELECT sequence, mark FROM dead_letter WHERE sink = ?1",
                       VALUES(text(sink_name(s))), &q, NULL) < 0)
        abort();
    return q;
}

static bool next_letter(const struct sink *s, sqlite3_stmt *q, uint64_t *sequence, uint64_t *mark)
{
    if (database_next(&s->life->journal->database, q, NULL) <= 0)
        return false;
    if (!column_number(q, 0, sequence) || !column_number(q, 1, mark))
        abort();
    return true;
}

static void note_readable(struct sink *s)
{
    _cleanup_(query) sqlite3_stmt *q = ask_letters(s);
    uint64_t sequence, mark;

    for (size_t i = 0; i < s->n; i++)
        s->seen[i].is_readable = false;
    while (next_letter(s, q, &sequence, &mark))
        if (event_at(s, sequence))
            event_at(s, sequence)->is_readable = mark > 0;
}

static bool is_owed_more(const struct sink *s, uint64_t after)
{
    for (uint64_t i = after + 1; i <= s->n; i++)
        if (event_at(s, i)->is_owed)
            return true;
    return false;
}

static void check_going_back(struct sink *s, uint64_t after)
{
    struct life *life = s->life;

    census_count("rule", "4.4 again");
    if (after < s->cursor)
        rule_broken(life, "4.4 again",
                    "the relay of sink %s goes back to %llu, and its cursor is %llu", sink_name(s),
                    ull(after), ull(s->cursor));
    if (!s->says_last)
        return;
    census_count("rule", "4.4 once");
    if (!s->is_rewound && !is_owed_more(s, after))
        rule_broken(
            life, "4.4 once",
            "the relay of sink %s goes back to %llu, and the sink has said that it has %llu",
            sink_name(s), ull(after), ull(s->held));
}

void sink_sees_reading(struct sink *s, bool of_letters, uint64_t after)
{
    s->reads_letters = of_letters;
    if (of_letters) {
        s->last_letter = after;
        note_readable(s);
        return;
    }
    if (after > s->last)
        rule_broken(s->life, "4.4 order", "the relay of sink %s goes on to %llu, and was at %llu",
                    sink_name(s), ull(after), ull(s->last));
    if (after < s->last)
        check_going_back(s, after);
    s->last = after;
}

/* --- What it sees --------------------------------------------------------------------------- */

/* Old events leave the journal; one that is sent once more may have left it before. */
static bool is_next(const struct sink *s, uint64_t sequence)
{
    int64_t n = 0;
    char sql[128];

    if (sequence == s->last + 1)
        return true;
    if (sequence <= s->last || sequence > s->n + 1)
        return false;
    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM event WHERE sequence > %llu AND sequence < %llu", ull(s->last),
             ull(sequence));
    if (database_ask_number(&s->life->journal->database, sql, &n, NULL) < 0)
        abort();
    return s->life->temper.is_forgetful && n == 0;
}

/* It has not had this one before. */
static void take_down(struct sink *s, const struct upstream_event *e)
{
    for (size_t i = 0; i < s->n; i++)
        if (text_equal(s->seen[i].id, e->id))
            rule_broken(s->life, "4.4 id", "events %zu and %llu have one id", i + 1,
                        ull(e->sequence));
    if (s->n == s->room) {
        s->room = s->room ? 2 * s->room : 32;
        s->seen = realloc(s->seen, s->room * sizeof(*s->seen));
        if (!s->seen)
            abort();
    }
    s->seen[s->n] = (struct seen_event){0};
    memcpy(s->seen[s->n++].id, e->id, UUID_TEXT_SIZE);
}

static void see_in_turn(struct sink *s, const struct upstream_event *e, bool is_taken)
{
    struct seen_event *seen;

    census_count("rule", "4.4 order");
    if (!is_next(s, e->sequence))
        rule_broken(s->life, "4.4 order", "sink %s is sent event %llu behind event %llu",
                    sink_name(s), ull(e->sequence), ull(s->last));
    s->last = s->held = e->sequence;
    seen = event_at(s, e->sequence);
    seen->is_owed = seen->is_wanted = false;
    seen->letter = is_taken ? LETTER_NONE : LETTER_KEPT;
}

static void see_letter(struct sink *s, const struct upstream_event *e, bool is_taken)
{
    struct seen_event *seen = event_at(s, e->sequence);

    census_count("rule", "4.4 letter");
    if (!seen->is_readable)
        rule_broken(s->life, "4.4 letter",
                    "event %llu is sent to sink %s as a letter that nobody wants again",
                    ull(e->sequence), sink_name(s));
    if (e->sequence <= s->last_letter)
        rule_broken(s->life, "4.4 letter", "letter %llu is sent behind letter %llu",
                    ull(e->sequence), ull(s->last_letter));
    s->last_letter = e->sequence;
    seen->is_wanted = false;
    if (is_taken || seen->letter == LETTER_GOING)
        seen->letter = LETTER_MAYBE;
}

void sink_sees_event(struct sink *s, const struct upstream_event *e, bool is_taken)
{
    const struct seen_event *seen = event_at(s, e->sequence);

    if (e->sequence > s->life->witness.sequence || (!seen && e->sequence != s->n + 1)) {
        rule_broken(s->life, e->sequence > s->life->witness.sequence ? "4.4 outbox" : "4.4 order",
                    "event %llu is sent to sink %s, which has got %zu", ull(e->sequence),
                    sink_name(s), s->n);
        return;
    }
    census_count("rule", "4.4 id");
    if (!seen)
        take_down(s, e);
    else if (!text_equal(seen->id, e->id))
        rule_broken(s->life, "4.4 id", "event %llu is sent again with another id",
                    ull(e->sequence));
    s->has_letters |= !is_taken;
    (s->reads_letters ? see_letter : see_in_turn)(s, e, is_taken);
}

void sink_sees_answer(struct sink *s, const struct upstream_event *events, size_t n)
{
    for (size_t i = 0; i < n && s->reads_letters; i++)
        event_at(s, events[i].sequence)->letter = LETTER_GOING;
}

/* --- What the journal has ------------------------------------------------------------------- */

static void check_cursor(struct sink *s)
{
    struct life *life = s->life;
    _cleanup_(query) sqlite3_stmt *q = NULL;
    uint64_t cursor = 0, rewound = 0;

    if (database_query(&life->journal->database,
                       "SELECT sequence, rewound FROM cursor WHERE sink = ?1",
                       VALUES(text(sink_name(s))), &q, NULL) < 0)
        abort();
    if (database_next(&life->journal->database, q, NULL) > 0 &&
        (!column_number(q, 0, &cursor) || !column_number(q, 1, &rewound)))
        abort();
    census_count("rule", "4.4 cursor");
    if (cursor > s->n)
        rule_broken(life, "4.4 cursor", "the cursor of sink %s is %llu, and it has got %zu",
                    sink_name(s), ull(cursor), s->n);
    if ((cursor < s->cursor || (rewound && !s->is_rewound)) &&
        !asked_for(s, REQUEST_REWIND_SINK, cursor))
        rule_broken(life, "4.4 cursor",
                    "the cursor of sink %s goes back from %llu to %llu, which "
                    "nobody wanted",
                    sink_name(s), ull(s->cursor), ull(cursor));
    s->cursor = cursor;
    s->is_rewound = rewound;
}

/* The journal has no such letter. */
static void see_no_letter(struct sink *s, struct seen_event *e, uint64_t sequence)
{
    if (e->letter == LETTER_KEPT && sequence <= s->cursor &&
        !asked_for(s, REQUEST_DROP_LETTERS, sequence))
        rule_broken(s->life, "4.4 dead letters",
                    "event %llu was refused by sink %s, and is no dead letter", ull(sequence),
                    sink_name(s));
    /* One that is behind a cursor that was put back is sent in its turn, and refused or not. */
    if (e->letter != LETTER_KEPT || asked_for(s, REQUEST_DROP_LETTERS, sequence))
        e->letter = LETTER_NONE;
    e->is_wanted = false;
    e->mark = 0;
}

static void see_kept_letter(struct sink *s, struct seen_event *e, uint64_t sequence, uint64_t mark)
{
    struct life *life = s->life;

    if (e->letter == LETTER_NONE && sequence <= s->cursor)
        rule_broken(life, "4.4 dropped",
                    "event %llu is a dead letter of sink %s, which took it, or it was dropped",
                    ull(sequence), sink_name(s));
    if (mark > 0 && mark != e->mark) {
        if (!asked_for(s, REQUEST_REPLAY_LETTERS, sequence))
            rule_broken(life, "4.4 letter", "letter %llu is marked, which nobody wanted",
                        ull(sequence));
        e->is_wanted = true;
    } else if (mark == 0 && e->is_wanted) {
        rule_broken(life, "4.4 replay", "letter %llu was to be sent again, and was not",
                    ull(sequence));
    }
    e->mark = mark;
}

static void check_letters(struct sink *s)
{
    _cleanup_(query) sqlite3_stmt *q = ask_letters(s);
    bool *is_kept = calloc(s->n + 1, sizeof(*is_kept));
    uint64_t sequence, mark;

    if (!is_kept)
        abort();
    census_count("rule", "4.4 dead letters");
    while (next_letter(s, q, &sequence, &mark)) {
        if (event_at(s, sequence))
            see_kept_letter(s, event_at(s, sequence), sequence, mark);
        else
            rule_broken(s->life, "4.4 dead letters", "letter %llu of sink %s is none that it saw",
                        ull(sequence), sink_name(s));
        is_kept[sequence <= s->n ? sequence - 1 : s->n] = true;
    }
    for (size_t i = 0; i < s->n; i++)
        if (!is_kept[i])
            see_no_letter(s, &s->seen[i], i + 1);
    free(is_kept);
}

void sink_sees_commit(struct sink *s)
{
    check_cursor(s);
    if (s->has_letters)
        check_letters(s);
}

/* --- What is answered ----------------------------------------------------------------------- */

/* What the outbox has of it behind this is sent once more. */
static void owe(struct sink *s, uint64_t after)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    struct database *d = &s->life->journal->database;
    uint64_t sequence;

    if (database_query(d, "SELECT sequence FROM event WHERE sequence > ?1", VALUES(number(after)),
                       &q, NULL) < 0)
        abort();
    while (database_next(d, q, NULL) > 0)
        if (column_number(q, 0, &sequence) && event_at(s, sequence))
            event_at(s, sequence)->is_owed = true;
}

static void check_dropped(struct sink *s, uint64_t only)
{
    _cleanup_(query) sqlite3_stmt *q = ask_letters(s);
    uint64_t sequence, mark;

    census_count("rule", "4.4 dropped");
    while (next_letter(s, q, &sequence, &mark))
        if (only == 0 || sequence == only)
            rule_broken(s->life, "4.4 dropped", "letter %llu of sink %s is dropped, and is there",
                        ull(sequence), sink_name(s));
}

void witness_sink_answered(struct life *life, const struct ask *ask)
{
    struct sink *s = sinks_find(life, ask->named);

    if (ask->code != ERROR_NONE && ask->code != ERROR_SINK_NOT_FOUND)
        return;
    if ((ask->code == ERROR_NONE) != (s != NULL)) {
        rule_broken(life, "5 sinks", "a wish of sink %s is answered as if there %s", ask->named,
                    s ? "were none" : "were one");
        return;
    }
    if (s && ask->kind == REQUEST_REWIND_SINK)
        owe(s, ask->after);
    else if (s && ask->kind == REQUEST_DROP_LETTERS)
        check_dropped(s, ask->after);
}

/* --- The end -------------------------------------------------------------------------------- */

bool sink_is_done(const struct sink *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->seen[i].is_owed || s->seen[i].mark > 0 || s->seen[i].letter == LETTER_GOING)
            return false;
    return s->n >= s->life->witness.sequence && s->held >= s->life->witness.sequence;
}

void sink_check_end(struct sink *s)
{
    struct life *life = s->life;

    census_count("rule", "4.4 delivered");
    if (s->n != life->witness.sequence || s->held != s->n)
        rule_broken(life, "4.4 delivered",
                    "sink %s has got %zu events of %llu in the end, at last "
                    "event %llu",
                    sink_name(s), s->n, ull(life->witness.sequence), ull(s->held));
    for (uint64_t i = 1; i <= s->n; i++) {
        census_count("rule", "4.4 replay");
        if (event_at(s, i)->is_owed || event_at(s, i)->mark > 0)
            rule_broken(life, "4.4 replay",
                        "event %llu was to be sent to sink %s again, and was "
                        "not",
                        ull(i), sink_name(s));
        if (event_at(s, i)->letter == LETTER_GOING)
            rule_broken(life, "4.4 dead letters",
                        "letter %llu was delivered to sink %s, and is "
                        "kept",
                        ull(i), sink_name(s));
    }
}
