/* operation.c - the operation as a value: copies, timeline, clockwork */
#include "core/operation.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

DEFINE_ENUM_WORDS(enum instance_state, instance_state, STATE_MAX, "Pending", "Running", "Starting",
                  "Stopping", "Stopped");
DEFINE_ENUM_WORDS(enum stage, stage, STAGE_MAX, "queued", "shutting-down", "relenting", "forcing",
                  "blocked", "clearing", "quarantined", "done");
DEFINE_ENUM_WORDS(enum operation_action, operation_action, ACTION_MAX, "StopInstance",
                  "ClearLocalDisks");
DEFINE_ENUM_WORDS(enum outcome, outcome, OUTCOME_MAX, "", "Stopped", "Failed", "Cancelled");

/* Everything that is not cleared is being verified. */
static bool is_verifying(const struct disk_plan *p)
{
    bool verifying = false;

    for (size_t i = 0; i < p->n; i++) {
        if (p->items[i].state == DISK_CLEARED)
            continue;
        if (p->items[i].state != DISK_VERIFYING)
            return false;
        verifying = true;
    }
    return verifying;
}

const char *operation_phase(const struct operation *op)
{
    if (op->stage == STAGE_CLEARING && is_verifying(&op->disks))
        return "verifying";
    /* It goes on trying without an end in sight, and what stands in its way is said. */
    if (op->is_unseen ||
        ((op->stage == STAGE_RELENTING || op->stage == STAGE_FORCING) && op->detail))
        return "blocked";
    return stage_to_string(op->stage == STAGE_RELENTING ? STAGE_SHUTTING_DOWN : op->stage);
}

struct operation *operation_new(void)
{
    struct operation *op = calloc(1, sizeof(*op));

    if (!op)
        return NULL;
    op->grace_since = USEC_NEVER;
    op->next_press = USEC_NEVER;
    op->next_look = USEC_NEVER;
    op->next_cut = USEC_NEVER;
    op->next_restore = USEC_NEVER;
    op->next_clear = USEC_NEVER;
    return op;
}

void operation_free(struct operation *op)
{
    if (!op)
        return;
    timeline_clear(&op->timeline);
    free(op->instance_id);
    free(op->domain_name);
    free(op->principal);
    free(op->traceparent);
    free(op->error_message);
    free(op->forced_by);
    free(op->detail);
    free(op->ended);
    disk_plan_clear(&op->disks);
    free(op->disks_at_acceptance);
    free(op);
}

/* Duplicates in place what *s points to; a copied struct's strings are the original's until then.
 */
static int own(char **s)
{
    if (!*s)
        return 0;
    *s = strdup(*s);
    return *s ? 0 : -ENOMEM;
}

struct operation *operation_copy(const struct operation *op)
{
    _cleanup_(operation_free) struct operation *copy = malloc(sizeof(*copy));
    char **strings[9] = {NULL};

    if (!copy)
        return NULL;
    *copy = *op;
    copy->timeline = (struct timeline){0};
    copy->disks = (struct disk_plan){0};
    strings[0] = &copy->instance_id;
    strings[1] = &copy->domain_name;
    strings[2] = &copy->principal;
    strings[3] = &copy->traceparent;
    strings[4] = &copy->error_message;
    strings[5] = &copy->forced_by;
    strings[6] = &copy->detail;
    strings[7] = &copy->disks_at_acceptance;
    strings[8] = &copy->ended;
    for (size_t i = 0; i < ELEMENTSOF(strings); i++)
        if (own(strings[i]) < 0) {
            for (size_t k = i; k < ELEMENTSOF(strings); k++)
                *strings[k] = NULL;
            return NULL;
        }
    if (timeline_copy(&copy->timeline, &op->timeline) < 0 ||
        disk_plan_copy(&copy->disks, &op->disks) < 0)
        return NULL;
    return take(copy);
}

bool interlock_is_owed(const struct interlock *i)
{
    return i->may_be_set || i->buttons_out > 0;
}

struct interlock operation_interlock(const struct operation *op)
{
    return (struct interlock){
        .may_be_set = op->interlock_wanted, .buttons_out = op->buttons_out, .former = op->former};
}

bool operation_is_finished(const struct operation *op)
{
    return op->stage == STAGE_DONE;
}

enum instance_state operation_state(const struct operation *op)
{
    if (op->action == ACTION_CLEAR)
        return STATE_STOPPED;
    if (op->stage != STAGE_DONE)
        return STATE_STOPPING;
    if (op->outcome == OUTCOME_STOPPED || op->error == ERROR_SAVED)
        return STATE_STOPPED;
    return STATE_RUNNING;
}

usec_t operation_grace_left(const struct operation *op, usec_t monotonic)
{
    usec_t spent = op->grace_since == USEC_NEVER ? 0 : monotonic - op->grace_since;

    return spent < op->grace_left ? op->grace_left - spent : 0;
}

usec_t operation_next_due(const struct operation *op)
{
    usec_t due = op->next_look;

    if (op->next_press < due)
        due = op->next_press;
    if (op->next_cut < due)
        due = op->next_cut;
    if (op->next_restore < due)
        due = op->next_restore;
    if (op->next_clear < due)
        due = op->next_clear;
    if (op->grace_since != USEC_NEVER && op->grace_since + op->grace_left < due)
        due = op->grace_since + op->grace_left;
    return due;
}

void operation_note(struct operation *op, usec_t realtime, bool merge, const char *what,
                    const char *format, ...)
{
    const struct timeline_entry *last = timeline_last(&op->timeline);
    bool replaces = merge && last && text_equal(last->what, what);
    _cleanup_(freep) char *longer = NULL;
    char text[256]; /* most clauses fit */
    const char *detail = NULL;

    if (format) {
        va_list ap;
        int n;

        va_start(ap, format);
        n = vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        detail = n < 0 ? NULL : text;
        if (n >= (int)sizeof(text)) {
            va_start(ap, format);
            n = vasprintf(&longer, format, ap);
            va_end(ap);
            detail = longer = n < 0 ? NULL : longer;
        }
    }
    if (timeline_add(&op->timeline, realtime, what, detail) == 0 && replaces)
        timeline_drop_last_but_one(&op->timeline);
}
