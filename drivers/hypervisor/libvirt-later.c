/* libvirt-later.c - hints that something better is about to follow
 *
 * Theory of operation. A guest's end tells of itself three times: SHUTDOWN, when it has powered
 * off; its process's end; and STOPPED, when libvirt is done with it, some tenths of a second later.
 * Only then can a look say that it is off. One that comes sooner decides nothing, or stands waiting
 * for the domain, which libvirt holds meanwhile, and takes its calls from guests that still run.
 *
 * So the first two are put off. STOPPED drops them; if none has come when their time is up, then
 * something hangs, or libvirt has gone, and that is worth a look. One that cannot be put off is
 * told at once: a look too many does no harm.
 *
 * What is put off sits on libvirt's event loop, and is freed by it after its removal, when no
 * callback can hold it any more. A callback that runs while the driver is freed puts nothing off:
 * it would be told to a driver that is no more.
 */
#include "drivers/hypervisor/libvirt-driver.h"

#include <string.h>

#define PUT_OFF_MSEC 1000

/* Of what every driver has put off. Held around the event loop's own functions, which do not wait.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct later {
    struct later *next;
    struct libvirt *driver;
    uuid_t domain;
    int timer;
};

/* The link that leads to the domain's, or the last. lock is held. */
static struct later **find(struct libvirt *l, const uuid_t domain)
{
    struct later **p = &l->later;

    while (*p && memcmp((*p)->domain, domain, sizeof(uuid_t)) != 0)
        p = &(*p)->next;
    return p;
}

/* Takes off what p leads to, if it leads anywhere. lock is held. */
static bool drop(struct later **p)
{
    struct later *dropped = *p;

    if (!dropped)
        return false;
    *p = dropped->next;
    virEventRemoveTimeout(dropped->timer); /* which frees it */
    return true;
}

static void on_time(int timer, void *userdata)
{
    struct later *mine = userdata;
    struct libvirt *l = mine->driver;
    bool is_due;
    uuid_t domain;

    uuid_copy(domain, mine->domain);
    pthread_mutex_lock(&lock);
    /* Where it is not there, tell_at_last() or later_clear() has it. */
    is_due = *find(l, domain) == mine && drop(find(l, domain));
    pthread_mutex_unlock(&lock);
    if (is_due)
        tell_changed(l, domain);
}

/* Takes *new where it can be put off. lock is held. */
static void put_off(struct libvirt *l, struct later **new)
{
    (*new)->timer = virEventAddTimeout(PUT_OFF_MSEC, on_time, *new, free);
    if ((*new)->timer < 0)
        return;
    (*new)->next = l->later;
    l->later = take(*new);
}

void tell_later(struct libvirt *l, const uuid_t domain)
{
    _cleanup_(freep) struct later *new = calloc(1, sizeof(*new));
    bool is_left; /* with us: it could not be put off */

    if (new) {
        new->driver = l;
        uuid_copy(new->domain, domain);
    }
    pthread_mutex_lock(&lock);
    if (new && !l->later_is_closed && !*find(l, domain))
        put_off(l, &new);
    is_left = !l->later_is_closed && !*find(l, domain);
    pthread_mutex_unlock(&lock);
    if (is_left)
        tell_changed(l, domain);
}

void tell_at_last(struct libvirt *l, const uuid_t domain)
{
    pthread_mutex_lock(&lock);
    drop(find(l, domain));
    pthread_mutex_unlock(&lock);
    tell_changed(l, domain);
}

void later_clear(struct libvirt *l)
{
    pthread_mutex_lock(&lock);
    l->later_is_closed = true;
    while (drop(&l->later))
        ;
    pthread_mutex_unlock(&lock);
}
