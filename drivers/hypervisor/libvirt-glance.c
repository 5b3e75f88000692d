/* libvirt-glance.c - the states of all domains, by as little asking as can be
 *
 * Theory of operation. One call brings the state of every domain, whatever their number; which run
 * it is is read from the pid files, which costs libvirt nothing. A hypervisor that does not have
 * that call (test:///) lists its domains and is asked one by one. What a domain looks like is not
 * asked here: whoever finds a difference looks.
 */
#include "drivers/hypervisor/libvirt-driver.h"

#include "drivers/hypervisor/libvirt-errors.h"
#include "drivers/hypervisor/process.h"
#include "drivers/hypervisor/qemu-process.h"

#include <libvirt/virterror.h>

static void records_free(virDomainStatsRecordPtr *records)
{
    if (records)
        virDomainStatsRecordListFree(records);
}
DEFINE_CLEANUP(virDomainStatsRecordPtr *, records_free);

static void domains_free(virDomainPtr *doms)
{
    for (virDomainPtr *d = doms; d && *d; d++)
        virDomainFree(*d);
    free(doms);
}
DEFINE_CLEANUP(virDomainPtr *, domains_free);

/* A process that cannot be told is no difference. */
static void see_run(const struct connection *c, virDomainPtr dom, struct sighting *s)
{
    const struct surroundings *around = &c->around;
    _cleanup_(freep) char *why = NULL;
    _cleanup_(close) int pidfd = -1;

    if (around->has_processes && !around->why_no_pid && s->state != DOMAIN_OFF)
        (void)qemu_find_process(around->pid_directory, virDomainGetName(dom), s->domain, NULL,
                                &s->incarnation, &pidfd, &why);
}

static void add(const struct connection *c, virDomainPtr dom, int state, int reason,
                struct sightings *list)
{
    struct sighting *s = &list->items[list->n];

    if (virDomainGetUUID(dom, s->domain) < 0)
        return;
    s->state = libvirt_domain_state(state, reason);
    see_run(c, dom, s);
    list->n++;
}

static int make_room(struct sightings *list, int n, struct error **err)
{
    list->items = calloc((size_t)n + 1, sizeof(*list->items));
    return list->items ? 0 : error_no_memory(err);
}

static int add_records(const struct connection *c, virDomainStatsRecordPtr *records, int n,
                       struct sightings *list, struct error **err)
{
    int r = make_room(list, n, err);

    for (int i = 0; r == 0 && i < n; i++) {
        const virDomainStatsRecord *each = records[i];
        int state = VIR_DOMAIN_NOSTATE, reason = 0;

        virTypedParamsGetInt(each->params, each->nparams, "state.state", &state);
        virTypedParamsGetInt(each->params, each->nparams, "state.reason", &reason);
        add(c, each->dom, state, reason, list);
    }
    return r;
}

static int ask_each(const struct connection *c, struct sightings *list, struct error **err)
{
    _cleanup_(domains_free) virDomainPtr *doms = NULL;
    int n = virConnectListAllDomains(c->conn, &doms, 0);
    int r = n < 0 ? libvirt_error(err, "list the domains of %s", c->driver->uri)
                  : make_room(list, n, err);

    for (int i = 0; r == 0 && i < n; i++) {
        int state, reason;

        if (virDomainGetState(doms[i], &state, &reason, 0) < 0)
            state = VIR_DOMAIN_NOSTATE, reason = 0;
        add(c, doms[i], state, reason, list);
    }
    return r;
}

int libvirt_glance(struct hypervisor *h, struct sightings *ret, struct error **err)
{
    struct libvirt *l = libvirt_of(h);
    _cleanup_(lease_end) struct connection *c = NULL;
    _cleanup_(records_free) virDomainStatsRecordPtr *records = NULL;
    int n;
    int r = lease_begin(l, &c, err);

    if (r < 0)
        return r;
    n = virConnectGetAllDomainStats(c->conn, VIR_DOMAIN_STATS_STATE, &records, 0);
    if (n < 0 && libvirt_failed_with(VIR_ERR_NO_SUPPORT))
        return ask_each(c, ret, err);
    if (n < 0)
        return libvirt_error(err, "ask the states of the domains of %s", l->uri);
    return add_records(c, records, n, ret, err);
}
