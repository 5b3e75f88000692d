/* operation-view.c - reading an operation's document, finding one, and what its end is to a shell
 */
#include "cli/operation-view.h"
#include "cli/text.h"
#include "cli/transfer.h"

#include <errno.h>
#include <string.h>

/* null: it stands still, or there is none. */
static usec_t grace_left_of(json_object *operation)
{
    uint64_t seconds;

    return json_get_number(operation, "graceLeft", &seconds) == 0 ? seconds * USEC_PER_SEC
                                                                  : USEC_NEVER;
}

int operation_view(json_object *operation, struct operation_view *ret, struct error **err)
{
    json_object *error = document_object(operation, "error");

    *ret = (struct operation_view){
        .request_id = document_text(operation, "requestId"),
        .instance_id = document_text(operation, "instanceId"),
        .action = document_text(operation, "action"),
        .state = document_text(operation, "state"),
        .phase = document_text(operation, "phase"),
        .outcome = document_text(operation, "outcome"),
        .detail = document_text(operation, "detail"),
        .forced_by = document_text(operation, "forcedBy"),
        .stopped_mode = document_text(operation, "stoppedMode"),
        .principal = document_text(operation, "principal"),
        .accepted_at = document_time(operation, "acceptedAt"),
        .off_at = document_time(operation, "offAt"),
        .finished_at = document_time(operation, "finishedAt"),
        .error_code = document_text(error, "code"),
        .error_message = document_text(error, "message"),
        .grace_left = grace_left_of(operation),
        .document = operation,
    };
    json_get_bool(operation, "forceStop", &ret->force_stop);
    if (!is_set(ret->request_id) || !is_set(ret->phase))
        return error_set(err, ERROR_UNREACHABLE, "what the daemon answered is no operation");
    return 0;
}

bool operation_view_finished(const struct operation_view *v)
{
    return is_set(v->outcome);
}

bool operation_view_is_clear(const struct operation_view *v)
{
    return text_equal(v->action, "ClearLocalDisks");
}

bool operation_view_quarantined(const struct operation_view *v)
{
    return text_equal(v->phase, "quarantined");
}

bool operation_view_clears(const struct operation_view *v)
{
    return text_equal(v->phase, "clearing") || text_equal(v->phase, "verifying") ||
           operation_view_quarantined(v);
}

size_t operation_view_disks(const struct operation_view *v)
{
    return document_count(v->document, "storage");
}

void operation_view_disk(const struct operation_view *v, size_t i, struct disk_view *ret)
{
    disk_view(document_element(v->document, "storage", i), ret);
}

int operation_view_percent(const struct operation_view *v)
{
    bool verifying = text_equal(v->phase, "verifying");
    uint64_t part = 0, whole = 0;

    if (!operation_view_clears(v) || operation_view_quarantined(v))
        return -1;
    for (size_t i = 0; i < operation_view_disks(v); i++) {
        struct disk_view d;

        operation_view_disk(v, i, &d);
        whole += d.bytes;
        if (disk_view_is(&d, "cleared"))
            part += d.bytes;
        else
            part += verifying ? d.verified : d.done;
    }
    return (int)percent_of(part, whole);
}

const char *operation_view_phase(const struct operation_view *v, char ret[static PHASE_TEXT_SIZE])
{
    int percent = operation_view_percent(v);

    if (percent < 0)
        snprintf(ret, PHASE_TEXT_SIZE, "%.40s", v->phase);
    else
        snprintf(ret, PHASE_TEXT_SIZE, "%s %d%%", v->phase, percent);
    return ret;
}

const char *operation_view_cause(const struct operation_view *v)
{
    size_t n = document_count(v->document, "timeline");

    while (n-- > 0) {
        json_object *entry = document_element(v->document, "timeline", n);

        if (text_equal(document_text(entry, "what"), "off"))
            return document_text(entry, "detail");
    }
    return "";
}

usec_t operation_view_elapsed(const struct operation_view *v, usec_t realtime)
{
    usec_t end = v->finished_at ? v->finished_at : realtime;

    return end > v->accepted_at ? end - v->accepted_at : 0;
}

int operation_view_exit_status(const struct operation_view *v)
{
    if (text_equal(v->outcome, "Stopped"))
        return 0;
    if (operation_view_quarantined(v))
        return EXIT_STATUS_DISK;
    /* The Code of an operation that failed says why; it is a failed stop whatever it would be as an
     * answer, save where a disk is what is left. */
    if (error_exit_status_of_answer(v->error_code, 500) == EXIT_STATUS_DISK)
        return EXIT_STATUS_DISK;
    return error_exit_status(ERROR_GRACE_OVER);
}

/* --- Finding one --------------------------------------------------------------------------- */

static int by_request_id(struct cli *cli, const char *id, json_object **ret, struct error **err)
{
    _cleanup_(freep) char *path = transfer_path("/v1/operations/", id, "");

    return path ? transfer_get(cli, path, ret, err) : error_no_memory(err);
}

static bool has_cleared(json_object *operation)
{
    for (size_t i = 0; i < document_count(operation, "storage"); i++)
        if (text_equal(document_text(document_element(operation, "storage", i), "state"),
                       "cleared"))
            return true;
    return false;
}

static bool is_wanted(json_object *operation, enum operation_wanted wanted)
{
    switch (wanted) {
    case OPERATION_UNFINISHED:
        return !is_set(document_text(operation, "outcome"));
    case OPERATION_CERTIFIED:
        return has_cleared(operation);
    default:
        return true;
    }
}

/* 1 and the newest that is wanted, 0: the daemon knows none of this instance. */
static int newest_of(struct cli *cli, const char *instance, enum operation_wanted wanted,
                     json_object **ret, struct error **err)
{
    _cleanup_(freep) char *path = transfer_path("/v1/operations?instance=", instance, "");
    _cleanup_(json) json_object *answer = NULL;
    json_object *list = NULL;
    int r;

    if (!path)
        return error_no_memory(err);
    r = transfer_get(cli, path, &answer, err);
    if (r < 0)
        return r;
    if (json_get_array(answer, "operations", &list) < 0)
        return error_set(err, ERROR_UNREACHABLE,
                         "what the daemon answered is no list of operations");
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        json_object *operation = json_object_array_get_idx(list, i);

        if (is_wanted(operation, wanted)) {
            *ret = json_object_get(operation);
            return 1;
        }
    }
    return 0;
}

/* Operations go by the id that the instance had then, and the argument may be a name or a UUID. */
static int resolve_instance(struct cli *cli, const char *argument, char **ret, struct error **err)
{
    _cleanup_(freep) char *path = transfer_path("/v1/instances/", argument, "");
    _cleanup_(json) json_object *instance = NULL;
    int r;

    if (!path)
        return error_no_memory(err);
    r = transfer_get(cli, path, &instance, err);
    if (r < 0)
        return r;
    return text_replace(ret, document_text(instance, "instanceId")) < 0 ? error_no_memory(err) : 0;
}

static int none_of(enum operation_wanted wanted, struct error **err)
{
    switch (wanted) {
    case OPERATION_UNFINISHED:
        return error_set(err, ERROR_INSTANCE_STATUS, "no stop of it is under way");
    case OPERATION_CERTIFIED:
        return error_set(err, ERROR_OPERATION_NOT_FOUND, "no clear of its local disks is known");
    default:
        return error_set(err, ERROR_OPERATION_NOT_FOUND, "no stop of it is known");
    }
}

static int by_instance(struct cli *cli, const char *argument, enum operation_wanted wanted,
                       json_object **ret, struct error **err)
{
    _cleanup_(freep) char *id = NULL;
    int r = newest_of(cli, argument, wanted, ret, err);

    if (r == 0) {
        r = resolve_instance(cli, argument, &id, err);
        if (r == 0 && is_set(id) && !text_equal(id, argument))
            r = newest_of(cli, id, wanted, ret, err);
    }
    if (r != 0)
        return r < 0 ? r : 0;
    free(take(cli->code));
    return none_of(wanted, err);
}

int operation_find(struct cli *cli, const char *argument, enum operation_wanted wanted,
                   json_object **ret, struct error **err)
{
    _cleanup_(error_free) struct error *not_found = NULL;
    uuid_t uuid;

    if (uuid_parse(argument, uuid) == 0) {
        if (by_request_id(cli, argument, ret, &not_found) >= 0)
            return 0;
        if (error_exit_status(error_code_of(not_found)) !=
            error_exit_status(ERROR_OPERATION_NOT_FOUND))
            return error_move(err, &not_found);
    }
    return by_instance(cli, argument, wanted, ret, err);
}

/* --- Exit statuses ------------------------------------------------------------------------- */

/* What was attempted and failed comes before what is not known, that before what was refused and so
 * changed nothing, that before what only takes longer. */
int exit_status_worse(int a, int b)
{
    static const int order[] = {71, 70, 69, 75, 77, 76, 66, 78, 64, 124};

    for (size_t i = 0; i < ELEMENTSOF(order); i++)
        if (order[i] == a || order[i] == b)
            return order[i];
    return a ? a : b;
}
