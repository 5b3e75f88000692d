/* test_engine_unasked.c - what happens to a guest without a command, under the real engine */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "scratch.h"
#include "engine-kit.h"
#include "engine/engine-internal.h"
#include "stopd/log.h"

static void assert_answered(struct life *l, const char *token, enum error_code code)
{
    struct reply reply;

    ask_stop(l, token, &reply);
    life_until(l, reply.is_there);
    assert_string_equal(error_name(reply.code), error_name(code));
}

/* A guest that is off. It is started and goes off again before anybody looks; its process takes
 * half a minute longer than libvirt's word. */
static void a_brief_run(struct scratch *s, struct life *l)
{
    *l = (struct life){.path = scratch_path(s, "stopd.db")};
    world_make(l);
    assert_true(simulated_destroy(l->world, l->guest));
    life_start(l);
    life_until(l, engine_is_attached(l->engine));
    life_pass(l, USEC_PER_SEC);
    l->guest->manners.flush = 2 * USEC_PER_SEC;
    l->guest->manners.linger = 30 * USEC_PER_SEC;
    assert_true(simulated_start(l->world, l->guest));
    assert_true(simulated_power_off(l->world, l->guest));
    life_pass(l, 5 * USEC_PER_SEC);
    assert_int_equal(l->guest->state, DOMAIN_OFF);
}

/* Contract 4.2: that libvirt says off is not enough, of a run that was never reported either. */
static void a_run_seen_only_on_its_way_off_is_off_with_its_process(void **state)
{
    struct life l;

    a_brief_run(*state, &l);
    assert_answered(&l, "while it lingers", ERROR_UNAVAILABLE);
    life_pass(&l, 60 * USEC_PER_SEC);
    assert_answered(&l, "behind it", ERROR_INSTANCE_STATUS);
    assert_history(&l, "");
    life_end(&l);
}

static void that_it_lingers_outlives_a_restart(void **state)
{
    struct life l;

    a_brief_run(*state, &l);
    life_die(&l);
    life_start(&l);
    life_until(&l, engine_is_attached(l.engine));
    life_pass(&l, USEC_PER_SEC);
    assert_answered(&l, "while it lingers", ERROR_UNAVAILABLE);
    life_pass(&l, 60 * USEC_PER_SEC);
    assert_answered(&l, "behind it", ERROR_INSTANCE_STATUS);
    life_end(&l);
}

static void another_start_behind_it_is_reported(void **state)
{
    struct life l;

    a_brief_run(*state, &l);
    assert_true(simulated_start(l.world, l.guest));
    life_pass(&l, USEC_PER_SEC);
    assert_history(&l, "Stopped→Running");
    life_end(&l);
}

static const char *detail_after(struct life *l, enum end_cause cause)
{
    l->guest->cause = cause;
    engine_take_hint(l->engine, l->guest->definition->uuid);
    life_pass(l, USEC_PER_SEC);
    return domain_detail(inventory_find_uuid(&l->engine->inventory, l->guest->definition->uuid));
}

/* Of an image in somebody's file there is no other mark. */
static void saved_to_a_file_it_stays_that_when_a_start_has_failed(void **state)
{
    struct life l = {.path = scratch_path(*state, "stopd.db")};

    world_make(&l);
    assert_true(simulated_destroy(l.world, l.guest));
    life_start(&l);
    life_until(&l, engine_is_attached(l.engine));
    life_pass(&l, USEC_PER_SEC);
    assert_null(detail_after(&l, END_FAILED));
    assert_string_equal(detail_after(&l, END_SAVED), "saved");
    assert_string_equal(detail_after(&l, END_FAILED), "saved");
    assert_string_equal(detail_after(&l, END_UNKNOWN), "saved");
    assert_null(detail_after(&l, END_SHUTDOWN));
    life_end(&l);
}

static int note_memory(void *userdata, const struct upstream_event *e)
{
    json_object *event = json_tokener_parse(e->body), *data = NULL, *resources = NULL;

    assert_int_equal(json_get_object(event, "data", &data), 0);
    assert_int_equal(json_get_object(data, "resources", &resources), 0);
    assert_int_equal(json_get_number(resources, "memoryKiB", userdata), 0);
    json_object_put(event);
    return 0;
}

/* Contract 6: the resources are those of the instance as it was stopped, which grew in its run;
 * while stopd is away it goes off, and its definition with it. */
static void what_grew_before_a_stop_is_told_at_its_end(void **state)
{
    struct life l = {.path = scratch_path(*state, "stopd.db")};
    struct error *err = NULL;
    struct journal_reader *r;
    uint64_t memory = 0;

    world_make(&l);
    life_start(&l);
    life_until(&l, engine_is_attached(l.engine));
    life_pass(&l, USEC_PER_SEC);
    l.guest->definition->memory_kib = 4711;
    assert_true(simulated_redefine(l.world, l.guest));
    life_pass(&l, USEC_PER_SEC);
    assert_answered(&l, "stop", ERROR_NONE);
    life_die(&l);
    assert_true(simulated_undefine(l.world, l.guest));
    assert_true(simulated_destroy(l.world, l.guest));
    life_start(&l);
    life_pass(&l, 60 * USEC_PER_SEC);
    assert_history(&l, "Running→Stopping Stopping→Stopped");
    r = open_reader(l.path);
    assert_success(journal_read_events(r, 1, 1, note_memory, &memory, &err), err);
    assert_int_equal(memory, 4711);
    journal_reader_close(r);
    life_end(&l);
}

static int assert_one_id(void *userdata, const struct upstream_event *e)
{
    json_object *event = json_tokener_parse(e->body), *data = NULL;
    const char *subject = NULL, *id = NULL;

    assert_int_equal(json_get_string(event, "subject", &subject), 0);
    assert_int_equal(json_get_object(event, "data", &data), 0);
    assert_int_equal(json_get_string(data, "instanceId", &id), 0);
    assert_non_null(subject);
    assert_non_null(id);
    assert_string_equal(subject, userdata);
    assert_string_equal(id, userdata);
    assert_string_equal(e->instance_id, userdata);
    json_object_put(event);
    return 0;
}

/* Contract 6: the subject is the instance's id. Its definition may be gone before it is read. */
static void one_whose_definition_cannot_be_read_is_told_of_by_its_uuid(void **state)
{
    struct life l = {.path = scratch_path(*state, "stopd.db")};
    struct journal_reader *r;
    struct error *err = NULL;
    struct history h;
    struct call *c;

    world_make(&l);
    life_start(&l);
    life_until(&l, engine_is_attached(l.engine));
    life_pass(&l, USEC_PER_SEC);
    world_add(&l, 2);
    engine_turn(l.engine);
    c = take(l.calls);
    assert_non_null(c);
    assert_int_equal(c->kind, CALL_LOOK);
    call_execute(c, &l.world->hypervisor);
    instance_free(take(c->sighting.instance));
    engine_take_call(l.engine, c);
    engine_turn(l.engine);

    read_history(l.path, &h);
    assert_string_equal(h.text, "Pending→Running");
    r = open_reader(l.path);
    assert_success(journal_read_events(r, 0, 10, assert_one_id,
                                       (char *)"00000000-0000-4000-8000-000000000002", &err),
                   err);
    journal_reader_close(r);
    life_end(&l);
}

int main(void)
{
#define RULE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        RULE(a_run_seen_only_on_its_way_off_is_off_with_its_process),
        RULE(that_it_lingers_outlives_a_restart),
        RULE(what_grew_before_a_stop_is_told_at_its_end),
        RULE(another_start_behind_it_is_reported),
        RULE(saved_to_a_file_it_stays_that_when_a_start_has_failed),
        RULE(one_whose_definition_cannot_be_read_is_told_of_by_its_uuid),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
