/* canary.c - marks that are written before a clear and have to be gone after it
 *
 * Theory of operation. A device that ignores a command and reports success leaves everything as it
 * was. If that was zeros before, reading zeros afterwards proves nothing. So blocks of a pattern
 * that nothing else holds are written first, one in each of up to 256 strata, flushed and read back
 * through the same path; after the command they have to be gone. They also tell a cryptographic
 * erase that was none from one that was: after it the blocks hold noise, but not these.
 */
#include "wipe/canary.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "wipe/random.h"
#include "wipe/zeros.h"

/* Streams of the seed's numbers: this one's are no one else's. */
#define STREAM_PLACES 1
#define STREAM_PATTERN 2

size_t canary_places(const char *seed, uint64_t size, uint64_t ret[static CANARIES_MAX])
{
    struct random random = random_of_seed(seed, STREAM_PLACES);
    uint64_t blocks = size / CANARY_SIZE;
    size_t n = blocks < CANARIES_MAX ? (size_t)blocks : CANARIES_MAX;

    for (size_t i = 0; i < n; i++) {
        uint64_t first = (uint64_t)((unsigned __int128)blocks * i / n);
        uint64_t end = (uint64_t)((unsigned __int128)blocks * (i + 1) / n);

        ret[i] = (first + random_below(&random, i, end - first)) * CANARY_SIZE;
    }
    return n;
}

void canary_fill(const char *seed, uint64_t place, unsigned char ret[static CANARY_SIZE])
{
    struct random random = random_of_seed(seed, STREAM_PATTERN);
    uint64_t words = CANARY_SIZE / sizeof(uint64_t);

    for (uint64_t i = 0; i < words; i++) {
        uint64_t word = random_at(&random, place / CANARY_SIZE * words + i);

        memcpy(ret + i * sizeof(word), &word, sizeof(word));
    }
    snprintf((char *)ret, 64, "stopd-wipe canary at %" PRIu64, place);
}

/* --- Reading them ---------------------------------------------------------------------------- */

struct canary_reading {
    const struct wipe *w;
    const uint64_t *places;
    size_t n, next;
    size_t found; /* are as they were written */
    uint64_t first_found, first_missing;
    size_t missing;
    bool is_zero;
};

static int next_place(void *context, struct storage_span *ret, struct error **err)
{
    struct canary_reading *c = context;

    if (c->next == c->n)
        return 0;
    *ret = (struct storage_span){c->places[c->next++], CANARY_SIZE};
    return 1;
}

static int look_at_place(void *context, uint64_t offset, const void *data, size_t n,
                         struct error **err)
{
    struct canary_reading *c = context;
    unsigned char wanted[CANARY_SIZE];

    canary_fill(c->w->state.seed, offset, wanted);
    if (memcmp(data, wanted, n) == 0) {
        if (c->found++ == 0)
            c->first_found = offset;
    } else if (c->missing++ == 0) {
        c->first_missing = offset;
    }
    if (zeros_first_other(data, n) < n)
        c->is_zero = false;
    return 0;
}

static int read_places(struct wipe *w, struct canary_reading *c, struct error **err)
{
    struct storage_reading reading = {
        .piece = CANARY_SIZE, .next = next_place, .look = look_at_place, .context = c};

    c->w = w;
    c->is_zero = true;
    return w->device->ops->read(w->device, &reading, err);
}

/* --- Writing them ---------------------------------------------------------------------------- */

struct canary_writing {
    struct wipe *w;
    const uint64_t *places;
    size_t n, next;
    uint64_t kept[CANARIES_MAX]; /* where one is now */
    size_t n_kept;
};

static int next_to_mark(void *context, struct storage_span *ret, struct error **err)
{
    struct canary_writing *c = context;

    while (c->next < c->n && c->places[c->next] < c->w->state.durable)
        c->next++;
    if (c->next == c->n)
        return 0;
    c->w->is_touched = true;
    *ret = (struct storage_span){c->places[c->next++], CANARY_SIZE};
    return 1;
}

static void fill_mark(void *context, uint64_t offset, void *data, size_t n)
{
    const struct canary_writing *c = context;

    canary_fill(c->w->state.seed, offset, data);
}

static void note_mark(void *context, uint64_t offset)
{
    struct canary_writing *c = context;

    c->kept[c->n_kept++] = offset;
}

static int write_places(struct canary_writing *c, struct error **err)
{
    struct storage_writing writing = {.piece = CANARY_SIZE,
                                      .next = next_to_mark,
                                      .fill = fill_mark,
                                      .written = note_mark,
                                      .context = c};

    return c->w->device->ops->write(c->w->device, &writing, err);
}

/* --- Before and after ------------------------------------------------------------------------ */

int canaries_place(struct wipe *w, struct error **err)
{
    uint64_t places[CANARIES_MAX];
    struct canary_writing written = {
        .w = w, .places = places, .n = canary_places(w->state.seed, w->device->size, places)};
    struct canary_reading c = {.places = written.kept};
    int r = wipe_look(w, err);

    if (r >= 0)
        r = write_places(&written, err);
    if (r >= 0)
        r = w->device->ops->flush(w->device, err);
    c.n = written.n_kept;
    if (r >= 0)
        r = read_places(w, &c, err);
    if (r < 0)
        return error_context(err, "marking the device");
    if (c.missing > 0)
        return error_set(err, ERROR_IO,
                         "the device does not keep what is written to it, at byte %" PRIu64,
                         c.first_missing);
    w->verification.canaries = c.n;
    return 0;
}

int canaries_gone(struct wipe *w, bool *is_zero, struct error **err)
{
    uint64_t places[CANARIES_MAX];
    struct canary_reading c = {.places = places,
                               .n = canary_places(w->state.seed, w->device->size, places)};
    int r = read_places(w, &c, err);

    if (r < 0)
        return r;
    if (c.found > 0) {
        w->has_lied = true;
        return error_set(err, ERROR_IO,
                         "%zu of %zu marks are still there, the first at byte %" PRIu64, c.found,
                         c.n, c.first_found);
    }
    *is_zero = c.is_zero;
    return 0;
}
