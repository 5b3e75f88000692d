/* stop-actions.h - the guards and actions that the table in stop.c names; for core/stop*.c only */
#ifndef STOPD_CORE_STOP_ACTIONS_H
#define STOPD_CORE_STOP_ACTIONS_H

#include "core/stop.h"

struct turn {
    struct operation *op;
    const struct input *in;
    struct moment now;
    struct reaction *out;
};

/* Does nothing where no button was taken, or the grace runs already. */
void resume_grace(struct operation *op, struct moment now);

/* Guards: may this row be taken? */
bool is_forced(const struct turn *t);
bool has_consent(const struct turn *t);
bool is_given_up(const struct turn *t);
bool may_force(const struct turn *t);
bool cut_due(const struct turn *t);
bool may_cut_now(const struct turn *t);
bool button_due(const struct turn *t);
bool never_pressed(const struct turn *t);
bool is_locked_since(const struct turn *t);
bool is_found_locked(const struct turn *t);
bool agent_is_absent(const struct turn *t);
bool agent_refused(const struct turn *t);
bool agent_gives_way(const struct turn *t);
bool agent_is_silent(const struct turn *t);
bool nothing_to_restore(const struct turn *t);
bool may_restore_now(const struct turn *t);

/* … of the clear, in stop-clear.c */
bool owes_a_clear(const struct turn *t);
bool is_a_later_run(const struct turn *t);
bool gave_up_owing(const struct turn *t);
bool disks_have_changed(const struct turn *t);
bool is_last_disk(const struct turn *t);
bool rest_is_quarantined(const struct turn *t);
bool must_quarantine(const struct turn *t);
bool must_quarantine_last(const struct turn *t);

/* Actions: they change the operation and add effects; they call nothing. */
void look(struct turn *t);
void look_later(struct turn *t);
void stand_still(struct turn *t);
void look_afresh(struct turn *t);
void begin_shutdown(struct turn *t);
void press(struct turn *t);
void count_press(struct turn *t);
void count_late_press(struct turn *t);
void press_failed(struct turn *t);
void press_acpi_instead(struct turn *t);
void count_silent_agent(struct turn *t);
void look_unseen(struct turn *t);
void wait_for_migration(struct turn *t);
void wake(struct turn *t);
void begin_forcing(struct turn *t);
void cut_after_grace(struct turn *t);
void escalate(struct turn *t);
void end_crashed(struct turn *t);
void cut_again(struct turn *t);
void look_after_cut(struct turn *t);
void cut_failed(struct turn *t);
void block(struct turn *t);
void unblock(struct turn *t);

/* … of its end, in stop-ends.c */
bool restore_is_hopeless(const struct turn *t);
void report_stopped(struct turn *t);
void settle(struct turn *t);
void settle_restored(struct turn *t);
void settle_unrestored(struct turn *t);
void fail_saved(struct turn *t);
void fail_migrated(struct turn *t);
void fail_started_again(struct turn *t);
void restore(struct turn *t);
void give_up(struct turn *t);
void give_up_unpressed(struct turn *t);
void cancel(struct turn *t);
void cancel_unbegun(struct turn *t);
void refuse_paused(struct turn *t);
void refuse_migrating(struct turn *t);
void refuse_locked(struct turn *t);
void refuse_agentless(struct turn *t);
void restore_failed(struct turn *t);

/* … of the clear, in stop-clear.c */
void begin_clear(struct turn *t);
void refuse_to_clear(struct turn *t);
void clear(struct turn *t);
void clear_on(struct turn *t);
void hold_clear(struct turn *t);
void wait_for_proof(struct turn *t);
void clear_again(struct turn *t);
void clear_later(struct turn *t);
void quarantine(struct turn *t);
void keep_waiting(struct turn *t);
void note_progress(struct turn *t);
void note_setback(struct turn *t);
void note_silence(struct turn *t);
void disk_cleared(struct turn *t);
void last_disk_cleared(struct turn *t);

/* What all files' actions are made of. */
void want(struct turn *t, enum effect effect);
void set_text(char **s, const char *value);
/* What it waits for; NULL: nothing. */
void say(struct operation *op, const char *what);
const char *error_text(const struct turn *t);
/* The delay after this one: it doubles, up to the most. */
usec_t again_after(usec_t delay, usec_t most);
/* What it waits for stands in the open, once it has failed often enough. */
void say_obstacle(struct turn *t, unsigned tries, const char *what);
/* No helper begins before the domain is seen off (again). */
void hold_until_seen(struct turn *t);
/* … of what is off: how it came about. */
const char *how_it_ended(const struct turn *t);
void finish_stopped(struct turn *t, const char *reason);

#endif
