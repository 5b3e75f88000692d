/* subject.h - the names of subjects, and of what else is called after a host (contract section 6)
 */
#ifndef STOPD_NATS_SUBJECT_H
#define STOPD_NATS_SUBJECT_H

#include "stopd/upstream.h"

/* What stands before, the text as one token (a character outside A-Za-z0-9_- as %XX), what stands
 * behind. The caller's; NULL when out of memory. */
char *subject_with_token(const char *before, const char *text, const char *behind);
/* What stands behind the instance in an event's subject, by the event's type: ".state" …; NULL: the
 * type has no subject. */
const char *subject_ending(const char *type);

#endif
