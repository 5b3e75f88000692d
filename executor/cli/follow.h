/* follow.h - operations on their way, side by side: commanded, and then waited for until they end
 * or wait for an operator themselves */
#ifndef STOPD_CLI_FOLLOW_H
#define STOPD_CLI_FOLLOW_H

#include "cli/operation-view.h"
#include "core/command.h"

enum follow_step {
    FOLLOW_ASKING,  /* the command is not answered yet */
    FOLLOW_WAITING, /* accepted; the operation is on its way */
    FOLLOW_ENDED,   /* nothing more comes: see the rest */
    FOLLOW_LEFT,    /* neither, but the following has ended (time-out, interrupt) */
};

struct followed {
    const char *name; /* as the operator calls it */
    /* The command, while FOLLOW_ASKING */
    const char *path;          /* where it is posted */
    struct parameters command; /* as a form … */
    const char *document;      /* … or this, where it is JSON */
    bool repeatable;           /* done twice is done once: safe to send again, see is_in_doubt() */

    enum follow_step step;
    char request_id[UUID_TEXT_SIZE]; /* "" until it is accepted */
    json_object *operation;          /* as last seen, or NULL */
    bool validated;                  /* a dry run that passed */
    bool in_doubt;                   /* asked in vain, and whether it was accepted is not known */
    struct error *error;             /* why it ended before the operation did */
    char *code;                      /* its Code, as it came */

    /* follow()'s own */
    struct transfer *transfer;
    unsigned tries;
    usec_t not_before, asked_at, last_heard; /* monotonic */
    usec_t grace_end;                        /* monotonic; 0: no grace is running */
};
void followed_cleanup(struct followed *f); /* for _cleanup_(followed) struct followed f = {} */

struct follow_plan {
    bool wait;       /* else it ends when the command is accepted */
    usec_t time_out; /* USEC_NEVER: none */
    /* Is this as far as it is waited for? NULL: until it is finished or quarantined. */
    bool (*is_over)(const struct operation_view *v);
    /* Called when one has ended, with the terminal clean. */
    void (*ended)(struct cli *cli, const struct followed *f);
};

enum follow_end { FOLLOW_ALL_ENDED, FOLLOW_TIMED_OUT, FOLLOW_INTERRUPTED };

/* Returns when all have ended, or the time is over, or on SIGINT. What goes wrong with one is its
 * own. */
int follow(struct cli *cli, struct followed *all, size_t n, const struct follow_plan *plan,
           enum follow_end *ret, struct error **err);

#endif
