/* libvirt-events.c - what libvirt tells by itself: a reason to look, and how a domain ended
 *
 * Theory of operation. Events are hints. Each that could mean another state, definition or set of
 * disks makes the listener look at its domain; none is taken for the truth, and a lost or doubled
 * one does no harm. They arrive on the event loop's thread, which posts and goes on. That a guest
 * has powered off is told when libvirt is done with it (libvirt-later.c).
 *
 * One thing only events know: how a transient domain ended, since libvirt has forgotten the domain
 * by the time that somebody asks. So the cause of each domain's last end is kept here, for the
 * ENDS_MAX that ended last. It is forgotten when the domain is seen to run again, but only what is
 * older than that look: an end that came while it was under way stays. It outlives a reconnect:
 * what is not seen in between can only be an end of a later run, and a stop asks about the run that
 * it knew.
 *
 * That a migration has begun is told by its first pass over the guest's memory. That one has failed
 * is told by nothing, so whoever has seen a domain migrate looks again.
 *
 * METADATA_CHANGE does not say whether it is the live or the inactive definition that changed, and
 * "attach-device --config" gives no event at all, which is why whoever acts looks first.
 */
#include "drivers/hypervisor/libvirt-driver.h"

#include "drivers/hypervisor/libvirt-errors.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <libvirt/virterror.h>

/* How long after libvirt has forgotten a domain the event of its end may still be on its way; it is
 * a matter of milliseconds. */
#define EVENT_DELAY_NSEC 300000000L
#define NSEC_PER_SEC 1000000000L

/* An abandoned connect() may come here after free(). */
void begin_listening(struct libvirt *l)
{
    pthread_mutex_lock(&l->listener_lock);
    if (l->listener_state == LISTENER_AWAITED)
        l->listener_state = LISTENER_HEARS;
    pthread_mutex_unlock(&l->listener_lock);
}

void end_listening(struct libvirt *l)
{
    pthread_mutex_lock(&l->listener_lock);
    l->listener_state = LISTENER_GONE;
    pthread_mutex_unlock(&l->listener_lock);
}

void tell_changed(struct libvirt *l, const uuid_t domain)
{
    pthread_mutex_lock(&l->listener_lock);
    if (l->listener_state == LISTENER_HEARS && l->base.listener.changed)
        l->base.listener.changed(l->base.listener.userdata, domain);
    pthread_mutex_unlock(&l->listener_lock);
}

void tell_lost(struct libvirt *l, const char *why)
{
    pthread_mutex_lock(&l->listener_lock);
    if (l->listener_state == LISTENER_HEARS && l->base.listener.lost)
        l->base.listener.lost(l->base.listener.userdata, why);
    pthread_mutex_unlock(&l->listener_lock);
}

/* The place of a domain; else NULL, and *ret_place the one to give to it: a free one, or the
 * oldest. */
static struct end *find_end(struct libvirt *l, const uuid_t domain, struct end **ret_place)
{
    struct end *place = &l->ends.items[0];

    for (struct end *e = l->ends.items; e < l->ends.items + ENDS_MAX; e++) {
        /* uuid_compare() takes ten times as long, and there may be a thousand. */
        if (e->stamp && memcmp(e->domain, domain, sizeof(uuid_t)) == 0)
            return e;
        if (e->stamp < place->stamp)
            place = e;
    }
    if (ret_place)
        *ret_place = place;
    return NULL;
}

static void end_remember(struct libvirt *l, const uuid_t domain, enum end_cause cause)
{
    struct end *e, *place;

    pthread_mutex_lock(&l->ends.lock);
    e = find_end(l, domain, &place);
    if (!e)
        e = place;
    uuid_copy(e->domain, domain);
    e->cause = cause;
    e->stamp = ++l->ends.stamp;
    pthread_cond_broadcast(&l->ends.added);
    pthread_mutex_unlock(&l->ends.lock);
}

enum end_cause end_recall(struct libvirt *l, const uuid_t domain, bool is_due)
{
    struct timespec until;
    const struct end *e;
    enum end_cause cause;
    int r = is_due ? 0 : ETIMEDOUT;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += EVENT_DELAY_NSEC;
    until.tv_sec += until.tv_nsec / NSEC_PER_SEC;
    until.tv_nsec %= NSEC_PER_SEC;

    pthread_mutex_lock(&l->ends.lock);
    while (!(e = find_end(l, domain, NULL)) && r == 0)
        r = pthread_cond_timedwait(&l->ends.added, &l->ends.lock, &until);
    cause = e ? e->cause : END_UNKNOWN;
    pthread_mutex_unlock(&l->ends.lock);
    return cause;
}

bool end_is_known(struct libvirt *l, const uuid_t domain)
{
    bool is_known;

    pthread_mutex_lock(&l->ends.lock);
    is_known = find_end(l, domain, NULL) != NULL;
    pthread_mutex_unlock(&l->ends.lock);
    return is_known;
}

uint64_t end_stamp(struct libvirt *l)
{
    uint64_t stamp;

    pthread_mutex_lock(&l->ends.lock);
    stamp = l->ends.stamp;
    pthread_mutex_unlock(&l->ends.lock);
    return stamp;
}

void end_forget(struct libvirt *l, const uuid_t domain, uint64_t stamp)
{
    struct end *e;

    pthread_mutex_lock(&l->ends.lock);
    e = find_end(l, domain, NULL);
    if (e && e->stamp <= stamp)
        e->stamp = 0;
    pthread_mutex_unlock(&l->ends.lock);
}

static enum end_cause cause_of_stop(int detail)
{
    switch (detail) {
    case VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN:
        return END_SHUTDOWN;
    case VIR_DOMAIN_EVENT_STOPPED_DESTROYED:
    case VIR_DOMAIN_EVENT_STOPPED_FROM_SNAPSHOT: /* the run was cut off, to go back to a snapshot */
        return END_DESTROYED;
    case VIR_DOMAIN_EVENT_STOPPED_CRASHED:
        return END_CRASHED;
    case VIR_DOMAIN_EVENT_STOPPED_MIGRATED:
        return END_MIGRATED;
    case VIR_DOMAIN_EVENT_STOPPED_SAVED:
        return END_SAVED;
    case VIR_DOMAIN_EVENT_STOPPED_FAILED:
        return END_FAILED;
    default:
        return END_UNKNOWN;
    }
}

static void changed(virDomainPtr dom, struct libvirt *l)
{
    uuid_t domain;

    if (virDomainGetUUID(dom, domain) == 0)
        tell_changed(l, domain);
}

static int on_lifecycle(virConnectPtr conn, virDomainPtr dom, int event, int detail, void *userdata)
{
    struct libvirt *l = userdata;
    uuid_t domain;

    if (virDomainGetUUID(dom, domain) < 0)
        return 0;
    if (event == VIR_DOMAIN_EVENT_STOPPED) {
        end_remember(l, domain, cause_of_stop(detail));
        tell_at_last(l, domain);
        return 0;
    }
    if (event == VIR_DOMAIN_EVENT_SHUTDOWN) {
        tell_later(l, domain);
        return 0;
    }
    if (event == VIR_DOMAIN_EVENT_STARTED)
        end_forget(l, domain, UINT64_MAX);
    tell_changed(l, domain);
    return 0;
}

static void on_reboot(virConnectPtr conn, virDomainPtr dom, void *userdata)
{
    changed(dom, userdata);
}

static void on_metadata_change(virConnectPtr conn, virDomainPtr dom, int type,
                               const char *namespace_uri, void *userdata)
{
    changed(dom, userdata);
}

static void on_device(virConnectPtr conn, virDomainPtr dom, const char *alias, void *userdata)
{
    changed(dom, userdata);
}

static void on_disk_change(virConnectPtr conn, virDomainPtr dom, const char *old_source,
                           const char *new_source, const char *alias, int reason, void *userdata)
{
    changed(dom, userdata);
}

static void on_migration_pass(virConnectPtr conn, virDomainPtr dom, int pass, void *userdata)
{
    changed(dom, userdata);
}

/* Registered by one call for all kinds, which libvirt calls back each by its own signature. */
typedef void (*any_function)(void);
#define CALLBACK(f) ((virConnectDomainEventGenericCallback)(any_function)(f))

int events_register(struct connection *c, struct error **err)
{
    const struct {
        int id;
        virConnectDomainEventGenericCallback callback;
    } kinds[EVENT_KINDS] = {
        {VIR_DOMAIN_EVENT_ID_LIFECYCLE, CALLBACK(on_lifecycle)},
        {VIR_DOMAIN_EVENT_ID_REBOOT, CALLBACK(on_reboot)},
        {VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, CALLBACK(on_metadata_change)},
        {VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, CALLBACK(on_device)},
        {VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, CALLBACK(on_device)},
        {VIR_DOMAIN_EVENT_ID_DISK_CHANGE, CALLBACK(on_disk_change)},
        {VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION, CALLBACK(on_migration_pass)},
    };

    for (size_t i = 0; i < EVENT_KINDS; i++) {
        int id = virConnectDomainEventRegisterAny(c->conn, NULL, kinds[i].id, kinds[i].callback,
                                                  c->driver, NULL);

        if (id >= 0)
            c->events[c->n_events++] = id;
        else if (i == 0 || !libvirt_failed_with(VIR_ERR_NO_SUPPORT))
            return libvirt_error(err, "register for events of %s", c->driver->uri);
    }
    return 0;
}

void events_deregister(struct connection *c)
{
    while (c->n_events > 0)
        virConnectDomainEventDeregisterAny(c->conn, c->events[--c->n_events]);
}
