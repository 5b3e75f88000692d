/* test_config_values.c - contract section 2: what a value may be */
#include "config-kit.h"

static void durations_have_units(void **state)
{
    static const struct {
        const char *text;
        usec_t value; /* 0: refused */
    } durations[] = {
        {"5", 5 * USEC_PER_SEC},
        {"30s", 30 * USEC_PER_SEC},
        {"10m", 600 * USEC_PER_SEC},
        {"2h", 7200 * USEC_PER_SEC},
        {"1500ms", 1500 * USEC_PER_MSEC},
        {"24h", 86400 * USEC_PER_SEC},
        {"25h", 0},
        {"0", 0},
        {"999ms", 0},
        {"-5", 0},
        {"5 s", 0},
        {"1.5s", 0},
        {"5d", 0},
        {"s", 0},
        {"", 0},
        {"18446744073709551615h", 0},
        {"99999999999999999999", 0},
    };

    for (size_t i = 0; i < ELEMENTSOF(durations); i++) {
        _cleanup_(config_free) struct config *c = NULL;
        _cleanup_(error_free) struct error *err = NULL;
        char setting[64];
        int r;

        snprintf(setting, sizeof(setting), "stop.grace=%s", durations[i].text);
        r = config_load_from(directory, NULL, SET(setting), 1, &c, &err);
        if (durations[i].value == 0) {
            char message[192];

            assert_true(r < 0);
            snprintf(message, sizeof(message),
                     "--set: stop.grace: must be a duration (500ms, 30s, 10m, 72h) from 1s to 24h, "
                     "not '%s'",
                     durations[i].text);
            assert_string_equal(error_message(err), message);
        } else {
            assert_int_equal(r, 0);
            assert_int_equal(c->stop.grace, durations[i].value);
        }
    }
}

static void wrong_values_are_refused_with_what_would_be_right(void **state)
{
    static const struct {
        char *setting;
        const char *message;
    } wrong[] = {
        {"hypervisor.workers=0", "must be a whole number from 2 to 1024, not '0'"},
        {"hypervisor.workers=8x", "must be a whole number from 2 to 1024, not '8x'"},
        {"hypervisor.uri=", "must not be empty"},
        {"stop.method=button", "must be acpi, agent or agent,acpi, not 'button'"},
        {"stop.method=", "must be acpi, agent or agent,acpi, not ''"},
        {"stop.on_timeout=Force", "must be fail or force, not 'Force'"},
        {"stop.stopped_mode=keep", "must be KeepCharging or StopCharging, not 'keep'"},
        {"log.level=loud", "must be error, warning, notice, info or debug, not 'loud'"},
        {"log.format=xml", "must be auto, journald, text or json, not 'xml'"},
        {"api.socket_mode=0980", "must be an octal mode such as 0660, not '0980'"},
        {"api.socket_mode=7777", "must be an octal mode such as 0660, not '7777'"},
        {"api.operators=a,,b", "must be words with a comma between each two, not 'a,,b'"},
        {"local_storage.devices=/dev/a,,/dev/b", "must be words with a comma between each two"},
        {"local_storage.devices=nvme*n*",
         "must be patterns of absolute paths, such as /dev/nvme*n*, not 'nvme*n*'"},
        {"local_storage.devices=/dev/sda, ./dev/sdb",
         "must be patterns of absolute paths, such as /dev/nvme*n*, not './dev/sdb'"},
        {"local_storage.devices=/dev/sda,/dev/sdb,/dev/sda",
         "must have each pattern once, not '/dev/sda' again"},
        {"local_storage.files=*.raw",
         "must be patterns of absolute paths, such as /dev/nvme*n*, not '*.raw'"},
        {"local_storage.files=/srv/*.raw,,/srv/*.img",
         "must be words with a comma between each two"},
        {"local_storage.files=/srv/*.raw,/srv/*.raw",
         "must have each pattern once, not '/srv/*.raw' again"},
        {"local_storage.methods=", "must have at least one method"},
        {"local_storage.methods=overwrite,", "must be words with a comma between each two"},
        {"local_storage.methods=overwrite,scrub",
         "must be methods such as nvme-format-user-data or overwrite, not 'scrub'"},
        {"local_storage.methods=overwrite discard,write-zeroes",
         "must be methods such as nvme-format-user-data or overwrite, not 'overwrite discard'"},
        {"local_storage.methods=overwrite,discard,overwrite",
         "must have each method once, not 'overwrite' again"},
        {"local_storage.level=none", "must be clear or purge, not 'none'"},
        {"local_storage.level=Purge", "must be clear or purge, not 'Purge'"},
        {"local_storage.level=", "must be clear or purge, not ''"},
        {"local_storage.verify=some", "must be sample, full or none, not 'some'"},
        {"local_storage.verify=", "must be sample, full or none, not ''"},
        {"local_storage.parallel=0", "must be a whole number from 1 to 1024, not '0'"},
        {"local_storage.parallel=1025", "must be a whole number from 1 to 1024, not '1025'"},
        {"local_storage.max_mib_per_s=-1", "must be a whole number from 0 to 1000000, not '-1'"},
        {"local_storage.helper=stopd-wipe", "must be spawn:PATH or unix:SOCKET, not 'stopd-wipe'"},
        {"local_storage.helper=spawn:", "must be spawn:PATH or unix:SOCKET, not 'spawn:'"},
        {"local_storage.helper=unix:run/x", "must be spawn:PATH or unix:SOCKET, not 'unix:run/x'"},
        {"local_storage.helper=", "must be spawn:PATH or unix:SOCKET, not ''"},
        {"host.id=a/b", "must be of letters, digits, '-', '.' and '_', not 'a/b'"},
        {"upstream.x.type=kafka", "must be file, nats or webhook, not 'kafka'"},
        {"upstream.x.create=1", "must be yes or no, not '1'"},
        {"api.insecure_loopback=true", "must be yes or no, not 'true'"},
        {"api.listen=localhost:80", "must be off, or a numeric ADDRESS:PORT"},
        {"api.listen=192.0.2.7", "must be off, or a numeric ADDRESS:PORT"},
        {"api.listen=192.0.2.7:65536", "must be off, or a numeric ADDRESS:PORT"},
        {"api.listen=2001:db8::7:443", "must be off, or a numeric ADDRESS:PORT"},
        {"api.listen=[::1]:", "must be off, or a numeric ADDRESS:PORT"},
        {"api.listen=", "must be off, or a numeric ADDRESS:PORT"},
        {"commands.max_age=0", "must be a duration"},
        {"stop.method=acpi\nx", "has a control character"},
    };

    for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
        const char *message = refusal(NULL, SET(wrong[i].setting));

        if (!strstr(message, wrong[i].message))
            fail_msg("%s: '%s'", wrong[i].setting, message);
    }
}

static void a_helpers_socket_has_to_have_a_path_that_fits(void **state)
{
    static const char key[] = "local_storage.helper=unix:";
    char setting[160];

    memset(setting, 'x', sizeof(setting));
    memcpy(setting, key, strlen(key));
    setting[strlen(key)] = '/';
    setting[strlen(key) + 107] = '\0';
    {
        _cleanup_(config_free) struct config *c = load(SET(setting));

        assert_string_equal(c->local_helper, setting + strlen("local_storage.helper="));
    }
    setting[strlen(key) + 107] = 'x';
    setting[strlen(key) + 108] = '\0';
    assert_non_null(
        strstr(refusal(NULL, SET(setting)), "must be a socket with a path of at most 107"));
}

/* A ladder is of one place as a whole; rungs of two are never mixed. */
static void a_ladder_replaces_the_former(void **state)
{
    write_file("stopd.conf", "[local_storage]\nmethods = discard, overwrite\n");
    write_file("conf.d/1.conf", "[local_storage]\nmethods = punch-hole,\toverwrite\nfiles =\n");
    _cleanup_(config_free) struct config *c = load(NULL);

    assert_int_equal(c->local_methods.n, 2);
    assert_string_equal(c->local_methods.items[0], "punch-hole");
    assert_string_equal(c->local_methods.items[1], "overwrite");
    assert_null(c->local_methods.items[2]);
    assert_int_equal(c->local_files.n, 0);
}

#define SANITIZES "local_storage.methods=overwrite,nvme-sanitize-crypto"

/* Each by itself is fine; together they promise what nobody looks at. */
static void a_purge_that_is_not_verified_is_refused(void **state)
{
    static const char message[] = "local_storage.level is purge, which has to be verified, and "
                                  "local_storage.verify is none";

    config_free(load(SET("local_storage.level=purge", SANITIZES)));
    config_free(load(SET("local_storage.level=purge", SANITIZES, "local_storage.verify=full")));
    config_free(load(SET("local_storage.verify=none")));
    assert_string_equal(
        refusal(NULL, SET("local_storage.level=purge", SANITIZES, "local_storage.verify=none")),
        message);
    assert_string_equal(refusal_of("[local_storage]\nverify = none\nlevel = purge\n"), message);
    write_file("stopd.conf", "[local_storage]\nverify = none\nmethods = nvme-sanitize-block\n");
    write_file("conf.d/1.conf", "[local_storage]\nlevel = purge\n");
    assert_string_equal(refusal(NULL, NULL), message);
    config_free(load(SET("local_storage.verify=sample")));
}

/* Every clear would end in quarantine, after its guest is off. */
static void a_purge_that_no_method_reaches_is_refused(void **state)
{
    static const char message[] =
        "local_storage.level is purge, and no method of local_storage.methods reaches it: add "
        "nvme-sanitize-crypto or nvme-sanitize-block, or set the level to clear";

    assert_string_equal(refusal(NULL, SET("local_storage.level=purge")), message);
    assert_string_equal(refusal(NULL, SET("local_storage.level=purge",
                                          "local_storage.methods=nvme-format-crypto,overwrite")),
                        message);
    config_free(
        load(SET("local_storage.level=purge", "local_storage.methods=nvme-sanitize-block")));
    config_free(load(SET("local_storage.methods=overwrite")));
}

/* Every method that there is can be listed. */
static void every_method_is_known(void **state)
{
    for (enum clear_method m = 0; m < CLEAR_METHOD_MAX; m++) {
        char setting[96];
        _cleanup_(config_free) struct config *c = NULL;

        snprintf(setting, sizeof(setting), "local_storage.methods=%s", clear_method_to_string(m));
        c = load(SET(setting));
        assert_int_equal(c->local_methods.n, 1);
    }
}

/* Every default is what its own kind writes, so the manual, the printed configuration and the
 * contract agree. */
static void each_default_is_written_as_it_is_read(void **state)
{
    size_t n;
    const struct config_key *keys = config_keys(&n);

    for (size_t i = 0; i < n; i++) {
        char text[256] = "";
        union {
            usec_t number;
            char *text;
            struct words list;
        } value = {0};
        _cleanup_(error_free) struct error *err = NULL;
        FILE *to;

        if (!keys[i].type || !keys[i].fallback)
            continue;
        assert_int_equal(keys[i].type->parse(&keys[i], keys[i].fallback, &value, &err), 0);
        to = fmemopen(text, sizeof(text), "w");
        keys[i].type->format(&value, to);
        fclose(to);
        assert_string_equal(text, keys[i].fallback);
        if (keys[i].type->clear)
            keys[i].type->clear(&value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(durations_have_units),
        TEST(wrong_values_are_refused_with_what_would_be_right),
        TEST(a_helpers_socket_has_to_have_a_path_that_fits),
        TEST(a_ladder_replaces_the_former),
        TEST(a_purge_that_is_not_verified_is_refused),
        TEST(a_purge_that_no_method_reaches_is_refused),
        TEST(every_method_is_known),
        TEST(each_default_is_written_as_it_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
