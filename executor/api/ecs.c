/* ecs.c - the cloud's dialect: one path, the action is a parameter (contract section 3)
 *
 * Theory of operation. Parameters come in the query, in a form, or both, and are one list. The
 * action decides what else is looked at, and it is never guessed: only a request that names none at
 * all means StopInstance, by the API reference. What follows are the checks that are the edge's, in
 * the contract's order; the others are command_parse()'s and the engine's.
 */
#include "api/route.h"

#include "api/headers.h"
#include "api/respond.h"
#include "api/urlencoded.h"
#include "base/json.h"

#include <string.h>

/* Adds the form's parameters to the query's. */
static void read_form(struct exchange *x)
{
    struct error **err = x->malformed ? NULL : &x->malformed;

    if (headers_body_is(x, "application/x-www-form-urlencoded")) {
        if (x->body_size > 0)
            urlencoded_parse(x->body, x->body_size, &x->parameters, err);
    } else {
        x->is_unreadable = true;
        error_set(err, ERROR_INVALID_PARAMETER,
                  "The body must be application/x-www-form-urlencoded.");
    }
    x->format = headers_format(x);
}

/* *ret is NULL where two actions are named. */
static void find_action(const struct exchange *x, const char **ret)
{
    const char *parameter = parameters_get(&x->parameters, "Action");
    const char *field = header(x, "x-acs-action");

    if (!is_set(field))
        *ret = parameter ? parameter : "StopInstance";
    else if (!parameter || text_equal(parameter, field))
        *ret = field;
    else
        *ret = NULL;
}

/* The header Idempotency-Key is another way to give the parameter ClientToken. Its value may stand
 * in quotes. */
static int add_idempotency_key(struct exchange *x, struct error **err)
{
    const char *key = header(x, "Idempotency-Key");
    const char *token = parameters_get(&x->parameters, "ClientToken");
    _cleanup_(freep) char *plain = NULL;
    size_t length = key ? strlen(key) : 0;

    if (!is_set(key))
        return 0;
    if (length >= 2 && key[0] == '"' && key[length - 1] == '"')
        plain = strndup(key + 1, length - 2);
    else
        plain = strdup(key);
    if (!plain)
        return error_no_memory(err);
    if (header_count(x, "Idempotency-Key") > 1)
        return error_set(err, ERROR_INVALID_PARAMETER,
                         "The header Idempotency-Key is given twice.");
    if (token && !text_equal(token, plain))
        return error_set(err, ERROR_INVALID_PARAMETER,
                         "The parameter ClientToken and the header Idempotency-Key differ.");
    if (token)
        return 0;
    /* One that is there without a value is absent, and must not make this one the second. */
    for (size_t i = 0; i < x->parameters.n; i++)
        if (text_equal(x->parameters.items[i].name, "ClientToken"))
            return text_replace(&x->parameters.items[i].value, plain) < 0 ? error_no_memory(err)
                                                                          : 0;
    return parameters_add(&x->parameters, "ClientToken", plain) < 0 ? error_no_memory(err) : 0;
}

static void stop_answered(struct exchange *x, const struct answer *a)
{
    json_object *body;

    if (respond_failure(x, a))
        return;
    /* A replayed command's is the one that it was first answered with. */
    if (is_set(a->request_id))
        memcpy(x->request_id, a->request_id, sizeof(x->request_id));
    body = json_object_new_object();
    if (body && json_add_string(body, "RequestId", x->request_id) < 0) {
        json_object_put(body);
        body = NULL;
    }
    respond_object(x, body);
}

static int make_command(struct exchange *x, struct command *ret, struct error **err)
{
    const char *traceparent = headers_traceparent(x);
    int r;

    ret->principal = x->principal;
    r = command_parse(&x->parameters, ret, err);
    if (r < 0)
        return r;
    memcpy(ret->request_id, x->request_id, sizeof(ret->request_id));
    ret->principal = x->principal;
    return text_replace(&ret->traceparent, traceparent) < 0 ? error_no_memory(err) : 0;
}

/* MissingParameter comes before what is wrong with the parameters that are there. */
static int check_parameters(struct exchange *x, struct error **err)
{
    if (!parameters_get(&x->parameters, "InstanceId") && !x->is_unreadable)
        return error_set(err, ERROR_MISSING_PARAMETER, NULL);
    if (x->malformed)
        return error_move(err, &x->malformed);
    return add_idempotency_key(x, err);
}

static usec_t throttle(struct exchange *x)
{
    struct api *a = x->listener->api;
    usec_t wait;

    pthread_mutex_lock(&a->lock);
    wait = rate_take(a->rate, x->principal.name, moment_now().monotonic);
    pthread_mutex_unlock(&a->lock);
    return wait;
}

static void stop_handle(struct exchange *x)
{
    _cleanup_(error_free) struct error *err = NULL;
    _cleanup_(request_free) struct request *r = NULL;

    if (x->right < RIGHT_CHANGE) {
        respond_code(x, ERROR_FORBIDDEN, NULL);
        return;
    }
    x->retry_after = throttle(x);
    if (x->retry_after > 0) {
        respond_code(x, ERROR_THROTTLED, NULL);
        return;
    }
    r = exchange_request(x, REQUEST_STOP);
    if (!r)
        respond_code(x, ERROR_NO_MEMORY, NULL);
    else if (check_parameters(x, &err) < 0 || make_command(x, &r->command, &err) < 0)
        respond_error(x, err);
    else
        exchange_ask_or_fail(x, take(r), stop_answered);
}

static const struct {
    const char *name, *root;
    void (*handle)(struct exchange *x);
} actions[] = {
    {"StopInstance", "StopInstanceResponse", stop_handle},
    {"DescribeInstanceStatus", "DescribeInstanceStatusResponse", describe_handle},
};

void ecs_handle(struct exchange *x)
{
    const char *action;

    read_form(x);
    find_action(x, &action);
    if (!action) {
        respond_code(x, ERROR_INVALID_PARAMETER,
                     "The parameter Action and the header x-acs-action differ.");
        return;
    }
    for (size_t i = 0; i < ELEMENTSOF(actions); i++)
        if (text_equal(action, actions[i].name)) {
            x->root = actions[i].root;
            actions[i].handle(x);
            return;
        }
    respond_code(x, ERROR_ACTION_NOT_FOUND, NULL);
}
