/* operation-view.c - reading an operation's document, finding one, and what its end is to a shell
 */
#include "cli/operation-view.h"
#include "cli/transfer.h"

#include <errno.h>
#include <string.h>

static const char *text_of(json_object *object, const char *key)
{
    const char *text = NULL;

    return json_get_string(object, key, &text) == 0 && text ? text : "";
}

static usec_t time_of(json_object *object, const char *key)
{
    usec_t time = 0;

    return json_get_time(object, key, &time) == 0 ? time : 0;
}

int operation_view(json_object *operation, struct operation_view *ret, struct error **err)
{
    json_object *error = NULL;

    *ret = (struct operation_view){
        .request_id = text_of(operation, "requestId"),
        .instance_id = text_of(operation, "instanceId"),
        .state = text_of(operation, "state"),
        .phase = text_of(operation, "phase"),
        .outcome = text_of(operation, "outcome"),
        .detail = text_of(operation, "detail"),
        .forced_by = text_of(operation, "forcedBy"),
        .stopped_mode = text_of(operation, "stoppedMode"),
        .principal = text_of(operation, "principal"),
        .accepted_at = time_of(operation, "acceptedAt"),
        .off_at = time_of(operation, "offAt"),
        .finished_at = time_of(operation, "finishedAt"),
    };
    json_get_object(operation, "error", &error);
    ret->error_code = text_of(error, "code");
    ret->error_message = text_of(error, "message");
    json_get_bool(operation, "forceStop", &ret->force_stop);
    json_get_array(operation, "timeline", &ret->timeline);
    if (!is_set(ret->request_id) || !is_set(ret->phase))
        return error_set(err, ERROR_UNREACHABLE, "what the daemon answered is no operation");
    return 0;
}

bool operation_view_finished(const struct operation_view *v)
{
    return is_set(v->outcome);
}

const char *operation_view_cause(const struct operation_view *v)
{
    size_t n = v->timeline ? json_object_array_length(v->timeline) : 0;

    while (n-- > 0) {
        json_object *entry = json_object_array_get_idx(v->timeline, n);

        if (text_equal(text_of(entry, "what"), "off"))
            return text_of(entry, "detail");
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

/* 1 and the newest, 0: the daemon knows none of this instance. */
static int newest_of(struct cli *cli, const char *instance, bool unfinished, json_object **ret,
                     struct error **err)
{
    _cleanup_(freep) char *path =
        transfer_path("/v1/operations?instance=", instance, unfinished ? "&state=Stopping" : "");
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
    if (json_object_array_length(list) == 0)
        return 0;
    *ret = json_object_get(json_object_array_get_idx(list, 0));
    return 1;
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
    return text_replace(ret, text_of(instance, "instanceId")) < 0 ? error_no_memory(err) : 0;
}

static int by_instance(struct cli *cli, const char *argument, bool unfinished, json_object **ret,
                       struct error **err)
{
    _cleanup_(freep) char *id = NULL;
    int r = newest_of(cli, argument, unfinished, ret, err);

    if (r == 0) {
        r = resolve_instance(cli, argument, &id, err);
        if (r == 0 && is_set(id) && !text_equal(id, argument))
            r = newest_of(cli, id, unfinished, ret, err);
    }
    if (r != 0)
        return r < 0 ? r : 0;
    free(take(cli->code));
    if (unfinished)
        return error_set(err, ERROR_INSTANCE_STATUS, "no stop of it is under way");
    return error_set(err, ERROR_OPERATION_NOT_FOUND, "no stop of it is known");
}

int operation_find(struct cli *cli, const char *argument, bool unfinished, json_object **ret,
                   struct error **err)
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
    return by_instance(cli, argument, unfinished, ret, err);
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
