/* sinks.h - where events go, through the relays that go there */
#ifndef STOPD_SIMULATION_SINKS_H
#define STOPD_SIMULATION_SINKS_H

#include "engine/engine.h"

struct life;

/* What the configuration says. */
const char *const *sinks_names(const struct life *life, size_t *n);

void sinks_create(struct life *life);
void sinks_free(struct life *life);
/* stopd starts its relays, or they end with it. */
void sinks_start(struct life *life);
void sinks_stop(struct life *life, bool properly);
void sinks_notify(struct life *life, uint64_t sequence);
void sinks_advance(struct life *life);
usec_t sinks_next(const struct life *life);
/* Whether they have got everything. */
bool sinks_are_done(const struct life *life);
void sinks_see_commit(struct life *life);
/* How the engine reaches its relays. */
struct engine_sinks sinks_for_engine(struct life *life);
/* The life is over. */
void sinks_check(struct life *life);

#endif
