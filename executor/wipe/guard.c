/* guard.c - the guards, in the order in which they are asked
 *
 * Theory of operation. A guard is a question with three answers: nothing against it, something and what, or it could
 * not be found out. The last refuses like the second: who cannot see must not erase. Each looks at the footprint of the
 * device (numbers, not names). Those that somebody could come to break while we work are asked again
 * before every chunk.
 */
#include "wipe/guard.h"

#include <stdarg.h>
#include <stdio.h>

const struct guard guards[] = {
    {"allowed", GUARD_BEFORE, guard_allowed},
    {"identity", GUARD_BEFORE, guard_identity},
};
const size_t n_guards = ELEMENTSOF(guards);

int refuse(struct refusal *ret, const char *culprit, const char *format, ...)
{
    va_list ap;

    snprintf(ret->culprit, sizeof(ret->culprit), "%s", culprit);
    va_start(ap, format);
    vsnprintf(ret->message, sizeof(ret->message), format, ap);
    va_end(ap);
    return 1;
}

bool guard_ask(const struct guard *g, const struct scene *s, struct refusal *ret)
{
    _cleanup_(error_free) struct error *error = NULL;
    int r = g->look(s, ret, &error);

    if (r == 0)
        return false;
    ret->guard = g->name;
    if (r < 0)
        refuse(ret, "", "it cannot be told whether anything is against it: %s", error_message(error));
    return true;
}

bool guards_refuse(const struct scene *s, enum guard_time when, struct refusal *ret)
{
    for (size_t i = 0; i < n_guards; i++)
        if (guards[i].when >= when && guard_ask(&guards[i], s, ret))
            return true;
    return false;
}
