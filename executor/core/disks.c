/* disks.c - the local disks that a stop owes a clear, as values */
#include "core/disks.h"

#include "base/json.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

DEFINE_ENUM_WORDS(enum disk_state, disk_state, DISK_STATE_MAX, "waiting", "clearing", "verifying",
                  "cleared", "quarantined");

void planned_disk_clear(struct planned_disk *d)
{
    free(d->target);
    free(d->device);
    free(d->born);
    free(d->method);
    free(d->problem);
    json_object_put(d->identity);
    json_object_put(d->resume);
    *d = (struct planned_disk){0};
}

void disk_plan_clear(struct disk_plan *p)
{
    for (size_t i = 0; i < p->n; i++)
        planned_disk_clear(&p->items[i]);
    free(p->items);
    *p = (struct disk_plan){0};
}

struct planned_disk *disk_plan_add(struct disk_plan *p)
{
    struct planned_disk *items = reallocarray(p->items, p->n + 1, sizeof(*items));

    if (!items)
        return NULL;
    p->items = items;
    items[p->n] = (struct planned_disk){0};
    return &items[p->n++];
}

/* Objects are copied whole: a count of references is not for two threads. */
static int copy_object(json_object **to, json_object *from)
{
    return from && json_object_deep_copy(from, to, NULL) < 0 ? -ENOMEM : 0;
}

static int copy_disk(struct planned_disk *to, const struct planned_disk *from)
{
    *to = *from;
    to->target = to->device = to->born = to->method = to->problem = NULL;
    to->identity = to->resume = NULL;
    if (text_replace(&to->target, from->target) < 0 ||
        text_replace(&to->device, from->device) < 0 || text_replace(&to->born, from->born) < 0 ||
        text_replace(&to->method, from->method) < 0 ||
        text_replace(&to->problem, from->problem) < 0 ||
        copy_object(&to->identity, from->identity) < 0 ||
        copy_object(&to->resume, from->resume) < 0)
        return -ENOMEM;
    return 0;
}

int disk_plan_copy(struct disk_plan *to, const struct disk_plan *from)
{
    struct disk_plan copy = {0};

    for (size_t i = 0; i < from->n; i++) {
        struct planned_disk *d = disk_plan_add(&copy);

        if (!d || copy_disk(d, &from->items[i]) < 0) {
            disk_plan_clear(&copy);
            return -ENOMEM;
        }
    }
    *to = copy;
    return 0;
}

bool disk_plan_is_cleared(const struct disk_plan *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->items[i].state != DISK_CLEARED)
            return false;
    return true;
}

/* --- Which they are ------------------------------------------------------------------------ */

static const struct disk *find_disk(const struct instance *i, const char *target)
{
    for (size_t k = 0; k < i->n_disks; k++)
        if (text_equal(i->disks[k].target, target))
            return &i->disks[k];
    return NULL;
}

static int add_named(const struct instance *i, struct disk_candidate *candidates, size_t *n,
                     struct error **err)
{
    for (size_t k = 0; k < i->n_local_disks; k++) {
        const struct local_disk *named = &i->local_disks[k];
        const struct disk *disk = find_disk(i, named->target);

        if (!disk || !is_set(disk->source))
            return error_set(err, ERROR_DISK_STATUS,
                             "The local disk %s of %s is not among the disks of domain %s.",
                             named->target ? named->target : "without a target",
                             instance_public_id(i), i->name);
        candidates[(*n)++] = (struct disk_candidate){disk, named};
    }
    return 0;
}

static void add_all(const struct instance *i, struct disk_candidate *candidates, size_t *n)
{
    for (size_t k = 0; k < i->n_disks; k++)
        if (is_set(i->disks[k].source) && i->disks[k].kind == DISK_BLOCK)
            candidates[(*n)++] = (struct disk_candidate){&i->disks[k], NULL};
}

int disk_candidates(const struct instance *i, struct disk_candidate **ret, size_t *n,
                    struct error **err)
{
    _cleanup_(freep) struct disk_candidate *candidates =
        calloc(i->n_disks + i->n_local_disks + 1, sizeof(*candidates));
    size_t found = 0;
    int r = 0;

    if (!candidates)
        return error_no_memory(err);
    if (i->has_passthrough_nvme)
        return error_set(err, ERROR_DISK_STATUS,
                         "An NVMe device is passed through to domain %s, and this host cannot tell "
                         "what the guest holds.",
                         i->name);
    if (i->n_local_disks > 0)
        r = add_named(i, candidates, &found, err);
    else
        add_all(i, candidates, &found);
    if (r < 0)
        return r;
    *ret = take(candidates);
    *n = found;
    return 0;
}

/* Named as local, or, where none is named, any block device of this host. */
static bool may_be_local(const struct instance *i, const struct disk *disk)
{
    if (!is_set(disk->source))
        return false;
    if (i->n_local_disks == 0)
        return disk->kind == DISK_BLOCK;
    for (size_t k = 0; k < i->n_local_disks; k++)
        if (text_equal(i->local_disks[k].target, disk->target))
            return true;
    return false;
}

static const char *target_of(const struct disk *disk)
{
    return disk->target ? disk->target : "";
}

char *disks_snapshot(const struct instance *i)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        return NULL;
    for (size_t k = 0; k < i->n_disks; k++)
        if (may_be_local(i, &i->disks[k]))
            fprintf(f, "%s\t%s\n", target_of(&i->disks[k]), i->disks[k].source);
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* What follows this in a text; NULL where the text begins otherwise. */
static const char *behind(const char *text, const char *beginning)
{
    size_t n = strlen(beginning);

    return text && strncmp(text, beginning, n) == 0 ? text + n : NULL;
}

static bool names(const char *line, const struct disk *disk)
{
    const char *end = behind(behind(behind(line, target_of(disk)), "\t"), disk->source);

    return end && (*end == '\n' || !*end); /* of a journal's text the last line may lack its end */
}

static bool has_disk(const char *snapshot, const struct disk *disk)
{
    for (const char *line = snapshot; *line; line += *line == '\n') {
        if (names(line, disk))
            return true;
        line += strcspn(line, "\n");
    }
    return false;
}

/* Needs no memory: want of it would be taken for a difference, or for none. */
bool disks_differ(const struct instance *i, const char *snapshot)
{
    if (!snapshot)
        return true;
    for (size_t k = 0; k < i->n_disks; k++)
        if (may_be_local(i, &i->disks[k]) && !has_disk(snapshot, &i->disks[k]))
            return true;
    return false;
}

/* Identifiers are written with and without prefixes, separators and capitals. One that is nothing
 * but separators is no identifier, and like no other. */
static bool same_identifier(const char *a, const char *b)
{
    bool is_any = false;

    while (a && b) {
        while (*a && !isalnum((unsigned char)*a))
            a++;
        while (*b && !isalnum((unsigned char)*b))
            b++;
        if (!*a || tolower((unsigned char)*a) != tolower((unsigned char)*b))
            break;
        is_any = true;
        a++;
        b++;
    }
    return is_any && !*a && !*b;
}

static const char *without_prefix(const char *identifier)
{
    static const char *const prefixes[] = {"eui.", "naa.", "uuid.", "0x"};

    for (size_t i = 0; identifier && i < ELEMENTSOF(prefixes); i++)
        if (strncasecmp(identifier, prefixes[i], strlen(prefixes[i])) == 0)
            return identifier + strlen(prefixes[i]);
    return identifier;
}

int disk_matches_metadata(const struct local_disk *named, json_object *identity, struct error **err)
{
    const struct {
        const char *key, *wanted;
    } keys[] = {
        {"serial", named->serial},
        {"eui64", named->eui64},
        {"nguid", named->nguid},
        {"wwn", named->wwn},
    };

    for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
        const char *is = NULL;

        if (!is_set(keys[i].wanted))
            continue;
        if (json_get_string(identity, keys[i].key, &is) < 0)
            is = NULL;
        if (!same_identifier(without_prefix(keys[i].wanted), without_prefix(is)))
            return error_set(err, ERROR_DISK_STATUS,
                             "The local disk %s is not the one that the metadata names: its %s is "
                             "%s, and not %s.",
                             named->target, keys[i].key, is_set(is) ? is : "not known",
                             keys[i].wanted);
    }
    return 0;
}

json_object *planned_disk_expectation(const struct planned_disk *d)
{
    static const char *const names[] = {"serial", "eui64", "nguid", "uuid", "wwn", "volume"};
    static const char *const passing[] = {"devno", "sequence"};
    bool has_name = false;
    json_object *expected = NULL;
    const char *value;

    if (json_object_deep_copy(d->identity, &expected, NULL) < 0)
        return NULL;
    for (size_t i = 0; i < ELEMENTSOF(names); i++)
        has_name |= json_get_string(expected, names[i], &value) == 0 && is_set(value);
    for (size_t i = 0; has_name && i < ELEMENTSOF(passing); i++)
        json_object_object_del(expected, passing[i]);
    return expected;
}

static const char *value_of(json_object *identity, const char *key)
{
    json_object *value = NULL;

    return json_object_object_get_ex(identity, key, &value) && value ? json_object_get_string(value)
                                                                     : "";
}

static int compare_disk(const struct planned_disk *then, const struct planned_disk *now,
                        struct error **err)
{
    _cleanup_(json) json_object *expected = planned_disk_expectation(then);

    if (!expected)
        return error_no_memory(err);
    /* It may be renewed while the disk is in use. */
    json_object_object_del(expected, "firmware");
    json_object_object_foreach(expected, key, value)
    {
        const char *was = value ? json_object_get_string(value) : "";
        const char *is = value_of(now->identity, key);

        if (!text_equal(was, is))
            return error_set(
                err, ERROR_DISK_STATUS,
                "The local disk %s (%s) is not the one that it was while the instance "
                "ran: its %s was %s and is %s. If it was exchanged on purpose, restart "
                "stopd, which then goes by what is there.",
                now->target, now->device, key, was, is_set(is) ? is : "not known");
    }
    return 0;
}

int disk_plan_compare(const struct disk_plan *then, const struct disk_plan *now, struct error **err)
{
    int r = 0;

    for (size_t i = 0; i < then->n; i++)
        for (size_t k = 0; k < now->n && r == 0; k++)
            if (text_equal(then->items[i].target, now->items[k].target) &&
                text_equal(then->items[i].device, now->items[k].device))
                r = compare_disk(&then->items[i], &now->items[k], err);
    return r;
}

/* --- As JSON ------------------------------------------------------------------------------- */

static int add_copy(json_object *o, const char *key, json_object *value)
{
    json_object *copy = NULL;

    if (!value)
        return json_add_string(o, key, NULL);
    return copy_object(&copy, value) < 0 ? -ENOMEM : json_add(o, key, copy);
}

/* Of the part that is under way: clearing, then verifying. */
static uint64_t percent_of(const struct planned_disk *d)
{
    uint64_t part = d->state == DISK_VERIFYING ? d->verified : d->done;

    if (d->state == DISK_CLEARED)
        return 100;
    if (d->bytes == 0)
        return 0;
    return part >= d->bytes ? 100 : (uint64_t)((double)part / (double)d->bytes * 100);
}

json_object *planned_disk_to_json(const struct planned_disk *d, bool for_journal)
{
    _cleanup_(json) json_object *o = json_object_new_object();

    if (!o || json_add_string(o, "target", d->target) || json_add_string(o, "device", d->device) ||
        add_copy(o, "identity", d->identity) || json_add_number(o, "bytes", d->bytes) ||
        json_add_string(o, "method", d->method) || json_add_number(o, "done", d->done) ||
        json_add_number(o, "verified", d->verified) ||
        json_add_number(o, "percent", percent_of(d)) ||
        json_add_string(o, "state", disk_state_to_string(d->state)) ||
        json_add_number(o, "mibPerS", d->mib_per_s) ||
        json_add_number(o, "secondsLeft", d->seconds_left) ||
        json_add_number(o, "tries", d->tries) || json_add_string(o, "problem", d->problem))
        return NULL;
    if (for_journal && (json_add_string(o, "kind", disk_source_to_string(d->kind)) ||
                        json_add_string(o, "bootId", d->boot_id) ||
                        json_add_string(o, "born", d->born) || add_copy(o, "resume", d->resume)))
        return NULL;
    return take(o);
}

static int get_copy(json_object *o, const char *key, json_object **ret)
{
    json_object *value;

    if (!json_object_object_get_ex(o, key, &value))
        return -EINVAL;
    if (value && !json_object_is_type(value, json_type_object))
        return -EINVAL;
    return copy_object(ret, value);
}

static int get_text(json_object *o, const char *key, char **ret)
{
    const char *text;

    return json_get_string(o, key, &text) < 0 ? -EINVAL : text_replace(ret, text);
}

static int get_disk(json_object *o, struct planned_disk *d)
{
    const char *state = NULL, *kind = NULL, *boot_id = NULL;
    uint64_t tries = 0;
    int r;

    r = get_text(o, "target", &d->target)
            ?: get_text(o, "device", &d->device)
            ?: get_copy(o, "identity", &d->identity)
            ?: json_get_number(o, "bytes", &d->bytes)
            ?: get_text(o, "method", &d->method)
            ?: json_get_number(o, "done", &d->done)
            ?: json_get_number(o, "verified", &d->verified)
            ?: json_get_string(o, "state", &state)
            ?: disk_state_from_string(state, &d->state)
            ?: json_get_number(o, "tries", &tries)
            ?: get_text(o, "problem", &d->problem)
            ?: json_get_string(o, "kind", &kind)
            ?: disk_source_from_string(kind, &d->kind)
            ?: json_get_string(o, "bootId", &boot_id)
            ?: get_text(o, "born", &d->born) ?: get_copy(o, "resume", &d->resume);
    if (r < 0)
        return r;
    if (!d->device || !d->identity || tries > UINT32_MAX || !boot_id ||
        strlen(boot_id) >= sizeof(d->boot_id))
        return -EINVAL;
    d->tries = (unsigned)tries;
    strcpy(d->boot_id, boot_id);
    return 0;
}

int planned_disk_from_json(json_object *o, struct planned_disk *ret)
{
    struct planned_disk d = {0};
    int r = get_disk(o, &d);

    if (r < 0)
        planned_disk_clear(&d);
    else
        *ret = d;
    return r;
}
