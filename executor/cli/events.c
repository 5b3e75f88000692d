/* events.c - stopctl events: what was reported upstream, as far as the daemon still keeps it; what
 * a sink refused; and sending again */
#include "cli/sinks.h"
#include "cli/stream.h"
#include "cli/transfer.h"
#include "core/command.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define PAGE 500

enum {
    OPTION_AFTER = 1,
    OPTION_FOLLOW,
    OPTION_DEAD_LETTERS,
    OPTION_REPLAY,
    OPTION_DROP,
    OPTION_ALL
};

static const struct option options[] = {
    {"after", required_argument, NULL, OPTION_AFTER},
    {"follow", no_argument, NULL, OPTION_FOLLOW},
    {"dead-letters", no_argument, NULL, OPTION_DEAD_LETTERS},
    {"replay", required_argument, NULL, OPTION_REPLAY},
    {"drop", required_argument, NULL, OPTION_DROP},
    {"all", no_argument, NULL, OPTION_ALL},
    COMMON_OPTIONS,
    {0},
};

static const char details[] =
    "Oldest first; with --json each is a CloudEvent on a line of its own.\n"
    "\n"
    "      --after N         only events behind this sequence\n"
    "      --follow          then go on with new ones, until interrupted\n"
    "\n"
    "A sink (upstream.NAME) that refuses an event for good leaves a dead letter, which is kept "
    "until\n"
    "somebody sends it again or drops it. One that is sent again comes behind later events.\n"
    "\n"
    "      --dead-letters    list them, of all sinks or of the SINK that is the argument\n"
    "      --replay SINK     send again to it: with --after N all that it got behind this\n"
    "                        sequence, as far as it is still kept; or the dead letters whose\n"
    "                        SEQUENCEs are the arguments; or with --all all of its dead letters\n"
    "      --drop SINK       forget such dead letters: SEQUENCEs, or --all\n";

/* What the options say is to be done. */
struct wish {
    bool follow, dead_letters, all, has_after;
    const char *replay, *drop; /* a sink */
};

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
static int read_sequence(struct cli *cli, const char *what, const char *text, uint64_t *ret,
                         struct error **err)
{
    size_t zeros = strspn(text, "0");

    *ret = 0;
    if (zeros > 0 && text[zeros] == '\0')
        return 0;
    if (parameter_integer(what, text + zeros, 1, INT64_MAX, ret, NULL) < 0)
        return cli_usage(cli, err, "%s must be an event's sequence, not '%s'", what, text);
    return 0;
}

static int list_events(struct cli *cli, struct stream *stream, bool follow, struct error **err)
{
    size_t n = 1;

    while (n > 0)
        if (print_page(cli, &stream->after, &n, err) < 0)
            return cli_explain(err, "events");
    if (follow && stream_follow(cli, stream, err) < 0)
        return cli_explain(err, "events");
    return 0;
}

/* The arguments are sequences of dead letters. */
static int command_letters(struct cli *cli, const struct wish *w, int argc, char **argv,
                           struct error **err)
{
    const char *sink = w->drop ? w->drop : w->replay;
    size_t n = (size_t)(argc - optind);
    _cleanup_(freep) uint64_t *sequences = calloc(n + 1, sizeof(*sequences));

    if (!sequences)
        return error_no_memory(err);
    if (w->all == (n > 0))
        return cli_usage(cli, err, "--%s SINK needs %s", w->drop ? "drop" : "replay",
                         w->drop ? "SEQUENCEs or --all" : "--after N, SEQUENCEs or --all");
    for (size_t i = 0; i < n; i++)
        if (read_sequence(cli, "a SEQUENCE", argv[optind + (int)i], &sequences[i], err) < 0)
            return -EINVAL;
    if (sinks_command_letters(cli, sink, w->drop != NULL, sequences, n, err) < 0)
        return cli_explain(err, "events of sink %s", sink);
    return 0;
}

static int replay_after(struct cli *cli, const char *sink, uint64_t after, struct error **err)
{
    if (sinks_replay(cli, sink, after, err) < 0)
        return cli_explain(err, "events of sink %s", sink);
    return 0;
}

/* What is said twice, or of what is not asked for, may be meant otherwise. */
static int check_wish(struct cli *cli, const struct wish *w, int arguments, struct error **err)
{
    int wishes = w->dead_letters + (w->replay != NULL) + (w->drop != NULL);

    if (wishes > 1)
        return cli_usage(cli, err, "--dead-letters, --replay and --drop are for one at a time");
    if (!w->replay && !w->drop && w->all)
        return cli_usage(cli, err, "--all is for --replay and --drop");
    if (wishes > 0 && w->follow)
        return cli_usage(cli, err, "--follow is for events that are listed");
    if (w->has_after && (w->dead_letters || w->drop || w->all || (w->replay && arguments > 0)))
        return cli_usage(cli, err, "--after is no way to name dead letters");
    return 0;
}

static int run(struct cli *cli, int argc, char **argv, struct error **err)
{
    struct stream stream = {.each = print_event, .away = tell_away, .userdata = cli};
    struct wish w = {0};
    int option, most;

    while ((option = cli_option(cli, argc, argv, options, err)) > 0) {
        w.follow |= option == OPTION_FOLLOW;
        w.dead_letters |= option == OPTION_DEAD_LETTERS;
        w.all |= option == OPTION_ALL;
        w.has_after |= option == OPTION_AFTER;
        if (option == OPTION_REPLAY)
            w.replay = optarg;
        else if (option == OPTION_DROP)
            w.drop = optarg;
        else if (option == OPTION_AFTER &&
                 read_sequence(cli, "--after", optarg, &stream.after, err) < 0)
            return -EINVAL;
    }
    if (option < 0)
        return option;
    if (check_wish(cli, &w, argc - optind, err) < 0)
        return -EINVAL;
    if (w.drop || (w.replay && !w.has_after))
        return command_letters(cli, &w, argc, argv, err);
    most = w.dead_letters ? 1 : 0;
    if (argc - optind > most)
        return cli_usage(cli, err, "'%s' is too much", argv[optind + most]);
    if (w.dead_letters && sinks_print_letters(cli, argv[optind], err) < 0)
        return cli_explain(err, "dead letters");
    if (w.dead_letters)
        return 0;
    return w.replay ? replay_after(cli, w.replay, stream.after, err)
                    : list_events(cli, &stream, w.follow, err);
}

const struct verb verb_events = {"events", "", "The events that were reported.", details, run};
