/* sinks.c - see sinks.h */
#include "cli/sinks.h"

#include "cli/document.h"
#include "cli/text.h"
#include "cli/transfer.h"

#include <inttypes.h>

#define PAGE 500

/* --- The list -------------------------------------------------------------------------------- */

static const char *const heads[] = {"SINK", "SEQUENCE", "REFUSED", "INSTANCE",
                                    "TYPE", "STATE",    "REASON"};

static void add_row(struct table *t, const char *sink, json_object *letter)
{
    json_object *event = document_object(letter, "event");
    char number[24], at[LOCAL_TIME_SIZE];
    bool replay = false;

    json_get_bool(letter, "replay", &replay);
    snprintf(number, sizeof(number), "%" PRIu64, document_number(letter, "sequence"));
    table_add(t, sink);
    table_add(t, number);
    table_add(t, local_time_to_text(document_time(letter, "at"), at));
    table_add(t, document_text(event, "subject"));
    table_add(t, document_text(event, "type"));
    table_add(t, replay ? "sent again" : "kept");
    table_add(t, document_text(letter, "reason"));
}

/* With its sink, which the path has told. */
static int print_document(const char *sink, json_object *letter, struct error **err)
{
    if (json_add_string(letter, "sink", sink) < 0)
        return error_no_memory(err);
    cli_print_json(letter);
    return 0;
}

/* One page; *n is how many came. */
static int add_page(struct cli *cli, struct table *t, const char *sink, uint64_t *after, size_t *n,
                    struct error **err)
{
    _cleanup_(json) json_object *answer = NULL;
    _cleanup_(freep) char *path = NULL;
    char range[64];
    int r;

    snprintf(range, sizeof(range), "/dead-letters?after=%" PRIu64 "&limit=%d", *after, PAGE);
    path = transfer_path("/v1/sinks/", sink, range);
    r = path ? transfer_get(cli, path, &answer, err) : error_no_memory(err);
    if (r < 0)
        return r;
    *n = document_count(answer, "deadLetters");
    for (size_t i = 0; i < *n && r == 0; i++) {
        json_object *letter = document_element(answer, "deadLetters", i);
        uint64_t sequence = document_number(letter, "sequence");

        if (sequence <= *after)
            return error_set(err, ERROR_UNREACHABLE, "the daemon's dead letters are out of order");
        *after = sequence;
        if (cli->json)
            r = print_document(sink, letter, err);
        else
            add_row(t, sink, letter);
    }
    return r;
}

static int add_letters(struct cli *cli, struct table *t, const char *sink, struct error **err)
{
    uint64_t after = 0;
    size_t n = 1;
    int r = 0;

    while (n > 0 && r == 0)
        r = add_page(cli, t, sink, &after, &n, err);
    return r;
}

/* Those of every sink that has any. */
static int add_all(struct cli *cli, struct table *t, struct error **err)
{
    _cleanup_(json) json_object *answer = NULL;
    int r = transfer_get(cli, "/v1/sinks", &answer, err);

    for (size_t i = 0; r == 0 && i < document_count(answer, "sinks"); i++) {
        json_object *sink = document_element(answer, "sinks", i);

        if (document_number(sink, "deadLetters") > 0)
            r = add_letters(cli, t, document_text(sink, "name"), err);
    }
    return r;
}

int sinks_print_letters(struct cli *cli, const char *sink, struct error **err)
{
    _cleanup_(table) struct table t = {.columns = ELEMENTSOF(heads)};
    int r;

    for (size_t i = 0; i < ELEMENTSOF(heads); i++)
        table_add(&t, heads[i]);
    r = sink ? add_letters(cli, &t, sink, err) : add_all(cli, &t, err);
    if (r < 0 || cli->json)
        return r;
    return table_print(&t, stdout) < 0 ? error_no_memory(err) : 0;
}

/* --- Sending again, dropping ----------------------------------------------------------------- */

int sinks_replay(struct cli *cli, const char *sink, uint64_t after, struct error **err)
{
    _cleanup_(freep) char *path = transfer_path("/v1/sinks/", sink, "/replay");
    _cleanup_(transfer_free) struct transfer *x = NULL;
    char document[64];
    int r;

    snprintf(document, sizeof(document), "{\"after\":%" PRIu64 "}", after);
    r = path ? transfer_new(cli, path, NULL, 0, &x, err) : error_no_memory(err);
    if (r == 0)
        r = transfer_set_document(x, document, err);
    if (r == 0)
        r = transfer_finish(cli, x, curl_easy_perform(x->easy), err);
    if (r < 0)
        return r;
    if (cli->json) {
        cli_print_json(x->answer);
        return 0;
    }
    text_print(stdout, sink);
    printf(": the events behind %" PRIu64 " are sent once more\n", after);
    return 0;
}

/* One request; *n: how many dead letters it was about. */
static int command(struct cli *cli, const char *sink, const char *rest, uint64_t *n,
                   struct error **err)
{
    _cleanup_(freep) char *path = transfer_path("/v1/sinks/", sink, rest);
    _cleanup_(json) json_object *answer = NULL;
    int r = path ? transfer_post(cli, path, &answer, err) : error_no_memory(err);

    if (r == 0)
        *n = document_number(answer, "deadLetters");
    return r;
}

static int print_number(struct cli *cli, const char *sink, bool drop, uint64_t n,
                        struct error **err)
{
    _cleanup_(json) json_object *o = NULL;

    if (!cli->json) {
        text_print(stdout, sink);
        printf(": %" PRIu64 " dead %s %s\n", n, n == 1 ? "letter" : "letters",
               drop     ? "dropped"
               : n == 1 ? "is sent again"
                        : "are sent again");
        return 0;
    }
    o = json_object_new_object();
    if (!o || json_add_string(o, "sink", sink) || json_add_number(o, "deadLetters", n))
        return error_no_memory(err);
    cli_print_json(o);
    return 0;
}

/* The daemon takes some of all at a time. */
int sinks_command_letters(struct cli *cli, const char *sink, bool drop, const uint64_t *sequences,
                          size_t n, struct error **err)
{
    const char *verb = drop ? "drop" : "replay";
    uint64_t some = 1, sum = 0;
    char rest[64];
    int r = 0;

    for (size_t i = 0; i < n && r == 0; i++) {
        snprintf(rest, sizeof(rest), "/dead-letters/%" PRIu64 "/%s", sequences[i], verb);
        r = command(cli, sink, rest, &some, err);
        sum += r == 0 ? some : 0;
        if (r < 0)
            error_context(err, "%" PRIu64, sequences[i]);
    }
    snprintf(rest, sizeof(rest), "/dead-letters/all/%s", verb);
    while (n == 0 && some > 0 && r == 0) {
        r = command(cli, sink, rest, &some, err);
        sum += some;
    }
    return r < 0 ? r : print_number(cli, sink, drop, sum, err);
}
