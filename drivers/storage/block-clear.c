/* block-clear.c - how a block device is cleared, and read back
 *
 * Theory of operation. BLKZEROOUT asks the device for Write Zeroes without deallocation; where the
 * device turns it down the kernel writes pages of zeros itself. It cannot be interrupted (nor, on
 * some kernels, killed), so it is sent in pieces, and between two of them whoever paces us is
 * asked. BLKDISCARD likewise; it may do nothing at all and say that it did.
 */
#include "block.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "transfer.h"

/* A piece is to take about this long: short enough to be asked often, long enough to cost nothing.
 */
#define PIECE_MIN ((uint64_t)1 << 20)
#define PIECE_FIRST ((uint64_t)4 << 20)
#define PIECE_MAX ((uint64_t)128 << 20)
#define PIECE_SHORT (60 * USEC_PER_MSEC)
#define PIECE_LONG (250 * USEC_PER_MSEC)

static struct block_device *of(struct storage_device *d)
{
    return (struct block_device *)d;
}

static uint64_t next_piece(uint64_t piece, usec_t took)
{
    if (took < PIECE_SHORT && piece < PIECE_MAX)
        return 2 * piece;
    return took > PIECE_LONG && piece > PIECE_MIN ? piece / 2 : piece;
}

static int in_pieces(struct block_device *b, const char *name, unsigned long request,
                     struct storage_span span, const struct storage_pace *pace,
                     struct storage_record *record, struct error **err)
{
    uint64_t piece = PIECE_FIRST;

    for (uint64_t done = 0; done < span.length;) {
        uint64_t left = span.length - done, n = left < piece ? left : piece;
        uint64_t range[2] = {span.offset + done, n};
        struct storage_command c = {.span = {range[0], n}};
        int r = pace->step(pace->context, done, span.length, n, err);
        usec_t began;

        if (r < 0)
            return r;
        began = b->seam->now();
        r = b->seam->block(b->base.fd, request, range);
        piece = next_piece(piece, b->seam->now() - began);
        snprintf(c.name, sizeof(c.name), "%s", name);
        c.status = r;
        storage_record_command(record, &c);
        if (r < 0)
            return error_set_errno(err, ERROR_IO, r, "%s of %" PRIu64 " bytes at byte %" PRIu64,
                                   name, n, span.offset + done);
        done += n;
    }
    return 0;
}

int block_clear(struct storage_device *d, enum clear_method method, struct storage_span span,
                bool may_exit, const struct storage_pace *pace, struct storage_record *record,
                struct error **err)
{
    struct storage_command c = {.name = "write", .span = span};
    int r;

    switch (method) {
    case CLEAR_WRITE_ZEROES:
        return in_pieces(of(d), "BLKZEROOUT", BLKZEROOUT, span, pace, record, err);
    case CLEAR_DISCARD:
        return in_pieces(of(d), "BLKDISCARD", BLKDISCARD, span, pace, record, err);
    case CLEAR_OVERWRITE:
        r = transfer_zero(d->fd, span, pace, err);
        c.status = r;
        storage_record_command(record, &c);
        return r;
    default:
        return error_set(err, ERROR_UNSUPPORTED, "%s is no method for %s",
                         clear_method_to_string(method), d->path);
    }
}

/* On the media, and no longer in the page cache, where a later look would find what is gone. */
int block_flush(struct storage_device *d, struct error **err)
{
    int r;

    if (fsync(d->fd) < 0)
        return error_set_errno(err, ERROR_IO, errno, "flushing %s", d->path);
    r = of(d)->seam->block(d->fd, BLKFLSBUF, NULL);
    return r < 0 ? error_set_errno(err, ERROR_IO, r, "dropping what is cached of %s", d->path) : 0;
}

int block_read(struct storage_device *d, const struct storage_reading *reading, struct error **err)
{
    return transfer_read(d->fd, d->size, reading, err);
}

int block_write(struct storage_device *d, const struct storage_writing *writing, struct error **err)
{
    return transfer_write(d->fd, d->size, writing, err);
}
