/* relay-kit.h - a relay to a scripted sink, and the journal that it reads */
#ifndef STOPD_TESTS_RELAY_KIT_H
#define STOPD_TESTS_RELAY_KIT_H

#include "engine/relay.h"
#include "journal-kit.h"
#include "scripted-sink.h"

#define AT_ONCE (PATIENCE * USEC_PER_SEC)

/* Commits the events from first to last. */
static inline void commit_events(struct journal *j, uint64_t first, uint64_t last)
{
    begin(j);
    for (uint64_t n = first; n <= last; n++)
        put_event(j, n, NOW);
    commit(j);
}

static inline void commit_cursor(struct journal *j, uint64_t sequence)
{
    struct error *err = NULL;

    begin(j);
    assert_success(journal_put_cursor(j, "sink", sequence, &err), err);
    commit(j);
}

/* With pauses of 1 to 20 ms, so that a test need not be patient. */
static inline struct relay *start(struct scripted_sink *s, const char *path)
{
    const struct relay_settings settings = {.name = "sink",
                                            .upstream = &s->upstream,
                                            .journal_path = path,
                                            .report = scripted_report,
                                            .userdata = s,
                                            .backoff_least = USEC_PER_MSEC,
                                            .backoff_most = 20 * USEC_PER_MSEC};
    struct relay *r = NULL;
    struct error *err = NULL;

    assert_success(relay_start(&settings, &r, &err), err);
    return r;
}

static inline void assert_got(struct scripted_sink *s, uint64_t first, uint64_t last)
{
    assert_int_equal(s->n_got, last - first + 1);
    for (size_t i = 0; i < s->n_got; i++)
        assert_int_equal(s->got[i], first + i);
}

/* What goes to standard error while a test runs, where the log goes. */
static inline int catch_log(struct scratch *s)
{
    int kept = dup(STDERR_FILENO),
        fd = open(scratch_path(s, "log"), O_RDWR | O_CREAT | O_APPEND, 0600);

    dup2(fd, STDERR_FILENO);
    close(fd);
    return kept;
}

static inline void release_log(struct scratch *s, int kept, const char *const *expected, size_t n)
{
    _cleanup_(freep) char *bytes = scratch_read(scratch_path(s, "log"), NULL);
    char *rest = bytes;
    size_t i = 0;

    dup2(kept, STDERR_FILENO);
    close(kept);
    for (char *line; (line = strsep(&rest, "\n")) && rest; i++)
        if (i >= n || !strstr(line, expected[i]))
            fail_msg("line %zu of the log: %s", i, line);
    assert_int_equal(i, n);
}

#endif
