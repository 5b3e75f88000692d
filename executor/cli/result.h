/* result.h - what came of stops that were followed: lines for a person, a document for a program,
 * an exit status */
#ifndef STOPD_CLI_RESULT_H
#define STOPD_CLI_RESULT_H

#include "cli/follow.h"

/* The line for one that has ended: on standard output where it went well, else on standard error.
 * Nothing but errors with --json. */
void result_print(struct cli *cli, const struct followed *f);
/* What to say of those that are left when the time is over, or on an interrupt. */
void result_print_left(const struct followed *all, size_t n, enum follow_end end, usec_t time_out);
int result_exit_status(const struct followed *f);
/* Prints {"results": […], "exitStatus": N}. */
int result_print_json(const struct followed *all, size_t n, int exit_status, struct error **err);

#endif
