/* wiper-request.c - what a helper is asked */
#include "engine/wiper-internal.h"

#include <string.h>

void request_cleanup(struct wipe_request *r)
{
    wipe_request_clear(r);
}

static enum storage_kind storage_kind_of(enum disk_source kind)
{
    return kind == DISK_FILE ? STORAGE_FILE : STORAGE_BLOCK;
}

static int add_all(struct wipe_list *to, const struct wipe_list *from)
{
    int r = 0;

    for (size_t i = 0; i < from->n && r == 0; i++)
        r = wipe_list_add(to, from->items[i]);
    return r;
}

/* What every request has. */
static int begin(const struct wiper_config *c, enum wipe_verb verb, const char *device,
                 enum disk_source kind, struct wipe_request *r, struct error **err)
{
    r->verb = verb;
    r->kind = storage_kind_of(kind);
    if (text_replace(&r->device, device) < 0 || add_all(&r->allow_devices, &c->devices) < 0 ||
        add_all(&r->allow_files, &c->files) < 0)
        return error_no_memory(err);
    return 0;
}

/* They are to be cleared themselves; its system disk never is one. */
int request_add_companions(const struct wiper_config *c, const struct instance *instance,
                           const char *target, struct wipe_request *r, struct error **err)
{
    _cleanup_(freep) struct disk_candidate *candidates = NULL;
    size_t n = 0;

    if (disk_candidates(instance, &candidates, &n, NULL) < 0)
        return 0;
    for (size_t i = 0; i < n; i++) {
        _cleanup_(freep) char *resolved = realpath(candidates[i].disk->source, NULL);

        if (!resolved || text_equal(candidates[i].disk->target, target) || !is_allowed(c, resolved))
            continue;
        if (wipe_list_add(&r->companions, resolved) < 0)
            return error_no_memory(err);
    }
    return 0;
}

/* Everything can be overwritten. */
static bool overwrite_will_do(const struct wipe_request *r)
{
    for (size_t i = 0; i < r->n_methods; i++)
        if (r->methods[i] == CLEAR_OVERWRITE)
            return r->level <= LEVEL_CLEAR;
    return false;
}

int request_for_identify(const struct wiper_config *c, const struct instance *instance,
                         const struct disk *disk, struct wipe_request *r, struct error **err)
{
    int result = begin(c, WIPE_IDENTIFY, disk->source, disk->kind, r, err);

    if (result == 0)
        result = wipe_request_set_methods(r, c->methods, err);
    r->level = c->level;
    r->verify = c->verify;
    if (result < 0 || overwrite_will_do(r))
        return result;
    r->verb = WIPE_PLAN;
    return request_add_companions(c, instance, disk->target, r, err);
}

static int set_identity(struct wipe_request *r, const struct planned_disk *disk, struct error **err)
{
    json_object *expected = planned_disk_expectation(disk);
    int result = 0;

    if (!expected)
        return error_no_memory(err);
    json_object_object_foreach(expected, key, value)
    {
        result = wipe_request_set_identity(r, key, json_object_get_string(value), err);
        if (result < 0)
            break;
    }
    json_object_put(expected);
    return result;
}

int request_for_clear(const struct wiper_config *c, const struct wipe_job *order,
                      struct wipe_request *r, struct error **err)
{
    const struct planned_disk *disk = &order->disk;
    int result = begin(c, WIPE_CLEAR, disk->device, disk->kind, r, err);

    if (result == 0)
        result = wipe_request_set_methods(r, c->methods, err);
    if (result == 0)
        result = set_identity(r, disk, err);
    if (result < 0)
        return result;
    /* It saves work and proves nothing: what cannot be gone on with is begun anew. */
    if (disk->resume)
        (void)wipe_resume_from_json(disk->resume, &r->resume, NULL);
    r->level = c->level;
    r->verify = c->verify;
    r->max_mib_per_s = c->max_mib_per_s;
    if (text_replace(&r->request_id, order->request_id) < 0 ||
        text_replace(&r->instance_id, order->instance_id) < 0 ||
        text_replace(&r->target, disk->target) < 0 ||
        text_replace(&r->operator, order->operator) < 0 || text_replace(&r->host, c->host_id) < 0)
        return error_no_memory(err);
    return 0;
}

int request_send(const struct wiper_config *c, const struct wipe_request *r, struct helper **ret,
                 struct error **err)
{
    json_object *o = NULL;
    const char *text;
    size_t n = 0;
    int result = wipe_request_check(r, err);

    if (result < 0)
        return result;
    o = wipe_request_to_json(r);
    text = o ? json_object_to_json_string_length(
                   o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &n)
             : NULL;
    if (!text)
        result = error_no_memory(err);
    else if (n >= WIPE_REQUEST_MAX)
        result = error_set(err, ERROR_UNSUPPORTED,
                           "the domains of this host name more disks than a helper can be told");
    else
        result = helper_start(c->helper, text, n, ret, err);
    json_object_put(o);
    return result;
}
