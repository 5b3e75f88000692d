/* report.c - what stopd-wipe says, a JSON object a line */
#include "wipe/report.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"

json_object *report_line(enum wipe_event event)
{
    json_object *o = json_object_new_object();

    if (o && json_add_string(o, "event", wipe_event_to_string(event)) < 0) {
        json_object_put(o);
        return NULL;
    }
    return o;
}

static int write_all(int fd, const char *data, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, data, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        data += done;
        n -= (size_t)done;
    }
    return 0;
}

int report_say(struct report *r, json_object *line, struct error **err)
{
    _cleanup_(json) json_object *owned = line;
    _cleanup_(freep) char *text = NULL;
    const char *json;
    size_t n;
    int result;

    json = owned ? json_object_to_json_string_length(
                       owned, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &n)
                 : NULL;
    text = json ? malloc(n + 1) : NULL;
    if (!text)
        return error_no_memory(err);
    memcpy(text, json, n);
    text[n] = '\n';
    result = write_all(r->fd, text, n + 1);
    if (result < 0)
        return error_set_errno(err, ERROR_UNREACHABLE, result, "nobody takes what is reported");
    return 0;
}
