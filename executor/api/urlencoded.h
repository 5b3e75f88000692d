/* urlencoded.h - application/x-www-form-urlencoded, read strictly */
#ifndef STOPD_API_URLENCODED_H
#define STOPD_API_URLENCODED_H

#include "core/command.h"

/* No command has more; it bounds what is done for one request. */
#define PARAMETERS_MOST 256

/* Adds the pairs of a query or a form of this size. A pair that cannot be decoded is added as it
 * stands, so that whether a parameter is there can still be said; the first of them is the error,
 * ERROR_INVALID_PARAMETER. */
int urlencoded_parse(const char *text, size_t size, struct parameters *ret, struct error **err);

/* Decodes percent signs and, with plus_is_space, pluses. 0; -EINVAL: a malformed escape, a NUL, not
 * UTF-8; -ENOMEM. */
int urlencoded_decode(const char *text, size_t size, bool plus_is_space, char **ret);

/* 0 where each parameter is known and none is given twice. */
int urlencoded_check_names(const struct parameters *p,
                           bool (*is_known)(const void *userdata, const char *name),
                           const void *userdata, struct error **err);

#endif
