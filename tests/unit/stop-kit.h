/* stop-kit.h - a stop without a host: the operation, its clock, and what it asked for and reported
 */
#ifndef STOPD_TESTS_STOP_KIT_H
#define STOPD_TESTS_STOP_KIT_H

#include "core/stop.h"
#include "operation-kit.h"

#include <stdio.h>
#include <string.h>

struct stop_options {
    usec_t grace, resend; /* 0: 60 s and 10 s */
    enum timeout_action on_timeout;
    enum stop_method method;
    bool force;
    bool without_processes;
};

/* One stop. What it wants done is collected, and waits until the test says what came of it. */
struct stop {
    struct operation *op;
    struct moment now;
    unsigned wanted;     /* effects that were asked for and not answered yet */
    unsigned ever;       /* all there were */
    char reported[1000]; /* "Stopping→Stopped (guest shut down); " … */
    bool has_failed;
};

static const struct incarnation first_run = {"9d3e8bd0-5b2c-4c4a-9f3d-0c8f6a3f7b11", 4711, 100};
static const struct incarnation next_run = {"9d3e8bd0-5b2c-4c4a-9f3d-0c8f6a3f7b11", 4711, 200};

static inline usec_t seconds(usec_t n)
{
    return n * USEC_PER_SEC;
}

static inline void take_reaction(struct stop *s, const struct reaction *r)
{
    size_t used = strlen(s->reported);

    s->wanted |= r->effects;
    s->ever |= r->effects;
    s->has_failed |= r->failed;
    if (r->has_transition)
        snprintf(s->reported + used, sizeof(s->reported) - used, "%s→%s (%s); ",
                 instance_state_to_string(r->from), instance_state_to_string(r->to), r->reason);
}

static inline void happens(struct stop *s, const struct input *in)
{
    struct reaction reaction;
    enum stage before = s->op->stage;

    step(s->op, in, s->now, &reaction);
    /* As the engine does it: what an earlier stage wanted is no longer meant, except a look. */
    if (s->op->stage != before)
        s->wanted &= EFFECT_LOOK;
    take_reaction(s, &reaction);
}

#define happens(s, ...) happens(s, &(struct input){__VA_ARGS__})

/* --- The beginning and the end --- */

#define A_STOP _cleanup_(stop_free) struct stop *s

#define a_stop(...) begin_stop(&(struct stop_options){__VA_ARGS__})
#define a_soft_stop(...) admitted(a_stop(__VA_ARGS__))
#define a_forced_stop(...) admitted(a_stop(.force = true, ##__VA_ARGS__))

/* Accepted, queued. */
static inline struct stop *begin_stop(const struct stop_options *o)
{
    struct stop *s = calloc(1, sizeof(*s));
    struct operation *op = operation_new();

    if (!s || !op)
        abort();
    s->op = op;
    s->now = (struct moment){.monotonic = seconds(1000), .realtime = seconds(1790000000)};
    snprintf(op->request_id, sizeof(op->request_id), "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E");
    (void)text_replace(&op->instance_id, "i-1");
    (void)text_replace(&op->domain_name, "vm1");
    (void)text_replace(&op->principal, "tester");
    op->stopped_mode = STOPPED_MODE_KEEP_CHARGING;
    op->grace = op->grace_left = o->grace ? o->grace : seconds(60);
    op->resend = o->resend ? o->resend : seconds(10);
    op->method = o->method ? o->method : METHOD_ACPI;
    op->on_timeout = o->on_timeout ? o->on_timeout : ON_TIMEOUT_FAIL;
    op->force_stop = o->force;
    op->has_processes = !o->without_processes;
    if (op->has_processes)
        op->incarnation = first_run;
    op->accepted_at = s->now.realtime;
    return s;
}

static inline struct stop *admitted(struct stop *s)
{
    happens(s, .kind = IN_ADMITTED);
    return s;
}

static inline void stop_free(struct stop *s)
{
    operation_free(s->op);
    free(s);
}
DEFINE_CLEANUP(struct stop *, stop_free);

/* --- What the world shows and answers --- */

static inline void weighed(struct stop *s, const struct sighting *seen)
{
    s->wanted &= ~(unsigned)EFFECT_LOOK;
    happens(s, .kind = operation_weigh(s->op, seen), .sighting = seen);
}

#define seen_as(s, ...) weighed(s, &(struct sighting){__VA_ARGS__})

/* A look shows the run that is meant, in this state. */
static inline void seen(struct stop *s, enum domain_state state)
{
    seen_as(s, .state = state, .incarnation = s->op->has_processes ? first_run : next_run,
            .remembered = s->op->has_processes ? PROCESS_ALIVE : PROCESS_NONE,
            .lifecycle = {LIFECYCLE_DESTROY, LIFECYCLE_RESTART});
}

/* A look shows it off, its process gone. */
static inline void seen_off(struct stop *s, enum end_cause cause)
{
    seen_as(s, .state = DOMAIN_OFF, .cause = cause,
            .remembered = s->op->has_processes ? PROCESS_ENDED : PROCESS_NONE);
}

static inline void answered(struct stop *s, enum effect effect, enum input_kind kind,
                            enum error_code code)
{
    const struct error error = {.code = code, .message = (char *)"the hypervisor says no"};

    s->wanted &= ~(unsigned)effect;
    happens(s, .kind = kind, .error = code ? &error : NULL);
}

static inline void button_accepted(struct stop *s)
{
    if (!(s->wanted & EFFECT_PRESS))
        seen(s, DOMAIN_RUNNING);
    answered(s, EFFECT_PRESS, IN_PRESSED, ERROR_NONE);
}

/* Time passes; what is due by the clock happens when it is due. */
static inline void after(struct stop *s, usec_t time)
{
    usec_t end = s->now.monotonic + time, due;

    for (unsigned i = 0; i < 10000; i++) {
        due = operation_next_due(s->op);
        if (due > end)
            break;
        if (due > s->now.monotonic) {
            s->now.realtime += due - s->now.monotonic;
            s->now.monotonic = due;
        }
        happens(s, .kind = operation_due_input(s->op, s->now.monotonic));
    }
    s->now.realtime += end - s->now.monotonic;
    s->now.monotonic = end;
}

/* stopd dies and comes back: what the journal held, on another clock, with the hypervisor at hand.
 */
static inline void restarted(struct stop *s)
{
    json_object *document = journalled(s->op);
    struct operation *again = NULL;

    if (operation_from_journal(document, &again, NULL) < 0)
        abort();
    json_object_put(document);
    operation_free(s->op);
    s->op = again;
    s->now.monotonic = seconds(5);
    s->wanted = 0;
    happens(s, .kind = IN_ATTACHED);
}

/* --- What has to be so --- */

#define assert_stage(s, expected) \
    assert_string_equal(stage_to_string((s)->op->stage), stage_to_string(expected))
#define assert_outcome(s, expected)                                                            \
    do {                                                                                       \
        assert_stage(s, STAGE_DONE);                                                           \
        assert_string_equal(outcome_to_string((s)->op->outcome), outcome_to_string(expected)); \
    } while (0)
#define assert_failed_with(s, code)                                        \
    do {                                                                   \
        assert_outcome(s, OUTCOME_FAILED);                                 \
        assert_string_equal(error_name((s)->op->error), error_name(code)); \
        assert_true((s)->has_failed);                                      \
    } while (0)
#define assert_wants(s, effect) assert_true((s)->wanted &(effect))
#define assert_never(s, effect) assert_false((s)->ever &(effect))
#define assert_reported(s, expected) assert_string_equal((s)->reported, expected)

#endif
