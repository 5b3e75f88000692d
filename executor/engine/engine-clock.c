/* engine-clock.c - a clock that is set, and what may be forgotten by it
 *
 * Theory of operation. What is kept for so long is dated by the real-time clock, which can be wrong
 * and can be set. Where it is set forward, all that was written before looks older than it is. So
 * that much is taken off when ages are reckoned, until whatever was written before the leap is old
 * enough by the monotonic clock too. A clock that is set back makes things look younger, and they
 * are kept for longer, which does no harm.
 *
 * Over a restart of this program it cannot be told how much of what the clock has gone on by was
 * time. So ages stand still while nobody is there to count them, save for a short while: what is
 * reckoned by stands in the journal, with when that was, and a longer pause is a leap too.
 */
#include "engine/engine-internal.h"

/* The two clocks are read one after the other: less than this is no leap. */
#define LEAP_LEAST ((int64_t)USEC_PER_SEC)
/* A restart, and the time since it was written down last, are no leap. */
#define PAUSE_MOST (10 * 60 * USEC_PER_SEC)

static void leap_by(struct engine *e, usec_t leap)
{
    e->ahead += leap;
    e->ahead_until = e->now.monotonic + e->settings.retain;
}

static void leap_back(struct engine *e, usec_t leap)
{
    e->ahead -= e->ahead < leap ? e->ahead : leap;
}

int engine_resume_clock(struct engine *e, struct error **err)
{
    struct heartbeat last = {0};
    int r = journal_last_touch(e->journal, &last, err);

    e->clock_offset = (int64_t)(e->now.realtime - e->now.monotonic);
    if (r <= 0)
        return r;
    e->ahead = last.ahead;
    e->ahead_until = e->now.monotonic + last.ahead_left;
    if (e->now.realtime < last.at)
        leap_back(e, last.at - e->now.realtime);
    else if (e->now.realtime - last.at > PAUSE_MOST)
        leap_by(e, e->now.realtime - last.at);
    return 0;
}

struct heartbeat engine_heartbeat(const struct engine *e)
{
    usec_t now = e->now.monotonic;

    return (struct heartbeat){.at = e->now.realtime,
                              .ahead = e->ahead,
                              .ahead_left = e->ahead_until > now ? e->ahead_until - now : 0};
}

void engine_watch_clock(struct engine *e)
{
    int64_t offset = (int64_t)(e->now.realtime - e->now.monotonic);
    int64_t leap = offset - e->clock_offset;

    e->clock_offset = offset;
    if (e->ahead_until <= e->now.monotonic)
        e->ahead = 0;
    if (leap > LEAP_LEAST)
        leap_by(e, (usec_t)leap);
    else if (leap < -LEAP_LEAST)
        leap_back(e, (usec_t)-leap);
}

usec_t engine_retain_from(const struct engine *e)
{
    usec_t kept = e->settings.retain + e->ahead;

    return e->now.realtime > kept ? e->now.realtime - kept : 0;
}
