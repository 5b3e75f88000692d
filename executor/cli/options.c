/* options.c - the command line: options that every verb takes, and errors that say where help is */
#include "cli/cli.h"
#include "core/command.h"
#include "daemon/config.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/un.h>

#define DEFAULT_SOCKET "/run/stopd/stopd.sock"

int cli_usage(struct cli *cli, struct error **err, const char *format, ...)
{
    _cleanup_(freep) char *what = NULL;
    const char *verb = cli->verb ? cli->verb->name : NULL;
    va_list ap;

    va_start(ap, format);
    what = text_vformat(format, ap);
    va_end(ap);
    if (!what)
        return error_no_memory(err);
    return error_set(err, ERROR_USAGE, "%s%s%s; see stopctl help%s%s", verb ? verb : "",
                     verb ? ": " : "", what, verb ? " " : "", verb ? verb : "");
}

int cli_option(struct cli *cli, int argc, char **argv, const struct option *options,
               struct error **err)
{
    for (;;) {
        /* "+" before the verb: what follows the verb is the verb's. */
        int option = getopt_long(argc, argv, cli->verb ? ":h" : "+:h", options, NULL);

        switch (option) {
        case -1:
            return 0;
        case '?':
            return cli_usage(cli, err, "unknown option %s", argv[optind - 1]);
        case ':':
            return cli_usage(cli, err, "%s needs a value", argv[optind - 1]);
        case OPTION_JSON:
            cli->json = true;
            break;
        case OPTION_SOCKET:
            cli->socket_option = optarg;
            break;
        case OPTION_CONFIG:
            cli->config_file = optarg;
            break;
        case OPTION_HELP:
        case 'h':
            if (cli->verb)
                verb_print_help(cli->verb, stdout);
            else
                verbs_print_help(stdout);
            exit(0);
        default:
            return option;
        }
    }
}

int cli_seconds(struct cli *cli, const char *option, const char *text, usec_t *ret,
                struct error **err)
{
    uint64_t seconds;

    if (parameter_integer(option, text, 1, 86400, &seconds, NULL) < 0)
        return cli_usage(cli, err, "%s must be a whole number of seconds from 1 to 86400, not '%s'",
                         option, text);
    *ret = seconds * USEC_PER_SEC;
    return 0;
}

int cli_arguments(struct cli *cli, int argc, char **argv, int least, int most, struct error **err)
{
    static const struct option options[] = {
        COMMON_OPTIONS,
        {0},
    };
    int r = cli_option(cli, argc, argv, options, err);

    if (r < 0)
        return r;
    if (argc - optind < least)
        return cli_usage(cli, err, "%s is missing", cli->verb->arguments);
    if (argc - optind > most)
        return cli_usage(cli, err, "'%s' is too much", argv[optind + most]);
    return 0;
}

/* What keeps the daemon from starting must not keep an operator from a daemon that runs: without
 * --config an unreadable configuration only means the default. It is kept for the message that
 * nothing answers there. */
static int socket_of_configuration(struct cli *cli, struct error **err)
{
    /* Only the socket is wanted: a host without a name is no trouble here. */
    char *settings[] = {"host.id=any"};
    _cleanup_(config_free) struct config *config = NULL;
    _cleanup_(error_free) struct error *trouble = NULL;
    int r = config_load(cli->config_file, settings, ELEMENTSOF(settings), &config, &trouble);

    if (r < 0 && cli->config_file)
        return error_move(err, &trouble);
    if (r < 0 && text_replace(&cli->config_trouble, error_message(trouble)) < 0)
        return error_no_memory(err);
    if (text_replace(&cli->socket, r < 0 ? DEFAULT_SOCKET : config->api_socket) < 0)
        return error_no_memory(err);
    return 0;
}

int cli_find_socket(struct cli *cli, const char **ret, struct error **err)
{
    const size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
    int r = 0;

    if (!cli->socket && cli->socket_option) {
        if (!is_set(cli->socket_option) || strlen(cli->socket_option) > most)
            return error_set(err, ERROR_USAGE, "--socket must be a path of 1 to %zu characters",
                             most);
        if (text_replace(&cli->socket, cli->socket_option) < 0)
            return error_no_memory(err);
    } else if (!cli->socket) {
        r = socket_of_configuration(cli, err);
    }
    *ret = cli->socket;
    return r;
}

void cli_cleanup(struct cli *cli)
{
    free(cli->socket);
    free(cli->config_trouble);
    free(cli->code);
}
