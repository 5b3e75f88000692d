/* owed.h - is something that a domain names owed a clear? */
#ifndef STOPD_HOOK_OWED_H
#define STOPD_HOOK_OWED_H

#include "engine/markers.h"
#include "hook/domain-sources.h"

/* 0: nothing of it is. Negative: ERROR_DISK_STATUS says what is, and what is to be done; what
 * cannot be told is an error too. */
int check_owed(const struct domain_sources *s, const struct marker_list *l, struct error **err);

#endif
