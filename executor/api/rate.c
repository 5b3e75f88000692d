/* rate.c - how many calls a caller may make in a second
 *
 * Theory of operation. For each caller the times of the last calls that were let through are kept,
 * as many as there may be in a second. A further call may pass if the oldest of them is a second
 * ago, and what is missing to that second is how long the caller is told to wait. So no second,
 * wherever it begins, ever has more calls than it may, which a bucket of tokens cannot promise.
 */
#include "api/rate.h"

#include <stdio.h>
#include <string.h>

/* More callers than a host has: past it the one that was not seen for longest is forgotten. */
#define CALLERS_MOST 64

struct caller_calls {
    char name[256];
    usec_t *times; /* a ring of per_second; 0: none yet */
    unsigned next; /* the oldest of them */
    usec_t seen;
};

struct rate {
    unsigned per_second;
    struct caller_calls callers[CALLERS_MOST];
};

struct rate *rate_new(unsigned per_second)
{
    struct rate *r = calloc(1, sizeof(*r));

    if (r)
        r->per_second = per_second;
    return r;
}

void rate_free(struct rate *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < CALLERS_MOST; i++)
        free(r->callers[i].times);
    free(r);
}

static struct caller_calls *find_caller(struct rate *r, const char *name)
{
    struct caller_calls *stalest = &r->callers[0];

    for (size_t i = 0; i < CALLERS_MOST; i++) {
        struct caller_calls *c = &r->callers[i];

        if (c->times && text_equal(c->name, name))
            return c;
        if (c->seen < stalest->seen)
            stalest = c;
    }
    free(stalest->times);
    *stalest = (struct caller_calls){.times = calloc(r->per_second, sizeof(usec_t))};
    snprintf(stalest->name, sizeof(stalest->name), "%s", name);
    return stalest;
}

usec_t rate_take(struct rate *r, const char *caller, usec_t now)
{
    struct caller_calls *c;
    usec_t oldest;

    if (r->per_second == 0)
        return 0;
    c = find_caller(r, caller);
    c->seen = now;
    if (!c->times)
        return USEC_PER_SEC;
    oldest = c->times[c->next];
    if (oldest && oldest + USEC_PER_SEC > now)
        return oldest + USEC_PER_SEC - now;
    c->times[c->next] = now;
    c->next = (c->next + 1) % r->per_second;
    return 0;
}
