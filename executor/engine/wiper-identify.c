/* wiper-identify.c - which of an instance's disks are local, and what each is
 *
 * Theory of operation. The metadata names the local disks, or they are those whose source may be
 * cleared at all (local_storage.devices). A named one that cannot be found, cannot be told, is not
 * what the metadata says, or may not be cleared, is an error: a disk that is not found is a disk
 * that is not cleared. So is one that is not named and cannot even be resolved, for it might have
 * been local; one that resolves to something else is simply another disk.
 *
 * Only what may be cleared is shown to a helper. It opens the device for reading and tells what it
 * is; that answer is compared with the metadata, and kept for every later look. Where it is not
 * certain that a method of the ladder will do, the helper is asked for a plan as well: a disk that
 * none can clear is an error now, and not a quarantine when the guest is off. Each helper has so
 * long and no longer: the answer does not wait for one that hangs, the job does.
 */
#include "engine/wiper-internal.h"

#include "base/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct identification {
    struct job *job;
    const struct instance *instance;
    const struct disk_candidate *candidate; /* the one at hand … */
    bool has_companions;                    /* it is asked about with the others … */
    enum wipe_event expected;               /* … for this … */
    struct helper *helper;                  /* … of the helper that has it */
    struct disk_plan plan;
    struct disk_node *nodes; /* of the plan's disks */
    struct helper **left;    /* helpers that did not end in time */
    size_t n_left;
};

static const char *target_of(const struct identification *i)
{
    return i->candidate->disk->target ? i->candidate->disk->target : "without a target";
}

/* --- Is it local? ---------------------------------------------------------------------------- */

/* 1: it is, and *ret is its path with all links resolved; 0: it is another disk; negative. */
static int is_local(const struct identification *i, char **ret, struct error **err)
{
    const struct disk *disk = i->candidate->disk;
    _cleanup_(freep) char *resolved = NULL;

    if (disk->kind == DISK_OTHER)
        return error_set(err, ERROR_DISK_STATUS,
                         "The local disk %s is neither a block device nor a file.", target_of(i));
    resolved = realpath(disk->source, NULL);
    if (!resolved)
        return error_set_errno(err, ERROR_DISK_STATUS, errno, "The %sdisk %s (%s) cannot be found",
                               i->candidate->named ? "local " : "", target_of(i), disk->source);
    if (is_allowed(i->job->config, resolved)) {
        *ret = take(resolved);
        return 1;
    }
    if (!i->candidate->named)
        return 0;
    return error_set(err, ERROR_DISK_STATUS,
                     "The local disk %s is %s, which is not among the %s that may be cleared "
                     "(local_storage.%s).",
                     target_of(i), resolved, disk->kind == DISK_FILE ? "files" : "devices",
                     disk->kind == DISK_FILE ? "files" : "devices");
}

/* --- What does the helper say? --------------------------------------------------------------- */

static int refused(const struct identification *i, const struct wipe_line *l, struct error **err)
{
    return error_set(err, ERROR_DISK_STATUS, "The local disk %s (%s) cannot be identified: %s",
                     target_of(i), i->candidate->disk->source,
                     is_set(l->message) ? l->message : "the helper does not say why");
}

/* The helper may have met another device than we have: names turn. */
static int check_device(const struct identification *i, const char *device, struct disk_node *ret,
                        struct error **err)
{
    int r = is_set(device) ? disk_node_of(device, ret) : -ENODEV;

    if (r < 0)
        return error_set_errno(err, ERROR_DISK_STATUS, r, "The local disk %s (%s) has gone",
                               target_of(i), is_set(device) ? device : i->candidate->disk->source);
    if (ret->kind != i->candidate->disk->kind || !is_allowed(i->job->config, device))
        return error_set(err, ERROR_DISK_STATUS,
                         "The local disk %s is %s by now, which may not be cleared.", target_of(i),
                         device);
    for (size_t k = 0; k < i->plan.n; k++)
        if (disk_nodes_share(&i->nodes[k], ret))
            return error_set(err, ERROR_DISK_STATUS,
                             "The local disks %s and %s are one and the same (%s).",
                             i->plan.items[k].target, target_of(i), device);
    return 0;
}

static void tell_reasons(json_object *passed_over, FILE *to)
{
    for (size_t k = 0; k < json_object_array_length(passed_over); k++) {
        json_object *each = json_object_array_get_idx(passed_over, k);
        const char *method = NULL, *reason = NULL;

        json_get_string(each, "method", &method);
        json_get_string(each, "reason", &reason);
        fprintf(to, "%s%s: %s", k ? "; " : "", method ? method : "a method",
                reason ? reason : "it does not say why");
    }
}

/* While the guest runs, its other disks are in use: that passes. */
static bool may_open_later(const struct identification *i, json_object *passed_over)
{
    for (size_t k = 0; i->has_companions && k < json_object_array_length(passed_over); k++) {
        const char *reason = NULL;

        json_get_string(json_object_array_get_idx(passed_over, k), "reason", &reason);
        if (reason && strncmp(reason, WIPE_REASON_TENANCY, strlen(WIPE_REASON_TENANCY)) == 0)
            return true;
    }
    return false;
}

static int no_method(const struct identification *i, json_object *passed_over, struct error **err)
{
    const char *level = clear_level_to_string(i->job->config->level);
    _cleanup_(freep) char *reasons = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&reasons, &size);

    if (f)
        tell_reasons(passed_over, f);
    if (!f || fclose(f) != 0)
        return error_no_memory(err);
    return error_set(err, ERROR_DISK_STATUS,
                     "The local disk %s (%s) cannot be cleared to level %s by any method of "
                     "local_storage.methods (%s). Add one that can, or change "
                     "local_storage.level.",
                     target_of(i), i->candidate->disk->source, level, reasons);
}

static int check_methods(const struct identification *i, json_object *plan, struct error **err)
{
    const char *method = NULL;
    json_object *passed_over = NULL;

    if (i->expected != WIPE_EVENT_PLAN)
        return 0;
    if (json_get_string(plan, "method", &method) < 0 ||
        json_get_array(plan, "passedOver", &passed_over) < 0)
        return error_set(err, ERROR_UNAVAILABLE,
                         "The helper does not tell how the local disk %s would be cleared.",
                         target_of(i));
    if (is_set(method) || may_open_later(i, passed_over))
        return 0;
    return no_method(i, passed_over, err);
}

static int add_to_plan(struct identification *i, json_object *identity, uint64_t bytes,
                       const struct disk_node *node, struct error **err)
{
    struct disk_node *nodes = reallocarray(i->nodes, i->plan.n + 1, sizeof(*nodes));
    char birth[FILE_BIRTH_SIZE];
    struct planned_disk *d;

    if (!nodes)
        return error_no_memory(err);
    i->nodes = nodes;
    nodes[i->plan.n] = *node;
    d = disk_plan_add(&i->plan);
    if (!d || text_replace(&d->target, i->candidate->disk->target) < 0 ||
        text_replace(&d->device, i->candidate->disk->source) < 0)
        return error_no_memory(err);
    d->kind = i->candidate->disk->kind;
    if (disk_boot_id(d->boot_id) < 0)
        d->boot_id[0] = '\0';
    if (d->kind == DISK_FILE && disk_file_birth(d->device, birth) == 0 &&
        text_replace(&d->born, birth) < 0)
        return error_no_memory(err);
    d->identity = json_object_get(identity);
    d->bytes = bytes;
    return 0;
}

static int take_identity(struct identification *i, const struct wipe_line *l, struct error **err)
{
    const char *device = NULL;
    json_object *identity = NULL;
    struct disk_node node;
    uint64_t bytes = 0;
    int r;

    if (json_get_string(l->json, "device", &device) < 0 ||
        json_get_object(l->json, "identity", &identity) < 0 ||
        json_get_number(identity, "size", &bytes) < 0 || bytes == 0)
        return error_set(err, ERROR_UNAVAILABLE,
                         "The helper does not tell what the local disk %s is.", target_of(i));
    r = check_device(i, device, &node, err);
    if (r == 0 && i->candidate->named)
        r = disk_matches_metadata(i->candidate->named, identity, err);
    if (r == 0)
        r = check_methods(i, l->json, err);
    return r < 0 ? r : add_to_plan(i, identity, bytes, &node, err);
}

static int take_line(struct identification *i, const char *line, size_t n, struct error **err)
{
    struct wipe_line l = {0};
    int r = wipe_line_parse(line, n, &l, NULL);

    if (r == 0 && l.event == i->expected)
        r = take_identity(i, &l, err);
    else if (r == 0 && l.event == WIPE_EVENT_ERROR)
        r = refused(i, &l, err);
    else
        r = error_set(err, ERROR_UNAVAILABLE,
                      "The helper does not answer the question what the local disk %s is.",
                      target_of(i));
    wipe_line_clear(&l);
    return r;
}

static int no_line(struct identification *i, enum heard heard, struct error **err)
{
    const struct wiper_config *c = i->job->config;
    const char *why = job_must_end(i->job);

    if (why)
        return error_set(err, ERROR_UNAVAILABLE, "The local disk %s is not identified: %s",
                         target_of(i), why);
    if (heard == HEARD_END)
        return error_set(err, ERROR_UNAVAILABLE,
                         "The helper that identifies the local disk %s ended without an answer.",
                         target_of(i));
    return error_set(err, ERROR_DISK_STATUS,
                     "The local disk %s (%s) did not answer within %.1f s (%s).", target_of(i),
                     i->candidate->disk->source, (double)c->identify_timeout / (double)USEC_PER_SEC,
                     helper_describe(i->helper));
}

static int hear(struct identification *i, usec_t until, struct error **err)
{
    _cleanup_(error_free) struct error *error = NULL;
    enum heard heard = HEARD_NOTHING;
    const char *line = NULL;
    size_t n = 0;

    if (helper_listen(i->helper, i->job->bell, until, &heard, &line, &n, &error) < 0)
        return error_set(err, ERROR_UNAVAILABLE, "The local disk %s cannot be identified: %s",
                         target_of(i), error_message(error));
    return heard == HEARD_LINE ? take_line(i, line, n, err) : no_line(i, heard, err);
}

/* --- Helpers --------------------------------------------------------------------------------- */

static int start_helper(struct identification *i, struct error **err)
{
    _cleanup_(request) struct wipe_request request;
    int r;

    wipe_request_init(&request);
    r = request_for_identify(i->job->config, i->instance, i->candidate->disk, &request, err);
    i->has_companions = request.companions.n > 0;
    i->expected = request.verb == WIPE_PLAN ? WIPE_EVENT_PLAN : WIPE_EVENT_IDENTITY;
    if (r == 0)
        r = request_send(i->job->config, &request, &i->helper, err);
    return r < 0 ? error_context(err, "The local disk %s cannot be identified", target_of(i)) : 0;
}

/* One that answered may still hang in closing its device. */
static void leave_helper(struct identification *i, usec_t until)
{
    if (helper_await_end(i->helper, i->job->bell, until))
        helper_free(i->helper);
    else
        i->left[i->n_left++] = i->helper;
    i->helper = NULL;
}

static void end_helpers(struct identification *i)
{
    for (size_t k = 0; k < i->n_left; k++) {
        job_end_helper(i->job, i->left[k], false);
        helper_free(i->left[k]);
    }
    free(i->left);
}

/* --- All of them ----------------------------------------------------------------------------- */

static int identify_one(struct identification *i, struct error **err)
{
    usec_t until = moment_now().monotonic + i->job->config->identify_timeout;
    _cleanup_(freep) char *resolved = NULL;
    int r = is_local(i, &resolved, err);

    if (r <= 0)
        return r;
    r = start_helper(i, err);
    if (r < 0)
        return r;
    r = hear(i, until, err);
    leave_helper(i, until);
    return r;
}

static int identify_all(struct identification *i, struct error **err)
{
    _cleanup_(freep) struct disk_candidate *candidates = NULL;
    size_t n = 0;
    int r;

    if (i->instance->metadata_error)
        return error_set(err, ERROR_DISK_STATUS,
                         "The metadata of domain %s cannot be understood: %s.", i->instance->name,
                         i->instance->metadata_error);
    r = disk_candidates(i->instance, &candidates, &n, err);
    if (r == 0 && !(i->left = calloc(n + 1, sizeof(*i->left))))
        r = error_no_memory(err);
    for (size_t k = 0; k < n && r == 0; k++) {
        i->candidate = &candidates[k];
        r = identify_one(i, err);
    }
    if (r == 0 && i->plan.n == 0)
        r = error_set(err, ERROR_DISK_STATUS,
                      "No local disk of %s was found, and a disk that is not found is not cleared.",
                      instance_public_id(i->instance));
    return r;
}

void identify_run(struct job *j)
{
    struct identification i = {.job = j, .instance = j->order->instance};
    struct wipe_report *report = wipe_report_new(WIPE_REPORT_IDENTIFIED, j->order);
    struct error *error = NULL;

    if (identify_all(&i, &error) < 0)
        disk_plan_clear(&i.plan);
    if (report) {
        report->error = error;
        report->plan = i.plan;
    }
    if (i.n_left > 0)
        job_stays_behind(j);
    job_report(j, report);
    end_helpers(&i);
    free(i.nodes);
}
