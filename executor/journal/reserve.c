/* reserve.c - a file that does nothing but take up room
 *
 * Theory of operation. A disk that is full must not hold up what has been promised: a stop that is
 * under way has to be brought to its end and its events have to be written. So some room is kept in
 * a file of its own, and given back to the disk when the journal cannot be written for want of it.
 * Whoever filled the disk may be writing still, and would take all of it: it goes piece by piece,
 * each right before the journal is tried again. What else lies on the disk gets a share of it and
 * no more, for whoever fills the disk may be first to take each of those pieces.
 *
 * The room has to be allocated, not only promised: what counts is the blocks that the file has, for
 * a copy of it that was made with holes keeps nothing. It is made with some more behind it, which
 * is cut off again; that also finds a quota, which a look at the file system does not. The look
 * comes first all the same, for taking the last of a full disk once a second, if only for a moment,
 * would be an evil of its own.
 */
#include "journal/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int open_file(const struct reserve *r)
{
    return open(r->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static bool has_room(int fd, off_t size)
{
    struct statvfs v;

    return fstatvfs(fd, &v) == 0 && (uint64_t)v.f_bavail * v.f_frsize >= (uint64_t)size;
}

static off_t allocated(int fd)
{
    struct stat st;
    off_t blocks;

    if (fstat(fd, &st) < 0)
        return 0;
    blocks = (off_t)st.st_blocks * 512;
    return blocks < st.st_size ? 0 : st.st_size;
}

int reserve_open(struct reserve *r, const char *path, struct error **err)
{
    _cleanup_(close) int fd = -1;

    if (asprintf(&r->path, "%s.reserve", path) < 0) {
        r->path = NULL;
        return error_no_memory(err);
    }
    fd = open_file(r);
    if (fd < 0 && errno != ENOSPC && errno != EDQUOT)
        return error_set_errno(err, ERROR_JOURNAL, errno, "the journal's reserve %s cannot be made",
                               r->path);
    r->size = fd >= 0 ? allocated(fd) : 0;
    if (!reserve_is_whole(r))
        reserve_restore(r);
    return 0;
}

void reserve_clear(struct reserve *r)
{
    free(r->path);
    *r = (struct reserve){0};
}

bool reserve_is_whole(const struct reserve *r)
{
    return !r->path || r->size >= RESERVE_SIZE;
}

bool reserve_spend(struct reserve *r)
{
    off_t rest = r->size > RESERVE_PIECE ? r->size - RESERVE_PIECE : 0;

    if (!r->path || r->size == 0 || truncate(r->path, rest) < 0)
        return false;
    r->size = rest;
    return true;
}

bool reserve_give(struct reserve *r)
{
    if (r->given == RESERVE_PIECES_GIVEN || !reserve_spend(r))
        return false;
    r->given++;
    return true;
}

bool reserve_restore(struct reserve *r)
{
    _cleanup_(close) int fd = -1;

    if (reserve_is_whole(r))
        return true;
    fd = open_file(r);
    if (fd < 0 || !has_room(fd, RESERVE_SIZE + RESERVE_MARGIN - r->size))
        return false;
    if (posix_fallocate(fd, 0, RESERVE_SIZE + RESERVE_MARGIN) == 0 &&
        ftruncate(fd, RESERVE_SIZE) == 0)
        r->size = RESERVE_SIZE;
    else if (ftruncate(fd, r->size) < 0)
        r->size = 0; /* more than that is not known to be there */
    if (reserve_is_whole(r))
        r->given = 0;
    return reserve_is_whole(r);
}
