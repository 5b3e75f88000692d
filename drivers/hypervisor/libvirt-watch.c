/* libvirt-watch.c - the end of a process, announced by its pidfd
 *
 * Theory of operation. A pidfd becomes readable when its process has ended, 50 to 200 ms before
 * libvirt says so, and also where libvirt never does. It sits on libvirt's event loop, since that
 * runs already. Unless libvirt has said so already, that is waited for (libvirt-later.c).
 *
 * A pidfd stays readable, so a watch fires once and is removed at once, else the loop would spin.
 * One for each incarnation, WATCHES_MAX in all: a process that is not watched is only noticed
 * later.
 *
 * A watch is freed by the loop, after its removal, when no callback can hold it any more.
 */
#include "drivers/hypervisor/libvirt-driver.h"

#include <unistd.h>

#define WATCHES_MAX 1024

/* Of every driver's watches. Held around the event loop's own functions, which do not wait. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct watch {
    struct watch *next;
    struct libvirt *driver;
    uuid_t domain;
    struct incarnation who;
    int pidfd;
    int handle;
};

static void watch_free(void *userdata)
{
    struct watch *w = userdata;

    close(w->pidfd);
    free(w);
}

/* Takes w off the list. False where it is not on it: watches_clear() has it. lock is held. */
static bool unlink_watch(struct libvirt *l, const struct watch *w)
{
    for (struct watch **p = &l->watches; *p; p = &(*p)->next)
        if (*p == w) {
            *p = w->next;
            l->n_watches--;
            return true;
        }
    return false;
}

static void on_end(int handle, int fd, int events, void *userdata)
{
    struct watch *w = userdata;
    struct libvirt *l;
    bool is_mine;

    pthread_mutex_lock(&lock);
    l = w->driver;
    is_mine = unlink_watch(l, w);
    pthread_mutex_unlock(&lock);
    if (!is_mine)
        return;
    if (end_is_known(l, w->domain))
        tell_changed(l, w->domain);
    else
        tell_later(l, w->domain);
    virEventRemoveHandle(handle);
}

/* lock is held. */
static bool is_watched(const struct libvirt *l, const uuid_t domain, const struct incarnation *who)
{
    for (const struct watch *w = l->watches; w; w = w->next)
        if (incarnation_equal(&w->who, who) && uuid_compare(w->domain, domain) == 0)
            return true;
    return false;
}

void watch_process(struct libvirt *l, const uuid_t domain, const struct incarnation *who, int pidfd)
{
    struct watch *w = pidfd < 0 ? NULL : calloc(1, sizeof(*w));

    if (!w) {
        close_cleanup(&pidfd);
        return;
    }
    *w = (struct watch){.driver = l, .who = *who, .pidfd = pidfd, .handle = -1};
    uuid_copy(w->domain, domain);

    pthread_mutex_lock(&lock);
    if (l->n_watches < WATCHES_MAX && !is_watched(l, domain, who))
        w->handle = virEventAddHandle(pidfd, VIR_EVENT_HANDLE_READABLE, on_end, w, watch_free);
    if (w->handle >= 0) {
        w->next = l->watches;
        l->watches = w;
        l->n_watches++;
        w = NULL;
    }
    pthread_mutex_unlock(&lock);
    if (w)
        watch_free(w);
}

void watches_clear(struct libvirt *l)
{
    struct watch *w;

    pthread_mutex_lock(&lock);
    w = l->watches;
    l->watches = NULL;
    l->n_watches = 0;
    pthread_mutex_unlock(&lock);
    while (w) {
        struct watch *next = w->next;

        virEventRemoveHandle(w->handle);
        w = next;
    }
}
