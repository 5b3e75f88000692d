/* stop-clear.c - what a stop does about the local disks that it owes a clear
 *
 * Theory of operation. The guest is off, proved, and its disks were identified when the command was
 * accepted. Each is given to a helper, side by side; what a helper makes durable is journalled with
 * its progress, so that another helper goes on there after a crash. A try that fails is reported
 * and made again after a while; past its tries, or where no try can help (another identity, a level
 * that no method reaches), the disk is quarantined, and the operation stands in the open until an
 * operator says retry. What is nobody's doing (libvirt cannot tell, there is no helper) is no try,
 * and waited out with a backoff of its own. It is Stopped when every disk is cleared, verified and
 * certified, and not before.
 *
 * If the domain is started by somebody meanwhile the stop has failed: helpers end, and nothing is
 * cleared any more. While it cannot be told whether it was, and until it has been seen off after an
 * outage, a restart or an operator's retry, no other helper begins.
 */
#include "core/stop-actions.h"

#include <inttypes.h>
#include <stdio.h>

#define CLEAR_DELAY_LEAST (5 * USEC_PER_SEC)
#define CLEAR_DELAY_MOST (300 * USEC_PER_SEC)
/* What is nobody's doing passes by itself, and without a sign that it has. */
#define WAIT_DELAY_MOST (60 * USEC_PER_SEC)
#define CLEAR_TRIES_MOST 8

static struct planned_disk *disk_of(const struct turn *t)
{
    return &t->op->disks.items[t->in->news->index];
}

static const char *message_of(const struct turn *t)
{
    return t->in->news->message ? t->in->news->message : "no reason is known";
}

/* --- Guards -------------------------------------------------------------------------------- */

bool owes_a_clear(const struct turn *t)
{
    return !disk_plan_is_cleared(&t->op->disks);
}

bool gave_up_owing(const struct turn *t)
{
    return owes_a_clear(t) && is_given_up(t);
}

bool disks_have_changed(const struct turn *t)
{
    return owes_a_clear(t) && t->op->disks_changed;
}

/* The run that owes the clear has ended: whatever is there is another's, save where its process
 * should be known and is not. */
bool is_a_later_run(const struct turn *t)
{
    const struct incarnation *seen = &t->in->sighting->incarnation;

    return !t->op->has_processes ||
           (seen->pid != 0 && !incarnation_equal(seen, &t->op->incarnation));
}

/* Are all disks but the one that the input is about in one of these states? */
static bool others_are(const struct turn *t, enum disk_state a, enum disk_state b)
{
    for (size_t i = 0; i < t->op->disks.n; i++) {
        enum disk_state state = t->op->disks.items[i].state;

        if (i != t->in->news->index && state != a && state != b)
            return false;
    }
    return true;
}

bool is_last_disk(const struct turn *t)
{
    return others_are(t, DISK_CLEARED, DISK_CLEARED);
}

bool rest_is_quarantined(const struct turn *t)
{
    return others_are(t, DISK_CLEARED, DISK_QUARANTINED);
}

bool must_quarantine(const struct turn *t)
{
    return t->in->news->is_final ||
           (!t->in->news->is_nobodys && disk_of(t)->tries + 1 >= CLEAR_TRIES_MOST);
}

bool must_quarantine_last(const struct turn *t)
{
    return must_quarantine(t) && rest_is_quarantined(t);
}

/* --- Actions ------------------------------------------------------------------------------- */

/* The next try that the clock has to bring: of a disk that waits, and is not due yet. */
static usec_t next_try_of(const struct operation *op, usec_t monotonic)
{
    usec_t due = USEC_NEVER;

    for (size_t i = 0; i < op->disks.n; i++) {
        const struct planned_disk *d = &op->disks.items[i];

        if (d->state == DISK_WAITING && d->next_try > monotonic && d->next_try < due)
            due = d->next_try;
    }
    return due;
}

/* An operator's word, or the next try, or else that it can be seen. */
static void say_what_it_waits_for(struct turn *t)
{
    const struct planned_disk *held = NULL;
    char text[512];

    for (size_t i = 0; i < t->op->disks.n; i++) {
        const struct planned_disk *d = &t->op->disks.items[i];

        if (d->state == DISK_QUARANTINED || (d->state == DISK_WAITING && d->problem && !held))
            held = d;
        if (d->state == DISK_QUARANTINED)
            break;
    }
    if (held)
        snprintf(text, sizeof(text), "the local disk %s %s: %s", held->target,
                 held->state == DISK_QUARANTINED ? "is not cleared" : "waits for its next try",
                 held->problem);
    if (held || !t->op->is_unseen)
        say(t->op, held ? text : NULL);
}

void clear(struct turn *t)
{
    t->op->next_clear = t->op->is_held ? USEC_NEVER : next_try_of(t->op, t->now.monotonic);
    if (!t->op->is_held)
        want(t, EFFECT_CLEAR);
}

void clear_on(struct turn *t)
{
    if (t->op->is_held)
        say_what_it_waits_for(t); /* for that no more */
    t->op->is_held = false;
    t->op->look_delay = 0;
    clear(t);
}

void hold_until_seen(struct turn *t)
{
    t->op->is_held = true;
    t->op->next_clear = USEC_NEVER;
    say(t->op, NULL);
    say_what_it_waits_for(t);
}

/* The hypervisor says off, and whether the process of the run has ended cannot be told any more.
 * Where it says saved as well, no other helper begins before that is settled. */
void wait_for_proof(struct turn *t)
{
    const char *detail = t->in->sighting->process_detail;
    char text[512];

    if (end_goes_on(t->op->end)) {
        t->op->is_held = true;
        t->op->next_clear = USEC_NEVER;
    }
    look_later(t);
    if (!t->op->is_held || t->op->look_delay < LOOK_DELAY_MOST || is_set(t->op->detail))
        return;
    snprintf(text, sizeof(text), "its process is not proved to have ended: %s",
             is_set(detail) ? detail : "no more is known");
    say(t->op, text);
    t->out->unchanged = false;
}

/* What is seen may be a start: no other helper begins before the domain is seen off. One that is at
 * work looks for itself. */
void hold_clear(struct turn *t)
{
    t->op->is_held = true;
    t->op->next_clear = USEC_NEVER;
    if (t->in->kind == IN_SEEN_UNKNOWN && !is_set(t->op->detail))
        look_unseen(t);
    else
        look_later(t);
}

void begin_clear(struct turn *t)
{
    struct operation *op = t->op;

    stand_still(t);
    say(op, NULL);
    op->off_at = t->now.realtime;
    set_text(&op->ended, how_it_ended(t));
    operation_note(op, t->now.realtime, false, "off", "%s", how_it_ended(t));
    operation_note(op, t->now.realtime, false, "clearing", "%zu local disk%s", op->disks.n,
                   op->disks.n == 1 ? "" : "s");
    clear(t);
}

/* Which disks the guest had in the end is not known: an operator has to look. A retry clears what
 * was identified. */
void refuse_to_clear(struct turn *t)
{
    static const char why[] = "the instance's disks have changed since the stop was accepted";

    begin_clear(t);
    t->out->effects &= ~(unsigned)EFFECT_CLEAR;
    say(t->op, why);
    for (size_t i = 0; i < t->op->disks.n; i++) {
        t->op->disks.items[i].state = DISK_QUARANTINED;
        set_text(&t->op->disks.items[i].problem, why);
    }
    operation_note(t->op, t->now.realtime, false, "quarantined", "%s", why);
    t->out->every_disk_failed = true;
}

void note_progress(struct turn *t)
{
    const struct disk_news *news = t->in->news;
    struct planned_disk *d = disk_of(t);
    bool was_waiting = d->state == DISK_WAITING;

    if (news->state == DISK_VERIFYING && d->state != DISK_VERIFYING)
        operation_note(t->op, t->now.realtime, false, "verifying", "%s", d->target);
    if (!text_equal(d->method, news->method) && news->method)
        operation_note(t->op, t->now.realtime, false, "method", "%s: %s", d->target, news->method);
    d->state = news->state;
    d->waits = 0;
    if (was_waiting)
        say_what_it_waits_for(t);
    if (news->method)
        set_text(&d->method, news->method);
    d->done = news->done;
    d->verified = news->verified;
    d->mib_per_s = news->mib_per_s;
    d->seconds_left = news->seconds_left;
    if (news->resume) {
        json_object *resume = NULL;

        /* Without memory for the newer word the older one stands: a little is cleared twice. */
        if (json_object_deep_copy(news->resume, &resume, NULL) == 0) {
            json_object_put(d->resume);
            d->resume = resume;
        }
    }
}

void note_setback(struct turn *t)
{
    operation_note(t->op, t->now.realtime, false, "setback", "%s: %s", disk_of(t)->target,
                   message_of(t));
}

void note_silence(struct turn *t)
{
    set_text(&disk_of(t)->problem, message_of(t));
    operation_note(t->op, t->now.realtime, true, "no answer", "%s: %s", disk_of(t)->target,
                   message_of(t));
}

void disk_cleared(struct turn *t)
{
    struct planned_disk *d = disk_of(t);

    d->state = DISK_CLEARED;
    d->done = d->verified = d->bytes;
    d->seconds_left = 0;
    set_text(&d->problem, NULL);
    json_object_put(d->resume);
    d->resume = NULL;
    operation_note(t->op, t->now.realtime, false, "cleared", "%s by %s, verified", d->target,
                   d->method ? d->method : "a helper");
    t->out->disk_cleared = true;
    say_what_it_waits_for(t);
}

void last_disk_cleared(struct turn *t)
{
    const char *ended = t->op->ended;
    char reason[120];

    disk_cleared(t);
    snprintf(reason, sizeof(reason), "%s%slocal disks cleared", ended ? ended : "",
             ended ? "; " : "");
    finish_stopped(t, reason);
}

static void note_failure(struct turn *t, const char *what)
{
    struct planned_disk *d = disk_of(t);

    d->tries += !t->in->news->is_nobodys;
    d->waits = t->in->news->is_nobodys ? d->waits + 1 : 0;
    d->mib_per_s = d->seconds_left = 0;
    if (t->in->news->is_spent) {
        json_object_put(d->resume);
        d->resume = NULL;
    }
    set_text(&d->problem, message_of(t));
    operation_note(t->op, t->now.realtime, true, what, "%s: %s", d->target, message_of(t));
    t->out->disk_failed = !t->in->news->is_nobodys;
}

/* Doubled with each failure, and up to half as long again by lot. */
static usec_t delay_of(const struct turn *t)
{
    const struct planned_disk *d = disk_of(t);
    unsigned failures = d->waits ? d->waits - 1 : d->tries;
    usec_t most = d->waits ? WAIT_DELAY_MOST : CLEAR_DELAY_MOST;
    usec_t delay = CLEAR_DELAY_LEAST << (failures < 8 ? failures : 8);

    if (delay > most)
        delay = most;
    return delay + delay / 2 * t->in->news->spread / 1000;
}

void clear_later(struct turn *t)
{
    struct planned_disk *d = disk_of(t);

    note_failure(t, "not cleared");
    d->state = DISK_WAITING;
    d->next_try = t->now.monotonic + delay_of(t);
    if (d->next_try < t->op->next_clear)
        t->op->next_clear = d->next_try;
    say_what_it_waits_for(t);
    /* What stands in the helper's way may have come about unseen: a run of it, a saved image. */
    if (t->in->news->is_nobodys)
        look(t);
}

void quarantine(struct turn *t)
{
    note_failure(t, "quarantined");
    disk_of(t)->state = DISK_QUARANTINED;
    say_what_it_waits_for(t);
}

/* Past its tries an operator has looked: every disk that is not cleared has all its tries again.
 * What was seen of the domain may be long ago. */
void clear_again(struct turn *t)
{
    operation_note(t->op, t->now.realtime, false, "retry", "commanded by %s", t->in->principal);
    for (size_t i = 0; i < t->op->disks.n; i++) {
        struct planned_disk *d = &t->op->disks.items[i];

        if (d->state == DISK_CLEARED || d->state == DISK_CLEARING || d->state == DISK_VERIFYING)
            continue;
        d->state = DISK_WAITING;
        d->tries = d->waits = 0;
        d->next_try = 0;
        set_text(&d->problem, NULL);
    }
    hold_until_seen(t);
    look(t);
}

void keep_waiting(struct turn *t)
{
}
