/* file.c - the sink "file": events as lines of JSON, appended to a file or to standard output
 *
 * Theory of operation. A chunk of events is one write and one fdatasync, and delivered only then.
 * The file itself says what it holds: at each opening its torn end is mended (file-tail.c) and the
 * id of its last event read, so that a crash between a write and the journal's note of it doubles
 * nothing. Only where the file was moved away between the two, its successor cannot know, and the
 * events of those milliseconds are in both.
 *
 * Rotation is by rename, with no signal needed: before each chunk it is looked whether the path
 * still leads to the open file. What was written before is complete in the file that was moved.
 *
 * After a failure nothing may stand in the file that is not known to be on the disk: a later look
 * would take it for delivered. A failed fsync counts as nothing written, although the lines can be
 * read, for the kernel may have dropped them and says so only once. They are cut off at once or,
 * where that fails too, at the next opening.
 *
 * One process appends at a time, which a lock on the file makes sure of: another one's mending
 * would cut our line off while it is being written.
 */
#include "file.h"
#include "file-tail.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct file_sink {
    struct upstream upstream;
    char *path;
    bool is_stdout;
    int fd; /* -1: not open */
    dev_t device;
    ino_t inode;
    off_t proved;  /* so much of that inode is whole lines and on the disk */
    bool unproved; /* there may be more in it that is not */
    bool torn;     /* standard output has got a piece of a line */
    char *chunk;
    size_t chunk_room;
};

static int fail(const struct file_sink *s, int errnum, const char *doing, struct error **err)
{
    const char *name = s->is_stdout ? "\"-\" (standard output)" : s->path;

    if (errnum == ENOSPC || errnum == EDQUOT)
        return error_set(err, ERROR_IO, "the disk of the events file %s is full; make room on it",
                         name);
    return error_set_errno(err, ERROR_IO, errnum, "%s the events file %s", doing, name);
}

/* --- Opening --------------------------------------------------------------------------------- */

static void close_file(struct file_sink *s)
{
    if (s->fd >= 0 && !s->is_stdout)
        close(s->fd);
    s->fd = -1;
}

/* The name of a new file is on the disk once its folder is. */
static int sync_folder(const struct file_sink *s, struct error **err)
{
    _cleanup_(freep) char *copy = strdup(s->path);
    _cleanup_(close) int fd = -1;

    if (!copy)
        return error_no_memory(err);
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return fail(s, errno, "writing the folder of", err);
    return 0;
}

static int open_path(struct file_sink *s, struct error **err)
{
    /* Not to hang on a FIFO, which is refused below. */
    s->fd = open(s->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (s->fd >= 0)
        return 0;
    if (errno == ENOENT)
        return error_set(err, ERROR_IO,
                         "the folder of the events file %s does not exist; make it, or set another "
                         "path",
                         s->path);
    return fail(s, errno, "opening", err);
}

static int claim(struct file_sink *s, struct stat *st, struct error **err)
{
    if (fstat(s->fd, st) < 0)
        return fail(s, errno, "looking at", err);
    if (!S_ISREG(st->st_mode))
        return error_set(err, ERROR_IO,
                         "%s is no regular file; set the path of one, or \"-\" for standard output",
                         s->path);
    if (flock(s->fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return error_set(err, ERROR_IO,
                         "another process appends to the events file %s; end it, or set another "
                         "path",
                         s->path);
    return 0;
}

/* Never makes the file longer: somebody else may have emptied it. Returns 0 or -1 with errno. */
static int cut(int fd, off_t size)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -1;
    return st.st_size > size ? ftruncate(fd, size) : 0;
}

/* Cuts off what a failed delivery left in this very file. */
static int drop_unproved(struct file_sink *s, const struct stat *st, struct error **err)
{
    bool is_same = s->device == st->st_dev && s->inode == st->st_ino;

    if (s->unproved && is_same && cut(s->fd, s->proved) < 0)
        return fail(s, errno, "cutting undelivered lines off", err);
    s->unproved = false;
    s->device = st->st_dev;
    s->inode = st->st_ino;
    return 0;
}

static int open_file(struct file_sink *s, char last_id[static UUID_TEXT_SIZE], struct error **err)
{
    struct stat st;
    int r;

    close_file(s);
    r = open_path(s, err);
    if (r >= 0)
        r = claim(s, &st, err);
    if (r >= 0)
        r = drop_unproved(s, &st, err);
    if (r >= 0)
        r = file_tail_mend(s->fd, s->path, last_id, &s->proved, err);
    if (r >= 0)
        r = sync_folder(s, err);
    if (r < 0)
        close_file(s);
    return r;
}

static int file_open(struct upstream *u, char last_id[static UUID_TEXT_SIZE], struct error **err)
{
    struct file_sink *s = (struct file_sink *)u;

    if (!s->is_stdout)
        return open_file(s, last_id, err);
    s->fd = STDOUT_FILENO;
    last_id[0] = '\0';
    return 0;
}

/* --- Delivering ------------------------------------------------------------------------------ */

/* How many of the events make up the next chunk. */
static size_t chunk_of(const struct upstream_event *events, size_t n)
{
    size_t size = 0, k = 0;

    while (k < n && (k == 0 || size + events[k].body_size + 1 <= FILE_CHUNK_MAX))
        size += events[k++].body_size + 1;
    return k;
}

static int fill_chunk(struct file_sink *s, const struct upstream_event *events, size_t n,
                      size_t *ret, struct error **err)
{
    size_t size = s->torn ? 1 : 0;
    char *to;

    for (size_t i = 0; i < n; i++)
        size += events[i].body_size + 1;
    if (size > s->chunk_room) {
        free(s->chunk);
        s->chunk = malloc(size);
        s->chunk_room = s->chunk ? size : 0;
        if (!s->chunk)
            return error_no_memory(err);
    }
    to = s->chunk;
    if (s->torn)
        *to++ = '\n';
    for (size_t i = 0; i < n; i++) {
        to = mempcpy(to, events[i].body, events[i].body_size);
        *to++ = '\n';
    }
    *ret = size;
    return 0;
}

/* Writes all; returns 0, or the errno of what stopped it. */
static int write_chunk(const struct file_sink *s, size_t size, size_t *written)
{
    *written = 0;
    while (*written < size) {
        ssize_t n = write(s->fd, s->chunk + *written, size - *written);

        if (n >= 0)
            *written += (size_t)n;
        else if (errno == EAGAIN) /* standard output may be somebody's non-blocking pipe */
            poll(&(struct pollfd){.fd = s->fd, .events = POLLOUT}, 1, -1);
        else if (errno != EINTR)
            return errno;
    }
    return 0;
}

/* The events that lie whole in the first written bytes, and how many bytes they are. */
static size_t whole_events(const struct file_sink *s, const struct upstream_event *events, size_t n,
                           size_t written, size_t *bytes)
{
    size_t k = 0, end = s->torn ? 1 : 0;

    *bytes = 0;
    while (k < n && end + events[k].body_size + 1 <= written) {
        end += events[k++].body_size + 1;
        *bytes = end;
    }
    return k;
}

/* Standard output cannot be cut: the next line begins on a new one. What is no file has no disk to
 * be put on. */
static int deliver_to_stdout(struct file_sink *s, const struct upstream_event *events, size_t n,
                             size_t size, size_t *delivered, struct error **err)
{
    size_t written, bytes;
    int failed = write_chunk(s, size, &written);

    *delivered += whole_events(s, events, n, written, &bytes);
    if (written > 0)
        s->torn = bytes < written;
    if (failed)
        return fail(s, failed, "writing", err);
    if (fdatasync(s->fd) < 0 && errno != EINVAL && errno != EROFS && errno != ENOTSUP)
        return fail(s, errno, "putting on the disk", err);
    return 0;
}

/* The write stopped at written bytes, or (all of them) the fsync failed. What stays is what is on
 * the disk. */
static void settle(struct file_sink *s, const struct upstream_event *events, size_t n,
                   size_t written, size_t *delivered)
{
    size_t keep, whole = whole_events(s, events, n, written, &keep);

    if (whole == n)
        whole = keep = 0;
    if (cut(s->fd, s->proved + (off_t)keep) < 0 || fdatasync(s->fd) < 0)
        return;
    s->proved += (off_t)keep;
    s->unproved = false;
    *delivered += whole;
}

static int deliver_to_file(struct file_sink *s, const struct upstream_event *events, size_t n,
                           size_t size, size_t *delivered, struct error **err)
{
    struct stat st;
    size_t written;
    int failed;

    if (fstat(s->fd, &st) < 0)
        return fail(s, errno, "looking at", err);
    s->proved = st.st_size;
    s->unproved = true;
    failed = write_chunk(s, size, &written);
    if (!failed && fdatasync(s->fd) < 0)
        failed = errno;
    if (failed) {
        settle(s, events, n, written, delivered);
        close_file(s); /* so that nothing is written behind it before it is mended */
        return fail(s, failed, "writing", err);
    }
    s->proved += (off_t)size;
    s->unproved = false;
    *delivered += n;
    return 0;
}

static bool is_moved(const struct file_sink *s)
{
    struct stat st;

    return stat(s->path, &st) < 0 || st.st_dev != s->device || st.st_ino != s->inode;
}

static int file_deliver(struct upstream *u, const struct upstream_event *events, size_t n,
                        size_t *delivered, struct error **err)
{
    struct file_sink *s = (struct file_sink *)u;
    int r = 0;

    *delivered = 0;
    while (r >= 0 && *delivered < n) {
        const struct upstream_event *rest = events + *delivered;
        size_t k = chunk_of(rest, n - *delivered), size = 0;
        char ignored[UUID_TEXT_SIZE];

        if (!s->is_stdout && (s->fd < 0 || is_moved(s)))
            r = open_file(s, ignored, err);
        if (r >= 0)
            r = fill_chunk(s, rest, k, &size, err);
        if (r >= 0)
            r = s->is_stdout ? deliver_to_stdout(s, rest, k, size, delivered, err)
                             : deliver_to_file(s, rest, k, size, delivered, err);
    }
    return r;
}

static void file_free(struct upstream *u)
{
    struct file_sink *s = (struct file_sink *)u;

    if (!s)
        return;
    close_file(s);
    free(s->chunk);
    free(s->path);
    free(s);
}

static const struct upstream_ops file_ops = {
    .type = "file",
    .open = file_open,
    .deliver = file_deliver,
    .free = file_free,
};

int upstream_file_new(const char *path, struct upstream **ret, struct error **err)
{
    struct file_sink *s = calloc(1, sizeof(*s));

    if (!s || text_replace(&s->path, path) < 0) {
        free(s);
        return error_no_memory(err);
    }
    s->upstream.ops = &file_ops;
    s->is_stdout = strcmp(path, "-") == 0;
    s->fd = -1;
    *ret = &s->upstream;
    return 0;
}
