/* underway.h - the operations that instances are in */
#ifndef STOPD_CLI_UNDERWAY_H
#define STOPD_CLI_UNDERWAY_H

#include "cli/cli.h"

/* The operations, by RequestId, that an array of instances names: an object, the caller's. Never
 * fails: what cannot be had is not in it. */
json_object *underway_load(struct cli *cli, json_object *instances);

#endif
