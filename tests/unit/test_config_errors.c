/* test_config_errors.c - contract section 2: errors name their place */
#include "config-kit.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(errors_name_file_and_line),
        TEST(an_error_in_a_drop_in_names_the_drop_in),
        TEST(lines_that_inih_would_misread_are_errors),
        TEST(settings_have_to_be_whole),
        TEST(keys_of_parts_to_come_are_refused_by_name),
        TEST(a_network_has_to_be_whole),
        TEST(sinks_keep_their_order_and_later_files_complete_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
