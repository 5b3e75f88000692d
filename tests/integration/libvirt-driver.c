/* libvirt-driver.c - the libvirt driver against real guests, and against a libvirtd that dies,
 * hangs and comes back
 *
 * To be run as: private-libvirt -- libvirt-driver [TEST], in the root of the sources (or with
 * STOPD_GUEST naming tests/kit/guest). Without private-libvirt it exits 77: skipped.
 *
 * Theory of operation. Each test makes the guests that it needs, in its own libvirtd's world, and
 * removes them. It waits for conditions, always with a deadline, woken by what the driver itself
 * announces. One driver is used throughout, as the daemon does: a test that breaks its connection
 * leaves it connected again.
 */
#include "libvirt-driver-kit.h"

static void a_button_ends_a_guest(void **state)
{
    _cleanup_(sighting) struct sighting s = {0};
    struct incarnation who;
    struct error *err = NULL;
    uuid_t domain;
    struct press how = {0};
    int r;

    start_guest("obey", "--id i-1 --lock security", domain);
    who = incarnation_of(domain);
    look(domain, &who, &s);
    assert_int_equal(s.state, DOMAIN_RUNNING);
    assert_int_equal(s.remembered, PROCESS_ALIVE);
    assert_string_equal(instance_public_id(s.instance), "i-1");
    assert_true(instance_is_locked_for(s.instance, "security"));
    r = press(domain, &who, BUTTON_ACPI, &how, &err);
    assert_done(r, err);
    assert_true(how.is_over);
    wait_until_gone(domain, &who, DOMAIN_OFF, END_SHUTDOWN);
    assert_int_equal(cut(domain, &who, NULL), -ESRCH);
    remove_guest("obey");
}

static void a_guest_that_reboots_on_the_button_ends_off(void **state)
{
    struct incarnation who;
    struct error *err = NULL;
    uuid_t domain;
    struct press how = {0};
    int r;

    start_guest("reboot", "--behaviour reboot --on-poweroff restart", domain);
    who = incarnation_of(domain);
    r = press(domain, &who, BUTTON_ACPI, &how, &err);
    assert_done(r, err);
    assert_true(how.is_over);
    wait_until_gone(domain, &who, DOMAIN_OFF, END_SHUTDOWN);
    remove_guest("reboot");
}

static void lifecycle_actions_are_put_back(void **state)
{
    const struct lifecycle former = {LIFECYCLE_RESTART, LIFECYCLE_RESTART};
    _cleanup_(sighting) struct sighting during = {0};
    _cleanup_(sighting) struct sighting after = {0};
    struct incarnation who;
    struct error *err = NULL;
    uuid_t domain;
    struct press how = {0};
    int r;

    start_guest("ignore", "--behaviour ignore --on-poweroff restart", domain);
    who = incarnation_of(domain);
    r = press(domain, &who, BUTTON_ACPI, &how, &err);
    assert_done(r, err);
    look(domain, &who, &during);
    assert_int_equal(during.lifecycle.on_poweroff, LIFECYCLE_DESTROY);
    assert_int_equal(during.lifecycle.on_reboot, LIFECYCLE_DESTROY);
    r = driver->ops->restore(driver, domain, &who, &former, &err);
    assert_done(r, err);
    look(domain, &who, &after);
    assert_int_equal(after.lifecycle.on_poweroff, LIFECYCLE_RESTART);
    assert_int_equal(after.lifecycle.on_reboot, LIFECYCLE_RESTART);
    remove_guest("ignore");
}

static void only_the_incarnation_that_is_meant_is_acted_on(void **state)
{
    struct incarnation who, earlier;
    struct error *err = NULL;
    uuid_t domain;
    struct press how = {0};
    int r;

    start_guest("meant", "--behaviour obey", domain);
    who = earlier = incarnation_of(domain);
    earlier.start_time--;
    r = cut(domain, &earlier, &err);
    assert_error(r, take(err), ERROR_NOT_RUNNING);
    r = press(domain, &earlier, BUTTON_ACPI, &how, &err);
    assert_error(r, take(err), ERROR_NOT_RUNNING);
    earlier.pid = 0;
    r = cut(domain, &earlier, &err);
    assert_error(r, take(err), ERROR_UNKNOWN);
    assert_int_equal(kill(who.pid, 0), 0);
    r = cut(domain, &who, &err);
    assert_done(r, err);
    wait_until_gone(domain, &who, DOMAIN_OFF, END_DESTROYED);
    remove_guest("meant");
}

static void a_paused_guest_takes_no_button_but_a_power_cut(void **state)
{
    struct incarnation who;
    struct error *err = NULL;
    uuid_t domain;
    struct press how = {0};
    int r;

    start_guest("paused", "", domain);
    who = incarnation_of(domain);
    shell("virsh -q suspend paused");
    r = press(domain, &who, BUTTON_ACPI, &how, &err);
    assert_non_null(strstr(error_message(err), "paused"));
    assert_error(r, take(err), ERROR_NOT_RUNNING);
    r = cut(domain, &who, &err);
    assert_done(r, err);
    wait_until_gone(domain, &who, DOMAIN_OFF, END_DESTROYED);
    remove_guest("paused");
}

/* What was decided of a crash is not done to a guest that runs. */
static void a_power_cut_that_is_for_a_crash_spares_one_that_runs(void **state)
{
    _cleanup_(sighting) struct sighting s = {0};
    struct incarnation who;
    struct error *err = NULL;
    uuid_t domain;
    int r;

    start_guest("crashed", "", domain);
    who = incarnation_of(domain);
    r = driver->ops->cut_power(driver, domain, &who, true, &err);
    assert_non_null(strstr(error_message(err), "no longer crashed"));
    assert_error(r, take(err), ERROR_NOT_RUNNING);
    look(domain, &who, &s);
    assert_int_equal(s.state, DOMAIN_RUNNING);
    assert_int_equal(s.remembered, PROCESS_ALIVE);
    remove_guest("crashed");
}

static void glance_at(const uuid_t domain, enum domain_state state, const struct incarnation *who)
{
    struct sightings all = {0};
    struct error *err = NULL;
    int r = driver->ops->glance(driver, &all, &err);
    size_t i = 0;

    assert_done(r, err);
    while (i < all.n && uuid_compare(all.items[i].domain, domain) != 0)
        i++;
    assert_true(i < all.n);
    assert_int_equal(all.items[i].state, state);
    assert_int_equal(incarnation_equal(&all.items[i].incarnation, who), true);
    sightings_clear(&all);
}

static void a_glance_tells_states_and_runs(void **state)
{
    static const struct incarnation none;
    struct incarnation who;
    uuid_t domain;

    start_guest("glanced", "", domain);
    who = incarnation_of(domain);
    glance_at(domain, DOMAIN_RUNNING, &who);
    shell("virsh -q suspend glanced");
    glance_at(domain, DOMAIN_PAUSED, &who);
    shell("virsh -q destroy glanced");
    glance_at(domain, DOMAIN_OFF, &none);
    remove_guest("glanced");
}

static void a_guest_without_agent_says_so(void **state)
{
    struct incarnation who;
    struct error *err = NULL;
    uuid_t domain;
    struct press how = {0};
    int r;

    start_guest("agentless", "", domain);
    who = incarnation_of(domain);
    r = press(domain, &who, BUTTON_AGENT, &how, &err);
    assert_error(r, take(err), ERROR_AGENT_ABSENT);
    remove_guest("agentless");
}

static void create_transient(const char *name, uuid_t ret)
{
    shell("%s xml %s --behaviour ignore --memory 32 >%s && virsh -q create %s", guest_tool(), name,
          in_kit("transient.xml"), in_kit("transient.xml"));
    uuid_of(name, ret);
}

static void a_process_that_dies_is_announced(void **state)
{
    struct incarnation who;
    uuid_t domain;
    unsigned n;

    create_transient("killed", domain);
    who = incarnation_of(domain);
    n = count(&n_changed);
    kill(who.pid, SIGKILL);
    assert_true(wait_past(&n_changed, n, DEADLINE_SEC));
    wait_until_gone(domain, &who, DOMAIN_ABSENT, END_FAILED);
}

/* Then nothing follows that the end of the process could be left for. */
static void a_process_that_dies_while_libvirtd_hangs_is_announced(void **state)
{
    struct incarnation who;
    pid_t pid = libvirtd();
    uuid_t domain;
    unsigned n;

    create_transient("killed", domain);
    who = incarnation_of(domain);
    kill(pid, SIGSTOP);
    n = count(&n_changed);
    kill(who.pid, SIGKILL);
    assert_true(wait_past(&n_changed, n, DEADLINE_SEC));
    kill(pid, SIGCONT);
    connect_within_deadline();
    wait_until_gone(domain, &who, DOMAIN_ABSENT, ANY_CAUSE);
}

/* libvirt forgets a transient domain at once, at times before the event of its end has arrived:
 * that it was saved and not stopped must not be missed for it. */
static void the_cause_of_a_transient_domains_end_is_known(void **state)
{
    struct incarnation who;
    struct error *err = NULL;
    uuid_t domain;
    int r;

    create_transient("cut", domain);
    who = incarnation_of(domain);
    r = cut(domain, &who, &err);
    assert_done(r, err);
    wait_until_gone(domain, &who, DOMAIN_ABSENT, END_DESTROYED);

    for (int i = 0; i < 5; i++) {
        _cleanup_(sighting) struct sighting s = {0};
        pid_t virsh;

        create_transient("saved", domain);
        who = incarnation_of(domain);
        virsh = fork();
        if (virsh == 0) {
            execlp("virsh", "virsh", "-q", "save", "saved", in_kit("saved"), (char *)NULL);
            _exit(127);
        }
        while (s.state != DOMAIN_ABSENT) {
            sighting_clear(&s);
            look(domain, &who, &s);
        }
        assert_int_equal(s.cause, END_SAVED);
        waitpid(virsh, NULL, 0);
        unlink(in_kit("saved"));
    }
}

static void metadata_of_either_definition_counts(void **state)
{
    _cleanup_(sighting) struct sighting s = {0};
    uuid_t domain;
    unsigned n;

    start_guest("metadata", "--id i-2", domain);
    n = count(&n_changed);
    shell("virsh -q metadata metadata --uri urn:stopd:instance:1 --key ecs --config --set "
          "'<instance id=\"i-2\"><lock reason=\"security\"/></instance>'");
    assert_true(wait_past(&n_changed, n, DEADLINE_SEC));
    look(domain, NULL, &s);
    assert_true(instance_is_locked_for(s.instance, "security"));
    remove_guest("metadata");
}

static void a_libvirtd_that_dies_is_unknown_until_it_is_back(void **state)
{
    _cleanup_(sighting) struct sighting s = {0};
    struct incarnation who;
    struct error *err = NULL;
    bool ignored;
    uuid_t domain;
    unsigned n;
    int r;

    start_guest("survivor", "", domain);
    who = incarnation_of(domain);
    shell("touch %s", in_kit("hold"));
    n = count(&n_lost);
    kill(libvirtd(), SIGKILL);
    assert_true(wait_past(&n_lost, n, DEADLINE_SEC));
    r = driver->ops->look(driver, domain, &who, &s, &err);
    assert_error(r, take(err), ERROR_UNKNOWN);
    r = cut(domain, &who, &err);
    assert_error(r, take(err), ERROR_UNKNOWN);
    r = driver->ops->connect(driver, &ignored, &err);
    assert_error(r, take(err), ERROR_UNKNOWN);
    assert_int_equal(count(&n_lost), n + 1);
    unlink(in_kit("hold"));

    connect_within_deadline();
    look(domain, &who, &s);
    assert_int_equal(s.state, DOMAIN_RUNNING);
    assert_int_equal(s.remembered, PROCESS_ALIVE);
    /* It is still taking its guests over: a power cut may work and say that there is nothing to
     * cut. */
    r = cut(domain, &who, &err);
    if (r < 0)
        assert_error(r, take(err), ERROR_NOT_RUNNING);
    wait_until_gone(domain, &who, DOMAIN_OFF, ANY_CAUSE);
    remove_guest("survivor");
}

struct asker {
    pthread_t thread;
    uuid_t domain;
    int result;
};

static void *look_in_thread(void *userdata)
{
    _cleanup_(sighting) struct sighting s = {0};
    struct asker *a = userdata;

    a->result = driver->ops->look(driver, a->domain, NULL, &s, NULL);
    return NULL;
}

/* Keepalive ends the calls that are out, whose threads do not live on. */
static void a_libvirtd_that_hangs_is_unknown_too(void **state)
{
    _cleanup_(sighting) struct sighting s = {0};
    struct asker askers[8];
    unsigned n = count(&n_lost);
    pid_t pid = libvirtd();
    uuid_t domain;

    start_guest("hung", "", domain);
    for (size_t i = 0; i < ELEMENTSOF(askers); i++) { /* so that there is a connection for each */
        uuid_copy(askers[i].domain, domain);
        pthread_create(&askers[i].thread, NULL, look_in_thread, &askers[i]);
    }
    for (size_t i = 0; i < ELEMENTSOF(askers); i++)
        pthread_join(askers[i].thread, NULL);
    kill(pid, SIGSTOP);
    for (size_t i = 0; i < ELEMENTSOF(askers); i++)
        pthread_create(&askers[i].thread, NULL, look_in_thread, &askers[i]);
    assert_true(wait_past(&n_lost, n, DEADLINE_SEC));
    kill(pid, SIGCONT); /* one that was still opening its connection would wait for ever */
    for (size_t i = 0; i < ELEMENTSOF(askers); i++)
        pthread_join(askers[i].thread, NULL);
    assert_int_equal(count(&n_lost), n + 1);
    connect_within_deadline();
    look(domain, NULL, &s);
    assert_int_equal(s.state, DOMAIN_RUNNING);
    remove_guest("hung");
}

static void *connect_in_thread(void *result)
{
    bool ignored;

    *(int *)result = driver->ops->connect(driver, &ignored, NULL);
    return NULL;
}

/* One that was given up and comes back late takes nothing away from the one that followed. */
static void a_connect_that_was_overtaken_leaves_no_trace(void **state)
{
    _cleanup_(sighting) struct sighting s = {0};
    pid_t pid = libvirtd();
    pthread_t threads[2];
    int results[2] = {1, 1};
    uuid_t nobody;

    kill(pid, SIGSTOP);
    for (unsigned i = 0; i < ELEMENTSOF(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, connect_in_thread, &results[i]), 0);
        wait_for(unread_by_libvirtd() > i); /* it hangs */
    }
    kill(pid, SIGCONT);
    for (size_t i = 0; i < ELEMENTSOF(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(results[0], -EAGAIN);
    assert_int_equal(results[1], 0);
    uuid_generate(nobody);
    look(nobody, NULL, &s);
    assert_int_equal(s.state, DOMAIN_ABSENT);
}

struct stuck {
    uuid_t domain;
    struct incarnation who;
    atomic_bool is_back;
    int result;
};

static void *cut_in_thread(void *userdata)
{
    struct stuck *s = userdata;

    s->result = cut(s->domain, &s->who, NULL);
    atomic_store(&s->is_back, true);
    return NULL;
}

/* Power cuts that hang (libvirt waits ten seconds before it kills), more than libvirtd serves for
 * one connection, delay neither each other nor anybody else: all are with libvirt, and the healthy
 * guest is gone, before the first of them is back. */
static void stuck_acts_delay_nobody(void **state)
{
    struct stuck stuck[TOO_MANY_FOR_ONE_CONNECTION] = {0};
    pthread_t threads[TOO_MANY_FOR_ONE_CONNECTION];
    unsigned lost = count(&n_lost);
    struct incarnation who;
    struct error *err = NULL;
    uuid_t healthy;
    char name[32];
    int r;

    for (int i = 0; i < TOO_MANY_FOR_ONE_CONNECTION; i++) {
        snprintf(name, sizeof(name), "stuck%d", i);
        create_transient(name, stuck[i].domain);
        stuck[i].who = incarnation_of(stuck[i].domain);
        kill(stuck[i].who.pid, SIGSTOP);
    }
    create_transient("healthy", healthy);
    who = incarnation_of(healthy);
    for (int i = 0; i < TOO_MANY_FOR_ONE_CONNECTION; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, cut_in_thread, &stuck[i]), 0);
    for (int i = 0; i < TOO_MANY_FOR_ONE_CONNECTION; i++)
        wait_for(is_pending(stuck[i].who.pid, SIGTERM));
    r = cut(healthy, &who, &err);
    assert_done(r, err);
    wait_until_gone(healthy, &who, DOMAIN_ABSENT, END_DESTROYED);
    for (int i = 0; i < TOO_MANY_FOR_ONE_CONNECTION; i++)
        assert_false(atomic_load(&stuck[i].is_back));
    for (int i = 0; i < TOO_MANY_FOR_ONE_CONNECTION; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(stuck[i].result, 0);
    }
    assert_int_equal(count(&n_lost), lost);
}

static atomic_bool is_over;

static void *ask_all_the_time(void *answers)
{
    while (!atomic_load(&is_over)) {
        struct sightings list = {0};

        if (driver->ops->list(driver, &list, NULL) < 0)
            usleep(1000);
        else
            atomic_fetch_add((atomic_uint *)answers, 1);
        sightings_clear(&list);
    }
    return NULL;
}

static void many_ask_while_libvirtd_is_killed(void **state)
{
    atomic_uint answers[6] = {0};
    pthread_t threads[6];
    uuid_t domain;

    create_transient("asked", domain);
    for (size_t i = 0; i < ELEMENTSOF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_all_the_time, &answers[i]), 0);
    for (int i = 0; i < 4; i++) {
        unsigned n = count(&n_lost);

        for (size_t k = 0; k < ELEMENTSOF(threads); k++) { /* all are at it, on the new libvirtd */
            unsigned before = atomic_load(&answers[k]);

            wait_for(atomic_load(&answers[k]) > before + 2);
        }
        kill(libvirtd(), SIGKILL);
        assert_true(wait_past(&n_lost, n, DEADLINE_SEC));
        connect_within_deadline();
    }
    atomic_store(&is_over, true);
    for (size_t i = 0; i < ELEMENTSOF(threads); i++)
        pthread_join(threads[i], NULL);
    shell("virsh -q destroy asked 2>/dev/null || ! virsh -q domstate asked 2>/dev/null");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_button_ends_a_guest),
        cmocka_unit_test(a_guest_that_reboots_on_the_button_ends_off),
        cmocka_unit_test(lifecycle_actions_are_put_back),
        cmocka_unit_test(only_the_incarnation_that_is_meant_is_acted_on),
        cmocka_unit_test(a_paused_guest_takes_no_button_but_a_power_cut),
        cmocka_unit_test(a_power_cut_that_is_for_a_crash_spares_one_that_runs),
        cmocka_unit_test(a_glance_tells_states_and_runs),
        cmocka_unit_test(a_guest_without_agent_says_so),
        cmocka_unit_test(a_process_that_dies_is_announced),
        cmocka_unit_test(a_process_that_dies_while_libvirtd_hangs_is_announced),
        cmocka_unit_test(the_cause_of_a_transient_domains_end_is_known),
        cmocka_unit_test(metadata_of_either_definition_counts),
        cmocka_unit_test(a_libvirtd_that_dies_is_unknown_until_it_is_back),
        cmocka_unit_test(a_libvirtd_that_hangs_is_unknown_too),
        cmocka_unit_test(a_connect_that_was_overtaken_leaves_no_trace),
        cmocka_unit_test(stuck_acts_delay_nobody),
        cmocka_unit_test(many_ask_while_libvirtd_is_killed),
    };

    if (!getenv("STOPD_KIT_DIR")) {
        fprintf(stderr, "libvirt-driver: to be run under private-libvirt\n");
        return 77;
    }
    if (argc > 1)
        cmocka_set_test_filter(argv[1]); /* with * and ? */
    return cmocka_run_group_tests(tests, begin, finish);
}
