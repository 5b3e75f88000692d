/* spans.c - clearing span by span, each durable before the next begins
 *
 * Theory of operation. Before a span the guards are asked, after it the device is flushed, and then
 * the line goes out that says so, on which a later run goes on. Its length follows the device's
 * speed, so that a span takes about as long as the guards' interval, and longer where flushing
 * takes long: looking and flushing are to cost next to nothing. When the interval is over in the
 * middle of a span, the guards are asked there, so that no intruder goes unseen for longer.
 *
 * All spans end at multiples of one slice, which depends on the size of the device alone. So the
 * places where two spans may meet are known to the verification, whichever run cleared them.
 */
#include "wipe/spans.h"

#define MIB ((uint64_t)1 << 20)
#define SLICE_MIN (4 * MIB)
#define SLICE_MAX (256 * MIB)
#define SLICES 8192
#define FIRST_MAX (64 * MIB)
#define FIRST_SHARE 16 /* of the device, at most */
#define SPAN_MAX (64 * 1024 * MIB)
#define FLUSH_SHARE 40 /* a flush takes at most this part of the time */
#define TOOK_MAX (8 * USEC_PER_SEC)
#define GROWTH_MAX 16 /* step by step: the first megabytes may go into a cache */

uint64_t spans_slice(uint64_t size)
{
    uint64_t slice = SLICE_MIN;

    while (slice < SLICE_MAX && size / slice > SLICES)
        slice *= 2;
    return slice;
}

uint64_t spans_first_length(uint64_t size)
{
    uint64_t slice = spans_slice(size), length = size / FIRST_SHARE;

    if (length > FIRST_MAX)
        length = FIRST_MAX;
    return length < slice ? slice : length / slice * slice;
}

uint64_t spans_next_length(uint64_t slice, uint64_t last_length, usec_t last_took, usec_t interval)
{
    double wanted = (double)last_length * (double)interval / (double)(last_took ? last_took : 1);

    if (wanted > GROWTH_MAX * (double)last_length)
        wanted = GROWTH_MAX * (double)last_length;
    if (wanted > (double)SPAN_MAX)
        wanted = (double)SPAN_MAX;
    return wanted < (double)(2 * slice) ? slice : (uint64_t)wanted / slice * slice;
}

/* Somewhat shorter than the guards' interval: who keeps to it needs no second look. */
usec_t spans_wanted_duration(usec_t look_interval, usec_t flush_took)
{
    usec_t wanted = look_interval - look_interval / 10;

    if (wanted < FLUSH_SHARE * flush_took)
        wanted = FLUSH_SHARE * flush_took;
    return wanted < TOOK_MAX ? wanted : TOOK_MAX;
}

static int look_and_pace(void *context, uint64_t done, uint64_t total, uint64_t next,
                         struct error **err)
{
    struct wipe *w = context;
    int r = next > 0 ? wipe_look_now_and_then(w, err) : 0;

    return r < 0 ? r : meter_step(&w->meter, done, total, next, err);
}

static int clear_span(struct wipe *w, enum clear_method method, struct storage_span span,
                      struct storage_record *record, usec_t *flush_took, struct error **err)
{
    struct storage_pace pace = {.step = look_and_pace, .context = w};
    const struct storage_ops *ops = w->device->ops;
    int r = wipe_look(w, err);
    usec_t began;

    if (r < 0)
        return r;
    w->is_touched = true;
    meter_begin_piece(&w->meter, span);
    r = ops->clear(w->device, method, span, false, &pace, record, err);
    began = moment_now().monotonic;
    if (r >= 0)
        r = ops->flush(w->device, err);
    *flush_took = moment_now().monotonic - began;
    if (r < 0)
        return r;
    w->state.durable = w->meter.durable = w->meter.done = span.offset + span.length;
    json_object_put(w->meter.resume);
    w->meter.resume = wipe_resume_to_json(&w->state);
    return w->meter.resume ? meter_say(&w->meter, err) : error_no_memory(err);
}

int spans_clear(struct wipe *w, enum clear_method method, struct storage_record *record,
                struct error **err)
{
    uint64_t size = w->device->size, slice = spans_slice(size), length = spans_first_length(size);

    meter_begin(&w->meter, "clearing", clear_method_to_string(w->state.method), size,
                w->state.durable);
    while (w->state.durable < size) {
        struct storage_span span = {.offset = w->state.durable};
        usec_t began, flush_took;
        int r;

        span.length = (span.offset + length) / slice * slice - span.offset;
        if (span.length > size - span.offset)
            span.length = size - span.offset;
        began = moment_now().monotonic;
        r = clear_span(w, method, span, record, &flush_took, err);
        if (r < 0)
            return r;
        length = spans_next_length(slice, span.length, moment_now().monotonic - began,
                                   spans_wanted_duration(wipe_look_interval(w), flush_took));
    }
    return 0;
}
