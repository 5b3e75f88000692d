/* test_config.c - contract section 2: defaults, where values come from, errors that name places */
#include "daemon/config-file.h"
#include "daemon/config-keys.h"
#include "stopd/storage.h"

#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* --- A directory of its own for each test --------------------------------------------------- */

static char directory[64];

static int make_directory(void **state)
{
    snprintf(directory, sizeof(directory), "/tmp/test_config.XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
    return remove(path);
}

static int remove_directory(void **state)
{
    return nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *path_of(const char *name)
{
    static char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static void write_bytes(const char *name, const char *text, size_t length)
{
    FILE *file;

    if (strchr(name, '/'))
        mkdir(path_of("conf.d"), 0700);
    file = fopen(path_of(name), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    fclose(file);
}

static void write_file(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

/* What the default places of this directory and these settings (NULL-terminated) amount to. */
static struct config *load(char *const *settings)
{
    _cleanup_(error_free) struct error *err = NULL;
    struct config *c = NULL;
    size_t n = 0;

    while (settings && settings[n])
        n++;
    if (config_load_from(directory, NULL, settings, n, &c, &err) < 0)
        fail_msg("%s", error_message(err));
    return c;
}

#define SET(...) ((char *[]){__VA_ARGS__, NULL})

/* The message of the error that loading ends in, without this directory's name. */
static const char *refusal(const char *file, char *const *settings)
{
    static char message[1024];
    _cleanup_(error_free) struct error *err = NULL;
    _cleanup_(config_free) struct config *c = NULL;
    const char *text;
    size_t n = 0;

    while (settings && settings[n])
        n++;
    if (config_load_from(directory, file, settings, n, &c, &err) >= 0)
        fail_msg("loaded what must be refused");
    assert_null(c);
    assert_int_equal(error_code_of(err), ERROR_CONFIGURATION);
    assert_int_equal(error_exit_status(error_code_of(err)), 78);
    text = strstr(error_message(err), directory);
    if (text == error_message(err))
        snprintf(message, sizeof(message), "%s", text + strlen(directory) + 1);
    else
        snprintf(message, sizeof(message), "%s", error_message(err));
    return message;
}

static const char *refusal_of(const char *text)
{
    write_file("stopd.conf", text);
    return refusal(NULL, NULL);
}

/* As --check-config prints it. The caller frees. */
static char *written(const struct config *c)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    assert_non_null(to);
    config_write(c, to);
    fclose(to);
    return text;
}

/* Does the written configuration have this line in this section? */
static bool says(const char *text, const char *section, const char *line)
{
    char head[128], whole[512];
    const char *start, *end, *found;

    snprintf(head, sizeof(head), "[%s]\n", section);
    snprintf(whole, sizeof(whole), "\n%s\n", line);
    start = strstr(text, head);
    if (!start)
        return false;
    start += strlen(head) - 1;
    end = strstr(start, "\n[");
    found = strstr(start, whole);
    return found && (!end || found < end);
}

/* --- Defaults ------------------------------------------------------------------------------- */

/* The contract's table, as far as this version goes. */
static const struct {
    const char *section, *name, *value;
} contract[] = {
    {"hypervisor", "uri", "qemu:///system"},
    {"hypervisor", "workers", "8"},
    {"hypervisor", "call_timeout", "30s"},
    {"hypervisor", "destroy_timeout", "90s"},
    {"stop", "grace", "120s"},
    {"stop", "resend", "10s"},
    {"stop", "method", "acpi"},
    {"stop", "on_timeout", "fail"},
    {"stop", "stopped_mode", "KeepCharging"},
    {"stop", "parallel", "0"},
    {"local_storage", "families", "ecs.i1"},
    {"local_storage", "devices", "/dev/nvme*n*"},
    {"local_storage", "files", ""},
    {"local_storage", "methods", "nvme-format-crypto,nvme-format-user-data,write-zeroes,overwrite"},
    {"local_storage", "level", "clear"},
    {"local_storage", "verify", "sample"},
    {"local_storage", "parallel", "4"},
    {"local_storage", "max_mib_per_s", "0"},
    {"local_storage", "helper", "spawn:stopd-wipe"},
    {"api", "socket", "/run/stopd/stopd.sock"},
    {"api", "operators", "root,stopd"},
    {"api", "readers", "*"},
    {"api", "socket_mode", "0660"},
    {"api", "socket_group", "stopd"},
    {"api", "rate", "0"},
    {"api", "listen", "off"},
    {"api", "tls_cert", ""},
    {"api", "tls_key", ""},
    {"api", "tls_client_ca", ""},
    {"api", "tls_clients", ""},
    {"api", "tls_readers", ""},
    {"api", "insecure_loopback", "no"},
    {"commands", "nats_url", ""},
    {"commands", "tls_ca", ""},
    {"commands", "tls_cert", ""},
    {"commands", "tls_key", ""},
    {"commands", "credentials", ""},
    {"commands", "max_age", "10m"},
    {"journal", "path", "/var/lib/stopd/stopd.db"},
    {"journal", "retain", "72h"},
    {"log", "level", "info"},
    {"log", "format", "auto"},
};

static void without_a_file_the_contracts_defaults_hold(void **state)
{
    _cleanup_(config_free) struct config *c = load(NULL);
    _cleanup_(freep) char *text = written(c);
    size_t n, plain = 0;
    const struct config_key *keys = config_keys(&n);

    for (size_t i = 0; i < ELEMENTSOF(contract); i++) {
        char line[256];

        snprintf(line, sizeof(line), "%s = %s", contract[i].name, contract[i].value);
        if (!says(text, contract[i].section, line))
            fail_msg("[%s] does not say '%s' in:\n%s", contract[i].section, line, text);
    }
    for (size_t i = 0; i < n; i++)
        plain += keys[i].type && keys[i].fallback;
    assert_int_equal(plain, ELEMENTSOF(contract));
    assert_int_equal(c->n_sinks, 0);
}

static void defaults_arrive_in_their_members(void **state)
{
    _cleanup_(config_free) struct config *c = load(NULL);

    assert_string_equal(c->hypervisor_uri, "qemu:///system");
    assert_int_equal(c->workers, 8);
    assert_int_equal(c->call_timeout, 30 * USEC_PER_SEC);
    assert_int_equal(c->destroy_timeout, 90 * USEC_PER_SEC);
    assert_int_equal(c->stop.grace, 120 * USEC_PER_SEC);
    assert_int_equal(c->stop.method, METHOD_ACPI);
    assert_int_equal(c->stop.on_timeout, ON_TIMEOUT_FAIL);
    assert_int_equal(c->resend, 10 * USEC_PER_SEC);
    assert_int_equal(c->stopped_mode, STOPPED_MODE_KEEP_CHARGING);
    assert_int_equal(c->parallel, 0);
    assert_int_equal(c->local_families.n, 1);
    assert_string_equal(c->local_families.items[0], "ecs.i1");
    assert_null(c->local_families.items[1]);
    assert_int_equal(c->local_devices.n, 1);
    assert_string_equal(c->local_devices.items[0], "/dev/nvme*n*");
    assert_int_equal(c->local_files.n, 0);
    assert_int_equal(c->local_methods.n, 4);
    assert_string_equal(c->local_methods.items[0], "nvme-format-crypto");
    assert_string_equal(c->local_methods.items[3], "overwrite");
    assert_string_equal(c->local_level, "clear");
    assert_string_equal(c->local_verify, "sample");
    assert_int_equal(c->local_parallel, 4);
    assert_int_equal(c->local_max_mib_per_s, 0);
    assert_string_equal(c->local_helper, "spawn:stopd-wipe");
    assert_string_equal(c->api_socket, "/run/stopd/stopd.sock");
    assert_int_equal(c->api_operators.n, 2);
    assert_string_equal(c->api_operators.items[0], "root");
    assert_string_equal(c->api_operators.items[1], "stopd");
    assert_int_equal(c->api_readers.n, 1);
    assert_string_equal(c->api_readers.items[0], "*");
    assert_int_equal(c->api_socket_mode, 0660);
    assert_string_equal(c->api_socket_group, "stopd");
    assert_int_equal(c->api_rate, 0);
    assert_string_equal(c->api_listen, "off");
    assert_int_equal(c->api_tls_clients.n, 0);
    assert_int_equal(c->api_tls_readers.n, 0);
    assert_false(c->api_insecure_loopback);
    assert_string_equal(c->commands.url, "");
    assert_int_equal(c->commands_max_age, 600 * USEC_PER_SEC);
    assert_string_equal(c->journal_path, "/var/lib/stopd/stopd.db");
    assert_int_equal(c->journal_retain, 72 * 3600 * USEC_PER_SEC);
    assert_int_equal(c->log_level, LOG_LEVEL_INFO);
    assert_int_equal(c->log_format, LOG_FORMAT_AUTO);
}

static void the_host_is_the_machine_unless_it_is_named(void **state)
{
    _cleanup_(config_free) struct config *named = load(SET("host.id=node-7.rack_3"));
    char id[64] = "";
    FILE *file = fopen("/etc/machine-id", "r");

    assert_string_equal(named->host_id, "node-7.rack_3");
    if (file && fgets(id, sizeof(id), file) && id[0] != '\n') {
        _cleanup_(config_free) struct config *c = load(NULL);

        id[strcspn(id, "\n")] = '\0';
        assert_string_equal(c->host_id, id);
    } else {
        assert_non_null(strstr(refusal(NULL, NULL), "host.id is not set"));
    }
    if (file)
        fclose(file);
}

/* --- Where values come from ----------------------------------------------------------------- */

static void later_places_come_over_earlier_ones(void **state)
{
    write_file("stopd.conf", "[stop]\ngrace = 1m\nresend = 7s\nmethod = agent\nparallel = 3\n");
    write_file("conf.d/20-late.conf", "[stop]\nresend = 9s\n");
    write_file("conf.d/10-early.conf", "[stop]\nresend = 8s\nmethod = agent,acpi\nparallel = 4\n");
    write_file("conf.d/30-not-one.conf.bak", "[stop]\nresend = 99s\n");
    write_file("conf.d/.hidden.conf", "[stop]\nresend = 99s\n");
    {
        _cleanup_(config_free) struct config *c = load(SET("stop.parallel=5", "stop.parallel=6"));

        assert_int_equal(c->stop.grace, 60 * USEC_PER_SEC);
        assert_int_equal(c->resend, 9 * USEC_PER_SEC);
        assert_int_equal(c->stop.method, METHOD_AGENT_ACPI);
        assert_int_equal(c->parallel, 6);
        assert_int_equal(c->workers, 8);
    }
}

static void a_named_file_is_the_only_one(void **state)
{
    _cleanup_(config_free) struct config *c = NULL;
    _cleanup_(error_free) struct error *err = NULL;

    write_file("stopd.conf", "[stop]\ngrace = 1m\n");
    write_file("other.conf", "[stop]\nresend = 5s\n");
    assert_int_equal(config_load_from(directory, path_of("other.conf"), NULL, 0, &c, &err), 0);
    assert_int_equal(c->stop.grace, 120 * USEC_PER_SEC);
    assert_int_equal(c->resend, 5 * USEC_PER_SEC);
}

static void a_named_file_has_to_be_there(void **state)
{
    assert_string_equal(refusal("/nowhere/stopd.conf", NULL),
                        "cannot read /nowhere/stopd.conf: No such file or directory");
    assert_non_null(strstr(refusal("/etc", NULL), "cannot read /etc: Is a directory"));
}

static void a_list_replaces_the_former(void **state)
{
    write_file("stopd.conf", "[api]\noperators = wheel , 1001\nreaders =\n");
    _cleanup_(config_free) struct config *c = load(NULL);

    assert_int_equal(c->api_operators.n, 2);
    assert_string_equal(c->api_operators.items[0], "wheel");
    assert_string_equal(c->api_operators.items[1], "1001");
    assert_null(c->api_operators.items[2]);
    assert_int_equal(c->api_readers.n, 0);
}

static void comments_blanks_and_indentation_mean_nothing(void **state)
{
    write_file("stopd.conf", "# a comment\n; another\n\n  [stop]  # here too\n"
                             "   grace=45s\n\tresend  =  3s   ; behind a value\n"
                             "method: agent\n[log]");
    _cleanup_(config_free) struct config *c = load(NULL);

    assert_int_equal(c->stop.grace, 45 * USEC_PER_SEC);
    assert_int_equal(c->resend, 3 * USEC_PER_SEC);
    assert_int_equal(c->stop.method, METHOD_AGENT);
}

static void what_is_printed_is_what_is_read(void **state)
{
    _cleanup_(config_free) struct config *first = load(SET(
        "stop.grace=1500ms", "stop.method=agent,acpi", "api.operators=", "api.socket_mode=600",
        "upstream.a.type=file", "upstream.a.url=/var/log/a.jsonl", "upstream.site.b.url=-",
        "upstream.site.b.type=file", "host.id=h", "local_storage.devices=/dev/loop*, /dev/sd[b-e]",
        "local_storage.files=/srv/local/*.raw", "local_storage.level=purge",
        "local_storage.methods=nvme-sanitize-block , overwrite", "local_storage.verify=full",
        "local_storage.parallel=16", "local_storage.max_mib_per_s=200",
        "local_storage.helper=unix:/run/stopd-wipe.sock"));
    _cleanup_(freep) char *text = written(first);

    assert_true(says(text, "stop", "grace = 1500ms"));
    assert_true(says(text, "stop", "method = agent,acpi"));
    assert_true(says(text, "api", "operators = "));
    assert_true(says(text, "api", "socket_mode = 0600"));
    assert_true(says(text, "upstream.site.b", "url = -"));
    assert_true(says(text, "local_storage", "devices = /dev/loop*,/dev/sd[b-e]"));
    assert_true(says(text, "local_storage", "files = /srv/local/*.raw"));
    assert_true(says(text, "local_storage", "methods = nvme-sanitize-block,overwrite"));
    assert_true(says(text, "local_storage", "level = purge"));
    assert_true(says(text, "local_storage", "verify = full"));
    assert_true(says(text, "local_storage", "parallel = 16"));
    assert_true(says(text, "local_storage", "max_mib_per_s = 200"));
    assert_true(says(text, "local_storage", "helper = unix:/run/stopd-wipe.sock"));
    write_file("stopd.conf", text);
    {
        _cleanup_(config_free) struct config *second = load(NULL);
        _cleanup_(freep) char *again = written(second);

        assert_string_equal(text, again);
    }
}

/* --- Values --------------------------------------------------------------------------------- */

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

/* --- Errors name their place ---------------------------------------------------------------- */

static void errors_name_file_and_line(void **state)
{
    static const struct {
        const char *text, *message;
    } wrong[] = {
        {"[stop]\ngrace = 5s\n\ngrase = 6s\n", "stopd.conf:4: unknown key stop.grase"},
        {"[stop]\n\n[stopp]\ngrace = 5s\n", "stopd.conf:3: unknown section [stopp]"},
        {"# only comments\n[stopp]\n", "stopd.conf:2: unknown section [stopp]"},
        {"[Stop]\n", "stopd.conf:1: unknown section [Stop]"},
        {"[upstream]\ntype = file\n", "stopd.conf:1: unknown section [upstream]"},
        {"[stop]\ngrace = 5s\n# x\ngrace = 5s\n",
         "stopd.conf:4: stop.grace is given twice, first on line 2"},
        {"[stop]\ngrace = 5s\n[log]\n[stop]\n  grace = 5s\n",
         "stopd.conf:5: stop.grace is given twice, first on line 2"},
        {"\n\n[stop]\ngrace = soon\n", "stopd.conf:4: stop.grace: must be a duration "
                                       "(500ms, 30s, 10m, 72h) from 1s to 24h, not 'soon'"},
        {"[stop]\ngrace\n", "stopd.conf:2: neither a [section] nor a KEY = VALUE"},
        {"[stop\ngrace = 5s\n", "stopd.conf:1: a section without its ']'"},
        {"[stop] grace = 5s\n", "stopd.conf:1: something stands behind the section's ']'"},
        {"grace = 5s\n", "stopd.conf:1: a key before the first [section]"},
        {"[stop]\n = 5s\n", "stopd.conf:2: unknown key stop."},
        {"[upstream.a b]\ntype = file\n", "stopd.conf:2: a sink's name is of letters, digits, "
                                          "'-', '.' and '_', not 'a b'"},
        {"[upstream.a]\n\ntype = file\n", "stopd.conf:3: [upstream.a] has no url"},
        {"[upstream.a]\nurl = /x\n", "stopd.conf:2: [upstream.a] has no type"},
        {"[upstream.a]\ntype = nats\nurl = http://x\n",
         "stopd.conf:2: [upstream.a]: url must begin with nats:// or tls://, not 'http://x'"},
        {"[upstream.a]\ntype = webhook\nurl = ftp://x\n",
         "stopd.conf:2: [upstream.a]: url must begin with https:// (or http://, which anybody on "
         "the way can read), not 'ftp://x'"},
        {"[upstream.a]\ntype = file\nurl = /x\ncreate = yes\n",
         "stopd.conf:2: [upstream.a]: create means nothing to a sink of type file"},
        {"[upstream.a]\ntype = webhook\nurl = https://x\ncredentials = /c\n",
         "stopd.conf:2: [upstream.a]: credentials means nothing to a sink of type webhook"},
        {"[upstream.a]\ntype = nats\nurl = tls://x\ntls_cert = /c\n",
         "stopd.conf:2: [upstream.a]: it has one of tls_cert and tls_key, and needs both or "
         "neither"},
    };

    for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
        assert_string_equal(refusal_of(wrong[i].text), wrong[i].message);
}

static void an_error_in_a_drop_in_names_the_drop_in(void **state)
{
    write_file("stopd.conf", "[stop]\ngrace = 5s\n");
    write_file("conf.d/50-x.conf", "\n[stop]\ngrace = 0\n");
    assert_non_null(strstr(refusal(NULL, NULL), "conf.d/50-x.conf:3: stop.grace: must be"));
}

/* inih would take the rest of a long line for a line of its own, and the text behind a NUL for
 * nothing. */
static void lines_that_inih_would_misread_are_errors(void **state)
{
    _cleanup_(freep) char *line = malloc(6000);
    static const char nul[] = "[stop]\ngrace = 5s\0 grace\n";

    memset(line, 'x', 6000);
    memcpy(line, "[log]\nlevel = ", strlen("[log]\nlevel = "));
    write_bytes("stopd.conf", line, 6000);
    assert_string_equal(refusal(NULL, NULL), "stopd.conf:2: the line is too long");
    write_bytes("stopd.conf", nul, sizeof(nul) - 1);
    assert_string_equal(refusal(NULL, NULL), "stopd.conf:2: the line has a NUL byte");
    memset(line, 'y', 200);
    memcpy(line, "[upstream.", strlen("[upstream."));
    memcpy(line + 200, "]\nurl = x\n", sizeof("]\nurl = x\n"));
    write_file("stopd.conf", line);
    assert_string_equal(refusal(NULL, NULL),
                        "stopd.conf:2: a sink's name has at most 32 characters");
}

static void settings_have_to_be_whole(void **state)
{
    assert_string_equal(refusal(NULL, SET("stop.grace")),
                        "--set stop.grace: must be SECTION.KEY=VALUE");
    assert_string_equal(refusal(NULL, SET("grace=5s")),
                        "--set grace=5s: must be SECTION.KEY=VALUE");
    assert_string_equal(refusal(NULL, SET("stop.grase=5s")), "--set: unknown key stop.grase");
    assert_string_equal(refusal(NULL, SET("x.y=5s")), "--set: unknown section [x]");
    assert_string_equal(refusal(NULL, SET("upstream.a.b.url=a=b.c")),
                        "--set: [upstream.a.b] has no type");
}

static void keys_of_parts_to_come_are_refused_by_name(void **state)
{
    static char *const later[] = {"stop.evidence"};

    for (size_t i = 0; i < ELEMENTSOF(later); i++) {
        char setting[64], message[128];

        snprintf(setting, sizeof(setting), "%s=1", later[i]);
        snprintf(message, sizeof(message), "--set: %s is not supported by this version", later[i]);
        assert_string_equal(refusal(NULL, SET(setting)), message);
    }
}

static void a_network_has_to_be_whole(void **state)
{
    static const struct {
        const char *text, *message;
    } wrong[] = {
        {"[api]\nlisten = 192.0.2.7:8443\ntls_cert = /c\ntls_key = /k\n",
         "api.listen is set, and api.tls_client_ca is not"},
        {"[api]\nlisten = 192.0.2.7:8443\ninsecure_loopback = yes\n",
         "api.insecure_loopback is yes, and api.listen is 192.0.2.7:8443, which is no loopback"},
        {"[commands]\nnats_url = http://x\n", "must begin with nats:// or tls://"},
        {"[commands]\nnats_url = tls://x\ntls_key = /k\n", "both or neither"},
        {"[commands]\ncredentials = /c\n", "nats_url is not set"},
    };
    static const char *const right[] = {
        "[api]\nlisten = [2001:db8::7]:8443\ntls_cert = /c\ntls_key = /k\ntls_client_ca = /a\n",
        "[api]\nlisten = 127.9.9.9:0\ninsecure_loopback = yes\n",
        "[api]\nlisten = [::1]:80\ninsecure_loopback = yes\n",
        "[commands]\nnats_url = tls://x\ntls_key = /k\ntls_cert = /c\n",
        "[upstream.a]\ntype = nats\nurl = tls://x\ncreate = yes\ncredentials = /c\n",
        "[upstream.a]\ntype = webhook\nurl = https://x/y\ntoken_file = /t\ntls_ca = /a\n",
    };

    for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
        const char *message = refusal_of(wrong[i].text);

        if (!strstr(message, wrong[i].message))
            fail_msg("%s: '%s'", wrong[i].text, message);
    }
    for (size_t i = 0; i < ELEMENTSOF(right); i++) {
        write_file("stopd.conf", right[i]);
        config_free(load(NULL));
    }
}

static void sinks_keep_their_order_and_later_files_complete_them(void **state)
{
    write_file("stopd.conf", "[upstream.zebra]\ntype = file\n[upstream.ant]\ntype = file\n"
                             "url = /a\n");
    write_file("conf.d/1.conf", "[upstream.zebra]\nurl = /z\n[upstream.ant]\nurl = -\n");
    _cleanup_(config_free) struct config *c = load(NULL);

    assert_int_equal(c->n_sinks, 2);
    assert_string_equal(c->sinks[0].name, "zebra");
    assert_string_equal(c->sinks[0].peer.url, "/z");
    assert_string_equal(c->sinks[1].name, "ant");
    assert_string_equal(c->sinks[1].peer.url, "-");
    assert_string_equal(c->sinks[1].type, "file");
}

/* --- The manual and the example say what the table says -------------------------------------- */

/* A file of the source tree; the caller frees. NULL where the tree is not at hand. */
static char *read_source(const char *name)
{
    _cleanup_(freep) char *path = NULL;
    char *text = NULL;
    size_t size = 0;
    const char *end = strstr(__FILE__, "tests/unit/");
    FILE *file;

    if (!end || access(__FILE__, R_OK) < 0 ||
        asprintf(&path, "%.*s%s", (int)(end - __FILE__), __FILE__, name) < 0)
        return NULL;
    file = fopen(path, "r");
    assert_non_null(file);
    if (getdelim(&text, &size, '\0', file) < 0)
        fail_msg("%s is empty", path);
    fclose(file);
    return text;
}

#define REQUIRE_SOURCE(variable, name)                                            \
    _cleanup_(freep) char *variable = read_source(name);                          \
    if (!variable) {                                                              \
        print_message("skipped: " name " is not where this test was compiled\n"); \
        skip();                                                                   \
    }

static void the_manual_has_every_key_and_its_default(void **state)
{
    size_t n;
    const struct config_key *keys = config_keys(&n);
    REQUIRE_SOURCE(manual, "contrib/man/stopd.conf.5");

    for (size_t i = 0; i < n; i++) {
        bool of_sink = text_equal(keys[i].section, SINK_SECTION);
        char item[128], fallback[128];
        const char *start, *end, *found;

        if (!keys[i].type)
            continue;
        snprintf(item, sizeof(item), "\n.It Ic %s.%s", of_sink ? "upstream.NAME" : keys[i].section,
                 keys[i].name);
        start = strstr(manual, item);
        if (!start)
            fail_msg("the manual does not have%s", item + 6);
        if (!keys[i].fallback)
            continue;
        snprintf(fallback, sizeof(fallback),
                 *keys[i].fallback ? "\nDefault:\n.Cm %s .\n" : "\nDefault: none%s.\n",
                 keys[i].fallback);
        found = strstr(start, fallback);
        end = strstr(start + 1, "\n.It ");
        if (!found || (end && found > end))
            fail_msg("the manual does not have %s's default %s", item + 8, keys[i].fallback);
    }
}

static void the_example_has_every_key_and_its_default(void **state)
{
    size_t n;
    const struct config_key *keys = config_keys(&n);
    REQUIRE_SOURCE(example, "contrib/stopd.conf.example");

    for (size_t i = 0; i < n; i++) {
        const char *section =
            text_equal(keys[i].section, SINK_SECTION) ? "upstream.NAME" : keys[i].section;
        char line[256];

        if (!keys[i].type || !keys[i].fallback)
            continue;
        snprintf(line, sizeof(line), "#%s =%s%s", keys[i].name, *keys[i].fallback ? " " : "",
                 keys[i].fallback);
        if (!says(example, section, line))
            fail_msg("the example does not have '%s' in [%s]", line, section);
    }
}

/* As it stands it changes nothing; with each setting in force it is a configuration too. */
static void the_example_is_a_configuration(void **state)
{
    _cleanup_(freep) char *before = NULL;
    REQUIRE_SOURCE(example, "contrib/stopd.conf.example");
    char *in = example, *out = example;

    {
        _cleanup_(config_free) struct config *c = load(SET("host.id=x"));

        before = written(c);
    }
    write_file("stopd.conf", example);
    {
        _cleanup_(config_free) struct config *c = load(SET("host.id=x"));
        _cleanup_(freep) char *text = written(c);

        assert_string_equal(text, before);
    }
    /* "#key = value" is a setting, "# words" a comment. */
    for (; *in; in++)
        if (*in != '#' || (in > example && in[-1] != '\n') || in[1] == ' ' || in[1] == '\n')
            *out++ = *in;
    *out = '\0';
    write_file("stopd.conf", example);
    {
        _cleanup_(config_free) struct config *c = load(NULL);

        assert_int_equal(c->n_sinks, 1);
        assert_int_equal(c->stop.grace, 120 * USEC_PER_SEC);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_file_the_contracts_defaults_hold),
        TEST(defaults_arrive_in_their_members),
        TEST(the_host_is_the_machine_unless_it_is_named),
        TEST(later_places_come_over_earlier_ones),
        TEST(a_named_file_is_the_only_one),
        TEST(a_named_file_has_to_be_there),
        TEST(a_list_replaces_the_former),
        TEST(comments_blanks_and_indentation_mean_nothing),
        TEST(what_is_printed_is_what_is_read),
        TEST(durations_have_units),
        TEST(wrong_values_are_refused_with_what_would_be_right),
        TEST(a_helpers_socket_has_to_have_a_path_that_fits),
        TEST(a_ladder_replaces_the_former),
        TEST(a_purge_that_is_not_verified_is_refused),
        TEST(a_purge_that_no_method_reaches_is_refused),
        TEST(every_method_is_known),
        TEST(each_default_is_written_as_it_is_read),
        TEST(errors_name_file_and_line),
        TEST(an_error_in_a_drop_in_names_the_drop_in),
        TEST(lines_that_inih_would_misread_are_errors),
        TEST(settings_have_to_be_whole),
        TEST(keys_of_parts_to_come_are_refused_by_name),
        TEST(a_network_has_to_be_whole),
        TEST(sinks_keep_their_order_and_later_files_complete_them),
        TEST(the_manual_has_every_key_and_its_default),
        TEST(the_example_has_every_key_and_its_default),
        TEST(the_example_is_a_configuration),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
