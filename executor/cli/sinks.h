/* sinks.h - what stopctl events does with sinks: dead letters, and sending again */
#ifndef STOPD_CLI_SINKS_H
#define STOPD_CLI_SINKS_H

#include "cli/cli.h"

/* Prints the dead letters of a sink, or (NULL) of all. */
int sinks_print_letters(struct cli *cli, const char *sink, struct error **err);
/* The sink gets the events behind this sequence once more. */
int sinks_replay(struct cli *cli, const char *sink, uint64_t after, struct error **err);
/* Sends dead letters again, or drops them: those with these sequences, or, where there are none,
 * all. */
int sinks_command_letters(struct cli *cli, const char *sink, bool drop, const uint64_t *sequences,
                          size_t n, struct error **err);

#endif
