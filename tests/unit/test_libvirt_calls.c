/* test_libvirt_calls.c - what the driver does with libvirt's answers, however late they come
 *
 * libvirt is scripted: the test's functions take the place of its own. The pid file and the
 * processes are real. A power cut, a button, a wake-up and a restoring call mean one run: the
 * domain is started again, under the same UUID, in one of the calls that the driver makes; each
 * call in turn. Whatever is done to the domain must be done to the run that was meant.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "drivers/hypervisor/libvirt-driver.h"
#include "drivers/hypervisor/process.h"
#include "scratch.h"

#include <libvirt/virterror.h>

#define DOMAIN "4ab3ea0d-b1d4-4b4f-8fd4-a16bb4c5f1ad"

static struct {
    struct libvirt driver;
    struct connection connection;
    char pid_file[160];
    struct child runs[2];
    struct incarnation meant;
    unsigned calls, restart_in; /* that call; 0: in none */
    unsigned acts, failing_act;
    bool has_restarted, hit_another;
    int state, reason, control;
    const char *live, *inactive; /* the metadata's instance elements; NULL: none */
    int error, part;             /* of what fails: the question whether it migrates, or that act */
} world;

/* --- The domain ------------------------------------------------------------------------------- */

static void write_pid(const struct child *run)
{
    char text[16];

    scratch_write(world.pid_file, text, (size_t)snprintf(text, sizeof(text), "%d\n", run->pid));
}

/* A process with the command line of a domain's. */
static void begin_run(struct child *run)
{
    uint64_t n;
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    if (child_fork(run)) {
        dup2(ends[0], STDIN_FILENO);
        execl("/bin/sh", "qemu", "-c", "read x", "-uuid", DOMAIN, (char *)NULL);
        _exit(127);
    }
    close(ends[0]);
    assert_false(child_hear(run, &n)); /* closed by exec; the pipe's other end keeps it waiting */
}

/* --- libvirt ---------------------------------------------------------------------------------- */

/* It takes its time, and the domain may be another one afterwards. */
static void called(void)
{
    if (++world.calls != world.restart_in)
        return;
    write_pid(&world.runs[1]);
    world.has_restarted = true;
}

static int acted(void)
{
    world.acts++;
    world.hit_another |= world.has_restarted;
    called();
    return world.acts == world.failing_act ? -1 : 0;
}

int __wrap_lease_begin(struct libvirt *l, struct connection **ret, struct error **err);
void __wrap_lease_end(struct connection *c);
void __wrap_watch_process(struct libvirt *l, const uuid_t domain, const struct incarnation *who,
                          int pidfd);

int __wrap_lease_begin(struct libvirt *l, struct connection **ret, struct error **err)
{
    *ret = &world.connection;
    return 0;
}

void __wrap_lease_end(struct connection *c)
{
}

void __wrap_watch_process(struct libvirt *l, const uuid_t domain, const struct incarnation *who,
                          int pidfd)
{
    close_cleanup(&pidfd);
}

virDomainPtr virDomainLookupByUUID(virConnectPtr conn, const unsigned char *uuid)
{
    called();
    return (virDomainPtr)&world;
}

const char *virDomainGetName(virDomainPtr dom)
{
    return "guest";
}

int virDomainFree(virDomainPtr dom)
{
    return 0;
}

int virDomainGetState(virDomainPtr dom, int *state, int *reason, unsigned int flags)
{
    called();
    *state = world.state;
    if (reason)
        *reason = world.reason;
    return 0;
}

int virDomainGetControlInfo(virDomainPtr dom, virDomainControlInfoPtr info, unsigned int flags)
{
    called();
    *info = (virDomainControlInfo){.state = (unsigned)world.control};
    return 0;
}

int virDomainGetJobStats(virDomainPtr dom, int *type, virTypedParameterPtr *params, int *nparams,
                         unsigned int flags)
{
    called();
    *type = VIR_DOMAIN_JOB_NONE;
    return world.error && !world.failing_act ? -1 : 0;
}

char *virDomainGetXMLDesc(virDomainPtr dom, unsigned int flags)
{
    called();
    return strdup("<domain type='kvm'><name>guest</name><uuid>" DOMAIN "</uuid></domain>");
}

char *virDomainGetMetadata(virDomainPtr dom, int type, const char *uri, unsigned int flags)
{
    const char *element = flags == VIR_DOMAIN_AFFECT_LIVE ? world.live : world.inactive;

    called();
    assert_string_equal(uri, "urn:stopd:instance:1");
    return element ? strdup(element) : NULL;
}

int virGetLastErrorCode(void)
{
    return world.error;
}

virErrorPtr virGetLastError(void)
{
    static virError last;

    last = (virError){.code = world.error, .domain = world.part};
    return &last;
}

int virDomainSetLifecycleAction(virDomainPtr dom, unsigned int type, unsigned int action,
                                unsigned int flags)
{
    return acted();
}

int virDomainShutdownFlags(virDomainPtr dom, unsigned int flags)
{
    return acted();
}

int virDomainPMWakeup(virDomainPtr dom, unsigned int flags)
{
    return acted();
}

int virDomainDestroyFlags(virDomainPtr dom, unsigned int flags)
{
    return acted();
}

/* --- The rule --------------------------------------------------------------------------------- */

typedef int act_function(const uuid_t domain, struct error **err);

static void assert_hits_one_run(act_function *act, unsigned most_acts)
{
    unsigned n = 0;
    uuid_t domain;

    uuid_parse(DOMAIN, domain);
    do {
        struct error *err = NULL;
        int r;

        world.calls = world.acts = 0;
        world.has_restarted = world.hit_another = false;
        world.restart_in = ++n;
        write_pid(&world.runs[0]);
        r = act(domain, &err);
        if (world.hit_another)
            fail_msg("started again in call %u, and another run was hit", n);
        if (r < 0 && (!world.has_restarted || error_code_of(err) != ERROR_NOT_RUNNING))
            fail_msg("call %u: %s", n, error_message(err));
        if (r == 0)
            assert_int_equal(world.acts, most_acts);
        error_free(err);
    } while (world.has_restarted);
    assert_true(n > most_acts + 1); /* it was asked something, too */
}

static int cut(const uuid_t domain, struct error **err)
{
    return libvirt_cut_power(NULL, domain, &world.meant, false, err);
}

static int cut_crashed(const uuid_t domain, struct error **err)
{
    return libvirt_cut_power(NULL, domain, &world.meant, true, err);
}

static int press(const uuid_t domain, struct error **err)
{
    struct press how = {0};

    return libvirt_press_button(NULL, domain, &world.meant, BUTTON_ACPI, NULL, &how, err);
}

static int press_interlocked(const uuid_t domain, struct error **err)
{
    const struct lifecycle seen = {LIFECYCLE_RESTART, LIFECYCLE_RESTART};
    struct press how = {0};

    return libvirt_press_button(NULL, domain, &world.meant, BUTTON_ACPI, &seen, &how, err);
}

static int restore(const uuid_t domain, struct error **err)
{
    const struct lifecycle former = {LIFECYCLE_RESTART, LIFECYCLE_RESTART};

    return libvirt_restore(NULL, domain, &world.meant, &former, err);
}

static int wake(const uuid_t domain, struct error **err)
{
    return libvirt_wake(NULL, domain, &world.meant, err);
}

static void a_power_cut_hits_the_run_that_is_meant(void **state)
{
    assert_hits_one_run(cut, 1);
}

static void a_power_cut_of_a_crashed_guest_hits_the_run_that_is_meant(void **state)
{
    world.state = VIR_DOMAIN_CRASHED;
    assert_hits_one_run(cut_crashed, 1);
}

static void a_button_hits_the_run_that_is_meant(void **state)
{
    assert_hits_one_run(press, 1);
}

static void the_interlock_hits_the_run_that_is_meant(void **state)
{
    assert_hits_one_run(press_interlocked, 3);
}

static void what_is_put_back_is_of_the_run_that_is_meant(void **state)
{
    assert_hits_one_run(restore, 2);
}

static void the_run_that_is_meant_is_woken(void **state)
{
    assert_hits_one_run(wake, 1);
}

/* --- A button that failed --------------------------------------------------------------------- */

/* In each of its acts: the two actions, and the button. */
static void assert_over(int part, int code, bool expected)
{
    const struct lifecycle seen = {LIFECYCLE_RESTART, LIFECYCLE_RESTART};
    uuid_t domain;

    uuid_parse(DOMAIN, domain);
    write_pid(&world.runs[0]);
    world.part = part;
    world.error = code;
    for (world.failing_act = 1; world.failing_act <= 3; world.failing_act++) {
        struct error *err = NULL;
        struct press how = {0};

        world.acts = 0;
        assert_true(
            libvirt_press_button(NULL, domain, &world.meant, BUTTON_ACPI, &seen, &how, &err) < 0);
        assert_int_equal(error_code_of(err), ERROR_UNKNOWN);
        assert_int_equal(how.is_over, expected);
        error_free(err);
    }
}

static void what_the_hypervisor_itself_refuses_is_over(void **state)
{
    assert_over(VIR_FROM_QEMU, VIR_ERR_INTERNAL_ERROR, true);
    assert_over(VIR_FROM_DOMAIN, VIR_ERR_INTERNAL_ERROR, true);
    assert_over(VIR_FROM_NONE, VIR_ERR_OPERATION_TIMEOUT, true); /* the domain's lock */
}

static void what_broke_on_the_way_may_be_carried_out_yet(void **state)
{
    assert_over(VIR_FROM_RPC, VIR_ERR_INTERNAL_ERROR, false);
    assert_over(VIR_FROM_RPC, VIR_ERR_OPERATION_TIMEOUT, false);
    assert_over(VIR_FROM_REMOTE, VIR_ERR_RPC, false);
    assert_over(VIR_FROM_NONE, VIR_ERR_SYSTEM_ERROR, false);
}

static void what_was_never_sent_is_over(void **state)
{
    const struct incarnation unknown = {.pid = 0};
    struct error *err = NULL;
    struct press how = {0};
    uuid_t domain;

    uuid_parse(DOMAIN, domain);
    assert_true(libvirt_press_button(NULL, domain, &unknown, BUTTON_ACPI, NULL, &how, &err) < 0);
    assert_int_equal(error_code_of(err), ERROR_UNKNOWN);
    assert_true(how.is_over);
    error_free(err);
}

/* --- A stuck monitor -------------------------------------------------------------------------- */

/* A long job, and a call of it that does not return: whether it is a migration nobody can ask. */
static void it_does_not_say_whether_it_migrates(int state, int reason)
{
    world.control = VIR_DOMAIN_CONTROL_JOB;
    world.error = VIR_ERR_OPERATION_TIMEOUT;
    world.part = VIR_FROM_NONE;
    world.state = state;
    world.reason = reason;
}

static void a_stuck_monitor_holds_up_no_power_cut(void **state)
{
    it_does_not_say_whether_it_migrates(VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED);
    assert_hits_one_run(cut, 1);
}

static void what_its_state_says_of_a_migration_counts_all_the_same(void **state)
{
    struct error *err = NULL;
    uuid_t domain;

    uuid_parse(DOMAIN, domain);
    write_pid(&world.runs[0]);
    it_does_not_say_whether_it_migrates(VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_POSTCOPY);
    assert_true(cut(domain, &err) < 0);
    assert_int_equal(error_code_of(err), ERROR_NOT_RUNNING);
    assert_int_equal(world.acts, 0);
    error_free(err);
}

static void a_look_tells_nothing_where_it_cannot_tell_of_a_migration(void **state)
{
    struct error *err = NULL;
    struct sighting s = {0};
    uuid_t domain;

    uuid_parse(DOMAIN, domain);
    write_pid(&world.runs[0]);
    assert_int_equal(libvirt_look(&world.driver.base, domain, NULL, &s, &err), 0);
    assert_int_equal(s.state, DOMAIN_RUNNING);
    sighting_clear(&s);
    it_does_not_say_whether_it_migrates(VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED);
    assert_true(libvirt_look(&world.driver.base, domain, NULL, &s, &err) < 0);
    assert_int_equal(error_code_of(err), ERROR_UNKNOWN);
    error_free(err);
}

/* An occupied interface is no long job's, and a migration is one. */
static void a_monitor_that_is_only_busy_holds_up_no_look(void **state)
{
    struct error *err = NULL;
    struct sighting s = {0};
    uuid_t domain;

    uuid_parse(DOMAIN, domain);
    write_pid(&world.runs[0]);
    it_does_not_say_whether_it_migrates(VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED);
    world.control = VIR_DOMAIN_CONTROL_OCCUPIED;
    assert_int_equal(libvirt_look(&world.driver.base, domain, NULL, &s, &err), 0);
    assert_int_equal(s.state, DOMAIN_RUNNING);
    assert_false(s.in_migration);
    sighting_clear(&s);
}

/* --- Locks ------------------------------------------------------------------------------------ */

static enum error_code lock_answer(const char *live, const char *inactive)
{
    _cleanup_(error_free) struct error *err = NULL;
    uuid_t domain;
    int r;

    uuid_parse(DOMAIN, domain);
    world.live = live;
    world.inactive = inactive;
    world.calls = 0;
    r = libvirt_check_lock(&world.driver.base, domain, &err);
    assert_true(world.calls <= 3); /* the domain, and its metadata twice */
    return r < 0 ? err->code : ERROR_NONE;
}

/* Contract 7, as libvirt gives it: without its prefix. In either definition. */
static void a_lock_is_found_in_the_live_and_in_the_inactive_definition(void **state)
{
    static const char locked[] = "<instance id=\"i-1\"><lock reason=\"security\"/></instance>";
    static const char other[] = "<instance id=\"i-1\"><lock reason=\"financial\"/></instance>";
    static const char none[] = "<instance id=\"i-1\"/>";

    world.error = VIR_ERR_NO_DOMAIN_METADATA;
    assert_int_equal(lock_answer(none, none), ERROR_NONE);
    assert_int_equal(lock_answer(NULL, NULL), ERROR_NONE);
    assert_int_equal(lock_answer(other, other), ERROR_NONE);
    assert_int_equal(lock_answer(locked, none), ERROR_LOCKED_FOR_SECURITY);
    assert_int_equal(lock_answer(none, locked), ERROR_LOCKED_FOR_SECURITY);
    assert_int_equal(lock_answer(NULL, locked), ERROR_LOCKED_FOR_SECURITY);
    world.error = VIR_ERR_OPERATION_INVALID; /* of a transient domain */
    assert_int_equal(lock_answer(none, NULL), ERROR_NONE);
    assert_int_equal(lock_answer(locked, NULL), ERROR_LOCKED_FOR_SECURITY);
    world.error = VIR_ERR_RPC;
    assert_int_equal(lock_answer(NULL, NULL), ERROR_UNKNOWN);
}

/* --- ------------------------------------------------------------------------------------------ */

static int set_up(void **state)
{
    struct scratch *s;
    int pidfd;

    memset(&world, 0, sizeof(world));
    if (scratch_setup(state) < 0)
        return -1;
    s = *state;
    snprintf(world.pid_file, sizeof(world.pid_file), "%s/guest.pid", s->folder);
    world.connection.around = (struct surroundings){
        .has_processes = true, .takes_flags = true, .pid_directory = s->folder};
    world.connection.driver = &world.driver;
    pthread_mutex_init(&world.driver.ends.lock, NULL);
    world.state = VIR_DOMAIN_RUNNING;
    begin_run(&world.runs[0]);
    begin_run(&world.runs[1]);
    if (process_identify(world.runs[0].pid, &world.meant, &pidfd) < 0)
        return -1;
    close(pidfd);
    return 0;
}

static int tear_down(void **state)
{
    child_kill(&world.runs[0], 0);
    child_kill(&world.runs[1], 0);
    return scratch_teardown(state);
}

int main(void)
{
#define RULE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        RULE(a_power_cut_hits_the_run_that_is_meant),
        RULE(a_power_cut_of_a_crashed_guest_hits_the_run_that_is_meant),
        RULE(a_button_hits_the_run_that_is_meant),
        RULE(the_interlock_hits_the_run_that_is_meant),
        RULE(what_is_put_back_is_of_the_run_that_is_meant),
        RULE(the_run_that_is_meant_is_woken),
        RULE(what_the_hypervisor_itself_refuses_is_over),
        RULE(what_broke_on_the_way_may_be_carried_out_yet),
        RULE(what_was_never_sent_is_over),
        RULE(a_stuck_monitor_holds_up_no_power_cut),
        RULE(what_its_state_says_of_a_migration_counts_all_the_same),
        RULE(a_look_tells_nothing_where_it_cannot_tell_of_a_migration),
        RULE(a_monitor_that_is_only_busy_holds_up_no_look),
        RULE(a_lock_is_found_in_the_live_and_in_the_inactive_definition),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
