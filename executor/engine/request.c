/* request.c - requests and answers as values */
#include "engine/request.h"

struct request *request_new(enum request_kind kind)
{
    struct request *r = calloc(1, sizeof(*r));

    if (r) {
        r->kind = kind;
        uuid_new_upper(r->request_id);
    }
    return r;
}

void request_free(struct request *r)
{
    if (!r)
        return;
    command_clear(&r->command);
    free(r->instance_id);
    free(r->operation_id);
    free(r->sink);
    free(r->identified);
    disk_plan_clear(&r->plan);
    error_free(r->plan_error);
    free(r);
}

void answer_free(struct answer *a)
{
    if (!a)
        return;
    free(a->message);
    json_object_put(a->body);
    free(a);
}
