/* test_checks_begun.c - what the operation of a command that may be carried out begins with */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "checks-kit.h"

/* --- StoppedMode
 * ---------------------------------------------------------------------------------- */

static struct operation *begun(struct scene *s)
{
    const struct moment now = {1000 * USEC_PER_SEC, 1790000000 * USEC_PER_SEC};
    struct operation *op = operation_begin(&s->command, &s->context, now);

    assert_non_null(op);
    return op;
}

static void stopped_mode_is_the_commands_then_the_metadatas_then_the_configurations(void **state)
{
    static const struct {
        enum stopped_mode command;
        enum tristate economical;
        enum stopped_mode house;
        bool can;
        enum stopped_mode expected;
    } rows[] = {
#define KEEP STOPPED_MODE_KEEP_CHARGING
#define STOP STOPPED_MODE_STOP_CHARGING
#define NONE STOPPED_MODE_UNSET
        {NONE, TRISTATE_UNSET, KEEP, true, KEEP},  {NONE, TRISTATE_UNSET, STOP, true, STOP},
        {NONE, TRISTATE_UNSET, STOP, false, KEEP}, {NONE, TRISTATE_YES, KEEP, true, STOP},
        {NONE, TRISTATE_YES, KEEP, false, KEEP},   {NONE, TRISTATE_NO, STOP, true, KEEP},
        {KEEP, TRISTATE_YES, STOP, true, KEEP},    {STOP, TRISTATE_NO, KEEP, true, STOP},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        struct scene *s = *state;
        _cleanup_(operation_free) struct operation *op = NULL;

        s->command.stopped_mode = rows[i].command;
        s->instance->economical = rows[i].economical;
        s->policy.stopped_mode = rows[i].house;
        s->instance->spot = !rows[i].can;
        op = begun(s);
        assert_string_equal(stopped_mode_to_string(op->stopped_mode),
                            stopped_mode_to_string(rows[i].expected));
    }
}

/* --- Local storage
 * ---------------------------------------------------------------------------------- */

static void the_operation_keeps_the_disks_as_they_were_identified(void **state)
{
    struct scene *s = *state;
    _cleanup_(operation_free) struct operation *op = NULL;

    is_local_storage(s);
    add_planned_disk(s);
    assert_int_equal(instance_add_disk(s->instance, "vdb", "/dev/nvme0n1", DISK_BLOCK), 0);
    op = begun(s);
    assert_int_equal(op->disks.n, 1);
    assert_string_equal(op->disks.items[0].target, "vdb");
    assert_string_equal(op->disks_at_acceptance, "vdb\t/dev/nvme0n1\n");
}

/* --- What the operation begins with
 * --------------------------------------------------------------------- */

static void policy_is_the_commands_then_the_metadatas_then_the_configurations(void **state)
{
    struct scene *s = *state;
    _cleanup_(operation_free) struct operation *house = NULL, *own = NULL, *told = NULL;

    house = begun(s);
    assert_int_equal(house->grace, 120 * USEC_PER_SEC);
    assert_int_equal(house->method, METHOD_ACPI);
    assert_int_equal(house->on_timeout, ON_TIMEOUT_FAIL);

    s->instance->stop = (struct stop_policy){
        .grace = 300 * USEC_PER_SEC, .method = METHOD_AGENT_ACPI, .on_timeout = ON_TIMEOUT_FORCE};
    own = begun(s);
    assert_int_equal(own->grace, 300 * USEC_PER_SEC);
    assert_int_equal(own->method, METHOD_AGENT_ACPI);
    assert_int_equal(own->on_timeout, ON_TIMEOUT_FORCE);

    s->command.grace = 5 * USEC_PER_SEC;
    s->command.on_timeout = ON_TIMEOUT_FAIL;
    told = begun(s);
    assert_int_equal(told->grace, 5 * USEC_PER_SEC);
    assert_int_equal(told->grace_left, 5 * USEC_PER_SEC);
    assert_int_equal(told->on_timeout, ON_TIMEOUT_FAIL);
    assert_int_equal(told->stage, STAGE_QUEUED);
    assert_false(told->lock_overridden);
    assert_string_equal(told->instance_id, "i-1");
    assert_true(incarnation_equal(&told->incarnation, &s->run));
}

static void an_override_stands_in_the_journal(void **state)
{
    struct scene *s = *state;
    _cleanup_(operation_free) struct operation *op = NULL;

    s->command.override_lock = true;
    op = begun(s);
    assert_string_equal(op->timeline.items[0].what, "accepted");
    assert_non_null(strstr(op->timeline.items[0].detail, "overriding the security lock"));
    assert_null(strstr(op->timeline.items[0].detail, "arrears"));
    assert_true(op->lock_overridden);
}

/* … also of a command that forces a stop which somebody else has begun. */
static void an_override_of_a_force_command_stands_in_the_journal(void **state)
{
    struct scene *s = *state;
    _cleanup_(operation_free) struct operation *op = begun(s);
    struct input in = {.kind = IN_FORCE, .request_id = "R", .principal = "root"};
    struct reaction reaction;

    s->command.override_lock = s->command.override_arrears = true;
    in.overriding = command_overriding(&s->command);
    step(op, &in, (struct moment){0}, &reaction);
    for (size_t i = 0; i < op->timeline.n; i++)
        if (text_equal(op->timeline.items[i].what, "force")) {
            assert_non_null(strstr(op->timeline.items[i].detail,
                                   "overriding the security lock, expiry and arrears"));
            return;
        }
    fail_msg("the force command is not in the journal");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(stopped_mode_is_the_commands_then_the_metadatas_then_the_configurations),
        TEST(the_operation_keeps_the_disks_as_they_were_identified),
        TEST(policy_is_the_commands_then_the_metadatas_then_the_configurations),
        TEST(an_override_stands_in_the_journal),
        TEST(an_override_of_a_force_command_stands_in_the_journal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
