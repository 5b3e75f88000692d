/* claim.c - taking the device for ourselves */
#include "wipe/claim.h"

int claim(struct wipe *w, struct error **err)
{
    _cleanup_(error_free) struct error *error = NULL;
    int r = w->device->ops->claim(w->device, &error);

    if (r >= 0)
        return 0;
    if (error_code_of(error) == ERROR_CONFLICT) {
        w->refusal.guard = "claim";
        refuse(&w->refusal, "", "%s", error_message(error));
    }
    return error_move(err, &error);
}
