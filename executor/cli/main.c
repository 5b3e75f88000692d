/* main.c - stopctl: the operator's command line, over the same API as the control plane
 *
 * Theory of operation. A verb is a file and a row in the table below. It reads its options, talks
 * to the daemon over the Unix socket (transfer.c), and prints; it decides nothing about a stop,
 * which is all the daemon's. A verb returns an exit status, or an error, which is said here, once:
 * one line on standard error with what was being done, to what, what went wrong and what to do now.
 * Results go to standard output, with --json as documents for a program to read; progress goes to a
 * terminal on standard error, and nowhere else.
 *
 * What an exit status means stands in the table of errors (error-list.h): an error that came as an
 * answer has the status that its Code has there.
 */
#include "cli/cli.h"
#include "cli/text.h"

#include <curl/curl.h>
#include <errno.h>
#include <locale.h>
#include <string.h>
#include <unistd.h>

/* EX_IOERR: standard output could not be written, so that what was asked for was not told. */
#define EXIT_OUTPUT 74

const struct verb *const verbs[] = {
    &verb_stop,  &verb_status,    &verb_show,        &verb_watch,  &verb_cancel,  &verb_clear,
    &verb_retry, &verb_may_start, &verb_certificate, &verb_events, &verb_version, &verb_help,
    NULL,
};

const struct verb *verb_find(const char *name)
{
    for (size_t i = 0; verbs[i]; i++)
        if (text_equal(verbs[i]->name, name))
            return verbs[i];
    return NULL;
}

void cli_print_json(json_object *document)
{
    puts(json_object_to_json_string_ext(document,
                                        JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    fflush(stdout);
}

void cli_print_error(const struct error *e)
{
    fputs("stopctl: ", stderr);
    text_print(stderr, error_message(e));
    fputc('\n', stderr);
}

static int refuse_verb(struct cli *cli, const char *name, struct error **err)
{
    _cleanup_(freep) char *list = NULL;
    size_t size;
    FILE *to = open_memstream(&list, &size);

    if (!to)
        return error_no_memory(err);
    for (size_t i = 0; verbs[i]; i++)
        fprintf(to, "%s%s", i > 0 ? ", " : "", verbs[i]->name);
    if (fclose(to) != 0)
        return error_no_memory(err);
    if (!name)
        return cli_usage(cli, err, "no verb; there are %s", list);
    return cli_usage(cli, err, "unknown verb '%s'; there are %s", name, list);
}

static int run(struct cli *cli, int argc, char **argv, struct error **err)
{
    static const struct option options[] = {
        {"version", no_argument, NULL, 'V'},
        COMMON_OPTIONS,
        {0},
    };
    int r = cli_option(cli, argc, argv, options, err);

    if (r < 0)
        return r;
    if (r == 'V') /* options behind it are still to be read */
        return verb_version.run(cli, argc, argv, err);
    cli->verb = verb_find(argv[optind]);
    if (!cli->verb)
        return refuse_verb(cli, argv[optind], err);
    argc -= optind;
    argv += optind;
    optind = 0; /* glibc: start afresh with this argv */
    return cli->verb->run(cli, argc, argv, err);
}

/* A program that reads standard output is told there as well. A stream of events only ends. */
static void print_error_document(const struct cli *cli, const struct error *e, int status)
{
    _cleanup_(json) json_object *document = json_object_new_object();
    json_object *error = json_object_new_object();
    const char *code = cli->code ? cli->code : error_public_code(error_code_of(e));

    if (json_add(document, "error", error) || json_add_string(error, "code", code) ||
        json_add_string(error, "message", error_message(e)) ||
        json_add_number(error, "exitStatus", (uint64_t)status))
        return;
    cli_print_json(document);
}

static bool wants_colors(int fd)
{
    const char *term = getenv("TERM");

    return isatty(fd) && !is_set(getenv("NO_COLOR")) && is_set(term) && !text_equal(term, "dumb");
}

int main(int argc, char **argv)
{
    _cleanup_(cli) struct cli cli = {.colors = wants_colors(STDOUT_FILENO)};
    _cleanup_(error_free) struct error *err = NULL;
    int status;

    setlocale(LC_ALL, "");
    opterr = 0;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    status = run(&cli, argc, argv, &err);
    if (status < 0) {
        status = error_exit_status(error_code_of(err));
        cli_print_error(err);
        if (cli.json && cli.verb != &verb_events && cli.verb != &verb_watch)
            print_error_document(&cli, err, status);
    }
    curl_global_cleanup();
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == 0) {
        fprintf(stderr, "stopctl: cannot write standard output: %s\n", strerror(errno));
        status = EXIT_OUTPUT;
    }
    return status;
}
