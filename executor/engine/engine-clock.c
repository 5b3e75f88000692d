/* engine-clock.c - a clock that is set, and what may be forgotten by it
 *
 * Theory of operation. What is kept for so long is dated by the real-time clock, which can be wrong
 * and can be set. Where it is set forward, all that was written before looks older than it is. So
 * that much is taken off when ages are reckoned, until whatever was written before the leap is old
 * enough by the monotonic clock too. A clock that is set back makes things look younger, and they
 * are kept for longer, which does no harm.
 */
#include "engine/engine-internal.h"

/* The two clocks are read one after the other: less than this is no leap. */
#define LEAP_LEAST ((int64_t)USEC_PER_SEC)

void engine_watch_clock(struct engine *e)
{
    int64_t offset = (int64_t)(e->now.realtime - e->now.monotonic);
    int64_t leap = offset - e->clock_offset;

    e->clock_offset = offset;
    if (e->ahead_until <= e->now.monotonic)
        e->ahead = 0;
    if (leap > LEAP_LEAST) {
        e->ahead += (usec_t)leap;
        e->ahead_until = e->now.monotonic + e->settings.retain;
    } else if (leap < -LEAP_LEAST) {
        e->ahead -= e->ahead < (usec_t)-leap ? e->ahead : (usec_t)-leap;
    }
}

usec_t engine_retain_from(const struct engine *e)
{
    usec_t kept = e->settings.retain + e->ahead;

    return e->now.realtime > kept ? e->now.realtime - kept : 0;
}
