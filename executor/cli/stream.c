/* stream.c - server-sent events, and coming back to them after a break
 *
 * Theory of operation. The stream is one answer that does not end; its lines "data: …" make up an
 * event, an empty line ends it, everything else (comments that keep the connection alive, ids) is
 * of no use here, for a CloudEvent carries its own sequence. When the daemon goes away, as it does
 * when it is restarted, the stream is opened again behind the last event that came: the daemon
 * keeps events, so that none is missed.
 */
#include "cli/stream.h"
#include "cli/text.h"
#include "cli/transfer.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#define EVENT_MOST ((size_t)16 << 20)

struct reading {
    struct stream *stream;
    struct transfer *transfer;
    CURLM *multi;
    bool open;    /* the daemon has answered with a stream */
    char *buffer; /* of lines that have not been looked at */
    size_t size;
};

static void reading_cleanup(struct reading *r)
{
    if (r->multi && r->transfer)
        curl_multi_remove_handle(r->multi, r->transfer->easy);
    transfer_free(r->transfer);
    if (r->multi)
        curl_multi_cleanup(r->multi);
    free(r->buffer);
}

uint64_t event_sequence(json_object *event)
{
    const char *text = NULL;

    if (json_get_string(event, "sequence", &text) < 0 || !text)
        return 0;
    return strtoull(text, NULL, 10);
}

/* --- Events out of bytes ------------------------------------------------------------------- */

static void take_data(struct stream *s, const char *data)
{
    _cleanup_(json) json_object *event = json_tokener_parse(data);
    uint64_t sequence = event_sequence(event);

    if (!json_object_is_type(event, json_type_object))
        return;
    if (sequence <= s->after) /* of progress: it has none, and is looked up where it is drawn */
        return;
    s->after = sequence;
    s->each(s->userdata, event);
}

/* The lines of one event, each with its end; their data is brought together in place. */
static void take_block(struct stream *s, char *block)
{
    char *out = block, *rest = block, *line;

    while ((line = strsep(&rest, "\n"))) {
        size_t length = strcspn(line, "\r");
        bool is_data = strncmp(line, "data:", 5) == 0;
        size_t head = is_data && line[5] == ' ' ? 6 : 5;

        if (!is_data)
            continue;
        memmove(out, line + head, length - head);
        out += length - head;
        *out++ = '\n';
    }
    *out = '\0';
    if (out > block)
        take_data(s, block);
}

/* The end of the first event in text: behind its empty line; NULL: it is not all there. */
static char *block_end(char *text)
{
    for (char *line = text; (line = strchr(line, '\n'));) {
        line++;
        if (*line == '\n')
            return line + 1;
        if (line[0] == '\r' && line[1] == '\n')
            return line + 2;
    }
    return NULL;
}

static size_t take_bytes(char *data, size_t size, size_t n, void *userdata)
{
    struct reading *r = userdata;
    long status = 0;
    char *grown, *start, *end;

    curl_easy_getinfo(r->transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200)
        return transfer_take_body(data, size, n, r->transfer);
    r->open = true;
    if (n > EVENT_MOST - r->size)
        return 0;
    grown = realloc(r->buffer, r->size + n + 1);
    if (!grown)
        return 0;
    r->buffer = grown;
    memcpy(grown + r->size, data, n);
    r->size += n;
    grown[r->size] = '\0';
    for (start = grown; (end = block_end(start)); start = end) {
        end[-1] = '\0';
        take_block(r->stream, start);
    }
    r->size -= (size_t)(start - grown);
    memmove(grown, start, r->size + 1);
    return n;
}

/* --- The connection ------------------------------------------------------------------------ */

static int prepare(struct cli *cli, struct reading *r, struct error **err)
{
    char path[64];
    int result;

    snprintf(path, sizeof(path), "/v1/events?after=%" PRIu64, r->stream->after);
    result = transfer_new(cli, path, NULL, 0, &r->transfer, err);
    if (result == 0)
        result = transfer_make_stream(r->transfer, take_bytes, r, err);
    if (result < 0)
        return result;
    r->multi = curl_multi_init();
    if (!r->multi || curl_multi_add_handle(r->multi, r->transfer->easy) != CURLM_OK)
        return error_no_memory(err);
    return 0;
}

/* One that ended before anything happened is a stream all the same. */
static bool was_stream(const struct transfer *x)
{
    long status = 0;
    char *type = NULL;

    curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(x->easy, CURLINFO_CONTENT_TYPE, &type);
    return status == 200 && type && strncmp(type, "text/event-stream", 17) == 0;
}

/* Reads until it ends. Returns 0 where it may be opened again, else an error: one that was open
 * before is waited for. *open: whether it was open now. */
static int read_stream(struct cli *cli, struct stream *stream, bool was_open, bool *open,
                       struct error **err)
{
    _cleanup_(reading) struct reading r = {.stream = stream};
    _cleanup_(error_free) struct error *e = NULL;
    CURLcode result = CURLE_OK;
    int left = 1;

    if (prepare(cli, &r, err) < 0)
        return -EIO;
    while (left > 0) {
        CURLMsg *message;
        CURLMcode m = curl_multi_perform(r.multi, &left);

        if (stream->turn)
            stream->turn(stream->userdata);
        if (m == CURLM_OK && left > 0)
            m = curl_multi_poll(r.multi, NULL, 0, 1000, NULL);
        if (m != CURLM_OK)
            return error_set(err, ERROR_IO, "cannot wait for the daemon: %s",
                             curl_multi_strerror(m));
        while ((message = curl_multi_info_read(r.multi, &(int){0})))
            result = message->data.result;
    }
    *open = r.open || was_stream(r.transfer);
    if (*open)
        return 0;
    if (transfer_finish(cli, r.transfer, result, &e) == 0)
        return error_set(err, ERROR_UNREACHABLE, "the daemon answered with no stream");
    if (was_open && (r.transfer->reach != REACH_ANSWERED || r.transfer->status >= 500))
        return 0;
    return error_move(err, &e);
}

int stream_follow(struct cli *cli, struct stream *stream, struct error **err)
{
    static const struct timespec pause = {.tv_sec = 1};
    bool was_open = false, is_away = false, open = false;
    int r;

    while ((r = read_stream(cli, stream, was_open, &open, err)) == 0) {
        was_open |= open;
        if (!open && !is_away)
            stream->away(stream->userdata);
        is_away = !open;
        nanosleep(&pause, NULL);
    }
    return r;
}
