/* sinks.c - /v1/sinks: where events go, what was refused there, and sending again
 *
 * Theory of operation. How a sink fares the engine says. Dead letters are read from the journal,
 * once the engine has said that there is such a sink. What is wanted of them is a command like any
 * other: durable when it is answered.
 */
#include "api/respond.h"
#include "api/route.h"
#include "api/v1.h"
#include "base/json.h"

#define KNOWN(...) ((const char *const[]){__VA_ARGS__, NULL})

static void pass_on(struct exchange *x, const struct answer *a)
{
    if (!respond_failure(x, a))
        respond_json(x, json_object_get(a->body));
}

void sinks_handle(struct exchange *x)
{
    _cleanup_(error_free) struct error *err = NULL;

    if (v1_check_parameters(x, KNOWN(NULL), &err) < 0)
        respond_error(x, err);
    else
        exchange_ask_or_fail(x, exchange_request(x, REQUEST_SINKS), pass_on);
}

/* A request about the path's sink; NULL when out of memory. */
static struct request *sink_request(struct exchange *x, enum request_kind kind)
{
    struct request *r = exchange_request(x, kind);

    if (r && text_replace(&r->sink, x->argument) < 0) {
        request_free(r);
        return NULL;
    }
    return r;
}

/* --- Dead letters ---------------------------------------------------------------------------- */

static int append_letter(void *userdata, const struct dead_letter *letter)
{
    _cleanup_(json) json_object *o = json_object_new_object();

    if (!o || json_add_number(o, "sequence", letter->event.sequence) ||
        json_add_time(o, "at", letter->at) || json_add_string(o, "reason", letter->reason) ||
        json_add_bool(o, "replay", letter->mark > 0) ||
        json_add(o, "event", json_tokener_parse(letter->event.body)))
        return -1;
    return json_append(userdata, take(o));
}

static int read_range(const struct exchange *x, uint64_t *after, uint64_t *limit,
                      struct error **err)
{
    int r = v1_number(x, "after", 0, INT64_MAX, after, err);

    return r < 0 ? r : v1_number(x, "limit", 1, LIMIT_MOST, limit, err);
}

static int read_letters(struct exchange *x, json_object *array, struct error **err)
{
    uint64_t after = 0, limit = LIMIT_DEFAULT;
    struct journal_reader *reader;
    int r = read_range(x, &after, &limit, err);

    if (r == 0)
        r = listener_reader(x->listener, &reader, err);
    if (r < 0)
        return r;
    r = journal_read_dead_letters(reader, x->argument, after, (unsigned)limit, append_letter, array,
                                  err);
    if (r < 0)
        listener_drop_reader(x->listener);
    return r;
}

static void letters_answered(struct exchange *x, const struct answer *a)
{
    _cleanup_(error_free) struct error *err = NULL;
    _cleanup_(json) json_object *body = NULL;
    json_object *array;

    if (respond_failure(x, a))
        return;
    body = json_object_new_object();
    array = json_object_new_array();
    if (!body || json_add(body, "deadLetters", array) < 0)
        respond_code(x, ERROR_NO_MEMORY, NULL);
    else if (read_letters(x, array, &err) < 0)
        respond_error(x, err);
    else
        respond_json(x, take(body));
}

void letters_handle(struct exchange *x)
{
    _cleanup_(error_free) struct error *err = NULL;
    uint64_t ignored;

    if (v1_check_parameters(x, KNOWN("after", "limit"), &err) < 0 ||
        read_range(x, &ignored, &ignored, &err) < 0)
        respond_error(x, err);
    else
        exchange_ask_or_fail(x, sink_request(x, REQUEST_SINKS), letters_answered);
}

/* --- What is wanted of them ------------------------------------------------------------------ */

/* A sequence, or "all", which is 0. */
static int read_sequence(const struct exchange *x, uint64_t *ret, struct error **err)
{
    *ret = 0;
    if (text_equal(x->second_argument, "all"))
        return 0;
    if (parameter_integer("sequence", x->second_argument, 1, INT64_MAX, ret, NULL) < 0)
        return error_set(err, ERROR_DEAD_LETTER_NOT_FOUND, NULL);
    return 0;
}

static void command_letters(struct exchange *x, enum request_kind kind)
{
    _cleanup_(error_free) struct error *err = NULL;
    _cleanup_(request_free) struct request *r = sink_request(x, kind);

    if (!r)
        respond_code(x, ERROR_NO_MEMORY, NULL);
    else if (v1_check_parameters(x, KNOWN(NULL), &err) < 0 || read_sequence(x, &r->after, &err) < 0)
        respond_error(x, err);
    else if (x->body_size > 0)
        respond_code(x, ERROR_INVALID_PARAMETER, "This request has no body.");
    else
        exchange_ask_or_fail(x, take(r), pass_on);
}

void letters_replay_handle(struct exchange *x)
{
    command_letters(x, REQUEST_REPLAY_LETTERS);
}

void letters_drop_handle(struct exchange *x)
{
    command_letters(x, REQUEST_DROP_LETTERS);
}

static int read_after(const struct exchange *x, uint64_t *ret, struct error **err)
{
    _cleanup_(json) json_object *body = v1_body(x);

    if (!body || json_object_object_length(body) != 1 || json_get_number(body, "after", ret) < 0 ||
        *ret > INT64_MAX)
        return error_set(err, ERROR_INVALID_PARAMETER,
                         "The body must be the JSON object {\"after\": SEQUENCE}.");
    return 0;
}

void sink_replay_handle(struct exchange *x)
{
    _cleanup_(error_free) struct error *err = NULL;
    _cleanup_(request_free) struct request *r = sink_request(x, REQUEST_REWIND_SINK);

    if (!r)
        respond_code(x, ERROR_NO_MEMORY, NULL);
    else if (v1_check_parameters(x, KNOWN(NULL), &err) < 0 || read_after(x, &r->after, &err) < 0)
        respond_error(x, err);
    else
        exchange_ask_or_fail(x, take(r), pass_on);
}
