/* certificate-print.c - a certificate for a person
 *
 * A summary: what the raw identify data and every command's words are is in the document itself.
 * Read is the envelope's open copy: the daemon that hands it out has signed it. */
#include "cli/certificate.h"
#include "cli/disk-view.h"
#include "cli/text.h"

#include <inttypes.h>

#define WIDE 14

static void print_head(const char *name)
{
    printf("  %-*s ", WIDE, name);
}

static void print_field(const char *name, const char *value)
{
    if (!is_set(value))
        return;
    print_head(name);
    text_print(stdout, value);
    putchar('\n');
}

static void print_time(const char *name, usec_t at)
{
    char time[LOCAL_TIME_SIZE];

    if (at > 0)
        print_field(name, local_time_to_text(at, time));
}

/* "SAMSUNG MZQL2960, serial S4EWNX0R, firmware GDC5602Q, NVMe SSD": those that there are. */
static void print_medium(json_object *device)
{
    static const char *const keys[] = {"maker", "model", "serial", "firmware", "media", "layout"};
    const char *before = "";

    print_head("Medium:");
    for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
        const char *value = document_text(device, keys[i]);

        if (!is_set(value))
            continue;
        printf("%s%s ", before, keys[i]);
        text_print(stdout, value);
        before = ", ";
    }
    putchar('\n');
}

static void print_device(json_object *device)
{
    char size[BYTES_TEXT_SIZE];
    uint64_t bytes = document_number(device, "size");

    print_head("Device:");
    text_print(stdout, document_text(device, "path"));
    printf(", %s (%" PRIu64 " bytes)\n", bytes_to_text(bytes, size), bytes);
    print_medium(device);
    print_head("Identity:");
    if (!disk_identity_print(stdout, document_object(device, "identity")))
        putchar('-');
    putchar('\n');
}

/* "clear (NIST SP 800-88)" */
static void print_level(json_object *certificate)
{
    const char *standard = document_text(certificate, "standard");

    print_head("Level:");
    text_print(stdout, document_text(certificate, "level"));
    if (is_set(standard)) {
        fputs(" (", stdout);
        text_print(stdout, standard);
        putchar(')');
    }
    putchar('\n');
}

static void print_passed_over(json_object *certificate)
{
    for (size_t i = 0; i < document_count(certificate, "passedOver"); i++) {
        json_object *one = document_element(certificate, "passedOver", i);

        print_head(i == 0 ? "Passed over:" : "");
        text_print(stdout, document_text(one, "method"));
        fputs(": ", stdout);
        text_print(stdout, document_text(one, "reason"));
        putchar('\n');
    }
}

static void print_verification(json_object *v)
{
    char bytes[BYTES_TEXT_SIZE];

    print_head("Verification:");
    text_print(stdout, document_text(v, "mode"));
    printf(", %s in %" PRIu64 " blocks read\n",
           bytes_to_text(document_number(v, "bytesRead"), bytes), document_number(v, "blocksRead"));
    print_field("", document_text(v, "confidence"));
}

static void print_not_covered(json_object *certificate)
{
    json_object *texts = NULL;

    if (json_get_array(certificate, "notCovered", &texts) < 0)
        return;
    for (size_t i = 0; i < json_object_array_length(texts); i++)
        print_field(i == 0 ? "Not covered:" : "",
                    json_object_get_string(json_object_array_get_idx(texts, i)));
}

/* "stopd-wipe 0.1.0 on host-1, in 2 runs" */
static void print_tool(json_object *certificate)
{
    json_object *tool = document_object(certificate, "tool");
    uint64_t runs = document_number(certificate, "runs");

    print_head("By:");
    text_print(stdout, document_text(tool, "name"));
    putchar(' ');
    text_print(stdout, document_text(tool, "version"));
    fputs(" on ", stdout);
    text_print(stdout, document_text(certificate, "host"));
    if (runs > 1)
        printf(", in %" PRIu64 " runs", runs);
    putchar('\n');
}

int certificate_print(json_object *envelope, struct error **err)
{
    json_object *c = document_object(envelope, "certificate");

    if (!c)
        return error_set(err, ERROR_UNREACHABLE, "what the daemon answered is no certificate");
    text_print(stdout, document_text(c, "target"));
    fputs(" of ", stdout);
    text_print(stdout, document_text(c, "instanceId"));
    putchar('\n');
    print_device(document_object(c, "device"));
    print_field("Method:", document_text(c, "method"));
    print_field("Technique:", document_text(c, "technique"));
    print_level(c);
    print_passed_over(c);
    print_verification(document_object(c, "verification"));
    print_not_covered(c);
    print_time("Begun:", document_time(c, "startedAt"));
    print_time("Finished:", document_time(c, "finishedAt"));
    print_tool(c);
    print_field("Commanded by:", document_text(c, "operator"));
    print_field("RequestId:", document_text(c, "requestId"));
    print_field("Signed by:", document_text(document_element(envelope, "signatures", 0), "keyid"));
    return 0;
}
