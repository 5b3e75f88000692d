/* storage.c - the clearing of kept disks, and certificates (contract section 5) */
#include "api/headers.h"
#include "api/respond.h"
#include "api/route.h"
#include "api/v1.h"
#include "base/json.h"

#include <string.h>

#define KNOWN(...) ((const char *const[]){__VA_ARGS__, NULL})

/* {"confirm": true}, and nothing else that could be meant otherwise. */
static int read_confirmation(const struct exchange *x, bool *ret, struct error **err)
{
    _cleanup_(json) json_object *body = NULL;

    if (x->body_size == 0)
        return 0;
    body = v1_body(x);
    if (!body || json_object_object_length(body) != 1 || json_get_bool(body, "confirm", ret) < 0)
        return error_set(err, ERROR_INVALID_PARAMETER,
                         "The body must be the JSON object {\"confirm\": true}.");
    return 0;
}

static void clear_answered(struct exchange *x, const struct answer *a)
{
    _cleanup_(json) json_object *body = NULL;

    if (respond_failure(x, a))
        return;
    body = json_object_new_object();
    if (!body || json_add_string(body, "RequestId", a->request_id) < 0)
        respond_code(x, ERROR_NO_MEMORY, NULL);
    else
        respond_json(x, take(body));
}

void clear_handle(struct exchange *x)
{
    _cleanup_(error_free) struct error *err = NULL;
    _cleanup_(request_free) struct request *r = exchange_request(x, REQUEST_CLEAR);

    if (!r || text_replace(&r->instance_id, x->argument) < 0 ||
        text_replace(&r->command.traceparent, headers_traceparent(x)) < 0)
        respond_code(x, ERROR_NO_MEMORY, NULL);
    else if (v1_check_parameters(x, KNOWN(NULL), &err) < 0 ||
             read_confirmation(x, &r->confirm, &err) < 0)
        respond_error(x, err);
    else
        exchange_ask_or_fail(x, take(r), clear_answered);
}

/* The public half of the key that certificates are signed with, for the auditor. */
static void answer_key(struct exchange *x)
{
    _cleanup_(json) json_object *body = json_object_new_object();
    const char *key = x->listener->api->certificate_key;

    if (!key)
        respond_code(x, ERROR_UNAVAILABLE, "This host has no key for certificates.");
    else if (!body || json_add_string(body, "key", key) < 0)
        respond_code(x, ERROR_NO_MEMORY, NULL);
    else
        respond_json(x, take(body));
}

static int read_certificates(struct exchange *x, json_object **ret, struct error **err)
{
    struct journal_reader *reader;
    int r = listener_reader(x->listener, &reader, err);

    if (r < 0)
        return r;
    r = journal_read_certificates(reader, x->argument, ret, err);
    if (r < 0)
        listener_drop_reader(x->listener);
    return r == 0 ? error_set(err, ERROR_OPERATION_NOT_FOUND, NULL) : r;
}

void certificates_handle(struct exchange *x)
{
    _cleanup_(error_free) struct error *err = NULL;
    _cleanup_(json) json_object *certificates = NULL;

    if (v1_check_parameters(x, KNOWN(NULL), &err) < 0)
        respond_error(x, err);
    else if (text_equal(x->argument, "key"))
        answer_key(x);
    else if (v1_request_id(x, &err) < 0 || read_certificates(x, &certificates, &err) < 0)
        respond_error(x, err);
    else
        respond_json(x, take(certificates));
}
