/* test_storage_sanitize_lost.c - a sanitize whose answer or which itself is lost, and a log that
 * still tells of an earlier one, which was the very same command */
#include "nvme-kit.h"

#define BLOCK 2u
#define ERASED (1u << 8) /* SSTAT: no data have been written since */
enum { NEVER = 0, SUCCESS = 1, RUNNING = 2, FAILED = 3 };

#define ENTRY(seconds, state, progress, what)                       \
    ((struct log_entry){.duration = (usec_t)(seconds)*USEC_PER_SEC, \
                        .sstat = (state),                           \
                        .sprog = (progress),                        \
                        .dword = (what)})

static int sanitize(struct fixture *f, struct error **err)
{
    return clear(f, CLEAR_NVME_SANITIZE_BLOCK, false, err);
}

static void assert_fails(struct fixture *f, const char *why)
{
    assert_fails_with(f, CLEAR_NVME_SANITIZE_BLOCK, false, why);
}

/* Last year's success is not this one's. */
static void a_lost_command_goes_out_again(void **state)
{
    struct fixture *f = *state;

    mock.before = ENTRY(0, SUCCESS, 65535, BLOCK);
    mock.sanitizes_lost = 1;
    mock.script[0] = ENTRY(20, RUNNING, 100, BLOCK);
    mock.script[1] = ENTRY(0, SUCCESS | ERASED, 65535, BLOCK);
    assert_int_equal(sanitize(f, NULL), 0);
    assert_int_equal(mock.n_sanitize, 2);
}

static void one_that_is_always_lost_is_not_done(void **state)
{
    struct fixture *f = *state;

    mock.before = ENTRY(0, SUCCESS, 65535, BLOCK);
    mock.sanitizes_lost = 100;
    assert_fails(f, "does not know ours (SSTAT 1, dword 10 0x00000002, as before it)");
    assert_int_equal(mock.n_sanitize, 3);
}

static void nor_is_it_on_a_device_that_was_never_sanitized(void **state)
{
    struct fixture *f = *state;

    mock.before = ENTRY(0, NEVER, 65535, 0);
    mock.sanitizes_lost = 100;
    assert_fails(f, "does not know ours (SSTAT 0");
    assert_int_equal(mock.n_sanitize, 3);
}

/* Its answer was lost in a reset, and it has begun all the same: never a second one. */
static void only_its_answer_was_lost(void **state)
{
    struct fixture *f = *state;

    mock.before = ENTRY(0, SUCCESS, 65535, BLOCK);
    mock.sanitize_status = -EINTR;
    mock.script[0] = (struct log_entry){.duration = 120 * USEC_PER_SEC, .failure = -EINTR};
    mock.script[1] = ENTRY(10, SUCCESS, 65535, BLOCK); /* the log lags */
    mock.script[2] = ENTRY(20, RUNNING, 100, BLOCK);
    mock.script[3] = ENTRY(0, SUCCESS, 65535, BLOCK);
    assert_int_equal(sanitize(f, NULL), 0);
    assert_int_equal(mock.n_sanitize, 1);
}

/* Done between two looks: it is seen by what the writes since the last one had taken away. */
static void a_quick_one_differs_from_the_one_before(void **state)
{
    static const int answers[] = {0, -EINTR};
    struct fixture *f = *state;

    for (size_t i = 0; i < ELEMENTSOF(answers); i++) {
        mock.is_sanitizing = false;
        mock.sanitize_status = answers[i];
        mock.before = ENTRY(0, SUCCESS, 65535, BLOCK);
        mock.script[0] = ENTRY(0, SUCCESS | ERASED, 65535, BLOCK);
        assert_int_equal(sanitize(f, NULL), 0);
    }
    assert_int_equal(mock.n_sanitize, 2);
}

/* Taken, says the controller, and nothing ever comes of it. */
static void one_that_was_taken_and_leaves_no_trace_is_not_done(void **state)
{
    struct fixture *f = *state;

    mock.before = ENTRY(0, SUCCESS, 65535, BLOCK);
    mock.script[0] = mock.before;
    assert_fails(f, "as before it");
    assert_int_equal(mock.n_sanitize, 1);
}

/* An old failure is no verdict either, until the log has had its time. */
static void an_old_failure_is_not_ours(void **state)
{
    struct fixture *f = *state;

    mock.before = ENTRY(0, FAILED, 65535, BLOCK);
    mock.script[0] = ENTRY(5, FAILED, 65535, BLOCK);
    mock.script[1] = ENTRY(20, RUNNING, 100, BLOCK);
    mock.script[2] = ENTRY(0, SUCCESS, 65535, BLOCK);
    assert_int_equal(sanitize(f, NULL), 0);
}

/* It may have been ours that failed at once: the device is opened for the next method. */
static void a_failure_without_a_trace_of_ours_is_left(void **state)
{
    struct fixture *f = *state;

    mock.before = mock.script[0] = ENTRY(0, FAILED, 65535, BLOCK | 8u);
    assert_fails_with(f, CLEAR_NVME_SANITIZE_BLOCK, true, "as before it");
    assert_int_equal(mock.n_exit, 1);
}

/* One more would only be turned down. */
static void somebody_elses_that_came_between_is_waited_out_by_nobody(void **state)
{
    struct fixture *f = *state;

    mock.sanitize_status = -EINTR;
    mock.script[0] = ENTRY(0, RUNNING, 100, 3 /* overwrite */);
    assert_fails(f, "does not know ours (SSTAT 2, dword 10 0x00000003)");
    assert_int_equal(mock.n_sanitize, 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        NVME_TEST(a_lost_command_goes_out_again),
        NVME_TEST(one_that_is_always_lost_is_not_done),
        NVME_TEST(nor_is_it_on_a_device_that_was_never_sanitized),
        NVME_TEST(only_its_answer_was_lost),
        NVME_TEST(a_quick_one_differs_from_the_one_before),
        NVME_TEST(one_that_was_taken_and_leaves_no_trace_is_not_done),
        NVME_TEST(an_old_failure_is_not_ours),
        NVME_TEST(a_failure_without_a_trace_of_ours_is_left),
        NVME_TEST(somebody_elses_that_came_between_is_waited_out_by_nobody),
    };

    return cmocka_run_group_tests_name("nvme: lost sanitizes", tests, NULL, NULL);
}
