/* ladder.h - which method clears a device: the best that it says it can do, and why not a better
 * one */
#ifndef STOPD_WIPE_LADDER_H
#define STOPD_WIPE_LADDER_H

#include "stopd/wipe-protocol.h"

struct rung {
    enum clear_method method;
    struct storage_offer offer;
    bool is_open;
    bool is_past_failure; /* it failed in an earlier run, which may have had its reasons */
    char reason[256];     /* why it is closed, or why it can be taken */
};

struct ladder {
    struct rung rungs[CLEAR_METHOD_MAX];
    size_t n;
};

/* The request's ladder with what the device says of each rung. sole_tenant: "" where every
 * namespace of the device's subsystem is this instance's, else why it is not so. */
int ladder_survey(struct storage_device *d, const struct wipe_request *request,
                  const char *sole_tenant, struct ladder *ret, struct error **err);
/* Decides one rung; pure. */
void ladder_judge(struct rung *r, enum clear_level level, enum wipe_verify verify,
                  const char *sole_tenant);
/* The best open rung, or NULL. */
const struct rung *ladder_best(const struct ladder *l);
/* Has it an open rung that reaches beyond the device? */
bool ladder_reaches_subsystem(const struct ladder *l);
struct rung *ladder_find(struct ladder *l, enum clear_method method);
/* Opens what only an earlier run found to fail, for when nothing else is left. */
void ladder_reopen_past(struct ladder *l);
/* Closes a rung that was tried. */
void ladder_close(struct rung *r, const char *why);
/* Why none is open, in words: each reason once, with the methods that it holds for. */
void ladder_say_closed(const struct ladder *l, char *ret, size_t size);
/* Why each rung above this one was passed over (all of them, for NULL): [{method, reason}…]. */
json_object *ladder_passed_over(const struct ladder *l, const struct rung *taken);

#endif
