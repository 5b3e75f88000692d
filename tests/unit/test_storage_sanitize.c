/* test_storage_sanitize.c - an NVMe subsystem that is sanitized, and each way in which that goes
 * wrong */
#include "nvme-kit.h"

#define AUSE 8u
#define CRYPTO 4u
#define BLOCK 2u
enum { NEVER = 0, SUCCESS = 1, RUNNING = 2, FAILED = 3, SUCCESS_KEPT = 4 };

static void script(struct log_entry a, struct log_entry b, struct log_entry c)
{
    mock.script[0] = a;
    mock.script[1] = b;
    mock.script[2] = c;
}

#define ENTRY(seconds, state, progress, what)                       \
    ((struct log_entry){.duration = (usec_t)(seconds)*USEC_PER_SEC, \
                        .sstat = (state),                           \
                        .sprog = (progress),                        \
                        .dword = (what)})

static void sanicap_decides(void **state)
{
    struct fixture *f = *state;

    for (uint32_t cap = 0; cap < 8; cap++) {
        struct storage_offer crypto, block;

        mock.controller.sanicap = htole32(cap);
        crypto = offer(f, CLEAR_NVME_SANITIZE_CRYPTO);
        block = offer(f, CLEAR_NVME_SANITIZE_BLOCK);
        assert_int_equal(crypto.is_available, (cap & 1) != 0);
        assert_int_equal(block.is_available, (cap & 2) != 0);
        assert_int_equal(crypto.reach, REACH_SUBSYSTEM);
        assert_int_equal(crypto.level, LEVEL_PURGE);
    }
}

static void done(void **state)
{
    struct fixture *f = *state;

    script(ENTRY(20, RUNNING, 100, BLOCK | AUSE), ENTRY(20, RUNNING, 40000, BLOCK | AUSE),
           ENTRY(0, SUCCESS, 65535, BLOCK | AUSE));
    assert_int_equal(clear(f, CLEAR_NVME_SANITIZE_BLOCK, true, NULL), 0);
    assert_int_equal(mock.n_sanitize, 1);
    assert_int_equal(mock.sanitize.cdw10, BLOCK | AUSE);
    assert_true(f->steps > 30);
}

static void done_without_deallocation(void **state)
{
    struct fixture *f = *state;

    script(ENTRY(0, SUCCESS_KEPT | 1 << 8, 65535, CRYPTO), (struct log_entry){0},
           (struct log_entry){0});
    assert_int_equal(clear(f, CLEAR_NVME_SANITIZE_CRYPTO, false, NULL), 0);
    assert_int_equal(mock.sanitize.cdw10,
                     CRYPTO); /* where only a purge will do, no way out of a failure */
}

static void failed_and_opened_again(void **state)
{
    struct fixture *f = *state;

    script(ENTRY(20, RUNNING, 100, CRYPTO | AUSE), ENTRY(0, FAILED, 65535, CRYPTO | AUSE),
           (struct log_entry){0});
    assert_fails_with(f, CLEAR_NVME_SANITIZE_CRYPTO, true, "failed, says its log");
    assert_int_equal(mock.n_exit, 1);
    assert_int_equal(mock.exit_failure.cdw10, 1);
}

static void failed_and_left_shut(void **state)
{
    struct fixture *f = *state;

    script(ENTRY(20, RUNNING, 100, CRYPTO), ENTRY(0, FAILED, 65535, CRYPTO), (struct log_entry){0});
    assert_fails_with(f, CLEAR_NVME_SANITIZE_CRYPTO, false, "failed, says its log");
    assert_int_equal(mock.n_exit, 0);
}

static void stalled(void **state)
{
    struct fixture *f = *state;
    usec_t begun = mock.clock;

    script(ENTRY(60, RUNNING, 100, BLOCK), ENTRY(0, RUNNING, 655, BLOCK), (struct log_entry){0});
    assert_fails_with(f, CLEAR_NVME_SANITIZE_BLOCK, false, "stood at 655");
    assert_in_range((mock.clock - begun) / (60 * USEC_PER_SEC), 30, 33);
}

static void an_estimate_gives_a_slow_one_its_time(void **state)
{
    struct fixture *f = *state;

    mock.estimate = 2 * 3600;
    script(ENTRY(3 * 3600, RUNNING, 655, BLOCK), ENTRY(0, SUCCESS, 65535, BLOCK),
           (struct log_entry){0});
    assert_int_equal(clear(f, CLEAR_NVME_SANITIZE_BLOCK, false, NULL), 0);
}

static void reset_half_way(void **state)
{
    struct fixture *f = *state;

    script(ENTRY(60, RUNNING, 10000, BLOCK),
           (struct log_entry){.duration = 120 * USEC_PER_SEC, .failure = -EINTR},
           ENTRY(60, RUNNING, 20000, BLOCK));
    mock.script[3] = ENTRY(0, SUCCESS, 65535, BLOCK);
    assert_int_equal(clear(f, CLEAR_NVME_SANITIZE_BLOCK, false, NULL), 0);
    assert_int_equal(mock.n_sanitize, 1);
}

static void reset_and_never_back(void **state)
{
    struct fixture *f = *state;

    script(ENTRY(60, RUNNING, 10000, BLOCK), (struct log_entry){.failure = -ENODEV},
           (struct log_entry){0});
    assert_fails_with(f, CLEAR_NVME_SANITIZE_BLOCK, false, "cannot be read any more");
}

static void reset_and_forgotten(void **state)
{
    struct fixture *f = *state;

    script(ENTRY(60, RUNNING, 10000, BLOCK),
           (struct log_entry){.duration = 5 * USEC_PER_SEC, .failure = -EINTR},
           ENTRY(0, NEVER, 65535, 0));
    assert_fails_with(f, CLEAR_NVME_SANITIZE_BLOCK, false, "does not know ours");
}

static void an_old_success_is_not_ours(void **state)
{
    struct fixture *f = *state;

    mock.before = ENTRY(0, SUCCESS, 65535, CRYPTO);
    script(ENTRY(0, SUCCESS, 65535, CRYPTO), (struct log_entry){0}, (struct log_entry){0});
    assert_fails_with(f, CLEAR_NVME_SANITIZE_BLOCK, false, "does not know ours");
}

static void the_log_may_lag(void **state)
{
    struct fixture *f = *state;

    script(ENTRY(5, SUCCESS, 65535, CRYPTO), ENTRY(60, RUNNING, 1, BLOCK),
           ENTRY(0, SUCCESS, 65535, BLOCK));
    assert_int_equal(clear(f, CLEAR_NVME_SANITIZE_BLOCK, false, NULL), 0);
}

static void turned_down(void **state)
{
    struct fixture *f = *state;

    mock.sanitize_status = 0x1; /* invalid opcode */
    assert_fails_with(f, CLEAR_NVME_SANITIZE_BLOCK, false, "status 0x1");
}

static void the_answer_is_lost_but_not_the_command(void **state)
{
    struct fixture *f = *state;

    mock.sanitize_status = -EINTR;
    script(ENTRY(20, RUNNING, 1, BLOCK), ENTRY(0, SUCCESS, 65535, BLOCK), (struct log_entry){0});
    assert_int_equal(clear(f, CLEAR_NVME_SANITIZE_BLOCK, false, NULL), 0);
}

static void our_own_of_an_earlier_run_is_waited_for(void **state)
{
    struct fixture *f = *state;

    mock.is_sanitizing = true;
    mock.sanitize_at = mock.clock;
    script(ENTRY(100, RUNNING, 1000, BLOCK), ENTRY(0, SUCCESS, 65535, BLOCK),
           (struct log_entry){0});
    assert_int_equal(clear(f, CLEAR_NVME_SANITIZE_BLOCK, false, NULL), 0);
    assert_int_equal(mock.n_sanitize, 0);
}

static void somebody_elses_is_left_alone(void **state)
{
    struct fixture *f = *state;

    mock.before = ENTRY(0, RUNNING, 1000, 3 /* overwrite */);
    assert_fails_with(f, CLEAR_NVME_SANITIZE_BLOCK, false, "another sanitize");
    assert_int_equal(mock.n_sanitize, 0);
}

static void a_state_that_nobody_defined_is_no_success(void **state)
{
    struct fixture *f = *state;

    script(ENTRY(0, 5, 65535, BLOCK), (struct log_entry){0}, (struct log_entry){0});
    assert_fails_with(f, CLEAR_NVME_SANITIZE_BLOCK, false, "nobody has defined");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        NVME_TEST(sanicap_decides),
        NVME_TEST(done),
        NVME_TEST(done_without_deallocation),
        NVME_TEST(failed_and_opened_again),
        NVME_TEST(failed_and_left_shut),
        NVME_TEST(stalled),
        NVME_TEST(an_estimate_gives_a_slow_one_its_time),
        NVME_TEST(reset_half_way),
        NVME_TEST(reset_and_never_back),
        NVME_TEST(reset_and_forgotten),
        NVME_TEST(an_old_success_is_not_ours),
        NVME_TEST(the_log_may_lag),
        NVME_TEST(turned_down),
        NVME_TEST(the_answer_is_lost_but_not_the_command),
        NVME_TEST(our_own_of_an_earlier_run_is_waited_for),
        NVME_TEST(somebody_elses_is_left_alone),
        NVME_TEST(a_state_that_nobody_defined_is_no_success),
    };

    return cmocka_run_group_tests_name("nvme: sanitize", tests, NULL, NULL);
}
