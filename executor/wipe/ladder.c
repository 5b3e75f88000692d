/* ladder.c - which method clears a device: the best that it says it can do, and why not a better
 * one
 *
 * Theory of operation. The request lists methods, best first. The device says of each whether it
 * can do it, how far it reaches and what level it comes to. A rung is open when the device can do
 * it, it comes to the level that was asked for, and it reaches nothing that is not this instance's.
 * The first open rung is taken. Nothing is ever found out by trying: an emulated drive takes any
 * command and says that it succeeded.
 *
 * A rung that was tried and failed, or whose result was not believed, is closed, and the next open
 * one is taken. When none is left the device is not cleared; a lower level is never taken for want
 * of a higher one.
 */
#include "wipe/ladder.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/json.h"

_printf_(2, 3) static void close_for(struct rung *r, const char *format, ...)
{
    va_list ap;

    r->is_open = false;
    va_start(ap, format);
    vsnprintf(r->reason, sizeof(r->reason), format, ap);
    va_end(ap);
}

void ladder_judge(struct rung *r, enum clear_level level, enum wipe_verify verify,
                  const char *sole_tenant)
{
    const struct storage_offer *o = &r->offer;

    r->is_open = true;
    snprintf(r->reason, sizeof(r->reason), "%s", o->why);
    if (!o->is_available)
        r->is_open = false;
    else if (level == LEVEL_PURGE && o->level < LEVEL_PURGE)
        close_for(r, "it does not reach level purge");
    else if (o->level == LEVEL_NONE && verify == WIPE_VERIFY_NONE)
        close_for(r, "it is not taken without a full verification");
    else if (o->reach == REACH_SUBSYSTEM && is_set(sole_tenant))
        close_for(r, WIPE_REASON_TENANCY ": %s", sole_tenant);
}

int ladder_survey(struct storage_device *d, const struct wipe_request *request,
                  const char *sole_tenant, struct ladder *ret, struct error **err)
{
    struct ladder l = {0};

    for (size_t i = 0; i < request->n_methods; i++) {
        struct rung *r = &l.rungs[l.n++];
        int result;

        r->method = request->methods[i];
        result = d->ops->offer(d, r->method, &r->offer, err);
        if (result < 0)
            return error_context(err, "asking %s for %s", d->path,
                                 clear_method_to_string(r->method));
        ladder_judge(r, request->level, request->verify, sole_tenant);
    }
    *ret = l;
    return 0;
}

const struct rung *ladder_best(const struct ladder *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->rungs[i].is_open)
            return &l->rungs[i];
    return NULL;
}

bool ladder_reaches_subsystem(const struct ladder *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->rungs[i].is_open && l->rungs[i].offer.reach == REACH_SUBSYSTEM)
            return true;
    return false;
}

struct rung *ladder_find(struct ladder *l, enum clear_method method)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->rungs[i].method == method)
            return &l->rungs[i];
    return NULL;
}

void ladder_reopen_past(struct ladder *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->rungs[i].is_past_failure) {
            l->rungs[i].is_open = true;
            l->rungs[i].is_past_failure = false;
        }
}

void ladder_close(struct rung *r, const char *why)
{
    close_for(r, "%s", why);
}

static bool is_said_before(const struct ladder *l, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (text_equal(l->rungs[k].reason, l->rungs[i].reason))
            return true;
    return false;
}

void ladder_say_closed(const struct ladder *l, char *ret, size_t size)
{
    size_t n = 0;

    *ret = '\0';
    for (size_t i = 0; i < l->n && n < size; i++) {
        if (is_said_before(l, i))
            continue;
        for (size_t k = i; k < l->n && n < size; k++)
            if (k == i || text_equal(l->rungs[k].reason, l->rungs[i].reason))
                n += (size_t)snprintf(ret + n, size - n, "%s%s",
                                      k > i   ? ", "
                                      : i > 0 ? "; "
                                              : "",
                                      clear_method_to_string(l->rungs[k].method));
        if (n < size)
            n += (size_t)snprintf(ret + n, size - n, ": %s", l->rungs[i].reason);
    }
}

json_object *ladder_passed_over(const struct ladder *l, const struct rung *taken)
{
    _cleanup_(json) json_object *array = json_object_new_array();

    for (size_t i = 0; array && i < l->n && &l->rungs[i] != taken; i++) {
        json_object *o = json_object_new_object();

        if (json_append(array, o) < 0 ||
            json_add_string(o, "method", clear_method_to_string(l->rungs[i].method)) < 0 ||
            json_add_string(o, "reason", l->rungs[i].reason) < 0)
            return NULL;
    }
    return take(array);
}
