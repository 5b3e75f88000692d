/* show-storage.c - see show-storage.h */
#include "cli/show-storage.h"
#include "cli/text.h"

#include <inttypes.h>

static void print_device(const struct disk_view *d)
{
    char size[BYTES_TEXT_SIZE];

    fputs("  ", stdout);
    text_print(stdout, d->target);
    fputs("  ", stdout);
    text_print(stdout, is_set(d->device) ? d->device : "?");
    printf(", %s (%" PRIu64 " bytes)\n", bytes_to_text(d->bytes, size), d->bytes);
}

/* "clearing by write-zeroes", "quarantined, after write-zeroes" */
static void print_method(const struct disk_view *d)
{
    bool is_idle = disk_view_is(d, "waiting") || disk_view_is(d, "quarantined");

    text_print(stdout, d->state);
    if (!is_set(d->method))
        return;
    fputs(is_idle ? ", after " : " by ", stdout);
    text_print(stdout, d->method);
}

/* verified is a share of the disk, however much of it the verification reads. */
static void print_state(const struct disk_view *d)
{
    char done[BYTES_TEXT_SIZE], left[ELAPSED_TEXT_SIZE];

    print_method(d);
    printf(": %s cleared (%u%%)", bytes_to_text(d->done, done), percent_of(d->done, d->bytes));
    if (!disk_view_is(d, "cleared"))
        printf(", %u%% verified", percent_of(d->verified, d->bytes));
    else if (d->verified > 0)
        fputs(" and verified", stdout);
    if (d->mib_per_s > 0)
        printf(", %" PRIu64 " MiB/s", d->mib_per_s);
    if (d->seconds_left > 0)
        printf(", %s left", elapsed_to_text(d->seconds_left * USEC_PER_SEC, left));
    putchar('\n');
}

static void print_problem(const struct disk_view *d)
{
    if (d->tries > 0)
        printf("%" PRIu64 " %s failed", d->tries, d->tries == 1 ? "try" : "tries");
    fputs(d->tries > 0 && is_set(d->problem) ? ": " : "", stdout);
    text_print(stdout, d->problem);
    putchar('\n');
}

static void print_disk(const struct disk_view *d)
{
    static const char indent[] = "       ";

    print_device(d);
    if (d->identity && json_object_object_length(d->identity) > 0) {
        fputs(indent, stdout);
        disk_identity_print(stdout, d->identity);
        putchar('\n');
    }
    fputs(indent, stdout);
    print_state(d);
    if (d->tries > 0 || is_set(d->problem)) {
        fputs(indent, stdout);
        print_problem(d);
    }
}

void show_storage(const struct operation_view *v)
{
    bool certified = false;

    if (operation_view_disks(v) == 0)
        return;
    puts("Storage:");
    for (size_t i = 0; i < operation_view_disks(v); i++) {
        struct disk_view d;

        operation_view_disk(v, i, &d);
        print_disk(&d);
        certified |= disk_view_is(&d, "cleared");
    }
    if (certified)
        printf("Certificate:  stopctl certificate %s\n", v->request_id);
    if (operation_view_quarantined(v))
        printf("To go on:     stopctl retry %s\n", v->request_id);
}
