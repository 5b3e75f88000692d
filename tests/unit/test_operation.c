/* test_operation.c - the operation as a value: through the journal and back, copies, clockwork */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/json.h"
#include "core/operation.h"
#include "operation-kit.h"

#include <stdio.h>
#include <string.h>

/* --- Random operations -------------------------------------------------------------------------
 */

static uint64_t chance_state = 20261124;

/* 0 to n - 1 (Knuth's MMIX constants; any generator would do) */
static unsigned chance(unsigned n)
{
    chance_state = chance_state * 6364136223846793005 + 1442695040888963407;
    return (unsigned)(chance_state >> 33) % n;
}

static void some_text(char **s)
{
    static const char *const texts[] = {
        NULL, "", "plain", "\"quoted\" \\ and / slashed", "f\xc3\xbcnf \xe2\x86\x92", "a\nb\tc",
    };

    assert_int_equal(text_replace(s, texts[chance(ELEMENTSOF(texts))]), 0);
}

static void some_object(json_object **o)
{
    if (chance(2))
        return;
    *o = json_object_new_object();
    assert_int_equal(json_add_string(*o, "serial", "S4EWNX0R"), 0);
    assert_int_equal(json_add_number(*o, "at", chance(1000)), 0);
}

static void some_disks(struct operation *op)
{
    for (unsigned n = chance(3); n > 0; n--) {
        struct planned_disk *d = disk_plan_add(&op->disks);

        assert_non_null(d);
        assert_int_equal(text_replace(&d->target, "vdb"), 0);
        assert_int_equal(text_replace(&d->device, "/dev/nvme0n1"), 0);
        d->identity = json_object_new_object();
        some_text(&d->method);
        some_text(&d->problem);
        some_object(&d->resume);
        d->kind = (enum disk_source)chance(DISK_SOURCE_MAX);
        d->state = (enum disk_state)chance(DISK_STATE_MAX);
        d->bytes = d->done = (uint64_t)chance(1u << 30) << 12;
        d->verified = chance(1u << 30);
        d->tries = chance(9);
    }
}

static struct operation *some_operation(void)
{
    struct operation *op = operation_new();

    assert_non_null(op);
    uuid_new_upper(op->request_id);
    uuid_generate(op->domain);
    op->action = (enum operation_action)chance(ACTION_MAX);
    assert_int_equal(text_replace(&op->instance_id, "i-bp67acfmxazb4ph"), 0);
    some_text(&op->domain_name);
    some_text(&op->principal);
    some_text(&op->traceparent);
    some_text(&op->error_message);
    some_text(&op->forced_by);
    some_text(&op->detail);
    some_text(&op->ended);
    op->end = (enum end_cause)chance(END_CAUSE_MAX);
    op->stopped_mode = (enum stopped_mode)chance(STOPPED_MODE_MAX);
    op->grace = (1 + chance(86400)) * USEC_PER_SEC;
    op->grace_left = chance(1000000);
    op->resend = chance(100) * USEC_PER_SEC;
    op->method = (enum stop_method)chance(METHOD_MAX);
    op->on_timeout = (enum timeout_action)chance(ON_TIMEOUT_MAX);
    op->accepted_at = (1790000000 + chance(1000)) * USEC_PER_SEC + chance(1000000);
    op->off_at = chance(2) ? op->accepted_at + chance(1000000) : 0;
    op->finished_at = chance(2) ? op->accepted_at + chance(1000000) : 0;
    op->stage = (enum stage)chance(STAGE_MAX);
    op->outcome = (enum outcome)chance(OUTCOME_MAX);
    op->error = (enum error_code)chance(ERROR_MAX);
    op->force_stop = chance(2);
    op->has_processes = chance(2);
    op->interlock_wanted = chance(2);
    op->agent_spent = chance(2);
    op->disks_changed = chance(2);
    op->lock_overridden = chance(2);
    op->incarnation.pid = (pid_t)chance(4194304);
    op->incarnation.start_time = (uint64_t)chance(1u << 30) << 20;
    uuid_new_lower(op->incarnation.boot_id);
    op->former.on_poweroff = (enum lifecycle_action)chance(LIFECYCLE_MAX);
    op->former.on_reboot = (enum lifecycle_action)chance(LIFECYCLE_MAX);
    op->presses = chance(9000);
    op->buttons_out = chance(9);
    op->agent_tries = chance(9);
    op->cuts = chance(90);
    op->restore_tries = chance(9);
    some_text(&op->disks_at_acceptance);
    some_disks(op);
    for (unsigned n = chance(5); n > 0; n--)
        operation_note(op, op->accepted_at, false, "what", "%u", n);
    return op;
}

/* --- Through the journal -------------------------------------------------------------------------
 */

static void what_is_written_is_read(void **state)
{
    for (unsigned i = 0; i < 2000; i++) {
        _cleanup_(operation_free) struct operation *op = some_operation(), *again = NULL;
        _cleanup_(json) json_object *document = journalled(op), *second = NULL;

        assert_int_equal(operation_from_journal(document, &again, NULL), 0);
        second = journalled(again);
        assert_string_equal(json_object_to_json_string(second),
                            json_object_to_json_string(document));
        assert_int_equal(again->accepted_at, op->accepted_at);
        assert_true(incarnation_equal(&again->incarnation, &op->incarnation));
    }
}

/* Of another life: what the clock counted then means nothing now. */
static void deadlines_are_not_read(void **state)
{
    _cleanup_(operation_free) struct operation *op = some_operation(), *again = NULL;
    _cleanup_(json) json_object *document = NULL;

    op->grace_since = op->next_press = op->next_look = op->next_cut = 5;
    op->acting = 1;
    document = journalled(op);
    assert_int_equal(operation_from_journal(document, &again, NULL), 0);
    assert_int_equal(operation_next_due(again), USEC_NEVER);
    assert_int_equal(again->acting, 0);
}

static bool is_refused(json_object *document)
{
    _cleanup_(error_free) struct error *err = NULL;
    struct operation *op = NULL;

    if (operation_from_journal(document, &op, &err) == 0) {
        operation_free(op);
        return false;
    }
    assert_int_equal(err->code, ERROR_JOURNAL);
    assert_null(op);
    return true;
}

/* Is for readers alone; what the engine goes on with stands under "journal". */
static bool is_only_shown(const char *member)
{
    static const char *const shown[] = {"state",     "phase",      "error", "grace",
                                        "graceLeft", "acceptedAt", "offAt", "finishedAt",
                                        "storage",   "traceparent"};

    return text_index(shown, ELEMENTSOF(shown), member) >= 0;
}

/* Takes the nth member of the document, or of its "journal", away, or makes it something else.
 * False: there is no nth. */
static bool damage(json_object *document, bool in_journal, unsigned n, bool remove,
                   char member[static 32])
{
    json_object *object = document;

    if (in_journal)
        assert_int_equal(json_get_object(document, "journal", &object), 0);
    json_object_object_foreach(object, key, value)
    {
        if (n-- > 0)
            continue;
        snprintf(member, 32, "%s", key);
        if (!in_journal && is_only_shown(key))
            return true;
        if (remove)
            json_object_object_del(object, key);
        else
            json_object_object_add(object, key,
                                   json_object_is_type(value, json_type_array)
                                       ? json_object_new_string("[]")
                                       : json_object_new_array());
        return true;
    }
    return false;
}

/* Older journals have none. */
static bool is_a_later_one(const char *member)
{
    static const char *const later[] = {"buttonsOut", "ended", "end", "lockOverridden"};

    return text_index(later, ELEMENTSOF(later), member) >= 0;
}

static void a_damaged_document_is_refused(void **state)
{
    for (unsigned how = 0; how < 4; how++)
        for (unsigned n = 0;; n++) {
            _cleanup_(operation_free) struct operation *op = some_operation();
            _cleanup_(json) json_object *document = journalled(op);
            char member[32];

            if (!damage(document, how & 1, n, how & 2, member))
                break;
            if (is_only_shown(member) && !(how & 1))
                continue;
            if (is_a_later_one(member) && (how & 2))
                continue;
            if (!is_refused(document))
                fail_msg("%s is gone or of another type, and nobody minds", member);
        }
}

/* A stop that began before locks were looked at again goes on as it began. */
static void an_operation_of_an_older_journal_is_held_to_no_lock(void **state)
{
    _cleanup_(operation_free) struct operation *op = some_operation(), *again = NULL;
    _cleanup_(json) json_object *document = NULL;
    json_object *private;

    op->lock_overridden = false;
    document = journalled(op);
    assert_int_equal(json_get_object(document, "journal", &private), 0);
    json_object_object_del(private, "lockOverridden");
    assert_int_equal(operation_from_journal(document, &again, NULL), 0);
    assert_true(again->lock_overridden);
}

static void words_and_numbers_out_of_range_are_refused(void **state)
{
    static const struct {
        bool in_journal;
        const char *member, *value;
    } wrong[] = {
        {false, "requestId", "\"473469C7\""},
        {false, "action", "\"StartInstance\""},
        {false, "instanceId", "null"},
        {false, "outcome", "\"Perhaps\""},
        {false, "timeline", "[{}]"},
        {false, "timeline", "[17]"},
        {true, "stage", "\"shutting\""},
        {true, "error", "\"NO_SUCH_ERROR\""},
        {true, "domain", "\"vm1\""},
        {true, "pid", "4294967296"},
        {true, "pid", "-1"},
        {true, "presses", "4294967296"},
        {true, "graceLeft", "-5"},
        {true, "onReboot", "\"\""},
        {true, "bootId", "\"0123456789012345678901234567890123456789\""},
        {true, "disks", "[{}]"},
    };

    for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
        _cleanup_(operation_free) struct operation *op = some_operation();
        _cleanup_(json) json_object *document = journalled(op);
        json_object *object = document;

        if (wrong[i].in_journal)
            assert_int_equal(json_get_object(document, "journal", &object), 0);
        json_object_object_add(object, wrong[i].member, json_tokener_parse(wrong[i].value));
        if (!is_refused(document))
            fail_msg("%s is %s, and nobody minds", wrong[i].member, wrong[i].value);
    }
}

static void another_document_is_refused(void **state)
{
    static const char *const documents[] = {"{}", "[]", "\"text\"", "17", "{\"journal\":{}}"};

    for (size_t i = 0; i < ELEMENTSOF(documents); i++) {
        _cleanup_(json) json_object *document = json_tokener_parse(documents[i]);

        assert_true(is_refused(document));
    }
    assert_true(is_refused(NULL));
}

/* --- As the API shows it
 * --------------------------------------------------------------------------- */

static void what_is_published_holds_nothing_of_the_journals(void **state)
{
    _cleanup_(operation_free) struct operation *op = some_operation();
    _cleanup_(json) json_object *stored = NULL, *shown = NULL;

    disk_plan_clear(&op->disks); /* whose journal part stands in "journal" too */
    stored = journalled(op);
    shown = operation_to_json(op);
    operation_document_publish(stored);
    assert_string_equal(json_object_to_json_string(stored), json_object_to_json_string(shown));
}

static void the_documents_members_are_the_contracts(void **state)
{
    static const char *const members[] = {
        "requestId", "instanceId", "action",    "state",       "phase",
        "outcome",   "error",      "forceStop", "stoppedMode", "acceptedAt",
        "offAt",     "finishedAt", "principal", "timeline",    "storage",
    };
    _cleanup_(operation_free) struct operation *op = some_operation();
    _cleanup_(json) json_object *document = operation_to_json(op);

    for (size_t i = 0; i < ELEMENTSOF(members); i++)
        if (!json_object_object_get_ex(document, members[i], NULL))
            fail_msg("%s is missing", members[i]);
}

/* --- Copies and clockwork
 * ----------------------------------------------------------------------------- */

static void a_copy_is_the_same_and_apart(void **state)
{
    for (unsigned i = 0; i < 200; i++) {
        struct operation *op = some_operation();
        _cleanup_(operation_free) struct operation *copy = operation_copy(op);
        _cleanup_(json) json_object *was = journalled(op), *is = NULL;

        assert_non_null(copy);
        assert_int_equal(copy->next_press, op->next_press);
        operation_note(op, 1, false, "another line", NULL);
        operation_free(op);
        is = journalled(copy);
        assert_string_equal(json_object_to_json_string(is), json_object_to_json_string(was));
    }
}

static void the_grace_that_is_left_runs_out_and_stays_out(void **state)
{
    _cleanup_(operation_free) struct operation *op = operation_new();

    op->grace_left = 60;
    assert_int_equal(operation_grace_left(op, 1000), 60); /* it stands still */
    op->grace_since = 1000;
    assert_int_equal(operation_grace_left(op, 1000), 60);
    assert_int_equal(operation_grace_left(op, 1059), 1);
    assert_int_equal(operation_grace_left(op, 1060), 0);
    assert_int_equal(operation_grace_left(op, 9999), 0);
    assert_int_equal(operation_next_due(op), 1060);
}

static void the_earliest_deadline_is_due(void **state)
{
    _cleanup_(operation_free) struct operation *op = operation_new();
    usec_t *const deadlines[] = {&op->next_press, &op->next_look, &op->next_cut, &op->next_restore,
                                 &op->next_clear};

    assert_int_equal(operation_next_due(op), USEC_NEVER);
    for (size_t i = 0; i < ELEMENTSOF(deadlines); i++) {
        *deadlines[i] = 100 - i;
        assert_int_equal(operation_next_due(op), 100 - i);
    }
}

static void a_button_that_is_pressed_for_a_day_stays_one_line(void **state)
{
    _cleanup_(operation_free) struct operation *op = operation_new();

    operation_note(op, 1, false, "button", "acpi");
    for (unsigned n = 2; n < 9000; n++)
        operation_note(op, n, true, "button again", "acpi, pressed %u times", n);
    operation_note(op, 9000, false, "off", NULL);
    assert_int_equal(op->timeline.n, 3);
    assert_int_equal(op->timeline.items[1].at, 8999);
    assert_string_equal(op->timeline.items[1].detail, "acpi, pressed 8999 times");
    assert_null(op->timeline.items[2].detail);
}

static void the_instance_is_stopping_until_the_operation_is_over(void **state)
{
    _cleanup_(operation_free) struct operation *op = operation_new();

    for (enum stage stage = 0; stage < STAGE_DONE; stage++) {
        op->stage = stage;
        assert_int_equal(operation_state(op), STATE_STOPPING);
        assert_false(operation_is_finished(op));
    }
    op->stage = STAGE_DONE;
    op->outcome = OUTCOME_STOPPED;
    assert_int_equal(operation_state(op), STATE_STOPPED);
    op->outcome = OUTCOME_FAILED;
    op->error = ERROR_SAVED;
    assert_int_equal(operation_state(op), STATE_STOPPED);
    op->error = ERROR_GRACE_OVER;
    assert_int_equal(operation_state(op), STATE_RUNNING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(deadlines_are_not_read),
        cmocka_unit_test(a_damaged_document_is_refused),
        cmocka_unit_test(an_operation_of_an_older_journal_is_held_to_no_lock),
        cmocka_unit_test(words_and_numbers_out_of_range_are_refused),
        cmocka_unit_test(another_document_is_refused),
        cmocka_unit_test(what_is_published_holds_nothing_of_the_journals),
        cmocka_unit_test(the_documents_members_are_the_contracts),
        cmocka_unit_test(a_copy_is_the_same_and_apart),
        cmocka_unit_test(the_grace_that_is_left_runs_out_and_stays_out),
        cmocka_unit_test(the_earliest_deadline_is_due),
        cmocka_unit_test(a_button_that_is_pressed_for_a_day_stays_one_line),
        cmocka_unit_test(the_instance_is_stopping_until_the_operation_is_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
