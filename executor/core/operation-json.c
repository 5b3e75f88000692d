/* operation-json.c - an operation as the API shows it and as the journal keeps it
 *
 * Theory of operation. Both are one document: what the contract's section 5 names, and for the
 * journal a member "journal" beside it with all that a later process needs to go on. Reading takes
 * nothing for granted: a member that is missing or of another type makes the document an error.
 */
#include "base/json.h"
#include "core/operation.h"

#include <errno.h>
#include <string.h>

static json_object *timeline_to_json(const struct operation *op)
{
    _cleanup_(json) json_object *array = json_object_new_array();

    for (size_t i = 0; array && i < op->n_timeline; i++) {
        const struct timeline_entry *entry = &op->timeline[i];
        json_object *line = json_object_new_object();

        if (json_append(array, line) < 0 || json_add_time(line, "at", entry->at) < 0 ||
            json_add_string(line, "what", entry->what) < 0 ||
            json_add_string(line, "detail", entry->detail) < 0)
            return NULL;
    }
    return take(array);
}

static json_object *storage_to_json(const struct operation *op, bool for_journal)
{
    _cleanup_(json) json_object *array = json_object_new_array();

    for (size_t i = 0; array && i < op->disks.n; i++)
        if (json_append(array, planned_disk_to_json(&op->disks.items[i], for_journal)) < 0)
            return NULL;
    return take(array);
}

/* null while no grace runs: before the first button, and after it. As of the last line of the
 * journal. */
static int add_grace_left(json_object *o, const struct operation *op)
{
    if (op->stage != STAGE_SHUTTING_DOWN || op->presses == 0)
        return json_add_string(o, "graceLeft", NULL);
    return json_add_number(o, "graceLeft", op->grace_left / USEC_PER_SEC);
}

static int add_error(json_object *o, const struct operation *op)
{
    json_object *error;

    if (op->error == ERROR_NONE || op->stage != STAGE_DONE)
        return json_add_string(o, "error", NULL);
    error = json_object_new_object();
    return json_add(o, "error", error) ||
           json_add_string(error, "code", error_public_code(op->error)) ||
           json_add_string(error, "message", op->error_message);
}

json_object *operation_to_json(const struct operation *op)
{
    _cleanup_(json) json_object *o = json_object_new_object();
    const char *outcome = op->outcome == OUTCOME_NONE ? NULL : outcome_to_string(op->outcome);

    if (!o || json_add_string(o, "requestId", op->request_id) ||
        json_add_string(o, "instanceId", op->instance_id) ||
        json_add_string(o, "action", operation_action_to_string(op->action)) ||
        json_add_string(o, "state", instance_state_to_string(operation_state(op))) ||
        json_add_string(o, "phase", operation_phase(op)) ||
        json_add_string(o, "outcome", outcome) || add_error(o, op) ||
        json_add_string(o, "detail", op->detail) || json_add_bool(o, "forceStop", op->force_stop) ||
        json_add_string(o, "forcedBy", op->forced_by) ||
        json_add_number(o, "grace", op->grace / USEC_PER_SEC) || add_grace_left(o, op) ||
        json_add_string(o, "stoppedMode", stopped_mode_to_string(op->stopped_mode)) ||
        json_add_time(o, "acceptedAt", op->accepted_at) || json_add_time(o, "offAt", op->off_at) ||
        json_add_time(o, "finishedAt", op->finished_at) ||
        json_add_string(o, "principal", op->principal) ||
        json_add_string(o, "traceparent", op->traceparent) ||
        json_add(o, "timeline", timeline_to_json(op)) ||
        json_add(o, "storage", storage_to_json(op, false)))
        return NULL;
    return take(o);
}

static int add_incarnation(json_object *o, const struct incarnation *i)
{
    return json_add_string(o, "bootId", i->boot_id) ||
           json_add_number(o, "pid", (uint64_t)i->pid) ||
           json_add_number(o, "startTime", i->start_time);
}

json_object *operation_to_journal(const struct operation *op)
{
    _cleanup_(json) json_object *o = operation_to_json(op);
    json_object *k = json_object_new_object();
    char domain[UUID_TEXT_SIZE];

    uuid_unparse_lower(op->domain, domain);
    if (!o) {
        json_object_put(k);
        return NULL;
    }
    if (json_add(o, "journal", k) || json_add_string(k, "domain", domain) ||
        json_add_string(k, "domainName", op->domain_name) ||
        json_add_string(k, "stage", stage_to_string(op->stage)) ||
        json_add_string(k, "error", error_name(op->error)) ||
        json_add_string(k, "errorMessage", op->error_message) ||
        json_add_string(k, "traceparent", op->traceparent) ||
        json_add_number(k, "grace", op->grace) || json_add_number(k, "graceLeft", op->grace_left) ||
        json_add_number(k, "resend", op->resend) ||
        json_add_string(k, "method", stop_method_to_string(op->method)) ||
        json_add_string(k, "onTimeout", timeout_action_to_string(op->on_timeout)) ||
        json_add_number(k, "acceptedAt", op->accepted_at) ||
        json_add_number(k, "offAt", op->off_at) ||
        json_add_number(k, "finishedAt", op->finished_at) || add_incarnation(k, &op->incarnation) ||
        json_add_bool(k, "hasProcesses", op->has_processes) ||
        json_add_string(k, "onPoweroff", lifecycle_action_to_string(op->former.on_poweroff)) ||
        json_add_string(k, "onReboot", lifecycle_action_to_string(op->former.on_reboot)) ||
        json_add_bool(k, "interlockWanted", op->interlock_wanted) ||
        json_add_number(k, "buttonsOut", op->buttons_out) ||
        json_add_bool(k, "agentSpent", op->agent_spent) ||
        json_add_number(k, "presses", op->presses) ||
        json_add_number(k, "agentTries", op->agent_tries) || json_add_number(k, "cuts", op->cuts) ||
        json_add_number(k, "restoreTries", op->restore_tries) ||
        json_add(k, "disks", storage_to_json(op, true)) ||
        json_add_string(k, "disksAtAcceptance", op->disks_at_acceptance) ||
        json_add_bool(k, "disksChanged", op->disks_changed))
        return NULL;
    return take(o);
}

void operation_document_publish(json_object *document)
{
    json_object_object_del(document, "journal");
}

/* --- Reading ------------------------------------------------------------------------------- */

static int get_text(json_object *o, const char *key, char **ret)
{
    const char *text;

    if (json_get_string(o, key, &text) < 0)
        return -EINVAL;
    return text_replace(ret, text);
}

#define GET_WORD(o, key, words, ret)                                                         \
    __extension__({                                                                          \
        const char *word_ = NULL;                                                            \
        json_get_string(o, key, &word_) < 0 || !word_ || words##_from_string(word_, ret) < 0 \
            ? -EINVAL                                                                        \
            : 0;                                                                             \
    })

static int get_error(json_object *o, enum error_code *ret)
{
    const char *name;

    return json_get_string(o, "error", &name) < 0 || error_from_name(name, ret) < 0 ? -EINVAL : 0;
}

static int get_unsigned(json_object *o, const char *key, unsigned *ret)
{
    uint64_t n;

    if (json_get_number(o, key, &n) < 0 || n > UINT32_MAX)
        return -EINVAL;
    *ret = (unsigned)n;
    return 0;
}

/* Journals of before it was counted have none. */
static int get_buttons_out(json_object *k, unsigned *ret)
{
    if (!json_object_object_get_ex(k, "buttonsOut", NULL))
        return 0;
    return get_unsigned(k, "buttonsOut", ret);
}

static int get_request_id(json_object *o, const char *key, char ret[static UUID_TEXT_SIZE])
{
    const char *text;
    uuid_t parsed;

    if (json_get_string(o, key, &text) < 0 || !text || uuid_parse(text, parsed) < 0)
        return -EINVAL;
    memcpy(ret, text, UUID_TEXT_SIZE);
    return 0;
}

static int get_uuid(json_object *o, const char *key, uuid_t ret)
{
    const char *text;

    return json_get_string(o, key, &text) < 0 || !text || uuid_parse(text, ret) < 0 ? -EINVAL : 0;
}

static int get_incarnation(json_object *o, struct incarnation *ret)
{
    uint64_t pid;
    const char *boot;

    if (json_get_string(o, "bootId", &boot) < 0 || !boot || strlen(boot) >= sizeof(ret->boot_id) ||
        json_get_number(o, "pid", &pid) < 0 || pid > INT32_MAX ||
        json_get_number(o, "startTime", &ret->start_time) < 0)
        return -EINVAL;
    memcpy(ret->boot_id, boot, strlen(boot) + 1);
    ret->pid = (pid_t)pid;
    return 0;
}

static int get_timeline(json_object *o, struct operation *op)
{
    json_object *array;
    size_t n;

    if (json_get_array(o, "timeline", &array) < 0)
        return -EINVAL;
    n = json_object_array_length(array);
    op->timeline = calloc(n ? n : 1, sizeof(*op->timeline));
    if (!op->timeline)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        json_object *line = json_object_array_get_idx(array, i);
        struct timeline_entry *entry = &op->timeline[op->n_timeline++];

        if (json_get_time(line, "at", &entry->at) < 0 || get_text(line, "what", &entry->what) < 0 ||
            !entry->what || get_text(line, "detail", &entry->detail) < 0)
            return -EINVAL;
    }
    return 0;
}

static int get_disks(json_object *k, struct operation *op)
{
    json_object *array;

    if (json_get_array(k, "disks", &array) < 0)
        return -EINVAL;
    for (size_t i = 0; i < json_object_array_length(array); i++) {
        struct planned_disk *d = disk_plan_add(&op->disks);

        if (!d || planned_disk_from_json(json_object_array_get_idx(array, i), d) < 0)
            return -EINVAL;
    }
    return 0;
}

static int read_public(json_object *o, struct operation *op)
{
    const char *outcome;

    if (get_request_id(o, "requestId", op->request_id) ||
        GET_WORD(o, "action", operation_action, &op->action) ||
        get_text(o, "instanceId", &op->instance_id) || !op->instance_id ||
        json_get_string(o, "outcome", &outcome) ||
        outcome_from_string(outcome ? outcome : "", &op->outcome) ||
        get_text(o, "detail", &op->detail) || json_get_bool(o, "forceStop", &op->force_stop) ||
        get_text(o, "forcedBy", &op->forced_by) ||
        GET_WORD(o, "stoppedMode", stopped_mode, &op->stopped_mode) ||
        get_text(o, "principal", &op->principal) || get_timeline(o, op))
        return -EINVAL;
    return 0;
}

static int read_private(json_object *k, struct operation *op)
{
    if (get_uuid(k, "domain", op->domain) || get_text(k, "domainName", &op->domain_name) ||
        GET_WORD(k, "stage", stage, &op->stage) || get_error(k, &op->error) ||
        get_text(k, "errorMessage", &op->error_message) ||
        get_text(k, "traceparent", &op->traceparent) || json_get_number(k, "grace", &op->grace) ||
        json_get_number(k, "graceLeft", &op->grace_left) ||
        json_get_number(k, "resend", &op->resend) ||
        GET_WORD(k, "method", stop_method, &op->method) ||
        GET_WORD(k, "onTimeout", timeout_action, &op->on_timeout) ||
        json_get_number(k, "acceptedAt", &op->accepted_at) ||
        json_get_number(k, "offAt", &op->off_at) ||
        json_get_number(k, "finishedAt", &op->finished_at) ||
        get_incarnation(k, &op->incarnation) ||
        json_get_bool(k, "hasProcesses", &op->has_processes) ||
        GET_WORD(k, "onPoweroff", lifecycle_action, &op->former.on_poweroff) ||
        GET_WORD(k, "onReboot", lifecycle_action, &op->former.on_reboot) ||
        json_get_bool(k, "interlockWanted", &op->interlock_wanted) ||
        get_buttons_out(k, &op->buttons_out) || json_get_bool(k, "agentSpent", &op->agent_spent) ||
        get_unsigned(k, "presses", &op->presses) ||
        get_unsigned(k, "agentTries", &op->agent_tries) || get_unsigned(k, "cuts", &op->cuts) ||
        get_unsigned(k, "restoreTries", &op->restore_tries) || get_disks(k, op) ||
        get_text(k, "disksAtAcceptance", &op->disks_at_acceptance) ||
        json_get_bool(k, "disksChanged", &op->disks_changed))
        return -EINVAL;
    return 0;
}

int operation_from_journal(json_object *document, struct operation **ret, struct error **err)
{
    _cleanup_(operation_free) struct operation *op = operation_new();
    json_object *private;

    if (!op)
        return error_no_memory(err);
    if (json_get_object(document, "journal", &private) < 0 || read_public(document, op) < 0 ||
        read_private(private, op) < 0)
        return error_set(err, ERROR_JOURNAL, "the stored operation %s is damaged",
                         op->request_id[0] ? op->request_id : "without a RequestId");
    *ret = take(op);
    return 0;
}
