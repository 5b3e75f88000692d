/* relay-deliver.c - what a relay hands to its sink, and what becomes of it
 *
 * Theory of operation. A batch is handed over piece by piece, as the sink takes it. Each piece
 * moves the position and is told. An event that is refused is told as a dead letter, the position
 * moves past it, and the rest of the batch follows; anything else that goes wrong ends the attempt,
 * and what was not delivered is read anew.
 *
 * Order: nothing of a sink overtakes what is tried again, so that the events of an instance arrive
 * in order. A dead letter that is sent again is the exception, and is what an operator asked for:
 * it arrives behind later events of its instance. It goes before what is new, and holds that up
 * like any other event while it is tried.
 */
#include "engine/relay-internal.h"

#include <errno.h>
#include <string.h>

/* 0 or a negative errno. */
static int tell(struct relay *r, enum sink_news news, uint64_t sequence, const char *reason)
{
    struct sink_report *report = sink_report_new(news, r->name, sequence, reason, r->rewinds);
    int result = -ECANCELED;

    if (!report)
        return -ENOMEM;
    pthread_mutex_lock(&r->calling);
    if (r->silent)
        sink_report_free(report);
    else
        result = r->report(r->userdata, report);
    pthread_mutex_unlock(&r->calling);
    return result;
}

static void move_to(struct relay *r, uint64_t sequence, size_t events)
{
    r->rewound = false;
    relay_move_to(r, sequence, events);
    (void)tell(r, SINK_MOVED, sequence, NULL); /* where it fails, the next one says more */
}

/* --- Opening --------------------------------------------------------------------------------- */

static int read_position(struct relay *r, struct error **err)
{
    uint64_t cursor;
    bool rewound;
    int result = journal_reader_open(r->journal_path, &r->reader, err);

    if (result >= 0)
        result = journal_read_cursor(r->reader, r->name, &cursor, &rewound, err);
    if (result > 0 && cursor >= r->position) {
        relay_move_to(r, cursor, 0);
        r->rewound = rewound;
    }
    return result;
}

/* Of before this opening, or this program. */
static int read_marks(struct relay *r, struct error **err)
{
    uint64_t last;
    int result = journal_read_last_mark(r->reader, r->name, &last, err);

    r->marks_done = 0;
    if (result >= 0 && last > r->marks)
        r->marks = last;
    return result;
}

/* The sink may have more than the cursor says; after a rewind that does not count. */
static int open_sink(struct relay *r, struct error **err)
{
    char last_id[UUID_TEXT_SIZE] = "";
    uint64_t last;
    int result;

    r->upstream->not_before = 0;
    relay_set_busy(r, true);
    result = r->upstream->ops->open(r->upstream, last_id, err);
    relay_set_busy(r, false);
    if (result < 0 || !last_id[0] || r->rewound)
        return result;
    result = journal_read_event_sequence(r->reader, last_id, &last, err);
    if (result > 0 && last > r->position)
        move_to(r, last, 0);
    return result;
}

int relay_open(struct relay *r, struct error **err)
{
    int result = read_position(r, err);

    if (result >= 0)
        result = read_marks(r, err);
    return result < 0 ? result : open_sink(r, err);
}

/* --- Delivering ------------------------------------------------------------------------------ */

static int hand_over(struct relay *r, const struct upstream_event *events, size_t n,
                     size_t *delivered, struct error **err)
{
    int result;

    *delivered = 0;
    r->upstream->not_before = 0;
    relay_set_busy(r, true);
    result = r->upstream->ops->deliver(r->upstream, events, n, delivered, err);
    relay_set_busy(r, false);
    if (result >= 0 && *delivered == 0)
        return error_set(err, ERROR_INTERNAL, "it took none of %zu events and gave no reason", n);
    return result;
}

/* What is told of the events of a batch: one kind for those of the outbox, one for dead letters. */
struct kind {
    int (*took)(struct relay *r, const struct upstream_event *events, size_t n);
    int (*refused)(struct relay *r, const struct upstream_event *event, const char *reason);
};

static int took_events(struct relay *r, const struct upstream_event *events, size_t n)
{
    relay_note_gap(r, events[0].sequence);
    move_to(r, events[n - 1].sequence, n);
    return 0;
}

static int refused_event(struct relay *r, const struct upstream_event *event, const char *reason)
{
    int result = tell(r, SINK_SET_ASIDE, event->sequence, reason);

    if (result < 0)
        return result;
    relay_note_gap(r, event->sequence);
    relay_note_set_aside(r, event, reason);
    move_to(r, event->sequence, 0);
    return 0;
}

static int took_letters(struct relay *r, const struct upstream_event *events, size_t n)
{
    int result = 0;

    for (size_t i = 0; i < n && result >= 0; i++)
        result = tell(r, SINK_TOOK_LETTER, events[i].sequence, NULL);
    relay_count_delivered(r, n);
    return result;
}

static int refused_letter(struct relay *r, const struct upstream_event *event, const char *reason)
{
    int result = tell(r, SINK_REFUSED_AGAIN, event->sequence, reason);

    if (result >= 0)
        relay_note_set_aside(r, event, reason);
    return result;
}

static const struct kind of_outbox = {took_events, refused_event};
static const struct kind of_letters = {took_letters, refused_letter};

/* One piece of the batch, from *done on. */
static int deliver_piece(struct relay *r, const struct kind *kind, size_t *done, struct error **err)
{
    _cleanup_(error_free) struct error *e = NULL;
    const struct upstream_event *events = r->batch.events + *done;
    size_t left = r->batch.n - *done, delivered;
    int result = hand_over(r, events, left, &delivered, &e), told = 0;

    if (delivered > 0)
        told = kind->took(r, events, delivered);
    *done += delivered;
    if (told >= 0 && result < 0 && e && e->code == ERROR_REFUSED && delivered < left) {
        told = kind->refused(r, &events[delivered], error_message(e));
        *done += told >= 0;
        result = 0;
    }
    if (told < 0)
        return error_set_errno(err, ERROR_INTERNAL, -told, "what the sink did was not taken down");
    return result < 0 ? error_move(err, &e) : 0;
}

static int deliver_batch(struct relay *r, const struct kind *kind, struct error **err)
{
    size_t done = 0;
    int result = 0;

    while (result >= 0 && done < r->batch.n && !relay_is_called(r)) {
        result = deliver_piece(r, kind, &done, err);
        if (result >= 0)
            relay_note_success(r);
    }
    return result;
}

/* One that was just told as delivered may still be in the journal, and marked: another pass is for
 * later marks only. */
static int deliver_letters(struct relay *r, struct error **err)
{
    uint64_t after = 0;
    size_t n;
    int result;

    do {
        result =
            batch_read_letters(&r->batch, r->reader, r->name, r->marks_done, r->marks, after, err);
        n = r->batch.n;
        if (n > 0)
            after = r->batch.events[n - 1].sequence;
        if (result >= 0)
            result = deliver_batch(r, &of_letters, err);
        batch_clear(&r->batch);
    } while (result >= 0 && n > 0 && !relay_is_called(r));
    if (result >= 0 && n == 0)
        r->marks_done = r->marks;
    return result;
}

/* What stands before an event that cannot be read is delivered first. */
static int read_batch(struct relay *r, struct error **err)
{
    _cleanup_(error_free) struct error *e = NULL;

    if (batch_read(&r->batch, r->reader, r->position, &e) < 0 && r->batch.n == 0)
        return error_move(err, &e);
    return 0;
}

int relay_deliver(struct relay *r, struct error **err)
{
    int result = r->marks > r->marks_done ? deliver_letters(r, err) : 0;

    if (result >= 0)
        result = read_batch(r, err);
    if (result >= 0 && r->batch.n > 0) {
        result = deliver_batch(r, &of_outbox, err);
        result = result < 0 ? result : 1;
    }
    batch_clear(&r->batch);
    return result;
}
