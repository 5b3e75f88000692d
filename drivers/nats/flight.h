/* flight.h - the order in which a batch of events may go out: an instance's one by one, different
 * instances' side by side */
#ifndef STOPD_NATS_FLIGHT_H
#define STOPD_NATS_FLIGHT_H

#include "stopd/upstream.h"

/* Not for several threads without a lock. */
struct flight {
    const struct upstream_event *events;
    size_t n;
    bool *arrived;      /* each event's */
    size_t *next;       /* the instance's next event in the batch, or n */
    size_t *ready;      /* those that may be sent, in a row … */
    size_t first, last; /* … from here to there */
    size_t *table;      /* by instance: its last event while the batch is read in */
    size_t table_size;
    size_t room; /* of the arrays, in events */
    size_t n_arrived;
    uint64_t *ahead; /* sequences of an earlier flight that arrived behind a gap, rising */
    size_t n_ahead;
};

/* Begins with another batch, which outlives its flight. What has arrived of it in an earlier
 * flight, which flight_remember() kept, is not sent again. */
int flight_begin(struct flight *f, const struct upstream_event *events, size_t n,
                 struct error **err);
void flight_clear(struct flight *f);

/* One more that may be sent now. False: none, until others have arrived. */
bool flight_depart(struct flight *f, size_t *ret);
/* How many flight_depart() would give. */
size_t flight_ready(const struct flight *f);
/* It has: its instance's next one may be sent. */
void flight_arrive(struct flight *f, size_t i);
/* How many of the batch's first have arrived without a gap. */
size_t flight_prefix(const struct flight *f);
/* The flight is over: what has arrived behind a gap is kept, and forgotten where there is no gap.
 */
int flight_remember(struct flight *f, struct error **err);

#endif
