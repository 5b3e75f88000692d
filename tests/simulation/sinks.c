/* sinks.c - sinks that are away, hang, take half and lose answers
 *
 * Theory of operation. The relays are the real ones, each on a fiber, with the real cursor; only
 * what they deliver to is made up. A sink outlives stopd. Some say what they have got last when
 * they are opened. Some of the others refuse events, of one mind: the same ones each time, until
 * somebody mends them. What they may be sent is witness-sinks.c's.
 *
 * A delivery that stopd does not live to see the end of arrives or not, by lot.
 */
#include "simulation/sinks.h"

#include "engine/relay.h"
#include "simulation/census.h"
#include "simulation/fiber.h"
#include "simulation/life.h"
#include "simulation/sink.h"

#include "base/json.h"

#include <errno.h>
#include <string.h>

#define SINKS_MOST 2
#define RELAY_PATIENCE (5 * USEC_PER_SEC)

static const char *const names[SINKS_MOST] = {"first", "second"};

/* One relay's. */
struct connection {
    struct upstream upstream;
    struct sink *sink;
    struct relay *relay;
    struct fiber *fiber;
    bool is_dead; /* its process is */
};

struct sinks {
    struct sink items[SINKS_MOST];
    size_t n;
};

const char *const *sinks_names(const struct life *life, size_t *n)
{
    *n = life->sinks->n;
    return names;
}

const char *sink_name(const struct sink *s)
{
    return names[s->index];
}

struct sink *sinks_find(const struct life *life, const char *name)
{
    for (size_t i = 0; i < life->sinks->n; i++)
        if (text_equal(names[i], name))
            return &life->sinks->items[i];
    return NULL;
}

static bool is_refused(const struct sink *s, uint64_t sequence)
{
    return s->refuses && !s->says_last && !s->is_mended && (sequence % 5 == 2 || sequence % 5 == 3);
}

static void see_events(struct sink *s, const struct upstream_event *events, size_t n, bool is_taken)
{
    for (size_t i = 0; i < n; i++)
        sink_sees_event(s, &events[i], is_taken);
    if (n > 0)
        tell(s->life, "  sink %s %s %llu to %llu%s", sink_name(s), is_taken ? "has got" : "refuses",
             (unsigned long long)events[0].sequence, (unsigned long long)events[n - 1].sequence,
             s->reads_letters ? ", letters" : "");
}

void sinks_see_commit(struct life *life)
{
    for (size_t i = 0; i < life->sinks->n; i++)
        sink_sees_commit(&life->sinks->items[i]);
}

/* --- What a sink does ----------------------------------------------------------------------- */

struct trouble {
    enum { FINE, IS_AWAY, TAKES_HALF, LOSES_ANSWER, TAKES_PART, HANGS } kind;
    usec_t for_so_long;
};
static const char *const trouble_words[] = {
    "", "is away", "takes half", "loses its answer", "takes a part", "hangs"};

static struct trouble choose_trouble(struct sink *s)
{
    struct life *life = s->life;
    struct dice *dice = &life->dice;
    uint64_t number = fate_number(life, FATE_SINK, NULL, s->index);
    struct trouble t = {0};

    fate_draw(life, FATE_SINK, number);
    if (life->is_quiet || !dice_percent(dice, life->temper.sink_troubles))
        return t;
    t.kind = 1 + dice_below(dice, HANGS);
    t.for_so_long =
        dice_between(dice, 0, dice_percent(dice, 70) ? 20 * USEC_PER_SEC : 400 * USEC_PER_SEC);
    return fate_happens(life, FATE_SINK, number) ? t : (struct trouble){0};
}

/* Takes some time. False: stopd has not lived to see the end of it. */
static bool spend(struct connection *c, usec_t how_long)
{
    if (!c->is_dead)
        fiber_sleep(c->sink->life->now + how_long);
    return !c->is_dead;
}

static int fail(struct error **err, const char *why)
{
    return error_set(err, ERROR_IO, "%s", why);
}

static int sink_open(struct upstream *u, char last_id[static UUID_TEXT_SIZE], struct error **err)
{
    struct connection *c = (struct connection *)u;
    struct sink *s = c->sink;

    if (!spend(c, USEC_PER_MSEC) || s->well_at > s->life->now)
        return fail(err, "connection refused");
    if (s->says_last && s->held > 0)
        memcpy(last_id, s->seen[s->held - 1].id, UUID_TEXT_SIZE);
    return 0;
}

/* Up to the first that it refuses. */
static int take_events(const struct connection *c, const struct trouble *t,
                       const struct upstream_event *events, size_t n, size_t *delivered,
                       struct error **err)
{
    struct sink *s = c->sink;
    size_t taken = 0;

    while (taken < n && !is_refused(s, events[taken].sequence))
        taken++;
    see_events(s, events, taken, true);
    see_events(s, events + taken, taken < n, false);
    if (t->kind == LOSES_ANSWER)
        return fail(err, "no answer in time");
    *delivered = taken;
    if (c->relay && !c->is_dead)
        sink_sees_answer(s, events, taken);
    if (taken < n)
        return error_set(err, ERROR_REFUSED, "it is refused");
    return t->kind == TAKES_HALF ? fail(err, "no space left on device") : 0;
}

static int sink_deliver(struct upstream *u, const struct upstream_event *events, size_t n,
                        size_t *delivered, struct error **err)
{
    struct connection *c = (struct connection *)u;
    struct sink *s = c->sink;
    struct trouble t = choose_trouble(s);
    usec_t pause = t.kind == HANGS ? t.for_so_long : dice_between(&s->life->dice, 100, 20000);
    size_t half = dice_below(&s->life->dice, (uint32_t)n);
    bool arrives = dice_percent(&s->life->dice, 50);

    if (t.kind)
        census_count("sink", trouble_words[t.kind]);
    if (t.kind)
        tell(s->life, "  sink %s %s for %.1f s", names[s->index], trouble_words[t.kind],
             (double)t.for_so_long / 1e6);
    if (t.kind == IS_AWAY)
        s->well_at = s->life->now + t.for_so_long;
    if (!spend(c, pause)) {
        (void)take_events(c, &(struct trouble){.kind = LOSES_ANSWER}, events, arrives ? n : half,
                          delivered, err);
        return -EIO;
    }
    if (s->well_at > s->life->now)
        return fail(err, "connection reset by peer");
    if (t.kind == TAKES_HALF || t.kind == TAKES_PART)
        n = half;
    return take_events(c, &t, events, n, delivered, err);
}

/* The connection is its maker's: the relay may be gone before the fiber is. */
static void sink_free(struct upstream *u)
{
}

static const struct upstream_ops ops = {
    .type = "simulated",
    .open = sink_open,
    .deliver = sink_deliver,
    .free = sink_free,
};

/* --- Relays --------------------------------------------------------------------------------- */

static int on_report(void *userdata, struct sink_report *report)
{
    struct connection *c = userdata;
    struct life *life = c->sink->life;

    if (!c->is_dead && !c->relay)
        rule_broken(life, "4.4 cursor", "a relay that was stopped reports");
    if (c->is_dead || !life->engine) {
        sink_report_free(report);
        return 0;
    }
    engine_take_sink_report(life->engine, report);
    life->has_arrivals |= dice_percent(&life->dice, 40); /* else with the next turn that comes */
    return 0;
}

static void start(struct life *life, struct sink *s)
{
    struct connection *c = calloc(1, sizeof(*c));
    struct relay_settings settings = {
        .name = names[s->index],
        .upstream = &c->upstream,
        .journal_path = names[s->index], /* see readings.c */
        .report = on_report,
        .userdata = c,
    };

    if (!c)
        abort();
    c->upstream.ops = &ops;
    c->sink = s;
    if (relay_start(&settings, &c->relay, NULL) < 0)
        abort();
    c->fiber = fiber_latest();
    s->connection = c;
    relay_notify(c->relay, engine_last_sequence(life->engine));
}

void sinks_start(struct life *life)
{
    for (size_t i = 0; i < life->sinks->n; i++)
        start(life, &life->sinks->items[i]);
}

static void stop(struct sink *s, bool properly)
{
    struct connection *c = take(s->connection);

    if (!c)
        return;
    c->is_dead = !properly;
    fiber_await(c->fiber, properly ? RELAY_PATIENCE : USEC_NEVER - s->life->now);
    if (relay_stop(c->relay, RELAY_PATIENCE) < 0)
        tell(s->life, "  sink %s hangs, and is left to itself", names[s->index]);
    c->relay = NULL;
    while (!fiber_is_over(c->fiber))
        fiber_resume(c->fiber);
    fiber_free(c->fiber);
    free(c);
}

void sinks_stop(struct life *life, bool properly)
{
    for (size_t i = 0; i < life->sinks->n; i++)
        stop(&life->sinks->items[i], properly);
}

void sinks_notify(struct life *life, uint64_t sequence)
{
    for (size_t i = 0; i < life->sinks->n; i++) {
        const struct connection *c = life->sinks->items[i].connection;

        if (!c)
            continue;
        relay_notify(c->relay, sequence);
        fiber_wake(c->fiber, life->now + 50);
    }
}

void sinks_advance(struct life *life)
{
    for (size_t i = 0; i < life->sinks->n; i++) {
        const struct connection *c = life->sinks->items[i].connection;

        if (c && fiber_due(c->fiber) <= life->now)
            fiber_resume(c->fiber);
    }
}

usec_t sinks_next(const struct life *life)
{
    usec_t due = USEC_NEVER;

    for (size_t i = 0; i < life->sinks->n; i++)
        if (life->sinks->items[i].connection)
            earlier(&due, fiber_due(life->sinks->items[i].connection->fiber));
    return due;
}

/* --- What the engine wants of them ---------------------------------------------------------- */

static json_object *describe(void *userdata, size_t i)
{
    json_object *o = json_object_new_object();

    if (!o || json_add_string(o, "name", names[i]) < 0)
        abort();
    return o;
}

static void rewind_sink(void *userdata, size_t i, uint64_t after, unsigned rewinds)
{
    struct life *life = userdata;
    const struct connection *c = life->sinks->items[i].connection;

    if (!host_point(life, "a sink is rewound") || !c)
        return;
    relay_rewind(c->relay, after, rewinds);
    fiber_wake(c->fiber, life->now + 50);
}

static void replay_letters(void *userdata, size_t i, uint64_t mark)
{
    struct life *life = userdata;
    const struct connection *c = life->sinks->items[i].connection;

    if (!host_point(life, "letters are sent again") || !c)
        return;
    relay_replay_letters(c->relay, mark);
    fiber_wake(c->fiber, life->now + 50);
}

struct engine_sinks sinks_for_engine(struct life *life)
{
    return (struct engine_sinks){life, describe, rewind_sink, replay_letters};
}

/* --- The life ------------------------------------------------------------------------------- */

void sinks_create(struct life *life)
{
    struct sinks *all = calloc(1, sizeof(*all));

    if (!all)
        abort();
    all->n = 1 + dice_percent(&life->dice, 25);
    for (unsigned i = 0; i < all->n; i++)
        all->items[i] = (struct sink){.life = life,
                                      .index = i,
                                      .says_last = dice_percent(&life->dice, 50),
                                      .refuses = dice_percent(&life->dice, 60)};
    life->sinks = all;
}

void sinks_free(struct life *life)
{
    struct sinks *all = take(life->sinks);

    for (size_t i = 0; all && i < all->n; i++)
        sink_clear(&all->items[i]);
    free(all);
}

bool sinks_are_done(const struct life *life)
{
    for (size_t i = 0; i < life->sinks->n; i++)
        if (!sink_is_done(&life->sinks->items[i]))
            return false;
    return true;
}

void sinks_check(struct life *life)
{
    for (size_t i = 0; i < life->sinks->n; i++)
        sink_check_end(&life->sinks->items[i]);
}
