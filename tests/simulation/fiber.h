/* fiber.h - threads that run only when the life says so
 *
 * A relay has a thread. Under the simulator it is a fiber: it runs until it waits, for a condition
 * or in its sink, and the life goes on meanwhile; so its every move is the seed's. */
#ifndef STOPD_SIMULATION_FIBER_H
#define STOPD_SIMULATION_FIBER_H

#include "stopd/base.h"

struct life;
struct fiber;

/* From here on pthread_create() makes fibers of this life. */
void fibers_attend(struct life *life);
/* The one that was made last; the caller's until fiber_free(), which it has to have ended for. */
struct fiber *fiber_latest(void);
void fiber_free(struct fiber *f);

/* Runs it until it waits again or is over. */
void fiber_resume(struct fiber *f);
bool fiber_is_over(const struct fiber *f);
/* Until when it waits; USEC_NEVER: until it is woken. On the life's clock. */
usec_t fiber_due(const struct fiber *f);
/* Somebody has signalled the condition that it waits for: it runs at that time. */
void fiber_wake(struct fiber *f, usec_t at);

/* On a fiber: waits, as in a call that blocks. */
void fiber_sleep(usec_t until);

/* Whoever waits for a condition on the life's own stack waits for this fiber, so long; past that
 * its patience is over. */
void fiber_await(struct fiber *f, usec_t patience);

#endif
