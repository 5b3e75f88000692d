/* headers.h - what the header fields of a request say */
#ifndef STOPD_API_HEADERS_H
#define STOPD_API_HEADERS_H

#include "api/exchange.h"

/* The field's value, or the first one's; NULL where it is absent. */
const char *header(const struct exchange *x, const char *name);
unsigned header_count(const struct exchange *x, const char *name);

/* What makes the header itself unacceptable: its size, a body whose end cannot be told, or that is
 * not going to be read; a Host that is missing or doubled. */
int headers_check(const struct exchange *x, const char *version, struct error **err);
/* A browser sends this on behalf of another site. */
bool headers_are_cross_site(const struct exchange *x);
/* Is its Host, where it has one, localhost or a numeric address? A browser that was led here by a
 * name of another site sends that name. */
bool headers_host_is_local(const struct exchange *x);
/* How the answer is wanted: the parameter Format, else the header Accept, else JSON. */
enum format headers_format(const struct exchange *x);
/* Is this media type wanted more than that one? Only where it is named, not by a wildcard. */
bool headers_prefer(const struct exchange *x, const char *type, const char *over);
/* The W3C trace context that the request belongs to, or NULL; a malformed one counts as none. */
const char *headers_traceparent(const struct exchange *x);
/* Is the body of this media type, or is there no body? */
bool headers_body_is(const struct exchange *x, const char *type);

#endif
