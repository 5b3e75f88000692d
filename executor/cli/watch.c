/* watch.c - stopctl watch: what happens on this host, as it happens
 *
 * Theory of operation. Each event is a line, from now on; on a terminal the stops that are under
 * way stand below, a line each, asked for again every second while there are any and after every
 * event.
 */
#include "cli/operation-view.h"
#include "cli/progress.h"
#include "cli/stream.h"
#include "cli/text.h"
#include "cli/transfer.h"

#include <errno.h>
#include <string.h>

static const char details[] = "Goes on until interrupted, also while the daemon is restarted.\n";

struct watch {
    struct cli *cli;
    struct progress *progress;
    usec_t since;          /* realtime */
    json_object *underway; /* the answer with the operations under way, or NULL */
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

static size_t list_underway(const struct watch *w, json_object **list)
{
    *list = NULL;
    if (!w->underway || json_get_array(w->underway, "operations", list) < 0)
        return 0;
    return json_object_array_length(*list);
}

static void draw(struct watch *w)
{
    json_object *list;
    size_t n = list_underway(w, &list), shown = 0;
    _cleanup_(freep) struct progress_line *lines = calloc(n + 1, sizeof(*lines));
    _cleanup_(freep) char(*clocks)[ELAPSED_TEXT_SIZE] = calloc(n + 1, sizeof(*clocks));
    usec_t now = moment_now().realtime;

    if (!lines || !clocks)
        return;
    for (size_t i = 0; i < n; i++) {
        struct operation_view view;

        if (operation_view(json_object_array_get_idx(list, i), &view, NULL) < 0)
            continue;
        elapsed_to_text(operation_view_elapsed(&view, now), clocks[shown]);
        lines[shown] = (struct progress_line){view.instance_id, view.phase, clocks[shown]};
        shown++;
    }
    progress_draw(w->progress, lines, shown);
}

/* A failure to ask is no trouble: the stream tells soon enough whether the daemon is there. */
static void draw_underway(void *userdata)
{
    struct watch *w = userdata;
    usec_t now = moment_now().monotonic;
    json_object *list;

    if (!w->progress)
        return;
    if (w->asked_at == 0 || (now - w->asked_at >= USEC_PER_SEC && list_underway(w, &list) > 0)) {
        json_object *answer = NULL;

        if (transfer_get(w->cli, "/v1/operations?state=Stopping", &answer, NULL) < 0)
            answer = NULL;
        json_object_put(w->underway);
        w->underway = answer;
        w->asked_at = now;
    }
    draw(w);
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
