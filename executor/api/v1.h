/* v1.h - what the handlers beside section 3 share */
#ifndef STOPD_API_V1_H
#define STOPD_API_V1_H

#include "api/exchange.h"

#include <json-c/json.h>

/* The longest wait that a client may ask for, in seconds. */
#define WAIT_MOST 3600
/* The most rows in one answer, and how many without a word. */
#define LIMIT_MOST 1000
#define LIMIT_DEFAULT 100

/* 0 where the parameters could be decoded, none is repeated, and each is one of these
 * (NULL-terminated); else an error. */
int v1_check_parameters(const struct exchange *x, const char *const *known, struct error **err);
/* A number that may be absent: then *ret stays. */
int v1_number(const struct exchange *x, const char *name, uint64_t least, uint64_t most,
              uint64_t *ret, struct error **err);
/* The body as one whole JSON object, the caller's; NULL: it is none. */
json_object *v1_body(const struct exchange *x);
/* The path's RequestId, in upper case; who writes one in lower case means the same. Whatever is no
 * UUID is no RequestId that there could be: ERROR_OPERATION_NOT_FOUND. */
int v1_request_id(struct exchange *x, struct error **err);
/* Reads the parameter wait into x->deadline. */
int v1_wait(struct exchange *x, struct error **err);

#endif
