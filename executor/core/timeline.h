/* timeline.h - what has happened in an operation, a line each
 *
 * Operations are copied with every step that they take, and most of one is its timeline: so all of
 * its text is one block, in the order of the lines. */
#ifndef STOPD_CORE_TIMELINE_H
#define STOPD_CORE_TIMELINE_H

#include "stopd/base.h"

struct timeline_entry {
    usec_t at;          /* realtime */
    const char *what;   /* a word or two: "accepted", "button", "power cut", "off" */
    const char *detail; /* a clause, or NULL */
};

struct timeline {
    struct timeline_entry *items;
    size_t n;
    char *text; /* of all of them */
    size_t size;
};

void timeline_clear(struct timeline *t);
/* ret is overwritten. 0, or -ENOMEM: it is empty. */
int timeline_copy(struct timeline *ret, const struct timeline *t);
/* 0, or -ENOMEM: nothing has changed. */
int timeline_add(struct timeline *t, usec_t at, const char *what, const char *detail);
/* There are two at least. */
void timeline_drop_last_but_one(struct timeline *t);
/* NULL: there is none. */
const struct timeline_entry *timeline_last(const struct timeline *t);

#endif
