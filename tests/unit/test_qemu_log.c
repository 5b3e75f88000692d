/* test_qemu_log.c - how a run ended, by the domain's log: believed where it says that nothing
 * stopped
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "drivers/hypervisor/qemu-log.h"
#include "scratch.h"

#define UUID "6695eb01-f6a4-8304-79aa-97f2502e193f"
#define BEGUN "2026-11-24 18:12:49.000+0000: starting up libvirt version: 9.0.0, package: 9.0.0-4\n"
#define RUN BEGUN "/usr/bin/qemu-system-x86_64 \\\n-uuid " UUID " \\\n-msg timestamp=on\n"
#define OTHERS \
    BEGUN "/usr/bin/qemu-system-x86_64 \\\n-uuid 00000000-0000-4000-8000-000000000001 \\\n"
#define END(reason) "2026-11-24 18:12:54.883+0000: shutting down, reason=" reason "\n"
#define AFTERWARDS "2026-11-24T18:12:54Z qemu-system-x86_64: terminating on signal 15 from pid 1\n"

static enum end_cause end_in(struct scratch *s, const char *text, size_t size, const char *name)
{
    uuid_t domain;

    scratch_write(scratch_path(s, "vm1.log"), text, size);
    assert_int_equal(uuid_parse(UUID, domain), 0);
    return qemu_log_end(s->folder, name, domain);
}

static void the_last_end_of_the_domains_own_last_run_counts(void **state)
{
    static const struct {
        const char *text;
        enum end_cause expected;
    } cases[] = {
        {RUN END("migrated") AFTERWARDS, END_MIGRATED},
        {RUN END("saved"), END_SAVED},
        {RUN END("destroyed") RUN END("migrated"), END_MIGRATED},
        {RUN END("migrated") RUN END("destroyed"), END_UNKNOWN},
        {RUN END("migrated") RUN, END_UNKNOWN}, /* the host went down under the last */
        {RUN END("migrated") RUN AFTERWARDS, END_UNKNOWN},
        {RUN END("shutdown"), END_UNKNOWN},
        {RUN END("migratedx"), END_UNKNOWN},
        {RUN "2026-11-24 18:12:54.883+0000: shutting down, reason=migrated", END_UNKNOWN},
        {RUN END("migrated") OTHERS END("migrated"), END_UNKNOWN},
        {OTHERS END("migrated") RUN END("crashed"), END_UNKNOWN},
        /* Starts that failed since, early and late, are no runs. */
        {RUN END("saved") END("failed"), END_SAVED},
        {RUN END("migrated") RUN END("failed"), END_MIGRATED},
        {RUN END("saved") END("failed") RUN END("failed") RUN AFTERWARDS END("failed")
             END("failed"),
         END_SAVED},
        {RUN END("saved") RUN END("destroyed") RUN END("failed"), END_UNKNOWN},
        {RUN END("saved") RUN END("shutdown") END("failed"), END_UNKNOWN},
        {RUN END("saved") END("failed") RUN, END_UNKNOWN},
        {RUN END("failed"), END_UNKNOWN},
        {OTHERS END("saved") RUN END("failed"), END_UNKNOWN},
        {"", END_UNKNOWN},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        assert_int_equal(end_in(*state, cases[i].text, strlen(cases[i].text), "vm1"),
                         cases[i].expected);
        assert_int_equal(end_in(*state, cases[i].text, strlen(cases[i].text), NULL),
                         cases[i].expected);
    }
    assert_int_equal(end_in(*state, RUN END("migrated"), strlen(RUN END("migrated")), "vm2"),
                     END_UNKNOWN);
}

/* QEMU may say anything in between: a zero hides nothing behind it. */
static void a_zero_does_not_end_it(void **state)
{
    static const char text[] = RUN "\0" END("migrated") RUN "\0" END("destroyed");

    assert_int_equal(end_in(*state, text, sizeof(text) - 1, "vm1"), END_UNKNOWN);
    assert_int_equal(end_in(*state, text, sizeof(RUN "\0" END("migrated")) - 1, "vm1"),
                     END_MIGRATED);
}

/* Where the name is not known any more; what was rotated away is of runs before the last. */
static void of_all_logs_only_todays_count(void **state)
{
    const char *migrated = RUN END("migrated"), *destroyed = RUN END("destroyed");
    struct scratch *s = *state;

    scratch_write(scratch_path(s, "vm1.log.0"), migrated, strlen(migrated));
    assert_int_equal(end_in(s, destroyed, strlen(destroyed), NULL), END_UNKNOWN);
    assert_int_equal(end_in(s, migrated, strlen(migrated), NULL), END_MIGRATED);
}

static void a_long_log_is_read_from_its_end(void **state)
{
    const size_t size = 1 << 20;
    _cleanup_(freep) char *text = malloc(size);
    const char *last = RUN END("migrated");

    assert_non_null(text);
    memset(text, 'x', size);
    memcpy(text + size - strlen(last), last, strlen(last));
    assert_int_equal(end_in(*state, text, size, "vm1"), END_MIGRATED);
    /* … and further, where nothing is told there. */
    memset(text, 'x', size);
    memcpy(text, last, strlen(last));
    assert_int_equal(end_in(*state, text, size, "vm1"), END_MIGRATED);
}

/* --- What ran since -------------------------------------------------------------------------- */

#define AT(time, uuid)                                               \
    "2026-11-24 " time "+0000: starting up libvirt version: 9.0.0\n" \
    "/usr/bin/qemu-system-x86_64 \\\n-uuid " uuid " \\\n-msg timestamp=on\n"
#define NOON AT("12:00:00.250", UUID)
#define LATER AT("12:00:09.000", UUID)
#define NOON_STAMP (UINT64_C(1795521600) * USEC_PER_SEC + 250000)

static bool ran_since(struct scratch *s, const char *text, size_t size, const char *name,
                      int64_t after_noon)
{
    uuid_t domain;

    scratch_write(scratch_path(s, "vm1.log"), text, size);
    assert_int_equal(uuid_parse(UUID, domain), 0);
    return qemu_log_has_run_since(s->folder, name, domain, NOON_STAMP + (usec_t)after_noon);
}

static void a_run_that_began_behind_the_one_that_is_meant_is_told(void **state)
{
    static const struct {
        const char *text;
        int64_t began; /* the process that is meant, by the stamp of noon */
        bool expected;
    } cases[] = {
        {NOON, 0, false},
        {NOON END("shutdown"), 0, false},
        {LATER END("shutdown") NOON END("shutdown"), 0, false},
        {NOON END("shutdown") LATER END("shutdown"), 0, true},
        {NOON END("shutdown") LATER, 0, true},
        {NOON AFTERWARDS LATER AFTERWARDS END("destroyed"), 0, true},
        {NOON END("shutdown") LATER END("shutdown") LATER END("failed"), 0, true},
        {NOON END("shutdown") LATER END("failed") LATER END("saved"), 0, true},
        /* A start that failed is no run, nor is another domain's that has had the name. */
        {NOON END("shutdown") LATER END("failed"), 0, false},
        {NOON END("shutdown") END("failed") LATER END("failed") END("failed"), 0, false},
        {NOON END("shutdown") OTHERS END("shutdown"), 0, false},
        {OTHERS LATER, 0, false},
        /* Between the line and its process; and which of two it can be is the last. */
        {NOON END("shutdown") LATER END("shutdown"), 8000000, true},
        {NOON END("failed") LATER END("shutdown"), 9000000, false},
        {NOON END("shutdown") LATER END("shutdown"), -400000, true},
        /* Its own beginning is not there, or the clock was set: nothing is told. */
        {LATER END("shutdown"), 0, false},
        {NOON END("shutdown") LATER END("shutdown"), -600000, false},
        {NOON END("shutdown") LATER END("shutdown"), 60000000, false},
        {"2026-11-24 noon: starting up libvirt version: \n-uuid " UUID "\n" LATER, 0, false},
        {": starting up libvirt version: 9\n-uuid " UUID "\n" LATER, 0, false},
        {"", 0, false},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        const char *names[] = {"vm1", NULL};

        for (size_t k = 0; k < ELEMENTSOF(names); k++)
            if (ran_since(*state, cases[i].text, strlen(cases[i].text), names[k], cases[i].began) !=
                cases[i].expected)
                fail_msg("case %zu, %s", i, names[k] ? "by name" : "of all logs");
    }
    assert_false(ran_since(*state, NOON LATER, strlen(NOON LATER), "vm2", 0));
}

/* However much it has said, and where its beginning was put aside. */
static void the_beginning_that_is_meant_is_looked_for_far_back(void **state)
{
    const size_t size = 1 << 20;
    _cleanup_(freep) char *text = malloc(size);
    struct scratch *s = *state;

    assert_non_null(text);
    memset(text, 'x', size);
    memcpy(text + size - strlen(LATER), LATER, strlen(LATER));
    assert_false(ran_since(s, text, size, "vm1", 0));
    scratch_write(scratch_path(s, "vm1.log.0"), NOON, strlen(NOON));
    assert_true(ran_since(s, text, size, "vm1", 0));
    memcpy(text, NOON, strlen(NOON));
    assert_true(ran_since(s, text, size, "vm1", 0));
}

static void the_logs_are_beside_the_pid_files(void **state)
{
    static const struct {
        const char *pids, *logs;
    } cases[] = {
        {"/run/libvirt/qemu", "/var/log/libvirt/qemu"},
        {"/srv/root/run/qemu", "/srv/root/log/qemu"},
        {"/run/user/1000/libvirt/qemu/run", "/home/user/.cache/libvirt/qemu/log"},
        {"/home/user/.cache/libvirt/qemu/run", "/home/user/.cache/libvirt/qemu/log"},
        {"/run/other", NULL},
        {NULL, NULL},
    };

    unsetenv("XDG_CACHE_HOME");
    setenv("HOME", "/home/user", 1);
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *found = NULL;

        assert_int_equal(qemu_log_directory(cases[i].pids, &found), 0);
        assert_true(text_equal(found, cases[i].logs));
    }
}

int main(void)
{
#define RULE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
    static const struct CMUnitTest tests[] = {
        RULE(the_last_end_of_the_domains_own_last_run_counts),
        RULE(a_zero_does_not_end_it),
        RULE(of_all_logs_only_todays_count),
        RULE(a_long_log_is_read_from_its_end),
        RULE(a_run_that_began_behind_the_one_that_is_meant_is_told),
        RULE(the_beginning_that_is_meant_is_looked_for_far_back),
        RULE(the_logs_are_beside_the_pid_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
