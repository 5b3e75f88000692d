/* stop-diagram.c - prints the table of the stop as the README's diagram, an arrow for each two
 * stages
 *
 * Usage: stop-diagram [README]. With a file it prints nothing, and fails where the diagram's lines
 * do not stand in it one after the other. */
#include "core/stop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARROWS_MOST (STAGE_MAX * (STAGE_MAX + 1))

struct arrow {
    enum stage from, to; /* STAGE_MAX: from any */
    bool has[IN_MAX];
    char *line;
};

/* In the order of the table. */
struct diagram {
    struct arrow arrows[ARROWS_MOST];
    size_t n;
};

static struct arrow *find_arrow(struct diagram *d, enum stage from, enum stage to)
{
    struct arrow *a = d->arrows;

    while (a < d->arrows + d->n && (a->from != from || a->to != to))
        a++;
    if (a == d->arrows + d->n) {
        if (d->n++ == ARROWS_MOST)
            abort();
        *a = (struct arrow){.from = from, .to = to};
    }
    return a;
}

/* In a state diagram's names a hyphen means something else. */
static void print_state(FILE *out, enum stage stage)
{
    const char *name = stage == STAGE_MAX ? "any" : stage_to_string(stage);

    for (; *name; name++)
        fputc(*name == '-' ? '_' : *name, out);
}

static void write_line(struct arrow *a)
{
    const char *separator = ": ";
    size_t size;
    FILE *out = open_memstream(&a->line, &size);

    if (!out)
        abort();
    fputs("    ", out);
    print_state(out, a->from);
    fputs(" --> ", out);
    print_state(out, a->to);
    for (int i = 0; i < IN_MAX; i++)
        if (a->has[i]) {
            fprintf(out, "%s%s", separator, input_kind_to_string((enum input_kind)i));
            separator = ", ";
        }
    if (fclose(out) != 0)
        abort();
}

static void draw(struct diagram *d)
{
    const struct rule_view *rules;
    size_t n = stop_rules(&rules);

    for (size_t i = 0; i < n; i++)
        if (rules[i].next != STAGE_MAX)
            find_arrow(d, rules[i].stage, rules[i].next)->has[rules[i].input] = true;
    for (size_t i = 0; i < d->n; i++)
        write_line(&d->arrows[i]);
}

static int check(const struct diagram *d, const char *path)
{
    FILE *f = fopen(path, "re");
    char line[512];
    size_t found = 0;

    if (!f) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 1;
    }
    while (found < d->n && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = '\0';
        found = text_equal(line, d->arrows[found].line) ? found + 1 : 0;
    }
    fclose(f);
    if (found == d->n)
        return 0;
    fprintf(stderr, "the diagram in %s is not the table's; paste what stop-diagram prints\n", path);
    return 1;
}

int main(int argc, char **argv)
{
    struct diagram d = {0};
    int r = 0;

    draw(&d);
    if (argc > 1)
        r = check(&d, argv[1]);
    for (size_t i = 0; i < d.n; i++) {
        if (argc == 1)
            puts(d.arrows[i].line);
        free(d.arrows[i].line);
    }
    return r;
}
