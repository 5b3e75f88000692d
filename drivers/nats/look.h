/* look.h - which events does the stream have already? */
#ifndef STOPD_NATS_LOOK_H
#define STOPD_NATS_LOOK_H

#include "session.h"

/* subjects: each event's. Sets stored[i] for those of n events that the stream has, and leaves the
 * others. 1: it was looked; 0: that cannot be, for the stream does not serve it or this host is
 * forbidden it. */
int look_for_stored(struct session *s, const char *host_id, const char *stream,
                    const struct upstream_event *events, char *const *subjects, size_t n,
                    bool *stored, struct error **err);

#endif
