/* test_engine_clock.c - a real-time clock that is set forward and back under a running stopd */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "scratch.h"
#include "engine-kit.h"
#include "stopd/log.h"

#define HOUR (3600 * USEC_PER_SEC)

/* What is finished is kept for six hours; the sink has got everything. */
static void a_finished_stop(struct scratch *s, struct life *l, struct reply *reply)
{
    *l = (struct life){.path = scratch_path(s, "stopd.db"), .retain = 6 * HOUR};
    world_make(l);
    life_start(l);
    life_until(l, engine_is_attached(l->engine));
    ask_stop(l, "once", reply);
    life_until(l, reply->is_there && engine_unfinished(l->engine) == 0);
    assert_int_equal(reply->code, ERROR_NONE);
    engine_take_sink_report(
        l->engine, sink_report_new(SINK_MOVED, "file", engine_last_sequence(l->engine), NULL, 0));
}

static bool is_kept(const struct life *l, const struct reply *reply)
{
    return has_operation(l->path, reply->request_id);
}

static void a_clock_that_is_right_forgets_in_time(void **state)
{
    struct life l;
    struct reply reply;

    a_finished_stop(*state, &l, &reply);
    life_pass(&l, 5 * HOUR);
    assert_true(is_kept(&l, &reply));
    life_pass(&l, 2 * HOUR);
    assert_false(is_kept(&l, &reply));
    life_end(&l);
}

static void a_clock_set_forward_forgets_nothing_early(void **state)
{
    struct life l;
    struct reply reply;

    a_finished_stop(*state, &l, &reply);
    life_pass(&l, HOUR);
    l.clock_error += (int64_t)(100 * HOUR);
    life_pass(&l, 4 * HOUR);
    assert_true(is_kept(&l, &reply));
    life_pass(&l, 3 * HOUR);
    assert_false(is_kept(&l, &reply));
    life_end(&l);
}

/* What was written since the leap is as old as it looks. */
static void a_leap_is_over_in_the_end(void **state)
{
    struct life l;
    struct reply before, after;

    a_finished_stop(*state, &l, &before);
    l.clock_error += (int64_t)(100 * HOUR);
    life_pass(&l, HOUR);
    assert_true(simulated_start(l.world, l.guest));
    life_pass(&l, HOUR);
    ask_stop(&l, "again", &after);
    life_until(&l, after.is_there && engine_unfinished(l.engine) == 0);
    assert_int_equal(after.code, ERROR_NONE);
    life_pass(&l, 5 * HOUR);
    assert_false(is_kept(&l, &before));
    assert_true(is_kept(&l, &after));
    life_pass(&l, 2 * HOUR);
    assert_false(is_kept(&l, &after));
    life_end(&l);
}

/* Forward, again, and all the way back. */
static void a_clock_set_to_and_fro_forgets_nothing_early(void **state)
{
    struct life l;
    struct reply reply;

    a_finished_stop(*state, &l, &reply);
    for (unsigned i = 0; i < 3; i++) {
        l.clock_error += (int64_t)(50 * HOUR);
        life_pass(&l, HOUR / 2);
        l.clock_error -= (int64_t)(i < 2 ? 20 * HOUR : 110 * HOUR);
        life_pass(&l, HOUR / 2);
        assert_true(is_kept(&l, &reply));
    }
    assert_int_equal(l.clock_error, 0);
    life_pass(&l, 2 * HOUR);
    assert_true(is_kept(&l, &reply));
    life_pass(&l, 3 * HOUR);
    assert_false(is_kept(&l, &reply));
    life_end(&l);
}

static void a_clock_set_back_keeps_for_longer(void **state)
{
    struct life l;
    struct reply reply;

    a_finished_stop(*state, &l, &reply);
    l.clock_error -= (int64_t)(3 * HOUR);
    life_pass(&l, 8 * HOUR);
    assert_true(is_kept(&l, &reply));
    life_pass(&l, 2 * HOUR);
    assert_false(is_kept(&l, &reply));
    life_end(&l);
}

/* It is away for a minute by the clock that nobody sets. */
static void restart(struct life *l, int64_t leap)
{
    life_pass(l, HOUR / 2); /* past the last time that it was written down */
    life_die(l);
    l->clock_error += leap;
    l->now += 60 * USEC_PER_SEC;
    simulated_advance(l->world, l->now);
    life_start(l);
    life_until(l, engine_is_attached(l->engine));
}

static void over_restarts_too_ages_are_of_time_that_has_passed(void **state)
{
    struct life l;
    struct reply reply;

    a_finished_stop(*state, &l, &reply);
    l.clock_error += (int64_t)(100 * HOUR);
    restart(&l, 0); /* the leap was seen */
    assert_true(is_kept(&l, &reply));
    restart(&l, (int64_t)(200 * HOUR)); /* this one was not */
    assert_true(is_kept(&l, &reply));
    restart(&l, -(int64_t)(50 * HOUR));
    life_pass(&l, 3 * HOUR);
    assert_true(is_kept(&l, &reply));
    life_pass(&l, 5 * HOUR / 2);
    assert_false(is_kept(&l, &reply));
    life_end(&l);
}

/* Restarted more often than things are kept, it forgets in time what was written since a leap. */
static void restarts_do_not_make_a_leap_count_for_longer(void **state)
{
    struct life l;
    struct reply before, after;

    a_finished_stop(*state, &l, &before);
    l.clock_error += (int64_t)(100 * HOUR);
    life_pass(&l, HOUR);
    assert_true(simulated_start(l.world, l.guest));
    life_pass(&l, HOUR);
    ask_stop(&l, "again", &after);
    life_until(&l, after.is_there && engine_unfinished(l.engine) == 0);
    engine_take_sink_report(
        l.engine, sink_report_new(SINK_MOVED, "file", engine_last_sequence(l.engine), NULL, 0));
    for (unsigned i = 0; i < 10; i++)
        restart(&l, 0);
    assert_true(is_kept(&l, &after));
    for (unsigned i = 0; i < 4; i++)
        restart(&l, 0);
    assert_false(is_kept(&l, &after));
    life_end(&l);
}

/* The grace is counted by the other clock. */
static void the_grace_does_not_see_the_clock(void **state)
{
    for (int leap = -1; leap <= 1; leap++) {
        struct life l = {.path = scratch_path(*state, "stopd.db")};
        struct reply reply;
        usec_t pressed;

        unlink(l.path);
        world_make(&l);
        l.guest->manners.answer = ANSWER_NONE;
        life_start(&l);
        life_until(&l, engine_is_attached(l.engine));
        ask_stop(&l, leap < 0 ? "a" : leap > 0 ? "b" : "c", &reply);
        life_until(&l, l.guest->buttons > 0);
        pressed = l.now;
        l.clock_error += leap * (int64_t)(1000 * HOUR);
        life_pass(&l, 55 * USEC_PER_SEC);
        assert_int_equal(engine_unfinished(l.engine), 1);
        life_until(&l, engine_unfinished(l.engine) == 0);
        assert_true(l.now <= pressed + 61 * USEC_PER_SEC);
        assert_false(l.cut);
        life_end(&l);
        unlink(scratch_path(*state, "stopd.db"));
    }
}

#define RULE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        RULE(a_clock_that_is_right_forgets_in_time),
        RULE(a_clock_set_forward_forgets_nothing_early),
        RULE(a_leap_is_over_in_the_end),
        RULE(a_clock_set_to_and_fro_forgets_nothing_early),
        RULE(a_clock_set_back_keeps_for_longer),
        RULE(over_restarts_too_ages_are_of_time_that_has_passed),
        RULE(restarts_do_not_make_a_leap_count_for_longer),
        RULE(the_grace_does_not_see_the_clock),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
