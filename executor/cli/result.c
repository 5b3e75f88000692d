/* result.c - see result.h
 *
 * What was commanded is the verb's name, what became of it the operation's own: a retry may be the
 * end of a stop or of a clear. */
#include "cli/result.h"
#include "cli/text.h"
#include "cli/transfer.h"

#include <inttypes.h>
#include <string.h>

static int exit_status_of(const struct followed *f)
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

/* ", vdb by write-zeroes": the disks that are in this state, with what is to be said of each. */
static void print_disks(FILE *to, const struct operation_view *v, const char *state,
                        const char *before, void (*print)(FILE *to, const struct disk_view *d))
{
    for (size_t i = 0; i < operation_view_disks(v); i++) {
        struct disk_view d;

        operation_view_disk(v, i, &d);
        if (!disk_view_is(&d, state))
            continue;
        fputs(before, to);
        print(to, &d);
        before = ", ";
    }
}

static void print_how(FILE *to, const struct disk_view *d)
{
    text_print(to, d->target);
    if (!is_set(d->method))
        return;
    fputs(" by ", to);
    text_print(to, d->method);
}

static void print_why_not(FILE *to, const struct disk_view *d)
{
    disk_view_print_name(to, d);
    if (!is_set(d->problem))
        return;
    fputs(": ", to);
    text_print(to, d->problem);
}

static void print_stopped(const struct cli *cli, const struct followed *f,
                          const struct operation_view *v)
{
    const char *cause = operation_view_cause(v);
    char elapsed[ELAPSED_TEXT_SIZE];

    print_name(f);
    printf("%s%s%s in %s", color_begin(cli->colors, COLOR_GOOD),
           operation_view_is_clear(v) ? "local disks cleared" : "stopped", color_end(cli->colors),
           elapsed_to_text(operation_view_elapsed(v, moment_now().realtime), elapsed));
    if (is_set(cause)) {
        fputs(" (", stdout);
        text_print(stdout, cause);
        putchar(')');
    }
    print_disks(stdout, v, "cleared",
                operation_view_is_clear(v) ? ": " : ", local disks cleared: ", print_how);
    putchar('\n');
}

/* It stands, and only an operator gets it on. */
static void print_quarantined(const struct cli *cli, const struct followed *f,
                              const struct operation_view *v)
{
    fprintf(stderr, "stopctl: %s ", cli->verb->name);
    text_print(stderr, f->name);
    fputs(": not cleared, and quarantined: ", stderr);
    print_disks(stderr, v, "quarantined", "", print_why_not);
    fprintf(stderr,
            "; stopctl show %s tells more, and once the cause is gone stopctl retry %s tries "
            "again\n",
            v->request_id, v->request_id);
}

/* An operation's Code is the table's where the table has it; a Code of another program's is only
 * told. */
static void print_failed(const struct cli *cli, const struct followed *f,
                         const struct operation_view *v)
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
    cli_explain(&e, "%s %s: %s after %s", cli->verb->name, f->name,
                is_cancelled ? "cancelled" : "failed", elapsed);
    cli_print_error(e);
}

/* Of a command in doubt: how to ask again without doing anything twice. */
static void print_doubt(const struct cli *cli, const struct followed *f)
{
    const char *token = parameters_get(&f->command, "ClientToken");
    const char *message = error_message(f->error), *name = cli->verb->name;
    _cleanup_(error_free) struct error *e = NULL;
    size_t length = strlen(message);

    if (length > 0 && message[length - 1] == '.')
        length--;
    if (token)
        error_set(&e, error_code_of(f->error),
                  "%s %s: %.*s; the same command with --token %s is safe to give again", name,
                  f->name, (int)length, message, token);
    else
        error_set(&e, error_code_of(f->error), "%s %s: %.*s; stopctl show ID tells", name, f->name,
                  (int)length, message);
    cli_print_error(e);
}

static void print_error(struct cli *cli, const struct followed *f)
{
    _cleanup_(error_free) struct error *e = NULL;
    bool is_unreachable = error_code_of(f->error) == ERROR_UNREACHABLE;

    if (f->in_doubt) {
        print_doubt(cli, f);
        return;
    }
    error_set(&e, error_code_of(f->error), "%s", error_message(f->error));
    if (f->request_id[0])
        error_context(&e, "%s %s", cli->verb->name, f->name);
    else if (is_unreachable && cli->told_unreachable)
        return;
    else
        cli_explain(&e, "%s %s", cli->verb->name, f->name);
    cli->told_unreachable |= is_unreachable;
    cli_print_error(e);
}

static void print_accepted(const struct cli *cli, const struct followed *f)
{
    print_name(f);
    if (f->validated)
        puts("would be stopped: every check passed, nothing was done");
    else
        printf("%s, RequestId %s\n",
               cli->verb == &verb_stop ? "stopping" : "clearing its local disks", f->request_id);
}

void result_print(struct cli *cli, const struct followed *f)
{
    struct operation_view view;

    if (f->error) {
        print_error(cli, f);
    } else if (f->operation && operation_view(f->operation, &view, NULL) == 0) {
        if (operation_view_quarantined(&view))
            print_quarantined(cli, f, &view);
        else if (!text_equal(view.outcome, "Stopped"))
            print_failed(cli, f, &view);
        else if (!cli->json)
            print_stopped(cli, f, &view);
    } else if (!cli->json) {
        print_accepted(cli, f);
    }
    fflush(stdout);
}

/* --- Those that are left ------------------------------------------------------------------- */

/* What is known of one that goes on by itself. */
enum left { LEFT_UNKNOWN, LEFT_CANCELLABLE, LEFT_FOR_GOOD };

static enum left left_of(const struct cli *cli, const struct followed *f)
{
    struct operation_view view = {.phase = ""};

    if (!f->request_id[0])
        return LEFT_UNKNOWN;
    if (f->operation)
        operation_view(f->operation, &view, NULL);
    return cli->verb == &verb_stop && !operation_view_clears(&view) ? LEFT_CANCELLABLE
                                                                    : LEFT_FOR_GOOD;
}

/* Whether there were any. */
static bool print_names(const struct cli *cli, const struct followed *all, size_t n,
                        enum left which, const char *before)
{
    bool any = false;

    for (size_t i = 0; i < n; i++) {
        if (all[i].step != FOLLOW_LEFT || left_of(cli, &all[i]) != which)
            continue;
        fputs(any ? ", " : before, stderr);
        text_print(stderr, all[i].name);
        any = true;
    }
    return any;
}

static void print_interrupted(const struct cli *cli, const struct followed *all, size_t n)
{
    if (print_names(cli, all, n, LEFT_CANCELLABLE, "stopctl: interrupted; the stop goes on of "))
        fputs(": stopctl cancel ID ends it, stopctl show ID tells how far it is\n", stderr);
    if (print_names(cli, all, n, LEFT_FOR_GOOD,
                    "stopctl: interrupted; local disks are still being cleared of "))
        fputs(": stopctl show ID tells how far it is\n", stderr);
    if (print_names(cli, all, n, LEFT_UNKNOWN,
                    "stopctl: interrupted; whether it was accepted is not known of the command "
                    "for "))
        fputs(": stopctl show ID tells\n", stderr);
}

static void print_left(const struct cli *cli, const struct followed *all, size_t n,
                       enum follow_end end, usec_t time_out)
{
    if (end == FOLLOW_INTERRUPTED) {
        print_interrupted(cli, all, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct operation_view view = {.phase = "accepted"};
        char phase[PHASE_TEXT_SIZE];

        if (all[i].step != FOLLOW_LEFT)
            continue;
        if (all[i].operation)
            operation_view(all[i].operation, &view, NULL);
        fprintf(stderr, "stopctl: %s ", cli->verb->name);
        text_print(stderr, all[i].name);
        fprintf(stderr, ": not finished within %" PRIu64 " s", time_out / USEC_PER_SEC);
        if (all[i].request_id[0])
            fprintf(stderr, ", still going on (%s); stopctl show %s tells how far it is\n",
                    operation_view_phase(&view, phase), all[i].request_id);
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

static bool is_finished(const struct followed *f)
{
    struct operation_view view;

    return f->operation && operation_view(f->operation, &view, NULL) == 0 &&
           operation_view_finished(&view);
}

static json_object *result_to_json(const struct followed *f)
{
    _cleanup_(json) json_object *result = json_object_new_object();

    if (!result || json_add_string(result, "instance", f->name) ||
        json_add_string(result, "requestId", f->request_id[0] ? f->request_id : NULL) ||
        json_add_string(result, "clientToken", parameters_get(&f->command, "ClientToken")) ||
        json_add_bool(result, "finished", is_finished(f)) ||
        json_add_bool(result, "validated", f->validated) ||
        json_add_number(result, "exitStatus", (uint64_t)exit_status_of(f)) ||
        add_error(result, f) || add_operation(result, f))
        return NULL;
    return take(result);
}

static int print_json(const struct followed *all, size_t n, int exit_status, struct error **err)
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

int result_of_following(struct cli *cli, struct followed *all, size_t n,
                        const struct follow_plan *plan, struct error **err)
{
    enum follow_end end;
    int status = 0, r = follow(cli, all, n, plan, &end, err);

    if (r < 0)
        return r;
    print_left(cli, all, n, end, plan->time_out);
    for (size_t i = 0; i < n; i++)
        status = exit_status_worse(status, exit_status_of(&all[i]));
    if (end == FOLLOW_INTERRUPTED)
        status = EXIT_STATUS_INTERRUPTED;
    if (cli->json)
        r = print_json(all, n, status, err);
    return r < 0 ? r : status;
}
