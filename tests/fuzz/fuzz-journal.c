/* fuzz-journal.c - what a damaged journal can hold, in each of its tables
 *
 * The first byte says what it is, NULs part the columns, the last of which takes what is left; a
 * column of digits is a number. The tables have no types here, for a bad disk keeps none. What is
 * read as an operation is stepped on and stored again, and has to come back the same; so has what
 * is remembered of a domain. A certificate is held against the host's key. */
#include "fuzz.h"

#include "base/json.h"
#include "core/stop.h"
#include "engine/certificate.h"
#include "engine/inventory.h"
#include "journal/private.h"

#include <errno.h>

#define REQUEST "473469C7-AA6F-4DC5-B3DB-000000000001"

/* What signed the certificate among the seeds. */
static const char public_key[] = "-----BEGIN PUBLIC KEY-----\n"
                                 "MCowBQYDK2VwAyEAjeYOKonrDz5SUHiYXk11G05uHtgtKdBJUwgvDhSk9eE=\n"
                                 "-----END PUBLIC KEY-----\n";

/* The writer's connection and a reader's, on tables that are alike. */
static struct journal journal;
static struct journal_reader reader;

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

static char *remembered(const char *facts)
{
    struct domain d = {0};
    char *text = NULL;
    int r = domain_recall(&d, facts);

    must(r == 0 || r == -EBADMSG);
    if (r == 0) {
        text = domain_remember(&d, &d.reported);
        must(text);
    }
    instance_free(d.former);
    return text;
}

static void read_report(sqlite3_stmt *q)
{
    struct reported reported;

    if (reported_of_row(q, &reported, NULL) < 0)
        return;
    must(is_set(reported.instance_id) && reported.state < STATE_MAX);
    if (reported.facts) {
        _cleanup_(freep) char *first = remembered(reported.facts), *second = NULL;

        second = first ? remembered(first) : NULL;
        if (!text_equal(first, second)) {
            fprintf(stderr, "%s\n%s\n", first, second ? second : "(not read)");
            must(false);
        }
    }
    reported_clear(&reported);
}

static void read_event(sqlite3_stmt *q)
{
    struct upstream_event event;

    if (event_of_row(q, &event, NULL) >= 0)
        must(event.sequence > 0 && is_set(event.id) && strlen(event.body) == event.body_size);
}

/* --- What is looked for in a table ------------------------------------------------------------ */

/* What a call returns; where it fails, there is an error that a person can be told. */
#define ask(call)                                         \
    ({                                                    \
        _cleanup_(error_free) struct error *error = NULL; \
        int r_ = (call);                                  \
        must((r_ < 0) == (error != NULL));                \
        must(!error || is_set(error_message(error)));     \
        r_;                                               \
    })

static void read_certificates(void)
{
    json_object *document = NULL, *array = NULL, *certificate;
    const char *target;

    if (ask(journal_read_certificates(&reader, REQUEST, &document, &error)) < 0)
        return;
    must(json_get_array(document, "certificates", &array) == 0);
    for (size_t i = 0; i < json_object_array_length(array); i++) {
        json_object *each = json_object_array_get_idx(array, i);

        must(json_get_string(each, "target", &target) == 0 && target);
        must(json_get_object(each, "certificate", &certificate) == 0);
        ask(certificate_verify(certificate, public_key, &error));
    }
    must(json_object_to_json_string(document));
    json_object_put(document);
}

static int see_letter(void *userdata, const struct dead_letter *letter)
{
    must(letter->event.sequence > 0 && is_set(letter->event.id) && letter->reason);
    must(strlen(letter->event.body) == letter->event.body_size);
    return 0;
}

static int see_count(void *userdata, const char *sink, uint64_t n)
{
    must(sink && n == 1);
    return 0;
}

static void read_letters(void)
{
    uint64_t mark;

    ask(journal_read_dead_letters(&reader, "sink", 0, 10, see_letter, NULL, &error));
    ask(journal_read_marked_letters(&reader, "sink", 0, INT64_MAX, 0, 10, see_letter, NULL,
                                    &error));
    ask(journal_read_last_mark(&reader, "sink", &mark, &error));
    ask(journal_last_mark(&journal, &mark, &error));
    ask(journal_has_dead_letter(&journal, "sink", 1, &error));
    ask(journal_count_dead_letters(&journal, see_count, NULL, &error));
}

/* The engine goes on from where the sink does. */
static void read_cursor(void)
{
    uint64_t of_sink = 0, of_engine = 0;
    bool rewound;
    int r = ask(journal_read_cursor(&reader, "sink", &of_sink, &rewound, &error));
    int other = ask(journal_load_cursor(&journal, "sink", &of_engine, &error));

    must(other >= 0 || r < 0);
    must(r < 0 || of_sink == of_engine);
}

static void read_alias(void)
{
    char request_id[UUID_TEXT_SIZE] = "";
    json_object *document = NULL;
    int r = ask(journal_resolve(&journal, "alias", request_id, &error));

    must(ask(journal_read_operation(&reader, "alias", &document, &error)) == r);
    must(r < 1 || json_object_object_length(document) > 0);
    json_object_put(take(document));
    ask(journal_read_certificates(&reader, "alias", &document, &error));
    json_object_put(document);
}

/* The answer is a RequestId, and is handled as one. */
static void read_token(void)
{
    _cleanup_(freep) char *fingerprint = NULL, *request_id = NULL;
    int r = ask(journal_find_token(&journal, "who", "token", &fingerprint, &request_id, &error));

    must(r < 1 || (fingerprint && strlen(request_id) == UUID_TEXT_SIZE - 1));
}

/* --- Tables ----------------------------------------------------------------------------------- */

#define STOP "INSERT INTO operation VALUES ('" REQUEST "', '{\"requestId\":\"" REQUEST "\"}');"

/* What of a table is the input's; without a reader it is read as the row that it is. */
static const struct kind {
    char letter;
    int columns;
    const char *insert;
    void (*read)(void);
    void (*read_row)(sqlite3_stmt *q);
} kinds[] = {
    {'o', 2, NULL, NULL, read_operation},
    {'e', 5, NULL, NULL, read_event},
    {'r', 7, NULL, NULL, read_report},
    {'c', 2, "INSERT INTO certificate VALUES ('" REQUEST "', ?1, ?2)", read_certificates, NULL},
    {'d', 9,
     "INSERT INTO dead_letter VALUES (coalesce(?9, 'sink'), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
     read_letters, NULL},
    {'s', 2, "INSERT INTO cursor VALUES ('sink', ?1, ?2)", read_cursor, NULL},
    {'a', 1, "INSERT INTO alias VALUES ('alias', ?1)", read_alias, NULL},
    {'t', 2, "INSERT INTO token VALUES ('who', 'token', ?1, ?2)", read_token, NULL},
};

static void make_tables(struct database *d)
{
    must(database_open(d, ":memory:", DATABASE_WRITE, NULL) >= 0);
    must(database_execute(d,
                          "CREATE TABLE operation (request_id, document);"
                          "CREATE TABLE alias (request_id, operation);"
                          "CREATE TABLE certificate (request_id, target, document);"
                          "CREATE TABLE cursor (sink, sequence, rewound);"
                          "CREATE TABLE token (principal, token, fingerprint, request_id);"
                          "CREATE TABLE dead_letter (sink, sequence, id, instance_id, type, body,"
                          " at, reason, mark);" STOP,
                          NULL) >= 0);
}

static void bind(sqlite3_stmt *q, int column, const char *text, size_t size)
{
    if (size > 0 && size < 19 && strspn(text, "0123456789") == size)
        sqlite3_bind_int64(q, column, strtoll(text, NULL, 10));
    else
        sqlite3_bind_text(q, column, text, (int)size, SQLITE_STATIC);
}

static void bind_all(sqlite3_stmt *q, int columns, const char *text, size_t size)
{
    size_t at = 1;

    for (int column = 1; column <= columns && at <= size; column++) {
        size_t n = column < columns ? strlen(text + at) : size - at;

        bind(q, column, text + at, n);
        at += n + 1;
    }
}

static void put_row(struct database *d, const struct kind *kind, const char *text, size_t size)
{
    sqlite3_stmt *q = NULL;

    must(sqlite3_prepare_v2(d->sqlite, kind->insert, -1, &q, NULL) == SQLITE_OK);
    bind_all(q, kind->columns, text, size);
    must(sqlite3_step(q) == SQLITE_DONE);
    sqlite3_finalize(q);
}

static void empty_tables(struct database *d)
{
    must(database_execute(d,
                          "DELETE FROM alias; DELETE FROM certificate; DELETE FROM cursor;"
                          "DELETE FROM token; DELETE FROM dead_letter",
                          NULL) >= 0);
}

static void read_from_table(const struct kind *kind, const char *text, size_t size)
{
    struct database *const both[] = {&journal.database, &reader.database};

    for (size_t i = 0; i < ELEMENTSOF(both); i++) {
        if (!both[i]->sqlite)
            make_tables(both[i]);
        put_row(both[i], kind, text, size);
    }
    kind->read();
    for (size_t i = 0; i < ELEMENTSOF(both); i++)
        empty_tables(both[i]);
}

static void read_as_row(const struct kind *kind, const char *text, size_t size)
{
    static sqlite3 *db;
    static sqlite3_stmt *q;

    if (!db) {
        must(sqlite3_open(":memory:", &db) == SQLITE_OK);
        must(sqlite3_prepare_v2(db, "SELECT ?, ?, ?, ?, ?, ?, ?", -1, &q, NULL) == SQLITE_OK);
    }
    bind_all(q, kind->columns, text, size);
    must(sqlite3_step(q) == SQLITE_ROW);
    kind->read_row(q);
    sqlite3_reset(q);
    sqlite3_clear_bindings(q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(freep) char *text = fuzz_text(data, size);

    if (size < 2)
        return 0;
    for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
        if (kinds[i].letter == text[0] && kinds[i].read)
            read_from_table(&kinds[i], text, size);
        else if (kinds[i].letter == text[0])
            read_as_row(&kinds[i], text, size);
    return 0;
}
