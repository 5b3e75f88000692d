/* libvirt-look.c - one look at one domain, and at all of them
 *
 * Theory of operation. A look brings together what three witnesses say: libvirt about the state,
 * its XML about the definition, the kernel about the process. They are asked one after the other
 * and the domain may move on in between; each answer is true of its moment, and the two that a stop
 * is decided by do not contradict each other for long: off is asked first, and the end of a
 * remembered process, judged last, is final. Where libvirt says that a domain is up and its process
 * is not to be found, the state is asked again, since it has most likely just ended.
 *
 * Questions are chosen so that none waits for the domain's job, the lock that a stuck monitor or
 * agent holds: state and XML do not. Whether a migration runs does (it begins a query job), so it
 * is asked only of a domain that is up and whose control interface is free or a long job's, which
 * virDomainGetControlInfo tells without waiting. A migration is a long job from its first moment to
 * its last: where the interface is occupied by a call that belongs to none, none is under way. One
 * whose monitor is stuck keeps the question waiting for half a minute; that is no answer. The same
 * question tells which way a migration goes, which the state of a guest that stands still does not.
 *
 * A running domain costs six round trips, one that is off four, and one that is ending two or
 * three, each of some tenths of a millisecond: many may be ending together, and nothing is decided
 * there that its definition has a part in. While libvirt kills a process (it looks every 200 ms
 * whether it is gone) it holds the domain, and a look comes back at the moment when it is off.
 */
#include "drivers/hypervisor/libvirt-driver.h"

#include "drivers/hypervisor/domain-xml.h"
#include "drivers/hypervisor/libvirt-errors.h"
#include "drivers/hypervisor/process.h"
#include "drivers/hypervisor/qemu-log.h"
#include "drivers/hypervisor/qemu-process.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <libvirt/virterror.h>

/* How often the state is asked again where it and the process do not agree. */
#define TRIES 3

static enum end_cause cause_of_shutoff(int reason)
{
    switch (reason) {
    case VIR_DOMAIN_SHUTOFF_SHUTDOWN:
        return END_SHUTDOWN;
    case VIR_DOMAIN_SHUTOFF_DESTROYED:
    case VIR_DOMAIN_SHUTOFF_FROM_SNAPSHOT:
        return END_DESTROYED;
    case VIR_DOMAIN_SHUTOFF_CRASHED:
        return END_CRASHED;
    case VIR_DOMAIN_SHUTOFF_MIGRATED:
        return END_MIGRATED;
    case VIR_DOMAIN_SHUTOFF_SAVED:
        return END_SAVED;
    case VIR_DOMAIN_SHUTOFF_FAILED:
        return END_FAILED;
    case VIR_DOMAIN_SHUTOFF_DAEMON:
        return END_DAEMON;
    default:
        return END_UNKNOWN;
    }
}

/* A guest that has panicked is crashed, or paused for that reason while libvirt is about to act on
 * it, or has lost the mark of it over a restart. Of one that is starting up it is not told yet
 * whether it comes from another host. */
enum domain_state libvirt_domain_state(int state, int reason)
{
    switch (state) {
    case VIR_DOMAIN_RUNNING:
    case VIR_DOMAIN_BLOCKED:
        return DOMAIN_RUNNING;
    case VIR_DOMAIN_PAUSED:
        if (reason == VIR_DOMAIN_PAUSED_STARTING_UP)
            return DOMAIN_UNKNOWN;
        return reason == VIR_DOMAIN_PAUSED_CRASHED ? DOMAIN_CRASHED : DOMAIN_PAUSED;
    case VIR_DOMAIN_PMSUSPENDED:
        return DOMAIN_PMSUSPENDED;
    case VIR_DOMAIN_CRASHED:
        return DOMAIN_CRASHED;
    case VIR_DOMAIN_SHUTDOWN:
        return DOMAIN_ENDING;
    case VIR_DOMAIN_SHUTOFF:
        return DOMAIN_OFF;
    default:
        return DOMAIN_UNKNOWN;
    }
}

static bool is_migrating(int state, int reason)
{
    return (state == VIR_DOMAIN_PAUSED &&
            (reason == VIR_DOMAIN_PAUSED_MIGRATION || reason == VIR_DOMAIN_PAUSED_POSTCOPY ||
             reason == VIR_DOMAIN_PAUSED_POSTCOPY_FAILED)) ||
           (state == VIR_DOMAIN_RUNNING && (reason == VIR_DOMAIN_RUNNING_POSTCOPY ||
                                            reason == VIR_DOMAIN_RUNNING_POSTCOPY_FAILED));
}

/* Whose memory comes behind it runs where it came to, and stands still where it left. */
static enum migration_way way_of(int state, int reason)
{
    if (state == VIR_DOMAIN_PAUSED &&
        (reason == VIR_DOMAIN_PAUSED_POSTCOPY || reason == VIR_DOMAIN_PAUSED_POSTCOPY_FAILED))
        return WAY_OUT;
    return state == VIR_DOMAIN_RUNNING && is_migrating(state, reason) ? WAY_IN : WAY_UNTOLD;
}

static bool is_up(enum domain_state state)
{
    return state != DOMAIN_OFF && state != DOMAIN_ABSENT;
}

/* A domain that is gone makes a sighting, what else fails an error. */
static int absent_or_error(virDomainPtr dom, struct sighting *s, struct error **err,
                           const char *what)
{
    if (!libvirt_failed_with(VIR_ERR_NO_DOMAIN))
        return libvirt_error(err, "%s domain '%s'", what, virDomainGetName(dom));
    s->state = DOMAIN_ABSENT;
    return 0;
}

/* A domain that is up is remembered for no former end, unless that came while we asked. */
static int see_state(struct libvirt *l, virDomainPtr dom, struct sighting *s, struct error **err)
{
    uint64_t stamp = end_stamp(l);
    int state, reason;

    if (virDomainGetState(dom, &state, &reason, 0) < 0)
        return absent_or_error(dom, s, err, "ask the state of");
    s->state = libvirt_domain_state(state, reason);
    s->in_migration = is_migrating(state, reason);
    s->way = way_of(state, reason);
    if (is_up(s->state))
        end_forget(l, s->domain, stamp);
    s->cause = s->state == DOMAIN_OFF ? cause_of_shutoff(reason) : END_UNKNOWN;
    return 0;
}

static void forget_detail(struct sighting *s)
{
    free(s->process_detail);
    s->process_detail = NULL;
}

/* The process of a domain that is up; without one the detail says why. pidfd: the caller's. */
static int see_process(const struct connection *c, virDomainPtr dom, struct sighting *s,
                       const struct incarnation *remembered, int *ret_pidfd)
{
    const struct surroundings *around = &c->around;

    forget_detail(s);
    *ret_pidfd = -1;
    if (!around->has_processes)
        return 0;
    if (around->why_no_pid)
        return text_replace(&s->process_detail, around->why_no_pid);
    return qemu_find_process(around->pid_directory, virDomainGetName(dom), s->domain, remembered,
                             &s->incarnation, ret_pidfd, &s->process_detail);
}

static int see_state_and_process(struct connection *c, virDomainPtr dom, struct sighting *s,
                                 const struct incarnation *remembered, struct error **err)
{
    int pidfd = -1;
    int r = see_state(c->driver, dom, s, err);

    for (int tries = 0; r == 0 && is_up(s->state) && tries < TRIES; tries++) {
        enum domain_state before = s->state;

        if (see_process(c, dom, s, remembered, &pidfd) == 0)
            break;
        r = see_state(c->driver, dom, s, err);
        if (s->state == before)
            break;
    }
    if (!is_up(s->state))
        forget_detail(s);
    watch_process(c->driver, s->domain, &s->incarnation, pidfd);
    return r;
}

static int see_definition(virDomainPtr dom, struct sighting *s, struct error **err)
{
    _cleanup_(freep) char *live = NULL;
    _cleanup_(freep) char *inactive = NULL;
    _cleanup_(error_free) struct error *unreadable = NULL;

    if (is_up(s->state)) {
        live = virDomainGetXMLDesc(dom, 0);
        if (!live)
            return absent_or_error(dom, s, err, "read the definition of");
    }
    /* A transient domain has none, and libvirt then gives the live one again. */
    inactive = virDomainGetXMLDesc(dom, VIR_DOMAIN_XML_INACTIVE);
    if (!inactive)
        return absent_or_error(dom, s, err, "read the inactive definition of");
    if (domain_xml_read(live, inactive, &s->instance, &s->lifecycle, &unreadable) < 0 &&
        error_code_of(unreadable) == ERROR_NO_MEMORY)
        return error_no_memory(err);
    return 0;
}

static int see_managed_save(virDomainPtr dom, struct sighting *s, struct error **err)
{
    int r = virDomainHasManagedSaveImage(dom, 0);

    s->has_managed_save = r > 0;
    if (r >= 0 || libvirt_failed_with(VIR_ERR_NO_SUPPORT))
        return 0;
    return absent_or_error(dom, s, err, "ask for a saved image of");
}

/* An image has the definition of when it was made: with disks, perhaps, that were attached to that
 * run alone, and that the next start takes up again. */
static int see_saved_definition(virDomainPtr dom, struct sighting *s, struct error **err)
{
    _cleanup_(freep) char *saved = NULL;
    _cleanup_(error_free) struct error *unreadable = NULL;

    if (!s->has_managed_save || !s->instance)
        return 0;
    saved = virDomainManagedSaveGetXMLDesc(dom, 0);
    if (saved && domain_xml_add_disks(saved, s->instance, &unreadable) == 0)
        return 0;
    if (unreadable && error_code_of(unreadable) == ERROR_NO_MEMORY)
        return error_no_memory(err);
    s->save_is_untold = true;
    return 0;
}

/* The operation is told by the job's statistics only, and of a migration only on the host that it
 * leaves: on the other libvirt says that it does not support that, and of nothing else. Negative
 * where another call holds the domain for too long. */
static int ask_job(virDomainPtr dom, enum migration_way *ret)
{
    virTypedParameterPtr parameters = NULL;
    int n = 0, type = VIR_DOMAIN_JOB_NONE, operation = VIR_DOMAIN_JOB_OPERATION_UNKNOWN;

    *ret = WAY_UNTOLD;
    if (virDomainGetJobStats(dom, &type, &parameters, &n, 0) < 0) {
        if (libvirt_failed_with(VIR_ERR_OPERATION_UNSUPPORTED))
            *ret = WAY_IN;
        return libvirt_failed_with(VIR_ERR_OPERATION_TIMEOUT) ? -EAGAIN : 0;
    }
    if (type != VIR_DOMAIN_JOB_NONE)
        virTypedParamsGetInt(parameters, n, VIR_DOMAIN_JOB_OPERATION, &operation);
    virTypedParamsFree(parameters, n);
    if (operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT)
        *ret = WAY_OUT;
    else if (operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN)
        *ret = WAY_IN;
    return 0;
}

static bool may_be_asked(const struct connection *c, virDomainPtr dom)
{
    virDomainControlInfo control;

    return c->around.has_processes && virDomainGetControlInfo(dom, &control, 0) == 0 &&
           (control.state == VIR_DOMAIN_CONTROL_OK || control.state == VIR_DOMAIN_CONTROL_JOB);
}

bool libvirt_in_migration(const struct connection *c, virDomainPtr dom)
{
    enum migration_way way;
    int state, reason;

    if (may_be_asked(c, dom) && ask_job(dom, &way) == 0)
        return way != WAY_UNTOLD;
    return c->around.has_processes && virDomainGetState(dom, &state, &reason, 0) == 0 &&
           is_migrating(state, reason);
}

static int see_migration(const struct connection *c, virDomainPtr dom, struct sighting *s,
                         struct error **err)
{
    enum migration_way way;

    if (s->way != WAY_UNTOLD || (s->state != DOMAIN_RUNNING && s->state != DOMAIN_PAUSED) ||
        !may_be_asked(c, dom))
        return 0;
    if (ask_job(dom, &way) < 0 && !s->in_migration)
        return libvirt_error(err, "ask whether domain '%s' migrates", virDomainGetName(dom));
    s->in_migration |= way == WAY_OUT;
    if (s->in_migration)
        s->way = way;
    return 0;
}

static void make_absent(struct sighting *s)
{
    uuid_t domain;

    uuid_copy(domain, s->domain);
    sighting_clear(s);
    uuid_copy(s->domain, domain);
    s->state = DOMAIN_ABSENT;
}

/* Whoever asks after one of its runs has seen its definition, and sees it again when it is off; of
 * a transient domain this is the last that there is. */
static bool is_known_to_end(virDomainPtr dom, const struct sighting *s,
                            const struct incarnation *remembered)
{
    return s->state == DOMAIN_ENDING && remembered && remembered->pid > 0 &&
           virDomainIsPersistent(dom) == 1;
}

static int see(struct connection *c, virDomainPtr dom, const struct incarnation *remembered,
               struct sighting *s, struct error **err)
{
    int r = see_state_and_process(c, dom, s, remembered, err);

    if (r == 0 && s->state != DOMAIN_ABSENT && !is_known_to_end(dom, s, remembered))
        r = see_definition(dom, s, err);
    if (r == 0 && s->state == DOMAIN_OFF)
        r = see_managed_save(dom, s, err);
    if (r == 0)
        r = see_saved_definition(dom, s, err);
    return r < 0 ? r : see_migration(c, dom, s, err);
}

/* Where libvirt has forgotten how a domain ended, its events may have told, or be about to: of a
 * run that was known. Else the domain's log may tell that it has not stopped; so it may where all
 * that libvirt knows is that a later start has failed. */
static void complete_cause(const struct connection *c, const struct incarnation *remembered,
                           struct sighting *s)
{
    bool is_due = s->state == DOMAIN_ABSENT && remembered && remembered->pid > 0;
    const char *name = s->state == DOMAIN_OFF && s->instance ? s->instance->name : NULL;
    enum end_cause logged = END_UNKNOWN;

    if (s->state == DOMAIN_ABSENT)
        make_absent(s);
    if (!is_up(s->state) && s->cause == END_UNKNOWN)
        s->cause = end_recall(c->driver, s->domain, is_due);
    if (!is_up(s->state) && (s->cause == END_UNKNOWN || s->cause == END_FAILED) &&
        c->around.log_directory && (name || is_due))
        logged = qemu_log_end(c->around.log_directory, name, s->domain);
    if (logged != END_UNKNOWN)
        s->cause = logged;
}

static void judge_remembered(struct connection *c, const struct incarnation *remembered,
                             struct sighting *s)
{
    _cleanup_(freep) char *detail = NULL;
    int pidfd;

    if (!remembered || !c->around.has_processes)
        return;
    if (c->around.why_no_pid) { /* its pid says nothing here, and least of all that it has ended */
        s->remembered = remembered->pid > 0 ? PROCESS_UNKNOWN : PROCESS_NONE;
        (void)text_replace(&s->process_detail, c->around.why_no_pid);
        return;
    }
    s->remembered = process_fate(remembered, &pidfd, &detail);
    watch_process(c->driver, s->domain, remembered, pidfd);
    if (detail) {
        forget_detail(s);
        s->process_detail = take(detail);
    }
}

/* libvirt tells of the last run alone, which need not be the one that was remembered. */
static void see_run_since(const struct connection *c, const struct incarnation *remembered,
                          struct sighting *s)
{
    const char *name = s->instance ? s->instance->name : NULL;
    usec_t began_at;

    if (!is_up(s->state) && s->remembered == PROCESS_ENDED && c->around.log_directory &&
        process_began_at(remembered, &began_at) == 0)
        s->has_run_since =
            qemu_log_has_run_since(c->around.log_directory, name, s->domain, began_at);
}

/* Hands on what a _cleanup_ variable holds. */
static struct sighting take_sighting(struct sighting *s)
{
    struct sighting taken = *s;

    *s = (struct sighting){0};
    return taken;
}

int libvirt_look(struct hypervisor *h, const uuid_t domain, const struct incarnation *remembered,
                 struct sighting *ret, struct error **err)
{
    struct libvirt *l = libvirt_of(h);
    _cleanup_(lease_end) struct connection *c = NULL;
    _cleanup_(domain_free) virDomainPtr dom = NULL;
    _cleanup_(sighting) struct sighting s = {0};
    char text[UUID_TEXT_SIZE];
    int r;

    uuid_copy(s.domain, domain);
    r = lease_begin(l, &c, err);
    if (r < 0)
        return r;
    dom = virDomainLookupByUUID(c->conn, domain);
    if (dom) {
        r = see(c, dom, remembered, &s, err);
    } else if (libvirt_failed_with(VIR_ERR_NO_DOMAIN)) {
        s.state = DOMAIN_ABSENT;
    } else {
        uuid_unparse_lower(domain, text);
        r = libvirt_error(err, "look for domain %s", text);
    }
    if (r < 0)
        return r;
    complete_cause(c, remembered, &s);
    judge_remembered(c, remembered, &s);
    see_run_since(c, remembered, &s);
    *ret = take_sighting(&s);
    return 0;
}

bool libvirt_is_alive(struct hypervisor *h, const struct incarnation *who)
{
    _cleanup_(freep) char *detail = NULL;
    _cleanup_(close) int pidfd = -1;

    return who->pid > 0 && processes_are_seen(libvirt_of(h)) &&
           process_fate(who, &pidfd, &detail) == PROCESS_ALIVE;
}

static void domains_free(virDomainPtr *doms)
{
    for (virDomainPtr *d = doms; d && *d; d++)
        virDomainFree(*d);
    free(doms);
}
DEFINE_CLEANUP(virDomainPtr *, domains_free);

/* Its state could not be told; its definition may have been. */
static void make_unknown(struct sighting *s)
{
    struct instance *definition = take(s->instance);
    uuid_t domain;

    uuid_copy(domain, s->domain);
    sighting_clear(s);
    uuid_copy(s->domain, domain);
    s->instance = definition;
}

/* Adds one domain to the list: as unknown where it cannot be read, not at all where it is gone by
 * now. */
static int list_one(struct connection *c, virDomainPtr dom, struct sightings *list,
                    struct error **err)
{
    struct sighting *s = &list->items[list->n];
    _cleanup_(error_free) struct error *why = NULL;
    uuid_t domain;

    if (virDomainGetUUID(dom, domain) < 0)
        return libvirt_error(err, "list the domains");
    uuid_copy(s->domain, domain);
    if (see(c, dom, NULL, s, &why) < 0) {
        if (connection_is_broken(c) || error_code_of(why) == ERROR_NO_MEMORY) {
            sighting_clear(s);
            return error_move(err, &why);
        }
        make_unknown(s);
    }
    complete_cause(c, NULL, s);
    if (s->state != DOMAIN_ABSENT)
        list->n++;
    return 0;
}

int libvirt_list(struct hypervisor *h, struct sightings *ret, struct error **err)
{
    struct libvirt *l = libvirt_of(h);
    _cleanup_(lease_end) struct connection *c = NULL;
    _cleanup_(domains_free) virDomainPtr *doms = NULL;
    struct sightings list = {0};
    int n;
    int r = lease_begin(l, &c, err);

    if (r < 0)
        return r;
    n = virConnectListAllDomains(c->conn, &doms, 0);
    if (n < 0)
        return libvirt_error(err, "list the domains of %s", l->uri);
    list.items = calloc((size_t)n + 1, sizeof(*list.items));
    if (!list.items)
        return error_no_memory(err);
    for (int i = 0; i < n && r == 0; i++)
        r = list_one(c, doms[i], &list, err);
    if (r < 0)
        sightings_clear(&list);
    else
        *ret = list;
    return r;
}
