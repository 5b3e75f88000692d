/* main.c - stopd: the daemon's command line */
#include "daemon/service.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "Usage: stopd [--config FILE] [--set SECTION.KEY=VALUE]... [--check-config]\n"
    "Stops virtual machines on this host, on a control plane's or an operator's command.\n"
    "\n"
    "  --config FILE             read this file, and not /etc/stopd/stopd.conf and conf.d\n"
    "  --set SECTION.KEY=VALUE   set one key, over what the files say\n"
    "  --check-config            read the configuration, print what came of it, and exit\n"
    "  --version                 print the version, and exit\n"
    "  --help                    print this, and exit\n"
    "\n"
    "SIGHUP reloads the configuration, SIGTERM ends the program; what it was doing goes on\n"
    "at the next start. See stopd(8), stopd.conf(5), stopctl(1).\n";

struct options {
    struct invocation invocation;
    char **settings;
    bool check_config;
};

static int usage_error(void)
{
    fputs("stopd: see 'stopd --help'\n", stderr);
    return error_exit_status(ERROR_USAGE);
}

static int fail(const struct error *error)
{
    fprintf(stderr, "stopd: %s\n", error_message(error));
    return error_exit_status(error_code_of(error));
}

/* -1: go on; else the exit status. */
static int read_options(int argc, char **argv, struct options *o)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"set", required_argument, NULL, 's'},
        {"check-config", no_argument, NULL, 'k'}, {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},         {0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        switch (c) {
        case 'c':
            o->invocation.config_file = optarg;
            break;
        case 's':
            o->settings[o->invocation.n_settings++] = optarg;
            break;
        case 'k':
            o->check_config = true;
            break;
        case 'v':
            printf("stopd %s\n", STOPD_VERSION);
            return 0;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            return usage_error();
        }
    }
    if (optind < argc) {
        fprintf(stderr, "stopd: '%s' is no option\n", argv[optind]);
        return usage_error();
    }
    return -1;
}

int main(int argc, char **argv)
{
    _cleanup_(freep) char **settings = calloc((size_t)argc, sizeof(*settings));
    _cleanup_(error_free) struct error *error = NULL;
    struct options o = {.settings = settings};
    struct config *config = NULL;
    int status;

    if (!settings) {
        error_no_memory(&error);
        return fail(error);
    }
    status = read_options(argc, argv, &o);
    if (status >= 0)
        return status;
    o.invocation.settings = settings;
    if (config_load(o.invocation.config_file, settings, o.invocation.n_settings, &config, &error) <
        0)
        return fail(error);
    if (o.check_config) {
        config_print(config);
        config_free(config);
        return 0;
    }
    /* A client that leaves and a file that may not grow are errors where they happen, not the end.
     */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    log_setup(config->log_level, config->log_format);
    if (service_run(config, &o.invocation, &error) < 0)
        return fail(error);
    return 0;
}
