/* operation-view.h - what stopctl needs to see of an operation's document (contract section 5) */
#ifndef STOPD_CLI_OPERATION_VIEW_H
#define STOPD_CLI_OPERATION_VIEW_H

#include "cli/cli.h"

/* Texts are the document's own; "" where a member is null or absent. */
struct operation_view {
    const char *request_id, *instance_id;
    const char *state, *phase, *outcome;
    const char *error_code, *error_message;
    const char *detail, *forced_by, *stopped_mode, *principal;
    bool force_stop;
    usec_t accepted_at, off_at, finished_at; /* 0: not yet */
    json_object *timeline;                   /* an array */
};
/* An error where it is no operation's document. */
int operation_view(json_object *operation, struct operation_view *ret, struct error **err);
bool operation_view_finished(const struct operation_view *v);
/* How its guest went off, in a few words: "guest shut down"; "" where it did not. */
const char *operation_view_cause(const struct operation_view *v);
/* From acceptance to its end, or until now. */
usec_t operation_view_elapsed(const struct operation_view *v, usec_t realtime);
/* stopctl's exit status for an operation that is finished. */
int operation_view_exit_status(const struct operation_view *v);

/* The operations that an argument, an instance's id or a RequestId, means. An id that is both is
 * taken for the RequestId. *ret: the newest one, which the caller owns; unfinished: only one that
 * is not finished. */
int operation_find(struct cli *cli, const char *argument, bool unfinished, json_object **ret,
                   struct error **err);

/* Of several exit statuses, the one that stopctl exits with. */
int exit_status_worse(int a, int b);
enum { EXIT_STATUS_DISK = 71, EXIT_STATUS_STILL_GOING_ON = 124, EXIT_STATUS_INTERRUPTED = 130 };

#endif
