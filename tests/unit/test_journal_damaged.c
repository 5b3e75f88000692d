/* test_journal_damaged.c - a journal that is not what it should be: damaged, a stranger, newer,
 * away */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "journal-kit.h"

static int ignore_operation(void *userdata, struct operation *op)
{
    operation_free(op);
    return 0;
}

static int ignore_event(void *userdata, const struct upstream_event *e)
{
    return 0;
}

static int ignore_report(void *userdata, const struct reported *r)
{
    return 0;
}

static void fill(const char *path, unsigned rows)
{
    struct journal *j = open_journal(path);
    struct reported r = {.instance_id = (char *)"i-1", .state = STATE_RUNNING};
    struct error *err = NULL;

    begin(j);
    for (unsigned n = 1; n <= rows; n++) {
        put_new_operation(j, n);
        put_event(j, n, NOW);
        uuid_generate_random(r.domain);
        assert_success(journal_put_reported(j, &r, &err), err);
    }
    commit(j);
    journal_close(j);
}

/* Everything that reads, whatever comes of it. Returns how many readings failed. */
static unsigned read_everything(const char *path, bool *opened)
{
    struct journal *j = NULL;
    struct journal_reader *r = NULL;
    json_object *list = NULL;
    struct error *err = NULL;
    unsigned failed = 0;

    if (opened)
        *opened = false;
    if (journal_open(path, NULL, &j, &err) < 0) {
        assert_true(is_set(error_message(err)));
        error_free(err);
        return 1;
    }
    if (opened)
        *opened = true;
#define READ(call)                                  \
    if ((call) < 0) {                               \
        if (!strstr(error_message(err), "journal")) \
            fail_msg("%s", error_message(err));     \
        failed++;                                   \
        error_free(take(err));                      \
    }
    READ(journal_load_unfinished(j, ignore_operation, NULL, &err))
    READ(journal_load_reported(j, ignore_report, NULL, &err))
    READ(journal_reader_open(path, &r, &err))
    if (r) {
        READ(journal_read_events(r, 0, 1000, ignore_event, NULL, &err))
        READ(journal_read_operations(r, NULL, NULL, 1000, &list, &err))
    }
#undef READ
    json_object_put(list);
    journal_reader_close(r);
    journal_close(j);
    return failed;
}

static void a_stranger_is_refused(void **state)
{
    const char *path = journal_path(state);
    static const char text[] = "This is no database, but it is long enough to be asked what it is. "
                               "It goes on for more than a hundred bytes, as texts do.";
    struct error *err = NULL;
    struct journal *j = NULL;

    scratch_write(path, text, sizeof(text));
    assert_failure(journal_open(path, NULL, &j, &err), err, ERROR_JOURNAL, "damaged");
    unlink(path);
    by_hand(path, "CREATE TABLE phone (number TEXT)");
    assert_failure(journal_open(path, NULL, &j, &err), err, ERROR_JOURNAL, "some other database");
}

static void a_newer_schema_is_refused(void **state)
{
    const char *path = journal_path(state);
    struct journal_reader *r = NULL;
    struct error *err = NULL;
    struct journal *j = NULL;

    fill(path, 1);
    by_hand(path, "PRAGMA user_version = 9");
    assert_failure(journal_open(path, NULL, &j, &err), err, ERROR_JOURNAL,
                   "a newer stopd (its schema is 9");
    assert_failure(journal_reader_open(path, &r, &err), err, ERROR_JOURNAL, "a newer stopd");
}

static void a_damaged_row_is_named(void **state)
{
    const char *path = journal_path(state);
    struct journal_reader *r;
    json_object *o = NULL;
    struct error *err = NULL;
    struct journal *j;

    fill(path, 3);
    by_hand(path, "UPDATE operation SET document = replace(document, 'shutting-down', 'dreaming')"
                  " WHERE number = 2;"
                  "UPDATE operation SET document = '{\"requestId\":\"another\"}' WHERE number = 3;"
                  "UPDATE event SET id = 'x' WHERE sequence = 2;"
                  "UPDATE reported SET state = 'Dreaming'");
    j = open_journal(path);
    r = open_reader(path);
    assert_failure(journal_load_unfinished(j, ignore_operation, NULL, &err), err, ERROR_JOURNAL,
                   "473469C7-AA6F-4DC5-B3DB-000000000002");
    assert_failure(journal_load_reported(j, ignore_report, NULL, &err), err, ERROR_JOURNAL,
                   "last report of domain");
    assert_failure(journal_read_operation(r, "473469C7-AA6F-4DC5-B3DB-000000000003", &o, &err), err,
                   ERROR_JOURNAL, "operation 473469C7-AA6F-4DC5-B3DB-000000000003");
    assert_failure(journal_read_events(r, 0, 9, ignore_event, NULL, &err), err, ERROR_JOURNAL,
                   "event 2 ");
    journal_reader_close(r);
    journal_close(j);
}

/* What is bound to a ClientToken is handled as a RequestId, and a sink's place as a place. */
static void a_damaged_answer_or_cursor_is_named(void **state)
{
    static const char *const answers[] = {"R", "473469C7-AA6F-4DC5-B3DB-0000000000011"};
    const char *path = journal_path(state);
    _cleanup_(freep) char *fingerprint = NULL, *request_id = NULL;
    struct error *err = NULL;
    struct journal *j;
    uint64_t n;

    fill(path, 1);
    for (size_t i = 0; i < ELEMENTSOF(answers); i++) {
        j = open_journal(path);
        begin(j);
        assert_success(journal_put_token(j, "who", answers[i], "F", answers[i], NOW, &err), err);
        commit(j);
        assert_failure(journal_find_token(j, "who", answers[i], &fingerprint, &request_id, &err),
                       err, ERROR_JOURNAL, answers[i]);
        journal_close(j);
    }
    by_hand(path, "INSERT INTO cursor (sink, sequence) VALUES ('bus', -1)");
    j = open_journal(path);
    assert_failure(journal_load_cursor(j, "bus", &n, &err), err, ERROR_JOURNAL, "cursor of bus");
    journal_close(j);
}

/* A journal that will fail in the middle of a stop is refused before one begins. */
static void damage_is_met_at_the_opening(void **state)
{
    const char *path = journal_path(state);
    struct error *err = NULL;
    struct journal *j = NULL;
    size_t size, refused = 0;
    char *bytes;

    fill(path, 40);
    bytes = scratch_read(path, &size);
    for (size_t page = 0; page < size / 4096; page++) {
        char good[16];

        memcpy(good, bytes + page * 4096, sizeof(good));
        memset(bytes + page * 4096, 0xa5, sizeof(good));
        scratch_write(path, bytes, size);
        memcpy(bytes + page * 4096, good, sizeof(good));
        if (journal_open(path, NULL, &j, &err) < 0) {
            assert_non_null(strstr(error_message(err), "is damaged"));
            error_free(take(err));
            refused++;
        } else {
            journal_close(j);
        }
    }
    assert_int_equal(refused, size / 4096);
    free(bytes);
}

/* Past SQLite's own connection, and in another process: closing the file here would drop its locks.
 */
static void damage_in_use(const char *path)
{
    struct child other;

    if (child_fork(&other)) {
        static const char bytes[4096] = {(char)0xa5};
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
            _exit(1);
        for (off_t at = 4096; at < st.st_size; at += 4096)
            if (pwrite(fd, bytes, sizeof(bytes), at) != sizeof(bytes))
                _exit(1);
        _exit(0);
    }
    assert_int_equal(child_wait(&other), 0);
}

/* One that was whole at the opening: from the first sight of it on, nothing is written. */
static void damage_in_use_ends_the_writing(void **state)
{
    const char *path = journal_path(state);
    struct error *err = NULL;
    struct journal *j;

    fill(path, 3000); /* more than is kept in memory */
    j = open_journal(path);
    damage_in_use(path);
    begin(j);
    assert_failure(try_put_event(j, 3001, 1, NOW, &err), err, ERROR_JOURNAL, "is damaged");
    assert_failure(journal_commit(j, &err), err, ERROR_JOURNAL, "nothing of this turn");
    for (unsigned i = 0; i < 2; i++)
        assert_failure(journal_begin(j, &err), err, ERROR_JOURNAL, ".recover");
    journal_close(j);
    assert_failure(journal_open(path, NULL, &j, &err), err, ERROR_JOURNAL, "is damaged");
}

/* Every prefix of a document, and every byte of it another one: an error or an operation, never
 * more. */
static void no_document_is_trusted(void **state)
{
    const char *path = journal_path(state);
    struct operation *op = an_operation(1);
    _cleanup_(freep) char *document = journalled_text(op);
    size_t size = strlen(document);
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    struct journal *j;

    fill(path, 1);
    j = open_journal(path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_exec(db, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
    sqlite3_prepare_v2(db, "UPDATE operation SET document = ?", -1, &q, NULL);
    for (size_t i = 0; i < 2 * size; i++) {
        char kept = document[i % size];
        struct error *err = NULL;
        int r;

        document[i % size] = (char)(i < size ? 0 : kept ^ (1 << (i % 7)));
        sqlite3_bind_text(q, 1, document, -1, SQLITE_TRANSIENT);
        assert_int_equal(sqlite3_step(q), SQLITE_DONE);
        sqlite3_reset(q);
        document[i % size] = kept;
        r = journal_load_unfinished(j, ignore_operation, NULL, &err);
        assert_true(r >= 0 || error_code_of(err) == ERROR_JOURNAL);
        assert_true(r < 0 || i >= size);
        error_free(err);
    }
    sqlite3_finalize(q);
    sqlite3_close(db);
    journal_close(j);
    operation_free(op);
}

/* Bytes of the file overwritten at random: told or not noticed, never a crash. */
static void no_file_is_trusted(void **state)
{
    const char *path = journal_path(state);
    unsigned refused = 0, failed = 0, seed = 1;
    size_t size = 0;
    char *good, *bad;

    fill(path, 40);
    good = scratch_read(path, &size);
    bad = malloc(size);
    for (unsigned round = 0; round < 400; round++) {
        bool opened;

        memcpy(bad, good, size);
        for (unsigned i = 0; i <= round % 8; i++)
            bad[(size_t)rand_r(&seed) % size] = (char)rand_r(&seed);
        if (round % 5 == 0)
            memset(bad + (size_t)rand_r(&seed) % (size / 4096) * 4096, 0, 4096);
        scratch_write(path, bad, round % 7 ? size : size / 2);
        failed += read_everything(path, &opened) > 0;
        refused += !opened;
    }
    print_message("of 400 damaged files %u were refused, %u more failed to be read\n", refused,
                  failed - refused);
    assert_true(refused > 0);
    free(good);
    free(bad);
}

#define RULE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        RULE(a_stranger_is_refused),        RULE(a_newer_schema_is_refused),
        RULE(a_damaged_row_is_named),       RULE(a_damaged_answer_or_cursor_is_named),
        RULE(damage_is_met_at_the_opening), RULE(damage_in_use_ends_the_writing),
        RULE(no_document_is_trusted),       RULE(no_file_is_trusted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
