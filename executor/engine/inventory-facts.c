/* inventory-facts.c - what the journal remembers of a domain beside what was reported
 *
 * Theory of operation. Things can be gone by the time that they are needed. Of a transient
 * domain that ended while stopd was away no definition is left, and its event has to say whether
 * local disks were kept, and which resources it had. That a domain was saved to a file of
 * somebody's is known to libvirt only until it is restarted; such a domain is not to be cleared.
 * And what stops have left to be put right of the run, see engine-interlock.c. All stand beside the
 * last report, as one small JSON document.
 */
#include "engine/inventory.h"

#include "base/json.h"
#include "base/json-writer.h"

#include <errno.h>
#include <string.h>

const struct instance *domain_definition(const struct domain *d)
{
    return d->instance ? d->instance : d->former;
}

static void write_interlock(struct json_writer *w, const struct interlock *i)
{
    if (!interlock_is_owed(i))
        return;
    json_write_begin(w, "interlock", '{');
    json_write_bool(w, "mayBeSet", i->may_be_set);
    json_write_number(w, "buttonsOut", i->buttons_out);
    json_write_string(w, "onPoweroff", lifecycle_action_to_string(i->former.on_poweroff));
    json_write_string(w, "onReboot", lifecycle_action_to_string(i->former.on_reboot));
    json_write_end(w, '}');
}

char *domain_remember(const struct domain *d, const struct last_report *report)
{
    _cleanup_(json_writer) struct json_writer w = {0};
    const struct instance *i = domain_definition(d);

    json_write_begin(&w, NULL, '{');
    if (report->is_filed)
        json_write_bool(&w, "saved", true);
    write_interlock(&w, &report->interlock);
    if (i) {
        json_write_string(&w, "type", i->type);
        json_write_number(&w, "vcpus", i->vcpus);
        json_write_number(&w, "memoryKiB", i->memory_kib);
        json_write_string(&w, "publicIp", i->public_ip);
    }
    json_write_end(&w, '}');
    return json_writer_take(&w);
}

static int recall_definition(struct domain *d, json_object *o)
{
    _cleanup_(instance_free) struct instance *i = instance_new();
    const char *type, *public_ip;
    uint64_t vcpus;

    if (!i)
        return -ENOMEM;
    if (!json_object_object_get_ex(o, "vcpus", NULL))
        return 0; /* it had no definition that could be read */
    if (json_get_string(o, "type", &type) < 0 || json_get_number(o, "vcpus", &vcpus) < 0 ||
        json_get_number(o, "memoryKiB", &i->memory_kib) < 0 ||
        json_get_string(o, "publicIp", &public_ip) < 0 || vcpus > UINT32_MAX)
        return -EBADMSG;
    i->vcpus = (unsigned)vcpus;
    if (text_replace(&i->type, type) < 0 || text_replace(&i->public_ip, public_ip) < 0)
        return -ENOMEM;
    d->former = take(i);
    return 0;
}

static int recall_interlock(struct interlock *i, json_object *o)
{
    const char *on_poweroff, *on_reboot;
    json_object *owed;
    uint64_t n;

    if (!json_object_object_get_ex(o, "interlock", &owed))
        return 0;
    if (json_get_bool(owed, "mayBeSet", &i->may_be_set) < 0 ||
        json_get_number(owed, "buttonsOut", &n) < 0 || n > UINT32_MAX ||
        json_get_string(owed, "onPoweroff", &on_poweroff) < 0 || !on_poweroff ||
        json_get_string(owed, "onReboot", &on_reboot) < 0 || !on_reboot ||
        lifecycle_action_from_string(on_poweroff, &i->former.on_poweroff) < 0 ||
        lifecycle_action_from_string(on_reboot, &i->former.on_reboot) < 0)
        return -EBADMSG;
    i->buttons_out = (unsigned)n;
    return 0;
}

uint64_t facts_mark(const char *facts)
{
    uint64_t mark = 0xcbf29ce484222325; /* FNV-1a */

    if (!facts)
        return 0;
    for (; *facts; facts++)
        mark = (mark ^ (unsigned char)*facts) * 0x100000001b3;
    return mark ? mark : 1;
}

int domain_recall(struct domain *d, const char *facts)
{
    _cleanup_(json) json_object *o = NULL;
    bool saved;
    int r;

    if (!facts)
        return 0;
    r = json_parse_object(facts, strlen(facts), &o);
    if (r < 0)
        return r == -ENOMEM ? r : -EBADMSG;
    d->is_filed = json_get_bool(o, "saved", &saved) == 0 && saved;
    d->reported.is_filed = d->is_filed;
    if (recall_interlock(&d->reported.interlock, o) < 0)
        return -EBADMSG;
    return recall_definition(d, o);
}
