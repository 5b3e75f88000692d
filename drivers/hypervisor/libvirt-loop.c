/* libvirt-loop.c - the one thread of this process that runs libvirt's event loop
 *
 * Theory of operation. libvirt's callbacks and keepalive need somebody who runs an event loop, and
 * its event implementation is registered once per process, before the first connection, and for
 * good. So the loop belongs to the process and not to a driver: the first user starts the thread,
 * the last one ends it. Everything that runs on it, ours and libvirt's, only posts and never waits.
 *
 * A timer is the handle by which others reach the loop. It stands still for as long as the loop
 * lives. To end the loop it is set going, which wakes the thread, and then ticks some more times:
 * libvirt frees what was removed (descriptors, sockets of closed connections) from idle callbacks,
 * which want to have their turn first.
 */
#include "drivers/hypervisor/libvirt-loop.h"

#include "drivers/hypervisor/libvirt-errors.h"
#include "stopd/log.h"
#include "stopd/thread.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#define LAST_TICKS 10
#define TICK_MSEC 1

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int registered = -1;

static struct {
    pthread_mutex_t lock; /* users, thread, timer */
    unsigned users;
    pthread_t thread;
    int timer;
    atomic_int ticks; /* since the end was asked for */
} loop = {.lock = PTHREAD_MUTEX_INITIALIZER, .timer = -1};

/* libvirt writes to the sockets of its connections without regard to SIGPIPE, and a daemon that
 * ends would take the process along. */
static void ignore_broken_pipes(void)
{
    struct sigaction now;

    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

static void register_once(void)
{
    ignore_broken_pipes();
    libvirt_errors_silence();
    registered = virEventRegisterDefaultImpl();
}

static void tick(int timer, void *userdata)
{
    atomic_fetch_add(&loop.ticks, 1);
}

static void *run(void *userdata)
{
    while (atomic_load(&loop.ticks) < LAST_TICKS)
        if (virEventRunDefaultImpl() < 0) {
            log_error("libvirt's event loop: %s", virGetLastErrorMessage());
            usleep(100000);
        }
    return NULL;
}

static int start(struct error **err)
{
    int r;

    atomic_store(&loop.ticks, 0);
    if (registered < 0)
        return error_set(err, ERROR_INTERNAL, "libvirt's event loop cannot be registered");
    loop.timer = virEventAddTimeout(-1, tick, NULL, NULL);
    if (loop.timer < 0)
        return libvirt_error(err, "add a timer to libvirt's event loop");
    r = thread_start(&loop.thread, "libvirt events", run, NULL);
    if (r == 0)
        return 0;
    virEventRemoveTimeout(loop.timer);
    return error_set_errno(err, ERROR_INTERNAL, r, "start the thread of libvirt's event loop");
}

int event_loop_acquire(struct error **err)
{
    int r = 0;

    pthread_once(&once, register_once);
    pthread_mutex_lock(&loop.lock);
    if (loop.users == 0)
        r = start(err);
    if (r == 0)
        loop.users++;
    pthread_mutex_unlock(&loop.lock);
    return r;
}

static void stop(void)
{
    virEventUpdateTimeout(loop.timer, TICK_MSEC);
    pthread_join(loop.thread, NULL);
    virEventRemoveTimeout(loop.timer);
}

static void pass_by(int timer, void *userdata)
{
    virEventRemoveTimeout(timer);
    sem_post(userdata);
}

/* One turn of the loop: its callbacks run one after the other, so what ran before has ended. */
static void wait_for_a_turn(void)
{
    sem_t passed;

    sem_init(&passed, 0, 0);
    if (virEventAddTimeout(0, pass_by, &passed, NULL) >= 0)
        while (sem_wait(&passed) < 0)
            ;
    sem_destroy(&passed);
}

void event_loop_release(void)
{
    pthread_mutex_lock(&loop.lock);
    if (--loop.users == 0)
        stop();
    else
        wait_for_a_turn();
    pthread_mutex_unlock(&loop.lock);
}
