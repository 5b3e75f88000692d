/* events.c - /v1/events: what has happened behind a sequence, at once or as soon as something has
 *
 * Theory of operation. Events are read from the journal, in their order and as they are sent
 * upstream. A client that waits asks again from the last sequence that it has seen; nothing is
 * lost between two answers, for an event is there as long as journal.retain says. The same path
 * is a stream for who accepts one (event-stream.c).
 */
#include "api/events.h"

#include "api/headers.h"
#include "api/respond.h"
#include "api/route.h"
#include "api/v1.h"

#include <stdio.h>

int events_read(struct exchange *x, uint64_t after, unsigned limit,
                int (*each)(void *userdata, const struct upstream_event *e), void *userdata,
                struct error **err)
{
    struct journal_reader *reader;
    int r = listener_reader(x->listener, &reader, err);

    if (r == 0)
        r = journal_read_events(reader, after, limit, each, userdata, err);
    if (r < 0)
        listener_drop_reader(x->listener);
    return r;
}

struct request *events_wait(const struct exchange *x, uint64_t after, usec_t slice)
{
    struct request *r = exchange_request(x, REQUEST_WAIT_EVENTS);

    if (r) {
        r->after = after;
        r->wait = slice;
    }
    return r;
}

struct list {
    FILE *to;
    unsigned n;
};

/* An event is JSON already, and goes to everybody as it was written. */
static int append_event(void *userdata, const struct upstream_event *e)
{
    struct list *list = userdata;

    fprintf(list->to, "%s%s", list->n++ > 0 ? "," : "", e->body);
    return 0;
}

/* Returns how many there are, with the answer's text, or a negative. */
static int list_events(struct exchange *x, uint64_t after, unsigned limit, char **ret,
                       struct error **err)
{
    _cleanup_(freep) char *text = NULL;
    struct list list = {0};
    size_t size;
    int r;

    list.to = open_memstream(&text, &size);
    if (!list.to)
        return error_no_memory(err);
    fputs("{\"events\":[", list.to);
    r = events_read(x, after, limit, append_event, &list, err);
    fputs("]}", list.to);
    if (fclose(list.to) != 0 && r >= 0)
        return error_no_memory(err);
    if (r < 0)
        return r;
    *ret = take(text);
    return (int)list.n;
}

static int read_limits(const struct exchange *x, uint64_t *after, uint64_t *limit,
                       struct error **err)
{
    int r;

    *after = 0;
    *limit = LIMIT_DEFAULT;
    r = v1_number(x, "after", 0, INT64_MAX, after, err);
    return r < 0 ? r : v1_number(x, "limit", 1, LIMIT_MOST, limit, err);
}

static void answer_events(struct exchange *x);

static void events_answered(struct exchange *x, const struct answer *a)
{
    /* Nobody could say any more when there is one: as it is now, then. */
    if (a->code != ERROR_NONE)
        x->deadline = 0;
    answer_events(x);
}

static void answer_events(struct exchange *x)
{
    _cleanup_(error_free) struct error *err = NULL;
    _cleanup_(freep) char *text = NULL;
    usec_t slice = exchange_next_slice(x);
    uint64_t after, limit;
    int n = read_limits(x, &after, &limit, &err);

    if (n == 0)
        n = list_events(x, after, (unsigned)limit, &text, &err);
    if (n < 0)
        respond_error(x, err);
    else if (n > 0 || slice == 0)
        respond_text(x, "application/json", take(text));
    else
        exchange_ask_or_fail(x, events_wait(x, after, slice), events_answered);
}

void events_handle(struct exchange *x)
{
    static const char *const known[] = {"after", "limit", "wait", NULL};
    _cleanup_(error_free) struct error *err = NULL;

    if (headers_prefer(x, "text/event-stream", "application/json"))
        event_stream_handle(x);
    else if (v1_check_parameters(x, known, &err) < 0 || v1_wait(x, &err) < 0)
        respond_error(x, err);
    else
        answer_events(x);
}
