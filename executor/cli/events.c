/* events.c - stopctl events: what was reported upstream, as far as the daemon still keeps it */
#include "cli/stream.h"
#include "cli/transfer.h"
#include "core/command.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define PAGE 500

enum { OPTION_AFTER = 1, OPTION_FOLLOW };

static const struct option options[] = {
    {"after", required_argument, NULL, OPTION_AFTER},
    {"follow", no_argument, NULL, OPTION_FOLLOW},
    COMMON_OPTIONS,
    {0},
};

static const char details[] =
    "Oldest first; with --json each is a CloudEvent on a line of its own.\n"
    "\n"
    "      --after N         only events behind this sequence\n"
    "      --follow          then go on with new ones, until interrupted\n";

static void print_event(void *userdata, json_object *event)
{
    struct cli *cli = userdata;

    if (cli->json)
        cli_print_json(event);
    else
        event_print(event, stdout);
    fflush(stdout);
}

static void tell_away(void *userdata)
{
    fputs("stopctl: events: the daemon is away, waiting for it\n", stderr);
}

/* One page; *n is how many came. */
static int print_page(struct cli *cli, uint64_t *after, size_t *n, struct error **err)
{
    _cleanup_(json) json_object *answer = NULL;
    json_object *list = NULL;
    char path[64];
    int r;

    snprintf(path, sizeof(path), "/v1/events?after=%" PRIu64 "&limit=%d", *after, PAGE);
    r = transfer_get(cli, path, &answer, err);
    if (r < 0)
        return r;
    if (json_get_array(answer, "events", &list) < 0)
        return error_set(err, ERROR_UNREACHABLE, "what the daemon answered has no events");
    *n = json_object_array_length(list);
    for (size_t i = 0; i < *n; i++) {
        json_object *event = json_object_array_get_idx(list, i);
        uint64_t sequence = event_sequence(event);

        if (sequence <= *after)
            return error_set(err, ERROR_UNREACHABLE, "the daemon's events are out of order");
        print_event(cli, event);
        *after = sequence;
    }
    return 0;
}

/* As it is, or padded with zeros the way that an event has it. */
static int read_after(struct cli *cli, const char *text, uint64_t *ret, struct error **err)
{
    size_t zeros = strspn(text, "0");

    *ret = 0;
    if (zeros > 0 && text[zeros] == '\0')
        return 0;
    if (parameter_integer("--after", text + zeros, 1, INT64_MAX, ret, NULL) < 0)
        return cli_usage(cli, err, "--after must be an event's sequence, not '%s'", text);
    return 0;
}

static int run(struct cli *cli, int argc, char **argv, struct error **err)
{
    struct stream stream = {.each = print_event, .away = tell_away, .userdata = cli};
    bool follow = false;
    size_t n = 1;
    int option;

    while ((option = cli_option(cli, argc, argv, options, err)) > 0) {
        if (option == OPTION_FOLLOW)
            follow = true;
        else if (read_after(cli, optarg, &stream.after, err) < 0)
            return -EINVAL;
    }
    if (option < 0)
        return option;
    if (optind < argc)
        return cli_usage(cli, err, "'%s' is too much", argv[optind]);
    while (n > 0)
        if (print_page(cli, &stream.after, &n, err) < 0)
            return cli_explain(err, "events");
    if (follow && stream_follow(cli, &stream, err) < 0)
        return cli_explain(err, "events");
    return 0;
}

const struct verb verb_events = {"events", "", "The events that were reported.", details, run};
