/* fuzz-journal.c - what a damaged journal can hold: operations, events, reports, certificates
 *
 * The first byte says what it is, NULs part the columns; a column of digits is a number. What is
 * read as an operation is stepped on and stored again, and has to come back the same. */
#include "fuzz.h"

#include "base/json.h"
#include "core/stop.h"
#include "journal/private.h"

#define COLUMNS 6

static struct moment later(void)
{
    static usec_t now = 100 * USEC_PER_SEC;

    now += USEC_PER_SEC;
    return (struct moment){.monotonic = now, .realtime = now + 1700000000 * USEC_PER_SEC};
}

static char *stored(const struct operation *op)
{
    struct json_writer w = {0};

    must(operation_write(op, true, &w));
    return json_writer_take(&w);
}

static void check_round_trip(const struct operation *op)
{
    _cleanup_(freep) char *first = stored(op), *second = NULL;
    json_object *document = json_tokener_parse(first);
    struct operation *again = NULL;

    must(document);
    if (operation_from_journal(document, &again, NULL) < 0) {
        fprintf(stderr, "%s\n", first);
        must(false);
    }
    second = stored(again);
    if (!text_equal(first, second)) {
        fprintf(stderr, "%s\n%s\n", first, second);
        must(false);
    }
    operation_free(again);
    json_object_put(document);
}

/* Whatever state it is in, the core goes on from there. */
static void go_on(struct operation *op)
{
    static const enum input_kind kinds[] = {IN_ATTACHED, IN_DETACHED, IN_ATTACHED, IN_CANCEL};
    struct reaction reaction;

    for (size_t i = 0; i < ELEMENTSOF(kinds) && !operation_is_finished(op); i++) {
        const struct moment now = later();
        struct input in = {.kind = kinds[i], .principal = "fuzz"};

        if (in.kind == IN_CANCEL && operation_may_cancel(op, NULL) < 0)
            in.kind = IN_ATTACHED;
        step(op, &in, now, &reaction);
        for (unsigned due = 0; due < 16 && !operation_is_finished(op); due++) {
            in.kind = operation_due_input(op, now.monotonic);
            if (in.kind == IN_MAX)
                break;
            step(op, &in, now, &reaction);
        }
    }
}

static void read_operation(sqlite3_stmt *q)
{
    json_object *document = NULL;
    struct operation *op = NULL;

    if (document_of_row(q, &document, NULL) < 0)
        return;
    if (operation_from_journal(document, &op, NULL) >= 0) {
        check_round_trip(op);
        go_on(op);
        check_round_trip(op);
    }
    operation_free(op);
    operation_document_publish(document);
    must(json_object_to_json_string(document));
    json_object_put(document);
}

static void read_row(char kind, sqlite3_stmt *q)
{
    struct upstream_event event;
    struct reported reported;

    if (kind == 'o') {
        read_operation(q);
    } else if (kind == 'e') {
        if (event_of_row(q, &event, NULL) >= 0)
            must(event.sequence > 0 && is_set(event.id) && strlen(event.body) == event.body_size);
    } else if (kind == 'r') {
        if (reported_of_row(q, &reported, NULL) >= 0) {
            must(is_set(reported.instance_id) && reported.state < STATE_MAX);
            reported_clear(&reported);
        }
    }
}

static void bind(sqlite3_stmt *q, int column, const char *text, size_t size)
{
    if (size > 0 && size < 19 && strspn(text, "0123456789") == size)
        sqlite3_bind_int64(q, column, strtoll(text, NULL, 10));
    else
        sqlite3_bind_text(q, column, text, (int)size, SQLITE_STATIC);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static sqlite3 *db;
    static sqlite3_stmt *q;
    _cleanup_(freep) char *text = fuzz_text(data, size);
    size_t at = 1;

    if (!db) {
        must(sqlite3_open(":memory:", &db) == SQLITE_OK);
        must(sqlite3_prepare_v2(db, "SELECT ?, ?, ?, ?, ?, ?", -1, &q, NULL) == SQLITE_OK);
    }
    if (size < 2)
        return 0;
    for (int column = 1; column <= COLUMNS && at <= size; column++) {
        size_t n = column < COLUMNS ? strlen(text + at) : size - at;

        bind(q, column, text + at, n);
        at += n + 1;
    }
    must(sqlite3_step(q) == SQLITE_ROW);
    read_row(text[0], q);
    sqlite3_reset(q);
    sqlite3_clear_bindings(q);
    return 0;
}
