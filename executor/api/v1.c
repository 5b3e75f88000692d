/* v1.c - instances and operations, as JSON (contract section 5)
 *
 * Theory of operation. What instances there are the engine says. Operations are read from the
 * journal: what is not committed is not told, and reading costs the engine nothing. A client that
 * waits for an operation is answered from the journal too; the engine only says when to look.
 */
#include "api/v1.h"

#include "api/respond.h"
#include "api/route.h"
#include "api/urlencoded.h"
#include "base/json.h"

#include <string.h>

static bool is_listed(const void *userdata, const char *name)
{
    for (const char *const *known = userdata; *known; known++)
        if (text_equal(*known, name))
            return true;
    return false;
}

int v1_check_parameters(const struct exchange *x, const char *const *known, struct error **err)
{
    if (x->malformed)
        return error_set(err, error_code_of(x->malformed), "%s", error_message(x->malformed));
    return urlencoded_check_names(&x->parameters, is_listed, known, err);
}

int v1_number(const struct exchange *x, const char *name, uint64_t least, uint64_t most,
              uint64_t *ret, struct error **err)
{
    const char *value = parameters_get(&x->parameters, name);

    return value ? parameter_integer(name, value, least, most, ret, err) : 0;
}

int v1_wait(struct exchange *x, struct error **err)
{
    uint64_t seconds = 0;
    int r = v1_number(x, "wait", 0, WAIT_MOST, &seconds, err);

    if (r == 0)
        x->deadline = moment_now().monotonic + seconds * USEC_PER_SEC;
    return r;
}

json_object *v1_body(const struct exchange *x)
{
    json_tokener *tokener = x->body && !x->is_unreadable ? json_tokener_new() : NULL;
    json_object *value = NULL;

    if (!tokener)
        return NULL;
    value = json_tokener_parse_ex(tokener, x->body, (int)x->body_size);
    if (json_tokener_get_error(tokener) != json_tokener_success ||
        json_tokener_get_parse_end(tokener) != x->body_size ||
        !json_object_is_type(value, json_type_object)) {
        json_object_put(value);
        value = NULL;
    }
    json_tokener_free(tokener);
    return value;
}

#define KNOWN(...) ((const char *const[]){__VA_ARGS__, NULL})

/* What the engine says is the answer. */
static void pass_on(struct exchange *x, const struct answer *a)
{
    if (respond_failure(x, a))
        return;
    if (a->body)
        respond_json(x, json_object_get(a->body));
    else
        respond_code(x, ERROR_INTERNAL, "There is no answer.");
}

void instance_handle(struct exchange *x)
{
    _cleanup_(error_free) struct error *err = NULL;
    _cleanup_(request_free) struct request *r = exchange_request(x, REQUEST_INSTANCE);

    if (v1_check_parameters(x, KNOWN(NULL), &err) < 0)
        respond_error(x, err);
    else if (!r || text_replace(&r->instance_id, x->argument) < 0)
        respond_code(x, ERROR_NO_MEMORY, NULL);
    else
        exchange_ask_or_fail(x, take(r), pass_on);
}

static int read_operations(struct exchange *x, json_object **ret, struct error **err)
{
    const char *state = parameters_get(&x->parameters, "state");
    uint64_t limit = LIMIT_DEFAULT;
    struct journal_reader *reader;
    enum instance_state known;
    int r;

    if (v1_check_parameters(x, KNOWN("instance", "state", "limit"), err) < 0 ||
        v1_number(x, "limit", 1, LIMIT_MOST, &limit, err) < 0)
        return -1;
    if (state && instance_state_from_string(state, &known) < 0)
        return error_set(err, ERROR_INVALID_PARAMETER,
                         "The parameter state must be Running, Stopping or Stopped.");
    r = listener_reader(x->listener, &reader, err);
    if (r == 0)
        r = journal_read_operations(reader, parameters_get(&x->parameters, "instance"), state,
                                    (unsigned)limit, ret, err);
    if (r < 0)
        listener_drop_reader(x->listener);
    return r;
}

void operations_handle(struct exchange *x)
{
    _cleanup_(error_free) struct error *err = NULL;
    _cleanup_(json) json_object *body = json_object_new_object();
    _cleanup_(json) json_object *operations = NULL;

    if (read_operations(x, &operations, &err) < 0)
        respond_error(x, err);
    else if (!body || json_add(body, "operations", take(operations)) < 0)
        respond_code(x, ERROR_NO_MEMORY, NULL);
    else
        respond_json(x, take(body));
}

int v1_request_id(struct exchange *x, struct error **err)
{
    uuid_t uuid;

    if (strlen(x->argument) != UUID_TEXT_SIZE - 1 || uuid_parse(x->argument, uuid) < 0)
        return error_set(err, ERROR_OPERATION_NOT_FOUND, NULL);
    uuid_unparse_upper(uuid, x->argument);
    return 0;
}

/* The document, with an error where there is none. */
static int read_operation(struct exchange *x, json_object **ret, struct error **err)
{
    struct journal_reader *reader;
    int r = listener_reader(x->listener, &reader, err);

    if (r < 0)
        return r;
    r = journal_read_operation(reader, x->argument, ret, err);
    if (r < 0)
        listener_drop_reader(x->listener);
    return r == 0 ? error_set(err, ERROR_OPERATION_NOT_FOUND, NULL) : r;
}

static bool is_finished(json_object *operation)
{
    const char *outcome = NULL;

    return json_get_string(operation, "outcome", &outcome) == 0 && outcome;
}

static void operation_answered(struct exchange *x, const struct answer *a);

/* As it is now, or, where it is not finished and the client waits, later. */
static void answer_operation(struct exchange *x)
{
    _cleanup_(error_free) struct error *err = NULL;
    _cleanup_(request_free) struct request *r = NULL;
    _cleanup_(json) json_object *operation = NULL;
    usec_t slice = exchange_next_slice(x);

    if (read_operation(x, &operation, &err) < 0) {
        respond_error(x, err);
        return;
    }
    if (slice == 0 || is_finished(operation)) {
        respond_json(x, take(operation));
        return;
    }
    r = exchange_request(x, REQUEST_WAIT_OPERATION);
    if (!r || text_replace(&r->operation_id, x->argument) < 0) {
        respond_code(x, ERROR_NO_MEMORY, NULL);
        return;
    }
    r->wait = slice;
    exchange_ask_or_fail(x, take(r), operation_answered);
}

static void operation_answered(struct exchange *x, const struct answer *a)
{
    /* There is nobody any more who could say when it is finished: as it is now, then. */
    if (a->code != ERROR_NONE)
        x->deadline = 0;
    answer_operation(x);
}

void operation_handle(struct exchange *x)
{
    _cleanup_(error_free) struct error *err = NULL;

    if (v1_check_parameters(x, KNOWN("wait"), &err) < 0 || v1_wait(x, &err) < 0 ||
        v1_request_id(x, &err) < 0)
        respond_error(x, err);
    else
        answer_operation(x);
}

static void command_operation(struct exchange *x, enum request_kind kind)
{
    _cleanup_(error_free) struct error *err = NULL;
    _cleanup_(request_free) struct request *r = exchange_request(x, kind);

    if (v1_check_parameters(x, KNOWN(NULL), &err) < 0 || v1_request_id(x, &err) < 0)
        respond_error(x, err);
    else if (x->body_size > 0)
        respond_code(x, ERROR_INVALID_PARAMETER, "This request has no body.");
    else if (!r || text_replace(&r->operation_id, x->argument) < 0)
        respond_code(x, ERROR_NO_MEMORY, NULL);
    else
        exchange_ask_or_fail(x, take(r), pass_on);
}

void cancel_handle(struct exchange *x)
{
    command_operation(x, REQUEST_CANCEL);
}

void retry_handle(struct exchange *x)
{
    command_operation(x, REQUEST_RETRY);
}
