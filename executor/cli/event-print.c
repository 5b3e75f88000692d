/* event-print.c - a CloudEvent of the daemon's in one line for a person */
#include "cli/stream.h"
#include "cli/text.h"

#include <inttypes.h>

static const char *text_of(json_object *object, const char *key)
{
    const char *text = NULL;

    return json_get_string(object, key, &text) == 0 && text ? text : "";
}

static void print_if_set(FILE *to, const char *before, const char *text)
{
    if (!is_set(text))
        return;
    fputs(before, to);
    text_print(to, text);
}

/* A transition: from -> to, why; a failure: what failed, why; of a type that is newer than this
 * program, its name. */
void event_print(json_object *event, FILE *to)
{
    json_object *data = NULL;
    const char *type = text_of(event, "type");
    char text[LOCAL_TIME_SIZE];
    usec_t at = 0;

    json_get_time(event, "time", &at);
    json_get_object(event, "data", &data);
    fprintf(to, "%s %6" PRIu64 "  ", local_time_to_text(at, text), event_sequence(event));
    text_print(to, text_of(event, "subject"));
    if (text_equal(type, "stopd.instance.state.v1")) {
        print_if_set(to, ": ", text_of(data, "from"));
        print_if_set(to, " -> ", text_of(data, "to"));
        print_if_set(to, ", ", text_of(data, "reason"));
    } else if (text_equal(type, "stopd.operation.failed.v1")) {
        print_if_set(to, ": stop ", text_of(data, "outcome"));
        print_if_set(to, ", ", text_of(data, "code"));
        print_if_set(to, ": ", text_of(data, "message"));
    } else {
        print_if_set(to, ": ", type);
    }
    print_if_set(to, " (RequestId ", text_of(data, "requestId"));
    if (is_set(text_of(data, "requestId")))
        putc(')', to);
    putc('\n', to);
}
