/* progress.c - lines on a terminal that are drawn over themselves
 *
 * Theory of operation. The cursor rests below the rows. To draw, it goes up by as many as are
 * there, each row is written and cleared to its end, and what is below is cleared: one write, so
 * that nothing flickers. Rows are cut to the terminal's width, for one that wraps is two, and there
 * are never more than its height.
 *
 * Where the cursor cannot move, what the rows say apart from numbers is told whenever it was not
 * said at the last draw.
 */
#include "cli/progress.h"
#include "cli/text.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BAR_MOST 30
#define BAR_LEAST 10

struct progress {
    bool dumb;
    bool colors;
    size_t drawn; /* rows above the cursor */
    char **told;  /* dumb: what was so at the last draw */
    size_t n_told;
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

static void texts_free(char **texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
    free(texts);
}

void progress_free(struct progress *p)
{
    if (!p)
        return;
    progress_clear(p);
    texts_free(p->told, p->n_told);
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

static size_t count_rows(const struct progress_line *lines, size_t n)
{
    size_t rows = n;

    for (size_t i = 0; i < n; i++)
        rows += lines[i].n_disks;
    return rows;
}

/* --- Where the cursor cannot move ------------------------------------------------------------ */

static bool was_told(const struct progress *p, const char *text)
{
    for (size_t i = 0; i < p->n_told; i++)
        if (text_equal(p->told[i], text))
            return true;
    return false;
}

/* "i-abc: clearing", "i-abc: vdb: write-zeroes"; NULL when out of memory. */
static char *sentence(const struct progress_line *line, const struct disk_view *disk)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    if (!to)
        return NULL;
    text_print(to, line->id);
    fputs(": ", to);
    if (disk) {
        text_print(to, disk->target);
        fputs(": ", to);
        disk_view_print_state(to, disk, false);
    } else {
        text_print(to, line->phase);
    }
    if (fclose(to) == 0)
        return text;
    free(text);
    return NULL;
}

static void tell_one(const struct progress *p, char **now, size_t *n, char *text)
{
    if (!text)
        return;
    if (!was_told(p, text))
        fprintf(stderr, "%s\n", text);
    now[(*n)++] = text;
}

static void tell(struct progress *p, const struct progress_line *lines, size_t n)
{
    char **now = calloc(count_rows(lines, n) + 1, sizeof(*now));
    size_t n_now = 0;

    if (!now)
        return;
    for (size_t i = 0; i < n; i++) {
        if (!is_set(lines[i].phase))
            continue;
        tell_one(p, now, &n_now, sentence(&lines[i], NULL));
        for (size_t k = 0; k < lines[i].n_disks; k++)
            tell_one(p, now, &n_now, sentence(&lines[i], &lines[i].disks[k]));
    }
    texts_free(p->told, p->n_told);
    p->told = now;
    p->n_told = n_now;
}

/* --- Where it can ---------------------------------------------------------------------------- */

/* One picture of the whole. */
struct sheet {
    FILE *to;
    bool colors;
    size_t width;
    size_t rows, left; /* that are drawn, and that there is no place for */
    size_t most;
};

static bool takes_row(struct sheet *s)
{
    if (s->rows < s->most) {
        s->rows++;
        return true;
    }
    s->left++;
    return false;
}

/* name in its own columns, then text in a colour, both cut to what there is. */
static void draw_row(const struct sheet *s, const char *name, size_t name_columns, const char *text,
                     enum color color)
{
    _cleanup_(freep) char *cut = strdup(name);
    size_t fit;

    if (!cut)
        return;
    if (name_columns > s->width / 2)
        name_columns = s->width / 2;
    cut[text_fit(cut, name_columns)] = '\0';
    fputs(cut, s->to);
    fprintf(s->to, "%*s", (int)(name_columns - text_columns(cut) + 2), "");
    fit = text_fit(text, s->width > name_columns + 3 ? s->width - name_columns - 3 : 0);
    fprintf(s->to, "%s%.*s%s\033[K\n", color_begin(s->colors, color), (int)fit, text,
            color_end(s->colors));
}

static void draw_line(struct sheet *s, const struct progress_line *line, size_t columns)
{
    _cleanup_(freep) char *id = text_clean(line->id), *rest = NULL;
    char percent[16] = "";

    if (!takes_row(s) || !id)
        return;
    if (line->percent >= 0)
        snprintf(percent, sizeof(percent), "%3d%%  ", line->percent);
    if (asprintf(&rest, "%-14s %s%s", line->phase, percent, line->clock) >= 0)
        draw_row(s, id, columns, rest, COLOR_BUSY);
}

static enum color color_of(const struct disk_view *d)
{
    if (disk_view_is(d, "cleared"))
        return COLOR_GOOD;
    return disk_view_is(d, "quarantined") ? COLOR_BAD : COLOR_BUSY;
}

/* "[######----]  60%  write-zeroes  512 MiB/s  20.0 s left". As wide as the terminal allows, and
 * not as the words of the moment do, for a bar whose length changes shows nothing. */
static void print_bar(FILE *to, size_t width, const struct disk_view *d)
{
    char cells[BAR_MOST];
    unsigned percent = disk_view_percent(d);
    size_t wide = width / 5;

    wide = wide < BAR_LEAST ? BAR_LEAST : wide > BAR_MOST ? BAR_MOST : wide;
    memset(cells, '-', sizeof(cells));
    memset(cells, '#', percent * wide / 100);
    fprintf(to, "[%.*s] %3u%%  ", (int)wide, cells, percent);
    disk_view_print_state(to, d, true);
}

static void draw_disk(struct sheet *s, const struct disk_view *d, size_t columns)
{
    _cleanup_(freep) char *target = text_clean(d->target), *name = NULL, *text = NULL;
    size_t size;
    FILE *to;

    if (!takes_row(s) || !target || asprintf(&name, "  %s", target) < 0)
        return;
    to = open_memstream(&text, &size);
    if (!to)
        return;
    print_bar(to, s->width, d);
    if (fclose(to) == 0)
        draw_row(s, name, columns + 2, text, color_of(d));
}

static void draw_disks(struct sheet *s, const struct progress_line *line)
{
    size_t columns = 0;

    for (size_t i = 0; i < line->n_disks; i++) {
        size_t wide = text_columns(line->disks[i].target);

        columns = wide > columns ? wide : columns;
    }
    for (size_t i = 0; i < line->n_disks; i++)
        draw_disk(s, &line->disks[i], columns);
}

static struct sheet sheet_of(const struct progress *p, FILE *to)
{
    struct winsize size = {0};

    ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
    return (struct sheet){.to = to,
                          .colors = p->colors,
                          .width = size.ws_col ? size.ws_col : 80,
                          .most = size.ws_row > 2 ? size.ws_row - 1U : 23};
}

static void draw(struct progress *p, FILE *to, const struct progress_line *lines, size_t n)
{
    struct sheet s = sheet_of(p, to);
    size_t columns = 0;

    if (count_rows(lines, n) > s.most)
        s.most--; /* for the last one */
    for (size_t i = 0; i < n && i < s.most; i++) {
        size_t wide = text_columns(lines[i].id);

        columns = wide > columns ? wide : columns;
    }
    if (p->drawn > 0)
        fprintf(to, "\033[%zuA\r", p->drawn);
    for (size_t i = 0; i < n; i++) {
        draw_line(&s, &lines[i], columns);
        draw_disks(&s, &lines[i]);
    }
    if (s.left > 0)
        fprintf(to, "and %zu more\033[K\n", s.left);
    fputs("\033[J", to);
    p->drawn = s.rows + (s.left > 0);
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
