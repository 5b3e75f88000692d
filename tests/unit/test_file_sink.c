/* test_file_sink.c - events in a file: whole lines, each once, over crashes, full disks and
 * rotation */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "drivers/upstream/file.h"
#include "event-file.h"
#include "scratch.h"

#include <sys/syscall.h>

/* --- A disk whose sync fails ----------------------------------------------------------------- */

static struct {
    unsigned syncs_to_fail;
    unsigned cuts_to_fail;
    bool is_instant; /* no sync at all: kill -9 leaves what was written */
    unsigned syncs;
    off_t synced; /* the size of the file that was last put on the disk */
} disk;

/* In the C library's place, for the sink in this program. */
int fdatasync(int fd)
{
    struct stat st;

    if (disk.syncs_to_fail > 0) {
        disk.syncs_to_fail--;
        errno = EIO;
        return -1;
    }
    disk.syncs++;
    if (fstat(fd, &st) == 0)
        disk.synced = st.st_size;
    return disk.is_instant ? 0 : (int)syscall(SYS_fdatasync, fd);
}

int ftruncate(int fd, off_t size)
{
    if (disk.cuts_to_fail > 0) {
        disk.cuts_to_fail--;
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_ftruncate, fd, size);
}

/* --- Events and sinks ------------------------------------------------------------------------ */

#define MOST 600

static struct upstream_event *events_from(uint64_t first, size_t n, size_t padding)
{
    struct upstream_event *events = calloc(n, sizeof(*events));

    for (size_t i = 0; i < n; i++) {
        struct upstream_event *e = &events[i];
        char *id = NULL, *body = NULL;
        int size;

        e->sequence = first + i;
        if (asprintf(&id, "11111111-2222-4333-8444-%012llx", (unsigned long long)e->sequence) < 0)
            abort();
        size = asprintf(
            &body, "{\"specversion\":\"1.0\",\"id\":\"%s\",\"sequence\":\"%llu\",\"x\":\"%0*d\"}",
            id, (unsigned long long)e->sequence, (int)padding + 1, 0);
        e->id = id;
        e->body = body;
        e->body_size = (size_t)size;
        e->type = "stopd.instance.state.v1";
        e->instance_id = "i-1";
    }
    return events;
}

static void events_free(struct upstream_event *events, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free((char *)events[i].id);
        free((char *)events[i].body);
    }
    free(events);
}

static struct upstream *a_sink(const char *path)
{
    struct upstream *u = NULL;

    assert_int_equal(upstream_file_new(path, &u, NULL), 0);
    return u;
}

static void open_sink(struct upstream *u, const char *expected_last_id)
{
    char last_id[UUID_TEXT_SIZE] = "unset";
    struct error *err = NULL;

    if (u->ops->open(u, last_id, &err) < 0)
        fail_msg("open: %s", error_message(err));
    if (expected_last_id)
        assert_string_equal(last_id, expected_last_id);
}

static uint64_t last_of(struct upstream *u)
{
    char last_id[UUID_TEXT_SIZE];
    struct error *err = NULL;

    if (u->ops->open(u, last_id, &err) < 0)
        fail_msg("open: %s", error_message(err));
    return last_id[0] ? strtoull(last_id + 24, NULL, 16) : 0;
}

/* Returns what deliver() does; on failure the message has to have this in it. */
static size_t deliver(struct upstream *u, uint64_t first, size_t n, size_t padding,
                      const char *failure)
{
    struct upstream_event *events = events_from(first, n, padding);
    struct error *err = NULL;
    size_t delivered = 4711;
    int r = u->ops->deliver(u, events, n, &delivered, &err);

    if ((r < 0) != (failure != NULL) || (failure && !strstr(error_message(err), failure)))
        fail_msg("deliver: %d, %s", r, err ? error_message(err) : "no error");
    if (!failure)
        assert_int_equal(delivered, n);
    error_free(err);
    events_free(events, n);
    return delivered;
}

static void assert_open_fails(struct upstream *u, const char *part)
{
    char last_id[UUID_TEXT_SIZE];
    struct error *err = NULL;

    assert_true(u->ops->open(u, last_id, &err) < 0);
    if (!strstr(error_message(err), part))
        fail_msg("%s", error_message(err));
    error_free(err);
}

/* --- A sound disk ---------------------------------------------------------------------------- */

static void events_are_lines_in_their_order(void **state)
{
    const char *path = scratch_path(*state, "events.jsonl");
    struct upstream *u = a_sink(path);
    struct stat st;

    assert_string_equal(u->ops->type, "file");
    open_sink(u, "");
    deliver(u, 1, 3, 10, NULL);
    deliver(u, 4, 1, 10, NULL);
    assert_lines(path, 1, 4);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0007, 0);
    assert_int_equal(disk.synced, st.st_size); /* delivered is what is on the disk */
    u->ops->free(u);

    u = a_sink(path);
    open_sink(u, "11111111-2222-4333-8444-000000000004");
    deliver(u, 5, 1, 10, NULL);
    assert_lines(path, 1, 5);
    u->ops->free(u);
}

static void a_large_batch_is_several_chunks(void **state)
{
    const char *path = scratch_path(*state, "events.jsonl");
    struct upstream *u = a_sink(path);

    open_sink(u, "");
    disk.syncs = 0;
    deliver(u, 1, MOST, 10000, NULL); /* 6 MB, of at most 1 MiB a chunk */
    assert_int_equal(disk.syncs, 6);
    deliver(u, MOST + 1, 1, 2000000, NULL);
    assert_lines(path, 1, MOST + 1);
    assert_int_equal(last_of(u), MOST + 1);
    u->ops->free(u);
}

/* --- What crashes leave ---------------------------------------------------------------------- */

static void a_torn_line_is_cut_off_wherever_it_was_torn(void **state)
{
    const char *path = scratch_path(*state, "events.jsonl");
    struct upstream *u = a_sink(path);
    size_t size, two;
    char *bytes;

    open_sink(u, "");
    deliver(u, 1, 2, 20, NULL);
    u->ops->free(u);
    bytes = scratch_read(path, &two);
    free(bytes);
    u = a_sink(path);
    open_sink(u, NULL);
    deliver(u, 3, 1, 20, NULL);
    u->ops->free(u);
    bytes = scratch_read(path, &size);
    for (size_t cut = 0; cut < size; cut++) {
        scratch_write(path, bytes, cut);
        u = a_sink(path);
        assert_int_equal(last_of(u), cut >= two ? 2 : cut >= two / 2 ? 1 : 0);
        assert_lines(path, 1, cut >= two ? 2 : cut >= two / 2 ? 1 : 0);
        u->ops->free(u);
    }
    free(bytes);
}

/* A power cut kept a later page and lost an earlier one; what is behind it was not acknowledged. */
static void a_hole_ends_the_file(void **state)
{
    const char *path = scratch_path(*state, "events.jsonl");
    struct upstream *u = a_sink(path);
    size_t size, line;
    char *bytes;

    open_sink(u, "");
    deliver(u, 1, 6, 50, NULL);
    u->ops->free(u);
    bytes = scratch_read(path, &size);
    line = size / 6;
    memset(bytes + 3 * line + 10, 0, line);
    scratch_write(path, bytes, size);
    u = a_sink(path);
    assert_int_equal(last_of(u), 3);
    deliver(u, 4, 3, 50, NULL);
    assert_lines(path, 1, 6);
    u->ops->free(u);
    free(bytes);
}

static void a_line_of_somebody_elses_is_looked_past(void **state)
{
    static const char note[] = "# moved here by the night shift\n{\"id\":7}\n\n[]\n";
    const char *path = scratch_path(*state, "events.jsonl");
    struct upstream *u = a_sink(path);
    _cleanup_(freep) char *after = NULL;
    FILE *f;

    open_sink(u, "");
    deliver(u, 1, 2, 20, NULL);
    f = fopen(path, "a");
    fputs(note, f);
    fclose(f);
    assert_int_equal(last_of(u), 2);
    after = scratch_read(path, NULL);
    assert_non_null(strstr(after, note));
    u->ops->free(u);
}

static void a_file_that_is_no_text_is_left_alone(void **state)
{
    const char *path = scratch_path(*state, "disk.img");
    struct upstream *u = a_sink(path);
    size_t size = 5 * 1024 * 1024, after;
    char *image = malloc(size);

    memset(image, 'x', size);
    scratch_write(path, image, size);
    assert_open_fails(u, "no file of events");
    free(image);
    free(scratch_read(path, &after));
    assert_int_equal(after, size);
    u->ops->free(u);
}

/* What the end of the file holds may never have left the page cache: it is not believed before it
 * has. */
static void the_last_id_is_that_of_a_line_on_the_disk(void **state)
{
    const char *path = scratch_path(*state, "events.jsonl");
    struct upstream *u = a_sink(path);
    struct stat st;

    open_sink(u, "");
    deliver(u, 1, 2, 20, NULL);
    disk.synced = 0;
    assert_int_equal(last_of(u), 2);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(disk.synced, st.st_size);
    disk.syncs_to_fail = 1;
    assert_open_fails(u, "to the disk");
    u->ops->free(u);
}

/* --- A disk that fails ----------------------------------------------------------------------- */

static void what_a_failed_sync_left_is_cut_off(void **state)
{
    const char *path = scratch_path(*state, "events.jsonl");
    struct upstream *u = a_sink(path);

    open_sink(u, "");
    deliver(u, 1, 2, 20, NULL);
    disk.syncs_to_fail = 1;
    assert_int_equal(deliver(u, 3, 2, 20, "Input/output error"), 0);
    assert_lines(path, 1, 2);
    assert_int_equal(last_of(u), 2);
    deliver(u, 3, 2, 20, NULL);
    assert_lines(path, 1, 4);
    u->ops->free(u);
}

/* The lines can be read, for they are in the page cache, but are not known to be on the disk. */
static void what_could_not_be_cut_off_is_so_at_the_next_opening(void **state)
{
    const char *path = scratch_path(*state, "events.jsonl");
    struct upstream *u = a_sink(path);

    open_sink(u, "");
    deliver(u, 1, 2, 20, NULL);
    disk.syncs_to_fail = 1;
    disk.cuts_to_fail = 2;
    assert_int_equal(deliver(u, 3, 2, 20, "Input/output error"), 0);
    assert_lines(path, 1, 4);
    assert_open_fails(u, "undelivered");
    assert_int_equal(last_of(u), 2);
    assert_lines(path, 1, 2);
    deliver(u, 3, 2, 20, NULL);
    assert_lines(path, 1, 4);

    disk.syncs_to_fail = 1;
    disk.cuts_to_fail = 1;
    assert_int_equal(deliver(u, 5, 2, 20, "Input/output error"), 0);
    deliver(u, 5, 2, 20, NULL); /* it opens by itself */
    assert_lines(path, 1, 6);
    u->ops->free(u);
}

static void a_full_disk_loses_and_doubles_nothing(void **state)
{
    static const char *const sizes[] = {"size=512k", "size=768k", "size=2m"};
    struct scratch *s = *state;
    struct upstream *u;
    uint64_t last = 0;
    const char *path;

    if (!scratch_small_disk(s, "size=256k"))
        skip();
    path = scratch_path(s, "events.jsonl");
    u = a_sink(path);
    open_sink(u, "");
    for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
        last += deliver(u, last + 1, MOST, 1000, "is full; make room");
        assert_lines(path, 1, last);
        assert_int_equal(last_of(u), last);
        assert_int_equal(deliver(u, last + 1, 1, 5000, "is full; make room"), 0);
        assert_int_equal(mount(NULL, s->folder, NULL, MS_REMOUNT, sizes[i]), 0);
    }
    assert_true(last > 100);
    deliver(u, last + 1, 20, 1000, NULL);
    assert_lines(path, 1, last + 20);
    u->ops->free(u);
}

/* --- Its place ------------------------------------------------------------------------------- */

static void a_missing_folder_is_told_and_got_over(void **state)
{
    struct scratch *s = *state;
    char path[128];
    struct upstream *u;

    snprintf(path, sizeof(path), "%s/made/later/events.jsonl", s->folder);
    u = a_sink(path);
    assert_open_fails(u, "make it, or set another");
    assert_int_equal(deliver(u, 1, 1, 1, "does not exist"), 0);
    assert_int_equal(mkdir(scratch_path(s, "made"), 0700), 0);
    assert_int_equal(mkdir(scratch_path(s, "made/later"), 0700), 0);
    open_sink(u, "");
    deliver(u, 1, 1, 1, NULL);
    assert_lines(path, 1, 1);
    u->ops->free(u);
}

static void only_a_regular_file_will_do(void **state)
{
    struct scratch *s = *state;
    struct upstream *u = a_sink(s->folder);

    assert_open_fails(u, "directory");
    u->ops->free(u);
    assert_int_equal(mkfifo(scratch_path(s, "fifo"), 0600), 0);
    u = a_sink(s->path);
    assert_open_fails(u, "no regular file");
    u->ops->free(u);
    u = a_sink("/dev/null");
    assert_open_fails(u, "no regular file");
    u->ops->free(u);
}

static void one_process_appends_at_a_time(void **state)
{
    const char *path = scratch_path(*state, "events.jsonl");
    struct upstream *one = a_sink(path), *other = a_sink(path);

    open_sink(one, "");
    assert_open_fails(other, "another process appends");
    one->ops->free(one);
    open_sink(other, "");
    other->ops->free(other);
}

static void rotation_by_rename_needs_no_signal(void **state)
{
    struct scratch *s = *state;
    char path[128], rotated[128];
    struct upstream *u;

    snprintf(path, sizeof(path), "%s/events.jsonl", s->folder);
    snprintf(rotated, sizeof(rotated), "%s/events.jsonl.1", s->folder);
    u = a_sink(path);
    open_sink(u, "");
    deliver(u, 1, 2, 20, NULL);
    assert_int_equal(rename(path, rotated), 0);
    deliver(u, 3, 2, 20, NULL);
    assert_lines(rotated, 1, 2);
    assert_lines(path, 3, 4);
    /* logrotate's "create" has made the new file already. */
    assert_int_equal(rename(path, rotated), 0);
    scratch_write(path, "", 0);
    deliver(u, 5, 1, 20, NULL);
    assert_lines(rotated, 3, 4);
    assert_lines(path, 5, 5);
    /* Deleted, which nobody should do. */
    assert_int_equal(unlink(path), 0);
    deliver(u, 6, 1, 20, NULL);
    assert_lines(path, 6, 6);
    /* logrotate's "copytruncate" */
    assert_int_equal(truncate(path, 0), 0);
    deliver(u, 7, 1, 20, NULL);
    assert_lines(path, 7, 7);
    u->ops->free(u);
}

/* --- Standard output ------------------------------------------------------------------------- */

/* A child delivers to its standard output, which is our end of a pipe. */
static void deliver_into_pipe(const struct child *self, int flags)
{
    struct upstream *u = a_sink("-");
    char last_id[UUID_TEXT_SIZE] = "unset";

    dup2(self->reports, STDOUT_FILENO);
    if (fcntl(STDOUT_FILENO, F_SETFL, flags) < 0 || u->ops->open(u, last_id, NULL) < 0 ||
        last_id[0])
        _exit(1);
    deliver(u, 1, MOST, 1000, NULL);
    u->ops->free(u);
    _exit(0);
}

static void standard_output_gets_the_same_lines(void **state)
{
    const char *path = scratch_path(*state, "copy");

    for (unsigned round = 0; round < 2; round++) {
        struct child c;
        char bytes[4096];
        ssize_t n;
        int fd;

        if (child_fork(&c))
            deliver_into_pipe(&c, round ? O_NONBLOCK : 0);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        while ((n = read(c.reports, bytes, sizeof(bytes))) > 0)
            assert_int_equal(write(fd, bytes, (size_t)n), n);
        close(fd);
        assert_int_equal(child_wait(&c), 0);
        assert_lines(path, 1, MOST);
    }
}

/* --- kill -9 --------------------------------------------------------------------------------- */

static void deliver_until_killed(const char *path, const struct child *self)
{
    struct upstream *u = a_sink(path);
    uint64_t last;

    disk.is_instant = true;
    last = last_of(u);
    child_report(self, last);
    for (unsigned i = 0; i < 40; i++) {
        size_t n = 1 + last % 7;

        last += deliver(u, last + 1, n, last % 4 == 0 ? 30 : 100000, NULL);
        child_report(self, last);
    }
    pause();
}

static void over_kill_9_each_event_is_there_once(void **state)
{
    const char *path = scratch_path(*state, "events.jsonl");
    unsigned seed = 3, torn = 0;
    uint64_t promised = 0, last = 0;
    struct upstream *u;

    for (unsigned round = 0; round < 60; round++) {
        unsigned reports = 1 + (unsigned)rand_r(&seed) % 12;
        struct child c;
        size_t size = 0;
        char *bytes;

        if (child_fork(&c))
            deliver_until_killed(path, &c);
        while (reports-- > 0)
            assert_true(child_hear(&c, &promised));
        for (unsigned spin = (unsigned)rand_r(&seed) % 300000; spin > 0; spin--)
            __asm__ volatile("");
        promised = child_kill(&c, promised);
        bytes = scratch_read(path, &size);
        torn += size > 0 && bytes[size - 1] != '\n';
        free(bytes);
        u = a_sink(path);
        last = last_of(u);
        assert_true(last >= promised);
        u->ops->free(u);
    }
    assert_lines(path, 1, last);
    print_message("%llu events, %u of 60 kills left a torn line\n", (unsigned long long)last, torn);
}

static int setup(void **state)
{
    memset(&disk, 0, sizeof(disk));
    return scratch_setup(state);
}

#define RULE(f) cmocka_unit_test_setup_teardown(f, setup, scratch_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        RULE(events_are_lines_in_their_order),
        RULE(a_large_batch_is_several_chunks),
        RULE(a_torn_line_is_cut_off_wherever_it_was_torn),
        RULE(a_hole_ends_the_file),
        RULE(a_line_of_somebody_elses_is_looked_past),
        RULE(a_file_that_is_no_text_is_left_alone),
        RULE(the_last_id_is_that_of_a_line_on_the_disk),
        RULE(what_a_failed_sync_left_is_cut_off),
        RULE(what_could_not_be_cut_off_is_so_at_the_next_opening),
        RULE(a_full_disk_loses_and_doubles_nothing),
        RULE(a_missing_folder_is_told_and_got_over),
        RULE(only_a_regular_file_will_do),
        RULE(one_process_appends_at_a_time),
        RULE(rotation_by_rename_needs_no_signal),
        RULE(standard_output_gets_the_same_lines),
        RULE(over_kill_9_each_event_is_there_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
