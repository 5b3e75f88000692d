/* transfer.c - many reads or writes in flight on one descriptor
 *
 * Theory of operation. A device gives its bandwidth only when it has several requests in its queue.
 * A transfer has a fixed number of slots; each is one request, either free or in flight. The loop
 * fills the free slots from a source of spans, hands all new requests to the kernel in one call,
 * waits for at least one to end, and begins again. A request that ended short is continued in its
 * slot.
 *
 * The descriptor is unbuffered (O_DIRECT), so that what is read is what the device says and not
 * what the kernel remembers, and what is written has reached the device when the request ends.
 * Reads have a buffer for each slot; writes of zeros all share one. Buffers are asked for in huge
 * pages, because a request of a few long pieces needs less splitting than one of many short ones.
 *
 * After an error nothing new is begun, but what is in flight is waited for: the kernel would
 * otherwise go on writing into memory that is no longer ours. Where io_uring is not to be had (a
 * kernel that forbids it), the same loop does one request after the other.
 */
#include "transfer.h"

#include <errno.h>
#include <inttypes.h>
#include <liburing.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMORY_MAX ((size_t)8 << 20) /* of all read buffers together */
#define DEPTH_MAX 128
#define WRITE_PIECE ((size_t)1 << 20)
#define WRITE_DEPTH 16
#define HUGE_PAGE ((size_t)2 << 20)

struct slot {
    struct storage_span span;
    size_t asked; /* the span's length, rounded up to the alignment */
    size_t done;  /* of what was asked */
    unsigned char *data;
};

struct transfer {
    int fd;
    bool is_write;
    uint64_t size; /* of the device */
    struct slot slots[DEPTH_MAX];
    unsigned depth;
    unsigned free[DEPTH_MAX], n_free;
    unsigned char *memory;
    size_t memory_size;
    struct io_uring ring;
    bool has_ring;
    bool is_broken;                  /* the ring itself: what is in flight cannot be waited for */
    const struct storage_pace *pace; /* of a write */
    uint64_t completed, total;       /* bytes of it */
    int failure; /* the first one, as a negative errno; *err of the caller is set */
};

/* A broken ring and its memory are left to the end of the process: the device may still write
 * there. */
static void transfer_cleanup(struct transfer *t)
{
    if (t->is_broken)
        return;
    if (t->has_ring)
        io_uring_queue_exit(&t->ring);
    if (t->memory)
        munmap(t->memory, t->memory_size);
}

/* step: how far apart the slots' buffers are; 0: they share one. */
static int transfer_open(struct transfer *t, unsigned depth, size_t piece, size_t step,
                         struct error **err)
{
    size_t wanted = step ? depth * step : piece;

    t->memory_size = (wanted + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    t->memory =
        mmap(NULL, t->memory_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (t->memory == MAP_FAILED) {
        t->memory = NULL;
        return error_no_memory(err);
    }
    madvise(t->memory, t->memory_size, MADV_HUGEPAGE);
    t->depth = depth;
    for (unsigned i = 0; i < depth; i++) {
        t->slots[i].data = t->memory + i * step;
        t->free[t->n_free++] = depth - 1 - i;
    }
    t->has_ring = io_uring_queue_init(depth, &t->ring, 0) == 0;
    return 0;
}

/* One request at a time, for want of a ring. */
static ssize_t do_now(const struct transfer *t, const struct slot *s)
{
    off_t offset = (off_t)(s->span.offset + s->done);
    ssize_t n;

    do
        n = t->is_write ? pwrite(t->fd, s->data + s->done, s->asked - s->done, offset)
                        : pread(t->fd, s->data + s->done, s->asked - s->done, offset);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static void prepare(struct transfer *t, unsigned index)
{
    struct slot *s = &t->slots[index];
    struct io_uring_sqe *sqe = io_uring_get_sqe(&t->ring); /* there are as many as slots */
    unsigned n = (unsigned)(s->asked - s->done);
    uint64_t offset = s->span.offset + s->done;

    /* The same zeros serve every write from their beginning on. */
    if (t->is_write)
        io_uring_prep_write(sqe, t->fd, s->data, n, offset);
    else
        io_uring_prep_read(sqe, t->fd, s->data + s->done, n, offset);
    io_uring_sqe_set_data64(sqe, index);
}

static int fail(struct transfer *t, const struct slot *s, int errnum, struct error **err)
{
    uint64_t at = s->span.offset + s->done;

    if (t->failure < 0)
        return t->failure;
    if (errnum == 0)
        t->failure = error_set(err, ERROR_IO, "%s at byte %" PRIu64 " ended after nothing",
                               t->is_write ? "writing" : "reading", at);
    else
        t->failure = error_set_errno(err, ERROR_IO, errnum, "%s at byte %" PRIu64,
                                     t->is_write ? "writing" : "reading", at);
    return t->failure;
}

static bool is_complete(const struct transfer *t, const struct slot *s)
{
    return s->done >= s->asked || s->span.offset + s->done >= t->size;
}

/* Returns whether the slot's request is over, well or not. */
static bool settle(struct transfer *t, unsigned index, ssize_t n,
                   const struct storage_reading *reading, struct error **err)
{
    struct slot *s = &t->slots[index];

    if (n == -EINTR || n == -EAGAIN)
        return t->failure < 0;
    if (n <= 0) {
        fail(t, s, (int)-n, err);
        return true;
    }
    s->done += (size_t)n;
    if (!is_complete(t, s))
        return t->failure < 0;
    t->completed += s->span.length;
    if (reading && t->failure >= 0) {
        int r = reading->look(reading->context, s->span.offset, s->data, s->span.length, err);

        if (r < 0)
            t->failure = r;
    }
    return true;
}

static void begin(struct transfer *t, struct storage_span span,
                  const struct storage_reading *reading, struct error **err)
{
    unsigned index = t->free[--t->n_free];
    struct slot *s = &t->slots[index];

    s->span = span;
    s->asked = (span.length + TRANSFER_ALIGNMENT - 1) / TRANSFER_ALIGNMENT * TRANSFER_ALIGNMENT;
    if (t->is_write) /* only a whole device ends elsewhere, and at a block of its own */
        s->asked = span.length;
    s->done = 0;
    if (t->has_ring) {
        prepare(t, index);
        return;
    }
    while (!settle(t, index, do_now(t, s), reading, err))
        ;
    t->free[t->n_free++] = index;
}

/* Before `next` bytes more are begun, or (0) because some have ended. */
static int tell_pace(const struct transfer *t, uint64_t next, struct error **err)
{
    return t->pace ? t->pace->step(t->pace->context, t->completed, t->total, next, err) : 0;
}

static void reap(struct transfer *t, const struct storage_reading *reading, struct error **err)
{
    struct io_uring_cqe *cqe;
    int r = io_uring_submit_and_wait(&t->ring, 1);

    if (r < 0 && r != -EINTR && r != -EAGAIN && r != -EBUSY) {
        t->is_broken = true;
        if (t->failure >= 0)
            t->failure = error_set_errno(err, ERROR_IO, r, "waiting for the device");
    }
    while (io_uring_peek_cqe(&t->ring, &cqe) == 0) {
        unsigned index = (unsigned)io_uring_cqe_get_data64(cqe);
        ssize_t n = cqe->res;

        io_uring_cqe_seen(&t->ring, cqe);
        if (settle(t, index, n, reading, err))
            t->free[t->n_free++] = index;
        else
            prepare(t, index);
    }
}

/* next: 1 and *ret, 0 at the end, negative with *err set. */
static int transfer_run(struct transfer *t,
                        int (*next)(void *context, struct storage_span *ret, struct error **err),
                        void *context, const struct storage_reading *reading, struct error **err)
{
    bool is_over = false;

    while (!t->is_broken && (!is_over || t->n_free < t->depth)) {
        struct storage_span span;

        while (!is_over && t->n_free > 0) {
            int r = t->failure < 0 ? 0 : next(context, &span, err);

            if (r < 0)
                t->failure = r;
            if (r > 0)
                begin(t, span, reading, err);
            else
                is_over = true;
        }
        if (t->n_free == t->depth)
            continue;
        reap(t, reading, err);
        if (t->failure >= 0)
            t->failure = tell_pace(t, 0, err);
    }
    return t->failure;
}

static int next_to_read(void *context, struct storage_span *ret, struct error **err)
{
    const struct storage_reading *reading = context;

    return reading->next(reading->context, ret, err);
}

int transfer_read(int fd, uint64_t size, const struct storage_reading *reading, struct error **err)
{
    _cleanup_(transfer) struct transfer t = {.fd = fd, .size = size};
    size_t depth = MEMORY_MAX / reading->piece;
    int r = transfer_open(&t, depth < DEPTH_MAX ? (unsigned)depth : DEPTH_MAX, reading->piece,
                          reading->piece, err);

    return r < 0 ? r : transfer_run(&t, next_to_read, (void *)reading, reading, err);
}

struct zeroing {
    struct transfer *transfer;
    struct storage_span span;
    uint64_t begun;
};

static int next_to_zero(void *context, struct storage_span *ret, struct error **err)
{
    struct zeroing *z = context;
    uint64_t left = z->span.length - z->begun, n = left < WRITE_PIECE ? left : WRITE_PIECE;
    int r;

    if (n == 0)
        return 0;
    r = tell_pace(z->transfer, n, err);
    if (r < 0)
        return r;
    *ret = (struct storage_span){z->span.offset + z->begun, n};
    z->begun += n;
    return 1;
}

int transfer_zero(int fd, struct storage_span span, const struct storage_pace *pace,
                  struct error **err)
{
    _cleanup_(transfer) struct transfer t = {
        .fd = fd,
        .is_write = true,
        .size = span.offset + span.length,
        .pace = pace,
        .total = span.length,
    };
    struct zeroing z = {.transfer = &t, .span = span};
    int r = transfer_open(&t, WRITE_DEPTH, WRITE_PIECE, 0, err);

    return r < 0 ? r : transfer_run(&t, next_to_zero, &z, NULL, err);
}
