/* agenda.c - what is due when; see agenda.h
 *
 * Theory of operation. A binary heap: no entry is due before the one at half its place. Each entry
 * knows its place, so that one that has moved on finds its new place from there.
 */
#include "engine/agenda.h"

#include <errno.h>

int agenda_reserve(struct agenda *a, size_t n)
{
    struct agenda_entry **entries;
    size_t room = a->room ? a->room : 64;

    if (n <= a->room)
        return 0;
    while (room < n)
        room *= 2;
    entries = reallocarray(a->entries, room, sizeof(*entries));
    if (!entries)
        return -ENOMEM;
    a->entries = entries;
    a->room = room;
    return 0;
}

static struct agenda_entry *at(const struct agenda *a, size_t place)
{
    return a->entries[place - 1];
}

static void put(struct agenda *a, struct agenda_entry *e, size_t place)
{
    a->entries[place - 1] = e;
    e->place = place;
}

static void rise(struct agenda *a, struct agenda_entry *e)
{
    size_t place = e->place;

    for (; place > 1 && at(a, place / 2)->due > e->due; place /= 2)
        put(a, at(a, place / 2), place);
    put(a, e, place);
}

static void sink(struct agenda *a, struct agenda_entry *e)
{
    size_t place = e->place, below;

    while ((below = place * 2) <= a->n) {
        if (below < a->n && at(a, below + 1)->due < at(a, below)->due)
            below++;
        if (at(a, below)->due >= e->due)
            break;
        put(a, at(a, below), place);
        place = below;
    }
    put(a, e, place);
}

static void take_out(struct agenda *a, struct agenda_entry *e)
{
    struct agenda_entry *last = at(a, a->n--);
    size_t place = e->place;

    e->place = 0;
    if (last == e)
        return;
    put(a, last, place);
    rise(a, last);
    sink(a, last);
}

void agenda_set(struct agenda *a, struct agenda_entry *e, usec_t due)
{
    if (due == USEC_NEVER) {
        if (e->place)
            take_out(a, e);
        return;
    }
    e->due = due;
    if (!e->place)
        put(a, e, ++a->n);
    rise(a, e);
    sink(a, e);
}

struct agenda_entry *agenda_first(const struct agenda *a)
{
    return a->n > 0 ? a->entries[0] : NULL;
}

void agenda_clear(struct agenda *a)
{
    free(a->entries);
    *a = (struct agenda){0};
}
