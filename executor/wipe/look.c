/* look.c - looking out for intruders while we work
 *
 * Theory of operation. Locks keep out only those who ask. So before each chunk all guards that
 * somebody could have come to break are asked again, and the device is asked who it is through the
 * descriptor that we hold. On a host with many processes that takes tens of milliseconds in which
 * the device has nothing to do; chunks are therefore made long against it, and at least a second,
 * which is then how long an intruder can go unseen.
 */
#include "wipe/wipe.h"

#include <stdio.h>

#include "wipe/tenancy.h"

#define LOOK_SHARE 40 /* a look takes at most this part of the time */
#define INTERVAL_MIN USEC_PER_SEC
#define INTERVAL_MAX (8 * USEC_PER_SEC)

usec_t wipe_look_interval(const struct wipe *w)
{
    usec_t interval = LOOK_SHARE * w->look_took;

    if (interval < INTERVAL_MIN)
        return INTERVAL_MIN;
    return interval < INTERVAL_MAX ? interval : INTERVAL_MAX;
}

static int same_device(struct wipe *w, struct error **err)
{
    struct storage_identity now;
    enum identity_key key;
    int r = w->device->ops->identify(w->device, &now, err);

    if (r < 0)
        return error_context(err, "asking %s again what it is", w->device->path);
    key = identity_difference(&now, &w->identity);
    if (key == IDENTITY_KEY_MAX)
        return 0;
    w->refusal.guard = "identity";
    refuse(&w->refusal, identity_key_to_string(key), "the %s of %s was %s and is %s now",
           identity_key_to_string(key), w->device->path, w->identity.value[key], now.value[key]);
    return error_set(err, ERROR_CONFLICT, "%s", w->refusal.message);
}

static int no_intruder(struct wipe *w, struct error **err)
{
    int r;

    /* Partitions may have come or gone since. */
    if (w->device->look_fd >= 0) {
        footprint_clear(&w->scene.footprint);
        r = footprint_take(w->device->look_fd, w->scene.sys, &w->scene.footprint, err);
        if (r < 0)
            return r;
    }
    if (guards_refuse(&w->scene, GUARD_THROUGHOUT, &w->refusal) || tenancy_refuses(w, &w->refusal))
        return error_set(err, ERROR_CONFLICT, "%s", w->refusal.message);
    return 0;
}

int wipe_look(struct wipe *w, struct error **err)
{
    usec_t first = moment_now().monotonic;

    for (;;) {
        _cleanup_(error_free) struct error *error = NULL;
        usec_t began = moment_now().monotonic;
        int r = no_intruder(w, &error);

        if (r >= 0)
            r = same_device(w, &error);
        w->looked_at = moment_now().monotonic;
        w->look_took = w->looked_at - began;
        if (r >= 0)
            return 0;
        if (!guards_wait(&w->refusal, w->is_touched, first, PATIENCE_THROUGHOUT))
            return error_move(err, &error);
    }
}

int wipe_look_now_and_then(struct wipe *w, struct error **err)
{
    if (moment_now().monotonic - w->looked_at < wipe_look_interval(w))
        return 0;
    return wipe_look(w, err);
}
