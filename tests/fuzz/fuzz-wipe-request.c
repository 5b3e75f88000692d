/* fuzz-wipe-request.c - a request as stopd-wipe reads it, which runs as root and clears disks
 *
 * What is accepted can be written, and reads as the same; it names one device by an absolute path,
 * and a clear says what that has to be. A member that is there twice says two things at once. */
#include "fuzz.h"

#include "stopd/wipe-protocol.h"

static void check(const struct wipe_request *r)
{
    bool is_told = false;

    must(r->verb < WIPE_VERB_MAX && r->verify < WIPE_VERIFY_MAX);
    must(r->device && r->device[0] == '/');
    must(r->level == LEVEL_CLEAR || r->level == LEVEL_PURGE);
    must(r->n_methods <= CLEAR_METHOD_MAX);
    for (size_t i = 0; i < r->n_methods; i++)
        must(r->methods[i] < CLEAR_METHOD_MAX);
    for (int key = 0; key < IDENTITY_KEY_MAX; key++) {
        must(!r->identity.value[key] || is_set(r->identity.value[key]));
        is_told |= r->identity.value[key] != NULL;
    }
    must(r->verb != WIPE_CLEAR || is_told);
    must(r->verb != WIPE_CLEAR || r->n_methods > 0);
    must(!r->resume.is_present || r->resume.durable <= r->resume.size);
}

static char *written(const struct wipe_request *r)
{
    _cleanup_(json) json_object *o = wipe_request_to_json(r);
    char *text = NULL;

    must(o && json_to_text(o, &text) == 0);
    return text;
}

static void check_round_trip(const struct wipe_request *r)
{
    _cleanup_(freep) char *first = written(r), *second = NULL;
    _cleanup_(error_free) struct error *error = NULL;
    struct wipe_request again;

    wipe_request_init(&again);
    if (wipe_request_parse(first, strlen(first), &again, &error) < 0) {
        fprintf(stderr, "%s\n%s\n", error_message(error), first);
        must(false);
    }
    second = written(&again);
    if (!text_equal(first, second)) {
        fprintf(stderr, "%s\n%s\n", first, second);
        must(false);
    }
    wipe_request_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(freep) char *text = fuzz_text(data, size);
    _cleanup_(error_free) struct error *error = NULL;
    struct wipe_request request;
    int r;

    wipe_request_init(&request);
    r = wipe_request_parse(text, size, &request, &error);
    must((r < 0) == (error != NULL));
    must(!error || is_set(error_message(error)));
    if (r >= 0) {
        must(fuzz_says_nothing_twice(text, size));
        check(&request);
        check_round_trip(&request);
    }
    wipe_request_clear(&request);
    return 0;
}
