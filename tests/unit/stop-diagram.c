/* stop-diagram.c - prints the table of the stop as the README's diagram
 *
 * Usage: stop-diagram [README]. With a file it prints nothing, and fails where the diagram's lines
 * do not stand in it one after the other. */
#include "core/stop.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LINES_MOST 256

struct diagram {
    char *lines[LINES_MOST];
    size_t n;
};

static void add(struct diagram *d, const char *from, const char *to, const char *what)
{
    char *line;

    if (asprintf(&line, "    %s --> %s: %s", from, to, what) < 0)
        abort();
    for (size_t i = 0; i < d->n; i++)
        if (text_equal(d->lines[i], line)) {
            free(line);
            return; /* the same with another guard */
        }
    if (d->n == LINES_MOST)
        abort();
    d->lines[d->n++] = line;
}

/* In a state diagram's names a hyphen means something else. */
static const char *state(enum stage stage, char buffer[static 32])
{
    snprintf(buffer, 32, "%s", stage == STAGE_MAX ? "any" : stage_to_string(stage));
    for (char *c = buffer; *c; c++)
        if (*c == '-')
            *c = '_';
    return buffer;
}

static void draw(struct diagram *d)
{
    const struct rule_view *rules;
    size_t n = stop_rules(&rules);
    char from[32], to[32];

    for (size_t i = 0; i < n; i++)
        if (rules[i].next != STAGE_MAX)
            add(d, state(rules[i].stage, from), state(rules[i].next, to),
                input_kind_to_string(rules[i].input));
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
        found = text_equal(line, d->lines[found]) ? found + 1 : 0;
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
            puts(d.lines[i]);
        free(d.lines[i]);
    }
    return r;
}
