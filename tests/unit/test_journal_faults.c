/* test_journal_faults.c - the journal on disks that fail, and under kill -9 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fault-vfs.h"
#include "journal-kit.h"

/* --- A disk that fails ----------------------------------------------------------------------- */

/* What the file would be after a crash, opened beside it. synced: after a power cut. */
static struct journal *after_crash(struct scratch *s, bool synced, char path[static 128])
{
    char from[128], to[128 + sizeof("-wal")];

    snprintf(path, 128, "%s/crashed.db", s->folder);
    snprintf(from, sizeof(from), "%s/stopd.db%s", s->folder, synced ? ".synced" : "");
    scratch_copy(from, path);
    snprintf(from, sizeof(from), "%s/stopd.db-wal%s", s->folder, synced ? ".synced" : "");
    snprintf(to, sizeof(to), "%s-wal", path);
    unlink(to);
    scratch_copy(from, to);
    return open_journal(path);
}

/* Events 1 … base, of which the next commit is the continuation. */
static struct journal *a_journal(struct scratch *s, unsigned base)
{
    char name[128];
    struct journal *j;

    for (size_t i = 0; i < 6; i++) {
        static const char *const names[] = {
            "stopd.db",        "stopd.db-wal",        "stopd.db-shm",
            "stopd.db.synced", "stopd.db-wal.synced", "crashed.db-wal"};

        snprintf(name, sizeof(name), "%s/%s", s->folder, names[i]);
        unlink(name);
    }
    snprintf(name, sizeof(name), "%s/stopd.db", s->folder);
    j = open_journal(name);
    for (unsigned n = 1; n <= base; n++) {
        struct error *err = NULL;

        begin(j);
        assert_success(try_put_event(j, n, 3000, NOW, &err), err);
        commit(j);
    }
    return j;
}

static int try_turn(struct journal *j, uint64_t sequence, struct error **err)
{
    int r = journal_begin(j, err);

    for (unsigned n = 0; r >= 0 && n < 3; n++)
        r = try_put_event(j, sequence + n, 6000, NOW, err);
    if (r >= 0)
        return journal_commit(j, err);
    journal_rollback(j);
    return r;
}

struct verdicts {
    unsigned nothing, unknown, unknown_but_there;
};

/* One life: the Nth call of a turn fails. Returns whether any failed. */
static bool live_with_fault(struct scratch *s, unsigned base, long n, enum fault_kind kind,
                            bool for_good, struct verdicts *v)
{
    struct journal *j = a_journal(s, base), *crashed;
    struct error *err = NULL;
    char path[128];
    int r;

    fault_arm(n, kind, for_good);
    r = try_turn(j, base + 1, &err);
    fault_disarm();
    crashed = after_crash(s, false, path);
    if (r >= 0) { /* what failed was the moving of the log to the file, which has time */
        assert_int_equal(last_sequence(j), base + 3);
        assert_int_equal(last_sequence(crashed), base + 3);
    } else if (error_code_of(err) == ERROR_INTERNAL) {
        v->unknown++;
        v->unknown_but_there += last_sequence(crashed) == base + 3;
        assert_true(last_sequence(crashed) == base || last_sequence(crashed) == base + 3);
    } else {
        v->nothing++;
        assert_int_equal(error_code_of(err), ERROR_JOURNAL);
        assert_int_equal(last_sequence(crashed), base);
    }
    journal_close(crashed);
    if (r < 0) {
        /* This process sees nothing of it, and the next commit takes its place for good. */
        assert_int_equal(last_sequence(j), base);
        begin(j);
        put_event(j, base + 77, NOW);
        commit(j);
        crashed = after_crash(s, false, path);
        assert_int_equal(last_sequence(crashed), base + 77);
        journal_close(crashed);
        assert_false(has_event(path, base + 1));
    }
    error_free(err);
    journal_close(j);
    return fault.failed;
}

/* The header's word: ERROR_JOURNAL is certainly nothing, ERROR_INTERNAL is either. For every call
 * of a turn. */
static void a_failed_commit_says_what_is_known_of_it(void **state)
{
    struct verdicts v = {0};

    fault_install();
    for (unsigned variant = 0; variant < 4; variant++)
        for (long n = 1; live_with_fault(*state, 2, n, variant % 2, variant >= 2, &v); n++)
            ;
    print_message("nothing written: %u, not known: %u, of which it was there: %u\n", v.nothing,
                  v.unknown, v.unknown_but_there);
    assert_true(v.nothing > 0);
    assert_true(v.unknown_but_there > 0);
}

/* The same for turns at whose end the log is moved to the file: about a thousand calls, here one
 * in 41. */
static void a_failed_checkpoint_costs_nothing(void **state)
{
    struct verdicts v = {0};
    bool failed = true;

    fault_install();
    for (unsigned variant = 0; variant < 4; variant++, failed = true)
        for (long n = 60 + variant; failed; n += 41)
            failed = live_with_fault(*state, 995, n, variant % 2, variant >= 2, &v);
    assert_int_equal(v.nothing + v.unknown, 0);
}

/* As after errors=remount-ro: nothing is written from some call on, and then all is well again. */
static void a_disk_that_turns_read_only_is_told_and_got_over(void **state)
{
    struct error *err = NULL;
    struct journal *j;

    fault_install();
    j = a_journal(*state, 2);
    fault_arm(1, FAULT_READ_ONLY, true);
    for (unsigned i = 0; i < 3; i++) {
        if (try_turn(j, 3, &err) >= 0)
            fail_msg("written on a disk that is read-only");
        if (!strstr(error_message(err), "how its file system is mounted"))
            fail_msg("%s", error_message(err));
        assert_false(journal_spend_reserve(j));
        assert_int_equal(last_sequence(j), 2);
        error_free(take(err));
    }
    fault_disarm();
    assert_success(try_turn(j, 3, &err), err);
    journal_close(j);
    j = open_journal(journal_path(state));
    assert_int_equal(last_sequence(j), 5);
    journal_close(j);
}

/* synchronous=FULL: a commit that returned is there after a power cut right behind it. */
static void a_commit_that_returned_is_on_the_disk(void **state)
{
    struct journal *j, *crashed;
    char path[128];

    fault_install();
    fault.keep_synced = true;
    j = a_journal(*state, 1);
    for (uint64_t n = 2; n <= 40; n++) {
        begin(j);
        put_event(j, n, NOW);
        put_new_operation(j, (unsigned)n);
        commit(j);
        crashed = after_crash(*state, true, path);
        assert_int_equal(last_sequence(crashed), n);
        journal_close(crashed);
    }
    fault.keep_synced = false;
    journal_close(j);
}

static void a_full_disk_is_told_and_got_over(void **state)
{
    struct scratch *s = *state;
    struct error *err = NULL;
    struct journal *j;

    if (!scratch_small_disk(s, "size=2m"))
        skip();
    j = open_journal(journal_path(state));
    begin(j);
    put_event(j, 1, NOW);
    commit(j);
    scratch_fill(s);
    for (unsigned i = 0; i < 3; i++) {
        assert_failure(try_turn(j, 2, &err), err, ERROR_JOURNAL, "full; make room");
        assert_int_equal(last_sequence(j), 1);
    }
    scratch_make_room(s);
    assert_success(try_turn(j, 2, &err), err);
    journal_close(j);
    j = open_journal(journal_path(state));
    assert_int_equal(last_sequence(j), 4);
    journal_close(j);
}

/* Events 1 to last are there; adds one with a piece of the reserve where there is no room. */
static void put_with_reserve(struct journal *j, uint64_t n)
{
    struct error *err = NULL;

    while (try_turn(j, n, &err) < 0) {
        assert_int_equal(error_code_of(err), ERROR_JOURNAL);
        assert_int_equal(last_sequence(j), n - 1);
        error_free(take(err));
        assert_true(journal_spend_reserve(j));
        assert_true(journal_is_on_reserve(j));
    }
}

static void what_is_under_way_is_written_from_the_reserve(void **state)
{
    struct scratch *s = *state;
    struct journal *j;
    uint64_t n = 1;

    if (!scratch_small_disk(s, "size=32m"))
        skip();
    j = open_journal(journal_path(state));
    assert_false(journal_is_on_reserve(j));
    assert_false(journal_spend_reserve(j));
    scratch_fill(s);
    /* As many as 10,000 stops of two events each. */
    for (; n < 800; n += 3)
        put_with_reserve(j, n);
    assert_true(journal_is_on_reserve(j));
    scratch_fill(s);
    assert_false(journal_restore_reserve(j));
    put_with_reserve(j, n);
    scratch_make_room(s);
    assert_true(journal_restore_reserve(j));
    assert_false(journal_is_on_reserve(j));
    journal_close(j);
    j = open_journal(journal_path(state));
    assert_int_equal(last_sequence(j), n + 2);
    assert_false(journal_is_on_reserve(j));
    journal_close(j);
}

/* A reserve that is used up leaves a journal that cannot be written, and nothing worse. */
static void a_reserve_has_an_end(void **state)
{
    struct scratch *s = *state;
    struct error *err = NULL;
    unsigned pieces = 0;
    struct journal *j;

    if (!scratch_small_disk(s, "size=32m"))
        skip();
    j = open_journal(journal_path(state));
    do {
        scratch_fill(s);
        assert_failure(try_turn(j, 1, &err), err, ERROR_JOURNAL, "full; make room");
        pieces++;
    } while (journal_spend_reserve(j));
    assert_true(pieces > 8);
    assert_int_equal(last_sequence(j), 0);
    assert_false(journal_restore_reserve(j));
    scratch_make_room(s);
    assert_success(try_turn(j, 1, &err), err);
    assert_true(journal_restore_reserve(j));
    journal_close(j);
}

/* Only want of room is what room helps against. */
static void another_failure_spends_nothing(void **state)
{
    struct error *err = NULL;
    struct journal *j;

    j = open_journal(journal_path(state));
    begin(j);
    put_event(j, 1, NOW);
    commit(j);
    assert_failure(try_turn(j, 1, &err), err, ERROR_JOURNAL, "UNIQUE");
    assert_false(journal_spend_reserve(j));
    assert_false(journal_is_on_reserve(j));
    journal_close(j);
}

static void a_full_disk_is_no_reason_not_to_start(void **state)
{
    struct scratch *s = *state;
    struct journal *j;

    if (!scratch_small_disk(s, "size=32m"))
        skip();
    j = open_journal(journal_path(state));
    begin(j);
    put_event(j, 1, NOW);
    commit(j);
    journal_close(j);
    scratch_fill(s);
    j = open_journal(journal_path(state));
    assert_true(journal_is_on_reserve(j));
    put_with_reserve(j, 2);
    scratch_make_room(s);
    assert_true(journal_restore_reserve(j));
    journal_close(j);
}

/* A copy of the file that was made with holes keeps nothing. */
static void a_reserve_of_holes_is_none(void **state)
{
    struct scratch *s = *state;
    char name[160];
    struct stat st;
    struct journal *j = open_journal(journal_path(state));

    journal_close(j);
    snprintf(name, sizeof(name), "%s.reserve", journal_path(state));
    assert_int_equal(stat(name, &st), 0);
    assert_true(st.st_blocks * 512 >= 16 << 20);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_true(truncate(name, 0) == 0 && truncate(name, st.st_size) == 0);
    j = open_journal(scratch_path(s, "stopd.db"));
    assert_int_equal(stat(name, &st), 0);
    assert_true(st.st_blocks * 512 >= 16 << 20);
    journal_close(j);
}

static void a_disk_too_full_for_a_journal_is_told(void **state)
{
    struct scratch *s = *state;
    struct error *err = NULL;
    struct journal *j = NULL;

    if (!scratch_small_disk(s, "size=1m"))
        skip();
    scratch_fill(s);
    assert_failure(journal_open(journal_path(state), NULL, &j, &err), err, ERROR_JOURNAL, "full");
    scratch_make_room(s);
    j = open_journal(journal_path(state));
    journal_close(j);
}

/* --- kill -9 --------------------------------------------------------------------------------- */

static void commit_until_killed(const char *path, const struct child *self)
{
    struct journal *j = open_journal(path);
    uint64_t n = last_sequence(j);

    for (;;) {
        begin(j);
        put_event(j, n + 1, NOW);
        put_new_operation(j, (unsigned)n + 1);
        commit(j);
        n++;
        child_report(self, n);
    }
}

static int count_operation(void *userdata, struct operation *op)
{
    operation_free(op);
    ++*(unsigned *)userdata;
    return 0;
}

static unsigned count_unfinished(struct journal *j)
{
    struct error *err = NULL;
    unsigned n = 0;

    assert_success(journal_load_unfinished(j, count_operation, &n, &err), err);
    return n;
}

/* What was said to be committed is there, and the rest is all or nothing: as many operations as
 * events. */
static void a_killed_writer_loses_nothing_that_it_promised(void **state)
{
    unsigned seed = 7;

    for (unsigned round = 0; round < 30; round++) {
        unsigned reports = 1 + (unsigned)rand_r(&seed) % 20;
        uint64_t promised = 0, last;
        struct child writer;
        struct journal *j;

        if (child_fork(&writer))
            commit_until_killed(journal_path(state), &writer);
        while (reports-- > 0)
            assert_true(child_hear(&writer, &promised));
        promised = child_kill(&writer, promised);
        j = open_journal(journal_path(state));
        last = last_sequence(j);
        assert_true(last == promised || last == promised + 1);
        assert_int_equal(count_unfinished(j), last);
        journal_close(j);
    }
}

#define RULE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        RULE(a_full_disk_is_told_and_got_over),
        RULE(what_is_under_way_is_written_from_the_reserve),
        RULE(a_reserve_has_an_end),
        RULE(another_failure_spends_nothing),
        RULE(a_full_disk_is_no_reason_not_to_start),
        RULE(a_reserve_of_holes_is_none),
        RULE(a_disk_too_full_for_a_journal_is_told),
        RULE(a_killed_writer_loses_nothing_that_it_promised),
        RULE(a_failed_commit_says_what_is_known_of_it),
        RULE(a_failed_checkpoint_costs_nothing),
        RULE(a_disk_that_turns_read_only_is_told_and_got_over),
        RULE(a_commit_that_returned_is_on_the_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
