/* webhook-token.h - a bearer token that lives in a file */
#ifndef STOPD_UPSTREAM_WEBHOOK_TOKEN_H
#define STOPD_UPSTREAM_WEBHOOK_TOKEN_H

#include "stopd/error.h"

#define WEBHOOK_TOKEN_MOST 8192

/* The file's only word; the caller's. A token is what RFC 6750 calls one: printable and in ASCII,
 * so that it cannot become a header of its own. */
int webhook_token_read(const char *path, char **ret, struct error **err);

#endif
