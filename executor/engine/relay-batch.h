/* relay-batch.h - copies of some events, so that a slow sink does not keep a query open */
#ifndef STOPD_ENGINE_RELAY_BATCH_H
#define STOPD_ENGINE_RELAY_BATCH_H

#include "journal/journal.h"

#define BATCH_EVENTS 256
#define BATCH_BYTES ((size_t)1024 * 1024)

struct batch {
    struct upstream_event events[BATCH_EVENTS];
    size_t n;
    size_t bytes;
};

/* Fills an empty batch with the events behind a sequence, as many as it holds. */
int batch_read(struct batch *b, struct journal_reader *reader, uint64_t after, struct error **err);
/* Frees the copies; the batch is empty then. */
void batch_clear(struct batch *b);

#endif
