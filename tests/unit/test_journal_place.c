/* test_journal_place.c - whose the journal is, and who else may be there */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "journal-kit.h"

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
        RULE(its_folder_and_files_are_its_owners_alone),
        RULE(a_second_writer_is_refused_by_the_firsts_pid),
        RULE(a_read_only_disk_is_told),
        RULE(a_reader_needs_a_journal),
        RULE(in_memory_it_needs_no_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
