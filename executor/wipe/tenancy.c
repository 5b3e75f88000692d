/* tenancy.c - is all of an NVM subsystem this instance's?
 *
 * Theory of operation. A sanitize, and on some controllers a format, takes in every namespace of
 * the subsystem. It is open only where each of them is the device itself or one of the instance's
 * other disks, which the request names as companions. A companion is opened like the device, asked
 * who it is, and matched by subsystem and namespace id. It has to pass the same guards, and before
 * the command goes out it is claimed and looked at like the device. It is not otherwise touched:
 * its own clear is its own, with its own certificate.
 */
#include "wipe/tenancy.h"

#include <stdio.h>
#include <string.h>

struct companion {
    struct storage_device *device;
    struct storage_identity identity;
    struct scene scene;
};

static void companion_free(struct companion *c)
{
    if (!c)
        return;
    footprint_clear(&c->scene.footprint);
    storage_close(c->device);
    free(c);
}
DEFINE_CLEANUP(struct companion *, companion_free);

void tenancy_clear(struct wipe *w)
{
    struct tenancy *t = &w->tenancy;

    while (t->n > 0)
        companion_free(t->companions[--t->n]);
    free(take(t->companions));
}

/* Which guards a companion has to pass: all but the one for the identity that the device has to
 * have. */
static bool is_refused(const struct companion *c, enum guard_time when, struct refusal *ret)
{
    for (size_t i = 0; i < n_guards; i++)
        if (guards[i].when >= when && guards[i].look != guard_identity &&
            guard_ask(&guards[i], &c->scene, ret))
            return true;
    return false;
}

static int open_companion(struct wipe *w, const char *path, struct companion **ret,
                          struct error **err)
{
    _cleanup_(companion_free) struct companion *c = calloc(1, sizeof(*c));
    int r;

    if (!c)
        return error_no_memory(err);
    r = w->open_device(path, &c->device, err);
    if (r >= 0)
        r = c->device->ops->identify(c->device, &c->identity, err);
    if (r >= 0 && c->device->look_fd >= 0)
        r = footprint_take(c->device->look_fd, w->scene.sys, &c->scene.footprint, err);
    if (r < 0)
        return error_context(err, "the companion %s", path);
    c->scene.request = w->request;
    c->scene.device = c->device;
    c->scene.identity = &c->identity;
    c->scene.proc = w->scene.proc;
    c->scene.sys = w->scene.sys;
    *ret = take(c);
    return 0;
}

static int keep(struct wipe *w, struct companion *c, struct error **err)
{
    struct tenancy *t = &w->tenancy;
    struct companion **all = reallocarray(t->companions, t->n + 1, sizeof(*all));

    if (!all)
        return error_no_memory(err);
    t->companions = all;
    all[t->n++] = c;
    return 0;
}

static bool is_of_subsystem(const struct wipe *w, const struct companion *c)
{
    _cleanup_(freep) struct storage_neighbours *theirs = malloc(sizeof(*theirs));

    return theirs && c->device->ops->neighbours &&
           c->device->ops->neighbours(c->device, theirs, NULL) >= 0 && is_set(theirs->subsystem) &&
           text_equal(theirs->subsystem, w->neighbours.subsystem);
}

static int open_companions(struct wipe *w, struct error **err)
{
    for (size_t i = 0; i < w->request->companions.n; i++) {
        _cleanup_(companion_free) struct companion *c = NULL;
        int r = open_companion(w, w->request->companions.items[i], &c, err);

        if (r >= 0 && is_of_subsystem(w, c)) {
            r = keep(w, c, err);
            if (r >= 0)
                c = NULL;
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static bool has_companion(const struct wipe *w, uint32_t nsid)
{
    char text[16];

    snprintf(text, sizeof(text), "%u", nsid);
    for (size_t i = 0; i < w->tenancy.n; i++)
        if (text_equal(w->tenancy.companions[i]->identity.value[IDENTITY_NSID], text))
            return true;
    return false;
}

int tenancy_survey(struct wipe *w, struct error **err)
{
    const struct storage_neighbours *neighbours = &w->neighbours;
    char *why_not = w->tenancy.why_not;
    size_t size = sizeof(w->tenancy.why_not);
    int r;

    *why_not = '\0';
    if (!w->device->ops->neighbours)
        return 0;
    if (is_set(neighbours->unknown)) {
        snprintf(why_not, size, "%s", neighbours->unknown);
        return 0;
    }
    r = open_companions(w, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < neighbours->n; i++)
        if (!has_companion(w, neighbours->nsids[i])) {
            snprintf(why_not, size, "namespace %u is not this instance's", neighbours->nsids[i]);
            return 0;
        }
    for (size_t i = 0; i < w->tenancy.n; i++) {
        struct refusal refusal = {0};

        if (is_refused(w->tenancy.companions[i], GUARD_BEFORE, &refusal)) {
            snprintf(why_not, size, "%s", refusal.message);
            return 0;
        }
    }
    return 0;
}

int tenancy_claim(struct wipe *w, struct error **err)
{
    if (w->tenancy.is_claimed)
        return 0;
    for (size_t i = 0; i < w->tenancy.n; i++) {
        struct storage_device *d = w->tenancy.companions[i]->device;
        int r = d->fd >= 0 ? 0 : d->ops->claim(d, err);

        if (r < 0) {
            w->tenancy.is_denied = true;
            return error_context(err, "the companion %s", d->path);
        }
    }
    w->tenancy.is_claimed = true;
    return 0;
}

bool tenancy_refuses(struct wipe *w, struct refusal *ret)
{
    for (size_t i = 0; w->tenancy.is_claimed && i < w->tenancy.n; i++) {
        struct companion *c = w->tenancy.companions[i];
        struct storage_identity now;

        if (is_refused(c, GUARD_THROUGHOUT, ret))
            return true;
        if (c->device->ops->identify(c->device, &now, NULL) < 0 ||
            identity_difference(&now, &c->identity) != IDENTITY_KEY_MAX) {
            ret->guard = "identity";
            refuse(ret, c->device->path, "the companion %s is not what it was", c->device->path);
            return true;
        }
    }
    return false;
}
