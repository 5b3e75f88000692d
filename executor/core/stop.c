/* stop.c - the stop: what happens in each stage on each input
 *
 * Theory of operation. A stop is accepted (queued), presses the power button until the guest is off
 * (shutting-down), or cuts the power with somebody's consent (forcing). It ends when the guest is
 * proved off, or fails for a reason that is reported. The hypervisor's events are only hints: every
 * decision rests on a look at the domain, weighed before it comes here, so that an event that is
 * lost, late or doubled changes nothing. An act is asked for by an effect and comes back as an
 * input; if neither result nor event comes, the deadlines in the operation make it look again.
 *
 * The grace is an allowance of time, not a date: it runs from the first button that the hypervisor
 * took, and stands still while the hypervisor is away or this program is, so that no outage turns
 * into a power cut that no button preceded. A hypervisor that is at hand and refuses the button
 * gets the same allowance before the stop fails with its reason: by then nothing has been asked of
 * the guest, and the consent to a power cut at the time-out is a consent to cut off a guest that
 * was asked.
 *
 * A stop that fails or is cancelled after the reboot interlock was set first puts the guest's
 * lifecycle actions back (relenting), or a reboot hours later would turn the guest off. Where there
 * is nothing to put back it still looks once more before it says that the instance is Running: a
 * button may be on its way yet, and a guest that went off on the last one has stopped.
 *
 * While a domain migrates the hypervisor takes no button and no change of its lifecycle actions,
 * and a power cut could hit a guest that by then runs elsewhere. A stop that has asked nothing of
 * the guest yet is refused; one that has waits, its grace standing still, for how the migration
 * ends.
 *
 * An operation lock may be set after the stop was accepted. Whichever look first shows one while no
 * button has been taken and no cut is out ends the stop as failed, unless its command overrode
 * locks; a guest that such a look finds off has stopped, by itself. An act that follows no look
 * (the first cut, a button again that was refused) finds out for itself right before. Once
 * something has been done to the guest a lock changes nothing: half a stop is worse than one that
 * goes on.
 *
 * This file is the table. The guards that its rows name are in stop-guards.c, the actions in
 * stop-actions.c and stop-ends.c; both of the clear in stop-clear.c.
 */
#include "core/stop-actions.h"

DEFINE_ENUM_WORDS(enum input_kind, input_kind, IN_MAX, "admitted", "attached", "detached",
                  "seen-running", "seen-paused", "seen-migrating", "seen-suspended", "seen-crashed",
                  "seen-ending", "seen-lingering", "seen-off", "seen-saved", "seen-migrated",
                  "seen-another", "seen-unknown", "pressed", "press-failed", "button-back", "cut",
                  "cut-failed", "woken", "restored", "restore-failed", "press-due", "look-due",
                  "cut-due", "restore-due", "clear-due", "grace-over", "force", "cancel", "retry",
                  "disk-progress", "disk-setback", "disk-silent", "disk-cleared", "disk-failed");

/* --- The table ----------------------------------------------------------------------------- */

/* A row's stage that stands for every stage but done; looked at after the stage's own rows. */
#define ANY STAGE_MAX
/* A row's next stage that leaves it as it is. */
#define STAY STAGE_MAX

#define RULE(stage, input, guard, action, next)            \
    {                                                      \
        stage, input, guard, action, next, #guard, #action \
    }

/* What happens in each stage on each input. What is not here is in `ignored` below, with its
 * reason. */
static const struct rule {
    enum stage stage;
    enum input_kind input;
    bool (*guard)(const struct turn *t);
    void (*action)(struct turn *t);
    enum stage next;
    const char *guard_name, *action_name;
} rules[] = {
    /* clang-format off */
    RULE(STAGE_QUEUED,        IN_ADMITTED,       is_forced,           begin_forcing,      STAGE_FORCING),
    RULE(STAGE_QUEUED,        IN_ADMITTED,       NULL,                begin_shutdown,     STAGE_SHUTTING_DOWN),
    RULE(STAGE_QUEUED,        IN_FORCE,          NULL,                escalate,           STAGE_FORCING),
    RULE(STAGE_QUEUED,        IN_CANCEL,         NULL,                cancel_unbegun,     STAGE_DONE),
    RULE(STAGE_QUEUED,        IN_SEEN_LINGERING, NULL,                look_later,         STAY),
    RULE(STAGE_QUEUED,        IN_SEEN_MIGRATING, NULL,                look_later,         STAY),

    RULE(STAGE_SHUTTING_DOWN, IN_SEEN_RUNNING,   is_locked_since,     refuse_locked,      STAGE_RELENTING),
    RULE(STAGE_SHUTTING_DOWN, IN_SEEN_SUSPENDED, is_locked_since,     refuse_locked,      STAGE_RELENTING),
    RULE(STAGE_SHUTTING_DOWN, IN_SEEN_CRASHED,   is_locked_since,     refuse_locked,      STAGE_RELENTING),
    RULE(STAGE_SHUTTING_DOWN, IN_SEEN_ENDING,    is_locked_since,     refuse_locked,      STAGE_RELENTING),
    RULE(STAGE_SHUTTING_DOWN, IN_SEEN_RUNNING,   button_due,          press,              STAY),
    RULE(STAGE_SHUTTING_DOWN, IN_PRESS_DUE,      NULL,                press,              STAY),
    RULE(STAGE_SHUTTING_DOWN, IN_PRESSED,        NULL,                count_press,        STAY),
    RULE(STAGE_SHUTTING_DOWN, IN_PRESS_FAILED,   is_found_locked,     refuse_locked,      STAGE_RELENTING),
    RULE(STAGE_SHUTTING_DOWN, IN_PRESS_FAILED,   agent_gives_way,     press_acpi_instead, STAY),
    RULE(STAGE_SHUTTING_DOWN, IN_PRESS_FAILED,   agent_is_silent,     count_silent_agent, STAY),
    RULE(STAGE_SHUTTING_DOWN, IN_PRESS_FAILED,   agent_is_absent,     refuse_agentless,   STAGE_RELENTING),
    RULE(STAGE_SHUTTING_DOWN, IN_PRESS_FAILED,   NULL,                press_failed,       STAY),
    RULE(STAGE_SHUTTING_DOWN, IN_SEEN_SUSPENDED, NULL,                wake,               STAY),
    RULE(STAGE_SHUTTING_DOWN, IN_SEEN_PAUSED,    never_pressed,       refuse_paused,      STAGE_RELENTING),
    RULE(STAGE_SHUTTING_DOWN, IN_SEEN_PAUSED,    NULL,                look_later,         STAY),
    RULE(STAGE_SHUTTING_DOWN, IN_SEEN_MIGRATING, never_pressed,       refuse_migrating,   STAGE_RELENTING),
    RULE(STAGE_SHUTTING_DOWN, IN_SEEN_MIGRATING, NULL,                wait_for_migration, STAY),
    RULE(STAGE_SHUTTING_DOWN, IN_SEEN_CRASHED,   NULL,                end_crashed,        STAGE_FORCING),
    RULE(STAGE_SHUTTING_DOWN, IN_SEEN_UNKNOWN,   NULL,                look_unseen,        STAY),
    RULE(STAGE_SHUTTING_DOWN, IN_GRACE_OVER,     never_pressed,       give_up_unpressed,  STAGE_RELENTING),
    RULE(STAGE_SHUTTING_DOWN, IN_GRACE_OVER,     may_force,           cut_after_grace,    STAGE_FORCING),
    RULE(STAGE_SHUTTING_DOWN, IN_GRACE_OVER,     NULL,                give_up,            STAGE_RELENTING),
    RULE(STAGE_SHUTTING_DOWN, IN_FORCE,          NULL,                escalate,           STAGE_FORCING),
    RULE(STAGE_SHUTTING_DOWN, IN_CANCEL,         NULL,                cancel,             STAGE_RELENTING),

    RULE(STAGE_RELENTING,     IN_SEEN_RUNNING,   nothing_to_restore,  settle,             STAGE_DONE),
    RULE(STAGE_RELENTING,     IN_SEEN_PAUSED,    nothing_to_restore,  settle,             STAGE_DONE),
    RULE(STAGE_RELENTING,     IN_SEEN_MIGRATING, nothing_to_restore,  settle,             STAGE_DONE),
    RULE(STAGE_RELENTING,     IN_SEEN_SUSPENDED, nothing_to_restore,  settle,             STAGE_DONE),
    RULE(STAGE_RELENTING,     IN_SEEN_CRASHED,   nothing_to_restore,  settle,             STAGE_DONE),
    RULE(STAGE_RELENTING,     IN_SEEN_RUNNING,   may_restore_now,     restore,            STAY),
    RULE(STAGE_RELENTING,     IN_SEEN_PAUSED,    may_restore_now,     restore,            STAY),
    RULE(STAGE_RELENTING,     IN_SEEN_SUSPENDED, may_restore_now,     restore,            STAY),
    RULE(STAGE_RELENTING,     IN_SEEN_CRASHED,   may_restore_now,     restore,            STAY),
    RULE(STAGE_RELENTING,     IN_SEEN_MIGRATING, NULL,                wait_for_migration, STAY),
    RULE(STAGE_RELENTING,     IN_SEEN_UNKNOWN,   NULL,                look_unseen,        STAY),
    RULE(STAGE_RELENTING,     IN_PRESSED,        NULL,                count_late_press,   STAY),
    RULE(STAGE_RELENTING,     IN_RESTORE_DUE,    NULL,                look,               STAY),
    RULE(STAGE_RELENTING,     IN_RESTORED,       NULL,                settle_restored,    STAGE_DONE),
    RULE(STAGE_RELENTING,     IN_RESTORE_FAILED, restore_is_hopeless, settle_unrestored,  STAGE_DONE),
    RULE(STAGE_RELENTING,     IN_RESTORE_FAILED, NULL,                restore_failed,     STAY),
    RULE(STAGE_RELENTING,     IN_FORCE,          NULL,                escalate,           STAGE_FORCING),

    RULE(STAGE_FORCING,       IN_SEEN_RUNNING,   is_locked_since,     refuse_locked,      STAGE_RELENTING),
    RULE(STAGE_FORCING,       IN_SEEN_PAUSED,    is_locked_since,     refuse_locked,      STAGE_RELENTING),
    RULE(STAGE_FORCING,       IN_SEEN_SUSPENDED, is_locked_since,     refuse_locked,      STAGE_RELENTING),
    RULE(STAGE_FORCING,       IN_SEEN_CRASHED,   is_locked_since,     refuse_locked,      STAGE_RELENTING),
    RULE(STAGE_FORCING,       IN_SEEN_ENDING,    is_locked_since,     refuse_locked,      STAGE_RELENTING),
    RULE(STAGE_FORCING,       IN_SEEN_MIGRATING, is_locked_since,     refuse_locked,      STAGE_RELENTING),
    RULE(STAGE_FORCING,       IN_SEEN_RUNNING,   may_cut_now,         cut_again,          STAY),
    RULE(STAGE_FORCING,       IN_SEEN_PAUSED,    may_cut_now,         cut_again,          STAY),
    RULE(STAGE_FORCING,       IN_SEEN_SUSPENDED, may_cut_now,         cut_again,          STAY),
    RULE(STAGE_FORCING,       IN_SEEN_ENDING,    may_cut_now,         cut_again,          STAY),
    RULE(STAGE_FORCING,       IN_SEEN_CRASHED,   cut_due,             cut_again,          STAY),
    RULE(STAGE_FORCING,       IN_SEEN_CRASHED,   NULL,                look_later,         STAY),
    RULE(STAGE_FORCING,       IN_SEEN_RUNNING,   has_consent,         look_later,         STAY),
    RULE(STAGE_FORCING,       IN_SEEN_PAUSED,    has_consent,         look_later,         STAY),
    RULE(STAGE_FORCING,       IN_SEEN_SUSPENDED, has_consent,         look_later,         STAY),
    RULE(STAGE_FORCING,       IN_SEEN_RUNNING,   NULL,                unblock,            STAGE_SHUTTING_DOWN),
    RULE(STAGE_FORCING,       IN_SEEN_PAUSED,    NULL,                unblock,            STAGE_SHUTTING_DOWN),
    RULE(STAGE_FORCING,       IN_SEEN_SUSPENDED, NULL,                unblock,            STAGE_SHUTTING_DOWN),
    RULE(STAGE_FORCING,       IN_SEEN_MIGRATING, NULL,                wait_for_migration, STAY),
    RULE(STAGE_FORCING,       IN_SEEN_UNKNOWN,   NULL,                look_unseen,        STAY),
    RULE(STAGE_FORCING,       IN_PRESSED,        NULL,                count_late_press,   STAY),
    RULE(STAGE_FORCING,       IN_CUT,            NULL,                look_after_cut,     STAY),
    RULE(STAGE_FORCING,       IN_CUT_FAILED,     is_found_locked,     refuse_locked,      STAGE_RELENTING),
    RULE(STAGE_FORCING,       IN_CUT_FAILED,     NULL,                cut_failed,         STAY),
    RULE(STAGE_FORCING,       IN_CUT_DUE,        NULL,                look,               STAY),

    RULE(STAGE_BLOCKED,       IN_SEEN_RUNNING,   is_given_up,         unblock,            STAGE_RELENTING),
    RULE(STAGE_BLOCKED,       IN_SEEN_PAUSED,    is_given_up,         unblock,            STAGE_RELENTING),
    RULE(STAGE_BLOCKED,       IN_SEEN_MIGRATING, is_given_up,         unblock,            STAGE_RELENTING),
    RULE(STAGE_BLOCKED,       IN_SEEN_SUSPENDED, is_given_up,         unblock,            STAGE_RELENTING),
    RULE(STAGE_BLOCKED,       IN_SEEN_CRASHED,   is_given_up,         unblock,            STAGE_RELENTING),
    RULE(STAGE_BLOCKED,       IN_SEEN_RUNNING,   has_consent,         unblock,            STAGE_FORCING),
    RULE(STAGE_BLOCKED,       IN_SEEN_PAUSED,    has_consent,         unblock,            STAGE_FORCING),
    RULE(STAGE_BLOCKED,       IN_SEEN_MIGRATING, has_consent,         unblock,            STAGE_FORCING),
    RULE(STAGE_BLOCKED,       IN_SEEN_SUSPENDED, has_consent,         unblock,            STAGE_FORCING),
    RULE(STAGE_BLOCKED,       IN_SEEN_CRASHED,   NULL,                unblock,            STAGE_FORCING),
    RULE(STAGE_BLOCKED,       IN_SEEN_RUNNING,   NULL,                unblock,            STAGE_SHUTTING_DOWN),
    RULE(STAGE_BLOCKED,       IN_SEEN_PAUSED,    NULL,                unblock,            STAGE_SHUTTING_DOWN),
    RULE(STAGE_BLOCKED,       IN_SEEN_MIGRATING, NULL,                unblock,            STAGE_SHUTTING_DOWN),
    RULE(STAGE_BLOCKED,       IN_SEEN_SUSPENDED, NULL,                unblock,            STAGE_SHUTTING_DOWN),

    RULE(STAGE_CLEARING,      IN_DISK_PROGRESS,  NULL,                note_progress,      STAY),
    RULE(STAGE_CLEARING,      IN_DISK_SETBACK,   NULL,                note_setback,       STAY),
    RULE(STAGE_CLEARING,      IN_DISK_SILENT,    NULL,                note_silence,       STAY),
    RULE(STAGE_CLEARING,      IN_DISK_CLEARED,   is_last_disk,        last_disk_cleared,  STAGE_DONE),
    RULE(STAGE_CLEARING,      IN_DISK_CLEARED,   rest_is_quarantined, disk_cleared,       STAGE_QUARANTINED),
    RULE(STAGE_CLEARING,      IN_DISK_CLEARED,   NULL,                disk_cleared,       STAY),
    RULE(STAGE_CLEARING,      IN_DISK_FAILED,    must_quarantine_last, quarantine,        STAGE_QUARANTINED),
    RULE(STAGE_CLEARING,      IN_DISK_FAILED,    must_quarantine,     quarantine,         STAY),
    RULE(STAGE_CLEARING,      IN_DISK_FAILED,    NULL,                clear_later,        STAY),
    RULE(STAGE_CLEARING,      IN_CLEAR_DUE,      NULL,                clear,              STAY),
    RULE(STAGE_CLEARING,      IN_RETRY,          NULL,                clear_again,        STAY),
    RULE(STAGE_CLEARING,      IN_SEEN_OFF,       NULL,                clear_on,           STAY),
    RULE(STAGE_CLEARING,      IN_SEEN_SAVED,     NULL,                fail_saved,         STAGE_DONE),
    RULE(STAGE_CLEARING,      IN_SEEN_LINGERING, NULL,                wait_for_proof,     STAY),
    RULE(STAGE_CLEARING,      IN_SEEN_ENDING,    is_a_later_run,      fail_started_again, STAGE_DONE),
    RULE(STAGE_CLEARING,      IN_SEEN_ENDING,    NULL,                hold_clear,         STAY),
    RULE(STAGE_CLEARING,      IN_SEEN_UNKNOWN,   NULL,                hold_clear,         STAY),
    RULE(STAGE_CLEARING,      IN_SEEN_RUNNING,   NULL,                fail_started_again, STAGE_DONE),
    RULE(STAGE_CLEARING,      IN_SEEN_PAUSED,    NULL,                fail_started_again, STAGE_DONE),
    RULE(STAGE_CLEARING,      IN_SEEN_MIGRATING, NULL,                fail_started_again, STAGE_DONE),
    RULE(STAGE_CLEARING,      IN_SEEN_SUSPENDED, NULL,                fail_started_again, STAGE_DONE),
    RULE(STAGE_CLEARING,      IN_SEEN_CRASHED,   NULL,                fail_started_again, STAGE_DONE),

    RULE(STAGE_QUARANTINED,   IN_RETRY,          NULL,                clear_again,        STAGE_CLEARING),
    RULE(STAGE_QUARANTINED,   IN_SEEN_ENDING,    is_a_later_run,      fail_started_again, STAGE_DONE),
    RULE(STAGE_QUARANTINED,   IN_SEEN_RUNNING,   NULL,                fail_started_again, STAGE_DONE),
    RULE(STAGE_QUARANTINED,   IN_SEEN_PAUSED,    NULL,                fail_started_again, STAGE_DONE),
    RULE(STAGE_QUARANTINED,   IN_SEEN_MIGRATING, NULL,                fail_started_again, STAGE_DONE),
    RULE(STAGE_QUARANTINED,   IN_SEEN_SUSPENDED, NULL,                fail_started_again, STAGE_DONE),
    RULE(STAGE_QUARANTINED,   IN_SEEN_CRASHED,   NULL,                fail_started_again, STAGE_DONE),

    /* A stop that was given up and whose guest went off all the same: the consent to a clear went with it. */
    RULE(STAGE_RELENTING,     IN_SEEN_OFF,       owes_a_clear,        settle,             STAGE_DONE),
    RULE(STAGE_QUEUED,        IN_SEEN_OFF,       disks_have_changed,  refuse_to_clear,    STAGE_QUARANTINED),
    RULE(STAGE_SHUTTING_DOWN, IN_SEEN_OFF,       disks_have_changed,  refuse_to_clear,    STAGE_QUARANTINED),
    RULE(STAGE_FORCING,       IN_SEEN_OFF,       disks_have_changed,  refuse_to_clear,    STAGE_QUARANTINED),
    RULE(STAGE_QUEUED,        IN_SEEN_OFF,       owes_a_clear,        begin_clear,        STAGE_CLEARING),
    RULE(STAGE_SHUTTING_DOWN, IN_SEEN_OFF,       owes_a_clear,        begin_clear,        STAGE_CLEARING),
    RULE(STAGE_FORCING,       IN_SEEN_OFF,       owes_a_clear,        begin_clear,        STAGE_CLEARING),
    RULE(STAGE_BLOCKED,       IN_SEEN_OFF,       gave_up_owing,       settle,             STAGE_DONE),
    RULE(STAGE_BLOCKED,       IN_SEEN_OFF,       disks_have_changed,  refuse_to_clear,    STAGE_QUARANTINED),
    RULE(STAGE_BLOCKED,       IN_SEEN_OFF,       owes_a_clear,        begin_clear,        STAGE_CLEARING),

    RULE(STAGE_QUARANTINED,   IN_SEEN_OFF,       NULL,                keep_waiting,       STAY),
    RULE(STAGE_QUARANTINED,   IN_SEEN_SAVED,     NULL,                fail_saved,         STAGE_DONE),
    RULE(STAGE_QUARANTINED,   IN_SEEN_LINGERING, NULL,                keep_waiting,       STAY),
    RULE(ANY,                 IN_SEEN_OFF,       NULL,                report_stopped,     STAGE_DONE),
    RULE(ANY,                 IN_SEEN_SAVED,     NULL,                fail_saved,         STAGE_DONE),
    RULE(ANY,                 IN_SEEN_MIGRATED,  NULL,                fail_migrated,      STAGE_DONE),
    RULE(ANY,                 IN_SEEN_ANOTHER,   NULL,                fail_started_again, STAGE_DONE),
    RULE(ANY,                 IN_SEEN_LINGERING, NULL,                block,              STAGE_BLOCKED),
    RULE(ANY,                 IN_SEEN_ENDING,    NULL,                look_later,         STAY),
    RULE(ANY,                 IN_SEEN_UNKNOWN,   NULL,                look_later,         STAY),
    RULE(ANY,                 IN_ATTACHED,       NULL,                look_afresh,        STAY),
    RULE(ANY,                 IN_DETACHED,       NULL,                stand_still,        STAY),
    RULE(ANY,                 IN_LOOK_DUE,       NULL,                look,               STAY),
    RULE(ANY,                 IN_WOKEN,          NULL,                look_later,         STAY),
    /* clang-format on */
};

/* What means nothing where no row takes it, and why. ANY here is every stage. */
static const struct {
    enum stage stage;
    enum input_kind input;
    const char *reason;
} ignored[] = {
    {STAGE_QUEUED, IN_SEEN_RUNNING, "its turn has not come"},
    {STAGE_QUEUED, IN_SEEN_PAUSED, "its turn has not come"},
    {STAGE_QUEUED, IN_SEEN_SUSPENDED, "its turn has not come"},
    {STAGE_QUEUED, IN_SEEN_CRASHED, "its turn has not come"},
    {STAGE_SHUTTING_DOWN, IN_SEEN_RUNNING, "the button has been pressed, the guest is at it"},
    {STAGE_RELENTING, IN_SEEN_RUNNING, "the restoring call is under way, or not due"},
    {STAGE_RELENTING, IN_SEEN_PAUSED, "the restoring call is under way, or not due"},
    {STAGE_RELENTING, IN_SEEN_SUSPENDED, "the restoring call is under way, or not due"},
    {STAGE_RELENTING, IN_SEEN_CRASHED, "the restoring call is under way, or not due"},
    {STAGE_RELENTING, IN_CANCEL, "it is given up already; operation_may_cancel() says so"},
    {STAGE_FORCING, IN_CANCEL, "the power is being cut; operation_may_cancel() says so"},
    {STAGE_BLOCKED, IN_CANCEL, "the guest is off; operation_may_cancel() says so"},
    {STAGE_FORCING, IN_FORCE, "it is forced already; the checks say so"},
    {STAGE_BLOCKED, IN_FORCE, "the hypervisor says off; the checks say so"},
    {ANY, IN_ADMITTED, "it has been admitted before"},
    {ANY, IN_PRESSED, "a button's late result"},
    {ANY, IN_PRESS_FAILED, "a button's late result"},
    {ANY, IN_BUTTON_BACK, "it is counted, and what it has done is looked at"},
    {ANY, IN_CUT, "a power cut's late result"},
    {ANY, IN_CUT_FAILED, "a power cut's late result"},
    {ANY, IN_RESTORED, "a restoring call's late result"},
    {ANY, IN_RESTORE_FAILED, "a restoring call's late result"},
    {ANY, IN_PRESS_DUE, "not this stage's clock"},
    {ANY, IN_CUT_DUE, "not this stage's clock"},
    {ANY, IN_RESTORE_DUE, "not this stage's clock"},
    {ANY, IN_CLEAR_DUE, "not this stage's clock"},
    {STAGE_CLEARING, IN_CANCEL, "the clear has begun; operation_may_cancel() says so"},
    {STAGE_QUARANTINED, IN_CANCEL, "the clear has begun; operation_may_cancel() says so"},
    {STAGE_CLEARING, IN_FORCE, "the guest is off; the checks say so"},
    {STAGE_QUARANTINED, IN_FORCE, "the guest is off; the checks say so"},
    {ANY, IN_RETRY, "nothing waits for a retry; operation_may_retry() says so"},
    {ANY, IN_DISK_PROGRESS, "a helper's late word"},
    {ANY, IN_DISK_SETBACK, "a helper's late word"},
    {ANY, IN_DISK_SILENT, "a helper's late word"},
    {ANY, IN_DISK_CLEARED, "a helper's late word"},
    {ANY, IN_DISK_FAILED, "a helper's late word"},
    {ANY, IN_GRACE_OVER, "not this stage's clock"},
    {STAGE_DONE, IN_MAX, "it is over"},
};

/* --- The step ------------------------------------------------------------------------------ */

static const struct rule *find_rule_of(enum stage stage, const struct turn *t)
{
    for (size_t i = 0; i < ELEMENTSOF(rules); i++)
        if (rules[i].stage == stage && rules[i].input == t->in->kind &&
            (!rules[i].guard || rules[i].guard(t)))
            return &rules[i];
    return NULL;
}

/* Until its process has ended too the hypervisor may have forgotten how the run has ended. Saved or
 * migrated it stays until it is seen to run after all. True: something durable was learnt. */
static bool learn_end(struct operation *op, const struct input *in)
{
    enum end_cause end = op->end;

    switch (in->kind) {
    case IN_SEEN_LINGERING:
        if (!end_goes_on(end) && sighting_end(in->sighting) != END_UNKNOWN)
            end = sighting_end(in->sighting);
        break;
    case IN_SEEN_RUNNING:
    case IN_SEEN_PAUSED:
    case IN_SEEN_MIGRATING:
    case IN_SEEN_SUSPENDED:
    case IN_SEEN_CRASHED:
        end = END_UNKNOWN;
        break;
    default:
        break;
    }
    if (end == op->end)
        return false;
    op->end = end;
    return true;
}

/* What was noted of its end on the way is undone where it stands again: somebody has reset it. Who
 * has seen that may have decided nothing by it (a full read, a turn that was lost). True: something
 * durable was learnt. */
static bool learn_recovery(struct operation *op, const struct input *in)
{
    bool stands = in->kind == IN_SEEN_RUNNING || in->kind == IN_SEEN_PAUSED ||
                  in->kind == IN_SEEN_MIGRATING || in->kind == IN_SEEN_SUSPENDED ||
                  (in->kind == IN_SEEN_CRASHED && op->stage == STAGE_BLOCKED);

    if (!op->ended || op->stage == STAGE_CLEARING || op->stage == STAGE_QUARANTINED ||
        !(stands || (in->has_stood && in->kind != IN_SEEN_CRASHED)))
        return false;
    set_text(&op->ended, NULL);
    return true;
}

/* Which run is being stopped is known from its first sighting on; and whether its disks are still
 * those that were identified is seen at each. True: something durable was learnt. */
static bool learn(struct operation *op, const struct input *in, struct moment now)
{
    bool learnt = learn_end(op, in);

    learnt |= learn_recovery(op, in);
    if (in->sighting && op->incarnation.pid == 0 && op->action == ACTION_STOP) {
        op->incarnation = in->sighting->incarnation;
        learnt |= op->incarnation.pid != 0;
    }
    if (in->is_back && op->buttons_out > 0) {
        op->buttons_out--;
        learnt = true;
    }
    if (in->definition && op->disks.n > 0 && !op->disks_changed &&
        disks_differ(in->definition, op->disks_at_acceptance))
        op->disks_changed = learnt = true;
    if (in->sighting && in->kind != IN_SEEN_UNKNOWN && op->is_unseen) {
        say(op, NULL);
        learnt = true;
    }
    if (in->sighting && in->kind != IN_SEEN_UNKNOWN) {
        if (op->in_migration && in->kind != IN_SEEN_MIGRATING) {
            say(op, NULL);
            if (op->stage == STAGE_SHUTTING_DOWN)
                resume_grace(op, now);
            learnt = true;
        }
        op->in_migration = in->kind == IN_SEEN_MIGRATING;
    }
    return learnt;
}

/* A result that no row takes still ends the wait for it; a deadline that no row takes is over. */
static void forget(struct operation *op, enum input_kind kind)
{
    switch (kind) {
    case IN_PRESSED:
    case IN_PRESS_FAILED:
        op->acting &= ~(unsigned)EFFECT_PRESS;
        break;
    case IN_CUT:
    case IN_CUT_FAILED:
        op->acting &= ~(unsigned)EFFECT_CUT;
        break;
    case IN_RESTORED:
    case IN_RESTORE_FAILED:
        op->acting &= ~(unsigned)EFFECT_RESTORE;
        break;
    case IN_PRESS_DUE:
        op->next_press = USEC_NEVER;
        break;
    case IN_CUT_DUE:
        op->next_cut = USEC_NEVER;
        break;
    case IN_RESTORE_DUE:
        op->next_restore = USEC_NEVER;
        break;
    case IN_LOOK_DUE:
        op->next_look = USEC_NEVER;
        break;
    case IN_CLEAR_DUE:
        op->next_clear = USEC_NEVER;
        break;
    case IN_GRACE_OVER:
        op->grace_left = 0;
        op->grace_since = USEC_NEVER;
        break;
    default:
        break;
    }
}

void step(struct operation *op, const struct input *in, struct moment now, struct reaction *ret)
{
    struct turn t = {.op = op, .in = in, .now = now, .out = ret};
    const struct rule *rule;
    bool learnt;

    *ret = (struct reaction){.unchanged = true, .rule = NO_RULE};
    if (op->stage == STAGE_DONE)
        return;
    learnt = learn(op, in, now);
    rule = find_rule_of(op->stage, &t);
    if (!rule)
        rule = find_rule_of(ANY, &t);
    if (in->kind == IN_CUT_DUE || in->kind == IN_RESTORE_DUE || in->kind == IN_LOOK_DUE ||
        in->kind == IN_CLEAR_DUE || !rule)
        forget(op, in->kind);
    ret->unchanged = !learnt && in->kind != IN_GRACE_OVER;
    if (!rule)
        return;
    ret->rule = (unsigned)(rule - rules);
    ret->unchanged = !learnt && (rule->action == look || rule->action == look_later ||
                                 rule->action == look_unseen || rule->action == clear ||
                                 rule->action == clear_on || rule->action == hold_clear ||
                                 rule->action == wait_for_proof || rule->action == keep_waiting);
    rule->action(&t);
    ret->unchanged &= !learnt;
    if (rule->next != STAY)
        op->stage = rule->next;
}

enum input_kind operation_due_input(const struct operation *op, usec_t monotonic)
{
    if (op->grace_since != USEC_NEVER && operation_grace_left(op, monotonic) == 0)
        return IN_GRACE_OVER;
    if (op->next_look <= monotonic)
        return IN_LOOK_DUE;
    if (op->next_cut <= monotonic)
        return IN_CUT_DUE;
    if (op->next_restore <= monotonic)
        return IN_RESTORE_DUE;
    if (op->next_press <= monotonic)
        return IN_PRESS_DUE;
    if (op->next_clear <= monotonic)
        return IN_CLEAR_DUE;
    return IN_MAX;
}

int operation_may_cancel(const struct operation *op, struct error **err)
{
    switch (op->stage) {
    case STAGE_QUEUED:
    case STAGE_SHUTTING_DOWN:
        return 0;
    case STAGE_RELENTING:
        return error_set(err, ERROR_INSTANCE_STATUS, "The stop is being given up already.");
    case STAGE_FORCING:
        return error_set(err, ERROR_INSTANCE_STATUS,
                         "The power is being cut; the stop can no longer be cancelled.");
    case STAGE_BLOCKED:
        return error_set(err, ERROR_INSTANCE_STATUS,
                         "The guest is off; the stop can no longer be cancelled.");
    case STAGE_CLEARING:
    case STAGE_QUARANTINED:
        return error_set(err, ERROR_INSTANCE_STATUS,
                         "The guest is off and its local disks are being cleared; the stop can no "
                         "longer be cancelled.");
    default:
        return error_set(err, ERROR_INSTANCE_STATUS, "The operation is finished.");
    }
}

int operation_may_retry(const struct operation *op, struct error **err)
{
    if (op->stage == STAGE_QUARANTINED || op->stage == STAGE_CLEARING)
        return 0;
    return error_set(err, ERROR_INSTANCE_STATUS,
                     "No disk of this operation waits for a retry (its phase is %s).",
                     operation_phase(op));
}

size_t stop_rules(const struct rule_view **ret)
{
    static struct rule_view views[ELEMENTSOF(rules)];

    for (size_t i = 0; i < ELEMENTSOF(rules); i++)
        views[i] = (struct rule_view){rules[i].stage, rules[i].input, rules[i].guard_name,
                                      rules[i].action_name, rules[i].next};
    *ret = views;
    return ELEMENTSOF(rules);
}

const char *stop_ignores(enum stage stage, enum input_kind input)
{
    for (size_t i = 0; i < ELEMENTSOF(ignored); i++)
        if ((ignored[i].stage == stage || ignored[i].stage == ANY) &&
            (ignored[i].input == input || ignored[i].input == IN_MAX))
            return ignored[i].reason;
    return NULL;
}
