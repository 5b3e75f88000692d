/* libvirt-driver-kit.h - a libvirt driver, what it announces, and the guests and the libvirtd that
 * it is tried on
 *
 * Include it once in a program. */
#ifndef STOPD_TESTS_LIBVIRT_DRIVER_KIT_H
#define STOPD_TESTS_LIBVIRT_DRIVER_KIT_H

#include "drivers/hypervisor/libvirt.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <libvirt/libvirt.h>

#include <cmocka.h>

#define DEADLINE_SEC 60
#define ANY_CAUSE END_CAUSE_MAX
#define TOO_MANY_FOR_ONE_CONNECTION 9 /* max_client_requests is 5 */

static struct hypervisor *driver;

/* --- What the driver announces ---------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t heard = PTHREAD_COND_INITIALIZER;
static unsigned n_changed, n_lost;

static inline void on_changed(void *userdata, const uuid_t domain)
{
    pthread_mutex_lock(&lock);
    n_changed++;
    pthread_cond_broadcast(&heard);
    pthread_mutex_unlock(&lock);
}

static inline void on_lost(void *userdata, const char *why)
{
    pthread_mutex_lock(&lock);
    n_lost++;
    pthread_cond_broadcast(&heard);
    pthread_mutex_unlock(&lock);
}

static inline unsigned count(const unsigned *counter)
{
    unsigned n;

    pthread_mutex_lock(&lock);
    n = *counter;
    pthread_mutex_unlock(&lock);
    return n;
}

/* False where the counter is not past `from` within so many seconds. */
static inline bool wait_past(const unsigned *counter, unsigned from, time_t seconds)
{
    struct timespec until;
    int r = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    pthread_mutex_lock(&lock);
    while (*counter <= from && r == 0)
        r = pthread_cond_timedwait(&heard, &lock, &until);
    pthread_mutex_unlock(&lock);
    return r == 0;
}

/* --- Guests, libvirtd ------------------------------------------------------------------------- */

_printf_(1, 2) static inline void shell(const char *format, ...)
{
    _cleanup_(freep) char *command = NULL;
    va_list ap;
    int r;

    va_start(ap, format);
    r = vasprintf(&command, format, ap);
    va_end(ap);
    assert_true(r > 0);
    if (system(command) != 0)
        fail_msg("failed: %s", command);
}

static inline const char *guest_tool(void)
{
    const char *tool = getenv("STOPD_GUEST");

    return tool ? tool : "tests/kit/guest";
}

static inline const char *in_kit(const char *name)
{
    static char path[512];

    snprintf(path, sizeof(path), "%s/%s", getenv("STOPD_KIT_DIR"), name);
    return path;
}

static inline void uuid_of(const char *name, uuid_t ret)
{
    virConnectPtr conn = virConnectOpen("qemu:///system");
    virDomainPtr dom = conn ? virDomainLookupByName(conn, name) : NULL;

    assert_non_null(dom);
    virDomainGetUUID(dom, ret);
    virDomainFree(dom);
    virConnectClose(conn);
}

/* A guest that would hear the power button. */
static inline void start_guest(const char *name, const char *options, uuid_t ret)
{
    const char *tool = guest_tool();

    shell("%s define %s %s && %s start %s && %s wait-ready %s", tool, name, options, tool, name,
          tool, name);
    uuid_of(name, ret);
}

static inline void remove_guest(const char *name)
{
    shell("%s remove %s", guest_tool(), name);
}

static inline pid_t libvirtd(void)
{
    int pid = 0;
    FILE *f = fopen(in_kit("libvirtd.pid"), "r");

    if (f && fscanf(f, "%d", &pid) != 1)
        pid = 0;
    if (f)
        fclose(f);
    assert_true(pid > 0);
    return pid;
}

/* Waits for what nobody announces. */
#define wait_for(condition)                                                \
    do {                                                                   \
        time_t until_ = time(NULL) + DEADLINE_SEC;                         \
        while (!(condition)) {                                             \
            if (time(NULL) > until_)                                       \
                fail_msg("not within %d s: %s", DEADLINE_SEC, #condition); \
            usleep(20000);                                                 \
        }                                                                  \
    } while (0)

static inline void connect_within_deadline(void)
{
    bool has_processes = false;

    wait_for(driver->ops->connect(driver, &has_processes, NULL) == 0);
    assert_true(has_processes);
}

/* On how many connections there is something that libvirtd has not read. */
static inline unsigned unread_by_libvirtd(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < 256; fd++) {
        struct sockaddr_un peer = {0};
        socklen_t size = sizeof(peer);
        int unread = 0;

        if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0 && peer.sun_family == AF_UNIX &&
            strstr(peer.sun_path, "libvirt-sock") && ioctl(fd, SIOCOUTQ, &unread) == 0 &&
            unread > 0)
            n++;
    }
    return n;
}

/* Whether the process has been sent a signal that it has not taken yet. */
static inline bool is_pending(pid_t pid, int signal)
{
    unsigned long long pending = 0;
    char path[64], line[256];
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f) && sscanf(line, "ShdPnd: %llx", &pending) != 1)
        ;
    if (f)
        fclose(f);
    return pending >> (signal - 1) & 1;
}

/* --- Looks and acts ----------------------------------------------------------------------------
 */

static inline void look(const uuid_t domain, const struct incarnation *remembered,
                        struct sighting *ret)
{
    struct error *err = NULL;

    if (driver->ops->look(driver, domain, remembered, ret, &err) < 0)
        fail_msg("%s", error_message(err));
}

static inline struct incarnation incarnation_of(const uuid_t domain)
{
    _cleanup_(sighting) struct sighting s = {0};

    look(domain, NULL, &s);
    if (s.incarnation.pid <= 0)
        fail_msg("%s", s.process_detail);
    return s.incarnation;
}

/* Looks, each time that the driver announces something, until the domain is in this state and its
 * process has ended. */
static inline void wait_until_gone(const uuid_t domain, const struct incarnation *who,
                                   enum domain_state state, enum end_cause cause)
{
    time_t until = time(NULL) + DEADLINE_SEC;

    for (;;) {
        _cleanup_(sighting) struct sighting s = {0};
        unsigned n = count(&n_changed);

        look(domain, who, &s);
        if (s.state == state && s.remembered == PROCESS_ENDED) {
            if (cause != ANY_CAUSE)
                assert_string_equal(end_cause_to_string(s.cause), end_cause_to_string(cause));
            return;
        }
        if (time(NULL) > until)
            fail_msg("still %s, process %s (%s)", domain_state_to_string(s.state),
                     process_fate_to_string(s.remembered),
                     s.process_detail ? s.process_detail : "");
        wait_past(&n_changed, n, 1);
    }
}

static inline int press(const uuid_t domain, const struct incarnation *who, enum button button,
                        struct press *ret, struct error **err)
{
    _cleanup_(sighting) struct sighting s = {0};

    look(domain, who, &s);
    return driver->ops->press_button(driver, domain, who, button, &s.lifecycle, ret, err);
}

static inline int cut(const uuid_t domain, const struct incarnation *who, struct error **err)
{
    return driver->ops->cut_power(driver, domain, who, false, err);
}

/* A call that has to succeed; otherwise the test shows what it said. */
static inline void assert_done(int r, struct error *err)
{
    if (r < 0)
        fail_msg("%s", error_message(err));
}

static inline void assert_error(int r, struct error *err, enum error_code code)
{
    assert_true(r < 0);
    assert_string_equal(error_name(error_code_of(err)), error_name(code));
    error_free(err);
}

/* --- The beginning and the end --- */

static inline int begin(void **state)
{
    if (hypervisor_libvirt_new("qemu:///system", 48, &driver, NULL) < 0)
        return -1;
    driver->listener = (struct hypervisor_listener){.changed = on_changed, .lost = on_lost};
    connect_within_deadline();
    return 0;
}

static inline int finish(void **state)
{
    driver->ops->free(driver);
    return 0;
}

#endif
