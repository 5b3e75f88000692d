/* sink-report.c - reports of relays as values */
#include "engine/sink-report.h"

struct sink_report *sink_report_new(enum sink_news news, const char *sink, uint64_t sequence,
                                    const char *reason, unsigned rewinds)
{
    _cleanup_(sink_report_free) struct sink_report *r = calloc(1, sizeof(*r));

    if (!r || text_replace(&r->sink, sink) < 0 || text_replace(&r->reason, reason) < 0)
        return NULL;
    r->news = news;
    r->sequence = sequence;
    r->rewinds = rewinds;
    return take(r);
}

void sink_report_free(struct sink_report *r)
{
    if (!r)
        return;
    free(r->sink);
    free(r->reason);
    free(r);
}
