/* watch.c - stopctl watch: what happens on this host, as it happens
 *
 * Theory of operation. Each event is a line, from now on; on a terminal the stops and clears that
 * are under way stand below, asked for again after every event and every second while there are
 * any. A clear of kept disks begins without an event, so that one looks now and then all the same.
 */
#include "cli/picture.h"
#include "cli/stream.h"
#include "cli/transfer.h"
#include "cli/underway.h"

#define LOOK_OFTEN USEC_PER_SEC
#define LOOK_SELDOM (5 * USEC_PER_SEC)

static const char details[] = "Goes on until interrupted, also while the daemon is restarted.\n";

struct watch {
    struct cli *cli;
    struct progress *progress;
    usec_t since;          /* realtime */
    json_object *underway; /* operations by RequestId, or NULL */
    usec_t asked_at;       /* monotonic; 0: ask again */
};

static void watch_cleanup(struct watch *w)
{
    progress_free(w->progress);
    json_object_put(w->underway);
}

static void take_event(void *userdata, json_object *event)
{
    struct watch *w = userdata;
    usec_t at;

    /* From now on: those before have been told, to whoever asks for events. */
    if (json_get_time(event, "time", &at) == 0 && at < w->since)
        return;
    progress_clear(w->progress);
    if (w->cli->json)
        cli_print_json(event);
    else
        event_print(event, stdout);
    fflush(stdout);
    w->asked_at = 0;
}

static void tell_away(void *userdata)
{
    struct watch *w = userdata;

    progress_clear(w->progress);
    fputs("stopctl: watch: the daemon is away, waiting for it\n", stderr);
}

static void draw(struct watch *w)
{
    _cleanup_(picture) struct picture picture = {0};

    picture_begin(&picture, (size_t)json_object_object_length(w->underway));
    json_object_object_foreach(w->underway, id, operation)
    {
        struct operation_view view;

        (void)id;
        if (operation_view(operation, &view, NULL) == 0)
            picture_add(&picture, view.instance_id, operation, view.grace_left);
    }
    progress_draw(w->progress, picture.lines, picture.n);
}

/* A failure to ask is no trouble: the stream tells soon enough whether the daemon is there. */
static void look(struct watch *w)
{
    _cleanup_(json) json_object *answer = NULL;
    json_object *instances = NULL;

    json_object_put(take(w->underway));
    if (transfer_get(w->cli, "/v1/instances", &answer, NULL) == 0 &&
        json_get_array(answer, "instances", &instances) == 0)
        w->underway = underway_load(w->cli, instances);
    w->asked_at = moment_now().monotonic;
}

static void draw_underway(void *userdata)
{
    struct watch *w = userdata;
    bool any = w->underway && json_object_object_length(w->underway) > 0;
    usec_t after = any ? LOOK_OFTEN : LOOK_SELDOM;

    if (!w->progress)
        return;
    if (w->asked_at == 0 || moment_now().monotonic - w->asked_at >= after)
        look(w);
    if (w->underway)
        draw(w);
    else
        progress_clear(w->progress);
}

static int run(struct cli *cli, int argc, char **argv, struct error **err)
{
    _cleanup_(watch) struct watch w = {.cli = cli, .since = moment_now().realtime};
    struct stream stream = {
        .each = take_event, .turn = draw_underway, .away = tell_away, .userdata = &w};
    int r = cli_arguments(cli, argc, argv, 0, 0, err);

    if (r < 0)
        return r;
    w.progress = progress_new();
    stream_follow(cli, &stream, err);
    progress_clear(w.progress);
    return cli_explain(err, "watch");
}

const struct verb verb_watch = {"watch", "", "What happens on this host, as it happens.", details,
                                run};
