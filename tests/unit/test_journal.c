/* test_journal.c - what the journal keeps of operations, and of what was reported */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "journal-kit.h"

/* --- Operations ------------------------------------------------------------------------------ */

struct found {
    struct operation *items[64];
    size_t n;
};

static int collect(void *userdata, struct operation *op)
{
    struct found *f = userdata;

    f->items[f->n++] = op;
    return 0;
}

static void found_free(struct found *f)
{
    while (f->n > 0)
        operation_free(f->items[--f->n]);
}

static void load(struct journal *j, struct found *ret)
{
    struct error *err = NULL;

    ret->n = 0;
    assert_success(journal_load_unfinished(j, collect, ret, &err), err);
}

static void assert_same_operation(const struct operation *a, const struct operation *b)
{
    _cleanup_(freep) char *one = journalled_text(a), *other = journalled_text(b);

    assert_string_equal(one, other);
}

/* Contract 4.5: an accepted command goes on after a restart. */
static void an_unfinished_operation_comes_back_as_it_was(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    struct operation *op = an_operation(1);
    struct found f;

    begin(j);
    put_operation(j, op);
    op->presses = 3;
    op->grace_left = 17;
    op->incarnation = (struct incarnation){"8cd9b0c4-6a8e-4c43-9d8d-2c4a7b9c8f10", 4711, 99};
    operation_note(op, op->accepted_at + 1, false, "button", "acpi");
    put_operation(j, op);
    put_new_operation(j, 2);
    commit(j);
    journal_close(j);

    j = open_journal(journal_path(state));
    load(j, &f);
    assert_int_equal(f.n, 2);
    assert_same_operation(f.items[0], op);
    found_free(&f);
    begin(j);
    finish(op, OUTCOME_STOPPED, RECENTLY);
    put_operation(j, op);
    commit(j);
    load(j, &f);
    assert_int_equal(f.n, 1);
    assert_string_equal(f.items[0]->request_id, "473469C7-AA6F-4DC5-B3DB-000000000002");
    found_free(&f);
    operation_free(op);
    journal_close(j);
}

static void what_is_rolled_back_never_was(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    struct found f;

    begin(j);
    put_new_operation(j, 1);
    journal_rollback(j);
    load(j, &f);
    assert_int_equal(f.n, 0);
    journal_rollback(j); /* none is open: nothing to do */
    journal_close(j);
}

/* The header's word: a transaction fails as a whole. */
static void a_transaction_with_a_failed_write_is_not_committed(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    struct error *err = NULL;
    uint64_t last;

    begin(j);
    put_event(j, 1, RECENTLY);
    assert_failure(try_put_event(j, 1, 1, RECENTLY, &err), err, ERROR_JOURNAL, "UNIQUE");
    assert_failure(journal_commit(j, &err), err, ERROR_JOURNAL, "nothing of this turn");
    assert_success(journal_last_sequence(j, &last, &err), err);
    assert_int_equal(last, 0);

    assert_failure(try_put_event(j, 1, 1, RECENTLY, &err), err, ERROR_JOURNAL, "outside");
    begin(j);
    put_event(j, 1, RECENTLY);
    commit(j);
    journal_close(j);
}

static void assert_unfinished(struct journal *j, const char *expected)
{
    struct found f;
    char got[64] = "";

    load(j, &f);
    for (unsigned i = 0; i < f.n; i++)
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s:%u ",
                 f.items[i]->request_id + 35, f.items[i]->presses);
    found_free(&f);
    assert_string_equal(got, expected);
}

/* A number is only where to look first: it may be of a row that never became durable, and another's
 * by now, or of one that somebody has deleted. */
static void an_operation_is_written_into_its_own_row(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    struct operation *one = an_operation(1), *other = an_operation(2);

    begin(j);
    put_operation(j, one);
    journal_rollback(j);
    begin(j);
    put_operation(j, other);
    commit(j);
    assert_int_equal(one->number, other->number);
    one->presses = 1;
    begin(j);
    put_operation(j, one);
    commit(j);
    assert_int_not_equal(one->number, other->number);
    assert_unfinished(j, "2:0 1:1 ");
    by_hand(journal_path(state), "DELETE FROM operation");
    one->presses = 2;
    begin(j);
    put_operation(j, one);
    commit(j);
    assert_unfinished(j, "1:2 ");
    operation_free(one);
    operation_free(other);
    journal_close(j);
}

/* Contract 5: lists by instance and state; what the public form does not name stays inside. */
static void operations_are_listed_newest_first(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    struct journal_reader *r = open_reader(journal_path(state));

    begin(j);
    for (unsigned n = 1; n <= 6; n++) {
        struct operation *op = an_operation(n % 2);

        snprintf(op->request_id, sizeof(op->request_id), "473469C7-AA6F-4DC5-B3DB-%012X", n);
        if (n == 5)
            op->action = ACTION_CLEAR; /* Stopped all the time, and unfinished */
        else if (n >= 3)
            finish(op, n == 3 ? OUTCOME_FAILED : OUTCOME_STOPPED, RECENTLY);
        put_operation(j, op);
        operation_free(op);
    }
    commit(j);
    assert_list(r, NULL, NULL, 100, "6 5 4 3 2 1 ");
    assert_list(r, NULL, NULL, 2, "6 5 ");
    assert_list(r, "i-1", NULL, 100, "5 3 1 ");
    assert_list(r, "i-1", NULL, 2, "5 3 ");
    assert_list(r, NULL, "Stopping", 100, "2 1 ");
    assert_list(r, NULL, "Running", 100, "3 ");
    assert_list(r, NULL, "Stopped", 100, "6 5 4 ");
    assert_list(r, NULL, "Stopped", 2, "6 5 ");
    assert_list(r, "i-0", "Stopped", 100, "6 4 ");
    assert_list(r, "i-1", "Stopped", 100, "5 ");
    assert_list(r, "i-7", NULL, 100, "");
    journal_reader_close(r);
    journal_close(j);
}

/* An index serves a list; other rows' documents are never looked at. */
static void a_list_reads_no_document_that_it_does_not_show(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    struct journal_reader *r = open_reader(journal_path(state));

    begin(j);
    for (unsigned n = 1; n <= 3; n++)
        put_new_operation(j, n);
    commit(j);
    by_hand(journal_path(state), "UPDATE operation SET document = 'x', state = 'Stopped'"
                                 " WHERE number <> 2");
    assert_list(r, NULL, "Stopping", 100, "2 ");
    assert_list(r, "i-2", NULL, 100, "2 ");
    journal_reader_close(r);
    journal_close(j);
}

/* Contract 3, a stop that becomes a power cut: both RequestIds name the operation. */
static void an_alias_names_its_operation(void **state)
{
    static const char own[] = "473469C7-AA6F-4DC5-B3DB-000000000001";
    static const char other[] = "00000000-AA6F-4DC5-B3DB-00000000ABCD";
    struct journal *j = open_journal(journal_path(state));
    struct journal_reader *r = open_reader(journal_path(state));
    char id[UUID_TEXT_SIZE] = "";
    json_object *o = NULL;
    struct error *err = NULL;

    begin(j);
    put_new_operation(j, 1);
    assert_success(journal_put_alias(j, other, own, &err), err);
    commit(j);
    assert_int_equal(journal_resolve(j, other, id, &err), 1);
    assert_string_equal(id, own);
    assert_int_equal(journal_resolve(j, own, id, &err), 1);
    assert_string_equal(id, own);
    assert_int_equal(journal_resolve(j, "00000000-aa6f-4dc5-b3db-00000000abcd", id, &err), 1);
    assert_int_equal(journal_resolve(j, "no such RequestId", id, &err), 0);

    assert_int_equal(journal_read_operation(r, other, &o, &err), 1);
    assert_string_equal(json_object_get_string(json_object_object_get(o, "requestId")), own);
    json_object_put(o);
    assert_int_equal(journal_read_operation(r, "no such RequestId", &o, &err), 0);

    begin(j);
    assert_failure(journal_put_alias(j, own, "no such RequestId", &err), err, ERROR_JOURNAL,
                   "FOREIGN KEY");
    journal_rollback(j);
    journal_reader_close(r);
    journal_close(j);
}

/* Contract 3, ClientToken: bound to the caller; the first answer stays the answer. */
static void a_token_is_its_callers(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    char *fingerprint = NULL, *request_id = NULL;
    struct error *err = NULL;

    begin(j);
    assert_success(journal_put_token(j, "alice", "t1", "InstanceId=i-1\n", R1, RECENTLY, &err),
                   err);
    assert_success(journal_put_token(j, "bob", "t1", "InstanceId=i-2\n", R2, RECENTLY, &err), err);
    assert_int_equal(journal_find_token(j, "alice", "t1", &fingerprint, &request_id, &err), 1);
    assert_string_equal(fingerprint, "InstanceId=i-1\n");
    assert_string_equal(request_id, R1);
    free(take(fingerprint));
    free(take(request_id));
    assert_int_equal(journal_find_token(j, "bob", "t1", &fingerprint, &request_id, &err), 1);
    assert_string_equal(request_id, R2);
    free(take(fingerprint));
    free(take(request_id));
    assert_int_equal(journal_find_token(j, "alice", "t2", &fingerprint, &request_id, &err), 0);
    assert_null(fingerprint);
    assert_failure(journal_put_token(j, "bob", "t1", "", R3, RECENTLY, &err), err, ERROR_JOURNAL,
                   "UNIQUE");
    journal_rollback(j);
    assert_int_equal(journal_find_token(j, "alice", "t1", &fingerprint, &request_id, &err), 0);
    journal_close(j);
}

/* --- What was reported ----------------------------------------------------------------------- */

struct reports {
    struct reported last;
    unsigned n;
};

static int keep_report(void *userdata, const struct reported *r)
{
    struct reports *reports = userdata;

    reported_clear(&reports->last);
    reports->last = *r;
    reports->last.instance_id = strdup(r->instance_id);
    reports->n++;
    return 0;
}

static void the_last_report_of_a_domain_is_kept(void **state)
{
    struct reported a = {.instance_id = (char *)"i-1", .state = STATE_RUNNING};
    struct journal *j = open_journal(journal_path(state));
    struct reports reports = {0};
    struct error *err = NULL;

    uuid_generate_random(a.domain);
    a.incarnation = (struct incarnation){"8cd9b0c4-6a8e-4c43-9d8d-2c4a7b9c8f10", 4711, 123456789};
    begin(j);
    assert_success(journal_put_reported(j, &a, &err), err);
    a.state = STATE_STOPPING;
    assert_success(journal_put_reported(j, &a, &err), err);
    commit(j);
    assert_success(journal_load_reported(j, keep_report, &reports, &err), err);
    assert_int_equal(reports.n, 1);
    assert_int_equal(reports.last.state, STATE_STOPPING);
    assert_string_equal(reports.last.instance_id, "i-1");
    assert_int_equal(uuid_compare(reports.last.domain, a.domain), 0);
    assert_true(incarnation_equal(&reports.last.incarnation, &a.incarnation));

    begin(j);
    assert_success(journal_forget_reported(j, a.domain, &err), err);
    commit(j);
    reports.n = 0;
    assert_success(journal_load_reported(j, keep_report, &reports, &err), err);
    assert_int_equal(reports.n, 0);
    reported_clear(&reports.last);
    journal_close(j);
}

#define RULE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        RULE(an_unfinished_operation_comes_back_as_it_was),
        RULE(an_operation_is_written_into_its_own_row),
        RULE(what_is_rolled_back_never_was),
        RULE(a_transaction_with_a_failed_write_is_not_committed),
        RULE(operations_are_listed_newest_first),
        RULE(a_list_reads_no_document_that_it_does_not_show),
        RULE(an_alias_names_its_operation),
        RULE(a_token_is_its_callers),
        RULE(the_last_report_of_a_domain_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
