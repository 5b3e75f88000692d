/* version.c - stopctl version: this program's, with no daemon asked */
#include "cli/cli.h"

static int run(struct cli *cli, int argc, char **argv, struct error **err)
{
    _cleanup_(json) json_object *document = NULL;
    int r = cli_arguments(cli, argc, argv, 0, 0, err);

    if (r < 0)
        return r;
    if (!cli->json) {
        puts("stopctl " STOPD_VERSION);
        return 0;
    }
    document = json_object_new_object();
    if (!document || json_add_string(document, "version", STOPD_VERSION))
        return error_no_memory(err);
    cli_print_json(document);
    return 0;
}

const struct verb verb_version = {"version", "", "The version of stopctl.", "", run};
