/* help.c - stopctl help: what the verbs are, and each one's options */
#include "cli/cli.h"

static const char common[] =
    "      --json            machine-readable output: one document, or one a line\n"
    "      --socket PATH     the daemon's socket (default: api.socket of the configuration)\n"
    "      --config FILE     read this configuration instead of /etc/stopd\n"
    "  -h, --help            this text\n";

void verb_print_help(const struct verb *verb, FILE *to)
{
    fprintf(to, "Usage: stopctl %s%s%s [OPTION...]\n\n%s\n\n%s%s%s", verb->name,
            is_set(verb->arguments) ? " " : "", verb->arguments, verb->summary, verb->details,
            is_set(verb->details) ? "\n" : "", common);
}

void verbs_print_help(FILE *to)
{
    fputs("Usage: stopctl VERB [ARGUMENT...] [OPTION...]\n\n"
          "Stop virtual machines properly, and see how it goes.\n\n",
          to);
    for (size_t i = 0; verbs[i]; i++)
        fprintf(to, "  %-11s %-13s %s\n", verbs[i]->name, verbs[i]->arguments, verbs[i]->summary);
    fprintf(to, "\n%s      --version         the same as the verb\n\n", common);
    fputs("stopctl help VERB tells a verb's options; stopctl(1) what the exit statuses mean.\n",
          to);
}

static int print_as_json(struct error **err)
{
    _cleanup_(json) json_object *document = json_object_new_object();
    json_object *list = json_object_new_array();

    if (json_add(document, "verbs", list))
        return error_no_memory(err);
    for (size_t i = 0; verbs[i]; i++) {
        json_object *verb = json_object_new_object();

        if (json_append(list, verb) || json_add_string(verb, "name", verbs[i]->name) ||
            json_add_string(verb, "arguments", verbs[i]->arguments) ||
            json_add_string(verb, "summary", verbs[i]->summary))
            return error_no_memory(err);
    }
    cli_print_json(document);
    return 0;
}

static int run(struct cli *cli, int argc, char **argv, struct error **err)
{
    const struct verb *verb;
    int r = cli_arguments(cli, argc, argv, 0, 1, err);

    if (r < 0)
        return r;
    if (cli->json)
        return print_as_json(err);
    if (optind == argc) {
        verbs_print_help(stdout);
        return 0;
    }
    verb = verb_find(argv[optind]);
    if (!verb)
        return cli_usage(cli, err, "there is no verb '%s'", argv[optind]);
    verb_print_help(verb, stdout);
    return 0;
}

const struct verb verb_help = {"help", "[VERB]", "What the verbs are, and each one's options.", "",
                               run};
