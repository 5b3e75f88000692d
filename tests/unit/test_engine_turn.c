/* test_engine_turn.c - what arrives while a turn is being written shares the next one */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "scratch.h"
#include "engine-kit.h"
#include "stopd/log.h"

static bool journal_fails;

int __real_journal_begin(struct journal *j, struct error **err);
int __wrap_journal_begin(struct journal *j, struct error **err);

int __wrap_journal_begin(struct journal *j, struct error **err)
{
    return journal_fails ? error_set(err, ERROR_JOURNAL, "it is away")
                         : __real_journal_begin(j, err);
}

/* A guest that runs, known to stopd. */
static void begin_life(struct life *l, struct scratch *s)
{
    *l = (struct life){.path = scratch_path(s, "stopd.db"), .parallel = l->parallel};
    world_make(l);
    life_start(l);
    life_until(l, engine_is_attached(l->engine));
    while (engine_next_turn(l->engine) <= l->now)
        life_turn(l);
}

static void accept_stop(struct life *l, unsigned n, struct reply *reply)
{
    ask_stop_of(l, n, n == 1 ? "first" : "second", reply);
    engine_turn(l->engine);
    assert_true(reply->is_there);
    assert_string_equal(reply->message, "");
    assert_int_equal(reply->code, ERROR_NONE);
}

/* The look at this domain that is out has seen what is true now; its result waits for a turn. */
static void look_comes_back(struct life *l, const struct simulated_domain *d)
{
    struct call **at = &l->calls, *c;

    while (*at && ((*at)->kind != CALL_LOOK || uuid_compare((*at)->domain, d->definition->uuid)))
        at = &(*at)->next;
    c = *at;
    assert_non_null(c);
    *at = c->next;
    call_execute(c, &l->world->hypervisor);
    engine_take_call(l->engine, c);
}

/* --- A cancel and the guest's own end --------------------------------------------------------- */

/* Contract 4.4: the stop that waited is over with the cancel, and what the look then shows is the
 * end of a guest that was reported Running. */
static void a_cancel_comes_before_the_look_that_it_shares_a_turn_with(void **state)
{
    struct life l = {.parallel = 1};
    struct reply first, second, cancel;
    struct simulated_domain *d;
    struct history h;

    begin_life(&l, *state);
    d = world_add(&l, 2);
    life_turn(&l);
    life_turn(&l);
    accept_stop(&l, 1, &first);
    accept_stop(&l, 2, &second);

    assert_true(simulated_power_off(l.world, d));
    simulated_advance(l.world, l.now);
    engine_turn(l.engine);
    look_comes_back(&l, d);
    ask_cancel(&l, second.request_id, &cancel);
    engine_turn(l.engine);

    assert_int_equal(cancel.code, ERROR_NONE);
    read_history(l.path, &h);
    assert_string_equal(h.text, "Pending→Running Running→Stopping Running→Stopping "
                                "Stopping→Running Running→Stopped");
    life_end(&l);
}

/* --- Refusals --------------------------------------------------------------------------------- */

static void assert_code(const struct reply *reply, enum error_code code)
{
    assert_true(reply->is_there);
    assert_string_equal(error_name(reply->code), error_name(code));
}

static void a_turn_with(struct life *l, bool is_lost)
{
    journal_fails = is_lost;
    engine_turn(l->engine);
    journal_fails = false;
}

/* Contract 3: an accepted command is durable; one that is refused for another may be told of
 * nothing else. */
static void two_stops_of_one_turn(void **state, bool is_lost, enum error_code first,
                                  enum error_code second)
{
    struct life l = {0};
    struct reply one, two, mismatch;

    begin_life(&l, *state);
    world_add(&l, 2);
    life_turn(&l);
    life_turn(&l);
    ask_stop_of(&l, 1, "one", &one);
    ask_stop_of(&l, 1, "two", &two);
    ask_stop_of(&l, 2, "one", &mismatch);
    a_turn_with(&l, is_lost);

    assert_code(&one, first);
    assert_code(&two, second);
    assert_code(&mismatch, is_lost ? ERROR_UNAVAILABLE : ERROR_TOKEN_MISMATCH);
    assert_int_equal(count_operations(l.path), is_lost ? 0 : 1);
    if (!is_lost)
        assert_non_null(strstr(two.message, one.request_id));
    life_end(&l);
}

static void the_second_of_two_stops_is_refused_for_the_first(void **state)
{
    two_stops_of_one_turn(state, false, ERROR_NONE, ERROR_INSTANCE_STATUS);
}

static void nobody_is_refused_for_a_stop_that_never_was(void **state)
{
    two_stops_of_one_turn(state, true, ERROR_UNAVAILABLE, ERROR_UNAVAILABLE);
}

/* The second is told that the operation is finished, if it is. */
static void two_cancels_of_one_turn(void **state, bool is_lost, enum error_code first,
                                    enum error_code second)
{
    struct life l = {.parallel = 1};
    struct reply stop, waits, one, two;

    begin_life(&l, *state);
    world_add(&l, 2);
    life_turn(&l);
    life_turn(&l);
    accept_stop(&l, 1, &stop);
    accept_stop(&l, 2, &waits);
    ask_cancel(&l, waits.request_id, &one);
    ask_cancel(&l, waits.request_id, &two);
    a_turn_with(&l, is_lost);

    assert_code(&one, first);
    assert_code(&two, second);
    assert_int_equal(engine_unfinished(l.engine), is_lost ? 2 : 1);
    life_end(&l);
}

static void the_second_of_two_cancels_is_told_that_it_is_over(void **state)
{
    two_cancels_of_one_turn(state, false, ERROR_NONE, ERROR_INSTANCE_STATUS);
}

static void nobody_is_told_of_an_end_that_never_was(void **state)
{
    two_cancels_of_one_turn(state, true, ERROR_UNAVAILABLE, ERROR_UNAVAILABLE);
}

int main(void)
{
#define RULE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        RULE(a_cancel_comes_before_the_look_that_it_shares_a_turn_with),
        RULE(the_second_of_two_stops_is_refused_for_the_first),
        RULE(nobody_is_refused_for_a_stop_that_never_was),
        RULE(the_second_of_two_cancels_is_told_that_it_is_over),
        RULE(nobody_is_told_of_an_end_that_never_was),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
