/* test_engine_turn.c - what arrives while a turn is being written shares the next one */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "scratch.h"
#include "engine-kit.h"
#include "stopd/log.h"

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

int main(void)
{
#define RULE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        RULE(a_cancel_comes_before_the_look_that_it_shares_a_turn_with),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
