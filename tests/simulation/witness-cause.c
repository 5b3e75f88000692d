/* witness-cause.c - how a guest has come to an end, and what the events say of it
 *
 * Theory of operation. An event's reason is held against what truly happened to the run. What the
 * hypervisor has forgotten nobody can tell; but a stop whose guest is off says something of how
 * that came about, and behind it that local disks were cleared where that is so, however often
 * stopd was restarted in between.
 */
#include "simulation/census.h"
#include "simulation/life.h"

#include <stdio.h>
#include <string.h>

#define AND_CLEARED "; local disks cleared"

static const struct {
    const char *reason;
    enum end_cause cause; /* UNKNOWN: any */
} meanings[] = {
    {"guest shut down", END_SHUTDOWN},
    {"guest shut down by itself", END_SHUTDOWN},
    {"destroyed by another hand", END_DESTROYED},
    {"destroyed", END_DESTROYED},
    {"guest crashed", END_CRASHED},
    {"hypervisor failure", END_FAILED},
    {"ended by the hypervisor's daemon", END_DAEMON},
    {"saved", END_SAVED},
    {"power cut", END_UNKNOWN},
    {"off, cause unknown", END_UNKNOWN},
};

/* The reason without what is said of disks. Returns whether that was said. */
static bool split(const char *reason, char ret[static 200])
{
    size_t length = strlen(reason), tail = strlen(AND_CLEARED);
    bool is_cleared = length >= tail && text_equal(reason + length - tail, AND_CLEARED);

    snprintf(ret, 200, "%.*s", (int)(is_cleared ? length - tail : length), reason);
    return is_cleared;
}

/* A guest that has panicked has crashed, whatever has ended its process; that somebody has undone
 * that meanwhile nobody may have seen. */
static bool fits(const struct seen_run *run, enum end_cause cause)
{
    return cause == END_UNKNOWN || run->cause == cause ||
           (cause == END_CRASHED && (run->is_crashed || run->was_crashed));
}

void witness_check_cause(struct life *life, const struct simulated_domain *d,
                         const struct seen_run *run, const char *reason)
{
    char ended[200];

    split(reason, ended);
    census_count("rule", "4.6 cause");
    for (size_t i = 0; i < ELEMENTSOF(meanings); i++)
        if (text_equal(ended, meanings[i].reason) && !fits(run, meanings[i].cause))
            rule_broken(life, "4.6 cause", "%s ended as %s, and the event says '%s'",
                        domain_word(d), end_cause_to_string(run->cause), reason);
    /* Who says off when it is not has no cause for that. */
    if (text_equal(ended, "off, cause unknown") && run->cause != END_UNKNOWN &&
        !life->has_misjudged)
        rule_broken(life, "4.6 cause", "%s ended as %s, and the event does not know",
                    domain_word(d), end_cause_to_string(run->cause));
}

static bool is_known(const char *reason)
{
    for (size_t i = 0; i < ELEMENTSOF(meanings); i++)
        if (text_equal(reason, meanings[i].reason))
            return true;
    return false;
}

bool witness_can_tell(const struct seen_run *run)
{
    return !run->is_cause_lost || run->is_told;
}

void witness_check_told(struct life *life, const struct ask *ask, const char *reason)
{
    const struct seen_run *run = &witness_domain(life, ask->domain)->runs[ask->run];
    char ended[200];
    bool is_cleared = split(reason, ended);

    census_count("rule", "4.6 told");
    if (!is_known(ended))
        rule_broken(life, "4.6 cause", "%s is Stopped, and '%s' says nothing of how it ended",
                    domain_word(ask->domain), reason);
    if (is_cleared != cast_is_cleared(ask->domain->definition))
        rule_broken(life, "4.6 cause", "'%s' is not what became of the disks of %s", reason,
                    domain_word(ask->domain));
    if (life->world->has_processes && run->is_crashed && ask->domain->run == ask->run &&
        !ask->is_escalated && !ask->force_on_timeout && text_equal(ended, "power cut") &&
        !witness_is_forced(life, ask))
        rule_broken(life, "4.6 cause", "%s had panicked, and the event says '%s'",
                    domain_word(ask->domain), reason);
}
