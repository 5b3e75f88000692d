/* meter.h - how far the work is, how fast it may go, and saying so */
#ifndef STOPD_WIPE_METER_H
#define STOPD_WIPE_METER_H

#include "wipe/report.h"

struct meter {
    struct report *report;
    const char *phase, *method;
    uint64_t max_bytes_per_s; /* 0: no bound */
    uint64_t total;
    uint64_t base,
        piece; /* the piece of work that a driver paces: where it begins, how long it is */
    uint64_t done;
    uint64_t durable;
    json_object *resume;    /* to go out with the next line, or NULL; owned */
    usec_t began;           /* of the phase … */
    uint64_t done_at_begin; /* … which may have been resumed */
    usec_t said;
    usec_t paced_since; /* since then, paced bytes were let through */
    uint64_t paced;
};

void meter_clear(struct meter *m);
void meter_begin(struct meter *m, const char *phase, const char *method, uint64_t total,
                 uint64_t already);
/* Lets `next` bytes through at the pace, and says where we are when it is time to. */
int meter_advance(struct meter *m, uint64_t done, uint64_t next, struct error **err);
int meter_say(struct meter *m, struct error **err);

/* For a driver that is about to do one piece of work: done of total of it, in whatever units it
 * likes. */
void meter_begin_piece(struct meter *m, struct storage_span piece);
int meter_step(struct meter *m, uint64_t done, uint64_t total, uint64_t next, struct error **err);
/* The same as a pace, where nothing else is to be asked in between. */
struct storage_pace meter_pace(struct meter *m, struct storage_span piece);

#endif
