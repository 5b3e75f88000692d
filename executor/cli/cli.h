/* cli.h - what the verbs of stopctl share: their table, the options that each takes, who is being
 * talked to */
#ifndef STOPD_CLI_H
#define STOPD_CLI_H

#include "base/json.h"
#include "stopd/error.h"

#include <getopt.h>
#include <stdio.h>

struct cli;

struct verb {
    const char *name;
    const char *arguments; /* as in the usage line */
    const char *summary;   /* a clause */
    const char *details; /* its own options and what they mean, whole lines; "" where it has none */
    /* argv[0] is the verb. Returns an exit status, or a negative errno with *err set. */
    int (*run)(struct cli *cli, int argc, char **argv, struct error **err);
};

extern const struct verb verb_stop, verb_status, verb_show, verb_watch, verb_cancel, verb_clear,
    verb_retry, verb_may_start, verb_certificate, verb_events, verb_version, verb_help;
extern const struct verb *const verbs[]; /* NULL-terminated */
const struct verb *verb_find(const char *name);
void verb_print_help(const struct verb *verb, FILE *to);
void verbs_print_help(FILE *to);

struct cli {
    const struct verb *verb;
    const char *config_file;   /* --config, or NULL: the default places */
    const char *socket_option; /* --socket, or NULL */
    bool json;
    bool colors;           /* on standard output */
    char *socket;          /* where the daemon is, once it has been looked for */
    char *config_trouble;  /* why the configuration was not read, or NULL */
    bool told_unreachable; /* once is enough, for however many instances */
    char *code;            /* of the last answer that was an error, as it came; or NULL */
};
/* The path of the daemon's socket: --socket, or what the configuration says, or the default. It is
 * an error only where
 * --config names a file that cannot be read, or the path cannot be a socket's. */
int cli_find_socket(struct cli *cli, const char **ret, struct error **err);
void cli_cleanup(struct cli *cli);

/* getopt_long() over a verb's options with the common ones handled. Returns an option's val, 0 at
 * the end (optind is then the first argument), or a negative errno: a usage error. */
int cli_option(struct cli *cli, int argc, char **argv, const struct option *options,
               struct error **err);
enum { OPTION_JSON = 1000, OPTION_SOCKET, OPTION_CONFIG, OPTION_HELP };
#define COMMON_OPTIONS                                                                            \
    {"json", no_argument, NULL, OPTION_JSON}, {"socket", required_argument, NULL, OPTION_SOCKET}, \
        {"config", required_argument, NULL, OPTION_CONFIG},                                       \
    {                                                                                             \
        "help", no_argument, NULL, OPTION_HELP                                                    \
    }
/* A usage error that names the verb and points to its help. */
int cli_usage(struct cli *cli, struct error **err, const char *format, ...) _printf_(3, 4);
/* An option's whole number of seconds, 1 to 86400. */
int cli_seconds(struct cli *cli, const char *option, const char *text, usec_t *ret,
                struct error **err);
/* No options but the common ones, and from least to most arguments from optind on. */
int cli_arguments(struct cli *cli, int argc, char **argv, int least, int most, struct error **err);

/* One JSON document on a line of its own. */
void cli_print_json(json_object *document);
/* "stopctl: what went wrong" on standard error. */
void cli_print_error(const struct error *e);
/* Completes *err to a line that a person can act on: what was being done in front, what to do now
 * behind it. Returns its negative errno. */
int cli_explain(struct error **err, const char *doing, ...) _printf_(2, 3);

#endif
