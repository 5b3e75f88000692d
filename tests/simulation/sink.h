/* sink.h - one sink: what it does, and what the witness knows of it */
#ifndef STOPD_SIMULATION_SINK_H
#define STOPD_SIMULATION_SINK_H

#include "simulation/life.h"
#include "stopd/upstream.h"

struct connection;

/* An event that the sink has seen, by its sequence; taken or refused. */
struct seen_event {
    char id[UUID_TEXT_SIZE];
    enum {
        LETTER_NONE,  /* none */
        LETTER_KEPT,  /* it is refused */
        LETTER_MAYBE, /* and taken when it was sent again, but the relay may not know */
        LETTER_GOING, /* the relay knows: it is none soon */
    } letter;
    uint64_t mark;    /* of the letter, as the journal has it */
    bool is_wanted;   /* the letter is to be sent again, and has not been since */
    bool is_owed;     /* so is the event: somebody has put the cursor back */
    bool is_readable; /* a letter that was marked when its relay looked last */
};

struct sink {
    struct life *life;
    unsigned index;
    bool says_last, refuses;
    bool is_mended;                /* it refuses nothing for the time being */
    bool has_letters;              /* or has had */
    usec_t well_at;                /* it cannot be reached until then */
    struct connection *connection; /* NULL: nobody's at the moment */

    struct seen_event *seen; /* by sequence - 1 */
    size_t n, room;
    uint64_t held;        /* the latest that came by its turn: what it says it has */
    uint64_t last;        /* and behind which its relay goes on */
    uint64_t last_letter; /* the same within one pass of the letters */
    bool reads_letters;   /* its relay has looked at these last, not at the outbox */
    uint64_t cursor;      /* in the journal */
    bool is_rewound;      /* so is that it was put back, and has not moved since */
};

const char *sink_name(const struct sink *s);
/* NULL: there is none of that name. */
struct sink *sinks_find(const struct life *life, const char *name);

/* --- witness-sinks.c ------------------------------------------------------------------------- */

/* Its relay reads the outbox, or the letters, behind this. */
void sink_sees_reading(struct sink *s, bool of_letters, uint64_t after);
/* It has got this one, and takes or refuses it. */
void sink_sees_event(struct sink *s, const struct upstream_event *e, bool is_taken);
/* Its relay has been told that it took these. */
void sink_sees_answer(struct sink *s, const struct upstream_event *events, size_t n);
void sink_sees_commit(struct sink *s);
/* It has all that there is for it. */
bool sink_is_done(const struct sink *s);
void sink_check_end(struct sink *s);
void sink_clear(struct sink *s);

#endif
