/* workers.h - threads on which calls to the hypervisor may block */
#ifndef STOPD_ENGINE_WORKERS_H
#define STOPD_ENGINE_WORKERS_H

#include "engine/call.h"

struct workers;

/* done: gets each call when it is over, or a stand-in marked stuck when its time is up; and of an
 * act that was written off the call itself, marked late, if it ever comes back. On any thread. It
 * takes the call. n: the most calls in flight that are not written off, two at least: acts leave a
 * share for asking. */
int workers_new(struct hypervisor *h, unsigned n, void (*done)(void *userdata, struct call *c),
                void *userdata, struct workers **ret, struct error **err);
/* So many calls can be out at once at the most, those included that are written off. */
unsigned workers_most_calls(unsigned n);
/* Takes the call, and those that hang on its next. Any thread; never blocks. */
void workers_start(struct workers *w, struct call *c);
/* Writes off workers whose call has run past its time-out, and puts others in their place. To be
 * called every second or so while workers_are_busy(). */
void workers_expire(struct workers *w, usec_t monotonic);
bool workers_are_busy(struct workers *w);
/* Waits for calls that are out, at most so long. False: some are still out, and the hypervisor has
 * to outlive them. */
bool workers_free(struct workers *w, usec_t patience);

#endif
