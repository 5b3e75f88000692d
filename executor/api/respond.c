/* respond.c - the answer of an exchange
 *
 * Theory of operation. Every answer leaves through send_response(), which puts on it what all have:
 * the RequestId, also for a form of answer that has no place for it in its body, and that nobody is
 * to keep it, for what it says is true now. Where there is not even the memory to say so, nothing
 * is queued and the connection ends.
 */
#include "api/respond.h"

#include "api/render.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void add_number(struct MHD_Response *response, const char *name, uint64_t value)
{
    char text[32];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    MHD_add_response_header(response, name, text);
}

/* Takes response. */
static void send_response(struct exchange *x, unsigned status, const char *type,
                          struct MHD_Response *response)
{
    if (!response)
        return;
    MHD_add_response_header(response, "Content-Type", type);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "x-acs-request-id", x->request_id);
    if (x->allow)
        MHD_add_response_header(response, "Allow", x->allow);
    if (x->retry_after) {
        add_number(response, "Retry-After", (x->retry_after + USEC_PER_SEC - 1) / USEC_PER_SEC);
        add_number(response, "x-acs-retry-after",
                   (x->retry_after + USEC_PER_MSEC - 1) / USEC_PER_MSEC);
    }
    if (MHD_queue_response(x->http, status, response) == MHD_YES)
        x->status = status;
    MHD_destroy_response(response);
}

static void send_text(struct exchange *x, unsigned status, const char *type, char *text)
{
    struct MHD_Response *response =
        text ? MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE) : NULL;

    if (!response)
        free(text);
    /* Fetching the answer is the client's time, not ours. */
    connection_set_quiet(&x->listener->connections, x->connection);
    send_response(x, status, type, response);
}

/* Takes body. */
static void send_object(struct exchange *x, unsigned status, enum format format, const char *root,
                        json_object *body)
{
    if (!body && status == MHD_HTTP_OK)
        respond_code(x, ERROR_NO_MEMORY, NULL);
    else if (body && format == FORMAT_XML)
        send_text(x, status, "application/xml", render_xml(root, body));
    else if (body)
        send_text(x, status, "application/json", render_json(body));
    json_object_put(body);
}

void respond_object(struct exchange *x, json_object *body)
{
    send_object(x, MHD_HTTP_OK, x->format, x->root, body);
}

void respond_json(struct exchange *x, json_object *body)
{
    send_object(x, MHD_HTTP_OK, FORMAT_JSON, NULL, body);
}

void respond_text(struct exchange *x, const char *type, char *text)
{
    if (text)
        send_text(x, MHD_HTTP_OK, type, text);
    else
        respond_code(x, ERROR_NO_MEMORY, NULL);
}

void respond_code(struct exchange *x, enum error_code code, const char *message)
{
    if (code == ERROR_THROTTLED && !x->retry_after)
        x->retry_after = USEC_PER_SEC;
    send_object(x, (unsigned)error_http_status(code), x->format, "Error",
                render_error(x->request_id, x->listener->api->host_id, code, message));
}

void respond_error(struct exchange *x, const struct error *e)
{
    respond_code(x, error_code_of(e), error_message(e));
}

bool respond_failure(struct exchange *x, const struct answer *a)
{
    if (a->code == ERROR_NONE)
        return false;
    respond_code(x, a->code, a->message);
    return true;
}

void respond_stream(struct exchange *x, const char *type, MHD_ContentReaderCallback read,
                    void *stream, MHD_ContentReaderFreeCallback free_stream)
{
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, read, stream, free_stream);

    if (!response)
        free_stream(stream);
    send_response(x, MHD_HTTP_OK, type, response);
}
