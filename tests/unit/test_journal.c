/* test_journal.c - what the journal keeps, and for how long */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "journal-kit.h"

#define MINUTE (60 * USEC_PER_SEC)
#define LONG_AGO (100 * MINUTE)
#define RECENTLY (200 * MINUTE)

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

static json_object *read_list(struct journal_reader *r, const char *instance, const char *wanted,
                              unsigned limit)
{
    json_object *list = NULL;
    struct error *err = NULL;

    assert_success(journal_read_operations(r, instance, wanted, limit, &list, &err), err);
    return list;
}

static void assert_list(struct journal_reader *r, const char *instance, const char *wanted,
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
    assert_success(journal_put_token(j, "alice", "t1", "InstanceId=i-1\n", "R1", RECENTLY, &err),
                   err);
    assert_success(journal_put_token(j, "bob", "t1", "InstanceId=i-2\n", "R2", RECENTLY, &err),
                   err);
    assert_int_equal(journal_find_token(j, "alice", "t1", &fingerprint, &request_id, &err), 1);
    assert_string_equal(fingerprint, "InstanceId=i-1\n");
    assert_string_equal(request_id, "R1");
    free(take(fingerprint));
    free(take(request_id));
    assert_int_equal(journal_find_token(j, "bob", "t1", &fingerprint, &request_id, &err), 1);
    assert_string_equal(request_id, "R2");
    free(take(fingerprint));
    free(take(request_id));
    assert_int_equal(journal_find_token(j, "alice", "t2", &fingerprint, &request_id, &err), 0);
    assert_null(fingerprint);
    assert_failure(journal_put_token(j, "bob", "t1", "", "R3", RECENTLY, &err), err, ERROR_JOURNAL,
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

/* --- Events ---------------------------------------------------------------------------------- */

struct sequences {
    char text[512];
    int stop_after;
};

static int note_sequence(void *userdata, const struct upstream_event *e)
{
    struct sequences *s = userdata;
    char id[UUID_TEXT_SIZE];

    event_id(e->sequence, id);
    assert_string_equal(e->id, id);
    assert_string_equal(e->type, "stopd.instance.state.v1");
    assert_int_equal(strlen(e->body), e->body_size);
    snprintf(s->text + strlen(s->text), sizeof(s->text) - strlen(s->text), "%llu ",
             (unsigned long long)e->sequence);
    return --s->stop_after == 0 ? 1 : 0;
}

static void assert_events(struct journal_reader *r, uint64_t after, unsigned limit,
                          const char *expected)
{
    struct sequences s = {0};
    struct error *err = NULL;

    assert_success(journal_read_events(r, after, limit, note_sequence, &s, &err), err);
    assert_string_equal(s.text, expected);
}

static int refuse_event(void *userdata, const struct upstream_event *e)
{
    return -ENOMEM;
}

static void events_are_read_in_their_order(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    struct journal_reader *r = open_reader(journal_path(state));
    struct sequences two = {.stop_after = 2};
    struct error *err = NULL;
    char id[UUID_TEXT_SIZE];
    uint64_t n = 77;

    assert_success(journal_last_sequence(j, &n, &err), err);
    assert_int_equal(n, 0);
    begin(j);
    for (uint64_t i = 1; i <= 12; i++)
        put_event(j, i, RECENTLY);
    assert_events(r, 0, 100, ""); /* nobody sees what is not committed */
    commit(j);
    assert_success(journal_last_sequence(j, &n, &err), err);
    assert_int_equal(n, 12);
    assert_events(r, 0, 3, "1 2 3 ");
    assert_events(r, 9, 100, "10 11 12 ");
    assert_events(r, 12, 100, "");
    assert_success(journal_read_events(r, 0, 9, note_sequence, &two, &err), err);
    assert_string_equal(two.text, "1 2 ");
    assert_failure(journal_read_events(r, 0, 9, refuse_event, NULL, &err), err, ERROR_NO_MEMORY,
                   "");

    event_id(7, id);
    assert_int_equal(journal_read_event_sequence(r, id, &n, &err), 1);
    assert_int_equal(n, 7);
    event_id(13, id);
    assert_int_equal(journal_read_event_sequence(r, id, &n, &err), 0);
    journal_reader_close(r);
    journal_close(j);
}

static void a_cursor_is_kept_for_each_sink(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    struct journal_reader *r = open_reader(journal_path(state));
    struct error *err = NULL;
    bool rewound = true;
    uint64_t n = 0;

    begin(j);
    assert_success(journal_put_cursor(j, "a", 5, &err), err);
    assert_success(journal_put_cursor(j, "b", 1, &err), err);
    assert_success(journal_put_cursor(j, "a", 6, &err), err);
    commit(j);
    assert_int_equal(journal_read_cursor(r, "a", &n, &rewound, &err), 1);
    assert_int_equal(n, 6);
    assert_false(rewound);
    assert_int_equal(journal_read_cursor(r, "b", &n, &rewound, &err), 1);
    assert_int_equal(n, 1);
    assert_int_equal(journal_read_cursor(r, "c", &n, &rewound, &err), 0);
    journal_reader_close(r);
    journal_close(j);
}

/* --- Retention ------------------------------------------------------------------------------- */

static int retain(struct journal *j, const char *const *sinks, size_t n_sinks, unsigned most)
{
    struct error *err = NULL;
    int r;

    begin(j);
    r = journal_retain(j, LONG_AGO + MINUTE, sinks, n_sinks, most, &err);
    assert_success(r, err);
    commit(j);
    return r;
}

/* Contract 4.4: no event is lost over an upstream that is away for days. */
static void an_event_stays_until_every_sink_has_it(void **state)
{
    static const char *const sinks[] = {"fast", "slow"};
    struct journal *j = open_journal(journal_path(state));
    struct journal_reader *r = open_reader(journal_path(state));
    struct error *err = NULL;

    begin(j);
    for (uint64_t i = 1; i <= 6; i++)
        put_event(j, i, i <= 5 ? LONG_AGO : RECENTLY);
    assert_success(journal_put_cursor(j, "fast", 6, &err), err);
    commit(j);
    assert_int_equal(retain(j, sinks, 2, 100), 0); /* "slow" has never been reached */
    assert_events(r, 0, 100, "1 2 3 4 5 6 ");
    begin(j);
    assert_success(journal_put_cursor(j, "slow", 3, &err), err);
    commit(j);
    assert_int_equal(retain(j, sinks, 2, 2), 2);
    assert_events(r, 0, 100, "3 4 5 6 ");
    assert_int_equal(retain(j, sinks, 2, 2), 1);
    assert_events(r, 0, 100, "4 5 6 ");
    assert_int_equal(retain(j, sinks, 1, 100), 2); /* "slow" is not configured any more */
    assert_events(r, 0, 100, "6 ");
    journal_reader_close(r);
    journal_close(j);
}

/* The outbox is one unbroken run: an old event behind a young one (the clock was set back) stays
 * too. */
static void events_leave_from_the_oldest_end_only(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    struct journal_reader *r = open_reader(journal_path(state));

    begin(j);
    put_event(j, 1, LONG_AGO);
    put_event(j, 2, RECENTLY);
    put_event(j, 3, LONG_AGO);
    put_event(j, 4, RECENTLY);
    commit(j);
    assert_int_equal(retain(j, NULL, 0, 100), 1);
    assert_events(r, 0, 100, "2 3 4 ");
    journal_reader_close(r);
    journal_close(j);
}

/* Contract 6: the sequence rises by one, also past a time in which nothing happened. */
static void the_newest_event_stays_for_the_next_sequence(void **state)
{
    struct journal *j = open_journal(journal_path(state));
    struct error *err = NULL;
    uint64_t last = 0;

    begin(j);
    for (uint64_t i = 1; i <= 3; i++)
        put_event(j, i, LONG_AGO);
    commit(j);
    assert_int_equal(retain(j, NULL, 0, 100), 2);
    journal_close(j);
    j = open_journal(journal_path(state));
    assert_success(journal_last_sequence(j, &last, &err), err);
    assert_int_equal(last, 3);
    journal_close(j);
}

static void put_finished(struct journal *j, unsigned n, usec_t at)
{
    struct operation *op = an_operation(n);

    finish(op, OUTCOME_STOPPED, at);
    put_operation(j, op);
    operation_free(op);
}

static void finished_operations_and_tokens_go_when_they_are_old(void **state)
{
    static const char alias[] = "00000000-AA6F-4DC5-B3DB-00000000ABCD";
    struct journal *j = open_journal(journal_path(state));
    struct journal_reader *r = open_reader(journal_path(state));
    char id[UUID_TEXT_SIZE], *fingerprint = NULL, *request_id = NULL;
    struct error *err = NULL;

    begin(j);
    put_new_operation(j, 1); /* accepted before all others, and still going on */
    put_finished(j, 2, LONG_AGO);
    put_finished(j, 3, LONG_AGO);
    put_finished(j, 4, RECENTLY);
    assert_success(journal_put_alias(j, alias, "473469C7-AA6F-4DC5-B3DB-000000000002", &err), err);
    assert_success(journal_put_token(j, "a", "old", "", "R1", LONG_AGO, &err), err);
    assert_success(journal_put_token(j, "a", "young", "", "R2", RECENTLY, &err), err);
    commit(j);
    assert_int_equal(retain(j, NULL, 0, 1), 1);
    assert_int_equal(retain(j, NULL, 0, 100), 2);
    assert_int_equal(retain(j, NULL, 0, 100), 0);
    assert_list(r, NULL, NULL, 100, "4 1 ");
    assert_int_equal(journal_resolve(j, alias, id, &err), 0);
    assert_int_equal(journal_find_token(j, "a", "old", &fingerprint, &request_id, &err), 0);
    assert_int_equal(journal_find_token(j, "a", "young", &fingerprint, &request_id, &err), 1);
    free(fingerprint);
    free(request_id);
    journal_reader_close(r);
    journal_close(j);
}

/* --- Its place ------------------------------------------------------------------------------- */

static unsigned mode_of(struct scratch *s, const char *name)
{
    struct stat st;

    assert_int_equal(stat(scratch_path(s, name), &st), 0);
    return st.st_mode & 07777;
}

static void its_folder_and_files_are_its_owners_alone(void **state)
{
    struct scratch *s = *state;
    struct journal *j = NULL;
    struct error *err = NULL;
    bool fresh = false;
    mode_t mask = umask(0);

    assert_success(journal_open(scratch_path(s, "made/stopd.db"), &fresh, &j, &err), err);
    assert_true(fresh);
    begin(j);
    put_event(j, 1, RECENTLY);
    commit(j);
    assert_int_equal(mode_of(s, "made"), 0700);
    assert_int_equal(mode_of(s, "made/stopd.db"), 0600);
    assert_int_equal(mode_of(s, "made/stopd.db-wal"), 0600);
    assert_int_equal(mode_of(s, "made/stopd.db.lock"), 0600);
    journal_close(j);
    assert_int_equal(chmod(scratch_path(s, "made/stopd.db"), 0644), 0);
    assert_success(journal_open(scratch_path(s, "made/stopd.db"), &fresh, &j, &err), err);
    assert_false(fresh);
    assert_int_equal(mode_of(s, "made/stopd.db"), 0600);
    journal_close(j);
    umask(mask);
    assert_failure(journal_open(scratch_path(s, "not/there/stopd.db"), NULL, &j, &err), err,
                   ERROR_JOURNAL, "set journal.path");
    assert_failure(journal_open(scratch_path(s, "made"), NULL, &j, &err), err, ERROR_JOURNAL,
                   "made");
}

static void a_second_writer_is_refused_by_the_firsts_pid(void **state)
{
    struct journal *j = NULL;
    struct error *err = NULL;
    struct child holder;
    char name[32];
    uint64_t ready;

    if (child_fork(&holder)) {
        open_journal(journal_path(state));
        child_report(&holder, 1);
        pause();
        _exit(0);
    }
    assert_true(child_hear(&holder, &ready));
    snprintf(name, sizeof(name), "process %d ", (int)holder.pid);
    assert_failure(journal_open(journal_path(state), NULL, &j, &err), err, ERROR_JOURNAL_LOCKED,
                   name);
    child_kill(&holder, 0);
    j = open_journal(journal_path(state)); /* the lock went with the process */
    assert_failure(journal_open(journal_path(state), NULL, &j, &err), err, ERROR_JOURNAL_LOCKED,
                   "process ");
    journal_close(j);
}

static void a_read_only_disk_is_told(void **state)
{
    struct scratch *s = *state;
    struct error *err = NULL;
    struct journal *j;

    if (!scratch_small_disk(s, "size=1m"))
        skip();
    j = open_journal(journal_path(state));
    journal_close(j);
    assert_int_equal(mount(NULL, s->folder, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    assert_failure(journal_open(journal_path(state), NULL, &j, &err), err, ERROR_JOURNAL,
                   "Read-only");
}

static void a_reader_needs_a_journal(void **state)
{
    struct journal_reader *r;
    struct error *err = NULL;

    assert_failure(journal_reader_open(journal_path(state), &r, &err), err, ERROR_JOURNAL,
                   "cannot be opened");
    scratch_write(journal_path(state), "", 0);
    assert_failure(journal_reader_open(journal_path(state), &r, &err), err, ERROR_JOURNAL,
                   "not a journal");
}

static void in_memory_it_needs_no_place(void **state)
{
    struct journal *j = NULL, *other = open_journal(":memory:");
    struct error *err = NULL;
    bool fresh = false;
    uint64_t last;

    assert_success(journal_open(":memory:", &fresh, &j, &err), err);
    assert_true(fresh);
    begin(j);
    put_event(j, 1, RECENTLY);
    put_new_operation(j, 1);
    commit(j);
    assert_success(journal_last_sequence(j, &last, &err), err);
    assert_int_equal(last, 1);
    assert_success(journal_last_sequence(other, &last, &err), err);
    assert_int_equal(last, 0);
    assert_int_not_equal(access(":memory:.lock", F_OK), 0);
    journal_close(j);
    journal_close(other);
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
        RULE(events_are_read_in_their_order),
        RULE(a_cursor_is_kept_for_each_sink),
        RULE(an_event_stays_until_every_sink_has_it),
        RULE(events_leave_from_the_oldest_end_only),
        RULE(the_newest_event_stays_for_the_next_sequence),
        RULE(finished_operations_and_tokens_go_when_they_are_old),
        RULE(its_folder_and_files_are_its_owners_alone),
        RULE(a_second_writer_is_refused_by_the_firsts_pid),
        RULE(a_read_only_disk_is_told),
        RULE(a_reader_needs_a_journal),
        RULE(in_memory_it_needs_no_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
