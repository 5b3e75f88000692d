/* file-tail.c - the end of a file of events, as a crash may have left it
 *
 * Theory of operation. A process that is killed while it writes leaves a prefix of what it wrote:
 * some whole lines and perhaps a piece of one. The piece is cut off; the whole lines are events,
 * although nobody was told that they are delivered, and the last one's id says where delivery goes
 * on.
 *
 * A machine that loses its power may keep the later pages of a chunk and lose earlier ones, which
 * then read as NULs. JSON has none, so the first NUL is where the file ends for us: what stands
 * behind it belongs to the same chunk, was never acknowledged, and comes again.
 *
 * Lines that are whole but no events (somebody's note) are left alone and looked past. What is left
 * in the end may so far be only in the page cache, so it is put on the disk before its id is
 * believed.
 */
#include "file-tail.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A whole chunk and the line before it, with room for an event that is a chunk by itself. */
#define WINDOW_MAX ((off_t)(4 * FILE_CHUNK_MAX))

struct window {
    char *bytes;
    size_t size;
    off_t start; /* where in the file */
};

static int read_window(int fd, const char *path, struct window *ret, struct error **err)
{
    struct stat st;
    size_t done = 0;

    if (fstat(fd, &st) < 0)
        return error_set_errno(err, ERROR_IO, errno, "looking at the events file %s", path);
    ret->start = st.st_size > WINDOW_MAX ? st.st_size - WINDOW_MAX : 0;
    ret->size = (size_t)(st.st_size - ret->start);
    ret->bytes = malloc(ret->size + 1);
    if (!ret->bytes)
        return error_no_memory(err);
    while (done < ret->size) {
        ssize_t n = pread(fd, ret->bytes + done, ret->size - done, ret->start + (off_t)done);

        if (n == 0)
            break;
        if (n > 0)
            done += (size_t)n;
        else if (errno != EINTR)
            return error_set_errno(err, ERROR_IO, errno, "reading the events file %s", path);
    }
    ret->size = done;
    return 0;
}

/* How much of the window is whole lines; less than 0: it has no line at all, nor is it the whole
 * file. */
static ssize_t whole_lines(const struct window *w)
{
    const char *hole = memchr(w->bytes, '\0', w->size);
    size_t sound = hole ? (size_t)(hole - w->bytes) : w->size;
    const char *newline = memrchr(w->bytes, '\n', sound);

    if (newline)
        return newline + 1 - w->bytes;
    return w->start == 0 ? 0 : -1;
}

static bool id_of_line(const char *line, size_t size, char ret[static UUID_TEXT_SIZE])
{
    struct json_tokener *tokener = json_tokener_new();
    json_object *event = tokener ? json_tokener_parse_ex(tokener, line, (int)size) : NULL;
    json_object *id = NULL;
    bool found = json_object_is_type(event, json_type_object) &&
                 json_object_object_get_ex(event, "id", &id) &&
                 json_object_is_type(id, json_type_string) &&
                 json_object_get_string_len(id) == UUID_TEXT_SIZE - 1;

    if (found)
        memcpy(ret, json_object_get_string(id), UUID_TEXT_SIZE);
    json_object_put(event);
    if (tokener)
        json_tokener_free(tokener);
    return found;
}

/* From the last line to the first. The window's first line may lack its beginning, and then is no
 * JSON. */
static void find_last_id(const char *lines, size_t size, char ret[static UUID_TEXT_SIZE])
{
    ret[0] = '\0';
    while (size > 0) {
        const char *before = memrchr(lines, '\n', size - 1);
        size_t begin = before ? (size_t)(before + 1 - lines) : 0;

        if (id_of_line(lines + begin, size - begin, ret))
            return;
        size = begin;
    }
}

int file_tail_mend(int fd, const char *path, char last_id[static UUID_TEXT_SIZE], off_t *end,
                   struct error **err)
{
    _cleanup_(freep) char *bytes = NULL;
    struct window w = {0};
    ssize_t whole;
    int r = read_window(fd, path, &w, err);

    bytes = w.bytes;
    if (r < 0)
        return r;
    whole = whole_lines(&w);
    if (whole < 0)
        return error_set(err, ERROR_IO,
                         "%s does not end in lines of text, so it is no file of events; set "
                         "another path",
                         path);
    *end = w.start + whole;
    if ((size_t)whole < w.size && ftruncate(fd, *end) < 0)
        return error_set_errno(err, ERROR_IO, errno, "cutting a torn line off %s", path);
    if (fdatasync(fd) < 0)
        return error_set_errno(err, ERROR_IO, errno, "writing %s to the disk", path);
    find_last_id(bytes, (size_t)whole, last_id);
    return 0;
}
