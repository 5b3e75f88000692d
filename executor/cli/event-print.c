/* event-print.c - a CloudEvent of the daemon's in one line for a person */
#include "cli/document.h"
#include "cli/stream.h"
#include "cli/text.h"

#include <inttypes.h>

static void print_if_set(FILE *to, const char *before, const char *text)
{
    if (!is_set(text))
        return;
    fputs(before, to);
    text_print(to, text);
}

/* From -> to, why. */
static void print_transition(FILE *to, json_object *data)
{
    print_if_set(to, ": ", document_text(data, "from"));
    print_if_set(to, " -> ", document_text(data, "to"));
    print_if_set(to, ", ", document_text(data, "reason"));
    print_if_set(to, ", local disks ", document_text(data, "localStorage"));
}

static void print_failure(FILE *to, json_object *data)
{
    print_if_set(to, ": stop ", document_text(data, "outcome"));
    print_if_set(to, ", ", document_text(data, "code"));
    print_if_set(to, ": ", document_text(data, "message"));
}

/* "vdb (/dev/nvme1n1, serial S4EWNX0R)": a device's name may be another's tomorrow. */
static void print_disk(FILE *to, json_object *data)
{
    json_object *identity = document_object(data, "identity");

    print_if_set(to, ": ", document_text(data, "target"));
    print_if_set(to, " (", document_text(data, "device"));
    print_if_set(to, ", serial ", document_text(identity, "serial"));
    fputs(is_set(document_text(data, "device")) ? ")" : "", to);
}

/* The certificate is an envelope with a readable copy inside. */
static void print_cleared(FILE *to, json_object *data)
{
    json_object *envelope = document_object(data, "certificate");

    print_disk(to, data);
    fputs(" cleared", to);
    print_if_set(to, " by ", document_text(document_object(envelope, "certificate"), "method"));
}

static void print_not_cleared(FILE *to, json_object *data)
{
    uint64_t tries = document_number(data, "tries");
    bool quarantined = false;

    json_get_bool(data, "quarantined", &quarantined);
    print_disk(to, data);
    fputs(" not cleared", to);
    if (tries > 0)
        fprintf(to, ", %" PRIu64 " %s failed", tries, tries == 1 ? "try" : "tries");
    fputs(quarantined ? ", quarantined" : "", to);
    print_if_set(to, ": ", document_text(data, "message"));
}

static const struct {
    const char *type;
    void (*print)(FILE *to, json_object *data);
} printers[] = {
    {"stopd.instance.state.v1", print_transition},
    {"stopd.operation.failed.v1", print_failure},
    {"stopd.storage.cleared.v1", print_cleared},
    {"stopd.storage.failed.v1", print_not_cleared},
};

/* Of a type that is newer than this program, its name. */
static void print_what(FILE *to, const char *type, json_object *data)
{
    for (size_t i = 0; i < ELEMENTSOF(printers); i++)
        if (text_equal(printers[i].type, type)) {
            printers[i].print(to, data);
            return;
        }
    print_if_set(to, ": ", type);
}

void event_print(json_object *event, FILE *to)
{
    json_object *data = document_object(event, "data");
    char text[LOCAL_TIME_SIZE];

    fprintf(to, "%s %6" PRIu64 "  ", local_time_to_text(document_time(event, "time"), text),
            event_sequence(event));
    text_print(to, document_text(event, "subject"));
    print_what(to, document_text(event, "type"), data);
    print_if_set(to, " (RequestId ", document_text(data, "requestId"));
    if (is_set(document_text(data, "requestId")))
        putc(')', to);
    putc('\n', to);
}
