/* test_webhook_answer.c - contract 6: what becomes of an event by what its receiver answered */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "drivers/upstream/webhook-answer.h"
#include "drivers/upstream/webhook-token.h"
#include "scratch.h"

enum { DELIVERED, SET_ASIDE, AGAIN };

static int fate(long status)
{
    struct webhook_answer a = {.status = status};
    struct error *err = NULL;
    usec_t pause;
    int r = webhook_answer_judge(&a, &pause, &err);
    enum error_code code = error_code_of(err);

    error_free(err);
    if (r == 0)
        return DELIVERED;
    return code == ERROR_REFUSED ? SET_ASIDE : AGAIN;
}

/* "2xx is delivered, 4xx except 408 and 429 is set aside as a dead letter, the rest is tried
 * again". */
static void each_status_has_its_fate(void **state)
{
    for (long status = 100; status < 600; status++) {
        int expected = AGAIN;

        if (status / 100 == 2)
            expected = DELIVERED;
        if (status / 100 == 4 && status != 408 && status != 429)
            expected = SET_ASIDE;
        if (fate(status) != expected)
            fail_msg("%ld: %d", status, fate(status));
    }
}

static usec_t pause_after(long status, int64_t retry_after)
{
    struct webhook_answer a = {.status = status, .retry_after = retry_after};
    usec_t pause = 1;

    webhook_answer_judge(&a, &pause, NULL);
    return pause;
}

static void a_pause_is_honoured_within_bounds(void **state)
{
    assert_int_equal(pause_after(429, 120), 120 * USEC_PER_SEC);
    assert_int_equal(pause_after(503, 1), USEC_PER_SEC);
    assert_int_equal(pause_after(503, 0), 0);
    assert_int_equal(pause_after(503, -5), 0); /* a date that has been */
    assert_int_equal(pause_after(503, INT64_MAX), WEBHOOK_PAUSE_MOST);
    assert_int_equal(pause_after(200, 120), 0);
    assert_int_equal(pause_after(400, 120), 0); /* the next event is another one */
}

static void the_beginning_of_the_body_is_in_the_complaint(void **state)
{
    struct webhook_answer a = {.status = 400};
    struct error *err = NULL;
    usec_t pause;

    assert_true(webhook_answer_add(&a, "  no \r\n\tsuch ", 13));
    assert_true(webhook_answer_add(&a, "\n\x1b[2Jth\xc3\xafng", 11));
    webhook_answer_judge(&a, &pause, &err);
    assert_string_equal(error_message(err), "the receiver answered 400: no such ?[2Jth??ng");
    error_free(err);
}

static void a_body_is_read_to_a_bound(void **state)
{
    struct webhook_answer a = {.status = 500};
    char block[1024];
    size_t taken = 0;

    memset(block, 'x', sizeof(block));
    while (webhook_answer_add(&a, block, sizeof(block)))
        taken += sizeof(block);
    assert_int_equal(taken, WEBHOOK_BODY_MOST);
    assert_int_equal(strlen(a.excerpt), WEBHOOK_EXCERPT);
}

static int read_token(struct scratch *s, const char *text, size_t size, char **ret)
{
    const char *path = scratch_path(s, "token");
    FILE *to = fopen(path, "w");

    fwrite(text, 1, size, to);
    fclose(to);
    return webhook_token_read(path, ret, NULL);
}

static void a_token_is_one_word(void **state)
{
    static const struct {
        const char *text;
        size_t size;
    } bad[] = {{"", 0},     {" \n", 2},       {"two words", 9}, {"a\r\nX-Header: b", 14},
               {"a\0b", 3}, {"t\xc3\xb6", 3}, {"a\x7f", 2}};
    _cleanup_(freep) char *token = NULL, *large = calloc(1, WEBHOOK_TOKEN_MOST);

    assert_int_equal(read_token(*state, "\n s3cret.~+/= \r\n", 16, &token), 0);
    assert_string_equal(token, "s3cret.~+/=");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *none = NULL;

        if (read_token(*state, bad[i].text, bad[i].size, &none) == 0)
            fail_msg("%zu: '%s'", i, none);
    }
    memset(large, 'a', WEBHOOK_TOKEN_MOST);
    assert_true(read_token(*state, large, WEBHOOK_TOKEN_MOST, &token) < 0);
    assert_true(webhook_token_read("/nowhere/token", &token, NULL) < 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_status_has_its_fate),
        cmocka_unit_test(a_pause_is_honoured_within_bounds),
        cmocka_unit_test(the_beginning_of_the_body_is_in_the_complaint),
        cmocka_unit_test(a_body_is_read_to_a_bound),
        cmocka_unit_test_setup_teardown(a_token_is_one_word, scratch_setup, scratch_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
