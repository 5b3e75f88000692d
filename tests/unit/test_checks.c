/* test_checks.c - may a command be carried out? The table of the contract's section 3, in its order
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "checks-kit.h"

/* The first check that fails; ERROR_NONE: all pass. */
static enum error_code answer(struct scene *s, bool *escalates)
{
    _cleanup_(error_free) struct error *err = NULL;
    bool ignored;
    int r = command_check(&s->command, &s->context, escalates ? escalates : &ignored, &err);

    if (r >= 0) {
        assert_null(err);
        assert_int_equal(r, 0);
        return ERROR_NONE;
    }
    assert_int_equal(r, -error_errno(err->code));
    assert_true(is_set(error_message(err)));
    return err->code;
}

#define assert_answer(s, code) assert_string_equal(error_name(answer(s, NULL)), error_name(code))

static void in_order_all_checks_pass(void **state)
{
    assert_answer(*state, ERROR_NONE);
}

/* Everything is wrong, and is put right one by one: the answers come in the contract's order. */
static void the_first_that_fails_answers(void **state)
{
    struct scene *s = *state;

    (void)text_replace(&s->instance->metadata_error, "two instance elements");
    assert_int_equal(instance_add_lock(s->instance, "security"), 0);
    s->instance->account = ACCOUNT_EXPIRED;
    s->instance->network = NETWORK_CLASSIC;
    s->instance->charge = CHARGE_PREPAID;
    s->instance->spot = true;
    is_local_storage(s);
    s->command.stopped_mode = STOPPED_MODE_STOP_CHARGING;
    s->command.hibernate = true;
    s->context.plan_error = &s->plan_error;
    s->context.seen = DOMAIN_OFF;

    assert_answer(s, ERROR_CONFLICT);
    (void)text_replace(&s->instance->metadata_error, NULL);
    assert_answer(s, ERROR_LOCKED_FOR_SECURITY);
    s->command.override_lock = true;
    assert_answer(s, ERROR_EXPIRED_OR_IN_ARREARS);
    s->instance->account = ACCOUNT_ARREARS;
    assert_answer(s, ERROR_EXPIRED_OR_IN_ARREARS);
    s->command.override_arrears = true;
    assert_answer(s, ERROR_CLASSIC_NETWORK);
    s->instance->network = NETWORK_VPC;
    assert_answer(s, ERROR_PREPAID);
    s->instance->charge = CHARGE_POSTPAID;
    assert_answer(s, ERROR_HAS_LOCAL_DISKS);
    (void)text_replace(&s->instance->type, "ecs.g7.large");
    assert_answer(s, ERROR_SPOT);
    s->instance->spot = false;
    is_local_storage(s);
    s->command.stopped_mode = STOPPED_MODE_KEEP_CHARGING;
    assert_answer(s, ERROR_HIBERNATION);
    s->command.hibernate = false;
    assert_answer(s, ERROR_CONFIRM_STOP);
    s->command.confirm_stop = true;
    assert_answer(s, ERROR_DISK_STATUS);
    s->context.plan_error = NULL;
    add_planned_disk(s);
    assert_answer(s, ERROR_INSTANCE_STATUS);
    s->context.seen = DOMAIN_RUNNING;
    assert_answer(s, ERROR_NONE);
}

/* --- Locks, accounts, ids ------------------------------------------------------------------------
 */

static void only_the_reason_security_locks(void **state)
{
    struct scene *s = *state;

    assert_int_equal(instance_add_lock(s->instance, "financial"), 0);
    assert_answer(s, ERROR_NONE);
    assert_int_equal(instance_add_lock(s->instance, "security"), 0);
    assert_answer(s, ERROR_LOCKED_FOR_SECURITY);
}

static void an_override_passes_its_own_check_alone(void **state)
{
    struct scene *s = *state;

    assert_int_equal(instance_add_lock(s->instance, "security"), 0);
    s->command.override_arrears = true;
    assert_answer(s, ERROR_LOCKED_FOR_SECURITY);
    s->command.override_lock = true;
    assert_answer(s, ERROR_NONE);
}

/* --- StoppedMode
 * ---------------------------------------------------------------------------------- */

static void only_an_explicit_stop_charging_is_refused(void **state)
{
    struct scene *s = *state;

    s->instance->network = NETWORK_CLASSIC;
    s->instance->economical = TRISTATE_YES;
    s->policy.stopped_mode = STOPPED_MODE_STOP_CHARGING;
    assert_answer(s, ERROR_NONE);
    s->command.stopped_mode = STOPPED_MODE_KEEP_CHARGING;
    assert_answer(s, ERROR_NONE);
    s->command.stopped_mode = STOPPED_MODE_STOP_CHARGING;
    assert_answer(s, ERROR_CLASSIC_NETWORK);
}

static void a_named_local_disk_keeps_charging_too(void **state)
{
    struct scene *s = *state;

    assert_non_null(instance_add_local_disk(s->instance));
    s->command.stopped_mode = STOPPED_MODE_STOP_CHARGING;
    assert_answer(s, ERROR_HAS_LOCAL_DISKS);
}

/* --- Local storage
 * ---------------------------------------------------------------------------------- */

static void confirm_stop_is_for_local_storage_alone(void **state)
{
    struct scene *s = *state;

    assert_answer(s, ERROR_NONE);
    is_local_storage(s);
    add_planned_disk(s);
    assert_answer(s, ERROR_CONFIRM_STOP);
    s->command.confirm_stop = true;
    assert_answer(s, ERROR_NONE);
}

static void a_family_is_a_whole_word(void **state)
{
    struct scene *s = *state;

    (void)text_replace(&s->instance->type, "ecs.i12.large");
    assert_answer(s, ERROR_NONE);
    (void)text_replace(&s->instance->type, "ecs.i1");
    assert_answer(s, ERROR_CONFIRM_STOP);
}

/* A disk that is not found is a disk that is not cleared. */
static void without_a_plan_a_local_disk_is_not_stopped(void **state)
{
    struct scene *s = *state;
    bool escalates;

    is_local_storage(s);
    s->command.confirm_stop = true;
    assert_int_equal(command_check(&s->command, &s->context, &escalates, NULL), CHECK_NEEDS_DISKS);
    s->context.plan = &s->plan; /* empty */
    assert_answer(s, ERROR_DISK_STATUS);
    s->context.plan = NULL;
    s->context.can_clear = false;
    assert_answer(s, ERROR_DISK_STATUS);
}

static void a_disk_that_was_another_while_the_instance_ran_is_not_stopped(void **state)
{
    struct scene *s = *state;
    struct disk_plan then = {0};

    is_local_storage(s);
    s->command.confirm_stop = true;
    add_planned_disk(s);
    s->plan.items[0].identity = json_tokener_parse("{\"serial\":\"S2\"}");
    s->context.at_start = &then; /* not known */
    assert_answer(s, ERROR_NONE);
    assert_int_equal(disk_plan_copy(&then, &s->plan), 0);
    assert_answer(s, ERROR_NONE);
    json_object_put(then.items[0].identity);
    then.items[0].identity = json_tokener_parse("{\"serial\":\"S1\"}");
    assert_answer(s, ERROR_DISK_STATUS);
    disk_plan_clear(&then);
}

/* --- Status
 * ------------------------------------------------------------------------------------------ */

static void only_what_runs_is_stopped(void **state)
{
    static const struct {
        enum domain_state seen;
        enum error_code soft, forced;
    } states[] = {
        {DOMAIN_RUNNING, ERROR_NONE, ERROR_NONE},
        {DOMAIN_PMSUSPENDED, ERROR_NONE, ERROR_NONE},
        {DOMAIN_CRASHED, ERROR_NONE, ERROR_NONE},
        {DOMAIN_PAUSED, ERROR_INSTANCE_STATUS, ERROR_NONE},
        {DOMAIN_ENDING, ERROR_INSTANCE_STATUS, ERROR_INSTANCE_STATUS},
        {DOMAIN_OFF, ERROR_INSTANCE_STATUS, ERROR_INSTANCE_STATUS},
        {DOMAIN_ABSENT, ERROR_INSTANCE_STATUS, ERROR_INSTANCE_STATUS},
        {DOMAIN_UNKNOWN, ERROR_UNAVAILABLE, ERROR_UNAVAILABLE},
    };
    struct scene *s = *state;

    assert_int_equal(ELEMENTSOF(states), DOMAIN_STATE_MAX);
    for (size_t i = 0; i < ELEMENTSOF(states); i++) {
        s->context.seen = states[i].seen;
        s->command.force_stop = false;
        assert_answer(s, states[i].soft);
        s->command.force_stop = true;
        assert_answer(s, states[i].forced);
    }
}

/* Its process proves that it is on, which is no answer to a button; all other checks stand. */
static void what_its_process_proves_to_be_on_is_stopped_by_force_alone(void **state)
{
    struct scene *s = *state;

    s->context.certain = false;
    s->context.is_on = true;
    assert_answer(s, ERROR_UNAVAILABLE);
    s->command.force_stop = true;
    assert_answer(s, ERROR_NONE);
    s->context.seen = DOMAIN_UNKNOWN;
    assert_answer(s, ERROR_NONE);
    is_local_storage(s);
    assert_answer(s, ERROR_CONFIRM_STOP);
    (void)instance_add_lock(s->instance, "security");
    assert_answer(s, ERROR_LOCKED_FOR_SECURITY);
}

static void what_is_not_certain_is_not_stopped(void **state)
{
    struct scene *s = *state;

    s->context.certain = false;
    assert_answer(s, ERROR_UNAVAILABLE);
}

static void what_migrates_is_not_stopped(void **state)
{
    struct scene *s = *state;

    s->context.in_migration = true;
    s->command.force_stop = true;
    assert_answer(s, ERROR_INSTANCE_STATUS);
    is_stopping(s, STAGE_SHUTTING_DOWN, false);
    assert_answer(s, ERROR_INSTANCE_STATUS);
}

/* Its end could not be proved. */
static void a_process_that_is_not_known_is_not_stopped(void **state)
{
    struct scene *s = *state;

    s->run = (struct incarnation){0};
    assert_answer(s, ERROR_UNAVAILABLE);
    s->context.has_processes = false;
    assert_answer(s, ERROR_NONE);
}

static void force_goes_over_a_soft_stop_and_nothing_else_does(void **state)
{
    static const struct {
        enum stage stage;
        bool is_forced;
        enum error_code expected;
    } stages[] = {
        {STAGE_QUEUED, false, ERROR_NONE},
        {STAGE_SHUTTING_DOWN, false, ERROR_NONE},
        {STAGE_RELENTING, false, ERROR_NONE},
        {STAGE_FORCING, false, ERROR_INSTANCE_STATUS},
        {STAGE_BLOCKED, false, ERROR_INSTANCE_STATUS},
        {STAGE_CLEARING, false, ERROR_INSTANCE_STATUS},
        {STAGE_QUARANTINED, false, ERROR_INSTANCE_STATUS},
        {STAGE_QUEUED, true, ERROR_INSTANCE_STATUS},
        {STAGE_FORCING, true, ERROR_INSTANCE_STATUS},
    };
    struct scene *s = *state;
    bool escalates;

    for (size_t i = 0; i < ELEMENTSOF(stages); i++) {
        is_stopping(s, stages[i].stage, stages[i].is_forced);
        s->command.force_stop = false;
        assert_answer(s, ERROR_INSTANCE_STATUS);
        s->command.force_stop = true;
        escalates = false;
        assert_int_equal(answer(s, &escalates), stages[i].expected);
        assert_int_equal(escalates, stages[i].expected == ERROR_NONE);
    }
}

static void a_stop_under_way_is_named(void **state)
{
    struct scene *s = *state;
    _cleanup_(error_free) struct error *err = NULL;
    bool escalates;

    is_stopping(s, STAGE_SHUTTING_DOWN, false);
    assert_true(command_check(&s->command, &s->context, &escalates, &err) < 0);
    assert_non_null(strstr(error_message(err), "0C2AD9C6-7F4E-4B5C-8E0B-1D6E0E0F3A10"));
}

/* A lock that comes while a stop is under way refuses the force as well. */
static void a_force_passes_all_other_checks_too(void **state)
{
    struct scene *s = *state;

    is_stopping(s, STAGE_SHUTTING_DOWN, false);
    s->command.force_stop = true;
    assert_int_equal(instance_add_lock(s->instance, "security"), 0);
    assert_answer(s, ERROR_LOCKED_FOR_SECURITY);
}

/* --- A clear of kept disks (contract 4.7)
 * ------------------------------------------------------------------ */

static enum error_code clear_answer(struct scene *s)
{
    _cleanup_(error_free) struct error *err = NULL;

    return clear_check(&s->context, &err) < 0 ? err->code : ERROR_NONE;
}

static void kept_disks_are_cleared_of_an_instance_that_is_off(void **state)
{
    struct scene *s = *state;

    s->context.seen = DOMAIN_OFF;
    assert_int_equal(clear_answer(s), ERROR_DISK_STATUS); /* not of such a family */
    is_local_storage(s);
    add_planned_disk(s);
    assert_int_equal(clear_answer(s), ERROR_NONE);
    s->context.is_saved = true;
    assert_int_equal(clear_answer(s), ERROR_INSTANCE_STATUS);
    s->context.is_saved = false;
    s->context.certain = false;
    assert_int_equal(clear_answer(s), ERROR_UNAVAILABLE);
    s->context.certain = true;
    s->context.seen = DOMAIN_RUNNING;
    assert_int_equal(clear_answer(s), ERROR_INSTANCE_STATUS);
    is_stopping(s, STAGE_CLEARING, false);
    assert_int_equal(clear_answer(s), ERROR_INSTANCE_STATUS);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(in_order_all_checks_pass),
        TEST(the_first_that_fails_answers),
        TEST(only_the_reason_security_locks),
        TEST(an_override_passes_its_own_check_alone),
        TEST(only_an_explicit_stop_charging_is_refused),
        TEST(a_named_local_disk_keeps_charging_too),
        TEST(confirm_stop_is_for_local_storage_alone),
        TEST(a_family_is_a_whole_word),
        TEST(without_a_plan_a_local_disk_is_not_stopped),
        TEST(a_disk_that_was_another_while_the_instance_ran_is_not_stopped),
        TEST(only_what_runs_is_stopped),
        TEST(what_its_process_proves_to_be_on_is_stopped_by_force_alone),
        TEST(what_is_not_certain_is_not_stopped),
        TEST(what_migrates_is_not_stopped),
        TEST(a_process_that_is_not_known_is_not_stopped),
        TEST(force_goes_over_a_soft_stop_and_nothing_else_does),
        TEST(a_stop_under_way_is_named),
        TEST(a_force_passes_all_other_checks_too),
        TEST(kept_disks_are_cleared_of_an_instance_that_is_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
