/* relay-kit.h - a relay to a scripted sink, and the journal that it reads */
#ifndef STOPD_TESTS_RELAY_KIT_H
#define STOPD_TESTS_RELAY_KIT_H

#include "engine/relay.h"
#include "journal-kit.h"
#include "scripted-sink.h"

#define AT_ONCE (PATIENCE * USEC_PER_SEC)

/* A journal, the relay that reads it, and the sink that it fills. */
struct delivery {
    void *scratch;
    char path[128]; /* the journal's */
    struct journal *journal;
    struct scripted_sink sink;
    struct relay *relay;         /* while it runs */
    const char *const *expected; /* of each line of the log a part */
    size_t n_expected;
    int standard_error; /* as it was, while the log is caught; else -1 */
};

static inline int delivery_setup_without_journal(void **state)
{
    struct delivery *d = calloc(1, sizeof(*d));

    if (!d || scratch_setup(&d->scratch) < 0)
        return -1;
    snprintf(d->path, sizeof(d->path), "%s", journal_path(&d->scratch));
    scripted_init(&d->sink);
    d->standard_error = -1;
    *state = d;
    return 0;
}

static inline int delivery_setup(void **state)
{
    struct delivery *d;

    if (delivery_setup_without_journal(state) < 0)
        return -1;
    d = *state;
    d->journal = open_journal(d->path);
    return 0;
}

/* What goes to standard error, where the log goes, is caught from here on; in the end there have to
 * be these lines and no others, each given by a part of it. */
static inline void catch_log(struct delivery *d, const char *const *expected, size_t n)
{
    int fd = open(scratch_path(d->scratch, "log"), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    d->standard_error = dup(STDERR_FILENO);
    d->expected = expected;
    d->n_expected = n;
    dup2(fd, STDERR_FILENO);
    close(fd);
}

#define expect_log(d, ...)                                    \
    do {                                                      \
        static const char *const expected_[] = {__VA_ARGS__}; \
        catch_log(d, expected_, ELEMENTSOF(expected_));       \
    } while (0)

static inline bool log_is_as_expected(struct delivery *d)
{
    _cleanup_(freep) char *bytes = scratch_read(scratch_path(d->scratch, "log"), NULL);
    char *rest = bytes;
    size_t i = 0;

    for (char *line; (line = strsep(&rest, "\n")) && rest; i++) {
        if (i < d->n_expected && strstr(line, d->expected[i]))
            continue;
        print_error("line %zu of the log: %s\n", i, line);
        return false;
    }
    if (i < d->n_expected)
        print_error("the log has no line with: %s\n", d->expected[i]);
    return i == d->n_expected;
}

static inline int delivery_teardown(void **state)
{
    struct delivery *d = *state;
    bool is_well = true;

    if (d->relay) { /* the test broke off */
        tell(&d->sink, d->sink.hangs = false);
        relay_stop(d->relay, AT_ONCE);
    }
    if (d->standard_error >= 0) {
        dup2(d->standard_error, STDERR_FILENO);
        close(d->standard_error);
        is_well = log_is_as_expected(d);
    }
    journal_close(d->journal);
    scratch_teardown(&d->scratch);
    free(d);
    return is_well ? 0 : -1;
}

/* Commits the events from first to last. */
static inline void commit_events(struct delivery *d, uint64_t first, uint64_t last)
{
    begin(d->journal);
    for (uint64_t n = first; n <= last; n++)
        put_event(d->journal, n, NOW);
    commit(d->journal);
}

static inline void commit_cursor(struct delivery *d, uint64_t sequence)
{
    struct error *err = NULL;

    begin(d->journal);
    assert_success(journal_put_cursor(d->journal, "sink", sequence, &err), err);
    commit(d->journal);
}

static inline void start_with_pauses(struct delivery *d, usec_t least, usec_t most)
{
    const struct relay_settings settings = {.name = "sink",
                                            .upstream = &d->sink.upstream,
                                            .journal_path = d->path,
                                            .report = scripted_report,
                                            .userdata = &d->sink,
                                            .backoff_least = least,
                                            .backoff_most = most};
    struct error *err = NULL;

    assert_success(relay_start(&settings, &d->relay, &err), err);
}

/* With pauses of 1 to 20 ms, so that a test need not be patient. */
static inline void start(struct delivery *d)
{
    start_with_pauses(d, USEC_PER_MSEC, 20 * USEC_PER_MSEC);
}

static inline void end(struct delivery *d)
{
    assert_int_equal(relay_stop(take(d->relay), AT_ONCE), 0);
}

#define await_cursor(d, sequence) await(&(d)->sink, (d)->sink.cursor == (sequence))

static inline void assert_got(const struct delivery *d, uint64_t first, uint64_t last)
{
    assert_int_equal(d->sink.n_got, last - first + 1);
    for (size_t i = 0; i < d->sink.n_got; i++)
        assert_int_equal(d->sink.got[i], first + i);
}

#endif
