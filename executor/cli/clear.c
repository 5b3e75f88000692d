/* clear.c - stopctl clear: has the local disks cleared that an instance kept when it went off
 *
 * Theory of operation. A guest that went off by itself keeps its local disks; what clears them is a
 * command of its own, never a side effect. The command cannot be told from another of the same, so
 * that it is not sent again when its answer is lost: what became of it, stopctl show tells.
 */
#include "cli/consent.h"
#include "cli/result.h"
#include "cli/transfer.h"

#include <errno.h>

enum { OPTION_CONFIRM = 1, OPTION_NO_WAIT, OPTION_TIMEOUT, OPTION_YES };

static const struct option options[] = {
    {"confirm", no_argument, NULL, OPTION_CONFIRM},
    {"no-wait", no_argument, NULL, OPTION_NO_WAIT},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"yes", no_argument, NULL, OPTION_YES},
    COMMON_OPTIONS,
    {0},
};

static const char details[] =
    "For an I1 instance that is off and was not stopped by a command: its local disks are kept\n"
    "until this clears them. Their data are lost for good.\n"
    "\n"
    "      --confirm         agree to that loss; nothing is done without it\n"
    "      --no-wait         return when the command is accepted\n"
    "      --timeout S       wait no longer than this; the clear goes on\n"
    "      --yes             do not ask\n";

struct wish {
    bool confirm, yes;
    struct follow_plan plan;
};

static int read_options(struct cli *cli, int argc, char **argv, struct wish *w, struct error **err)
{
    int option;

    while ((option = cli_option(cli, argc, argv, options, err)) > 0) {
        if (option == OPTION_CONFIRM)
            w->confirm = true;
        else if (option == OPTION_NO_WAIT)
            w->plan.wait = false;
        else if (option == OPTION_YES)
            w->yes = true;
        else if (cli_seconds(cli, "--timeout", optarg, &w->plan.time_out, err) < 0)
            return -EINVAL;
    }
    if (option < 0)
        return option;
    if (optind == argc)
        return cli_usage(cli, err, "which instance?");
    if (argc - optind > 1)
        return cli_usage(cli, err, "'%s' is too much", argv[optind + 1]);
    if (!w->confirm)
        return cli_usage(cli, err,
                         "--confirm is missing: it agrees to the loss, for good, of what is on the "
                         "instance's local disks");
    return 0;
}

static int run(struct cli *cli, int argc, char **argv, struct error **err)
{
    static const struct loss loss = {.disks = true};
    struct wish w = {.plan = {.wait = true, .time_out = USEC_NEVER, .ended = result_print}};
    _cleanup_(followed) struct followed f = {.document = "{\"confirm\":true}",
                                             .step = FOLLOW_ASKING};
    _cleanup_(freep) char *path = NULL;
    const char *socket;
    int r = read_options(cli, argc, argv, &w, err);

    if (r == 0)
        r = cli_find_socket(cli, &socket, err);
    if (r == 0)
        r = consent_ask(cli, &loss, w.yes, argv + optind, 1, err);
    if (r < 0)
        return r;
    f.name = argv[optind];
    f.path = path = transfer_path("/v1/instances/", f.name, "/clear");
    return path ? result_of_following(cli, &f, 1, &w.plan, err) : error_no_memory(err);
}

const struct verb verb_clear = {"clear", "ID --confirm",
                                "Clear the local disks that an instance kept.", details, run};
