/* claim.c - taking the device for ourselves */
#include "wipe/claim.h"

int claim(struct wipe *w, struct error **err)
{
    _cleanup_(error_free) struct error *error = NULL;
    int r = w->device->ops->claim(w->device, &error);

    if (r >= 0)
        return 0;
    if (error_code_of(error) != ERROR_CONFLICT)
        return error_move(err, &error);
    /* Whoever came between is seen by the guards, most likely. */
    if (!guards_refuse(&w->scene, GUARD_THROUGHOUT, &w->refusal)) {
        w->refusal.guard = "claim";
        refuse(&w->refusal, "", "%s", error_message(error));
    }
    return error_set(err, ERROR_CONFLICT, "%s", w->refusal.message);
}
