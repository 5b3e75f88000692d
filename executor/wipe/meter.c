/* meter.c - how far the work is, how fast it may go, and saying so
 *
 * Theory of operation. Whoever moves bytes asks the meter before each piece. Where a bound is set,
 * the meter sleeps until the piece fits under it: counted from the last pause of a second or more
 * on, so that a device that was slow for a while is not made to catch up. A line of progress goes
 * out every half second at most; its reader may take the lack of one for a device that hangs. */
#include "wipe/meter.h"

#include <time.h>

#include "base/json.h"
#include "stopd/thread.h"

#define SAY_EVERY (500 * USEC_PER_MSEC)
#define CATCH_UP_MAX USEC_PER_SEC

void meter_clear(struct meter *m)
{
    json_object_put(take(m->resume));
}

void meter_begin(struct meter *m, const char *phase, const char *method, uint64_t total,
                 uint64_t already)
{
    m->phase = phase;
    m->method = method;
    m->total = total;
    m->base = m->piece = 0;
    m->done = m->done_at_begin = already;
    m->began = m->paced_since = moment_now().monotonic;
    m->paced = 0;
}

static void sleep_until(usec_t when)
{
    struct timespec at = timespec_of(when);

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0)
        ;
}

static void pace(struct meter *m, uint64_t next)
{
    usec_t now = moment_now().monotonic, due;

    if (m->max_bytes_per_s == 0 || next == 0)
        return;
    due = m->paced_since +
          (usec_t)((double)m->paced / (double)m->max_bytes_per_s * (double)USEC_PER_SEC);
    if (due > now) {
        sleep_until(due);
    } else if (now - due > CATCH_UP_MAX) {
        m->paced_since = now;
        m->paced = 0;
    }
    m->paced += next;
}

int meter_say(struct meter *m, struct error **err)
{
    json_object *line = report_line(WIPE_EVENT_PROGRESS);
    usec_t now = moment_now().monotonic, spent = now - m->began;
    uint64_t moved = m->done > m->done_at_begin ? m->done - m->done_at_begin : 0;
    double rate = spent > 0 ? (double)moved * (double)USEC_PER_SEC / (double)spent : 0;
    uint64_t left = m->total > m->done ? m->total - m->done : 0;

    if (!line || json_add_string(line, "phase", m->phase) < 0 ||
        json_add_string(line, "method", m->method) < 0 ||
        json_add_number(line, "done", m->done) < 0 ||
        json_add_number(line, "total", m->total) < 0 ||
        json_add_number(line, "durable", m->durable) < 0 ||
        json_add_number(line, "mibPerS", (uint64_t)(rate / (1 << 20))) < 0 ||
        (rate >= 1 &&
         json_add_number(line, "secondsLeft", (uint64_t)((double)left / rate + 0.5)) < 0) ||
        (m->resume && json_add(line, "resume", take(m->resume)) < 0)) {
        json_object_put(line);
        return error_no_memory(err);
    }
    m->said = now;
    return report_say(m->report, line, err);
}

int meter_advance(struct meter *m, uint64_t done, uint64_t next, struct error **err)
{
    pace(m, next);
    m->done = done;
    if (moment_now().monotonic - m->said < SAY_EVERY)
        return 0;
    return meter_say(m, err);
}

void meter_begin_piece(struct meter *m, struct storage_span piece)
{
    m->base = piece.offset;
    m->piece = piece.length;
}

int meter_step(struct meter *m, uint64_t done, uint64_t total, uint64_t next, struct error **err)
{
    double share = total ? (double)done / (double)total : 0;

    return meter_advance(m, m->base + (uint64_t)(share * (double)m->piece), next, err);
}

static int pace_step(void *context, uint64_t done, uint64_t total, uint64_t next,
                     struct error **err)
{
    return meter_step(context, done, total, next, err);
}

struct storage_pace meter_pace(struct meter *m, struct storage_span piece)
{
    meter_begin_piece(m, piece);
    return (struct storage_pace){.step = pace_step, .context = m};
}
