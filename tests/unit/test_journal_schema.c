/* test_journal_schema.c - a journal that an older stopd has left */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "journal-kit.h"

#include <libgen.h>

#define UNDER_WAY "473469C7-AA6F-4DC5-B3DB-000000000001"
#define ENDED "473469C7-AA6F-4DC5-B3DB-000000000002"

/* Makes the journal that is kept as text beside this file. */
static const char *an_older_journal(void **state)
{
    const char *path = scratch_path(*state, "stopd.db");
    _cleanup_(freep) char *here = strdup(__FILE__), *name = NULL, *sql = NULL;

    assert_true(asprintf(&name, "%s/journal-schema-1.sql", dirname(here)) > 0);
    sql = scratch_read(name, NULL);
    if (!sql)
        fail_msg("%s cannot be read", name);
    by_hand(path, sql);
    return path;
}

static int64_t version_of(const char *path)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    int64_t version;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    version = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(db);
    return version;
}

static int64_t version_of_today(void **state)
{
    const char *path = scratch_path(*state, "new.db");

    journal_close(open_journal(path));
    return version_of(path);
}

static int check_operation(void *userdata, struct operation *op)
{
    assert_string_equal(op->request_id, UNDER_WAY);
    assert_string_equal(op->instance_id, "i-1");
    assert_int_equal(op->stage, STAGE_SHUTTING_DOWN);
    assert_int_equal(op->grace_left, 120 * USEC_PER_SEC);
    assert_int_equal(op->timeline.n, 1);
    operation_free(op);
    ++*(unsigned *)userdata;
    return 0;
}

static int check_report(void *userdata, const struct reported *r)
{
    assert_string_equal(r->instance_id, "i-1");
    assert_int_equal(r->state, STATE_STOPPING);
    assert_int_equal(r->incarnation.pid, 4711);
    assert_int_equal(r->incarnation.start_time, 12345);
    ++*(unsigned *)userdata;
    return 0;
}

static int check_event(void *userdata, const struct upstream_event *e)
{
    assert_int_equal(e->sequence, ++*(unsigned *)userdata);
    return 0;
}

static void assert_all_is_there(struct journal *j)
{
    _cleanup_(freep) char *fingerprint = NULL, *first = NULL;
    char own[UUID_TEXT_SIZE];
    struct error *err = NULL;
    uint64_t last;
    unsigned n = 0;

    assert_success(journal_load_unfinished(j, check_operation, &n, &err), err);
    assert_success(journal_load_reported(j, check_report, &n, &err), err);
    assert_int_equal(n, 2);
    assert_success(journal_last_sequence(j, &last, &err), err);
    assert_int_equal(last, 2);
    assert_int_equal(journal_find_token(j, "unix:uid=0(root)", "once", &fingerprint, &first, &err),
                     1);
    assert_string_equal(fingerprint, "Action=12:StopInstance\n");
    assert_string_equal(first, UNDER_WAY);
    assert_int_equal(journal_resolve(j, "473469C7-AA6F-4DC5-B3DB-00000000000A", own, &err), 1);
    assert_string_equal(own, UNDER_WAY);
}

static void assert_all_can_be_read(const char *path)
{
    struct journal_reader *r = open_reader(path);
    struct error *err = NULL;
    json_object *o = NULL;
    uint64_t cursor;
    unsigned n = 0;
    bool rewound;

    assert_success(journal_read_events(r, 0, 10, check_event, &n, &err), err);
    assert_int_equal(n, 2);
    assert_int_equal(journal_read_cursor(r, "file", &cursor, &rewound, &err), 1);
    assert_int_equal(cursor, 1);
    assert_false(rewound);
    assert_int_equal(journal_read_certificates(r, ENDED, &o, &err), 1);
    assert_non_null(strstr(json_object_to_json_string(o), "vdb"));
    json_object_put(o);
    journal_reader_close(r);
}

/* Whatever steps there have been since: all is there, and it goes on like a new one. */
static void a_journal_of_schema_1_becomes_one_of_today(void **state)
{
    const char *path = an_older_journal(state);
    _cleanup_(freep) char *kept = strdup(path);
    bool fresh = true;
    struct journal *j = NULL;
    struct error *err = NULL;

    assert_int_equal(version_of(kept), 1);
    assert_success(journal_open(kept, &fresh, &j, &err), err);
    assert_false(fresh);
    assert_all_is_there(j);
    begin(j);
    put_event(j, 3, 1700000200 * USEC_PER_SEC);
    put_new_operation(j, 3);
    journal_rollback(j);
    journal_close(j);
    assert_all_can_be_read(kept);
    assert_int_equal(version_of(kept), version_of_today(state));
    j = open_journal(kept);
    assert_all_is_there(j);
    journal_close(j);
}

#define RULE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        RULE(a_journal_of_schema_1_becomes_one_of_today),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
