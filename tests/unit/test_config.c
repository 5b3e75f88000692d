/* test_config.c - contract section 2: defaults, where values come from, the manual and the example
 */
#include "config-kit.h"

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
        TEST(the_manual_has_every_key_and_its_default),
        TEST(the_example_has_every_key_and_its_default),
        TEST(the_example_is_a_configuration),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
