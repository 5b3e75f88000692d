/* progress.c - how far clears have come, for the event stream
 *
 * Theory of operation. Progress is no event: it is not kept for whoever comes later, has no place
 * in the order of events and goes to no sink. Whoever has the stream open is told of it all the
 * same, out of the journal, which helpers' progress reaches every second; under an event name of
 * its own and without an id, so that a client that comes back goes on behind the last real event.
 */
#include "api/progress.h"

#include "base/json.h"

#include <string.h>

#define OPERATIONS_MOST 100

static int read_unfinished(struct exchange *x, json_object **ret, struct error **err)
{
    struct journal_reader *reader;
    int r = listener_reader(x->listener, &reader, err);

    if (r < 0)
        return r;
    r = journal_read_unfinished(reader, OPERATIONS_MOST, ret, err);
    if (r < 0)
        listener_drop_reader(x->listener);
    return r;
}

static int write_one(json_object *operation, FILE *to)
{
    static const char *const members[] = {"requestId", "instanceId", "phase", "detail", "storage"};
    _cleanup_(json) json_object *o = json_object_new_object();

    for (size_t i = 0; i < ELEMENTSOF(members); i++) {
        json_object *member = NULL;

        json_object_object_get_ex(operation, members[i], &member);
        if (!o || json_object_object_add(o, members[i], json_object_get(member)) < 0)
            return -1;
    }
    fprintf(
        to, "event: stopd.clear.progress\ndata: %s\n\n",
        json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    return 0;
}

static int write_all(json_object *operations, FILE *to, bool *soon)
{
    int r = 0;

    for (size_t i = 0; i < json_object_array_length(operations) && r == 0; i++) {
        json_object *operation = json_object_array_get_idx(operations, i), *storage = NULL;
        const char *phase = NULL;

        if (json_get_array(operation, "storage", &storage) < 0 ||
            json_object_array_length(storage) == 0 ||
            json_get_string(operation, "phase", &phase) < 0)
            continue;
        /* In quarantine it may stand for days. */
        *soon |= !text_equal(phase, "quarantined");
        if (text_equal(phase, "clearing") || text_equal(phase, "verifying"))
            r = write_one(operation, to);
    }
    return r;
}

int progress_write(struct exchange *x, char **last, FILE *to, bool *soon, struct error **err)
{
    _cleanup_(json) json_object *operations = NULL;
    _cleanup_(freep) char *text = NULL;
    size_t size = 0;
    int r = read_unfinished(x, &operations, err);
    FILE *f = r < 0 ? NULL : open_memstream(&text, &size);

    *soon = false;
    if (r < 0)
        return r;
    r = f ? write_all(operations, f, soon) : -1;
    if (!f || fclose(f) != 0 || r < 0)
        return error_no_memory(err);
    if (size == 0 || text_equal(text, *last))
        return 0;
    fputs(text, to);
    free(*last);
    *last = take(text);
    return 1;
}
