/* status.c - stopctl status: the instances of this host and what state each is in */
#include "cli/transfer.h"
#include "cli/text.h"

#include <errno.h>
#include <string.h>

static const char details[] =
    "A '?' behind a state: libvirt cannot be asked, this is the last that is known.\n";

static const char *text_of(json_object *object, const char *key)
{
    const char *text = NULL;

    return json_get_string(object, key, &text) == 0 ? text : NULL;
}

static void add_row(struct table *t, json_object *instance)
{
    const char *state = text_of(instance, "state");
    bool certain = true;
    char marked[32];

    json_get_bool(instance, "certain", &certain);
    snprintf(marked, sizeof(marked), "%s%s", state ? state : "", certain ? "" : "?");
    table_add(t, text_of(instance, "instanceId"));
    table_add(t, text_of(instance, "name"));
    table_add(t, marked);
    table_add(t, text_of(instance, "detail"));
    table_add(t, text_of(instance, "operation"));
}

static int print_table(json_object *answer, struct error **err)
{
    static const char *const heads[] = {"ID", "NAME", "STATE", "DETAIL", "OPERATION"};
    _cleanup_(table) struct table t = {.columns = ELEMENTSOF(heads)};
    json_object *list = NULL;

    for (size_t i = 0; i < ELEMENTSOF(heads); i++)
        table_add(&t, heads[i]);
    if (json_get_array(answer, "instances", &list) == 0)
        for (size_t i = 0; i < json_object_array_length(list); i++)
            add_row(&t, json_object_array_get_idx(list, i));
    else if (text_of(answer, "instanceId"))
        add_row(&t, answer);
    else
        return error_set(err, ERROR_UNREACHABLE,
                         "status: what the daemon answered has no instances");
    return table_print(&t, stdout) < 0 ? error_no_memory(err) : 0;
}

static int run(struct cli *cli, int argc, char **argv, struct error **err)
{
    _cleanup_(freep) char *path = NULL;
    _cleanup_(json) json_object *answer = NULL;
    const char *id;
    int r = cli_arguments(cli, argc, argv, 0, 1, err);

    if (r < 0)
        return r;
    id = argv[optind];
    path = id ? transfer_path("/v1/instances/", id, "") : strdup("/v1/instances");
    if (!path)
        return error_no_memory(err);
    if (transfer_get(cli, path, &answer, err) < 0)
        return cli_explain(err, "status%s%s", id ? " of " : "", id ? id : "");
    if (!cli->json)
        return print_table(answer, err);
    cli_print_json(answer);
    return 0;
}

const struct verb verb_status = {
    "status", "[ID]", "The instances of this host, or one, and their states.", details, run};
