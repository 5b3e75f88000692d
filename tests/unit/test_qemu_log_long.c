/* test_qemu_log_long.c - a QEMU that says much: the end of its run is found all the same */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "drivers/hypervisor/qemu-log.h"
#include "scratch.h"

#define UUID "6695eb01-f6a4-8304-79aa-97f2502e193f"
#define BEGUN(uuid)                                                                   \
    "2026-11-24 18:12:49.000+0000: starting up libvirt version: 9.0.0\n/usr/bin/qemu" \
    "-system-x86_64 \\\n-uuid " uuid " \\\n-msg timestamp=on\n"
#define RUN BEGUN(UUID)
#define OTHERS BEGUN("00000000-0000-4000-8000-000000000001")
#define END(reason) "2026-11-24 18:12:54.883+0000: shutting down, reason=" reason "\n"
#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* A file of these texts, with so much of QEMU's own between them. */
static void write_log(struct scratch *s, const char *name, const char *first, size_t n,
                      const char *last)
{
    static const char line[] = "2026-11-24T18:12:50.000Z qemu-system-x86_64: warning: again\n";
    FILE *f = fopen(scratch_path(s, name), "we");

    assert_non_null(f);
    fputs(first, f);
    for (size_t written = 0; written < n; written += sizeof(line) - 1)
        fputs(line, f);
    fputs(last, f);
    assert_int_equal(fclose(f), 0);
}

static void assert_end(struct scratch *s, const char *name, enum end_cause expected)
{
    uuid_t domain;

    assert_int_equal(uuid_parse(UUID, domain), 0);
    assert_int_equal(qemu_log_end(s->folder, name, domain), expected);
}

static void the_beginning_is_far_from_the_end(void **state)
{
    struct scratch *s = *state;
    static const size_t sizes[] = {63 * KIB, 64 * KIB, 65 * KIB, 300 * KIB, 2 * MIB};

    for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
        write_log(s, "vm1.log", RUN, sizes[i], END("saved"));
        assert_end(s, "vm1", END_SAVED);
        assert_end(s, NULL, END_SAVED);
        write_log(s, "vm1.log", RUN, sizes[i], END("destroyed"));
        assert_end(s, "vm1", END_UNKNOWN);
        write_log(s, "vm1.log", OTHERS, sizes[i], END("saved"));
        assert_end(s, "vm1", END_UNKNOWN);
    }
}

/* QEMU's last words come behind libvirt's. */
static void the_end_itself_is_far_away(void **state)
{
    struct scratch *s = *state;

    write_log(s, "vm1.log", RUN END("migrated"), 200 * KIB, "");
    assert_end(s, "vm1", END_MIGRATED);
    write_log(s, "vm1.log", RUN END("migrated"), 200 * KIB, RUN);
    assert_end(s, "vm1", END_UNKNOWN);
}

/* Somebody tries to start it every few seconds, for a week: that is to cost nobody minutes. */
static void very_many_starts_have_failed_since(void **state)
{
    struct scratch *s = *state;
    FILE *f = fopen(scratch_path(s, "vm1.log"), "we");

    assert_non_null(f);
    fputs(RUN END("migrated"), f);
    for (size_t i = 0; i < 120000; i++)
        fputs(END("failed"), f);
    assert_int_equal(fclose(f), 0);
    assert_end(s, "vm1", END_MIGRATED);
    f = fopen(scratch_path(s, "vm1.log"), "we");
    assert_non_null(f);
    fputs(RUN END("saved"), f);
    for (size_t i = 0; i < 40000; i++)
        fputs(RUN END("failed"), f);
    assert_int_equal(fclose(f), 0);
    assert_end(s, "vm1", END_SAVED);
}

static void the_beginning_was_put_aside(void **state)
{
    struct scratch *s = *state;

    write_log(s, "vm1.log.0", RUN, 2 * MIB, "");
    write_log(s, "vm1.log", "", 300 * KIB, END("saved"));
    assert_end(s, "vm1", END_SAVED);
    assert_end(s, NULL, END_SAVED);
    write_log(s, "vm1.log.1", RUN, 2 * MIB, "");
    write_log(s, "vm1.log.0", "", 2 * MIB, "");
    assert_end(s, "vm1", END_SAVED);
    assert_end(s, NULL, END_SAVED);
    /* All of it, and today's file is a new one. */
    write_log(s, "vm1.log.0", RUN, 100 * KIB, END("migrated"));
    write_log(s, "vm1.log", "", 0, "");
    assert_end(s, "vm1", END_MIGRATED);
    /* And it was another domain's, which had the name before. */
    write_log(s, "vm1.log.0", OTHERS, 100 * KIB, "");
    write_log(s, "vm1.log", "", 300 * KIB, END("saved"));
    assert_end(s, "vm1", END_UNKNOWN);
}

/* Whose run it was tells only the name then. */
static void no_beginning_is_left(void **state)
{
    struct scratch *s = *state;
    static const size_t sizes[] = {0, 100 * KIB, 3 * MIB};

    for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
        write_log(s, "vm1.log", "", sizes[i], END("saved"));
        assert_end(s, "vm1", END_SAVED);
        assert_end(s, NULL, END_UNKNOWN);
        write_log(s, "vm1.log", END("saved"), sizes[i], END("shutdown"));
        assert_end(s, "vm1", END_UNKNOWN);
    }
    write_log(s, "vm1.log", RUN, 17 * MIB, END("migrated"));
    assert_end(s, "vm1", END_MIGRATED);
    assert_end(s, NULL, END_UNKNOWN);
}

static void where_the_users_logs_are(void **state)
{
    _cleanup_(freep) char *found = NULL;

    setenv("XDG_CACHE_HOME", "/cache", 1);
    assert_int_equal(qemu_log_directory("/run/user/1000/libvirt/qemu/run", &found), 0);
    assert_string_equal(found, "/cache/libvirt/qemu/log");
}

int main(void)
{
#define RULE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
    static const struct CMUnitTest tests[] = {
        RULE(the_beginning_is_far_from_the_end), RULE(the_end_itself_is_far_away),
        RULE(the_beginning_is_far_from_the_end), RULE(very_many_starts_have_failed_since),
        RULE(the_beginning_was_put_aside),       RULE(no_beginning_is_left),
        RULE(where_the_users_logs_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
