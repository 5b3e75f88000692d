/* journal-kit.h - operations and events for tests of the journal, and a way to its file past it */
#ifndef STOPD_TESTS_JOURNAL_KIT_H
#define STOPD_TESTS_JOURNAL_KIT_H

#include "base/json.h"
#include "journal/journal.h"
#include "operation-kit.h"
#include "scratch.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#define assert_success(call, err)                                       \
    do {                                                                \
        int result_ = (call);                                           \
        if (result_ < 0)                                                \
            fail_msg("%s: %d, %s", #call, result_, error_message(err)); \
    } while (0)

/* The call, which sets err, fails with this code and a message that has this in it. */
#define assert_failure(call, err, error_code_, part)                                               \
    do {                                                                                           \
        int result_ = (call);                                                                      \
        if (result_ >= 0)                                                                          \
            fail_msg("%s: %d, but it should have failed", #call, result_);                         \
        if (error_code_of(err) != (error_code_) || !strstr(error_message(err), part))              \
            fail_msg("%s: %s, \"%s\"", #call, error_name(error_code_of(err)), error_message(err)); \
        error_free(take(err));                                                                     \
    } while (0)

#define R1 "473469C7-AA6F-4DC5-B3DB-000000000001"
#define R2 "473469C7-AA6F-4DC5-B3DB-000000000002"
#define R3 "473469C7-AA6F-4DC5-B3DB-000000000003"

static inline struct journal *open_journal(const char *path)
{
    struct journal *j = NULL;
    struct error *err = NULL;

    assert_success(journal_open(path, NULL, &j, &err), err);
    return j;
}

static inline struct journal_reader *open_reader(const char *path)
{
    struct journal_reader *r = NULL;
    struct error *err = NULL;

    assert_success(journal_reader_open(path, &r, &err), err);
    return r;
}

static inline void begin(struct journal *j)
{
    struct error *err = NULL;

    assert_success(journal_begin(j, &err), err);
}

static inline void commit(struct journal *j)
{
    struct error *err = NULL;

    assert_success(journal_commit(j, &err), err);
}

/* A stop of i-N that is under way; n in its RequestId, so that tests can name it. */
static inline struct operation *an_operation(unsigned n)
{
    struct operation *op = operation_new();
    char text[32];

    snprintf(op->request_id, sizeof(op->request_id), "473469C7-AA6F-4DC5-B3DB-%012X", n);
    snprintf(text, sizeof(text), "i-%u", n % 100);
    op->instance_id = strdup(text);
    op->domain_name = strdup("guest");
    op->principal = strdup("unix:uid=0(root)");
    uuid_generate_random(op->domain);
    op->stage = STAGE_SHUTTING_DOWN;
    op->stopped_mode = STOPPED_MODE_KEEP_CHARGING;
    op->method = METHOD_ACPI;
    op->on_timeout = ON_TIMEOUT_FAIL;
    op->grace = op->grace_left = 120 * USEC_PER_SEC;
    op->resend = 10 * USEC_PER_SEC;
    op->accepted_at = 1700000000 * USEC_PER_SEC + n;
    operation_note(op, op->accepted_at, false, "accepted", NULL);
    return op;
}

static inline void put_operation(struct journal *j, struct operation *op)
{
    struct error *err = NULL;

    assert_success(journal_put_operation(j, op, &err), err);
}

static inline void put_new_operation(struct journal *j, unsigned n)
{
    struct operation *op = an_operation(n);

    put_operation(j, op);
    operation_free(op);
}

static inline void finish(struct operation *op, enum outcome outcome, usec_t at)
{
    op->stage = STAGE_DONE;
    op->outcome = outcome;
    op->finished_at = at;
}

/* Event n has the id …n, and n in its body. */
static inline void event_id(uint64_t n, char ret[static UUID_TEXT_SIZE])
{
    snprintf(ret, UUID_TEXT_SIZE, "11111111-2222-4333-8444-%012llx",
             (unsigned long long)(n & 0xffffffffffff));
}

static inline int try_put_event(struct journal *j, uint64_t n, size_t padding, usec_t at,
                                struct error **err)
{
    char id[UUID_TEXT_SIZE];
    _cleanup_(freep) char *body = NULL;
    struct upstream_event e = {.sequence = n,
                               .id = id,
                               .instance_id = "i-bp67acfmxazb4ph",
                               .type = "stopd.instance.state.v1"};
    int size;

    event_id(n, id);
    size = asprintf(
        &body, "{\"specversion\":\"1.0\",\"id\":\"%s\",\"sequence\":\"%020llu\",\"x\":\"%0*d\"}",
        id, (unsigned long long)n, (int)padding, 7);
    e.body = body;
    e.body_size = (size_t)size;
    return journal_put_event(j, &e, at, err);
}

static inline void put_event(struct journal *j, uint64_t n, usec_t at)
{
    struct error *err = NULL;

    assert_success(try_put_event(j, n, 1, at, &err), err);
}

/* What a bad disk or a person would do to the file. */
static inline void by_hand(const char *path, const char *sql)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

static inline json_object *read_list(struct journal_reader *r, const char *instance,
                                     const char *wanted, unsigned limit)
{
    json_object *list = NULL;
    struct error *err = NULL;

    assert_success(journal_read_operations(r, instance, wanted, limit, &list, &err), err);
    return list;
}

static inline void assert_list(struct journal_reader *r, const char *instance, const char *wanted,
                               unsigned limit, const char *expected)
{
    _cleanup_(json) json_object *list = read_list(r, instance, wanted, limit);
    char got[256] = "";

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        json_object *o = json_object_array_get_idx(list, i);
        const char *id = "";

        assert_int_equal(json_get_string(o, "requestId", &id), 0);
        assert_false(json_object_object_get_ex(o, "journal", NULL));
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%ld ", strtol(id + 24, NULL, 16));
    }
    assert_string_equal(got, expected);
}

/* When something finished or was written that goes or stays. */
#define MINUTE (60 * USEC_PER_SEC)
#define LONG_AGO (100 * MINUTE)
#define RECENTLY (200 * MINUTE)

/* --- In a folder of its own ------------------------------------------------------------------- */

#define NOW (1700000000 * USEC_PER_SEC)

static inline const char *journal_path(void **state)
{
    return scratch_path(*state, "stopd.db");
}

static inline uint64_t last_sequence(struct journal *j)
{
    struct error *err = NULL;
    uint64_t last = 0;

    assert_success(journal_last_sequence(j, &last, &err), err);
    return last;
}

static inline bool has_event(const char *path, uint64_t n)
{
    struct journal_reader *r = open_reader(path);
    struct error *err = NULL;
    char id[UUID_TEXT_SIZE];
    uint64_t sequence;
    int found;

    event_id(n, id);
    found = journal_read_event_sequence(r, id, &sequence, &err);
    assert_success(found, err);
    journal_reader_close(r);
    return found > 0;
}

#endif
