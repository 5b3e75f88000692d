/* relay-batch.h - copies of some events, so that a slow sink does not keep a query open */
#ifndef STOPD_ENGINE_RELAY_BATCH_H
#define STOPD_ENGINE_RELAY_BATCH_H

#include "journal/journal.h"

#define BATCH_EVENTS 256 /* where the sink has no wish */
#define BATCH_BYTES ((size_t)16 * 1024 * 1024)

struct batch {
    struct upstream_event *events;
    size_t most; /* room for so many */
    size_t n;
    size_t bytes;
};

/* most: 0 for BATCH_EVENTS. 0 or -ENOMEM. */
int batch_init(struct batch *b, size_t most);
void batch_free(struct batch *b);
/* Fills an empty batch with the events behind a sequence, as many as it holds. */
int batch_read(struct batch *b, struct journal_reader *reader, uint64_t after, struct error **err);
/* The same with the sink's dead letters that have marks above done and up to last. */
int batch_read_letters(struct batch *b, struct journal_reader *reader, const char *sink,
                       uint64_t done, uint64_t last, uint64_t after, struct error **err);
/* Frees the copies; the batch is empty then. */
void batch_clear(struct batch *b);

#endif
