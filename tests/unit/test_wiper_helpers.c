/* test_wiper_helpers.c - helpers that go wrong in every way: a disk counts as cleared only as
 * proved */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "clear-kit.h"

/* --- Helpers that go wrong ------------------------------------------------------------------- */

static void without_a_helper_it_is_no_try(void **state)
{
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);
    static const char *const hows[] = {"spawn:/no/such/helper", "spawn:/etc/passwd",
                                       "unix:/no/such/socket", "by magic", "unix:"};

    kit_start(k, &settings);
    for (size_t i = 0; i < ELEMENTSOF(hows); i++) {
        settings.helper = hows[i];
        wiper_configure(k->wiper, &settings);
        fails_uncounted(k, kit_clear(k), "");
    }
}

/* Killed, or gone without a word, after each line: never cleared before all are said. */
static void a_helper_that_ends_early_has_not_cleared(void **state)
{
    static const char *const ends[] = {"kill -9 $$\n", "exit 0\n", "exit 71\n",
                                       "printf '{\"event\":\"certif'; exit 0\n"};
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);

    kit_start(k, &settings);
    for (size_t n = 0; n < ELEMENTSOF(kit_lines); n++)
        for (size_t e = 0; e < ELEMENTSOF(ends); e++) {
            char script[1024] = "listen\n";
            uint64_t job;

            for (size_t i = 0; i < n; i++) {
                strcat(script, kit_lines[i]);
                strcat(script, "\n");
            }
            strcat(script, ends[e]);
            kit_script(k, "helper", script);
            job = kit_clear(k);
            fails_counted(k, job, "without a last word");
            assert_false(kit_find(k, job, WIPE_REPORT_FAILED)->is_final);
        }
}

static void a_certificate_counts_with_its_exit_status(void **state)
{
    static const char *const ends[] = {"exit 71\n", "exit 1\n", "kill -9 $$\n"};
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);

    kit_start(k, &settings);
    for (size_t i = 0; i < ELEMENTSOF(ends); i++) {
        char script[256];

        snprintf(script, sizeof(script), "%s%s", A_CLEAR, ends[i]);
        kit_script(k, "helper", script);
        fails_counted(k, kit_clear(k), "gave a certificate, but it ");
    }
}

static void a_certificate_counts_after_what_it_certifies(void **state)
{
    static const struct {
        const char *script, *why;
    } cases[] = {
        {"listen; certificate\n", "has not told of"},
        {"listen; claimed; certificate\n", "has not told of"},
        {"listen; cleared; verified; certificate\n", "has not told of"},
        {"listen; claimed; cleared; certificate\n", "has not verified"},
        {"listen; claimed; cleared; verified; say '{\"event\":\"certificate\"}'\n",
         "no certificate"},
        {"listen; claimed; cleared; verified; say "
         "'{\"event\":\"certificate\",\"certificate\":\"yes\"}'\n",
         "no certificate"},
        {"listen; say '{\"event\":\"claimed\"}'\n", "which device"},
        {"listen; say '{\"event\":\"claimed\",\"device\":\"/no/such/device\"}'\n",
         "/no/such/device"},
        {"listen; identity\n", "not asked"},
        {"listen; say '{\"event\":\"plan\"}'\n", "not asked"},
    };
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);

    kit_start(k, &settings);
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        kit_script(k, "helper", cases[i].script);
        fails_counted(k, kit_clear(k), cases[i].why);
    }
}

static void nonsense_ends_the_helper(void **state)
{
    static const char *const nonsense[] = {
        "listen; claimed; echo hello; deaf; touch working; hangs_for_good\n",
        "listen; claimed; echo; hangs_for_good\n",
        "listen; claimed; say '{\"event\":\"dance\"}'; hangs_for_good\n",
        "listen; claimed; say '[1,2,3]'; hangs_for_good\n",
        "listen; claimed; say 'null'; hangs_for_good\n",
        "listen; claimed; printf '\\000\\n'; hangs_for_good\n",
        "listen; claimed; head -c 100000 /dev/urandom; echo; hangs_for_good\n",
        "listen; claimed; head -c 3000000 /dev/zero | tr '\\0' x; hangs_for_good\n",
        "listen; say '{\"event\":\"error\"}'; hangs_for_good\n",
        "listen; say '{\"event\":\"error\",\"outcome\":\"sulking\"}'; hangs_for_good\n",
    };
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);

    kit_start(k, &settings);
    for (size_t i = 0; i < ELEMENTSOF(nonsense); i++) {
        kit_script(k, "helper", nonsense[i]);
        fails_counted(k, kit_clear(k), "");
        assert_false(kit_is_alive(kit_pid(k)));
    }
}

/* A line may be as long as a certificate with raw identify data. */
static void a_long_line_is_heard(void **state)
{
    struct kit *k =
        with_script(state, "listen; claimed; cleared; verified\n"
                           "printf '{\"event\":\"certificate\",\"certificate\":{\"raw\":\"'\n"
                           "head -c 500000 /dev/zero | tr '\\0' 0; printf '\"}}\\n'\n");
    struct wipe_report *r = await_report(k, kit_clear(k), WIPE_REPORT_CLEARED);
    const char *raw = NULL;

    assert_int_equal(json_get_string(r->certificate, "raw", &raw), 0);
    assert_int_equal(strlen(raw), 500000);
}

static void text_is_made_utf8(void **state)
{
    struct kit *k = with_script(
        state, "listen; printf "
               "'{\"event\":\"error\",\"outcome\":\"refused\",\"guard\":\"open\",\"message\":"
               "\"open in M\\303\\274ller [\\377\\300\\257 \\355\\240\\200 \\364\\220\\200\\200 "
               "\\342\\202]\"}\\n'; exit 76\n");

    fails_counted(k, kit_clear(k), "open in M\xc3\xbcller [??? ??? ???? ??]");
}

static void a_helper_that_does_not_listen_is_heard_and_ended(void **state)
{
    struct kit *k = kit_of(state);
    uint64_t job;

    kit_domain(k, OTHER)->state = DOMAIN_OFF;
    add_extra_domains(k);
    with_script(state,
                "exec 0<&-; device=$PWD/disk.img; echo $$ > pid; claimed; touch working; hangs\n");
    job = kit_clear(k);
    await(k, kit_exists(k, "working"));
    kit_end(k);
    fails(k, job);
    assert_false(kit_is_alive(kit_pid(k)));
}

/* Which failures somebody has to look at before another try. */
static void failures_are_final_where_a_try_cannot_help(void **state)
{
    static const struct {
        const char *outcome, *guard, *says;
        bool is_final, is_spent;
    } cases[] = {
        {"refused", "mounted", "refused, nothing was touched (guard mounted): because", false,
         false},
        {"refused", "open", "guard open", false, false},
        {"refused", "other-domain", "guard other-domain", false, false},
        {"refused", "claim", "guard claim", false, false},
        {"refused", "identity", "guard identity", true, false},
        {"refused", "allowed", "guard allowed", true, false},
        {"refused", "ladder", "guard ladder", true, false},
        {"stopped", "open", "stopped half-way (guard open): because", false, false},
        {"stopped", "identity", "guard identity", true, false},
        {"failed", "", "because", false, true},
        {"usage", "", "does not understand the request: because", true, false},
    };
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);

    kit_start(k, &settings);
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        char script[512];
        uint64_t job;

        snprintf(script, sizeof(script),
                 "listen; say "
                 "'{\"event\":\"error\",\"outcome\":\"%s\",\"guard\":\"%s\",\"message\":"
                 "\"because\"}'; exit 71\n",
                 cases[i].outcome, cases[i].guard);
        kit_script(k, "helper", script);
        job = kit_clear(k);
        fails_counted(k, job, cases[i].says);
        assert_int_equal(kit_find(k, job, WIPE_REPORT_FAILED)->is_final, cases[i].is_final);
        assert_int_equal(kit_find(k, job, WIPE_REPORT_FAILED)->is_spent, cases[i].is_spent);
    }
}

/* Not a descriptor of ours, though it is not close-on-exec, and not our process group. */
static void it_has_nothing_of_ours(void **state)
{
    struct kit *k = with_script(state, "listen; ls /proc/$$/fd > fds; cat /proc/$$/stat > stat; "
                                       "claimed; cleared; verified; certificate\n");
    _cleanup_(freep) char *fds = NULL, *stat_text = NULL;
    int group = 0;

    assert_int_equal(dup2(STDERR_FILENO, 7), 7);
    assert_int_equal(dup2(STDERR_FILENO, 77), 77);
    await_report(k, kit_clear(k), WIPE_REPORT_CLEARED);
    close(7);
    close(77);
    fds = scratch_read(kit_path(k, "fds"), NULL);
    assert_non_null(strstr(fds, "2\n"));
    assert_null(strstr(fds, "7"));
    stat_text = scratch_read(kit_path(k, "stat"), NULL);
    assert_int_equal(sscanf(stat_text, "%*d (%*[^)]) %*c %*d %d", &group), 1);
    assert_int_equal(group, kit_pid(k));
}

/* --- Behind a socket -------------------------------------------------------------------------- */

static struct kit *with_socket(void **state, const char *body)
{
    struct kit *k = kit_of(state);
    struct wiper_settings settings = kit_settings(k);
    char helper[200];

    snprintf(helper, sizeof(helper), "unix:%s", kit_path(k, "socket"));
    settings.helper = helper;
    settings.silence = 100 * USEC_PER_MSEC;
    kit_script(k, "served", body);
    kit_listen(k);
    kit_start(k, &settings);
    return k;
}

static void a_served_helper_clears(void **state)
{
    struct kit *k = with_socket(state, A_CLEAR);

    await_report(k, kit_clear(k), WIPE_REPORT_CLEARED);
    await_report(k, kit_clear(k), WIPE_REPORT_CLEARED);
}

static void a_served_helper_that_ends_early_has_not_cleared(void **state)
{
    struct kit *k = with_socket(state, A_CLEAR);

    for (size_t n = 1; n < ELEMENTSOF(kit_lines); n++) {
        char script[1024] = "listen\n";

        for (size_t i = 0; i < n; i++) {
            strcat(script, kit_lines[i]);
            strcat(script, "\n");
        }
        strcat(script, n % 2 ? "kill -9 $$\n" : "exit 0\n");
        kit_script(k, "served", script);
        fails_counted(k, kit_clear(k), "without a last word");
    }
}

/* The service manager closes a connection that it has no place for, or no program. */
static void a_socket_that_says_nothing_is_no_helper(void **state)
{
    static const char *const scripts[] = {"exit 0\n", "listen; exit 203\n", "kill -9 $$\n"};
    struct kit *k = with_socket(state, A_CLEAR);

    for (size_t i = 0; i < ELEMENTSOF(scripts); i++) {
        kit_script(k, "served", scripts[i]);
        fails_uncounted(k, kit_clear(k), "ended without a word");
    }
}

static void a_served_helper_is_ended_by_nobody_listening(void **state)
{
    struct kit *k = with_socket(state, AT_WORK);
    uint64_t job = kit_clear(k);

    await(k, kit_exists(k, "working"));
    kit_end(k);
    fails_uncounted(k, job, "nothing is owed");
    await(k, !kit_is_alive(kit_pid(k)));
    await(k, !kit_is_marked(k));
}

/* It may have the disk for as long as it lives: so long it is marked, and the job is not over. */
static void a_served_helper_that_hangs_keeps_its_marker(void **state)
{
    struct kit *k = with_socket(state, "listen; claimed; deaf; touch working; hangs_for_good\n");
    uint64_t job = kit_clear(k);
    struct wipe_report *r;

    await(k, kit_exists(k, "working"));
    r = await_report(k, job, WIPE_REPORT_SILENT);
    assert_non_null(strstr(r->message, "the helper behind "));
    kit_end(k);
    await(k, kit_count(k, WIPE_REPORT_SILENT) >= 5);
    assert_true(kit_goes_on(k, job));
    assert_true(kit_is_marked(k));
    kill(kit_pid(k), SIGKILL);
    fails_uncounted(k, job, "nothing is owed");
    await(k, !kit_is_marked(k));
}

/* What it certified counts when it has gone. */
static void a_served_helper_that_stays_after_its_certificate_is_told_of(void **state)
{
    struct kit *k =
        with_socket(state, "listen; claimed; cleared; verified; certificate; deaf; touch working; "
                           "waits_for go\n");
    uint64_t job = kit_clear(k);
    struct wipe_report *r;

    await(k, kit_exists(k, "working"));
    r = await_report(k, job, WIPE_REPORT_SILENT);
    assert_non_null(strstr(r->message, "was told to end and is still there"));
    assert_true(kit_goes_on(k, job));
    kit_touch(k, "go");
    await_report(k, job, WIPE_REPORT_CLEARED);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(without_a_helper_it_is_no_try),
        TEST(a_helper_that_ends_early_has_not_cleared),
        TEST(a_certificate_counts_with_its_exit_status),
        TEST(a_certificate_counts_after_what_it_certifies),
        TEST(nonsense_ends_the_helper),
        TEST(a_long_line_is_heard),
        TEST(text_is_made_utf8),
        TEST(a_helper_that_does_not_listen_is_heard_and_ended),
        TEST(failures_are_final_where_a_try_cannot_help),
        TEST(it_has_nothing_of_ours),
        TEST(a_served_helper_clears),
        TEST(a_served_helper_that_ends_early_has_not_cleared),
        TEST(a_socket_that_says_nothing_is_no_helper),
        TEST(a_served_helper_is_ended_by_nobody_listening),
        TEST(a_served_helper_that_hangs_keeps_its_marker),
        TEST(a_served_helper_that_stays_after_its_certificate_is_told_of),
    };

    return cmocka_run_group_tests_name("wiper and its helpers", tests, NULL, NULL);
}
