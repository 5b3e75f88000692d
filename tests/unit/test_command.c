/* test_command.c - StopInstance's parameters, row by row of the contract's section 3 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/command.h"

#include <stdio.h>
#include <string.h>

/* "InstanceId", "i-1", "ForceStop", "true", NULL */
static struct parameters parameters_of(const char *const *pairs)
{
    struct parameters p = {0};

    for (size_t i = 0; pairs[i]; i += 2)
        assert_int_equal(parameters_add(&p, pairs[i], pairs[i + 1]), 0);
    return p;
}

/* What becomes of the parameters: ERROR_NONE and *ret, which the caller clears, or the error. */
static enum error_code parse_pairs(const char *const *pairs, struct command *ret)
{
    _cleanup_(error_free) struct error *err = NULL;
    struct parameters p = parameters_of(pairs);
    int r = command_parse(&p, ret, &err);

    parameters_clear(&p);
    if (r == 0) {
        assert_null(err);
        return ERROR_NONE;
    }
    assert_non_null(err);
    assert_int_equal(r, -error_errno(err->code));
    assert_null(ret->instance_id); /* cleared */
    return err->code;
}

#define PAIRS(...) ((const char *const[]){"InstanceId", "i-1", ##__VA_ARGS__, NULL})

#define assert_accepted(c, ...) assert_int_equal(parse_pairs(PAIRS(__VA_ARGS__), c), ERROR_NONE)
#define assert_refused(code, ...)                                                  \
    do {                                                                           \
        _cleanup_(command) struct command refused = {0};                           \
        assert_string_equal(error_name(parse_pairs(PAIRS(__VA_ARGS__), &refused)), \
                            error_name(code));                                     \
    } while (0)

static void the_instance_id_alone_is_a_soft_stop(void **state)
{
    _cleanup_(command) struct command c = {0};

    assert_accepted(&c);
    assert_string_equal(c.instance_id, "i-1");
    assert_false(c.force_stop || c.confirm_stop || c.hibernate || c.dry_run);
    assert_int_equal(c.stopped_mode, STOPPED_MODE_UNSET);
    assert_null(c.client_token);
    assert_int_equal(c.grace, 0);
    assert_int_equal(c.on_timeout, ON_TIMEOUT_UNSET);
}

/* The API reference's own request. */
static void the_reference_example_is_accepted(void **state)
{
    _cleanup_(command) struct command c = {0};

    assert_accepted(&c, "Action", "StopInstance", "StoppedMode", "KeepCharging", "ForceStop",
                    "false", "ConfirmStop", "true", "DryRun", "false", "Hibernate", "false");
    assert_int_equal(c.stopped_mode, STOPPED_MODE_KEEP_CHARGING);
    assert_true(c.confirm_stop);
}

static void without_an_instance_id_it_is_missing(void **state)
{
    _cleanup_(command) struct command c = {0};

    assert_int_equal(parse_pairs((const char *const[]){"ForceStop", "true", NULL}, &c),
                     ERROR_MISSING_PARAMETER);
    assert_int_equal(parse_pairs((const char *const[]){"InstanceId", "", NULL}, &c),
                     ERROR_MISSING_PARAMETER);
    assert_int_equal(parse_pairs((const char *const[]){"instanceid", "i-1", NULL}, &c),
                     ERROR_MISSING_PARAMETER);
    /* Before what is wrong with the others. */
    assert_int_equal(parse_pairs((const char *const[]){"ForceStop", "perhaps", NULL}, &c),
                     ERROR_MISSING_PARAMETER);
}

static void another_action_is_never_taken_for_a_stop(void **state)
{
    assert_refused(ERROR_ACTION_NOT_FOUND, "Action", "StartInstance");
    assert_refused(ERROR_ACTION_NOT_FOUND, "Action", "stopinstance");
}

static void booleans_are_true_or_false_in_any_case(void **state)
{
    static const struct {
        const char *value;
        enum error_code code;
        bool is;
    } values[] = {
        {"true", ERROR_NONE, true},
        {"TRUE", ERROR_NONE, true},
        {"False", ERROR_NONE, false},
        {"", ERROR_NONE, false},
        {"1", ERROR_INVALID_PARAMETER, false},
        {"yes", ERROR_INVALID_PARAMETER, false},
        {"true ", ERROR_INVALID_PARAMETER, false},
        {"truefalse", ERROR_INVALID_PARAMETER, false},
    };
    static const char *const names[] = {"ForceStop", "Hibernate", "DryRun"};

    for (size_t i = 0; i < ELEMENTSOF(values); i++)
        for (size_t k = 0; k < ELEMENTSOF(names); k++) {
            _cleanup_(command) struct command c = {0};
            const bool *const read[] = {&c.force_stop, &c.hibernate, &c.dry_run};

            assert_int_equal(parse_pairs(PAIRS(names[k], values[i].value), &c), values[i].code);
            assert_int_equal(*read[k], values[i].is);
        }
}

/* Ignored for every instance without local storage, whatever its value. */
static void confirm_stop_is_given_by_true_alone(void **state)
{
    static const char *const others[] = {"false", "", "yes", "1", "confirm"};

    for (size_t i = 0; i < ELEMENTSOF(others); i++) {
        _cleanup_(command) struct command c = {0};

        assert_accepted(&c, "ConfirmStop", others[i]);
        assert_false(c.confirm_stop);
    }
    _cleanup_(command) struct command c = {0};
    assert_accepted(&c, "ConfirmStop", "True");
    assert_true(c.confirm_stop);
}

static void stopped_mode_has_its_words(void **state)
{
    static const struct {
        const char *value;
        enum stopped_mode mode;
    } words[] = {
        {"KeepCharging", STOPPED_MODE_KEEP_CHARGING}, {"keepcharging", STOPPED_MODE_KEEP_CHARGING},
        {"StopCharging", STOPPED_MODE_STOP_CHARGING}, {"Not-applicable", STOPPED_MODE_UNSET},
        {"NotApplicable", STOPPED_MODE_UNSET},        {"", STOPPED_MODE_UNSET},
    };

    for (size_t i = 0; i < ELEMENTSOF(words); i++) {
        _cleanup_(command) struct command c = {0};

        assert_accepted(&c, "StoppedMode", words[i].value);
        assert_int_equal(c.stopped_mode, words[i].mode);
    }
    assert_refused(ERROR_INVALID_PARAMETER, "StoppedMode", "Charging");
}

static void a_token_is_up_to_64_ascii_characters(void **state)
{
    char token[66];
    _cleanup_(command) struct command c = {0};

    memset(token, 't', sizeof(token));
    token[65] = '\0';
    assert_refused(ERROR_INVALID_PARAMETER, "ClientToken", token);
    token[64] = '\0';
    assert_accepted(&c, "ClientToken", token);
    assert_string_equal(c.client_token, token);
    assert_refused(ERROR_INVALID_PARAMETER, "ClientToken", "f\xc3\xbcnf");
    assert_refused(ERROR_INVALID_PARAMETER, "ClientToken", "a\nb");
}

static void the_grace_is_1_to_86400_seconds(void **state)
{
    static const char *const wrong[] = {"0",   "86401", "-1",  "1.5", "60s",
                                        " 60", "0x10",  "6 0", "+5",  "9999999999999999999999999"};
    _cleanup_(command) struct command least = {0}, most = {0};

    assert_accepted(&least, "GracePeriod", "1");
    assert_int_equal(least.grace, USEC_PER_SEC);
    assert_accepted(&most, "GracePeriod", "86400");
    assert_int_equal(most.grace, 86400 * USEC_PER_SEC);
    for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
        assert_refused(ERROR_INVALID_PARAMETER, "GracePeriod", wrong[i]);
}

static void what_a_grace_that_is_over_does_is_fail_or_force(void **state)
{
    _cleanup_(command) struct command fails = {0}, forces = {0};

    assert_accepted(&fails, "OnGraceTimeout", "Fail");
    assert_int_equal(fails.on_timeout, ON_TIMEOUT_FAIL);
    assert_accepted(&forces, "OnGraceTimeout", "Force");
    assert_int_equal(forces.on_timeout, ON_TIMEOUT_FORCE);
    assert_refused(ERROR_INVALID_PARAMETER, "OnGraceTimeout", "destroy");
}

static void the_clouds_common_parameters_are_ignored(void **state)
{
    static const char *const names[] = {
        "Format",
        "Version",
        "Timestamp",
        "AccessKeyId",
        "Signature",
        "SignatureMethod",
        "SignatureVersion",
        "SignatureNonce",
        "SignatureType",
        "SecurityToken",
        "BearerToken",
        "RegionId",
        "ResourceGroupId",
        "OwnerId",
        "OwnerAccount",
        "ResourceOwnerId",
        "ResourceOwnerAccount",
    };

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        _cleanup_(command) struct command c = {0};

        assert_accepted(&c, names[i], "whatever");
    }
}

/* A misspelt ForceStop is never taken for a soft stop. */
static void an_unknown_parameter_is_an_error(void **state)
{
    assert_refused(ERROR_INVALID_PARAMETER, "Forcestop", "true");
    assert_refused(ERROR_INVALID_PARAMETER, "Force", "");
    assert_refused(ERROR_INVALID_PARAMETER, "format", "XML");
}

static void a_repeated_parameter_is_an_error(void **state)
{
    assert_refused(ERROR_INVALID_PARAMETER, "ForceStop", "true", "ForceStop", "true");
    assert_refused(ERROR_INVALID_PARAMETER, "InstanceId", "i-1");
    assert_refused(ERROR_INVALID_PARAMETER, "Format", "XML", "Format", "JSON");
}

static void an_instance_id_has_a_length(void **state)
{
    char id[258];
    _cleanup_(command) struct command c = {0};

    memset(id, 'i', sizeof(id));
    id[257] = '\0';
    assert_int_equal(parse_pairs((const char *const[]){"InstanceId", id, NULL}, &c),
                     ERROR_INVALID_PARAMETER);
}

/* --- Override: the host's operator alone --------------------------------------------------------
 */

static enum error_code parse_override(bool is_root, const char *value, struct command *c)
{
    c->principal.is_local_root = is_root;
    return parse_pairs(PAIRS("Override", value), c);
}

static void an_override_is_roots_over_the_unix_socket(void **state)
{
    _cleanup_(command) struct command lock = {0}, both = {0}, other = {0}, wrong = {0};

    assert_int_equal(parse_override(true, "lock", &lock), ERROR_NONE);
    assert_true(lock.override_lock);
    assert_false(lock.override_arrears);
    assert_int_equal(parse_override(true, "lock,arrears", &both), ERROR_NONE);
    assert_true(both.override_lock && both.override_arrears);
    assert_int_equal(parse_override(false, "lock", &other), ERROR_FORBIDDEN);
    assert_int_equal(parse_override(true, "lock,everything", &wrong), ERROR_INVALID_PARAMETER);
    assert_int_equal(parse_override(true, "lock,", &wrong), ERROR_INVALID_PARAMETER);
    assert_int_equal(parse_override(true, "locks", &wrong), ERROR_INVALID_PARAMETER);
}

/* --- What a ClientToken binds --------------------------------------------------------------------
 */

static bool binds_the_same(const char *const *a, const char *const *b)
{
    _cleanup_(command) struct command x = {0}, y = {0};

    assert_int_equal(parse_pairs(a, &x), ERROR_NONE);
    assert_int_equal(parse_pairs(b, &y), ERROR_NONE);
    return strcmp(x.fingerprint, y.fingerprint) == 0;
}

static void a_token_binds_what_was_asked_for(void **state)
{
    const char *const *plain = PAIRS("ForceStop", "true", "GracePeriod", "5");

    assert_true(binds_the_same(plain, (const char *const[]){"GracePeriod", "5", "ForceStop", "true",
                                                            "InstanceId", "i-1", NULL}));
    assert_true(binds_the_same(plain, PAIRS("ForceStop", "true", "GracePeriod", "5", "Action",
                                            "StopInstance", "ClientToken", "t", "Timestamp", "now",
                                            "StoppedMode", "")));
    assert_false(binds_the_same(plain, PAIRS("ForceStop", "true")));
    assert_false(binds_the_same(plain, PAIRS("ForceStop", "true", "GracePeriod", "6")));
    assert_false(binds_the_same(plain, (const char *const[]){"InstanceId", "i-2", "ForceStop",
                                                             "true", "GracePeriod", "5", NULL}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_instance_id_alone_is_a_soft_stop),
        cmocka_unit_test(the_reference_example_is_accepted),
        cmocka_unit_test(without_an_instance_id_it_is_missing),
        cmocka_unit_test(another_action_is_never_taken_for_a_stop),
        cmocka_unit_test(booleans_are_true_or_false_in_any_case),
        cmocka_unit_test(confirm_stop_is_given_by_true_alone),
        cmocka_unit_test(stopped_mode_has_its_words),
        cmocka_unit_test(a_token_is_up_to_64_ascii_characters),
        cmocka_unit_test(the_grace_is_1_to_86400_seconds),
        cmocka_unit_test(what_a_grace_that_is_over_does_is_fail_or_force),
        cmocka_unit_test(the_clouds_common_parameters_are_ignored),
        cmocka_unit_test(an_unknown_parameter_is_an_error),
        cmocka_unit_test(a_repeated_parameter_is_an_error),
        cmocka_unit_test(an_instance_id_has_a_length),
        cmocka_unit_test(an_override_is_roots_over_the_unix_socket),
        cmocka_unit_test(a_token_binds_what_was_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
