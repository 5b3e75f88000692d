/* checks.c - whether a command may be carried out, and the operation that it begins
 *
 * Theory of operation. The checks are a table of functions over (command, instance), in the order
 * in which the contract lists them; the first that fails answers. They look at nothing else: what
 * needs the journal or the hypervisor has been brought along in the context.
 */
#include "core/stop.h"

#include <errno.h>
#include <string.h>

typedef int (*check)(const struct command *c, const struct check_context *x, struct error **err);

/* A lock may stand in metadata that we cannot read: nothing is guessed. */
static int check_metadata(const struct command *c, const struct check_context *x,
                          struct error **err)
{
    if (x->instance->metadata_error)
        return error_set(err, ERROR_CONFLICT, "The metadata of domain %s cannot be understood: %s.",
                         x->instance->name, x->instance->metadata_error);
    return 0;
}

static int check_lock(const struct command *c, const struct check_context *x, struct error **err)
{
    if (instance_is_locked_for(x->instance, "security") && !c->override_lock)
        return error_set(err, ERROR_LOCKED_FOR_SECURITY, NULL);
    return 0;
}

static int check_account(const struct command *c, const struct check_context *x, struct error **err)
{
    if (x->instance->account != ACCOUNT_OK && !c->override_arrears)
        return error_set(err, ERROR_EXPIRED_OR_IN_ARREARS, NULL);
    return 0;
}

static bool has_local_storage(const struct check_context *x)
{
    return instance_is_of_family(x->instance, x->policy->local_families,
                                 x->policy->n_local_families);
}

static bool has_local_disks(const struct check_context *x)
{
    return has_local_storage(x) || x->instance->n_local_disks > 0;
}

/* ERROR_NONE: the instance can be StopCharging. */
static enum error_code why_not_stop_charging(const struct check_context *x)
{
    if (x->instance->network == NETWORK_CLASSIC)
        return ERROR_CLASSIC_NETWORK;
    if (x->instance->charge == CHARGE_PREPAID)
        return ERROR_PREPAID;
    if (has_local_disks(x))
        return ERROR_HAS_LOCAL_DISKS;
    if (x->instance->spot)
        return ERROR_SPOT;
    return ERROR_NONE;
}

static int check_stopped_mode(const struct command *c, const struct check_context *x,
                              struct error **err)
{
    enum error_code why = ERROR_NONE;

    if (c->stopped_mode == STOPPED_MODE_STOP_CHARGING)
        why = why_not_stop_charging(x);
    return why == ERROR_NONE ? 0 : error_set(err, why, NULL);
}

static int check_hibernate(const struct command *c, const struct check_context *x,
                           struct error **err)
{
    return c->hibernate ? error_set(err, ERROR_HIBERNATION, NULL) : 0;
}

static int check_confirm_stop(const struct command *c, const struct check_context *x,
                              struct error **err)
{
    return has_local_storage(x) && !c->confirm_stop ? error_set(err, ERROR_CONFIRM_STOP, NULL) : 0;
}

/* A disk that is not cleared must not count as Stopped; until this program can clear one, a stop
 * that owes it is refused before it begins. */
static int check_local_disks(const struct command *c, const struct check_context *x,
                             struct error **err)
{
    if (!has_local_storage(x) || x->running)
        return 0;
    if (!x->can_clear)
        return error_set(err, ERROR_DISK_STATUS,
                         "The local disks of %s cannot be cleared: no helper is configured.",
                         instance_public_id(x->instance));
    if (x->plan_error)
        return error_set(err, x->plan_error->code, "%s", x->plan_error->message);
    if (!x->plan)
        return CHECK_NEEDS_DISKS;
    if (x->plan->n == 0)
        return error_set(
            err, ERROR_DISK_STATUS,
            "No local disk of %s was found, and a disk that is not found is not cleared.",
            instance_public_id(x->instance));
    return x->at_start ? disk_plan_compare(x->at_start, x->plan, err) : 0;
}

static int refuse_status(struct error **err, const char *sentence)
{
    return error_set(err, ERROR_INSTANCE_STATUS, "%s", sentence);
}

static bool can_go_over_to_force(const struct operation *op)
{
    return !op->force_stop && (op->stage == STAGE_QUEUED || op->stage == STAGE_SHUTTING_DOWN ||
                               op->stage == STAGE_RELENTING);
}

static int check_running_operation(const struct command *c, const struct check_context *x,
                                   struct error **err)
{
    const struct operation *op = x->running;

    if (c->force_stop && can_go_over_to_force(op))
        return x->in_migration ? refuse_status(err, REFUSED_IN_MIGRATION) : 0;
    if (op->action == ACTION_CLEAR)
        return error_set(
            err, ERROR_INSTANCE_STATUS,
            "The instance is off, and its local disks are being cleared (RequestId %s).",
            op->request_id);
    return error_set(err, ERROR_INSTANCE_STATUS, "The instance is Stopping already (RequestId %s).",
                     op->request_id);
}

static int check_status(const struct command *c, const struct check_context *x, struct error **err)
{
    if (x->running)
        return check_running_operation(c, x, err);
    if (!x->certain || x->seen == DOMAIN_UNKNOWN) {
        /* A button would be pressed in the dark; of a power cut that is no matter. */
        if (c->force_stop && x->is_on)
            return 0;
        return error_set(err, ERROR_UNAVAILABLE,
                         "libvirt cannot tell the state of domain %s at present.",
                         x->instance->name);
    }
    if (x->in_migration)
        return refuse_status(err, REFUSED_IN_MIGRATION);

    switch (x->seen) {
    case DOMAIN_RUNNING:
    case DOMAIN_PMSUSPENDED:
    case DOMAIN_CRASHED:
        break;
    case DOMAIN_PAUSED:
        if (!c->force_stop)
            return refuse_status(err, "The instance is paused and cannot answer a power button; "
                                      "resume it, or use ForceStop=true.");
        break;
    default:
        return error_set(err, ERROR_INSTANCE_STATUS, NULL);
    }
    if (x->has_processes && x->incarnation->pid == 0)
        return error_set(
            err, ERROR_UNAVAILABLE,
            "The process of domain %s is not known, so that its end could not be proved.",
            x->instance->name);
    return 0;
}

static const check checks[] = {
    check_metadata,  check_lock,         check_account,     check_stopped_mode,
    check_hibernate, check_confirm_stop, check_local_disks, check_status,
};

int command_check(const struct command *c, const struct check_context *context, bool *escalates,
                  struct error **err)
{
    for (size_t i = 0; i < ELEMENTSOF(checks); i++) {
        int r = checks[i](c, context, err);

        if (r != 0)
            return r;
    }
    *escalates = context->running != NULL;
    return 0;
}

/* The command's own value, else the metadata's, else the configuration's; not explicit, it gives
 * way to what the instance can. */
static enum stopped_mode resolve_stopped_mode(const struct command *c,
                                              const struct check_context *x)
{
    enum stopped_mode mode = c->stopped_mode;

    if (mode == STOPPED_MODE_UNSET && x->instance->economical != TRISTATE_UNSET)
        mode = x->instance->economical == TRISTATE_YES ? STOPPED_MODE_STOP_CHARGING
                                                       : STOPPED_MODE_KEEP_CHARGING;
    if (mode == STOPPED_MODE_UNSET)
        mode = x->policy->stopped_mode;
    if (mode == STOPPED_MODE_STOP_CHARGING && why_not_stop_charging(x) != ERROR_NONE)
        mode = STOPPED_MODE_KEEP_CHARGING;
    return mode;
}

static int copy_disks(struct operation *op, const struct check_context *x)
{
    if (!x->plan || !has_local_storage(x))
        return 0;
    op->disks_at_acceptance = disks_snapshot(x->instance);
    return op->disks_at_acceptance ? disk_plan_copy(&op->disks, x->plan) : -ENOMEM;
}

struct operation *operation_begin(const struct command *c, const struct check_context *context,
                                  struct moment now)
{
    _cleanup_(operation_free) struct operation *op = operation_new();
    const struct stop_policy *own = &context->instance->stop, *house = &context->policy->stop;

    if (!op)
        return NULL;
    memcpy(op->request_id, c->request_id, sizeof(op->request_id));
    uuid_copy(op->domain, context->instance->uuid);
    if (text_replace(&op->instance_id, instance_public_id(context->instance)) < 0 ||
        text_replace(&op->domain_name, context->instance->name) < 0 ||
        text_replace(&op->principal, c->principal.name) < 0 ||
        text_replace(&op->traceparent, c->traceparent) < 0)
        return NULL;
    op->stopped_mode = resolve_stopped_mode(c, context);
    op->grace = c->grace ? c->grace : own->grace ? own->grace : house->grace;
    op->grace_left = op->grace;
    op->on_timeout = c->on_timeout     ? c->on_timeout
                     : own->on_timeout ? own->on_timeout
                                       : house->on_timeout;
    op->method = own->method ? own->method : house->method;
    op->resend = context->policy->resend;
    op->force_stop = c->force_stop;
    op->lock_overridden = c->override_lock;
    op->has_processes = context->has_processes;
    op->incarnation = *context->incarnation;
    /* Actions that it sees may be an earlier stop's. */
    if (context->interlock && interlock_is_owed(context->interlock)) {
        op->interlock_wanted = true;
        op->buttons_out = context->interlock->buttons_out;
        op->former = context->interlock->former;
    }
    if (copy_disks(op, context) < 0)
        return NULL;
    op->accepted_at = now.realtime;
    op->stage = STAGE_QUEUED;
    operation_note(op, now.realtime, false, "accepted", "%s by %s%s",
                   c->force_stop ? "a power cut" : "a shutdown", c->principal.name,
                   command_overriding(c));
    return take(op);
}

int clear_check(const struct check_context *x, struct error **err)
{
    const struct command none = {0};
    int r = check_metadata(&none, x, err);

    if (r == 0)
        r = check_lock(&none, x, err);
    if (r < 0)
        return r;
    if (!has_local_storage(x))
        return error_set(err, ERROR_DISK_STATUS,
                         "%s is not of a family whose local disks are cleared.",
                         instance_public_id(x->instance));
    if (x->running)
        return error_set(err, ERROR_INSTANCE_STATUS,
                         "An operation of the instance is under way (RequestId %s).",
                         x->running->request_id);
    if (!x->certain)
        return error_set(err, ERROR_UNAVAILABLE,
                         "libvirt cannot tell the state of domain %s at present.",
                         x->instance->name);
    if (x->seen != DOMAIN_OFF || x->is_saved)
        return refuse_status(err, x->is_saved
                                      ? "The instance is saved, and goes on with its disks."
                                      : "Only the disks of an instance that is off are cleared.");
    return check_local_disks(&none, x, err);
}

struct operation *operation_begin_clear(const struct check_context *x, const char *request_id,
                                        const struct principal *principal, struct moment now)
{
    _cleanup_(operation_free) struct operation *op = operation_new();

    if (!op)
        return NULL;
    memcpy(op->request_id, request_id, sizeof(op->request_id));
    uuid_copy(op->domain, x->instance->uuid);
    if (text_replace(&op->instance_id, instance_public_id(x->instance)) < 0 ||
        text_replace(&op->domain_name, x->instance->name) < 0 ||
        text_replace(&op->principal, principal->name) < 0 || copy_disks(op, x) < 0)
        return NULL;
    op->action = ACTION_CLEAR;
    op->stopped_mode = x->policy->stopped_mode;
    op->method = x->policy->stop.method;
    op->on_timeout = x->policy->stop.on_timeout;
    op->accepted_at = op->off_at = now.realtime;
    op->stage = STAGE_CLEARING;
    operation_note(op, now.realtime, false, "accepted", "a clear of %zu local disks by %s",
                   op->disks.n, principal->name);
    return take(op);
}
