/* sinks.h - the configured sinks, each behind a relay of its own */
#ifndef STOPD_DAEMON_SINKS_H
#define STOPD_DAEMON_SINKS_H

#include "daemon/config.h"
#include "engine/engine.h"

#include <stdio.h>

struct sinks;

/* Knows their names; none is reached yet. */
int sinks_new(const struct config *c, struct sinks **ret, struct error **err);
/* Begins to deliver. report: as of struct relay_settings. */
int sinks_start(struct sinks *s, const struct config *c,
                int (*report)(void *userdata, struct sink_report *report), void *userdata,
                struct error **err);
/* Lets each end the batch that it delivers; one that hangs is left, and said so. */
void sinks_stop(struct sinks *s);
void sinks_free(struct sinks *s);

/* NULL-terminated; good as long as s. */
const char *const *sinks_names(const struct sinks *s, size_t *n);
/* Events up to this sequence are committed. */
void sinks_notify(struct sinks *s, uint64_t sequence);
/* What the engine asks of them. */
struct engine_sinks sinks_for_engine(struct sinks *s);
/* In the Prometheus text format. */
void sinks_write_metrics(struct sinks *s, FILE *f);

#endif
