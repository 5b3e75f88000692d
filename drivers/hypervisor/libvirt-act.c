/* libvirt-act.c - what is done to a domain: the button, the power cut, and what belongs to them
 *
 * Theory of operation. Every act means one incarnation. libvirt goes by the UUID and would as
 * readily hit the next one, so the process that runs is compared with the one that is meant right
 * before each call that does something, after whatever else is asked, the closest that can be had:
 * milliseconds remain. What cannot be compared is not acted on.
 *
 * The interlock. A guest that reboots on the button would come back up, so for the time of a stop
 * "reboot" and "power-off" are both made to mean the end of the domain. libvirt refuses to change
 * on_reboot while on_poweroff is "restart", so power-off is set first, and put back last. A
 * hypervisor that cannot do this can still press the button.
 *
 * A power cut asks libvirt as little as possible before it: a domain whose monitor is stuck is just
 * what it is for. Of what it asks, only whether the domain migrates can wait for the monitor, and
 * that is not asked while a call has the control interface (libvirt-look.c). A long job leaves it
 * askable, since that could be a migration: where QEMU stops answering in the middle of one, the
 * first cut can wait until its own time-out, and a later one until libvirt gives up the question.
 */
#include "drivers/hypervisor/libvirt-driver.h"

#include "drivers/hypervisor/domain-metadata.h"
#include "drivers/hypervisor/domain-xml.h"
#include "drivers/hypervisor/libvirt-errors.h"
#include "drivers/hypervisor/process.h"
#include "drivers/hypervisor/qemu-process.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <libvirt/virterror.h>

/* One act on one run of a domain, over one connection. */
struct act {
    struct connection *c;
    const unsigned char *domain;
    const struct incarnation *meant;
    virDomainPtr dom;
    const char *name;   /* the domain's, its own */
    bool is_unanswered; /* a call that does something is out, or may be: its answer was lost */
};

static void act_cleanup(struct act *a)
{
    domain_free(a->dom);
    lease_end(a->c);
}

/* No process was found where the meant one ran: has that ended, or could it just not be seen? */
static int judge_missing(const struct act *a, const char *why, struct error **err)
{
    _cleanup_(freep) char *detail = NULL;
    _cleanup_(close) int pidfd = -1;

    if (process_fate(a->meant, &pidfd, &detail) == PROCESS_ENDED)
        return error_set(err, ERROR_NOT_RUNNING, "domain '%s' as it ran with pid %d has ended",
                         a->name, a->meant->pid);
    return error_set(err, ERROR_UNKNOWN, "domain '%s': %s", a->name, why ? why : "out of memory");
}

static int check_incarnation(const struct act *a, struct error **err)
{
    const struct surroundings *around = &a->c->around;
    const struct incarnation *meant = a->meant;
    _cleanup_(freep) char *why = NULL;
    struct incarnation now;
    int pidfd = -1;
    int r;

    if (!around->has_processes)
        return 0;
    if (around->why_no_pid)
        return error_set(err, ERROR_UNKNOWN, "domain '%s': %s", a->name, around->why_no_pid);
    if (meant->pid <= 0)
        return error_set(err, ERROR_UNKNOWN, "it is not known which run of domain '%s' is meant",
                         a->name);
    r = qemu_find_process(around->pid_directory, a->name, a->domain, meant, &now, &pidfd, &why);
    close_cleanup(&pidfd);
    if (r < 0)
        return judge_missing(a, why, err);
    if (!incarnation_equal(&now, meant))
        return error_set(err, ERROR_NOT_RUNNING,
                         "another run of domain '%s' is there now (pid %d) than is meant (pid %d)",
                         a->name, now.pid, meant->pid);
    return 0;
}

static int act_begin(struct hypervisor *h, const uuid_t domain, const struct incarnation *meant,
                     struct act *a, struct error **err)
{
    int r = lease_begin(libvirt_of(h), &a->c, err);

    if (r < 0)
        return r;
    a->domain = domain;
    a->meant = meant;
    a->dom = virDomainLookupByUUID(a->c->conn, domain);
    if (!a->dom) {
        char text[UUID_TEXT_SIZE];

        uuid_unparse_lower(domain, text);
        return libvirt_error(err, "look for domain %s", text);
    }
    a->name = virDomainGetName(a->dom);
    return 0;
}

/* What has no such element, or no inactive definition, has no lock there. */
static int check_unlocked(const struct act *a, unsigned where, struct error **err)
{
    _cleanup_(freep) char *element =
        virDomainGetMetadata(a->dom, VIR_DOMAIN_METADATA_ELEMENT, METADATA_NAMESPACE, where);
    bool is_locked;
    int r;

    if (!element &&
        (libvirt_failed_with(VIR_ERR_NO_DOMAIN_METADATA) ||
         libvirt_failed_with(VIR_ERR_OPERATION_INVALID) || libvirt_failed_with(VIR_ERR_NO_SUPPORT)))
        return 0;
    if (!element)
        return libvirt_error(err, "read the metadata of domain '%s'", a->name);
    r = instance_xml_is_locked(element, &is_locked, err);
    if (r < 0 || !is_locked)
        return r;
    return error_set(err, ERROR_LOCKED_FOR_SECURITY, NULL);
}

int libvirt_check_lock(struct hypervisor *h, const uuid_t domain, struct error **err)
{
    _cleanup_(act) struct act a = {0};
    int r = act_begin(h, domain, NULL, &a, err);

    if (r == 0)
        r = check_unlocked(&a, VIR_DOMAIN_AFFECT_LIVE, err);
    if (r == 0)
        r = check_unlocked(&a, VIR_DOMAIN_AFFECT_CONFIG, err);
    return r;
}

/* A button needs a guest that runs: libvirt refuses it otherwise, but does not say which of the
 * reasons it is. */
static int why_not_pressed(const struct act *a, struct error **refused, struct error **err)
{
    int state;

    if (virDomainGetState(a->dom, &state, NULL, 0) < 0)
        return libvirt_error(err, "ask the state of domain '%s'", a->name);
    switch (state) {
    case VIR_DOMAIN_RUNNING:
    case VIR_DOMAIN_BLOCKED:
        return error_move(err, refused);
    case VIR_DOMAIN_PAUSED:
        return error_set(err, ERROR_NOT_RUNNING,
                         "domain '%s' is paused and cannot answer a power button", a->name);
    case VIR_DOMAIN_PMSUSPENDED:
        return error_set(err, ERROR_NOT_RUNNING,
                         "domain '%s' is suspended and has to be woken first", a->name);
    case VIR_DOMAIN_CRASHED:
        return error_set(err, ERROR_NOT_RUNNING,
                         "the guest of domain '%s' has crashed and cannot answer a power button",
                         a->name);
    case VIR_DOMAIN_NOSTATE:
        return error_set(err, ERROR_UNKNOWN, "domain '%s' has no state yet", a->name);
    default:
        return error_set(err, ERROR_NOT_RUNNING, "domain '%s' is off or going off", a->name);
    }
}

/* While one migrates libvirt would keep a call waiting for half a minute, to refuse it then; save a
 * power cut, which could hit a guest that by now runs elsewhere. */
static int check_not_migrating(const struct act *a, struct error **err)
{
    if (!libvirt_in_migration(a->c, a->dom))
        return 0;
    return error_set(err, ERROR_NOT_RUNNING, "domain '%s' is being migrated", a->name);
}

static int set_action(struct act *a, unsigned type, enum lifecycle_action action,
                      struct error **err)
{
    static const unsigned actions[LIFECYCLE_MAX] = {
        [LIFECYCLE_DESTROY] = VIR_DOMAIN_LIFECYCLE_ACTION_DESTROY,
        [LIFECYCLE_RESTART] = VIR_DOMAIN_LIFECYCLE_ACTION_RESTART,
        [LIFECYCLE_PRESERVE] = VIR_DOMAIN_LIFECYCLE_ACTION_PRESERVE,
    };
    bool is_poweroff = type == VIR_DOMAIN_LIFECYCLE_POWEROFF;
    int r = check_incarnation(a, err);

    if (r < 0)
        return r;
    if (virDomainSetLifecycleAction(a->dom, type, actions[action], VIR_DOMAIN_AFFECT_LIVE) == 0)
        return 0;
    a->is_unanswered = !libvirt_has_answered();
    return libvirt_error(err, "set %s of domain '%s' to %s",
                         is_poweroff ? "on_poweroff" : "on_reboot", a->name,
                         lifecycle_action_to_string(action));
}

/* An action that is not in our words could not be put back, so it is left alone. */
static int set_interlock(struct act *a, const struct lifecycle *seen, struct error **err)
{
    int r = 0;

    if (seen->on_poweroff == LIFECYCLE_UNKNOWN || seen->on_reboot == LIFECYCLE_UNKNOWN)
        return 0;
    if (seen->on_poweroff != LIFECYCLE_DESTROY)
        r = set_action(a, VIR_DOMAIN_LIFECYCLE_POWEROFF, LIFECYCLE_DESTROY, err);
    if (r == 0 && seen->on_reboot != LIFECYCLE_DESTROY)
        r = set_action(a, VIR_DOMAIN_LIFECYCLE_REBOOT, LIFECYCLE_DESTROY, err);
    return r;
}

/* As set_interlock(), but a hypervisor that cannot is no error. */
static int interlock_where_possible(struct act *a, const struct lifecycle *seen, struct error **err)
{
    _cleanup_(error_free) struct error *why = NULL;

    if (!a->c->around.takes_flags) /* test:/// knows no lifecycle actions and never reboots */
        return 0;
    if (set_interlock(a, seen, &why) == 0 || error_code_of(why) == ERROR_UNSUPPORTED)
        return 0;
    return error_move(err, &why);
}

static int press(struct act *a, enum button button, struct press *ret, struct error **err)
{
    _cleanup_(error_free) struct error *why = NULL;
    unsigned flags = button == BUTTON_AGENT ? VIR_DOMAIN_SHUTDOWN_GUEST_AGENT
                                            : VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN;
    const char *name = button == BUTTON_AGENT ? "ask the guest agent of domain '%s' to shut down"
                                              : "press the power button of domain '%s'";
    bool is_agents_own;
    int r = check_incarnation(a, err);

    if (r < 0)
        return r;
    atomic_store(&ret->is_asked, true);
    if (virDomainShutdownFlags(a->dom, a->c->around.takes_flags ? flags : 0) == 0)
        return 0;
    a->is_unanswered = !libvirt_has_answered();
    is_agents_own = !a->is_unanswered && libvirt_failed_with(VIR_ERR_INTERNAL_ERROR);
    libvirt_error(&why, name, a->name);
    /* "QEMU guest agent is not configured" is of the kind that says unsupported. */
    if (button == BUTTON_AGENT && error_code_of(why) == ERROR_UNSUPPORTED)
        return error_set(err, ERROR_AGENT_ABSENT, "%s", error_message(why));
    /* What the agent itself answers, "has been disabled" for one, has no code of its own. */
    if (button == BUTTON_AGENT && is_agents_own)
        return error_set(err, ERROR_AGENT_REFUSED, "%s", error_message(why));
    if (error_code_of(why) == ERROR_NOT_RUNNING)
        return why_not_pressed(a, &why, err);
    return error_move(err, &why);
}

int libvirt_press_button(struct hypervisor *h, const uuid_t domain, const struct incarnation *meant,
                         enum button button, const struct lifecycle *seen, struct press *ret,
                         struct error **err)
{
    _cleanup_(act) struct act a = {0};
    int r = act_begin(h, domain, meant, &a, err);

    if (r == 0)
        r = check_not_migrating(&a, err);
    if (r == 0 && seen)
        r = interlock_where_possible(&a, seen, err);
    if (r == 0)
        r = press(&a, button, ret, err);
    ret->is_over = !a.is_unanswered;
    return r;
}

int libvirt_restore(struct hypervisor *h, const uuid_t domain, const struct incarnation *meant,
                    const struct lifecycle *former, struct error **err)
{
    _cleanup_(act) struct act a = {0};
    int r = act_begin(h, domain, meant, &a, err);

    if (r == 0)
        r = check_not_migrating(&a, err);
    if (r == 0 && former->on_reboot != LIFECYCLE_UNKNOWN)
        r = set_action(&a, VIR_DOMAIN_LIFECYCLE_REBOOT, former->on_reboot, err);
    if (r == 0 && former->on_poweroff != LIFECYCLE_UNKNOWN)
        r = set_action(&a, VIR_DOMAIN_LIFECYCLE_POWEROFF, former->on_poweroff, err);
    return r;
}

int libvirt_wake(struct hypervisor *h, const uuid_t domain, const struct incarnation *meant,
                 struct error **err)
{
    _cleanup_(act) struct act a = {0};
    int r = act_begin(h, domain, meant, &a, err);

    if (r == 0)
        r = check_not_migrating(&a, err);
    if (r == 0)
        r = check_incarnation(&a, err);
    if (r == 0 && virDomainPMWakeup(a.dom, 0) < 0)
        r = libvirt_error(err, "wake domain '%s'", a.name);
    return r;
}

/* Somebody may have reset it since it was seen, and what runs in it now could lose something. */
static int check_crashed(const struct act *a, struct error **err)
{
    int state, reason;

    if (virDomainGetState(a->dom, &state, &reason, 0) < 0)
        return libvirt_error(err, "ask the state of domain '%s'", a->name);
    if (libvirt_domain_state(state, reason) == DOMAIN_CRASHED)
        return 0;
    return error_set(err, ERROR_NOT_RUNNING, "the guest of domain '%s' is no longer crashed",
                     a->name);
}

int libvirt_cut_power(struct hypervisor *h, const uuid_t domain, const struct incarnation *meant,
                      bool only_crashed, struct error **err)
{
    _cleanup_(act) struct act a = {0};
    int r = act_begin(h, domain, meant, &a, err);

    if (r == 0)
        r = check_not_migrating(&a, err);
    if (r == 0 && only_crashed)
        r = check_crashed(&a, err);
    if (r == 0)
        r = check_incarnation(&a, err);
    if (r == 0 && virDomainDestroyFlags(a.dom, VIR_DOMAIN_DESTROY_DEFAULT) < 0)
        r = libvirt_error(err, "destroy domain '%s'", a.name);
    return r;
}
