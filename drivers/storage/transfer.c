/* transfer.c - many reads or writes in flight on one descriptor
 *
 * Theory of operation. A device gives its bandwidth only when it has several requests in its queue.
 * A transfer has a fixed number of slots; each is one request, either free or in flight. The loop
 * fills the free slots from a source of spans, hands them to the kernel, takes one request that has
 * ended, and begins again. One, not all that have: what is done with a piece takes time (it is
 * compared), and the slots of the others would be empty for as long. Small pieces are handed over
 * many at a time all the same, for a call of the kernel costs as much as comparing one of them. A
 * request that ended short is continued in its slot.
 *
 * The descriptor is unbuffered (O_DIRECT), so that what is read is what the device says and not
 * what the kernel remembers, and what is written has reached the device when the request ends.
 * Each slot has a buffer, except that writes of zeros all share one. Buffers are asked for in huge
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

#define MEMORY_MAX ((size_t)4 << 20) /* of all buffers together: what a cache holds */
#define DEPTH_MAX 128
#define WRITE_PIECE ((size_t)1 << 20)
#define WRITE_DEPTH 16
#define HUGE_PAGE ((size_t)2 << 20)
/* Requests for so many bytes may wait to be handed over, while there is something else to do. */
#define HAND_OVER ((size_t)128 << 10)

/* What a transfer is for. */
struct job {
    bool is_write;
    bool is_shared; /* all slots have the same memory: zeros */
    size_t piece;   /* the longest span */
    /* 1 and *ret, 0 at the end, negative with *err set. */
    int (*next)(void *context, struct storage_span *ret, struct error **err);
    /* Before it is begun, and after all of it is done; NULL: nothing. */
    void (*fill)(void *context, struct storage_span span, void *data);
    int (*look)(void *context, struct storage_span span, const void *data, struct error **err);
    void *context;
    const struct storage_pace *pace; /* NULL: none */
    uint64_t total;                  /* bytes, for the pace */
};

struct slot {
    struct storage_span span;
    size_t asked; /* the span's length, rounded up to the alignment */
    size_t done;  /* of what was asked */
    unsigned char *data;
};

struct transfer {
    const struct job *job;
    int fd;
    uint64_t size; /* of the device */
    struct slot slots[DEPTH_MAX];
    unsigned depth;
    unsigned free[DEPTH_MAX], n_free;
    unsigned char *memory;
    size_t memory_size;
    struct io_uring ring;
    bool has_ring;
    bool is_broken;     /* the ring itself: what is in flight cannot be waited for */
    size_t waiting;     /* bytes of requests that were not handed over yet */
    uint64_t completed; /* bytes */
    int failure;        /* the first one, as a negative errno; *err of the caller is set */
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

static int transfer_open(struct transfer *t, unsigned depth, struct error **err)
{
    size_t piece = t->job->piece, step = t->job->is_shared ? 0 : piece;
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

static unsigned char *rest_of(const struct transfer *t, const struct slot *s)
{
    /* The same zeros serve every write from their beginning on. */
    return t->job->is_shared ? s->data : s->data + s->done;
}

/* One request at a time, for want of a ring. */
static ssize_t do_now(const struct transfer *t, const struct slot *s)
{
    off_t offset = (off_t)(s->span.offset + s->done);
    size_t left = s->asked - s->done;
    ssize_t n;

    do
        n = t->job->is_write ? pwrite(t->fd, rest_of(t, s), left, offset)
                             : pread(t->fd, rest_of(t, s), left, offset);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* Gives the kernel what waits; wait_for: how many must have ended before it returns. */
static void hand_over(struct transfer *t, unsigned wait_for, struct error **err)
{
    int r = io_uring_submit_and_wait(&t->ring, wait_for);

    t->waiting = 0;
    if (r >= 0 || r == -EINTR || r == -EAGAIN || r == -EBUSY)
        return;
    t->is_broken = true;
    if (t->failure >= 0)
        t->failure = error_set_errno(err, ERROR_IO, r, "waiting for the device");
}

static void prepare(struct transfer *t, unsigned index, struct error **err)
{
    struct slot *s = &t->slots[index];
    struct io_uring_sqe *sqe = io_uring_get_sqe(&t->ring); /* there are as many as slots */
    unsigned n = (unsigned)(s->asked - s->done);
    uint64_t offset = s->span.offset + s->done;

    if (t->job->is_write)
        io_uring_prep_write(sqe, t->fd, rest_of(t, s), n, offset);
    else
        io_uring_prep_read(sqe, t->fd, rest_of(t, s), n, offset);
    io_uring_sqe_set_data64(sqe, index);
    t->waiting += n;
    if (t->waiting >= HAND_OVER)
        hand_over(t, 0, err);
}

static int fail(struct transfer *t, const struct slot *s, int errnum, struct error **err)
{
    const char *what = t->job->is_write ? "writing" : "reading";
    uint64_t at = s->span.offset + s->done;

    if (t->failure < 0)
        return t->failure;
    if (errnum == 0)
        t->failure =
            error_set(err, ERROR_IO, "%s at byte %" PRIu64 " ended after nothing", what, at);
    else
        t->failure = error_set_errno(err, ERROR_IO, errnum, "%s at byte %" PRIu64, what, at);
    return t->failure;
}

static bool is_complete(const struct transfer *t, const struct slot *s)
{
    return s->done >= s->asked || s->span.offset + s->done >= t->size;
}

/* Returns whether the slot's request is over, well or not. */
static bool settle(struct transfer *t, unsigned index, ssize_t n, struct error **err)
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
    if (t->job->look && t->failure >= 0) {
        int r = t->job->look(t->job->context, s->span, s->data, err);

        if (r < 0)
            t->failure = r;
    }
    return true;
}

static void begin(struct transfer *t, struct storage_span span, struct error **err)
{
    unsigned index = t->free[--t->n_free];
    struct slot *s = &t->slots[index];

    s->span = span;
    s->asked = (span.length + TRANSFER_ALIGNMENT - 1) / TRANSFER_ALIGNMENT * TRANSFER_ALIGNMENT;
    if (t->job->is_write) /* only a whole device ends elsewhere, and at a block of its own */
        s->asked = span.length;
    s->done = 0;
    if (t->job->fill)
        t->job->fill(t->job->context, span, s->data);
    if (t->has_ring) {
        prepare(t, index, err);
        return;
    }
    while (!settle(t, index, do_now(t, s), err))
        ;
    t->free[t->n_free++] = index;
}

/* Before `next` bytes more are begun, or (0) because some have ended. */
static int tell_pace(const struct transfer *t, uint64_t next, struct error **err)
{
    const struct storage_pace *pace = t->job->pace;

    return pace ? pace->step(pace->context, t->completed, t->job->total, next, err) : 0;
}

/* 1: began a span. 0: there is none. */
static int begin_next(struct transfer *t, struct error **err)
{
    struct storage_span span;
    int r = t->job->next(t->job->context, &span, err);

    if (r <= 0)
        return r;
    r = tell_pace(t, span.length, err);
    if (r < 0)
        return r;
    begin(t, span, err);
    return 1;
}

/* Returns whether there may be more. */
static bool fill_slots(struct transfer *t, struct error **err)
{
    while (t->n_free > 0 && t->failure >= 0) {
        int r = begin_next(t, err);

        if (r == 0)
            return false;
        if (r < 0)
            t->failure = r;
    }
    return t->failure >= 0;
}

static void take_one(struct transfer *t, struct error **err)
{
    struct io_uring_cqe *cqe;
    unsigned index;
    ssize_t n;

    if (io_uring_peek_cqe(&t->ring, &cqe) < 0) {
        hand_over(t, 1, err);
        if (io_uring_peek_cqe(&t->ring, &cqe) < 0)
            return;
    }
    index = (unsigned)io_uring_cqe_get_data64(cqe);
    n = cqe->res;
    io_uring_cqe_seen(&t->ring, cqe);
    if (settle(t, index, n, err))
        t->free[t->n_free++] = index;
    else
        prepare(t, index, err);
}

static int transfer_run(struct transfer *t, struct error **err)
{
    bool has_more = true;

    while (!t->is_broken && (has_more || t->n_free < t->depth)) {
        if (has_more)
            has_more = fill_slots(t, err);
        if (t->n_free == t->depth)
            continue;
        take_one(t, err);
        if (t->failure >= 0)
            t->failure = tell_pace(t, 0, err);
    }
    return t->failure;
}

static int transfer(int fd, uint64_t size, const struct job *job, unsigned depth,
                    struct error **err)
{
    _cleanup_(transfer) struct transfer t = {.job = job, .fd = fd, .size = size};
    int r = transfer_open(&t, depth, err);

    return r < 0 ? r : transfer_run(&t, err);
}

static unsigned depth_of(size_t piece)
{
    size_t depth = MEMORY_MAX / piece;

    return depth < DEPTH_MAX ? (unsigned)depth : DEPTH_MAX;
}

/* --- Reading --------------------------------------------------------------------------------- */

static int next_to_read(void *context, struct storage_span *ret, struct error **err)
{
    const struct storage_reading *reading = context;

    return reading->next(reading->context, ret, err);
}

static int look_at_read(void *context, struct storage_span span, const void *data,
                        struct error **err)
{
    const struct storage_reading *reading = context;

    return reading->look(reading->context, span.offset, data, span.length, err);
}

int transfer_read(int fd, uint64_t size, const struct storage_reading *reading, struct error **err)
{
    struct job job = {.piece = reading->piece,
                      .next = next_to_read,
                      .look = look_at_read,
                      .context = (void *)reading};

    return transfer(fd, size, &job, depth_of(job.piece), err);
}

/* --- Writing --------------------------------------------------------------------------------- */

static int next_to_write(void *context, struct storage_span *ret, struct error **err)
{
    const struct storage_writing *writing = context;

    return writing->next(writing->context, ret, err);
}

static void fill_to_write(void *context, struct storage_span span, void *data)
{
    const struct storage_writing *writing = context;

    writing->fill(writing->context, span.offset, data, span.length);
}

static int note_written(void *context, struct storage_span span, const void *data,
                        struct error **err)
{
    const struct storage_writing *writing = context;

    writing->written(writing->context, span.offset);
    return 0;
}

int transfer_write(int fd, uint64_t size, const struct storage_writing *writing, struct error **err)
{
    struct job job = {.is_write = true,
                      .piece = writing->piece,
                      .next = next_to_write,
                      .fill = fill_to_write,
                      .look = note_written,
                      .context = (void *)writing};

    return transfer(fd, size, &job, depth_of(job.piece), err);
}

struct zeroing {
    struct storage_span span;
    uint64_t begun;
};

static int next_to_zero(void *context, struct storage_span *ret, struct error **err)
{
    struct zeroing *z = context;
    uint64_t left = z->span.length - z->begun, n = left < WRITE_PIECE ? left : WRITE_PIECE;

    *ret = (struct storage_span){z->span.offset + z->begun, n};
    z->begun += n;
    return n > 0;
}

int transfer_zero(int fd, struct storage_span span, const struct storage_pace *pace,
                  struct error **err)
{
    struct zeroing z = {.span = span};
    struct job job = {.is_write = true,
                      .is_shared = true,
                      .piece = WRITE_PIECE,
                      .next = next_to_zero,
                      .context = &z,
                      .pace = pace,
                      .total = span.length};

    return transfer(fd, span.offset + span.length, &job, WRITE_DEPTH, err);
}
