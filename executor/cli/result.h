/* result.h - what came of operations that were followed: lines for a person, a document for a
 * program, an exit status */
#ifndef STOPD_CLI_RESULT_H
#define STOPD_CLI_RESULT_H

#include "cli/follow.h"

/* The line for one that has ended: on standard output where it went well, else on standard error.
 * Nothing but errors with --json. For follow_plan.ended. */
void result_print(struct cli *cli, const struct followed *f);
/* All of it: follows, prints, and returns the exit status, the worst of all, or an error. */
int result_of_following(struct cli *cli, struct followed *all, size_t n,
                        const struct follow_plan *plan, struct error **err);

#endif
