/* test_uuid.c - identifiers of requests and events */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stopd/base.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned interruptions;

/* In the place of the C library's: it waits early in a boot, and signals come meanwhile. */
ssize_t getrandom(void *to, size_t n, unsigned flags)
{
    if (interruptions > 0) {
        interruptions--;
        errno = EINTR;
        return -1;
    }
    return syscall(SYS_getrandom, to, n, flags);
}

/* RFC 9562: version 7, the milliseconds first. */
static void ids_begin_with_their_time(void **state)
{
    char upper[UUID_TEXT_SIZE], lower[UUID_TEXT_SIZE], other[UUID_TEXT_SIZE];
    unsigned long long before = moment_now().realtime / USEC_PER_MSEC, at;

    uuid_new_upper(upper);
    uuid_new_lower(lower);
    uuid_new_lower(other);
    assert_string_not_equal(lower, other);
    for (size_t i = 0; i < UUID_TEXT_SIZE; i++) {
        assert_false(upper[i] >= 'a' && upper[i] <= 'f');
        assert_false(lower[i] >= 'A' && lower[i] <= 'F');
    }
    assert_int_equal(upper[14], '7');
    assert_non_null(strchr("89AB", upper[19]));
    memmove(lower + 8, lower + 9, 4);
    lower[12] = '\0';
    at = strtoull(lower, NULL, 16);
    assert_true(at >= before && at <= moment_now().realtime / USEC_PER_MSEC);
}

static void a_signal_early_in_a_boot_costs_nothing(void **state)
{
    char id[UUID_TEXT_SIZE];
    uuid_t parsed;

    interruptions = 3;
    /* Chance is asked for in advance, for some at once. */
    for (unsigned i = 0; interruptions > 0 && i < 1000; i++)
        uuid_new_upper(id);
    assert_int_equal(interruptions, 0);
    assert_int_equal(uuid_parse(id, parsed), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_begin_with_their_time),
        cmocka_unit_test(a_signal_early_in_a_boot_costs_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
