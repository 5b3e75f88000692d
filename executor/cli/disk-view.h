/* disk-view.h - what stopctl needs to see of one element of an operation's storage (contract
 * section 5) */
#ifndef STOPD_CLI_DISK_VIEW_H
#define STOPD_CLI_DISK_VIEW_H

#include "cli/document.h"

#include <stdio.h>

/* Texts are the document's own; "" where a member is null or absent. */
struct disk_view {
    const char *target, *device;
    const char *method, *state, *problem;
    json_object *identity; /* an object of texts, or NULL */
    uint64_t bytes, done, verified;
    uint64_t mib_per_s, seconds_left; /* 0: not known */
    uint64_t tries;                   /* that failed */
};
void disk_view(json_object *element, struct disk_view *ret);
bool disk_view_is(const struct disk_view *d, const char *state);

/* How far what it is at is, in hundredths: the clear, or while verifying the verification. */
unsigned disk_view_percent(const struct disk_view *d);
/* "vdb (/dev/nvme1n1)" */
void disk_view_print_name(FILE *to, const struct disk_view *d);
/* "serial S4EWNX0R, eui64 0025385b71b01234": all but its size, which stands elsewhere. Whether
 * there was anything. */
bool disk_identity_print(FILE *to, json_object *identity);
/* "write-zeroes  512 MiB/s  20.0 s left", "cleared by write-zeroes"; without numbers only what does
 * not change from moment to moment. */
void disk_view_print_state(FILE *to, const struct disk_view *d, bool numbers);

#endif
