/* engine-reserve.c - a journal whose disk is full: what is under way is finished, nothing new
 * begins
 *
 * Theory of operation. A turn that could not be written for want of room is dropped like any other
 * that failed; but then the journal gives the disk a piece of its reserve, and the next turn comes
 * at once. From then on the engine does all that it does, except that it accepts nothing new, for
 * every stop that is accepted needs room for its end. Once a second it looks whether there is room
 * again. A reserve that was all in vain is kept spent until a commit has succeeded.
 */
#include "engine/engine-internal.h"

#include "stopd/log.h"
#include "stopd/log-message-ids.h"

#define RESERVE_AGAIN USEC_PER_SEC

static void say_full(const char *why)
{
    const struct log_fields fields = {.message_id = MESSAGE_ID_JOURNAL_FULL};

    log_say(LOG_LEVEL_ERROR, &fields,
            "%s; its reserve is in use: what is under way is finished, and no new command is taken "
            "until there is room",
            why);
}

bool engine_spend_reserve(struct engine *e, const struct error *failure)
{
    if (!journal_spend_reserve(e->journal))
        return false;
    if (!e->on_reserve)
        say_full(failure->message);
    e->on_reserve = true;
    e->reserve_at = e->now.monotonic + RESERVE_AGAIN;
    return true;
}

void engine_watch_reserve(struct engine *e)
{
    if (e->journal_said || e->reserve_at > e->now.monotonic)
        return;
    e->reserve_at = USEC_NEVER;
    if (!journal_restore_reserve(e->journal)) {
        if (!e->on_reserve)
            say_full("the disk of the journal is too full");
        e->on_reserve = true;
        e->reserve_at = e->now.monotonic + RESERVE_AGAIN;
    } else if (e->on_reserve) {
        e->on_reserve = false;
        log_notice("there is room on the journal's disk again: its reserve is whole, and commands "
                   "are taken");
    }
}
