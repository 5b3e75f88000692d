/* libvirt.c - domains behind a libvirt URI, as a hypervisor
 *
 * Theory of operation. The driver is a table of blocking calls, made by several threads at once:
 *
 *   libvirt-connection.c  lends a connection to each call; reconnects without waiting for any
 *   libvirt-look.c        list, look, is_alive: what is the state, the definition, the process
 *   libvirt-glance.c      glance: the states of all
 *   libvirt-volume.c      find_volume: where a storage pool's volume is
 *   libvirt-act.c         press_button, restore, wake, cut_power
 *   libvirt-events.c      what libvirt tells by itself; and how domains ended
 *   libvirt-watch.c       the end of a process, by its pidfd
 *   libvirt-later.c       what most likely needs no look of its own
 *   libvirt-loop.c        the thread that runs libvirt's callbacks, and ours
 *   libvirt-errors.c      what went wrong
 *   domain-*.c            from a domain's XML to an instance
 *   qemu-process.c        which process is a domain's
 *   process.c             has it ended?
 *
 * Off is only ever said where it is known. Whatever else happens, a broken connection, a daemon
 * that hangs, an error of libvirt's own, is ERROR_UNKNOWN.
 */
#include "drivers/hypervisor/libvirt.h"

#include "drivers/hypervisor/libvirt-driver.h"
#include "drivers/hypervisor/libvirt-loop.h"
#include "stopd/thread.h"

#include <string.h>

static void libvirt_destroy(struct libvirt *l)
{
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->ends.added);
    pthread_mutex_destroy(&l->ends.lock);
    pthread_mutex_destroy(&l->listener_lock);
    free(l->uri);
    free(l);
}

/* With calls still out, everything that they may come back to stays, the loop's thread included;
 * only the listener hears nothing any more. */
static void libvirt_free(struct hypervisor *h)
{
    struct libvirt *l = libvirt_of(h);
    bool is_unused;

    end_listening(l);
    is_unused = connections_close(l);
    watches_clear(l);
    later_clear(l);
    if (!is_unused)
        return;
    event_loop_release();
    libvirt_destroy(l);
}

static const struct hypervisor_ops libvirt_ops = {
    .name = "libvirt",
    .connect = libvirt_connect,
    .list = libvirt_list,
    .glance = libvirt_glance,
    .look = libvirt_look,
    .is_alive = libvirt_is_alive,
    .find_volume = libvirt_find_volume,
    .check_lock = libvirt_check_lock,
    .press_button = libvirt_press_button,
    .restore = libvirt_restore,
    .wake = libvirt_wake,
    .cut_power = libvirt_cut_power,
    .free = libvirt_free,
};

static void initialize_locks(struct libvirt *l)
{

    pthread_mutex_init(&l->lock, NULL);
    pthread_mutex_init(&l->ends.lock, NULL);
    pthread_mutex_init(&l->listener_lock, NULL);
    condition_init(&l->ends.added);
}

int hypervisor_libvirt_new(const char *uri, unsigned most_calls, struct hypervisor **ret,
                           struct error **err)
{
    struct libvirt *l = calloc(1, sizeof(*l));
    int r;

    if (!l)
        return error_no_memory(err);
    l->base.ops = &libvirt_ops;
    initialize_locks(l);
    l->most_calls = most_calls;
    l->uri = strdup(uri);
    r = l->uri ? event_loop_acquire(err) : error_no_memory(err);
    if (r < 0)
        libvirt_destroy(l);
    else
        *ret = &l->base;
    return r;
}
