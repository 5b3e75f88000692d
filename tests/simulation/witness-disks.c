/* witness-disks.c - which disks a command was accepted with, and that no others are cleared
 *
 * Theory of operation. Helpers tell what an instance's local disks are. A command is accepted with
 * what one of them has told since it was asked for; that stands in the journal from the acceptance
 * on, and is read there once. From then on every job of it is for one of these disks, by its place,
 * and has all that it can be told by; and what is cleared is truly that one.
 */
#include "simulation/census.h"
#include "simulation/life.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

static void take_text(const char *text, char *ret, size_t size)
{
    snprintf(ret, size, "%s", text ? text : "");
}

static void take_serial(json_object *identity, char *ret, size_t size)
{
    const char *serial = NULL;

    if (!identity || json_get_string(identity, "serial", &serial) < 0)
        serial = NULL;
    take_text(serial, ret, size);
}

static bool is_same_disk(const struct seen_disk *a, const struct seen_disk *b)
{
    return text_equal(a->target, b->target) && text_equal(a->device, b->device) &&
           text_equal(a->serial, b->serial) && a->bytes == b->bytes;
}

static bool is_same_plan(const struct seen_plan *a, const struct seen_plan *b)
{
    bool is_same = a->n == b->n;

    for (unsigned i = 0; i < a->n && is_same; i++)
        is_same = is_same_disk(&a->disks[i], &b->disks[i]);
    return is_same;
}

static struct seen_disk disk_of(const struct planned_disk *d)
{
    struct seen_disk seen = {.bytes = d->bytes};

    take_text(d->target, seen.target, sizeof(seen.target));
    take_text(d->device, seen.device, sizeof(seen.device));
    take_serial(d->identity, seen.serial, sizeof(seen.serial));
    return seen;
}

void witness_identified(struct life *life, const struct wipe_job *job, const struct disk_plan *plan)
{
    struct seen_domain *seen = witness_domain(life, simulated_find(life->world, job->domain));
    struct seen_plan *told = &seen->plans[seen->n_plans++ % WITNESS_PLANS];

    *told = (struct seen_plan){.told_at = life->now};
    for (size_t i = 0; i < plan->n; i++)
        told->disks[told->n++] = disk_of(&plan->items[i]);
}

/* --- What was accepted ---------------------------------------------------------------------- */

static bool read_disk(json_object *o, struct seen_disk *ret)
{
    const char *target = NULL, *device = NULL;
    json_object *identity = NULL;

    *ret = (struct seen_disk){0};
    if (json_get_string(o, "target", &target) < 0 || json_get_string(o, "device", &device) < 0 ||
        json_get_object(o, "identity", &identity) < 0 ||
        json_get_number(o, "bytes", &ret->bytes) < 0)
        return false;
    take_text(target, ret->target, sizeof(ret->target));
    take_text(device, ret->device, sizeof(ret->device));
    take_serial(identity, ret->serial, sizeof(ret->serial));
    return true;
}

static bool read_plan(json_object *document, struct seen_plan *ret)
{
    json_object *storage;

    *ret = (struct seen_plan){0};
    if (json_get_array(document, "storage", &storage) < 0 ||
        json_object_array_length(storage) > WITNESS_DISKS)
        return false;
    for (size_t i = 0; i < json_object_array_length(storage); i++)
        if (!read_disk(json_object_array_get_idx(storage, i), &ret->disks[ret->n++]))
            return false;
    return true;
}

void witness_check_plan(struct life *life, struct ask *ask, json_object *document)
{
    const struct seen_domain *seen = witness_domain(life, ask->domain);
    bool was_told = false;

    if (!cast_is_cleared(ask->domain->definition))
        return;
    census_count("rule", "4.2 identified");
    ask->has_plan = true;
    if (read_plan(document, &ask->plan))
        for (unsigned i = 0; i < WITNESS_PLANS && i < seen->n_plans; i++)
            was_told |= seen->plans[i].told_at >= ask->asked_at &&
                        is_same_plan(&ask->plan, &seen->plans[i]);
    if (!was_told)
        rule_broken(life, "4.2 identified",
                    "%.8s of %s is accepted with disks that no helper has told of since",
                    ask->request_id, domain_word(ask->domain));
}

void witness_look_for_clears(struct life *life)
{
    for (struct ask *a = life->witness.asks; a; a = a->next) {
        _cleanup_(json) json_object *document = NULL;

        if (a->kind != REQUEST_CLEAR || a->has_plan || a->is_void ||
            (a->is_answered && a->code != ERROR_INTERNAL))
            continue;
        document = witness_read_operation(life, a->request_id);
        if (document)
            witness_check_plan(life, a, document);
    }
}

/* --- What is cleared ------------------------------------------------------------------------ */

void witness_check_identity(struct life *life, const struct wipe_job *job, const struct ask *ask)
{
    struct seen_disk given = disk_of(&job->disk);
    const struct seen_disk *meant = job->index < ask->plan.n ? &ask->plan.disks[job->index] : NULL;

    census_count("rule", "4.2 identity");
    if (!meant || !is_same_disk(&given, meant))
        rule_broken(life, "4.2 identity",
                    "a helper is given %s, %s, %s, for %.8s, which was accepted with %s, %s, %s",
                    given.target, given.device, *given.serial ? given.serial : "unidentified",
                    ask->request_id, meant ? meant->target : "none there",
                    meant ? meant->device : "", meant ? meant->serial : "");
}

void witness_check_device(struct life *life, const struct wipe_job *job, const struct ask *ask)
{
    struct device device = devices_find(life, job->disk.device);
    int place = witness_place_of(ask, job->disk.device);

    census_count("rule", "4.2 device");
    if (place < 0 || !text_equal(ask->plan.disks[place].serial, device.serial))
        rule_broken(life, "4.2 device",
                    "%s of %s is cleared, which is %s, and was %s when %.8s was", job->disk.device,
                    domain_word(ask->domain), device.serial,
                    place < 0 ? "none of its" : ask->plan.disks[place].serial, ask->request_id);
}

int witness_place_of(const struct ask *ask, const char *device)
{
    for (unsigned i = 0; i < ask->plan.n; i++)
        if (text_equal(ask->plan.disks[i].device, device))
            return (int)i;
    return -1;
}
