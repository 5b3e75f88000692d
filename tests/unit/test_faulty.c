/* test_faulty.c - the faults around a hypervisor: which there are, when they come, what they leave
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "drivers/hypervisor/faulty.h"
#include "drivers/hypervisor/simulated.h"

#include <stdio.h>
#include <string.h>

static struct {
    struct simulated *world;
    struct simulated_domain *guest;
    struct hypervisor *faulty;
    unsigned hints, losses;
} f;

static void on_changed(void *userdata, const uuid_t domain)
{
    f.hints++;
}

static void on_lost(void *userdata, const char *why)
{
    f.losses++;
}

static int teardown(void **state)
{
    if (f.faulty)
        f.faulty->ops->free(f.faulty);
    memset(&f, 0, sizeof(f));
    return 0;
}

/* A guest that runs, behind these faults. */
static void with(const char *faults)
{
    struct instance *n = instance_new();
    struct error *err = NULL;

    teardown(NULL);
    f.world = simulated_new(true);
    uuid_parse("00000000-0000-4000-8000-000000000001", n->uuid);
    text_replace(&n->name, "guest");
    f.guest = simulated_define(f.world, n);
    f.guest->is_persistent = true;
    simulated_start(f.world, f.guest);
    if (hypervisor_faulty_new(faults, &f.world->hypervisor, &f.faulty, &err) < 0)
        fail_msg("%s: %s", faults, error_message(err));
    f.faulty->listener = (struct hypervisor_listener){on_changed, on_lost, NULL};
}

static int connect_it(void)
{
    struct error *err = NULL;
    bool has_processes;
    int r = f.faulty->ops->connect(f.faulty, &has_processes, &err);

    error_free(err);
    return r;
}

/* 0, or the error's code as a negative number. */
static int look(void)
{
    struct sighting s = {0};
    struct error *err = NULL;
    int r = f.faulty->ops->look(f.faulty, f.guest->definition->uuid, NULL, &s, &err);

    if (r == 0)
        assert_int_equal(s.state, f.guest->state);
    else
        r = -(int)error_code_of(err);
    error_free(err);
    sighting_clear(&s);
    return r;
}

static int cut(void)
{
    struct error *err = NULL;
    int r = f.faulty->ops->cut_power(f.faulty, f.guest->definition->uuid, &f.guest->incarnation,
                                     false, &err);

    if (r < 0)
        r = -(int)error_code_of(err);
    error_free(err);
    return r;
}

static void without_faults_it_is_the_other(void **state)
{
    with("seed=5");
    assert_int_equal(connect_it(), 0);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(look(), 0);
    assert_int_equal(cut(), 0);
    assert_true(f.hints > 0);
}

static void the_nth_call_and_no_other(void **state)
{
    with("look:error:@3 look:error:@5");
    assert_int_equal(connect_it(), 0);
    for (unsigned i = 1; i <= 10; i++)
        assert_int_equal(look(), i == 3 || i == 5 ? -ERROR_UNKNOWN : 0);
}

static unsigned failures_of(const char *faults, uint64_t *pattern)
{
    unsigned n = 0;

    with(faults);
    assert_int_equal(connect_it(), 0);
    *pattern = 0;
    for (unsigned i = 0; i < 1000; i++) {
        bool failed = look() < 0;

        n += failed;
        if (i < 64)
            *pattern |= (uint64_t)failed << i;
    }
    return n;
}

static void so_many_of_a_hundred_by_the_seed(void **state)
{
    uint64_t first, again, other;
    unsigned n = failures_of("seed=1 look:error:30%", &first);

    assert_in_range(n, 230, 370);
    assert_int_equal(failures_of("seed=1 look:error:30%", &again), n);
    failures_of("seed=2 look:error:30%", &other);
    assert_true(first == again);
    assert_true(first != other);
    assert_int_equal(failures_of("look:error:100%", &first), 1000);
    assert_int_equal(failures_of("look:error:0%", &first), 0);
    assert_int_equal(failures_of("list:error:100%", &first), 0);
}

/* An error does nothing; a lost answer hides what was done. */
static void an_error_is_before_and_a_loss_after(void **state)
{
    with("cut_power:error:@1 cut_power:lost:@2 look:lost:@1");
    assert_int_equal(connect_it(), 0);
    assert_int_equal(cut(), -ERROR_UNKNOWN);
    assert_true(simulated_is_present(f.guest));
    assert_int_equal(cut(), -ERROR_UNKNOWN);
    simulated_advance(f.world, 100 * USEC_PER_SEC);
    assert_false(simulated_is_present(f.guest));
    assert_int_equal(look(), -ERROR_UNKNOWN);
    assert_int_equal(look(), 0);
}

static void a_delay_is_waited_out(void **state)
{
    usec_t begun;

    with("look:delay:@1:50 look:hang:@2:70");
    assert_int_equal(connect_it(), 0);
    begun = moment_now().monotonic;
    assert_int_equal(look(), 0);
    assert_int_equal(look(), 0);
    assert_true(moment_now().monotonic - begun >= 120 * USEC_PER_MSEC);
}

static void events_are_lost(void **state)
{
    with("changed:lost:100%");
    assert_int_equal(connect_it(), 0);
    simulated_power_off(f.world, f.guest);
    simulated_advance(f.world, 100 * USEC_PER_SEC);
    assert_int_equal(f.hints, 0);
    simulated_lose_connection(f.world, "gone");
    assert_int_equal(f.losses, 1);
}

static void what_is_no_fault_is_refused(void **state)
{
    static const char *const wrong[] = {
        "look",
        "look:error",
        "look:error:",
        "look:error:10",
        "look:error:@0",
        "look:error:101%",
        "look:none:10%",
        "peek:error:10%",
        "look:sulk:10%",
        "seed=x",
        "look:error:10%:50",
        "look:delay:10%:x",
        "changed:error:1%",
        "look:delay:10%:5:5",
        "look:error:-1%",
        "look:error:10%,list:error:10%",
    };

    for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
        struct simulated *world = simulated_new(true);
        struct hypervisor *h = NULL;
        struct error *err = NULL;

        if (hypervisor_faulty_new(wrong[i], &world->hypervisor, &h, &err) >= 0)
            fail_msg("'%s' was taken", wrong[i]);
        assert_int_equal(error_code_of(err), ERROR_CONFIGURATION);
        assert_non_null(strstr(error_message(err), wrong[i]));
        error_free(err);
    }
}

#define RULE(f) cmocka_unit_test_teardown(f, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        RULE(without_faults_it_is_the_other),
        RULE(the_nth_call_and_no_other),
        RULE(so_many_of_a_hundred_by_the_seed),
        RULE(an_error_is_before_and_a_loss_after),
        RULE(a_delay_is_waited_out),
        RULE(events_are_lost),
        RULE(what_is_no_fault_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
