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

static void write_timeline(struct json_writer *w, const struct operation *op)
{
    json_write_begin(w, "timeline", '[');
    for (size_t i = 0; i < op->timeline.n; i++) {
        const struct timeline_entry *entry = &op->timeline.items[i];

        json_write_begin(w, NULL, '{');
        json_write_time(w, "at", entry->at);
        json_write_string(w, "what", entry->what);
        json_write_string(w, "detail", entry->detail);
        json_write_end(w, '}');
    }
    json_write_end(w, ']');
}

/* 0 or -ENOMEM. Few instances have any, so these come as trees. */
static int write_storage(struct json_writer *w, const char *key, const struct operation *op,
                         bool for_journal)
{
    json_write_begin(w, key, '[');
    for (size_t i = 0; i < op->disks.n; i++) {
        _cleanup_(json) json_object *disk = planned_disk_to_json(&op->disks.items[i], for_journal);

        if (!disk)
            return -ENOMEM;
        json_write_object(w, NULL, disk);
    }
    json_write_end(w, ']');
    return 0;
}

/* null while no grace runs: before the first button, and after it. As of the last line of the
 * journal. */
static void write_grace_left(struct json_writer *w, const struct operation *op)
{
    if (op->stage != STAGE_SHUTTING_DOWN || op->presses == 0)
        json_write_string(w, "graceLeft", NULL);
    else
        json_write_number(w, "graceLeft", op->grace_left / USEC_PER_SEC);
}

static void write_error(struct json_writer *w, const struct operation *op)
{
    if (op->error == ERROR_NONE || op->stage != STAGE_DONE) {
        json_write_string(w, "error", NULL);
        return;
    }
    json_write_begin(w, "error", '{');
    json_write_string(w, "code", error_public_code(op->error));
    json_write_string(w, "message", op->error_message);
    json_write_end(w, '}');
}

static int write_public(struct json_writer *w, const struct operation *op)
{
    json_write_string(w, "requestId", op->request_id);
    json_write_string(w, "instanceId", op->instance_id);
    json_write_string(w, "action", operation_action_to_string(op->action));
    json_write_string(w, "state", instance_state_to_string(operation_state(op)));
    json_write_string(w, "phase", operation_phase(op));
    json_write_string(w, "outcome",
                      op->outcome == OUTCOME_NONE ? NULL : outcome_to_string(op->outcome));
    write_error(w, op);
    json_write_string(w, "detail", op->detail);
    json_write_bool(w, "forceStop", op->force_stop);
    json_write_string(w, "forcedBy", op->forced_by);
    json_write_number(w, "grace", op->grace / USEC_PER_SEC);
    write_grace_left(w, op);
    json_write_string(w, "stoppedMode", stopped_mode_to_string(op->stopped_mode));
    json_write_time(w, "acceptedAt", op->accepted_at);
    json_write_time(w, "offAt", op->off_at);
    json_write_time(w, "finishedAt", op->finished_at);
    json_write_string(w, "principal", op->principal);
    json_write_string(w, "traceparent", op->traceparent);
    write_timeline(w, op);
    return write_storage(w, "storage", op, false);
}

static void write_incarnation(struct json_writer *w, const struct incarnation *i)
{
    json_write_string(w, "bootId", i->boot_id);
    json_write_number(w, "pid", (uint64_t)i->pid);
    json_write_number(w, "startTime", i->start_time);
}

static int write_private(struct json_writer *w, const struct operation *op)
{
    char domain[UUID_TEXT_SIZE];
    int r;

    uuid_unparse_lower(op->domain, domain);
    json_write_begin(w, "journal", '{');
    json_write_string(w, "domain", domain);
    json_write_string(w, "domainName", op->domain_name);
    json_write_string(w, "stage", stage_to_string(op->stage));
    json_write_string(w, "error", error_name(op->error));
    json_write_string(w, "errorMessage", op->error_message);
    json_write_string(w, "traceparent", op->traceparent);
    json_write_number(w, "grace", op->grace);
    json_write_number(w, "graceLeft", op->grace_left);
    json_write_number(w, "resend", op->resend);
    json_write_string(w, "method", stop_method_to_string(op->method));
    json_write_string(w, "onTimeout", timeout_action_to_string(op->on_timeout));
    json_write_bool(w, "lockOverridden", op->lock_overridden);
    json_write_number(w, "acceptedAt", op->accepted_at);
    json_write_number(w, "offAt", op->off_at);
    json_write_number(w, "finishedAt", op->finished_at);
    json_write_string(w, "ended", op->ended);
    json_write_string(w, "end", end_cause_to_string(op->end));
    write_incarnation(w, &op->incarnation);
    json_write_bool(w, "hasProcesses", op->has_processes);
    json_write_string(w, "onPoweroff", lifecycle_action_to_string(op->former.on_poweroff));
    json_write_string(w, "onReboot", lifecycle_action_to_string(op->former.on_reboot));
    json_write_bool(w, "interlockWanted", op->interlock_wanted);
    json_write_number(w, "buttonsOut", op->buttons_out);
    json_write_bool(w, "agentSpent", op->agent_spent);
    json_write_number(w, "presses", op->presses);
    json_write_number(w, "agentTries", op->agent_tries);
    json_write_number(w, "cuts", op->cuts);
    json_write_number(w, "restoreTries", op->restore_tries);
    r = write_storage(w, "disks", op, true);
    json_write_string(w, "disksAtAcceptance", op->disks_at_acceptance);
    json_write_bool(w, "disksChanged", op->disks_changed);
    json_write_end(w, '}');
    return r;
}

const char *operation_write(const struct operation *op, bool for_journal, struct json_writer *w)
{
    int r;

    json_writer_reset(w);
    json_write_begin(w, NULL, '{');
    r = write_public(w, op);
    if (r == 0 && for_journal)
        r = write_private(w, op);
    json_write_end(w, '}');
    return r < 0 ? NULL : json_written(w);
}

json_object *operation_to_json(const struct operation *op)
{
    _cleanup_(json_writer) struct json_writer w = {0};
    const char *text = operation_write(op, false, &w);

    return text ? json_tokener_parse(text) : NULL;
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

/* These three came later: older journals have none. */
static int get_buttons_out(json_object *k, unsigned *ret)
{
    if (!json_object_object_get_ex(k, "buttonsOut", NULL))
        return 0;
    return get_unsigned(k, "buttonsOut", ret);
}

static int get_ended(json_object *k, char **ret)
{
    return json_object_object_get_ex(k, "ended", NULL) ? get_text(k, "ended", ret) : 0;
}

/* A stop that began before locks were looked at again goes on as it began. */
static int get_lock_overridden(json_object *k, bool *ret)
{
    *ret = true;
    if (!json_object_object_get_ex(k, "lockOverridden", NULL))
        return 0;
    return json_get_bool(k, "lockOverridden", ret);
}

static int get_end(json_object *k, enum end_cause *ret)
{
    return json_object_object_get_ex(k, "end", NULL) ? GET_WORD(k, "end", end_cause, ret) : 0;
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

    if (json_get_array(o, "timeline", &array) < 0)
        return -EINVAL;
    for (size_t i = 0; i < json_object_array_length(array); i++) {
        json_object *line = json_object_array_get_idx(array, i);
        const char *what, *detail;
        usec_t at;
        int r = json_get_time(line, "at", &at)
                    ?: json_get_string(line, "what", &what)
                    ?: (what ? 0 : -EINVAL) ?: json_get_string(line, "detail", &detail)
                    ?: timeline_add(&op->timeline, at, what, detail);

        if (r < 0)
            return r;
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
        int r = d ? planned_disk_from_json(json_object_array_get_idx(array, i), d) : -ENOMEM;

        if (r < 0)
            return r;
    }
    return 0;
}

static int get_outcome(json_object *o, enum outcome *ret)
{
    const char *word;

    return json_get_string(o, "outcome", &word) < 0 ? -EINVAL
                                                    : outcome_from_string(word ? word : "", ret);
}

/* A chain of `?:` ends at what fails first, and is that. */
static int read_public(json_object *o, struct operation *op)
{
    return get_request_id(o, "requestId", op->request_id)
               ?: GET_WORD(o, "action", operation_action, &op->action)
               ?: get_text(o, "instanceId", &op->instance_id)
               ?: (op->instance_id ? 0 : -EINVAL)
               ?: get_outcome(o, &op->outcome)
               ?: get_text(o, "detail", &op->detail)
               ?: json_get_bool(o, "forceStop", &op->force_stop)
               ?: get_text(o, "forcedBy", &op->forced_by)
               ?: GET_WORD(o, "stoppedMode", stopped_mode, &op->stopped_mode)
               ?: get_text(o, "principal", &op->principal)
               ?: get_timeline(o, op);
}

static int read_private(json_object *k, struct operation *op)
{
    return get_uuid(k, "domain", op->domain)
               ?: get_text(k, "domainName", &op->domain_name)
               ?: GET_WORD(k, "stage", stage, &op->stage)
               ?: get_error(k, &op->error)
               ?: get_text(k, "errorMessage", &op->error_message)
               ?: get_text(k, "traceparent", &op->traceparent)
               ?: json_get_number(k, "grace", &op->grace)
               ?: json_get_number(k, "graceLeft", &op->grace_left)
               ?: json_get_number(k, "resend", &op->resend)
               ?: GET_WORD(k, "method", stop_method, &op->method)
               ?: GET_WORD(k, "onTimeout", timeout_action, &op->on_timeout)
               ?: get_lock_overridden(k, &op->lock_overridden)
               ?: json_get_number(k, "acceptedAt", &op->accepted_at)
               ?: json_get_number(k, "offAt", &op->off_at)
               ?: json_get_number(k, "finishedAt", &op->finished_at)
               ?: get_ended(k, &op->ended)
               ?: get_end(k, &op->end)
               ?: get_incarnation(k, &op->incarnation)
               ?: json_get_bool(k, "hasProcesses", &op->has_processes)
               ?: GET_WORD(k, "onPoweroff", lifecycle_action, &op->former.on_poweroff)
               ?: GET_WORD(k, "onReboot", lifecycle_action, &op->former.on_reboot)
               ?: json_get_bool(k, "interlockWanted", &op->interlock_wanted)
               ?: get_buttons_out(k, &op->buttons_out)
               ?: json_get_bool(k, "agentSpent", &op->agent_spent)
               ?: get_unsigned(k, "presses", &op->presses)
               ?: get_unsigned(k, "agentTries", &op->agent_tries)
               ?: get_unsigned(k, "cuts", &op->cuts)
               ?: get_unsigned(k, "restoreTries", &op->restore_tries)
               ?: get_disks(k, op)
               ?: get_text(k, "disksAtAcceptance", &op->disks_at_acceptance)
               ?: json_get_bool(k, "disksChanged", &op->disks_changed);
}

static int read_whole(json_object *document, struct operation *op)
{
    json_object *private;

    return json_get_object(document, "journal", &private)
               ?: read_public(document, op) ?: read_private(private, op);
}

int operation_from_journal(json_object *document, struct operation **ret, struct error **err)
{
    _cleanup_(operation_free) struct operation *op = operation_new();
    int r = op ? read_whole(document, op) : -ENOMEM;

    if (r == -ENOMEM)
        return error_no_memory(err);
    if (r < 0)
        return error_set(err, ERROR_JOURNAL, "the stored operation %s is damaged",
                         op->request_id[0] ? op->request_id : "without a RequestId");
    *ret = take(op);
    return 0;
}
