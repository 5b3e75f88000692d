/* test_engine_faults_force.c - memory that runs out and a disk that fails as a soft stop is forced
 *
 * The same loops as in test_engine_faults.c, over a guest that does not heed the button and a
 * ForceStop command that makes its stop a power cut. That command's RequestId is an alias of the
 * operation's: where it was answered it names the operation for good, and where it was refused
 * nothing of it is there and no power is cut (contract 4.1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "faults-kit.h"

/* A soft stop is under way, and the guest is deaf. */
static void a_deaf_life(struct scratch *s, struct life *l, struct reply *soft)
{
    no_journal(s);
    *l = (struct life){.path = scratch_path(s, "stopd.db")};
    world_make(l);
    l->guest->manners.answer = ANSWER_NONE;
    life_start(l);
    life_until(l, engine_is_attached(l->engine));
    ask_stop(l, "once", soft);
    life_until(l, l->guest->buttons > 0);
    assert_int_equal(soft->code, ERROR_NONE);
    life_turn(l);
}

static void force(struct life *l, struct reply *reply)
{
    ask_stop_with(l, 1, "force", "ForceStop", "true", reply);
}

static bool is_stopped(const struct life *l)
{
    return l->guest->state == DOMAIN_OFF && engine_unfinished(l->engine) == 0;
}

static bool is_forced_by(const struct life *l, const char *request_id)
{
    const struct operation *op = engine_find_operation(l->engine, l->guest->definition->uuid);

    return op && op->force_stop && text_equal(op->forced_by, request_id);
}

/* The command again, without trouble; then its end. promised: the RequestId that was answered. */
static void assert_goes_on(struct life *l, const char *soft, const char *promised)
{
    struct history h;
    struct reply again;

    do {
        life_until(l, engine_is_attached(l->engine));
        force(l, &again);
        life_until(l, again.is_there);
        assert_true(again.has_answer);
        if (again.code != ERROR_NONE)
            life_step(l, l->now + USEC_PER_SEC);
    } while (again.code == ERROR_UNAVAILABLE);
    if (again.code != ERROR_NONE)
        fail_msg("%s: %s", error_name(again.code), again.message);
    if (promised)
        assert_string_equal(again.request_id, promised);
    life_until(l, is_stopped(l));
    read_history(l->path, &h);
    assert_string_equal(h.text, WHOLE_STOP);
    assert_int_equal(count_operations(l->path), 1);
    assert_true(l->cut);
    assert_true(has_operation(l->path, soft));
    assert_true(has_operation(l->path, again.request_id));
}

/* The turn that takes the command meets the trouble. */
static bool force_in_trouble(struct scratch *s, const struct trouble *t, long n)
{
    struct life l;
    struct reply soft, reply;
    bool met, accepted;

    a_deaf_life(s, &l, &soft);
    force(&l, &reply);
    begin_trouble(t, n);
    engine_turn(l.engine);
    met = end_trouble(t);
    assert_true(reply.is_there);
    accepted = reply.has_answer && reply.code == ERROR_NONE;
    if (accepted) {
        assert_true(has_operation(l.path, reply.request_id));
        assert_true(is_forced_by(&l, reply.request_id));
    } else if (reply.has_answer && reply.code != ERROR_INTERNAL) {
        assert_int_equal(error_http_status(reply.code), 503);
        assert_false(is_forced_by(&l, reply.request_id));
        assert_false(has_operation(l.path, reply.request_id));
        make_calls(&l);
        assert_false(l.cut);
    }
    make_calls(&l);
    assert_goes_on(&l, soft.request_id, accepted ? reply.request_id : NULL);
    life_end(&l);
    return met;
}

static void a_power_cut_is_refused_or_durable(void **state)
{
    loop_over_all(*state, troubles, ELEMENTSOF(troubles), 1, force_in_trouble);
}

/* The trouble is met at any time from then to the end. */
static bool cut_in_trouble(struct scratch *s, const struct trouble *t, long n)
{
    struct life l;
    struct reply soft, reply;
    usec_t until;
    bool met;

    a_deaf_life(s, &l, &soft);
    force(&l, &reply);
    engine_turn(l.engine);
    assert_int_equal(reply.code, ERROR_NONE);
    until = l.now + 5 * USEC_PER_SEC;
    begin_trouble(t, n);
    make_calls(&l);
    while (l.now < until && !is_stopped(&l))
        life_step(&l, until);
    met = end_trouble(t);
    assert_goes_on(&l, soft.request_id, reply.request_id);
    life_end(&l);
    return met;
}

static void a_power_cut_goes_on(void **state)
{
    loop_over_all(*state, troubles, ELEMENTSOF(troubles), 7, cut_in_trouble);
}

/* stopd starts on a journal with a stop that was forced, and whose power is not cut yet. */
static bool recover_in_trouble(struct scratch *s, const struct trouble *t, long n)
{
    struct life l;
    struct reply soft, reply;
    bool met;

    a_deaf_life(s, &l, &soft);
    force(&l, &reply);
    engine_turn(l.engine);
    assert_int_equal(reply.code, ERROR_NONE);
    life_die(&l);
    met = start_in_trouble(&l, t, n);
    assert_true(is_forced_by(&l, reply.request_id));
    assert_goes_on(&l, soft.request_id, reply.request_id);
    life_end(&l);
    return met;
}

static void consent_is_found_again(void **state)
{
    loop_over_starts(*state, recover_in_trouble);
}

#define RULE(f) cmocka_unit_test_setup_teardown(f, setup, scratch_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        RULE(a_power_cut_is_refused_or_durable),
        RULE(a_power_cut_goes_on),
        RULE(consent_is_found_again),
    };

    log_set_level((enum log_level) - 1);
    memory_install();
    fault_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
