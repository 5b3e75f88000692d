/* instances.h - every instance there is, asked for a slice at a time */
#ifndef STOPD_API_INSTANCES_H
#define STOPD_API_INSTANCES_H

#include "api/exchange.h"

/* Calls gather with each slice, an array of what /v1/instances has, which returns 0 or -ENOMEM;
 * then finish, which answers. Where the engine fails it is answered with that. */
void instances_ask(struct exchange *x, int (*gather)(struct exchange *x, json_object *slice),
                   void (*finish)(struct exchange *x));

#endif
