/* test_engine_events.c - under whose id events leave, where a domain becomes another instance */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "scratch.h"
#include "engine-kit.h"
#include "stopd/log.h"

/* What was told, in one line: "i-1 Running→Stopping, i-1 failed". */
static int tell(void *userdata, const struct upstream_event *e)
{
    char *line = userdata;
    json_object *event = json_tokener_parse(e->body), *data = NULL;
    const char *from = NULL, *to = NULL, *subject = NULL, *id = NULL;

    assert_int_equal(json_get_string(event, "subject", &subject), 0);
    assert_int_equal(json_get_object(event, "data", &data), 0);
    assert_int_equal(json_get_string(data, "instanceId", &id), 0);
    assert_string_equal(subject, e->instance_id);
    assert_string_equal(id, e->instance_id);
    (void)json_get_string(data, "from", &from);
    (void)json_get_string(data, "to", &to);
    sprintf(line + strlen(line), "%s%s %s%s%s", *line ? ", " : "", e->instance_id,
            from ? from : "failed", to ? "→" : "", to ? to : "");
    json_object_put(event);
    return 0;
}

static void assert_told(const struct life *l, const char *expected)
{
    struct journal_reader *r = open_reader(l->path);
    struct error *err = NULL;
    char line[1000] = "";

    assert_success(journal_read_events(r, 0, 100, tell, line, &err), err);
    journal_reader_close(r);
    assert_string_equal(line, expected);
}

/* A stop of i-1, whose guest goes off on the button in a minute; by then stopd has seen that the
 * domain is i-2. */
static void a_stop_that_outlives_its_id(struct life *l, struct scratch *s, bool restarted,
                                        struct reply *reply)
{
    *l = (struct life){.path = scratch_path(s, "stopd.db")};
    world_make(l);
    l->guest->manners.answer_delay = 50 * USEC_PER_SEC;
    life_start(l);
    life_until(l, engine_is_attached(l->engine));
    ask_stop(l, "token", reply);
    life_until(l, reply->is_there);
    assert_int_equal(reply->code, ERROR_NONE);
    life_step(l, l->now + USEC_PER_SEC);
    assert_int_equal(text_replace(&l->guest->definition->id, "i-2"), 0);
    assert_true(simulated_redefine(l->world, l->guest));
    for (usec_t until = l->now + 5 * USEC_PER_SEC; l->now < until;)
        life_step(l, until);
    if (!restarted)
        return;
    life_die(l);
    life_start(l);
}

static void start_again(struct life *l)
{
    assert_true(simulated_start(l->world, l->guest));
    for (usec_t until = l->now + 5 * USEC_PER_SEC; l->now < until;)
        life_step(l, until);
}

static void ends_as_it_began(void **state, bool restarted)
{
    struct life l;
    struct reply reply;

    a_stop_that_outlives_its_id(&l, *state, restarted, &reply);
    life_until(&l, engine_unfinished(l.engine) == 0);
    start_again(&l);
    assert_told(&l, "i-1 Running→Stopping, i-1 Stopping→Stopped, i-2 Stopped→Running");
    life_end(&l);
}

/* Contract 4.4, 6: an operation's instance is the one that it was accepted for. */
static void a_stop_is_told_of_under_one_id(void **state)
{
    ends_as_it_began(state, false);
}

static void after_a_restart_too(void **state)
{
    ends_as_it_began(state, true);
}

static void so_is_one_that_fails(void **state)
{
    struct life l;
    struct reply reply, cancel;

    a_stop_that_outlives_its_id(&l, *state, false, &reply);
    ask_cancel(&l, reply.request_id, &cancel);
    life_until(&l, engine_unfinished(l.engine) == 0);
    life_until(&l, l.guest->state == DOMAIN_OFF);
    for (usec_t until = l.now + 5 * USEC_PER_SEC; l.now < until;)
        life_step(&l, until);
    assert_told(&l, "i-1 Running→Stopping, i-1 Stopping→Running, i-1 failed, i-2 Running→Stopped");
    life_end(&l);
}

int main(void)
{
#define RULE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        RULE(a_stop_is_told_of_under_one_id),
        RULE(after_a_restart_too),
        RULE(so_is_one_that_fails),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
