/* show.c - stopctl show: one stop or clear, its local disks, and what happened in it, in its order
 */
#include "cli/operation-view.h"
#include "cli/show-storage.h"
#include "cli/text.h"

static const char details[] =
    "Of an instance, its newest stop or clear. Times in the timeline count from its acceptance.\n";

static void print_field(const char *name, const char *value)
{
    if (!is_set(value))
        return;
    printf("%-13s ", name);
    text_print(stdout, value);
    putchar('\n');
}

/* "2026-11-24 10:23:45 (+3.2 s)" */
static void print_time(const char *name, usec_t at, usec_t accepted)
{
    char time[LOCAL_TIME_SIZE], after[ELAPSED_TEXT_SIZE];

    if (at == 0)
        return;
    printf("%-13s %s", name, local_time_to_text(at, time));
    if (at != accepted)
        printf(" (+%s)", elapsed_to_text(at > accepted ? at - accepted : 0, after));
    putchar('\n');
}

static void print_error(const struct operation_view *v)
{
    _cleanup_(freep) char *text = NULL;

    if (is_set(v->error_code) && asprintf(&text, "%s: %s", v->error_code, v->error_message) > 0)
        print_field("Error:", text);
}

static void print_fields(const struct operation_view *v)
{
    char phase[PHASE_TEXT_SIZE];

    print_field("RequestId:", v->request_id);
    print_field("Instance:", v->instance_id);
    print_field("Action:", operation_view_is_clear(v) ? v->action : "");
    print_field("State:", v->state);
    print_field("Phase:", operation_view_phase(v, phase));
    print_field("Waits for:", v->detail);
    print_field("Outcome:", v->outcome);
    print_error(v);
    if (!operation_view_is_clear(v)) {
        print_field("Power cut:", v->force_stop ? "commanded" : "not commanded");
        print_field("By:", v->forced_by);
        print_field("StoppedMode:", v->stopped_mode);
    }
    print_field("Commanded by:", v->principal);
    print_time("Accepted:", v->accepted_at, v->accepted_at);
    print_time("Off:", v->off_at, v->accepted_at);
    print_time("Finished:", v->finished_at, v->accepted_at);
}

static int print_timeline(const struct operation_view *v, struct error **err)
{
    _cleanup_(table) struct table t = {.columns = 3};
    size_t n = document_count(v->document, "timeline");

    for (size_t i = 0; i < n; i++) {
        json_object *entry = document_element(v->document, "timeline", i);
        char after[ELAPSED_TEXT_SIZE], relative[ELAPSED_TEXT_SIZE + 8];
        usec_t at = v->accepted_at;

        json_get_time(entry, "at", &at);
        snprintf(relative, sizeof(relative), "  +%s",
                 elapsed_to_text(at > v->accepted_at ? at - v->accepted_at : 0, after));
        table_add(&t, relative);
        table_add(&t, document_text(entry, "what"));
        table_add(&t, document_text(entry, "detail"));
    }
    if (n > 0)
        puts("Timeline:");
    return table_print(&t, stdout) < 0 ? error_no_memory(err) : 0;
}

static int run(struct cli *cli, int argc, char **argv, struct error **err)
{
    _cleanup_(json) json_object *operation = NULL;
    struct operation_view view;
    int r = cli_arguments(cli, argc, argv, 1, 1, err);

    if (r < 0)
        return r;
    if (operation_find(cli, argv[optind], OPERATION_NEWEST, &operation, err) < 0 ||
        operation_view(operation, &view, err) < 0)
        return cli_explain(err, "show %s", argv[optind]);
    if (cli->json) {
        cli_print_json(operation);
        return 0;
    }
    print_fields(&view);
    show_storage(&view);
    return print_timeline(&view, err);
}

const struct verb verb_show = {"show", "ID|REQUEST", "One stop, its local disks and its timeline.",
                               details, run};
