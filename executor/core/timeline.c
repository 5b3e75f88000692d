/* timeline.c - see timeline.h */
#include "core/timeline.h"

#include <errno.h>
#include <string.h>

void timeline_clear(struct timeline *t)
{
    free(t->items);
    free(t->text);
    *t = (struct timeline){0};
}

/* The same place in another block of text. */
static const char *moved(const char *s, const char *from, const char *to)
{
    return s ? to + (s - from) : NULL;
}

static void move(struct timeline *t, const char *from, const char *to)
{
    for (size_t i = 0; from != to && i < t->n; i++) {
        t->items[i].what = moved(t->items[i].what, from, to);
        t->items[i].detail = moved(t->items[i].detail, from, to);
    }
}

int timeline_copy(struct timeline *ret, const struct timeline *t)
{
    struct timeline copy = *t;

    *ret = (struct timeline){0};
    if (t->n == 0)
        return 0;
    copy.items = malloc(t->n * sizeof(*copy.items));
    copy.text = malloc(t->size);
    if (!copy.items || !copy.text) {
        timeline_clear(&copy);
        return -ENOMEM;
    }
    memcpy(copy.items, t->items, t->n * sizeof(*copy.items));
    memcpy(copy.text, t->text, t->size);
    move(&copy, t->text, copy.text);
    *ret = copy;
    return 0;
}

/* Room for so much more text, at its end. */
static int grow(struct timeline *t, size_t more)
{
    char *grown = malloc(t->size + more);

    if (!grown)
        return -ENOMEM;
    if (t->size > 0)
        memcpy(grown, t->text, t->size);
    move(t, t->text, grown);
    free(t->text);
    t->text = grown;
    return 0;
}

static const char *put(struct timeline *t, const char *s, size_t size)
{
    if (!s)
        return NULL;
    memcpy(t->text + t->size, s, size);
    t->size += size;
    return t->text + t->size - size;
}

int timeline_add(struct timeline *t, usec_t at, const char *what, const char *detail)
{
    size_t of_what = strlen(what) + 1, of_detail = detail ? strlen(detail) + 1 : 0;
    struct timeline_entry *items = reallocarray(t->items, t->n + 1, sizeof(*items));

    if (!items)
        return -ENOMEM;
    t->items = items;
    if (grow(t, of_what + of_detail) < 0)
        return -ENOMEM;
    items[t->n].at = at;
    items[t->n].what = put(t, what, of_what);
    items[t->n].detail = put(t, detail, of_detail);
    t->n++;
    return 0;
}

/* The texts of an entry stand behind those of the one before it. */
void timeline_drop_last_but_one(struct timeline *t)
{
    struct timeline_entry *gone = &t->items[t->n - 2], *last = &t->items[t->n - 1];
    const char *from = last->what;
    char *to = t->text + (gone->what - t->text);
    size_t size = t->size - (size_t)(from - t->text);

    memmove(to, from, size);
    gone->at = last->at;
    gone->what = to;
    gone->detail = moved(last->detail, from, to);
    t->size = (size_t)(to - t->text) + size;
    t->n--;
}

const struct timeline_entry *timeline_last(const struct timeline *t)
{
    return t->n > 0 ? &t->items[t->n - 1] : NULL;
}
