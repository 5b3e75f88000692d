/* inventory.c - the domains of this host by UUID, name and id
 *
 * Theory of operation. The hash tables are json-c's. A name belongs to one domain at a time, for
 * libvirt sees to it; a metadata id is only a claim, so its index holds a chain of claimants, and a
 * chain of two is an error for whoever asks, never a choice.
 */
#include "engine/inventory.h"

#include "base/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void domain_free(struct domain *d)
{
    instance_free(d->instance);
    instance_free(d->former);
    operation_free(d->op);
    operation_free(d->next_op);
    free(d->instance_id);
    free(d->at_start.of);
    disk_plan_clear(&d->at_start.disks);
    free(d);
}

int inventory_init(struct inventory *inv)
{
    inv->by_uuid = lh_kchar_table_new(64, NULL);
    inv->by_id = lh_kchar_table_new(64, NULL);
    inv->by_name = lh_kchar_table_new(64, NULL);
    return inv->by_uuid && inv->by_id && inv->by_name ? 0 : -ENOMEM;
}

void inventory_clear(struct inventory *inv)
{
    struct domain *d;
    struct debt *debt;

    if (inv->by_id)
        lh_table_free(inv->by_id);
    if (inv->by_name)
        lh_table_free(inv->by_name);
    if (inv->by_uuid) {
        inventory_foreach(inv, d) domain_free(d);
        lh_table_free(inv->by_uuid);
    }
    agenda_clear(&inv->agenda);
    agenda_clear(&inv->line);
    while ((debt = inv->debts)) {
        inv->debts = debt->next;
        free(debt);
    }
    *inv = (struct inventory){0};
}

static struct domain *find(struct lh_table *table, const char *key)
{
    void *value;

    return lh_table_lookup_ex(table, key, &value) ? value : NULL;
}

struct domain *inventory_find_uuid(const struct inventory *inv, const uuid_t uuid)
{
    char key[UUID_TEXT_SIZE];

    uuid_unparse_lower(uuid, key);
    return find(inv->by_uuid, key);
}

static struct debt **find_debt(struct inventory *inv, const uuid_t domain)
{
    struct debt **link = &inv->debts;

    while (*link && uuid_compare((*link)->domain, domain) != 0)
        link = &(*link)->next;
    return link;
}

struct domain *inventory_get(struct inventory *inv, const uuid_t uuid)
{
    struct domain *d = inventory_find_uuid(inv, uuid);
    size_t n = (size_t)lh_table_length(inv->by_uuid) + 1;

    if (d)
        return d;
    if (agenda_reserve(&inv->agenda, n) < 0 || agenda_reserve(&inv->line, n) < 0)
        return NULL;
    d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    uuid_copy(d->uuid, uuid);
    uuid_unparse_lower(uuid, d->key);
    d->next_look = USEC_NEVER;
    d->number = ++inv->last_number;
    d->debt = *find_debt(inv, uuid);
    if (lh_table_insert(inv->by_uuid, d->key, d) < 0) {
        free(d);
        return NULL;
    }
    return d;
}

int inventory_resolve(const struct inventory *inv, const char *id, struct domain **ret,
                      struct error **err)
{
    struct domain *d = find(inv->by_id, id);
    uuid_t uuid;

    if (d && d->next_same_id)
        return error_set(err, ERROR_CONFLICT,
                         "The InstanceId %s is claimed by the domains %s and %s.", id,
                         d->instance->name, d->next_same_id->instance->name);
    if (!d)
        d = find(inv->by_name, id);
    if (!d && uuid_parse(id, uuid) == 0)
        d = inventory_find_uuid(inv, uuid);
    if (!d || !d->instance)
        return error_set(err, ERROR_INSTANCE_NOT_FOUND, NULL);
    *ret = d;
    return 0;
}

/* Before the first read of the hypervisor's, and when the hypervisor has forgotten a domain, the
 * journal's words are all there is. */
struct domain *inventory_recall(const struct inventory *inv, const char *id)
{
    struct domain *d, *found = NULL;
    uuid_t uuid;

    bool is_uuid = uuid_parse(id, uuid) == 0;

    inventory_foreach(inv, d)
    {
        if (d->instance || !(d->instance_id || domain_is_here(d)) ||
            !(text_equal(d->instance_id, id) || (is_uuid && uuid_compare(d->uuid, uuid) == 0) ||
              (d->op && text_equal(d->op->domain_name, id))))
            continue;
        if (found)
            return NULL;
        found = d;
    }
    return found;
}

static void unlink_id(struct inventory *inv, struct domain *d)
{
    struct domain *first = find(inv->by_id, d->instance->id);

    if (first == d) {
        lh_table_delete(inv->by_id, d->instance->id);
        /* The key is the claimant's own string, so the next one brings its own. */
        if (d->next_same_id)
            lh_table_insert(inv->by_id, d->next_same_id->instance->id, d->next_same_id);
    } else {
        while (first && first->next_same_id != d)
            first = first->next_same_id;
        if (first)
            first->next_same_id = d->next_same_id;
    }
    d->next_same_id = NULL;
}

static int link_id(struct inventory *inv, struct domain *d)
{
    struct domain *first = find(inv->by_id, d->instance->id);

    if (!first)
        return lh_table_insert(inv->by_id, d->instance->id, d) < 0 ? -ENOMEM : 0;
    d->next_same_id = first->next_same_id;
    first->next_same_id = d;
    return 0;
}

static void undefine(struct inventory *inv, struct domain *d)
{
    if (!d->instance)
        return;
    if (is_set(d->instance->id))
        unlink_id(inv, d);
    if (find(inv->by_name, d->instance->name) == d)
        lh_table_delete(inv->by_name, d->instance->name);
    instance_free(take(d->instance));
}

int inventory_define(struct inventory *inv, struct domain *d, struct instance *instance)
{
    struct domain *namesake;

    undefine(inv, d);
    if (!instance)
        return 0;
    d->instance = instance;
    if (text_replace(&d->instance_id, instance_public_id(instance)) < 0)
        return -ENOMEM;
    /* Its former holder was renamed, and the look that will say so is still to come. */
    namesake = find(inv->by_name, instance->name);
    if (namesake)
        lh_table_delete(inv->by_name, instance->name);
    if (lh_table_insert(inv->by_name, instance->name, d) < 0)
        return -ENOMEM;
    return is_set(instance->id) ? link_id(inv, d) : 0;
}

void inventory_remove(struct inventory *inv, struct domain *d)
{
    undefine(inv, d);
    agenda_set(&inv->agenda, &d->due, USEC_NEVER);
    agenda_set(&inv->line, &d->in_line, USEC_NEVER);
    lh_table_delete(inv->by_uuid, d->key);
    domain_free(d);
}

/* Of several disks one says it for all. */
int inventory_note_debt(struct inventory *inv, const uuid_t domain, const char *request_id)
{
    struct domain *d = inventory_find_uuid(inv, domain);
    struct debt *debt = *find_debt(inv, domain);

    if (!debt) {
        debt = calloc(1, sizeof(*debt));
        if (!debt)
            return -ENOMEM;
        uuid_copy(debt->domain, domain);
        snprintf(debt->request_id, sizeof(debt->request_id), "%s", request_id);
        debt->next = inv->debts;
        inv->debts = debt;
    }
    if (d)
        d->debt = debt;
    return 0;
}

void inventory_forget_debt(struct inventory *inv, struct domain *d)
{
    struct debt **link = find_debt(inv, d->uuid), *debt = *link;

    d->debt = NULL;
    if (debt) {
        *link = debt->next;
        free(debt);
    }
}

const char *domain_public_id(const struct domain *d)
{
    return d->instance_id ? d->instance_id : d->key;
}

/* Of whom only a hint has told nobody knows whether it is. */
bool domain_is_here(const struct domain *d)
{
    return d->is_untold || (d->seen != DOMAIN_UNKNOWN && d->seen != DOMAIN_ABSENT);
}

enum instance_state domain_state_of(const struct domain *d)
{
    if (d->op)
        return operation_state(d->op);
    if (d->reported.known && d->reported.state != STATE_PENDING)
        return d->reported.state;
    if (domain_is_arriving(d) || domain_may_arrive(d) || d->seen == DOMAIN_UNKNOWN)
        return STATE_PENDING;
    return d->seen == DOMAIN_OFF || d->seen == DOMAIN_ABSENT ? STATE_STOPPED : STATE_RUNNING;
}

/* What leaves may stand still too; of a run that was reported that is certain. */
static bool is_unreported_in_migration(const struct domain *d)
{
    const struct last_report *last = &d->reported;

    if (!d->in_migration || d->seen != DOMAIN_PAUSED)
        return false;
    return !last->known || last->state == STATE_STOPPED || last->state == STATE_PENDING ||
           (d->incarnation.pid && last->incarnation.pid &&
            !incarnation_equal(&d->incarnation, &last->incarnation));
}

bool domain_is_arriving(const struct domain *d)
{
    return d->way == WAY_IN && is_unreported_in_migration(d);
}

bool domain_may_arrive(const struct domain *d)
{
    return d->way == WAY_UNTOLD && is_unreported_in_migration(d);
}

const char *domain_detail(const struct domain *d)
{
    if (d->in_migration)
        return "migrating";
    switch (d->seen) {
    case DOMAIN_PAUSED:
    case DOMAIN_PMSUSPENDED:
    case DOMAIN_CRASHED:
        return domain_state_to_string(d->seen);
    case DOMAIN_OFF:
        return d->is_saved ? "saved" : NULL;
    default:
        return NULL;
    }
}

/* By what its disks are owed a clear, so that it may not be started; or NULL. */
static const char *owed_by(const struct domain *d)
{
    if (d->op && (d->op->stage == STAGE_CLEARING || d->op->stage == STAGE_QUARANTINED))
        return d->op->request_id;
    return d->debt ? d->debt->request_id : NULL;
}

json_object *domain_to_json(const struct domain *d)
{
    _cleanup_(json) json_object *o = json_object_new_object();
    _cleanup_(json) json_object *locks = json_object_new_array();
    const struct instance *i = d->instance;

    if (!o || !locks)
        return NULL;
    for (size_t k = 0; i && k < i->n_locks; k++)
        if (json_append(locks, json_object_new_string(i->locks[k])) < 0)
            return NULL;
    if (json_add_string(o, "instanceId", domain_public_id(d)) ||
        json_add_string(o, "name", i ? i->name : NULL) || json_add_string(o, "uuid", d->key) ||
        json_add_string(o, "state", instance_state_to_string(domain_state_of(d))) ||
        json_add_string(o, "detail", domain_detail(d)) || json_add_bool(o, "certain", d->certain) ||
        json_add_string(o, "type", i ? i->type : NULL) || json_add(o, "locks", take(locks)) ||
        json_add_string(o, "problem", i ? i->metadata_error : NULL) ||
        json_add_string(o, "operation", d->op ? d->op->request_id : NULL) ||
        json_add_string(o, "owed", owed_by(d)))
        return NULL;
    return take(o);
}
