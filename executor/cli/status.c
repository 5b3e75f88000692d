/* status.c - stopctl status: the instances of this host and what state each is in */
#include "cli/operation-view.h"
#include "cli/text.h"
#include "cli/transfer.h"
#include "cli/underway.h"

#include <string.h>

static const char details[] =
    "A '?' behind a state: libvirt cannot be asked, this is the last that is known. A phase is\n"
    "that of the operation under way, with how much of its local disks is cleared.\n";

/* "" where it is in none, or that cannot be told. */
static const char *phase_of(json_object *instance, json_object *underway,
                            char ret[static PHASE_TEXT_SIZE])
{
    json_object *operation = NULL;
    struct operation_view view;

    if (!json_object_object_get_ex(underway, document_text(instance, "operation"), &operation) ||
        operation_view(operation, &view, NULL) < 0)
        return "";
    return operation_view_phase(&view, ret);
}

static void add_row(struct table *t, json_object *instance, json_object *underway)
{
    bool certain = true;
    char marked[32], phase[PHASE_TEXT_SIZE];

    json_get_bool(instance, "certain", &certain);
    snprintf(marked, sizeof(marked), "%s%s", document_text(instance, "state"), certain ? "" : "?");
    table_add(t, document_text(instance, "instanceId"));
    table_add(t, document_text(instance, "name"));
    table_add(t, marked);
    table_add(t, document_text(instance, "detail"));
    table_add(t, phase_of(instance, underway, phase));
    table_add(t, document_text(instance, "operation"));
}

static int compare_ids(const void *a, const void *b)
{
    return text_compare_natural(document_text(*(json_object *const *)a, "instanceId"),
                                document_text(*(json_object *const *)b, "instanceId"));
}

/* One instance is a list of one. NULL: the answer is neither. */
static json_object *instances_of(json_object *answer)
{
    json_object *list = NULL;

    if (json_get_array(answer, "instances", &list) == 0)
        return json_object_get(list);
    if (!is_set(document_text(answer, "instanceId")))
        return NULL;
    list = json_object_new_array();
    json_append(list, json_object_get(answer));
    return list;
}

static int print_table(struct cli *cli, json_object *answer, struct error **err)
{
    static const char *const heads[] = {"ID", "NAME", "STATE", "DETAIL", "PHASE", "OPERATION"};
    _cleanup_(table) struct table t = {.columns = ELEMENTSOF(heads)};
    _cleanup_(json) json_object *list = instances_of(answer), *underway = NULL;

    if (!list)
        return error_set(err, ERROR_UNREACHABLE,
                         "status: what the daemon answered has no instances");
    underway = underway_load(cli, list);
    json_object_array_sort(list, compare_ids);
    for (size_t i = 0; i < ELEMENTSOF(heads); i++)
        table_add(&t, heads[i]);
    for (size_t i = 0; i < json_object_array_length(list); i++)
        add_row(&t, json_object_array_get_idx(list, i), underway);
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
        return print_table(cli, answer, err);
    cli_print_json(answer);
    return 0;
}

const struct verb verb_status = {
    "status", "[ID]", "The instances of this host, or one, and their states.", details, run};
