/* instances.c - /v1/instances, and every instance there is, a slice at a time
 *
 * Theory of operation. Ten thousand instances in one piece would hold up the engine, and then this
 * thread, for as long as it takes to write them all down. So the engine is asked for some, these
 * are turned into text, and others have their turn before it is asked for the next. What comes and
 * goes meanwhile may or may not be in the answer; what stays is in it once.
 */
#include "api/instances.h"

#include "api/render.h"
#include "api/respond.h"
#include "api/route.h"
#include "api/v1.h"
#include "base/json.h"

#include <errno.h>

#define SLICE 256

static void ask_behind(struct exchange *x, uint64_t after);

static void answered(struct exchange *x, const struct answer *a)
{
    json_object *slice;
    uint64_t last;

    if (respond_failure(x, a))
        return;
    if (!a->body || json_get_array(a->body, "instances", &slice) < 0)
        respond_code(x, ERROR_INTERNAL, "The list of instances could not be read.");
    else if (x->gather(x, slice) < 0)
        respond_code(x, ERROR_NO_MEMORY, NULL);
    else if (json_get_number(a->body, "last", &last) == 0)
        ask_behind(x, last);
    else
        x->finish(x);
}

static void ask_behind(struct exchange *x, uint64_t after)
{
    struct request *r = exchange_request(x, REQUEST_INSTANCES);

    if (r) {
        r->after = after;
        r->most = SLICE;
    }
    exchange_ask_or_fail(x, r, answered);
}

void instances_ask(struct exchange *x, int (*gather)(struct exchange *x, json_object *slice),
                   void (*finish)(struct exchange *x))
{
    x->gather = gather;
    x->finish = finish;
    ask_behind(x, 0);
}

/* --- /v1/instances --------------------------------------------------------------------------- */

static int write_slice(struct exchange *x, json_object *slice)
{
    bool is_first = !x->gathered.file;

    if (is_first)
        x->gathered.file = open_memstream(&x->gathered.text, &x->gathered.size);
    if (!x->gathered.file)
        return -ENOMEM;
    if (is_first)
        fputs("{\"instances\":[", x->gathered.file);
    for (size_t i = 0; i < json_object_array_length(slice); i++) {
        _cleanup_(freep) char *text = render_json(json_object_array_get_idx(slice, i));

        if (!text)
            return -ENOMEM;
        fprintf(x->gathered.file, "%s%s", is_first && i == 0 ? "" : ",", text);
    }
    return 0;
}

static void send_all(struct exchange *x)
{
    FILE *file = take(x->gathered.file);

    fputs("]}", file);
    if (fclose(file) != 0)
        respond_code(x, ERROR_NO_MEMORY, NULL);
    else
        respond_text(x, "application/json", take(x->gathered.text));
}

void instances_handle(struct exchange *x)
{
    static const char *const known[] = {NULL};
    _cleanup_(error_free) struct error *err = NULL;

    if (v1_check_parameters(x, known, &err) < 0)
        respond_error(x, err);
    else
        instances_ask(x, write_slice, send_all);
}
