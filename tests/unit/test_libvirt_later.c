/* test_libvirt_later.c - what a guest's end tells, and how often the listener is told of it
 *
 * libvirt and its event loop are scripted: the test's functions take the place of its own. Events
 * arrive when the test says so, a timer's time is up when it says so, and what was removed is freed
 * when the loop takes its next turn, as by libvirt's own loop; a callback that runs already is not
 * called back by the removal. Timers and watches are counted from their making to their freeing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "drivers/hypervisor/libvirt-driver.h"
#include "drivers/hypervisor/libvirt-loop.h"
#include "drivers/hypervisor/libvirt.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define ONE "4ab3ea0d-b1d4-4b4f-8fd4-a16bb4c5f1ad"
#define OTHER "0d5f7be4-5a39-4b1c-8a6f-0c9a6a5a1f52"

/* A timer or a watched descriptor. */
struct waiting {
    union {
        virEventTimeoutCallback timer;
        virEventHandleCallback handle;
    } call;
    void *userdata;
    virFreeCallback free;
    enum { FREE, WAITS, REMOVED } state;
};

static struct {
    struct libvirt *driver; /* NULL: freed */
    struct connection connection;
    virConnectDomainEventCallback on_lifecycle;
    struct waiting timers[4], handles[4];
    bool no_timers, no_memory, is_misused;
    int event_in_free; /* a callback that runs while the driver is freed; -1: none */
    bool fires_in_free;
    unsigned told, told_other;
} world;

/* --- libvirt ---------------------------------------------------------------------------------- */

/* The driver holds a lock of its own, so the test fails later. */
static int misused(void)
{
    world.is_misused = true;
    return -1;
}

static int add(struct waiting *all, struct waiting w)
{
    for (int i = 0; i < 4; i++)
        if (all[i].state == FREE) {
            all[i] = w;
            all[i].state = WAITS;
            return i;
        }
    return misused();
}

static int take_off(struct waiting *all, int i)
{
    if (i < 0 || i >= 4 || all[i].state != WAITS)
        return misused();
    all[i].state = REMOVED;
    return 0;
}

static unsigned count(const struct waiting *all, int state)
{
    unsigned n = 0;

    for (int i = 0; i < 4; i++)
        n += all[i].state == (unsigned)state;
    return n;
}

int virEventAddTimeout(int msec, virEventTimeoutCallback call, void *userdata,
                       virFreeCallback free_userdata)
{
    if (msec <= 0)
        return misused();
    if (world.no_timers)
        return -1;
    return add(world.timers, (struct waiting){{.timer = call}, userdata, free_userdata, WAITS});
}

int virEventRemoveTimeout(int timer)
{
    return take_off(world.timers, timer);
}

int virEventAddHandle(int fd, int events, virEventHandleCallback call, void *userdata,
                      virFreeCallback free_userdata)
{
    return add(world.handles, (struct waiting){{.handle = call}, userdata, free_userdata, WAITS});
}

int virEventRemoveHandle(int handle)
{
    return take_off(world.handles, handle);
}

int virConnectDomainEventRegisterAny(virConnectPtr conn, virDomainPtr dom, int id,
                                     virConnectDomainEventGenericCallback call, void *userdata,
                                     virFreeCallback free_userdata)
{
    assert_ptr_equal(userdata, world.driver);
    if (id == VIR_DOMAIN_EVENT_ID_LIFECYCLE)
        world.on_lifecycle = (virConnectDomainEventCallback)(void (*)(void))call;
    return id;
}

int virDomainGetUUID(virDomainPtr dom, unsigned char *ret)
{
    return uuid_parse((const char *)dom, ret);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
    return world.no_memory ? NULL : __real_calloc(n, size);
}

/* --- The loop's thread ------------------------------------------------------------------------ */

static void event(const char *domain, int event)
{
    world.on_lifecycle(NULL, (virDomainPtr)domain, event, 0, world.driver);
}

/* Of those that wait; or of those that were removed as they fired. */
static void time_is_up(int state)
{
    for (int i = 0; i < 4; i++)
        if (world.timers[i].state == (unsigned)state)
            world.timers[i].call.timer(i, world.timers[i].userdata);
}

static void process_ends(void)
{
    for (int i = 0; i < 4; i++)
        if (world.handles[i].state == WAITS)
            world.handles[i].call.handle(i, -1, VIR_EVENT_HANDLE_READABLE,
                                         world.handles[i].userdata);
}

static void free_removed(struct waiting *all)
{
    for (int i = 0; i < 4; i++)
        if (all[i].state == REMOVED) {
            all[i].free(all[i].userdata);
            all[i].state = FREE;
        }
}

static void turn(void)
{
    free_removed(world.timers);
    free_removed(world.handles);
}

int __wrap_event_loop_acquire(struct error **err);
void __wrap_event_loop_release(void);

int __wrap_event_loop_acquire(struct error **err)
{
    return 0;
}

/* What runs already ends before the last user has gone. */
void __wrap_event_loop_release(void)
{
    if (world.event_in_free >= 0)
        event(ONE, world.event_in_free);
    if (world.fires_in_free)
        time_is_up(REMOVED);
    turn();
}

/* --- The driver ------------------------------------------------------------------------------- */

static void on_changed(void *userdata, const uuid_t domain)
{
    uuid_t one;

    uuid_parse(ONE, one);
    if (uuid_compare(domain, one) == 0)
        world.told++;
    else
        world.told_other++;
}

static void watch(void)
{
    const struct incarnation who = {.pid = 4711};
    uuid_t domain;

    uuid_parse(ONE, domain);
    watch_process(world.driver, domain, &who, open("/dev/null", O_RDONLY | O_CLOEXEC));
}

static void driver_free(void)
{
    struct hypervisor *h = &world.driver->base;

    h->ops->free(h);
    world.driver = NULL;
}

static void assert_told(unsigned expected)
{
    assert_int_equal(world.told, expected);
}

static void assert_put_off(unsigned expected)
{
    assert_int_equal(count(world.timers, WAITS), expected);
}

/* --- A guest's end ---------------------------------------------------------------------------- */

static void an_end_is_told_once(void **state)
{
    watch();
    event(ONE, VIR_DOMAIN_EVENT_SHUTDOWN);
    assert_told(0);
    assert_put_off(1);
    process_ends();
    assert_told(0);
    assert_put_off(1);
    event(ONE, VIR_DOMAIN_EVENT_STOPPED);
    assert_told(1);
    assert_put_off(0);
    turn();
    time_is_up(WAITS);
    assert_told(1);
}

static void a_shutdown_that_nothing_follows_is_told_when_its_time_is_up(void **state)
{
    event(ONE, VIR_DOMAIN_EVENT_SHUTDOWN);
    assert_told(0);
    time_is_up(WAITS);
    assert_told(1);
    assert_put_off(0);
    turn();
    time_is_up(WAITS);
    assert_told(1);
    event(ONE, VIR_DOMAIN_EVENT_STOPPED);
    assert_told(2);
}

static void the_end_of_a_process_that_nothing_follows_is_told_when_its_time_is_up(void **state)
{
    watch();
    process_ends();
    assert_told(0);
    time_is_up(WAITS);
    assert_told(1);
}

static void the_end_of_a_process_after_libvirts_word_is_told_at_once(void **state)
{
    watch();
    event(ONE, VIR_DOMAIN_EVENT_STOPPED);
    assert_told(1);
    process_ends();
    assert_told(2);
    assert_put_off(0);
}

static void domains_do_not_drop_each_others(void **state)
{
    event(ONE, VIR_DOMAIN_EVENT_SHUTDOWN);
    event(OTHER, VIR_DOMAIN_EVENT_SHUTDOWN);
    assert_put_off(2);
    event(ONE, VIR_DOMAIN_EVENT_STOPPED);
    assert_told(1);
    assert_int_equal(world.told_other, 0);
    assert_put_off(1);
    time_is_up(WAITS);
    assert_told(1);
    assert_int_equal(world.told_other, 1);
}

static void a_timer_that_fires_as_it_is_removed_tells_nothing(void **state)
{
    event(ONE, VIR_DOMAIN_EVENT_SHUTDOWN);
    event(ONE, VIR_DOMAIN_EVENT_STOPPED);
    assert_told(1);
    event(ONE, VIR_DOMAIN_EVENT_SHUTDOWN); /* of its next run */
    time_is_up(REMOVED);
    assert_told(1);
    assert_put_off(1);
}

/* --- What cannot be put off ------------------------------------------------------------------- */

static void what_no_timer_can_be_had_for_is_told_at_once(void **state)
{
    world.no_timers = true;
    event(ONE, VIR_DOMAIN_EVENT_SHUTDOWN);
    assert_told(1);
    world.no_timers = false;
    event(ONE, VIR_DOMAIN_EVENT_SHUTDOWN);
    assert_told(1);
    assert_put_off(1);
}

static void what_no_memory_can_be_had_for_is_told_at_once(void **state)
{
    world.no_memory = true;
    event(ONE, VIR_DOMAIN_EVENT_SHUTDOWN);
    world.no_memory = false;
    assert_told(1);
    assert_put_off(0);
}

static void what_is_put_off_already_needs_neither(void **state)
{
    event(ONE, VIR_DOMAIN_EVENT_SHUTDOWN);
    world.no_memory = world.no_timers = true;
    event(ONE, VIR_DOMAIN_EVENT_SHUTDOWN);
    world.no_memory = false;
    assert_told(0);
    assert_put_off(1);
}

/* --- The driver's end ------------------------------------------------------------------------- */

static void a_driver_that_is_freed_tells_nothing_more(void **state)
{
    watch();
    event(ONE, VIR_DOMAIN_EVENT_SHUTDOWN);
    assert_put_off(1);
    driver_free();
    assert_put_off(0);
    time_is_up(WAITS);
    process_ends();
    assert_told(0);
}

static void a_timer_that_fires_while_the_driver_is_freed_tells_nothing(void **state)
{
    event(ONE, VIR_DOMAIN_EVENT_SHUTDOWN);
    world.fires_in_free = true;
    driver_free();
    assert_told(0);
}

static void a_callback_that_runs_while_the_driver_is_freed_puts_nothing_off(void **state)
{
    world.event_in_free = VIR_DOMAIN_EVENT_SHUTDOWN;
    driver_free();
    assert_put_off(0);
    assert_told(0);
}

/* The listener may hear on: nothing is put off, and nothing told in its stead. */
static void after_its_end_nothing_is_put_off(void **state)
{
    event(ONE, VIR_DOMAIN_EVENT_SHUTDOWN);
    later_clear(world.driver);
    event(ONE, VIR_DOMAIN_EVENT_SHUTDOWN);
    assert_put_off(0);
    assert_told(0);
}

/* --- ------------------------------------------------------------------------------------------ */

static int set_up(void **state)
{
    struct hypervisor *h;
    struct error *err = NULL;

    memset(&world, 0, sizeof(world));
    world.event_in_free = -1;
    if (hypervisor_libvirt_new("test:///default", 1, &h, &err) < 0)
        return -1;
    h->listener = (struct hypervisor_listener){.changed = on_changed};
    world.driver = libvirt_of(h);
    world.connection.driver = world.driver;
    begin_listening(world.driver);
    return events_register(&world.connection, &err);
}

/* Whatever was made is freed, and nothing is removed that was not there. */
static int tear_down(void **state)
{
    world.no_memory = false;
    if (world.driver)
        driver_free();
    assert_false(world.is_misused);
    assert_int_equal(count(world.timers, FREE), 4);
    assert_int_equal(count(world.handles, FREE), 4);
    return 0;
}

int main(void)
{
#define RULE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        RULE(an_end_is_told_once),
        RULE(a_shutdown_that_nothing_follows_is_told_when_its_time_is_up),
        RULE(the_end_of_a_process_that_nothing_follows_is_told_when_its_time_is_up),
        RULE(the_end_of_a_process_after_libvirts_word_is_told_at_once),
        RULE(domains_do_not_drop_each_others),
        RULE(a_timer_that_fires_as_it_is_removed_tells_nothing),
        RULE(what_no_timer_can_be_had_for_is_told_at_once),
        RULE(what_no_memory_can_be_had_for_is_told_at_once),
        RULE(what_is_put_off_already_needs_neither),
        RULE(a_driver_that_is_freed_tells_nothing_more),
        RULE(a_timer_that_fires_while_the_driver_is_freed_tells_nothing),
        RULE(a_callback_that_runs_while_the_driver_is_freed_puts_nothing_off),
        RULE(after_its_end_nothing_is_put_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
