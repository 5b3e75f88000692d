/* disk-view.c - see disk-view.h */
#include "cli/disk-view.h"
#include "cli/text.h"

#include <inttypes.h>

void disk_view(json_object *element, struct disk_view *ret)
{
    *ret = (struct disk_view){
        .target = document_text(element, "target"),
        .device = document_text(element, "device"),
        .method = document_text(element, "method"),
        .state = document_text(element, "state"),
        .problem = document_text(element, "problem"),
        .identity = document_object(element, "identity"),
        .bytes = document_number(element, "bytes"),
        .done = document_number(element, "done"),
        .verified = document_number(element, "verified"),
        .mib_per_s = document_number(element, "mibPerS"),
        .seconds_left = document_number(element, "secondsLeft"),
        .tries = document_number(element, "tries"),
    };
}

bool disk_view_is(const struct disk_view *d, const char *state)
{
    return text_equal(d->state, state);
}

unsigned disk_view_percent(const struct disk_view *d)
{
    if (disk_view_is(d, "cleared"))
        return 100;
    return percent_of(disk_view_is(d, "verifying") ? d->verified : d->done, d->bytes);
}

void disk_view_print_name(FILE *to, const struct disk_view *d)
{
    text_print(to, d->target);
    if (!is_set(d->device))
        return;
    fputs(" (", to);
    text_print(to, d->device);
    putc(')', to);
}

bool disk_identity_print(FILE *to, json_object *identity)
{
    bool any = false;

    if (!identity)
        return false;
    json_object_object_foreach(identity, key, value)
    {
        if (text_equal(key, "size") || !value)
            continue;
        fputs(any ? ", " : "", to);
        text_print(to, key);
        putc(' ', to);
        text_print(to, json_object_get_string(value));
        any = true;
    }
    return any;
}

static void print_speed(FILE *to, const struct disk_view *d)
{
    char left[ELAPSED_TEXT_SIZE];

    if (d->mib_per_s > 0)
        fprintf(to, "  %" PRIu64 " MiB/s", d->mib_per_s);
    if (d->seconds_left > 0)
        fprintf(to, "  %s left", elapsed_to_text(d->seconds_left * USEC_PER_SEC, left));
}

/* A disk that is at work may have a problem too: a helper that says nothing, or that of an earlier
 * try. */
static void print_problem(FILE *to, const struct disk_view *d)
{
    if (d->tries > 0)
        fprintf(to, ", %" PRIu64 " %s failed", d->tries, d->tries == 1 ? "try" : "tries");
    if (!is_set(d->problem))
        return;
    fputs(": ", to);
    text_print(to, d->problem);
}

void disk_view_print_state(FILE *to, const struct disk_view *d, bool numbers)
{
    bool is_cleared = disk_view_is(d, "cleared");

    if (disk_view_is(d, "clearing") && is_set(d->method))
        text_print(to, d->method);
    else
        text_print(to, d->state);
    if (is_cleared && is_set(d->method)) {
        fputs(" by ", to);
        text_print(to, d->method);
    }
    if (numbers && !is_cleared)
        print_speed(to, d);
    if (!is_cleared)
        print_problem(to, d);
}
