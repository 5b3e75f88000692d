/* health.c - /livez, /readyz and /metrics: for whoever watches over the daemon */
#include "api/respond.h"
#include "api/route.h"
#include "base/json.h"

#include <stdio.h>

static void answer_status(struct exchange *x, const char *status)
{
    _cleanup_(json) json_object *body = json_object_new_object();

    if (!body || json_add_string(body, "status", status) < 0)
        respond_code(x, ERROR_NO_MEMORY, NULL);
    else
        respond_json(x, take(body));
}

/* That we answer is the answer. */
void livez_handle(struct exchange *x)
{
    answer_status(x, "alive");
}

static void ready_answered(struct exchange *x, const struct answer *a)
{
    if (!respond_failure(x, a))
        answer_status(x, "ready");
}

void readyz_handle(struct exchange *x)
{
    exchange_ask_or_fail(x, exchange_request(x, REQUEST_READY), ready_answered);
}

static void metrics_answered(struct exchange *x, const struct answer *a)
{
    const char *of_engine = NULL;
    char *text = NULL;
    size_t size = 0;
    FILE *to;

    if (respond_failure(x, a))
        return;
    to = open_memstream(&text, &size);
    if (!to) {
        respond_code(x, ERROR_NO_MEMORY, NULL);
        return;
    }
    if (a->body && json_get_string(a->body, "text", &of_engine) == 0 && of_engine)
        fputs(of_engine, to);
    api_write_metrics(x->listener->api, to);
    if (fclose(to) != 0) {
        free(text);
        text = NULL;
    }
    respond_text(x, "text/plain; version=0.0.4; charset=utf-8", text);
}

void metrics_handle(struct exchange *x)
{
    exchange_ask_or_fail(x, exchange_request(x, REQUEST_METRICS), metrics_answered);
}
