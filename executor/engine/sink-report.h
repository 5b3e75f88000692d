/* sink-report.h - what a sink's relay tells the engine, for the journal */
#ifndef STOPD_ENGINE_SINK_REPORT_H
#define STOPD_ENGINE_SINK_REPORT_H

#include "stopd/base.h"

enum sink_news {
    SINK_MOVED,         /* all up to the sequence is delivered or set aside */
    SINK_SET_ASIDE,     /* the event with the sequence is refused, with a reason: a dead letter */
    SINK_REFUSED_AGAIN, /* so is a dead letter that was sent again */
    SINK_TOOK_LETTER,   /* a dead letter that was sent again is delivered */
};

struct sink_report {
    enum sink_news news;
    char *sink;
    uint64_t sequence;
    char *reason;             /* of a refusal */
    unsigned rewinds;         /* of the sink that the relay has heard of */
    struct sink_report *next; /* the engine's own */
};
/* Texts are copied; reason may be NULL. NULL when out of memory. */
struct sink_report *sink_report_new(enum sink_news news, const char *sink, uint64_t sequence,
                                    const char *reason, unsigned rewinds);
void sink_report_free(struct sink_report *r);
DEFINE_CLEANUP(struct sink_report *, sink_report_free);

#endif
