/* result.c - see result.h */
#include "cli/result.h"
#include "cli/transfer.h"
#include "cli/text.h"

#include <inttypes.h>
#include <string.h>

int result_exit_status(const struct followed *f)
{
    struct operation_view view;

    if (f->error)
        return error_exit_status(error_code_of(f->error));
    if (f->step == FOLLOW_LEFT)
        return EXIT_STATUS_STILL_GOING_ON;
    if (f->operation && operation_view(f->operation, &view, NULL) == 0)
        return operation_view_exit_status(&view);
    return 0; /* accepted, or a dry run that passed */
}

/* --- Lines --------------------------------------------------------------------------------- */

static void print_name(const struct followed *f)
{
    text_print(stdout, f->name);
    fputs(": ", stdout);
}

static void print_stopped(const struct cli *cli, const struct followed *f,
                          const struct operation_view *v)
{
    const char *cause = operation_view_cause(v);
    char elapsed[ELAPSED_TEXT_SIZE];

    print_name(f);
    printf("%sstopped%s in %s", color_begin(cli->colors, COLOR_GOOD), color_end(cli->colors),
           elapsed_to_text(operation_view_elapsed(v, moment_now().realtime), elapsed));
    if (is_set(cause)) {
        fputs(" (", stdout);
        text_print(stdout, cause);
        putchar(')');
    }
    putchar('\n');
}

/* An operation's Code is the table's where the table has it; a Code of another program's is only
 * told. */
static void print_failed(const struct followed *f, const struct operation_view *v)
{
    _cleanup_(error_free) struct error *e = NULL;
    enum error_code code = transfer_error_code(v->error_code, 500);
    bool is_cancelled = text_equal(v->outcome, "Cancelled");
    char elapsed[ELAPSED_TEXT_SIZE];

    if (!text_equal(error_public_code(code), v->error_code))
        code = ERROR_UNSUPPORTED;
    elapsed_to_text(operation_view_elapsed(v, moment_now().realtime), elapsed);
    error_set(&e, code, "%s: %s", is_set(v->error_code) ? v->error_code : v->outcome,
              v->error_message);
    cli_explain(&e, "stop %s: %s after %s", f->name, is_cancelled ? "cancelled" : "failed",
                elapsed);
    cli_print_error(e);
}

/* Of a command in doubt: how to ask again without stopping anything twice. */
static void print_doubt(const struct followed *f)
{
    _cleanup_(error_free) struct error *e = NULL;
    const char *message = error_message(f->error);
    size_t length = strlen(message);

    if (length > 0 && message[length - 1] == '.')
        length--;
    error_set(&e, error_code_of(f->error),
              "stop %s: %.*s; the same command with --token %s is safe to give again", f->name,
              (int)length, message, parameters_get(&f->command, "ClientToken"));
    cli_print_error(e);
}

static void print_error(struct cli *cli, const struct followed *f)
{
    _cleanup_(error_free) struct error *e = NULL;
    bool is_unreachable = error_code_of(f->error) == ERROR_UNREACHABLE;

    if (f->in_doubt) {
        print_doubt(f);
        return;
    }
    error_set(&e, error_code_of(f->error), "%s", error_message(f->error));
    if (f->request_id[0])
        error_context(&e, "stop %s", f->name);
    else if (is_unreachable && cli->told_unreachable)
        return;
    else
        cli_explain(&e, "stop %s", f->name);
    cli->told_unreachable |= is_unreachable;
    cli_print_error(e);
}

void result_print(struct cli *cli, const struct followed *f)
{
    struct operation_view view;

    if (f->error) {
        print_error(cli, f);
    } else if (f->operation && operation_view(f->operation, &view, NULL) == 0) {
        if (!text_equal(view.outcome, "Stopped"))
            print_failed(f, &view);
        else if (!cli->json)
            print_stopped(cli, f, &view);
    } else if (!cli->json) {
        print_name(f);
        if (f->validated)
            puts("would be stopped: every check passed, nothing was done");
        else
            printf("stopping, RequestId %s\n", f->request_id);
    }
    fflush(stdout);
}

static void print_names(const struct followed *all, size_t n, bool accepted)
{
    bool first = true;

    for (size_t i = 0; i < n; i++) {
        if (all[i].step != FOLLOW_LEFT || (all[i].request_id[0] != '\0') != accepted)
            continue;
        fputs(first ? "" : ", ", stderr);
        text_print(stderr, all[i].name);
        first = false;
    }
}

static size_t count_left(const struct followed *all, size_t n, bool accepted)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += all[i].step == FOLLOW_LEFT && (all[i].request_id[0] != '\0') == accepted;
    return count;
}

static void print_interrupted(const struct followed *all, size_t n)
{
    if (count_left(all, n, true) > 0) {
        fputs("stopctl: interrupted; the stop goes on of ", stderr);
        print_names(all, n, true);
        fputs(": stopctl cancel ID ends it, stopctl show ID tells how far it is\n", stderr);
    }
    if (count_left(all, n, false) > 0) {
        fputs("stopctl: interrupted; whether it was accepted is not known of the stop of ", stderr);
        print_names(all, n, false);
        fputs(": stopctl show ID tells\n", stderr);
    }
}

void result_print_left(const struct followed *all, size_t n, enum follow_end end, usec_t time_out)
{
    if (end == FOLLOW_INTERRUPTED) {
        print_interrupted(all, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct operation_view view = {.phase = "accepted"};

        if (all[i].step != FOLLOW_LEFT)
            continue;
        if (all[i].operation)
            operation_view(all[i].operation, &view, NULL);
        fputs("stopctl: stop ", stderr);
        text_print(stderr, all[i].name);
        fprintf(stderr, ": not finished within %" PRIu64 " s", time_out / USEC_PER_SEC);
        if (all[i].request_id[0])
            fprintf(stderr, ", still going on (%s); stopctl show %s tells how far it is\n",
                    view.phase, all[i].request_id);
        else
            fputs(", nor is it known whether it was accepted; stopctl show ID tells\n", stderr);
    }
}

/* --- The document -------------------------------------------------------------------------- */

static int add_error(json_object *result, const struct followed *f)
{
    json_object *error;

    if (!f->error)
        return json_add_string(result, "error", NULL);
    error = json_object_new_object();
    return json_add(result, "error", error) ||
           json_add_string(error, "code",
                           f->code ? f->code : error_public_code(error_code_of(f->error))) ||
           json_add_string(error, "message", error_message(f->error));
}

/* null for an operation that has not been seen. */
static int add_operation(json_object *result, const struct followed *f)
{
    if (!f->operation)
        return json_add_string(result, "operation", NULL);
    return json_add(result, "operation", json_object_get(f->operation));
}

static json_object *result_to_json(const struct followed *f)
{
    _cleanup_(json) json_object *result = json_object_new_object();

    if (!result || json_add_string(result, "instance", f->name) ||
        json_add_string(result, "requestId", f->request_id[0] ? f->request_id : NULL) ||
        json_add_string(result, "clientToken", parameters_get(&f->command, "ClientToken")) ||
        json_add_bool(result, "finished",
                      f->step == FOLLOW_ENDED && f->operation != NULL && !f->error) ||
        json_add_bool(result, "validated", f->validated) ||
        json_add_number(result, "exitStatus", (uint64_t)result_exit_status(f)) ||
        add_error(result, f) || add_operation(result, f))
        return NULL;
    return take(result);
}

int result_print_json(const struct followed *all, size_t n, int exit_status, struct error **err)
{
    _cleanup_(json) json_object *document = json_object_new_object();
    json_object *results = json_object_new_array();

    if (json_add(document, "results", results))
        return error_no_memory(err);
    for (size_t i = 0; i < n; i++)
        if (json_append(results, result_to_json(&all[i])))
            return error_no_memory(err);
    if (json_add_number(document, "exitStatus", (uint64_t)exit_status))
        return error_no_memory(err);
    cli_print_json(document);
    return 0;
}
