/* verify.c - does the device read as zeros?
 *
 * Theory of operation. Reads are unbuffered, so it is the device that answers. A full verification
 * reads every block from the first to the last. A sample reads, in this order: both ends, where
 * partition tables and their copies, md and LVM labels are; where partitions began and ended; both
 * sides of each place where two spans of the clear could meet; the canaries' places; and then
 * random blocks, one from each of 138,149 strata of equal size. A residue of a share p of all
 * blocks, wherever it lies, is missed with a chance of at most (1-p)^n: strata do at least as well
 * as independent draws. A device with no more blocks than that is read whole.
 *
 * The first byte that is not zero ends it: the method that said it was done has lied.
 */
#include "wipe/verify.h"

#include <inttypes.h>

#include "wipe/canary.h"
#include "wipe/random.h"
#include "wipe/spans.h"
#include "wipe/zeros.h"

#define STREAM_SAMPLE 3
#define FULL_PIECE ((uint64_t)512 << 10)
#define ENDS ((uint64_t)1 << 20) /* read at both ends in any case */

enum part { PART_ENDS, PART_PLACES, PART_EDGES, PART_CANARIES, PART_SAMPLE, PART_MAX };

struct plan {
    struct wipe *w;
    uint64_t size, blocks; /* the last block may be shorter */
    enum part part;
    uint64_t index;       /* within the part */
    uint64_t n[PART_MAX]; /* how many blocks each part reads */
    uint64_t total;
    uint64_t slice;
    struct random random;
    uint64_t canaries[CANARIES_MAX];
    uint64_t asked; /* bytes given out to be read; what came back is in the verification */
};

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void make_plan(struct wipe *w, struct plan *p)
{
    uint64_t ends;

    p->w = w;
    p->size = w->device->size;
    p->blocks = (p->size + VERIFY_BLOCK - 1) / VERIFY_BLOCK;
    p->slice = spans_slice(p->size);
    p->random = random_of_seed(w->state.seed, STREAM_SAMPLE);
    ends = least(ENDS / VERIFY_BLOCK, p->blocks);
    p->n[PART_ENDS] = 2 * ends;
    p->n[PART_PLACES] = 2 * w->n_places;
    p->n[PART_EDGES] = 2 * ((p->size - 1) / p->slice);
    p->n[PART_CANARIES] = canary_places(w->state.seed, p->size, p->canaries);
    p->n[PART_SAMPLE] = VERIFY_SAMPLES;
    for (int i = 0; i < PART_MAX; i++)
        p->total += p->n[i];
}

/* The block behind (even) or before (odd) a border. */
static uint64_t beside(uint64_t border, uint64_t index)
{
    uint64_t block = border / VERIFY_BLOCK;

    return index % 2 && block > 0 ? block - 1 : block;
}

static uint64_t block_of(const struct plan *p)
{
    uint64_t i = p->index, ends = p->n[PART_ENDS] / 2, first, end;

    switch (p->part) {
    case PART_ENDS:
        return i < ends ? i : p->blocks - 1 - (i - ends);
    case PART_PLACES:
        return beside(p->w->places[i / 2], i);
    case PART_EDGES:
        return beside((i / 2 + 1) * p->slice, i);
    case PART_CANARIES:
        return p->canaries[i] / VERIFY_BLOCK;
    default:
        first = (uint64_t)((unsigned __int128)p->blocks * i / VERIFY_SAMPLES);
        end = (uint64_t)((unsigned __int128)p->blocks * (i + 1) / VERIFY_SAMPLES);
        return first + random_below(&p->random, i, end - first);
    }
}

static int count_and_look(struct plan *p, uint64_t length, struct error **err)
{
    int r = wipe_look_now_and_then(p->w, err);

    p->asked += length;
    return r < 0 ? r : meter_advance(&p->w->meter, p->w->meter.done + length, length, err);
}

static int next_sampled(void *context, struct storage_span *ret, struct error **err)
{
    struct plan *p = context;
    uint64_t block;
    int r;

    while (p->part < PART_MAX && p->index == p->n[p->part]) {
        p->part++;
        p->index = 0;
    }
    if (p->part == PART_MAX)
        return 0;
    block = least(block_of(p), p->blocks - 1);
    p->index++;
    ret->offset = block * VERIFY_BLOCK;
    ret->length = least(VERIFY_BLOCK, p->size - ret->offset);
    r = count_and_look(p, ret->length, err);
    return r < 0 ? r : 1;
}

static int next_of_all(void *context, struct storage_span *ret, struct error **err)
{
    struct plan *p = context;
    int r;

    if (p->index == p->size)
        return 0;
    *ret = (struct storage_span){p->index, least(FULL_PIECE, p->size - p->index)};
    p->index += ret->length;
    r = count_and_look(p, ret->length, err);
    return r < 0 ? r : 1;
}

static int look_for_zeros(void *context, uint64_t offset, const void *data, size_t n,
                          struct error **err)
{
    struct plan *p = context;
    struct verification *v = &p->w->verification;
    size_t first = zeros_first_other(data, n);

    v->bytes_read += n;
    v->blocks_read += (n + VERIFY_BLOCK - 1) / VERIFY_BLOCK;
    if (first == n)
        return 0;
    p->w->has_lied = true;
    return error_set(err, ERROR_IO, "byte %" PRIu64 " is not zero", offset + first);
}

static int verify_reads(struct wipe *w, struct error **err)
{
    struct verification *v = &w->verification;
    struct plan p = {0};
    struct storage_reading reading = {.look = look_for_zeros, .context = &p};
    bool is_whole;
    int r;

    make_plan(w, &p);
    is_whole = v->mode == WIPE_VERIFY_FULL || p.blocks <= VERIFY_SAMPLES;
    reading.next = is_whole ? next_of_all : next_sampled;
    reading.piece = is_whole ? FULL_PIECE : VERIFY_BLOCK;
    v->samples = is_whole ? 0 : p.n[PART_SAMPLE];
    v->edges = p.n[PART_EDGES] / 2;
    v->places = w->n_places;
    meter_begin(&w->meter, "verifying", clear_method_to_string(w->state.method),
                is_whole ? p.size : p.total * VERIFY_BLOCK, 0);
    r = w->device->ops->read(w->device, &reading, err);
    if (r >= 0 && v->bytes_read != p.asked)
        return error_set(err, ERROR_IO,
                         "of %" PRIu64 " bytes that were to be read, %" PRIu64 " were", p.asked,
                         v->bytes_read);
    return r;
}

int verify(struct wipe *w, struct error **err)
{
    usec_t began = moment_now().monotonic;
    char found[64] = "";
    int r;

    w->verification.blocks_read = w->verification.bytes_read = 0;
    r = verify_reads(w, err);
    if (r >= 0)
        r = verify_signature(w->device, found, sizeof(found), err);
    if (r < 0)
        return r;
    if (*found) {
        w->has_lied = true;
        return error_set(err, ERROR_IO, "there is still a signature of %s", found);
    }
    w->verification.no_signature = true;
    w->verification.duration = moment_now().monotonic - began;
    return 0;
}
