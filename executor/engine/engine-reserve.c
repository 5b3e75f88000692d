/* engine-reserve.c - a journal whose disk is full: what is under way is finished, nothing new
 * begins
 *
 * Theory of operation. A turn that could not be written for want of room is dropped like any other
 * that failed; but then the journal gives the disk a piece of its reserve, and the next turn comes
 * at once. From then on the engine does all that it does, except that it accepts nothing new, for
 * every stop that is accepted needs room for its end. Once a second it looks whether there is room
 * again. A reserve that was all in vain is kept spent until a commit has succeeded.
 *
 * The markers of what is owed a clear lie on the same disk, and without one no clear begins. The
 * journal may go on for long in files that have the room already: so a marker that finds none is
 * given a piece of its own, and is then written at once. Of such pieces there are few: most of the
 * reserve is for commits. Whatever was left without a marker gets it when there is room again.
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

static void go_on_reserve(struct engine *e, const char *why)
{
    if (!e->on_reserve)
        say_full(why);
    e->on_reserve = true;
    e->reserve_at = e->now.monotonic + RESERVE_AGAIN;
}

bool engine_spend_reserve(struct engine *e, const struct error *failure)
{
    if (!journal_spend_reserve(e->journal))
        return false;
    go_on_reserve(e, failure->message);
    return true;
}

/* Each of many that are full at once tells so, and a piece is room for hundreds. */
void engine_give_room(struct engine *e)
{
    if (e->room_at > e->now.monotonic || !journal_give_room(e->journal))
        return;
    e->room_at = e->now.monotonic + RESERVE_AGAIN;
    go_on_reserve(e, "the journal's disk has no room to mark what is owed a clear");
    engine_say_debts(e);
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
        engine_say_debts(e);
        log_notice("there is room on the journal's disk again: its reserve is whole, and commands "
                   "are taken");
    }
}
