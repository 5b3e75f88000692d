/* fate.h - what may befall a life: each thing has a number, and luck of its own
 *
 * Whatever is left to chance is drawn for something: the third command, the second look at the
 * first domain. Each has dice of its own, seeded from the life's seed, its kind and its number, so
 * that one thing less in a life leaves the others what they were. That makes stories shrink. */
#ifndef STOPD_SIMULATION_FATE_H
#define STOPD_SIMULATION_FATE_H

#include "stopd/base.h"

struct life;

enum fate_kind {
    FATE_GUEST,   /* a domain is there */
    FATE_MANNERS, /* it behaves in a way of its own */
    FATE_COMMAND, /* something is asked of stopd */
    FATE_WEATHER, /* something happens to the world */
    FATE_CALL,    /* a call is slow, hangs, fails */
    FATE_HINT,    /* an event is lost, late, doubled */
    FATE_CRASH,   /* stopd is killed between two steps */
    FATE_HELPER,  /* a clear or an identification goes wrong */
    FATE_SINK,    /* a sink fails, hangs, loses an answer */
    FATE_LUCK,    /* cannot be left out: how long, which one */
    FATE_MAX,
};
DECLARE_ENUM_WORDS(enum fate_kind, fate_kind);

struct fate {
    enum fate_kind kind;
    uint64_t number;
};

struct fates {
    struct fate *items;
    size_t n, room;
};
void fates_add(struct fates *f, struct fate fate);
void fates_clear(struct fates *f);
/* From and to the command line's form, "guest.0,command.3". */
int fates_parse(const char *text, struct fates *ret);
void fates_print(const struct fates *f);

/* The life's dice are this thing's from here on. */
void fate_draw(struct life *life, enum fate_kind kind, uint64_t number);
/* It is about to happen. False: it is left out of this life. */
bool fate_happens(struct life *life, enum fate_kind kind, uint64_t number);

/* The number of the next thing of this sort (below FATE_SORTS) that happens to the domain; NULL: to
 * none of them. */
#define FATE_SORTS 12
struct simulated_domain;
uint64_t fate_number(struct life *life, enum fate_kind kind, const struct simulated_domain *d,
                     unsigned sort);

#endif
