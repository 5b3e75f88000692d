/* may-start.c - stopctl may-start: is a clear of its local disks owed, so that it must not start?
 *
 * The answer is the exit status, for scripts. libvirt's hook does not ask here: it has to answer at
 * autostart and while the daemon is down, and reads the daemon's marker files.
 */
#include "cli/operation-view.h"
#include "cli/text.h"
#include "cli/transfer.h"

static const char details[] =
    "Exit status 0: it may start. 76: a clear of its local disks is owed. 69: the daemon is not\n"
    "reached, and it is not known.\n";

/* What an operation owes, "vdb (/dev/nvme1n1), vdc (/dev/nvme2n1)", and how far it is. */
static void print_owed(const struct operation_view *v)
{
    const char *before = "";
    char phase[PHASE_TEXT_SIZE];

    for (size_t i = 0; i < operation_view_disks(v); i++) {
        struct disk_view d;

        operation_view_disk(v, i, &d);
        if (disk_view_is(&d, "cleared"))
            continue;
        fputs(before, stderr);
        disk_view_print_name(stderr, &d);
        before = ", ";
    }
    fprintf(stderr, "; its phase is %s", operation_view_phase(v, phase));
}

/* An operation that cannot be read is owed all the same. */
static void print_refusal(const char *id, const char *owed, json_object *operation)
{
    struct operation_view view;

    fputs("stopctl: may-start ", stderr);
    text_print(stderr, id);
    fprintf(stderr, ": it may not: RequestId %s owes a clear of ", owed);
    if (operation && operation_view(operation, &view, NULL) == 0) {
        print_owed(&view);
        fprintf(stderr, "; stopctl show %s tells more\n", owed);
        return;
    }
    fputs("its local disks; where stopd does not know of that any more, stopctl clear ", stderr);
    text_print(stderr, id);
    fputs(" --confirm ends it\n", stderr);
}

static int print_as_json(const char *id, const char *owed, json_object *operation,
                         struct error **err)
{
    _cleanup_(json) json_object *document = json_object_new_object();
    json_object *storage = NULL;

    json_get_array(operation, "storage", &storage);
    if (!document || json_add_string(document, "instanceId", id) ||
        json_add_bool(document, "mayStart", !owed) || json_add_string(document, "owed", owed) ||
        json_add(document, "storage", storage ? json_object_get(storage) : json_object_new_array()))
        return error_no_memory(err);
    cli_print_json(document);
    return 0;
}

static json_object *get_operation(struct cli *cli, const char *request_id)
{
    _cleanup_(freep) char *path = transfer_path("/v1/operations/", request_id, "");
    json_object *operation = NULL;

    if (!path || transfer_get(cli, path, &operation, NULL) < 0)
        return NULL;
    return operation;
}

static int run(struct cli *cli, int argc, char **argv, struct error **err)
{
    _cleanup_(freep) char *path = NULL;
    _cleanup_(json) json_object *instance = NULL, *operation = NULL;
    const char *id, *owed;
    int r = cli_arguments(cli, argc, argv, 1, 1, err);

    if (r < 0)
        return r;
    id = argv[optind];
    path = transfer_path("/v1/instances/", id, "");
    if (!path)
        return error_no_memory(err);
    if (transfer_get(cli, path, &instance, err) < 0)
        return cli_explain(err, "may-start %s", id);
    /* Silence is no yes. */
    if (json_get_string(instance, "owed", &owed) < 0)
        return error_set(err, ERROR_UNREACHABLE,
                         "may-start %s: the daemon does not say whether a clear is owed", id);
    if (owed)
        operation = get_operation(cli, owed);
    if (cli->json)
        r = print_as_json(document_text(instance, "instanceId"), owed, operation, err);
    else if (owed)
        print_refusal(id, owed, operation);
    if (r < 0)
        return r;
    return owed ? error_exit_status(ERROR_CONFLICT) : 0;
}

const struct verb verb_may_start = {"may-start", "ID",
                                    "Whether no clear of its local disks is owed.", details, run};
