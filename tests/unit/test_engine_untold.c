/* test_engine_untold.c - what the hypervisor cannot tell of, under the real engine */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "scratch.h"
#include "engine-kit.h"
#include "stopd/log.h"

static void assert_answered(struct life *l, const char *token, bool by_force, enum error_code code)
{
    struct reply reply;

    ask_stop_with(l, 1, token, "ForceStop", by_force ? "true" : "false", &reply);
    life_until(l, reply.is_there);
    assert_string_equal(error_name(reply.code), error_name(code));
}

/* One that runs, and of which a look can tell nothing any more. */
static void a_guest_in_the_dark(struct scratch *s, struct life *l)
{
    *l = (struct life){.path = scratch_path(s, "stopd.db")};
    world_make(l);
    life_start(l);
    life_until(l, engine_is_attached(l->engine));
    life_pass(l, USEC_PER_SEC);
    l->guest->manners.is_unreadable = true;
    engine_take_hint(l->engine, l->guest->definition->uuid);
    life_pass(l, USEC_PER_SEC);
}

/* Contract 4.1: nothing is asked of a guest that nobody can see, and its process proves that it is
 * on. */
static void what_runs_in_the_dark_is_stopped_by_force_alone(void **state)
{
    struct life l;

    a_guest_in_the_dark(*state, &l);
    assert_answered(&l, "soft", false, ERROR_UNAVAILABLE);
    assert_answered(&l, "forced", true, ERROR_NONE);
    life_until(&l, l.cut);
    l.guest->manners.is_unreadable = false;
    life_until(&l, engine_unfinished(l.engine) == 0);
    assert_history(&l, "Running→Stopping Stopping→Stopped");
    life_end(&l);
}

/* Unknown is not off, and not on either. */
static void what_is_not_proved_to_run_is_not_stopped(void **state)
{
    struct life l;

    a_guest_in_the_dark(*state, &l);
    l.guest->manners.fate_is_unprovable = true;
    assert_answered(&l, "unprovable", true, ERROR_UNAVAILABLE);
    l.guest->manners.fate_is_unprovable = false;
    assert_true(simulated_kill(l.world, l.guest, END_CRASHED));
    life_pass(&l, USEC_PER_SEC);
    assert_answered(&l, "gone", true, ERROR_UNAVAILABLE);
    assert_true(simulated_start(l.world, l.guest));
    life_pass(&l, USEC_PER_SEC);
    assert_answered(&l, "another run", true, ERROR_UNAVAILABLE);
    l.guest->manners.is_unreadable = false;
    life_pass(&l, 60 * USEC_PER_SEC);
    assert_history(&l, "Running→Stopped Stopped→Running");
    life_end(&l);
}

/* What was seen to leave may run elsewhere. */
static void what_migrates_in_the_dark_is_not_stopped(void **state)
{
    struct life l;

    a_guest_in_the_dark(*state, &l);
    l.guest->manners.is_unreadable = false;
    assert_true(simulated_migrate(l.world, l.guest));
    life_pass(&l, 60 * USEC_PER_SEC);
    l.guest->manners.is_unreadable = true;
    life_pass(&l, 60 * USEC_PER_SEC);
    assert_answered(&l, "on the way", true, ERROR_UNAVAILABLE);
    life_end(&l);
}

/* --- What was never read ---------------------------------------------------------------------- */

static void take_instances(struct request *r, struct answer *a)
{
    json_object **ret = r->userdata;

    *ret = json_object_get(a->body);
    answer_free(a);
    request_free(r);
}

/* The only instance there is, as /v1/instances shows it; NULL: there is none. */
static json_object *only_instance(struct life *l)
{
    struct request *r = request_new(REQUEST_INSTANCES);
    json_object *body = NULL, *array = NULL, *one;

    r->most = 10;
    r->reply = take_instances;
    r->userdata = &body;
    engine_take_request(l->engine, r);
    engine_turn(l->engine);
    assert_int_equal(json_get_array(body, "instances", &array), 0);
    assert_true(json_object_array_length(array) <= 1);
    one = json_object_get(json_object_array_get_idx(array, 0));
    json_object_put(body);
    return one;
}

static void assert_shown(struct life *l, const char *id, const char *state, bool certain)
{
    json_object *one = only_instance(l);
    const char *shown_id = NULL, *shown_state = NULL;
    bool is_certain = !certain;

    assert_non_null(one);
    assert_int_equal(json_get_string(one, "instanceId", &shown_id), 0);
    assert_int_equal(json_get_string(one, "state", &shown_state), 0);
    assert_int_equal(json_get_bool(one, "certain", &is_certain), 0);
    assert_string_equal(shown_id, id);
    assert_string_equal(shown_state, state);
    assert_int_equal(is_certain, certain);
    json_object_put(one);
}

#define UUID "00000000-0000-4000-8000-000000000001"

static void assert_stop_of(struct life *l, const char *id, const char *token, enum error_code code)
{
    struct reply reply;

    ask_stop_named(l, id, token, "ForceStop", "true", &reply);
    life_until(l, reply.is_there);
    assert_string_equal(error_name(reply.code), error_name(code));
}

/* Contract 4: what is here and cannot be told is not what is not here. */
static void what_was_never_read_is_shown_by_its_uuid(void **state)
{
    struct life l = {.path = scratch_path(*state, "stopd.db")};

    world_make(&l);
    l.guest->manners.is_unreadable = true;
    life_start(&l);
    life_until(&l, engine_is_attached(l.engine));
    life_pass(&l, 5 * USEC_PER_SEC);
    assert_shown(&l, UUID, "Pending", false);
    assert_stop_of(&l, UUID, "by its uuid", ERROR_UNAVAILABLE);
    assert_stop_of(&l, "i-7", "of nobody", ERROR_INSTANCE_NOT_FOUND);
    l.guest->manners.is_unreadable = false;
    life_pass(&l, 60 * USEC_PER_SEC);
    assert_shown(&l, "i-1", "Running", true);
    assert_history(&l, "");
    life_end(&l);
}

/* A hint of it may be all that was. */
static void of_whom_only_a_hint_has_told_is_not_shown(void **state)
{
    struct life l = {.path = scratch_path(*state, "stopd.db")};
    uuid_t other;

    world_make(&l);
    life_start(&l);
    life_until(&l, engine_is_attached(l.engine));
    life_pass(&l, USEC_PER_SEC);
    uuid_generate_random(other);
    engine_take_hint(l.engine, other);
    engine_turn(l.engine);
    assert_shown(&l, "i-1", "Running", true);
    life_end(&l);
}

int main(void)
{
#define RULE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        RULE(what_runs_in_the_dark_is_stopped_by_force_alone),
        RULE(what_is_not_proved_to_run_is_not_stopped),
        RULE(what_migrates_in_the_dark_is_not_stopped),
        RULE(what_was_never_read_is_shown_by_its_uuid),
        RULE(of_whom_only_a_hint_has_told_is_not_shown),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
