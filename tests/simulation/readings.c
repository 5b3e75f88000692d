/* readings.c - the relays read the journal, or cannot
 *
 * Theory of operation. The journal is in memory, and a relay has to read the same one: what the
 * linker puts in the place of its own connection lends it the writer's, by the name of the sink.
 * Any step of a reading can fail, at the first row or behind some, once or for a while. What is
 * read, and from where on, is told to the sink that it is read for.
 */
#include "simulation/census.h"
#include "simulation/life.h"
#include "simulation/sink.h"

#include "journal/private.h"

#include <errno.h>

static struct sqlite3 *lent;
static struct life *whose;

void readings_attend(struct life *life)
{
    whose = life;
}

/* --- Connections ---------------------------------------------------------------------------- */

int __real_database_open(struct database *d, const char *path, enum database_mode mode,
                         struct error **err);
void __real_database_close(struct database *d);
int __wrap_database_open(struct database *d, const char *path, enum database_mode mode,
                         struct error **err);
void __wrap_database_close(struct database *d);

static bool is_borrowed(const struct database *d)
{
    return d->sqlite == lent && d->path && whose && sinks_find(whose, d->path);
}

static bool fails(const struct database *d, struct error **err);

int __wrap_database_open(struct database *d, const char *path, enum database_mode mode,
                         struct error **err)
{
    if (mode == DATABASE_WRITE) {
        int r = __real_database_open(d, path, mode, err);

        lent = d->sqlite;
        return r;
    }
    *d = (struct database){.sqlite = lent};
    if (text_replace(&d->path, path) < 0)
        abort();
    return fails(d, err) ? -EIO : 0;
}

void __wrap_database_close(struct database *d)
{
    if (!is_borrowed(d)) {
        __real_database_close(d);
        return;
    }
    for (size_t i = 0; i < ELEMENTSOF(d->kept); i++)
        sqlite3_finalize(d->kept[i].statement);
    free(d->path);
    *d = (struct database){0};
}

/* --- Failures ------------------------------------------------------------------------------- */

/* One in so many readings begins a trouble, mostly a short one. */
static void choose_trouble(struct life *life, const struct sink *s)
{
    uint64_t number = fate_number(life, FATE_SINK, NULL, 2 + s->index);
    const struct dice kept = life->dice;
    usec_t how_long;

    fate_draw(life, FATE_SINK, number);
    how_long = dice_percent(&life->dice, 50)
                   ? 1
                   : dice_between(&life->dice, 0,
                                  (dice_percent(&life->dice, 80) ? 15 : 200) * USEC_PER_SEC);
    if (dice_percent(&life->dice, life->temper.reading_failures) &&
        fate_happens(life, FATE_SINK, number)) {
        life->readable_at = life->now + how_long;
        census_count("journal", how_long > 1 ? "cannot be read for a while" : "a reading fails");
        tell(life, "the journal cannot be read for %.1f s", (double)how_long / 1e6);
    }
    life->dice = kept;
}

static bool fails(const struct database *d, struct error **err)
{
    struct life *life = whose;

    if (life->is_quiet || life->temper.reading_failures == 0)
        return false;
    if (life->readable_at <= life->now)
        choose_trouble(life, sinks_find(life, d->path));
    if (life->readable_at <= life->now)
        return false;
    if (life->readable_at == life->now + 1)
        life->readable_at = life->now; /* it was this one alone */
    error_set(err, ERROR_JOURNAL, "reading the journal of %s: disk I/O error", d->path);
    return true;
}

int __real_database_next(struct database *d, sqlite3_stmt *q, struct error **err);
int __wrap_database_next(struct database *d, sqlite3_stmt *q, struct error **err);

int __wrap_database_next(struct database *d, sqlite3_stmt *q, struct error **err)
{
    return is_borrowed(d) && fails(d, err) ? -EIO : __real_database_next(d, q, err);
}

/* --- What is read --------------------------------------------------------------------------- */

typedef int event_reader(void *userdata, const struct upstream_event *e);
typedef int letter_reader(void *userdata, const struct dead_letter *letter);

int __real_journal_read_events(struct journal_reader *r, uint64_t after, unsigned limit,
                               event_reader *each, void *userdata, struct error **err);
int __wrap_journal_read_events(struct journal_reader *r, uint64_t after, unsigned limit,
                               event_reader *each, void *userdata, struct error **err);
int __real_journal_read_marked_letters(struct journal_reader *r, const char *sink, uint64_t done,
                                       uint64_t last, uint64_t after, unsigned limit,
                                       letter_reader *each, void *userdata, struct error **err);
int __wrap_journal_read_marked_letters(struct journal_reader *r, const char *sink, uint64_t done,
                                       uint64_t last, uint64_t after, unsigned limit,
                                       letter_reader *each, void *userdata, struct error **err);

int __wrap_journal_read_events(struct journal_reader *r, uint64_t after, unsigned limit,
                               event_reader *each, void *userdata, struct error **err)
{
    if (is_borrowed(&r->database))
        sink_sees_reading(sinks_find(whose, r->database.path), false, after);
    return __real_journal_read_events(r, after, limit, each, userdata, err);
}

int __wrap_journal_read_marked_letters(struct journal_reader *r, const char *sink, uint64_t done,
                                       uint64_t last, uint64_t after, unsigned limit,
                                       letter_reader *each, void *userdata, struct error **err)
{
    if (is_borrowed(&r->database))
        sink_sees_reading(sinks_find(whose, r->database.path), true, after);
    return __real_journal_read_marked_letters(r, sink, done, last, after, limit, each, userdata,
                                              err);
}
