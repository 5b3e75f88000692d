/* progress.c - lines on a terminal that are drawn over themselves
 *
 * Theory of operation. The cursor rests below the lines. To draw, it goes up by as many as are
 * there, each line is written and cleared to its end, and what is below is cleared: one write, so
 * that nothing flickers. Lines are cut to the terminal's width, for a line that wraps is two, and
 * there are never more than its height.
 */
#include "cli/progress.h"
#include "cli/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct progress {
    bool dumb;
    bool colors;
    size_t drawn;  /* lines above the cursor */
    char **phases; /* dumb: the last one told of each line */
    size_t n_phases;
};

struct progress *progress_new(void)
{
    const char *term = getenv("TERM");
    struct progress *p;

    if (!isatty(STDERR_FILENO))
        return NULL;
    p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->dumb = !is_set(term) || text_equal(term, "dumb");
    p->colors = !p->dumb && !is_set(getenv("NO_COLOR"));
    return p;
}

void progress_free(struct progress *p)
{
    if (!p)
        return;
    progress_clear(p);
    for (size_t i = 0; i < p->n_phases; i++)
        free(p->phases[i]);
    free(p->phases);
    free(p);
}

void progress_clear(struct progress *p)
{
    if (!p || p->drawn == 0)
        return;
    fflush(stdout);
    fprintf(stderr, "\033[%zuA\r\033[J", p->drawn);
    fflush(stderr);
    p->drawn = 0;
}

/* A line for each change. */
static void tell(struct progress *p, const struct progress_line *lines, size_t n)
{
    if (n > p->n_phases) {
        char **phases = reallocarray(p->phases, n, sizeof(*phases));

        if (!phases)
            return;
        p->phases = phases;
        while (p->n_phases < n)
            phases[p->n_phases++] = NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_set(lines[i].phase) || text_equal(p->phases[i], lines[i].phase) ||
            text_replace(&p->phases[i], lines[i].phase) < 0)
            continue;
        text_print(stderr, lines[i].id);
        fprintf(stderr, ": %s\n", lines[i].phase);
    }
}

static void draw_line(const struct progress *p, FILE *to, const struct progress_line *line,
                      size_t id_columns, size_t width)
{
    _cleanup_(freep) char *id = text_clean(line->id), *rest = NULL;
    size_t fit;

    if (!id || asprintf(&rest, "%-14s %s", line->phase, line->clock) < 0)
        return;
    if (id_columns > width / 2)
        id_columns = width / 2;
    fit = text_fit(id, id_columns);
    fprintf(to, "%.*s", (int)fit, id);
    id[fit] = '\0';
    fprintf(to, "%*s", (int)(id_columns - text_columns(id) + 2), "");
    fit = text_fit(rest, width > id_columns + 3 ? width - id_columns - 3 : 0);
    fprintf(to, "%s%.*s%s\033[K\n", color_begin(p->colors, COLOR_BUSY), (int)fit, rest,
            color_end(p->colors));
}

static void draw(struct progress *p, FILE *to, const struct progress_line *lines, size_t n)
{
    struct winsize size = {0};
    size_t id_columns = 0, shown = n, rows;

    ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
    if (size.ws_col == 0)
        size.ws_col = 80;
    rows = size.ws_row > 2 ? size.ws_row - 1U : 23;
    if (shown > rows)
        shown = rows - 1;
    for (size_t i = 0; i < shown; i++) {
        size_t columns = text_columns(lines[i].id);

        id_columns = columns > id_columns ? columns : id_columns;
    }
    if (p->drawn > 0)
        fprintf(to, "\033[%zuA\r", p->drawn);
    for (size_t i = 0; i < shown; i++)
        draw_line(p, to, &lines[i], id_columns, size.ws_col);
    if (shown < n)
        fprintf(to, "and %zu more\033[K\n", n - shown);
    fputs("\033[J", to);
    p->drawn = shown + (shown < n);
}

void progress_draw(struct progress *p, const struct progress_line *lines, size_t n)
{
    _cleanup_(freep) char *text = NULL;
    size_t size;
    FILE *to;

    if (!p)
        return;
    if (p->dumb) {
        tell(p, lines, n);
        return;
    }
    to = open_memstream(&text, &size);
    if (!to)
        return;
    draw(p, to, lines, n);
    if (fclose(to) != 0)
        return;
    fwrite(text, 1, size, stderr);
    fflush(stderr);
}
