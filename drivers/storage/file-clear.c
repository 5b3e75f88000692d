/* file-clear.c - how a file is cleared and read back */
#include "file-clear.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "transfer.h"

#define HOLE_PIECE ((uint64_t)256 << 20)

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The next stretch of data at or behind *at and before end; length 0: there is none. */
static int next_data(const struct storage_device *d, uint64_t at, uint64_t end,
                     struct storage_span *ret, struct error **err)
{
    off_t first = lseek(d->fd, (off_t)at, SEEK_DATA), last;

    *ret = (struct storage_span){0};
    if (first < 0 && errno == ENXIO)
        return 0;
    last = first < 0 ? -1 : lseek(d->fd, first, SEEK_HOLE);
    if (last < 0)
        return error_set_errno(err, ERROR_IO, errno, "looking for data in %s", d->path);
    if ((uint64_t)first >= end)
        return 0;
    /* Whole blocks, of which the file's last one may be cut. */
    ret->offset = (uint64_t)first / TRANSFER_ALIGNMENT * TRANSFER_ALIGNMENT;
    ret->length =
        least(((uint64_t)last + TRANSFER_ALIGNMENT - 1) / TRANSFER_ALIGNMENT * TRANSFER_ALIGNMENT,
              end) -
        ret->offset;
    return 0;
}

/* What does not fill a block goes through the page cache, because no unbuffered write ends
 * there. */
static int write_buffered(struct storage_device *d, uint64_t offset, const void *data, size_t n,
                          struct error **err)
{
    int flags = fcntl(d->fd, F_GETFL);
    ssize_t done;
    int errnum;

    if (flags < 0 || fcntl(d->fd, F_SETFL, flags & ~O_DIRECT) < 0)
        return error_set_errno(err, ERROR_IO, errno, "changing how %s is written", d->path);
    done = pwrite(d->fd, data, n, (off_t)offset);
    errnum = errno;
    if (fcntl(d->fd, F_SETFL, flags) < 0)
        return error_set_errno(err, ERROR_IO, errno, "changing how %s is written", d->path);
    if (done < 0)
        return error_set_errno(err, ERROR_IO, errnum, "writing at byte %" PRIu64, offset);
    if ((size_t)done != n)
        return error_set(err, ERROR_IO, "writing at byte %" PRIu64 " ended early", offset);
    return 0;
}

/* One stretch's progress as progress of the span that it lies in. */
struct stretch {
    const struct storage_pace *outer;
    uint64_t before, total;
};

static int step_of_stretch(void *context, uint64_t done, uint64_t total, uint64_t next,
                           struct error **err)
{
    const struct stretch *s = context;

    return s->outer->step(s->outer->context, s->before + done, s->total, next, err);
}

static int overwrite_stretch(struct storage_device *d, struct storage_span data,
                             struct storage_span span, const struct storage_pace *pace,
                             struct error **err)
{
    struct stretch stretch = {pace, data.offset - span.offset, span.length};
    struct storage_pace inner = {step_of_stretch, &stretch};
    static const unsigned char zeros[TRANSFER_ALIGNMENT];
    uint64_t tail = data.length % TRANSFER_ALIGNMENT;
    int r;

    data.length -= tail;
    r = transfer_zero(d->fd, data, &inner, err);
    if (r >= 0 && tail > 0)
        r = write_buffered(d, data.offset + data.length, zeros, tail, err);
    return r;
}

static int overwrite(struct storage_device *d, struct storage_span span,
                     const struct storage_pace *pace, struct storage_record *record,
                     struct error **err)
{
    uint64_t at = span.offset, end = span.offset + span.length;
    struct storage_command c = {.name = "write"};
    struct storage_span data;
    int r;

    while (r = next_data(d, at, end, &data, err), r >= 0 && data.length > 0) {
        r = overwrite_stretch(d, data, span, pace, err);
        c.span = data;
        c.status = r;
        storage_record_command(record, &c);
        if (r < 0)
            return r;
        at = data.offset + data.length;
    }
    return r;
}

static int punch(struct storage_device *d, struct storage_span span,
                 const struct storage_pace *pace, struct storage_record *record, struct error **err)
{
    for (uint64_t done = 0; done < span.length;) {
        uint64_t n = least(span.length - done, HOLE_PIECE), at = span.offset + done;
        struct storage_command c = {.name = "FALLOC_FL_PUNCH_HOLE", .span = {at, n}};
        int r = pace->step(pace->context, done, span.length, n, err);

        if (r < 0)
            return r;
        r = fallocate(d->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)n) < 0
                ? -errno
                : 0;
        c.status = r;
        storage_record_command(record, &c);
        if (r < 0)
            return error_set_errno(err, ERROR_IO, r, "punching a hole at byte %" PRIu64, at);
        done += n;
    }
    return 0;
}

int file_clear(struct storage_device *d, enum clear_method method, struct storage_span span,
               bool may_exit, const struct storage_pace *pace, struct storage_record *record,
               struct error **err)
{
    switch (method) {
    case CLEAR_OVERWRITE:
        return overwrite(d, span, pace, record, err);
    case CLEAR_PUNCH_HOLE:
        return punch(d, span, pace, record, err);
    default:
        return error_set(err, ERROR_UNSUPPORTED, "%s is no method for %s",
                         clear_method_to_string(method), d->path);
    }
}

int file_flush(struct storage_device *d, struct error **err)
{
    if (fsync(d->fd) < 0)
        return error_set_errno(err, ERROR_IO, errno, "flushing %s", d->path);
    /* What is read next should come from the disk; a hint is all that there is for it. */
    posix_fadvise(d->fd, 0, 0, POSIX_FADV_DONTNEED);
    return 0;
}

int file_read(struct storage_device *d, const struct storage_reading *reading, struct error **err)
{
    return transfer_read(d->fd, d->size, reading, err);
}

static int write_where_stored(struct storage_device *d, struct storage_span span,
                              const struct storage_writing *writing, void *data, struct error **err)
{
    struct storage_span there;
    int r = next_data(d, span.offset, span.offset + span.length, &there, err);

    if (r < 0 || there.length == 0)
        return r;
    writing->fill(writing->context, span.offset, data, span.length);
    r = write_buffered(d, span.offset, data, span.length, err);
    if (r >= 0)
        writing->written(writing->context, span.offset);
    return r;
}

/* One after the other: each has to be looked for first. */
int file_write(struct storage_device *d, const struct storage_writing *writing, struct error **err)
{
    _cleanup_(freep) void *data = malloc(writing->piece);
    struct storage_span span;
    int r;

    if (!data)
        return error_no_memory(err);
    while ((r = writing->next(writing->context, &span, err)) > 0) {
        r = write_where_stored(d, span, writing, data, err);
        if (r < 0)
            break;
    }
    return r;
}
