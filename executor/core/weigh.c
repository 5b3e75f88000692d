/* weigh.c - what a look at a domain amounts to
 *
 * Theory of operation. The hypervisor's word alone does not prove that a guest is off: libvirt can
 * report success and SHUTOFF while QEMU still writes. Where domains are processes, off needs both:
 * the hypervisor says so and the process of the run that is meant has ended. What lies between, and
 * what could not be asked, is neither on nor off.
 *
 * How a run has ended the hypervisor may forget (with its daemon) while the run's process is still
 * there. What it told meanwhile the operation keeps, and weighs with it.
 */
#include "core/stop.h"

static bool is_another(const struct sighting *s, const struct incarnation *meant,
                       bool has_processes)
{
    return has_processes && meant->pid && s->incarnation.pid &&
           !incarnation_equal(&s->incarnation, meant);
}

static enum input_kind weigh_present(const struct sighting *s, const struct incarnation *meant,
                                     bool has_processes)
{
    if (is_another(s, meant, has_processes))
        return IN_SEEN_ANOTHER;
    if (has_processes && meant->pid && s->remembered == PROCESS_ENDED)
        return IN_SEEN_ENDING;
    if (has_processes && !s->incarnation.pid)
        return IN_SEEN_UNKNOWN;

    if (s->in_migration && (s->state == DOMAIN_RUNNING || s->state == DOMAIN_PAUSED))
        return IN_SEEN_MIGRATING;
    switch (s->state) {
    case DOMAIN_RUNNING:
        return IN_SEEN_RUNNING;
    case DOMAIN_PAUSED:
        return IN_SEEN_PAUSED;
    case DOMAIN_PMSUSPENDED:
        return IN_SEEN_SUSPENDED;
    case DOMAIN_CRASHED:
        return IN_SEEN_CRASHED;
    default:
        return IN_SEEN_ENDING;
    }
}

enum end_cause sighting_end(const struct sighting *s)
{
    return s->has_managed_save && s->cause != END_MIGRATED ? END_SAVED : s->cause;
}

bool end_goes_on(enum end_cause end)
{
    return end == END_SAVED || end == END_MIGRATED;
}

static enum input_kind seen_as(enum end_cause end)
{
    if (end == END_MIGRATED)
        return IN_SEEN_MIGRATED;
    if (end == END_SAVED)
        return IN_SEEN_SAVED;
    return IN_SEEN_OFF;
}

static enum input_kind weigh_gone(const struct sighting *s, const struct incarnation *meant,
                                  bool has_processes)
{
    if (has_processes && (!meant->pid || s->remembered != PROCESS_ENDED))
        return IN_SEEN_LINGERING;
    return seen_as(sighting_end(s));
}

enum input_kind sighting_weigh(const struct sighting *s, const struct incarnation *meant,
                               bool has_processes)
{
    switch (s->state) {
    case DOMAIN_UNKNOWN: /* of one that starts up the process is there before its state is told */
        return is_another(s, meant, has_processes) ? IN_SEEN_ANOTHER : IN_SEEN_UNKNOWN;
    case DOMAIN_OFF:
    case DOMAIN_ABSENT:
        return weigh_gone(s, meant, has_processes);
    default:
        return weigh_present(s, meant, has_processes);
    }
}

enum input_kind operation_weigh(const struct operation *op, const struct sighting *s)
{
    enum input_kind seen = sighting_weigh(s, &op->incarnation, op->has_processes);

    if (s->has_run_since) /* what it has left on the disks nobody has consented to lose */
        seen = IN_SEEN_ANOTHER;
    return seen == IN_SEEN_OFF ? seen_as(op->end) : seen;
}
