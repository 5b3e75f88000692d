/* operation-view.h - what stopctl needs to see of an operation's document (contract section 5) */
#ifndef STOPD_CLI_OPERATION_VIEW_H
#define STOPD_CLI_OPERATION_VIEW_H

#include "cli/cli.h"
#include "cli/disk-view.h"

/* Texts are the document's own; "" where a member is null or absent. */
struct operation_view {
    const char *request_id, *instance_id, *action;
    const char *state, *phase, *outcome;
    const char *error_code, *error_message;
    const char *detail, *forced_by, *stopped_mode, *principal;
    bool force_stop;
    usec_t accepted_at, off_at, finished_at; /* 0: not yet */
    usec_t grace_left;                       /* USEC_NEVER: no grace is running */
    json_object *document;                   /* all of it, borrowed */
};
/* An error where it is no operation's document. */
int operation_view(json_object *operation, struct operation_view *ret, struct error **err);
bool operation_view_finished(const struct operation_view *v);
/* Not a stop, but a clear of the disks that an instance has kept. */
bool operation_view_is_clear(const struct operation_view *v);
/* The guest is off, and it is about its local disks: clearing, verifying, quarantined. */
bool operation_view_clears(const struct operation_view *v);
/* It waits for an operator: a disk could not be cleared. */
bool operation_view_quarantined(const struct operation_view *v);
/* Its local disks. */
size_t operation_view_disks(const struct operation_view *v);
void operation_view_disk(const struct operation_view *v, size_t i, struct disk_view *ret);
/* All of its disks together, in hundredths: cleared or, in the phase verifying, verified; -1 before
 * its guest is off, and where it does not move. */
int operation_view_percent(const struct operation_view *v);
#define PHASE_TEXT_SIZE 48
/* Its phase, with the percent where there is one: "clearing 43%". */
const char *operation_view_phase(const struct operation_view *v, char ret[static PHASE_TEXT_SIZE]);
/* How its guest went off, in a few words: "guest shut down"; "" where it did not. */
const char *operation_view_cause(const struct operation_view *v);
/* From acceptance to its end, or until now. */
usec_t operation_view_elapsed(const struct operation_view *v, usec_t realtime);
/* stopctl's exit status for an operation that is finished or quarantined. */
int operation_view_exit_status(const struct operation_view *v);

/* Which of an instance's operations is meant: the newest one, the one that is not finished, the
 * newest one that has cleared a disk. */
enum operation_wanted { OPERATION_NEWEST, OPERATION_UNFINISHED, OPERATION_CERTIFIED };
/* The operation that an argument, an instance's id or a RequestId, means. One that is both is taken
 * for the RequestId, and that is wanted whatever it is. The caller owns *ret. */
int operation_find(struct cli *cli, const char *argument, enum operation_wanted wanted,
                   json_object **ret, struct error **err);

/* Of several exit statuses, the one that stopctl exits with. */
int exit_status_worse(int a, int b);
enum { EXIT_STATUS_DISK = 71, EXIT_STATUS_STILL_GOING_ON = 124, EXIT_STATUS_INTERRUPTED = 130 };

#endif
