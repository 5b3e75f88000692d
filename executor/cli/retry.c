/* retry.c - stopctl retry: a clear that gave up is tried again, and waited for
 *
 * It was agreed to when the stop or the clear was commanded, and nothing more is lost: there is no
 * question. */
#include "cli/result.h"
#include "cli/transfer.h"

#include <errno.h>

enum { OPTION_NO_WAIT = 1, OPTION_TIMEOUT };

static const struct option options[] = {
    {"no-wait", no_argument, NULL, OPTION_NO_WAIT},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    COMMON_OPTIONS,
    {0},
};

static const char details[] =
    "A local disk that could not be cleared is quarantined: its operation waits for this, once "
    "the\n"
    "cause is gone. stopctl show tells the cause.\n"
    "\n"
    "      --no-wait         return when the command is accepted\n"
    "      --timeout S       wait no longer than this; the clear goes on\n";

static int read_options(struct cli *cli, int argc, char **argv, struct follow_plan *plan,
                        struct error **err)
{
    int option;

    while ((option = cli_option(cli, argc, argv, options, err)) > 0) {
        if (option == OPTION_NO_WAIT)
            plan->wait = false;
        else if (cli_seconds(cli, "--timeout", optarg, &plan->time_out, err) < 0)
            return -EINVAL;
    }
    if (option < 0)
        return option;
    if (optind == argc)
        return cli_usage(cli, err, "%s is missing", cli->verb->arguments);
    if (argc - optind > 1)
        return cli_usage(cli, err, "'%s' is too much", argv[optind + 1]);
    return 0;
}

static int run(struct cli *cli, int argc, char **argv, struct error **err)
{
    struct follow_plan plan = {.wait = true, .time_out = USEC_NEVER, .ended = result_print};
    _cleanup_(followed) struct followed f = {.repeatable = true, .step = FOLLOW_ASKING};
    _cleanup_(json) json_object *operation = NULL;
    _cleanup_(freep) char *path = NULL;
    struct operation_view view;
    int r = read_options(cli, argc, argv, &plan, err);

    if (r < 0)
        return r;
    if (operation_find(cli, argv[optind], OPERATION_UNFINISHED, &operation, err) < 0 ||
        operation_view(operation, &view, err) < 0)
        return cli_explain(err, "retry %s", argv[optind]);
    f.name = view.instance_id;
    f.path = path = transfer_path("/v1/operations/", view.request_id, "/retry");
    return path ? result_of_following(cli, &f, 1, &plan, err) : error_no_memory(err);
}

const struct verb verb_retry = {"retry", "ID|REQUEST", "Try a clear again that could not be done.",
                                details, run};
