/* event-stream.c - /v1/events as text/event-stream: events as they come, until the client leaves
 *
 * Theory of operation. The library asks for the next piece whenever the client has room for it. A
 * batch of events is read from the journal, written down, and handed out; where there is none, the
 * engine is asked to say when there is, and the connection sleeps. A client that is slow thus reads
 * from the journal at its own pace, and costs nobody memory. After each slice without an event a
 * comment is sent: it keeps the way open, and it is what tells us that a client has left.
 *
 * An event's id in the stream is its sequence, so that a client that comes back with Last-Event-ID
 * goes on exactly behind it; the event's own id is understood there too.
 *
 * Where nothing happens, what is under way goes on: how far clears have come is told beside the
 * events (progress.c), and looked at more often then.
 */
#include "api/events.h"
#include "api/headers.h"
#include "api/progress.h"
#include "api/respond.h"
#include "api/route.h"
#include "api/v1.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define EVENT_STREAM "text/event-stream"
#define BATCH 100

struct stream {
    struct exchange *x;
    uint64_t after; /* the last event that was written down */
    char *text;     /* what is to be sent: */
    size_t size, sent;
    bool over;
    char *progress; /* what was told of it last */
    usec_t slice;   /* how long to sleep where nothing happens */
};

static void stream_free(void *cls)
{
    struct stream *s = cls;

    free(s->text);
    free(s->progress);
    free(s);
}

struct batch {
    FILE *to;
    uint64_t last;
    unsigned n;
};

static int write_event(void *userdata, const struct upstream_event *e)
{
    struct batch *batch = userdata;

    fprintf(batch->to, "id: %" PRIu64 "\nevent: %s\ndata: %s\n\n", e->sequence, e->type, e->body);
    batch->last = e->sequence;
    batch->n++;
    return 0;
}

#define PROGRESS_SLICE USEC_PER_SEC

/* 1: there is news of clears; 0; or negative. */
static int write_progress(struct stream *s, FILE *to)
{
    usec_t slice = s->x->listener->api->limits.slice;
    bool soon = false;
    int r = progress_write(s->x, &s->progress, to, &soon, NULL);

    s->slice = soon && slice > PROGRESS_SLICE ? PROGRESS_SLICE : slice;
    return r;
}

/* The next events, or else progress; a comment where there is neither. Returns how many there are,
 * or a negative. */
static int stream_fill(struct stream *s)
{
    struct batch batch = {.last = s->after};
    int r;

    free(take(s->text));
    s->size = s->sent = 0;
    batch.to = open_memstream(&s->text, &s->size);
    if (!batch.to)
        return -1;
    r = events_read(s->x, s->after, BATCH, write_event, &batch, NULL);
    if (r >= 0 && batch.n == 0)
        r = write_progress(s, batch.to);
    if (r == 0 && batch.n == 0)
        fputs(":\n\n", batch.to);
    if (fclose(batch.to) != 0)
        return -1;
    s->after = batch.last;
    return r < 0 ? r : (int)batch.n + r;
}

/* Where nobody can say any more when there is an event, what is there now is the end. */
static void stream_answered(struct exchange *x, const struct answer *a)
{
    if (a->code != ERROR_NONE)
        x->deadline = 0;
}

/* Sleeps until there is an event, or for a slice. */
static void stream_sleep(struct stream *s)
{
    struct exchange *x = s->x;

    if (x->deadline == 0 ||
        exchange_ask(x, events_wait(x, s->after, s->slice), stream_answered, NULL) < 0)
        s->over = true;
}

/* Up to `most` bytes; 0: there are none now, and the connection sleeps. */
static ssize_t stream_read(void *cls, uint64_t position, char *buffer, size_t most)
{
    struct stream *s = cls;
    size_t n;

    if (s->x->question) {
        exchange_continue(s->x);
        if (stream_fill(s) < 0)
            s->over = true;
    } else if (s->sent == s->size) {
        int n_events = stream_fill(s);

        if (n_events < 0)
            s->over = true;
        else if (n_events == 0 && position > 0) {
            s->sent = s->size; /* no comment: the client has just been sent something */
            stream_sleep(s);
        }
    }
    if (s->over)
        return MHD_CONTENT_READER_END_OF_STREAM;
    n = s->size - s->sent < most ? s->size - s->sent : most;
    if (n > 0)
        memcpy(buffer, s->text + s->sent, n);
    s->sent += n;
    return (ssize_t)n;
}

static int last_event_id(struct exchange *x, uint64_t *ret, struct error **err)
{
    const char *id = header(x, "Last-Event-ID");
    struct journal_reader *reader;
    uuid_t uuid;
    int r;

    if (!is_set(id))
        return 0;
    if (uuid_parse(id, uuid) < 0)
        return parameter_integer("Last-Event-ID", id, 0, INT64_MAX, ret, err);
    r = listener_reader(x->listener, &reader, err);
    if (r < 0)
        return r;
    r = journal_read_event_sequence(reader, id, ret, err);
    if (r < 0)
        listener_drop_reader(x->listener);
    return r == 0 ? error_set(err, ERROR_INVALID_PARAMETER, "There is no event %s.", id) : r;
}

void event_stream_handle(struct exchange *x)
{
    static const char *const known[] = {"after", NULL};
    _cleanup_(error_free) struct error *err = NULL;
    uint64_t after = 0;
    struct stream *s;

    /* An EventSource comes back to the address that it had, so what it says last counts. */
    if (v1_check_parameters(x, known, &err) < 0 ||
        v1_number(x, "after", 0, INT64_MAX, &after, &err) < 0 ||
        last_event_id(x, &after, &err) < 0 || exchange_take_place(x, true, &err) < 0) {
        respond_error(x, err);
        return;
    }
    if (x->verb == VERB_HEAD) { /* the library would send the chunk that ends a body */
        respond_text(x, EVENT_STREAM, strdup(""));
        return;
    }
    s = calloc(1, sizeof(*s));
    if (!s) {
        respond_code(x, ERROR_NO_MEMORY, NULL);
        return;
    }
    s->x = x;
    s->after = after;
    s->slice = x->listener->api->limits.slice;
    x->deadline = USEC_NEVER;
    respond_stream(x, EVENT_STREAM, stream_read, s, stream_free);
}
