/* The engine by itself: what it loads, which calls it makes, and what it makes of their ends. */
#include "engine/engine.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/journal-kit.h"

#define CALLS_MOST 32

/* A host that keeps the calls that go out until the test answers them. */
struct scene {
    struct journal *journal;
    struct engine *engine;
    struct moment now;
    struct call *calls[CALLS_MOST];
    size_t n_calls;
};

static void keep_call(void *userdata, struct call *c)
{
    struct scene *s = userdata;

    assert_true(s->n_calls < CALLS_MOST);
    s->calls[s->n_calls++] = c;
}

static struct moment scene_now(void *userdata)
{
    struct scene *s = userdata;

    return s->now;
}

static uint32_t no_chance(void *userdata, uint32_t bound)
{
    return 0;
}

static void heed_nothing(void *userdata, uint64_t sequence)
{
}

static int start_engine(struct scene *s, struct error **err)
{
    const struct engine_host host = {.userdata = s,
                                     .start_call = keep_call,
                                     .now = scene_now,
                                     .random = no_chance,
                                     .committed = heed_nothing};
    const struct engine_settings settings = {.host_id = "h",
                                             .policy = {.stop = {.grace = 120 * USEC_PER_SEC,
                                                                 .method = METHOD_ACPI,
                                                                 .on_timeout = ON_TIMEOUT_FAIL},
                                                        .resend = 10 * USEC_PER_SEC,
                                                        .stopped_mode = STOPPED_MODE_KEEP_CHARGING},
                                             .call_timeout = 30 * USEC_PER_SEC,
                                             .destroy_timeout = 90 * USEC_PER_SEC,
                                             .retain = 72 * 3600 * USEC_PER_SEC};

    return engine_new(&settings, &host, s->journal, &s->engine, err);
}

static int set_up(void **state)
{
    struct scene *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    s->journal = open_journal(":memory:");
    s->now =
        (struct moment){.monotonic = 1000 * USEC_PER_SEC, .realtime = 1790000000 * USEC_PER_SEC};
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;

    for (size_t i = 0; i < s->n_calls; i++)
        call_free(s->calls[i]);
    engine_free(s->engine);
    journal_close(s->journal);
    free(s);
    return 0;
}

/* The call of this kind that is out, which is the test's then. */
static struct call *take_out(struct scene *s, enum call_kind kind)
{
    for (size_t i = 0; i < s->n_calls; i++)
        if (s->calls[i]->kind == kind) {
            struct call *c = s->calls[i];

            s->calls[i] = s->calls[--s->n_calls];
            return c;
        }
    fail_msg("no '%s' is out", call_kind_to_string(kind));
    return NULL;
}

static bool is_out(const struct scene *s, enum call_kind kind)
{
    for (size_t i = 0; i < s->n_calls; i++)
        if (s->calls[i]->kind == kind)
            return true;
    return false;
}

static void answered(struct scene *s, struct call *c)
{
    engine_take_call(s->engine, c);
    engine_turn(s->engine);
}

static const struct incarnation the_run = {"9d3e8bd0-5b2c-4c4a-9f3d-0c8f6a3f7b11", 4711, 100};

static void fill_running(struct sighting *seen, const uuid_t domain)
{
    uuid_copy(seen->domain, domain);
    seen->state = DOMAIN_RUNNING;
    seen->incarnation = the_run;
    seen->remembered = PROCESS_ALIVE;
}

/* The hypervisor is at hand, with one domain that runs. */
static void attach(struct scene *s, const uuid_t domain)
{
    struct call *c;

    engine_turn(s->engine);
    c = take_out(s, CALL_CONNECT);
    c->has_processes = true;
    c->list.items = calloc(1, sizeof(*c->list.items));
    c->list.n = 1;
    fill_running(&c->list.items[0], domain);
    answered(s, c);
}

static struct operation *put_stop(struct scene *s, unsigned n, const uuid_t domain,
                                  enum stop_method method)
{
    struct operation *op = an_operation(n);

    uuid_copy(op->domain, domain);
    op->has_processes = true;
    op->incarnation = the_run;
    op->method = method;
    begin(s->journal);
    put_operation(s->journal, op);
    commit(s->journal);
    return op;
}

static void two_unfinished_operations_of_one_domain_are_a_sentence(void **state)
{
    struct scene *s = *state;
    struct error *err = NULL;
    uuid_t domain;

    uuid_generate_random(domain);
    operation_free(put_stop(s, 1, domain, METHOD_ACPI));
    operation_free(put_stop(s, 101, domain, METHOD_ACPI));
    assert_failure(start_engine(s, &err), err, ERROR_JOURNAL, "two unfinished operations of i-1");
}

static void damaged_facts_are_a_sentence_and_none_are_fine(void **state)
{
    static const char *const damaged[] = {"", "[]", "{\"vcpus\":-1}", "{\"vcpus\":1}"};
    struct scene *s = *state;
    struct error *err = NULL;
    struct reported r = {.instance_id = (char *)"i-1", .state = STATE_STOPPED};

    uuid_generate_random(r.domain);
    for (size_t i = 0; i < ELEMENTSOF(damaged); i++) {
        r.facts = (char *)damaged[i];
        begin(s->journal);
        assert_success(journal_put_reported(s->journal, &r, &err), err);
        commit(s->journal);
        assert_failure(start_engine(s, &err), err, ERROR_JOURNAL, "remembers of i-1 is damaged");
    }
    r.facts = NULL;
    begin(s->journal);
    assert_success(journal_put_reported(s->journal, &r, &err), err);
    commit(s->journal);
    assert_success(start_engine(s, &err), err);
}

/* A look, which every attachment asks for, shows it running: the button goes out. */
static struct call *pressing(struct scene *s, const uuid_t domain)
{
    struct call *c = take_out(s, CALL_LOOK);

    fill_running(&c->sighting, domain);
    answered(s, c);
    return take_out(s, CALL_PRESS);
}

static void an_agent_has_a_budget_of_its_own(void **state)
{
    struct scene *s = *state;
    struct error *err = NULL;
    struct call *c;
    uuid_t domain;

    uuid_generate_random(domain);
    operation_free(put_stop(s, 1, domain, METHOD_AGENT_ACPI));
    assert_success(start_engine(s, &err), err);
    attach(s, domain);
    c = pressing(s, domain);
    assert_int_equal(c->button, BUTTON_AGENT);
    assert_true(c->timeout < 30 * USEC_PER_SEC);
    /* It is written off: ACPI at once. */
    c->stuck = true;
    c->result = error_set(&c->error, ERROR_UNKNOWN, "no answer");
    answered(s, c);
    c = take_out(s, CALL_PRESS);
    assert_int_equal(c->button, BUTTON_ACPI);
    call_free(c);
}

static void an_act_that_comes_back_late_makes_it_look(void **state)
{
    struct scene *s = *state;
    struct error *err = NULL;
    struct call *c;
    uuid_t domain;

    uuid_generate_random(domain);
    operation_free(put_stop(s, 1, domain, METHOD_ACPI));
    assert_success(start_engine(s, &err), err);
    attach(s, domain);
    c = pressing(s, domain);
    assert_false(is_out(s, CALL_LOOK));
    {
        struct call *told = call_new(CALL_PRESS);

        told->id = c->id;
        told->generation = c->generation;
        told->stuck = true;
        uuid_copy(told->domain, domain);
        told->result = error_set(&told->error, ERROR_UNKNOWN, "no answer");
        answered(s, told);
    }
    assert_false(is_out(s, CALL_LOOK));
    c->is_late = true;
    answered(s, c);
    assert_true(is_out(s, CALL_LOOK));
}

static void a_glance_that_shows_what_is_known_makes_nobody_look(void **state)
{
    struct scene *s = *state;
    struct error *err = NULL;
    struct call *c;
    uuid_t domain;

    uuid_generate_random(domain);
    assert_success(start_engine(s, &err), err);
    attach(s, domain);
    assert_false(is_out(s, CALL_GLANCE));
    s->now.monotonic += 300 * USEC_PER_SEC;
    engine_turn(s->engine);
    c = take_out(s, CALL_GLANCE);
    c->list.items = calloc(1, sizeof(*c->list.items));
    c->list.n = 1;
    fill_running(&c->list.items[0], domain);
    answered(s, c);
    assert_false(is_out(s, CALL_LOOK));
    assert_false(is_out(s, CALL_GLANCE));

    /* Another run of it is something to look at; so is a domain that is not listed. */
    for (unsigned i = 0; i < 2; i++) {
        s->now.monotonic += 300 * USEC_PER_SEC;
        engine_turn(s->engine);
        c = take_out(s, CALL_GLANCE);
        c->list.items = calloc(1, sizeof(*c->list.items));
        c->list.n = 1 - i;
        fill_running(&c->list.items[0], domain);
        c->list.items[0].incarnation.start_time++;
        answered(s, c);
        c = take_out(s, CALL_LOOK);
        fill_running(&c->sighting, domain);
        answered(s, c);
    }
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
