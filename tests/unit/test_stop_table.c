/* test_stop_table.c - the stop's table is whole, and every word of the core can be read back */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/stop.h"
#include "stop-kit.h"

/* --- The table ---------------------------------------------------------------------------------
 */

static bool is_guarded(const struct rule_view *rule)
{
    return strcmp(rule->guard, "NULL") != 0;
}

static bool is_always_taken(enum stage stage, enum input_kind input)
{
    const struct rule_view *rules;
    size_t n = stop_rules(&rules);

    for (size_t i = 0; i < n; i++)
        if ((rules[i].stage == stage || rules[i].stage == STAGE_MAX) && rules[i].input == input &&
            !is_guarded(&rules[i]))
            return true;
    return false;
}

static void every_input_is_taken_or_ignored_for_a_reason(void **state)
{
    for (enum stage stage = 0; stage < STAGE_MAX; stage++)
        for (enum input_kind input = 0; input < IN_MAX; input++) {
            const char *reason = stop_ignores(stage, input);
            bool is_taken = stage != STAGE_DONE && is_always_taken(stage, input);

            if (!is_taken && !is_set(reason))
                fail_msg("%s has no rule for '%s', and no reason to ignore it",
                         stage_to_string(stage), input_kind_to_string(input));
        }
}

static void no_rule_stands_behind_one_that_is_always_taken(void **state)
{
    const struct rule_view *rules;
    size_t n = stop_rules(&rules);

    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++)
            if (rules[i].stage == rules[k].stage && rules[i].input == rules[k].input &&
                !is_guarded(&rules[i]))
                fail_msg("%s on '%s': %s can never be taken", stage_to_string(rules[k].stage),
                         input_kind_to_string(rules[k].input), rules[k].action);
}

static void nothing_leads_out_of_done(void **state)
{
    const struct rule_view *rules;
    size_t n = stop_rules(&rules);

    for (size_t i = 0; i < n; i++)
        assert_int_not_equal(rules[i].stage, STAGE_DONE);
}

/* Whoever cuts the power has consent, or a guest that has crashed. */
static void every_way_to_a_power_cut_asks_for_consent(void **state)
{
    static const char *const guards[] = {"is_forced", "has_consent", "may_cut_now", "may_force"};
    const struct rule_view *rules;
    size_t n = stop_rules(&rules);

    for (size_t i = 0; i < n; i++) {
        const struct rule_view *r = &rules[i];
        bool leads_to_a_cut = r->next == STAGE_FORCING || strcmp(r->action, "cut_again") == 0;

        if (!leads_to_a_cut || r->input == IN_SEEN_CRASHED || r->input == IN_FORCE)
            continue;
        if (text_index(guards, ELEMENTSOF(guards), r->guard) < 0)
            fail_msg("%s on '%s' cuts the power without asking", stage_to_string(r->stage),
                     input_kind_to_string(r->input));
    }
}

/* --- step() is total ----------------------------------------------------------------------------
 */

/* An operation in some stage, with some history; 5 bits of it. */
static struct operation *some_operation(enum stage stage, unsigned bits)
{
    struct stop *s =
        a_stop(.force = bits & 1, .on_timeout = bits & 2 ? ON_TIMEOUT_FORCE : ON_TIMEOUT_FAIL,
               .method = bits & 4 ? METHOD_AGENT_ACPI : METHOD_ACPI);
    struct operation *op = take(s->op);

    stop_free(s);
    op->stage = stage;
    if (bits & 8) {
        op->presses = 3;
        op->interlock_wanted = true;
        op->grace_since = seconds(900);
        op->grace_left = bits & 16 ? 0 : seconds(60);
    }
    if (stage == STAGE_RELENTING || (stage == STAGE_BLOCKED && bits & 16)) {
        op->error = ERROR_CANCELLED;
        (void)text_replace(&op->error_message, "Cancelled by tester.");
    }
    if (stage == STAGE_CLEARING || stage == STAGE_QUARANTINED || bits & 4) {
        struct planned_disk *d = disk_plan_add(&op->disks);

        if (!d)
            abort();
        (void)text_replace(&d->target, "vdb");
        (void)text_replace(&d->device, "/dev/nvme0n1");
        d->identity = json_object_new_object();
        d->state = stage == STAGE_QUARANTINED ? DISK_QUARANTINED : DISK_WAITING;
        (void)text_replace(&op->disks_at_acceptance, "vdb\t/dev/nvme0n1\n");
    }
    return op;
}

static void step_with(struct operation *op, enum input_kind kind, struct reaction *reaction)
{
    const struct error error = {.code = ERROR_UNKNOWN, .message = (char *)"no answer"};
    const struct disk_news news = {.state = DISK_CLEARING, .method = "write-zeroes"};
    const struct sighting sighting = {.state = DOMAIN_RUNNING,
                                      .incarnation = first_run,
                                      .lifecycle = {LIFECYCLE_DESTROY, LIFECYCLE_RESTART}};
    const struct input in = {.kind = kind,
                             .sighting = &sighting,
                             .error = &error,
                             .news = &news,
                             .request_id = "0C2AD9C6-7F4E-4B5C-8E0B-1D6E0E0F3A10",
                             .principal = "tester"};
    const struct moment now = {seconds(1000), seconds(1790000000)};

    step(op, &in, now, reaction);
}

static void for_every_step(void (*check)(const struct operation *before, const struct operation *op,
                                         const struct reaction *reaction))
{
    for (enum stage stage = 0; stage < STAGE_MAX; stage++)
        for (enum input_kind kind = 0; kind < IN_MAX; kind++)
            for (unsigned bits = 0; bits < 32; bits++) {
                _cleanup_(operation_free) struct operation *before = some_operation(stage, bits);
                _cleanup_(operation_free) struct operation *op = operation_copy(before);
                struct reaction reaction;

                assert_non_null(op);
                step_with(op, kind, &reaction);
                check(before, op, &reaction);
            }
}

/* The engine does not write what is said to be unchanged: a crash must not lose anything by that.
 */
static void check_unchanged(const struct operation *before, const struct operation *op,
                            const struct reaction *reaction)
{
    _cleanup_(freep) char *was = journalled_text(before), *is = journalled_text(op);

    if (reaction->unchanged && strcmp(was, is) != 0)
        fail_msg("%s: said to be unchanged, and is\n%s\nwas\n%s", stage_to_string(before->stage),
                 is, was);
}

static void what_is_said_to_be_unchanged_is(void **state)
{
    for_every_step(check_unchanged);
}

static void check_end(const struct operation *before, const struct operation *op,
                      const struct reaction *reaction)
{
    bool ends = op->stage == STAGE_DONE && before->stage != STAGE_DONE;

    assert_int_equal(ends, op->finished_at > 0);
    assert_int_equal(ends, op->outcome != OUTCOME_NONE);
    assert_int_equal(ends, reaction->has_transition);
    if (!ends)
        return;
    assert_int_equal(reaction->failed, op->outcome != OUTCOME_STOPPED);
    assert_int_equal(reaction->failed, op->error != ERROR_NONE);
    assert_int_equal(operation_next_due(op), USEC_NEVER);
    assert_true(is_set(reaction->reason));
}

static void an_end_is_whole_and_reported(void **state)
{
    for_every_step(check_end);
}

static void check_deadline(const struct operation *before, const struct operation *op,
                           const struct reaction *reaction)
{
    bool waits_for_something = op->acting || reaction->effects || op->stage == STAGE_DONE ||
                               op->stage == STAGE_QUEUED || op->stage == STAGE_QUARANTINED ||
                               op->stage == STAGE_CLEARING;

    /* Away, it waits for IN_ATTACHED; as before, it waits for what it waited for. */
    if (waits_for_something || reaction->unchanged || op->stage == before->stage)
        return;
    if (operation_next_due(op) == USEC_NEVER)
        fail_msg("from %s to %s, and nothing makes it go on", stage_to_string(before->stage),
                 stage_to_string(op->stage));
}

static void no_stage_is_entered_without_something_that_goes_on(void **state)
{
    for_every_step(check_deadline);
}

/* --- Words ---------------------------------------------------------------------------------------
 */

#define WALK(type, words, max)                                               \
    static void words##_reads_back(void **state)                             \
    {                                                                        \
        type read;                                                           \
                                                                             \
        for (int i = 0; i < (int)(max); i++) {                               \
            const char *word = words##_to_string((type)i);                   \
                                                                             \
            assert_non_null(word);                                           \
            assert_int_equal(words##_from_string(word, &read), 0);           \
            assert_int_equal(read, i);                                       \
        }                                                                    \
        assert_null(words##_to_string((type)(max)));                         \
        assert_null(words##_to_string((type)-1));                            \
        assert_int_not_equal(words##_from_string("no such word", &read), 0); \
        assert_int_not_equal(words##_from_string(NULL, &read), 0);           \
    }

#define ENUMS(X)                                              \
    X(enum stage, stage, STAGE_MAX)                           \
    X(enum outcome, outcome, OUTCOME_MAX)                     \
    X(enum operation_action, operation_action, ACTION_MAX)    \
    X(enum instance_state, instance_state, STATE_MAX)         \
    X(enum input_kind, input_kind, IN_MAX)                    \
    X(enum domain_state, domain_state, DOMAIN_STATE_MAX)      \
    X(enum end_cause, end_cause, END_CAUSE_MAX)               \
    X(enum lifecycle_action, lifecycle_action, LIFECYCLE_MAX) \
    X(enum process_fate, process_fate, PROCESS_FATE_MAX)      \
    X(enum button, button, BUTTON_MAX)                        \
    X(enum network_kind, network_kind, NETWORK_MAX)           \
    X(enum charge_kind, charge_kind, CHARGE_MAX)              \
    X(enum account_status, account_status, ACCOUNT_MAX)       \
    X(enum stop_method, stop_method, METHOD_MAX)              \
    X(enum timeout_action, timeout_action, ON_TIMEOUT_MAX)    \
    X(enum stopped_mode, stopped_mode, STOPPED_MODE_MAX)      \
    X(enum disk_source, disk_source, DISK_SOURCE_MAX)         \
    X(enum disk_state, disk_state, DISK_STATE_MAX)

ENUMS(WALK)

static void every_error_has_a_name_that_reads_back(void **state)
{
    for (enum error_code code = ERROR_NONE; code < ERROR_MAX; code++) {
        enum error_code read;

        assert_non_null(error_name(code));
        assert_int_equal(error_from_name(error_name(code), &read), 0);
        assert_int_equal(read, code);
        if (code != ERROR_NONE)
            assert_true(is_set(error_public_code(code)));
    }
    assert_null(error_name(ERROR_MAX));
}

#define WORDS_TEST(type, words, max) cmocka_unit_test(words##_reads_back),

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_input_is_taken_or_ignored_for_a_reason),
        cmocka_unit_test(no_rule_stands_behind_one_that_is_always_taken),
        cmocka_unit_test(nothing_leads_out_of_done),
        cmocka_unit_test(every_way_to_a_power_cut_asks_for_consent),
        cmocka_unit_test(what_is_said_to_be_unchanged_is),
        cmocka_unit_test(an_end_is_whole_and_reported),
        cmocka_unit_test(no_stage_is_entered_without_something_that_goes_on),
        cmocka_unit_test(every_error_has_a_name_that_reads_back),
        ENUMS(WORDS_TEST)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
