/* agenda.h - what is due when: the earliest first, at a cost that ten thousand entries do not show
 *
 * The entries are the caller's and stay where they are; each is in at most one agenda. */
#ifndef STOPD_ENGINE_AGENDA_H
#define STOPD_ENGINE_AGENDA_H

#include "stopd/base.h"

struct agenda_entry {
    usec_t due;
    size_t place; /* the agenda's own: counted from 1; 0: not in it */
};

struct agenda {
    struct agenda_entry **entries;
    size_t n, room;
};

/* Makes room for so many entries, so that no agenda_set() has to: 0 or -ENOMEM. */
int agenda_reserve(struct agenda *a, size_t n);
/* Puts the entry in, or moves it; USEC_NEVER takes it out. There has to be room. */
void agenda_set(struct agenda *a, struct agenda_entry *e, usec_t due);
/* The earliest, NULL: nothing is due ever. */
struct agenda_entry *agenda_first(const struct agenda *a);
/* The entries are left as they are. */
void agenda_clear(struct agenda *a);

#endif
