/* sinks.c - sinks that are away, hang, take half and lose answers; and what they may never see
 *
 * Theory of operation. The relays are the real ones, each on a fiber, with the real cursor; only
 * what they deliver to is made up. A sink outlives stopd, knows each event by its id, and does not
 * mind being sent one again, unless it is one of those that say what they have got when they are
 * opened. What it has not had before has to be the next in the sequence, so that nothing is lost or
 * out of order whatever dies in between, and it has to be in the journal for good.
 *
 * Some of the others refuse events, of one mind: the same ones each time. Of what the cursor is
 * past, these are dead letters, and no others.
 *
 * A delivery that stopd does not live to see the end of arrives or not, by lot.
 */
#include "simulation/sinks.h"

#include "engine/relay.h"
#include "simulation/census.h"
#include "simulation/fiber.h"
#include "simulation/life.h"

#include "journal/private.h"

#include <errno.h>
#include <string.h>

#define SINKS_MOST 2
#define RELAY_PATIENCE (5 * USEC_PER_SEC)

static const char *const names[SINKS_MOST] = {"first", "second"};

struct sink {
    struct life *life;
    unsigned index;
    bool says_last, refuses;
    uint64_t checked;            /* its cursor, when its dead letters were last looked at */
    usec_t well_at;              /* it cannot be reached until then */
    char (*ids)[UUID_TEXT_SIZE]; /* of what it has got, by sequence - 1 */
    size_t n, room;
    struct connection *connection; /* NULL: nobody's at the moment */
};

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

/* --- What a sink sees ----------------------------------------------------------------------- */

static bool is_refused(const struct sink *s, uint64_t sequence)
{
    return s->refuses && !s->says_last && (sequence % 5 == 2 || sequence % 5 == 3);
}

static void see_event(struct life *life, struct sink *s, const struct upstream_event *e)
{
    if (e->sequence > life->witness.sequence) {
        rule_broken(life, "4.4 outbox", "event %llu is sent and not in the journal",
                    (unsigned long long)e->sequence);
        return;
    }
    if (e->sequence <= s->n) {
        census_count("rule", s->says_last ? "4.4 once" : "4.4 id");
        if (!text_equal(s->ids[e->sequence - 1], e->id))
            rule_broken(life, "4.4 id", "event %llu is sent again with another id",
                        (unsigned long long)e->sequence);
        else if (s->says_last)
            rule_broken(life, "4.4 once", "event %llu is sent again to a sink that has said so",
                        (unsigned long long)e->sequence);
        return;
    }
    census_count("rule", "4.4 order");
    if (e->sequence != s->n + 1)
        rule_broken(life, "4.4 order", "sink %s is sent event %llu behind event %zu",
                    names[s->index], (unsigned long long)e->sequence, s->n);
    for (size_t i = 0; i < s->n; i++)
        if (text_equal(s->ids[i], e->id))
            rule_broken(life, "4.4 id", "events %zu and %llu have one id", i + 1,
                        (unsigned long long)e->sequence);
    if (s->n == s->room) {
        s->room = s->room ? 2 * s->room : 32;
        s->ids = realloc(s->ids, s->room * sizeof(*s->ids));
        if (!s->ids)
            abort();
    }
    memcpy(s->ids[s->n++], e->id, UUID_TEXT_SIZE);
}

static void see_events(struct sink *s, const struct upstream_event *events, size_t n)
{
    for (size_t i = 0; i < n; i++)
        see_event(s->life, s, &events[i]);
    if (n > 0)
        tell(s->life, "  sink %s has got %llu to %llu", names[s->index],
             (unsigned long long)events[0].sequence, (unsigned long long)events[n - 1].sequence);
}

void sinks_see_cursor(struct life *life, const char *name, uint64_t sequence)
{
    census_count("rule", "4.4 cursor");
    for (size_t i = 0; i < life->sinks->n; i++)
        if (text_equal(names[i], name) && sequence > life->sinks->items[i].n)
            rule_broken(life, "4.4 cursor", "the cursor of sink %s is %llu, and it has got %zu",
                        name, (unsigned long long)sequence, life->sinks->items[i].n);
}

static uint64_t letters_up_to(struct life *life, const char *name, uint64_t sequence)
{
    _cleanup_(query) sqlite3_stmt *q = NULL;
    uint64_t n = 0;

    if (database_query(&life->journal->database,
                       "SELECT count(*) FROM dead_letter WHERE sink = ?1 AND sequence <= ?2",
                       VALUES(text(name), number(sequence)), &q, NULL) < 0 ||
        database_next(&life->journal->database, q, NULL) <= 0 || !column_number(q, 0, &n))
        abort();
    return n;
}

static void check_letters(struct life *life, struct sink *s)
{
    uint64_t cursor = 0, letters, refused = 0;

    if (journal_load_cursor(life->journal, names[s->index], &cursor, NULL) < 0)
        abort();
    if (cursor == s->checked)
        return;
    s->checked = cursor;
    census_count("rule", "4.4 dead letters");
    for (uint64_t i = 1; i <= cursor; i++)
        refused += is_refused(s, i);
    letters = letters_up_to(life, names[s->index], cursor);
    if (letters != refused)
        rule_broken(
            life, "4.4 dead letters", "up to %llu there are %llu dead letters, and %llu refusals",
            (unsigned long long)cursor, (unsigned long long)letters, (unsigned long long)refused);
}

void sinks_see_commit(struct life *life)
{
    for (size_t i = 0; i < life->sinks->n; i++)
        check_letters(life, &life->sinks->items[i]);
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
    if (s->says_last && s->n > 0)
        memcpy(last_id, s->ids[s->n - 1], UUID_TEXT_SIZE);
    return 0;
}

/* Up to the first that it refuses. */
static int take_events(struct sink *s, const struct trouble *t, const struct upstream_event *events,
                       size_t n, size_t *delivered, struct error **err)
{
    size_t taken = 0;

    while (taken < n && !is_refused(s, events[taken].sequence))
        taken++;
    see_events(s, events, taken + (taken < n));
    if (t->kind == LOSES_ANSWER)
        return fail(err, "no answer in time");
    *delivered = taken;
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
        (void)take_events(s, &(struct trouble){.kind = LOSES_ANSWER}, events, arrives ? n : half,
                          delivered, err);
        return -EIO;
    }
    if (s->well_at > s->life->now)
        return fail(err, "connection reset by peer");
    if (t.kind == TAKES_HALF || t.kind == TAKES_PART)
        n = half;
    return take_events(s, &t, events, n, delivered, err);
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
        .journal_path = ":memory:",
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
        free(all->items[i].ids);
    free(all);
}

bool sinks_are_done(const struct life *life)
{
    for (size_t i = 0; i < life->sinks->n; i++)
        if (life->sinks->items[i].n < life->witness.sequence)
            return false;
    return true;
}

void sinks_check(struct life *life)
{
    census_count("rule", "4.4 delivered");
    for (size_t i = 0; i < life->sinks->n; i++)
        if (life->sinks->items[i].n != life->witness.sequence)
            rule_broken(life, "4.4 delivered", "sink %s has got %zu events of %llu in the end",
                        names[i], life->sinks->items[i].n,
                        (unsigned long long)life->witness.sequence);
}

/* --- What the linker puts in the place of a reader's own connection ------------------------- */

int __real_database_open(struct database *d, const char *path, enum database_mode mode,
                         struct error **err);
void __real_database_close(struct database *d);
int __wrap_database_open(struct database *d, const char *path, enum database_mode mode,
                         struct error **err);
void __wrap_database_close(struct database *d);

static struct sqlite3 *lent; /* the journal is in memory, and a reader has to read the same */

int __wrap_database_open(struct database *d, const char *path, enum database_mode mode,
                         struct error **err)
{
    if (mode == DATABASE_WRITE) {
        int r = __real_database_open(d, path, mode, err);

        lent = d->sqlite;
        return r;
    }
    *d = (struct database){.sqlite = lent};
    return text_replace(&d->path, path);
}

void __wrap_database_close(struct database *d)
{
    if (d->sqlite != lent || !d->path) {
        __real_database_close(d);
        return;
    }
    for (size_t i = 0; i < ELEMENTSOF(d->kept); i++)
        sqlite3_finalize(d->kept[i].statement);
    free(d->path);
    *d = (struct database){0};
}
