/* stop.c - stopctl stop: commands a stop, and waits for its end, clearing of local disks included
 *
 * Theory of operation. One StopInstance for each instance, all side by side, each with a
 * ClientToken so that it is safe to send again (follow.c). What is irreversible is said in a line
 * before anything is sent, and on a terminal asked about. The exit status is the worst of all.
 */
#include "cli/consent.h"
#include "cli/result.h"

enum {
    OPTION_FORCE = 1,
    OPTION_CONFIRM,
    OPTION_OVERRIDE,
    OPTION_STOPPED_MODE,
    OPTION_GRACE,
    OPTION_ON_TIMEOUT,
    OPTION_NO_WAIT,
    OPTION_TIMEOUT,
    OPTION_TOKEN,
    OPTION_DRY_RUN,
    OPTION_YES,
};

static const struct option options[] = {
    {"force", no_argument, NULL, OPTION_FORCE},
    {"confirm", no_argument, NULL, OPTION_CONFIRM},
    {"override", required_argument, NULL, OPTION_OVERRIDE},
    {"stopped-mode", required_argument, NULL, OPTION_STOPPED_MODE},
    {"grace", required_argument, NULL, OPTION_GRACE},
    {"on-timeout", required_argument, NULL, OPTION_ON_TIMEOUT},
    {"no-wait", no_argument, NULL, OPTION_NO_WAIT},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"token", required_argument, NULL, OPTION_TOKEN},
    {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
    {"yes", no_argument, NULL, OPTION_YES},
    COMMON_OPTIONS,
    {0},
};

static const char details[] =
    "Presses the power button of each guest and waits until it is off, all side by side; then\n"
    "for the local disks of an I1 instance to be cleared.\n"
    "\n"
    "      --force           cut the power: what the guest has not written is lost\n"
    "      --confirm         agree to the loss of what is on local disks (I1 instances)\n"
    "      --grace S         seconds that the guest may take, 1 to 86400\n"
    "      --on-timeout WHAT fail: it runs on after the grace; force: its power is cut\n"
    "      --stopped-mode M  KeepCharging or StopCharging\n"
    "      --override WHAT   lock, arrears or both: pass these checks (root only)\n"
    "      --token T         ClientToken: given again, the same command is not done twice\n"
    "      --dry-run         make every check and change nothing\n"
    "      --no-wait         return when the command is accepted\n"
    "      --timeout S       wait no longer than this; the stop goes on\n"
    "      --yes             do not ask before cutting the power or clearing local disks\n";

struct wish {
    bool force, confirm, dry_run, yes;
    const char *override, *stopped_mode, *grace, *on_timeout, *token;
    struct follow_plan plan;
};

static int read_on_timeout(struct cli *cli, const char *text, const char **ret, struct error **err)
{
    if (text_equal(text, "fail"))
        *ret = "Fail";
    else if (text_equal(text, "force"))
        *ret = "Force";
    else
        return cli_usage(cli, err, "--on-timeout must be fail or force, not '%s'", text);
    return 0;
}

static int read_option(struct cli *cli, int option, struct wish *w, struct error **err)
{
    switch (option) {
    case OPTION_FORCE:
        w->force = true;
        break;
    case OPTION_CONFIRM:
        w->confirm = true;
        break;
    case OPTION_OVERRIDE:
        w->override = optarg;
        break;
    case OPTION_STOPPED_MODE:
        w->stopped_mode = optarg;
        break;
    case OPTION_GRACE:
        w->grace = optarg;
        return cli_seconds(cli, "--grace", optarg, &(usec_t){0}, err);
    case OPTION_ON_TIMEOUT:
        return read_on_timeout(cli, optarg, &w->on_timeout, err);
    case OPTION_NO_WAIT:
        w->plan.wait = false;
        break;
    case OPTION_TIMEOUT:
        return cli_seconds(cli, "--timeout", optarg, &w->plan.time_out, err);
    case OPTION_TOKEN:
        w->token = optarg;
        break;
    case OPTION_DRY_RUN:
        w->dry_run = true;
        break;
    case OPTION_YES:
        w->yes = true;
        break;
    }
    return 0;
}

/* Asking twice for one instance is asking once. Returns how many there are. */
static int drop_repeated(char **ids, int n)
{
    int kept = 0;

    for (int i = 0; i < n; i++) {
        bool seen = false;

        for (int k = 0; k < kept; k++)
            seen |= text_equal(ids[k], ids[i]);
        if (!seen)
            ids[kept++] = ids[i];
    }
    return kept;
}

static int ask_consent(struct cli *cli, const struct wish *w, char **ids, int n, struct error **err)
{
    const struct loss loss = {
        .power = w->force,
        .power_maybe = text_equal(w->on_timeout, "Force"),
        /* Which instances have local disks the daemon knows, and who says --confirm. */
        .disks_maybe = w->confirm,
    };

    return w->dry_run ? 0 : consent_ask(cli, &loss, w->yes, ids, n, err);
}

/* --- Commanding ---------------------------------------------------------------------------- */

static int add_if_set(struct parameters *p, const char *name, const char *value)
{
    return is_set(value) ? parameters_add(p, name, value) : 0;
}

static int prepare(struct followed *f, const char *id, const struct wish *w, struct error **err)
{
    struct parameters *p = &f->command;
    char token[UUID_TEXT_SIZE];

    uuid_new_lower(token);
    *f = (struct followed){.name = id, .path = "/", .repeatable = true, .step = FOLLOW_ASKING};
    if (parameters_add(p, "Action", "StopInstance") || parameters_add(p, "InstanceId", id) ||
        parameters_add(p, "ClientToken", w->token ? w->token : token) ||
        add_if_set(p, "ForceStop", w->force ? "true" : NULL) ||
        add_if_set(p, "ConfirmStop", w->confirm ? "true" : NULL) ||
        add_if_set(p, "DryRun", w->dry_run ? "true" : NULL) ||
        add_if_set(p, "StoppedMode", w->stopped_mode) || add_if_set(p, "GracePeriod", w->grace) ||
        add_if_set(p, "OnGraceTimeout", w->on_timeout) || add_if_set(p, "Override", w->override))
        return error_no_memory(err);
    return 0;
}

static int stop_ids(struct cli *cli, const struct wish *w, char **ids, int n, struct error **err)
{
    struct followed *all = calloc((size_t)n, sizeof(*all));
    int r = all ? 0 : error_no_memory(err);

    for (int i = 0; i < n && r == 0; i++)
        r = prepare(&all[i], ids[i], w, err);
    if (r == 0)
        r = result_of_following(cli, all, (size_t)n, &w->plan, err);
    for (int i = 0; all && i < n; i++)
        followed_cleanup(&all[i]);
    free(all);
    return r;
}

static int run(struct cli *cli, int argc, char **argv, struct error **err)
{
    struct wish w = {.plan = {.wait = true, .time_out = USEC_NEVER, .ended = result_print}};
    const char *socket;
    char **ids;
    int n, r;

    while ((r = cli_option(cli, argc, argv, options, err)) > 0) {
        r = read_option(cli, r, &w, err);
        if (r < 0)
            return r;
    }
    if (r < 0)
        return r;
    ids = argv + optind;
    n = drop_repeated(ids, argc - optind);
    if (n == 0)
        return cli_usage(cli, err, "which instance?");
    if (w.token && n > 1)
        return cli_usage(cli, err, "--token is for one instance: each command has its own");
    r = cli_find_socket(cli, &socket, err);
    if (r == 0)
        r = ask_consent(cli, &w, ids, n, err);
    return r < 0 ? r : stop_ids(cli, &w, ids, n, err);
}

const struct verb verb_stop = {"stop", "ID...", "Stop instances.", details, run};
