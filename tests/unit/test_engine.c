/* The engine by itself: what it loads, which calls it makes, and what it makes of their ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "engine-calls-kit.h"

static void two_unfinished_operations_of_one_domain_are_a_sentence(void **state)
{
    struct life *l = *state;
    struct error *err = NULL;
    uuid_t domain;

    uuid_generate_random(domain);
    operation_free(put_stop(l, 1, domain, METHOD_ACPI));
    operation_free(put_stop(l, 101, domain, METHOD_ACPI));
    assert_failure(life_try_start(l, &err), err, ERROR_JOURNAL, "two unfinished operations of i-1");
}

static void damaged_facts_are_a_sentence_and_none_are_fine(void **state)
{
    static const char *const damaged[] = {"", "[]", "{\"vcpus\":-1}", "{\"vcpus\":1}"};
    struct life *l = *state;
    struct error *err = NULL;
    struct reported r = {.instance_id = (char *)"i-1", .state = STATE_STOPPED};

    uuid_generate_random(r.domain);
    for (size_t i = 0; i < ELEMENTSOF(damaged); i++) {
        r.facts = (char *)damaged[i];
        begin(l->journal);
        assert_success(journal_put_reported(l->journal, &r, &err), err);
        commit(l->journal);
        assert_failure(life_try_start(l, &err), err, ERROR_JOURNAL, "remembers of i-1 is damaged");
    }
    r.facts = NULL;
    begin(l->journal);
    assert_success(journal_put_reported(l->journal, &r, &err), err);
    commit(l->journal);
    assert_success(life_try_start(l, &err), err);
}

/* A look, which every attachment asks for, shows it running: the button goes out. */
static struct call *pressing(struct life *l, const uuid_t domain)
{
    struct call *c = take_out(l, CALL_LOOK);

    fill_running(&c->sighting, domain);
    answered(l, c);
    return take_out(l, CALL_PRESS);
}

static void an_agent_has_a_budget_of_its_own(void **state)
{
    struct life *l = *state;
    struct error *err = NULL;
    struct call *c;
    uuid_t domain;

    uuid_generate_random(domain);
    operation_free(put_stop(l, 1, domain, METHOD_AGENT_ACPI));
    assert_success(life_try_start(l, &err), err);
    attach(l, domain);
    c = pressing(l, domain);
    assert_int_equal(c->button, BUTTON_AGENT);
    assert_true(c->timeout < 30 * USEC_PER_SEC);
    /* It is written off: ACPI at once. */
    c->stuck = true;
    c->result = error_set(&c->error, ERROR_UNKNOWN, "no answer");
    answered(l, c);
    c = take_out(l, CALL_PRESS);
    assert_int_equal(c->button, BUTTON_ACPI);
    call_free(c);
}

static void an_act_that_comes_back_late_makes_it_look(void **state)
{
    struct life *l = *state;
    struct error *err = NULL;
    struct call *c;
    uuid_t domain;

    uuid_generate_random(domain);
    operation_free(put_stop(l, 1, domain, METHOD_ACPI));
    assert_success(life_try_start(l, &err), err);
    attach(l, domain);
    c = pressing(l, domain);
    assert_false(is_out(l, CALL_LOOK));
    written_off(l, c, domain);
    assert_false(is_out(l, CALL_LOOK));
    c->is_late = true;
    answered(l, c);
    assert_true(is_out(l, CALL_LOOK));
}

static void a_glance_that_shows_what_is_known_makes_nobody_look(void **state)
{
    struct life *l = *state;
    struct error *err = NULL;
    struct call *c;
    uuid_t domain;

    uuid_generate_random(domain);
    assert_success(life_try_start(l, &err), err);
    attach(l, domain);
    assert_false(is_out(l, CALL_GLANCE));
    l->now += 300 * USEC_PER_SEC;
    engine_turn(l->engine);
    c = take_out(l, CALL_GLANCE);
    fill_running(listed(c), domain);
    answered(l, c);
    assert_false(is_out(l, CALL_LOOK));
    assert_false(is_out(l, CALL_GLANCE));

    /* Another run of it is something to look at; so is a domain that is not listed. */
    for (unsigned i = 0; i < 2; i++) {
        l->now += 300 * USEC_PER_SEC;
        engine_turn(l->engine);
        c = take_out(l, CALL_GLANCE);
        fill_running(listed(c), domain);
        c->list.n = 1 - i;
        c->list.items[0].incarnation.start_time++;
        answered(l, c);
        c = take_out(l, CALL_LOOK);
        fill_running(&c->sighting, domain);
        answered(l, c);
    }
}

static void look_shows(struct life *l, const uuid_t domain, enum domain_state state,
                       enum end_cause cause)
{
    struct call *c = take_out(l, CALL_LOOK);

    fill_running(&c->sighting, domain);
    c->sighting.state = state;
    c->sighting.cause = cause;
    if (state == DOMAIN_OFF)
        c->sighting.incarnation = (struct incarnation){0};
    answered(l, c);
}

/* The guest has crashed, which a stop is about to end; then the hypervisor is lost for a while. */
static void a_crash_is_seen(struct life *l, uuid_t domain)
{
    struct error *err = NULL;
    struct call *c;

    uuid_generate_random(domain);
    operation_free(put_stop(l, 1, domain, METHOD_ACPI));
    assert_success(life_try_start(l, &err), err);
    attach(l, domain);
    look_shows(l, domain, DOMAIN_CRASHED, END_UNKNOWN);
    c = take_out(l, CALL_CUT);
    engine_take_lost(l->engine, "end of file");
    c->result = error_set(&c->error, ERROR_UNKNOWN, "end of file");
    answered(l, c);
    l->now += 60 * USEC_PER_SEC;
}

/* Contract 4.6: with that cause in the event. What the full read has shown counts, though nothing
 * is decided by it. */
static void a_crash_that_only_a_full_read_shows_undone_is_not_how_it_ended(void **state)
{
    struct life *l = *state;
    uuid_t domain;

    a_crash_is_seen(l, domain);
    attach(l, domain);
    look_shows(l, domain, DOMAIN_OFF, END_DESTROYED);
    assert_string_equal(engine_find_operation(l->engine, domain)->ended, "power cut");
}

static void a_crash_that_nobody_has_undone_is_how_it_ended(void **state)
{
    struct life *l = *state;
    struct call *c;
    uuid_t domain;

    a_crash_is_seen(l, domain);
    engine_turn(l->engine);
    c = take_out(l, CALL_CONNECT);
    c->has_processes = true;
    fill_running(listed(c), domain);
    c->list.items[0].state = DOMAIN_CRASHED;
    answered(l, c);
    look_shows(l, domain, DOMAIN_ENDING, END_UNKNOWN);
    l->now += 60 * USEC_PER_SEC;
    engine_turn(l->engine);
    look_shows(l, domain, DOMAIN_OFF, END_DESTROYED);
    assert_string_equal(engine_find_operation(l->engine, domain)->ended, "guest crashed");
}

int main(void)
{
#define RULE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        RULE(two_unfinished_operations_of_one_domain_are_a_sentence),
        RULE(damaged_facts_are_a_sentence_and_none_are_fine),
        RULE(an_agent_has_a_budget_of_its_own),
        RULE(an_act_that_comes_back_late_makes_it_look),
        RULE(a_glance_that_shows_what_is_known_makes_nobody_look),
        RULE(a_crash_that_only_a_full_read_shows_undone_is_not_how_it_ended),
        RULE(a_crash_that_nobody_has_undone_is_how_it_ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
