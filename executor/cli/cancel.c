/* cancel.c - stopctl cancel: calls a stop off before its guest is off, and waits for what comes of
 * it
 *
 * Once the power is being cut nothing can be called off, nor a clear of local disks once it has
 * begun. A guest may shut down in the moment that the cancel arrives: what is told is how the stop
 * ended, not that the request was taken.
 */
#include "cli/transfer.h"
#include "cli/result.h"
#include "cli/text.h"

#include <errno.h>
#include <string.h>

#define PATIENCE (30 * USEC_PER_SEC)

static const char details[] =
    "The guest may have taken the button already and shut down all the same.\n";

static int command_cancel(struct cli *cli, const char *request_id, json_object **ret,
                          struct error **err)
{
    _cleanup_(freep) char *path = transfer_path("/v1/operations/", request_id, "/cancel");

    return path ? transfer_post(cli, path, ret, err) : error_no_memory(err);
}

/* A guest that was quicker has its disks cleared, however long that takes. */
static bool is_settled(const struct operation_view *v)
{
    return operation_view_finished(v) || operation_view_clears(v);
}

/* Waits for the end of what was cancelled. Returns the exit status. */
static int settle(struct cli *cli, struct followed *f, struct error **err)
{
    static const struct follow_plan plan = {
        .wait = true, .time_out = PATIENCE, .is_over = is_settled};
    struct operation_view view;
    enum follow_end end;
    int r = follow(cli, f, 1, &plan, &end, err);

    if (r < 0)
        return r;
    if (f->error)
        return error_move(err, &f->error);
    if (end == FOLLOW_INTERRUPTED)
        return EXIT_STATUS_INTERRUPTED;
    if (end == FOLLOW_TIMED_OUT)
        return EXIT_STATUS_STILL_GOING_ON;
    r = operation_view(f->operation, &view, err);
    if (r < 0)
        return r;
    if (text_equal(view.outcome, "Cancelled"))
        return 0;
    if (operation_view_clears(&view))
        return error_set(err, ERROR_INSTANCE_STATUS,
                         "too late, the guest is off and its local disks are being cleared");
    return error_set(err, ERROR_INSTANCE_STATUS, "too late, the stop has ended: %s%s%s",
                     view.outcome, is_set(view.error_message) ? ", " : "", view.error_message);
}

static int cancel(struct cli *cli, const char *argument, struct followed *f, struct error **err)
{
    _cleanup_(json) json_object *operation = NULL;
    struct operation_view view;
    int status;

    if (operation_find(cli, argument, OPERATION_UNFINISHED, &operation, err) < 0 ||
        operation_view(operation, &view, err) < 0 ||
        command_cancel(cli, view.request_id, &f->operation, err) < 0)
        return -EINVAL;
    f->step = FOLLOW_WAITING;
    snprintf(f->request_id, sizeof(f->request_id), "%s", view.request_id);
    f->last_heard = moment_now().monotonic;
    status = settle(cli, f, err);
    if (status < 0 || cli->json)
        return status;
    text_print(stdout, argument);
    puts(status == 0 ? ": cancelled, it runs on"
                     : ": being cancelled; stopctl show tells what came of it");
    return status;
}

static int run(struct cli *cli, int argc, char **argv, struct error **err)
{
    _cleanup_(followed) struct followed f = {0};
    int status = cli_arguments(cli, argc, argv, 1, 1, err);

    if (status < 0)
        return status;
    f.name = argv[optind];
    status = cancel(cli, argv[optind], &f, err);
    if (status < 0)
        status = cli_explain(err, "cancel %s", argv[optind]);
    else if (cli->json)
        cli_print_json(f.operation);
    return status;
}

const struct verb verb_cancel = {"cancel", "ID|REQUEST", "Call a stop off before its guest is off.",
                                 details, run};
