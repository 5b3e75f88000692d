/* reserve.h - room beside the journal, kept for when its disk is full */
#ifndef STOPD_JOURNAL_RESERVE_H
#define STOPD_JOURNAL_RESERVE_H

#include "stopd/error.h"

#include <sys/types.h>

/* As much as 10,000 stops need to be ended and reported. */
#define RESERVE_SIZE (16 << 20)
/* It is given away piece by piece. */
#define RESERVE_PIECE (1 << 20)
/* As many of them may go to what is not the journal itself, until it was whole again. */
#define RESERVE_PIECES_GIVEN 4
/* It is made only where this much is free beside it: room that the next few commits would use up
 * again is none. */
#define RESERVE_MARGIN (4 << 20)

struct reserve {
    char *path; /* NULL: a journal in memory has none */
    off_t size; /* what there is of it */
    unsigned given;
};

/* Looks for the file PATH.reserve, and makes it where the disk has room. That there is none is no
 * error. To be cleared also after a failure. */
int reserve_open(struct reserve *r, const char *path, struct error **err);
void reserve_clear(struct reserve *r);

bool reserve_is_whole(const struct reserve *r);
/* Gives one piece back to the disk. False: there is none left. */
bool reserve_spend(struct reserve *r);
/* The same for another's sake. False: it has had its share. */
bool reserve_give(struct reserve *r);
/* Makes it whole, if the disk has the room. */
bool reserve_restore(struct reserve *r);

#endif
