/* picture.c - see picture.h
 *
 * While a guest is in shutdown the time that it has left is shown, while its disks are cleared a
 * bar for each; else for how long it has been going on. */
#include "cli/picture.h"

void picture_begin(struct picture *p, size_t most)
{
    *p = (struct picture){.lines = calloc(most + 1, sizeof(*p->lines)),
                          .clocks = calloc(most + 1, sizeof(*p->clocks))};
    p->most = p->lines && p->clocks ? most : 0;
}

static void add_disks(struct progress_line *line, const struct operation_view *v)
{
    size_t n = operation_view_disks(v);
    struct disk_view *disks = calloc(n + 1, sizeof(*disks));

    for (size_t i = 0; disks && i < n; i++)
        operation_view_disk(v, i, &disks[i]);
    line->disks = disks;
    line->n_disks = disks ? n : 0;
}

void picture_add(struct picture *p, const char *name, json_object *operation, usec_t grace_left)
{
    struct progress_line *line;
    struct operation_view view;
    char text[ELAPSED_TEXT_SIZE];

    if (p->n == p->most)
        return;
    line = &p->lines[p->n];
    *line =
        (struct progress_line){.id = name, .phase = "", .percent = -1, .clock = p->clocks[p->n++]};
    if (!operation || operation_view(operation, &view, NULL) < 0)
        return;
    line->phase = view.phase;
    line->percent = operation_view_percent(&view);
    if (operation_view_clears(&view))
        add_disks(line, &view);
    if (text_equal(view.phase, "shutting-down") && grace_left != USEC_NEVER)
        snprintf(p->clocks[p->n - 1], sizeof(*p->clocks), "%s left",
                 elapsed_to_text(grace_left, text));
    else
        snprintf(p->clocks[p->n - 1], sizeof(*p->clocks), "%s",
                 elapsed_to_text(operation_view_elapsed(&view, moment_now().realtime), text));
}

void picture_cleanup(struct picture *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->lines[i].disks);
    free(p->lines);
    free(p->clocks);
}
