/* underway.c - see underway.h
 *
 * Stops that are under way are had with one request. A clear of kept disks is not among them, for
 * its instance is Stopped: those few are asked for one by one. */
#include "cli/underway.h"
#include "cli/document.h"
#include "cli/transfer.h"

#define MOST 1000

static void add(json_object *all, json_object *operation)
{
    const char *id = document_text(operation, "requestId");

    if (is_set(id))
        json_add(all, id, json_object_get(operation));
}

static void add_stops(struct cli *cli, json_object *all)
{
    _cleanup_(json) json_object *answer = NULL;
    char path[64];

    snprintf(path, sizeof(path), "/v1/operations?state=Stopping&limit=%d", MOST);
    if (transfer_get(cli, path, &answer, NULL) < 0)
        return;
    for (size_t i = 0; i < document_count(answer, "operations"); i++)
        add(all, document_element(answer, "operations", i));
}

static void add_one(struct cli *cli, json_object *all, const char *id)
{
    _cleanup_(freep) char *path = transfer_path("/v1/operations/", id, "");
    _cleanup_(json) json_object *operation = NULL;

    if (path && transfer_get(cli, path, &operation, NULL) == 0)
        add(all, operation);
}

json_object *underway_load(struct cli *cli, json_object *instances)
{
    json_object *all = json_object_new_object();
    bool asked = false;

    for (size_t i = 0; all && i < json_object_array_length(instances); i++) {
        json_object *instance = json_object_array_get_idx(instances, i);
        const char *id = document_text(instance, "operation");

        if (!is_set(id))
            continue;
        if (!asked)
            add_stops(cli, all);
        asked = true;
        if (!json_object_object_get_ex(all, id, NULL))
            add_one(cli, all, id);
    }
    return all;
}
