/* spans.h - clearing span by span, each durable before the next begins */
#ifndef STOPD_WIPE_SPANS_H
#define STOPD_WIPE_SPANS_H

#include "wipe/wipe.h"

/* A device of this size is cleared in spans that are whole numbers of slices. */
uint64_t spans_slice(uint64_t size);
/* How long the first span is, and the next one when the last one took this long; pure. */
uint64_t spans_first_length(uint64_t size);
uint64_t spans_next_length(uint64_t slice, uint64_t last_length, usec_t last_took, usec_t interval);

/* How long a span is to take, by how often the guards are to be asked and how long the last flush
 * took; pure. */
usec_t spans_wanted_duration(usec_t look_interval, usec_t flush_took);

/* From w->state.durable to the end, by this method, with w->state going out as it grows. */
int spans_clear(struct wipe *w, enum clear_method method, struct storage_record *record,
                struct error **err);

#endif
