/* engine-sinks.c - what sinks report for the journal, and what operators want of them
 *
 * Theory of operation. A relay's reports come in its order: a refusal before the cursor that is
 * past it. Refusals are kept here until a transaction has them, and every transaction writes them
 * before any cursor; so whatever fails and whenever the program dies, the journal has the dead
 * letter, or a cursor that is not past it yet. Cursors that are late only mean that a sink gets
 * events again: they wait for a turn that commits anyway, a second at most.
 *
 * What an operator wants (events once more, dead letters once more or dropped) is written by the
 * turn and answered by its commit; only then is the relay told to look. Reports that a relay made
 * before it heard of its cursor having been put back would put it forward again, and are ignored:
 * what they tell of is sent once more anyway.
 */
#include "engine/engine-internal.h"

#include "base/json.h"
#include "stopd/log.h"

#include <errno.h>
#include <inttypes.h>

#define CURSOR_DELAY USEC_PER_SEC
/* The most dead letters that one request changes, so that the loop is not held up. */
#define LETTERS_MOST 1000

static struct cursor *find_cursor(const struct engine *e, const char *sink)
{
    for (size_t i = 0; i < e->n_cursors; i++)
        if (text_equal(e->cursors[i].sink, sink))
            return &e->cursors[i];
    return NULL;
}

/* --- Reports --------------------------------------------------------------------------------- */

static bool is_out_of_date(const struct cursor *c, const struct sink_report *r)
{
    return (r->news == SINK_MOVED || r->news == SINK_SET_ASIDE) && r->rewinds < c->rewinds;
}

static void move_cursor(struct engine *e, struct cursor *c, uint64_t sequence)
{
    c->sequence = sequence;
    c->changed = true;
    if (e->cursors_at == USEC_NEVER)
        e->cursors_at = e->host.now(e->host.userdata).monotonic + CURSOR_DELAY;
}

void engine_take_sink_report(struct engine *e, struct sink_report *r)
{
    struct cursor *c = find_cursor(e, r->sink);

    if (!c || is_out_of_date(c, r)) {
        sink_report_free(r);
        return;
    }
    /* What is set aside is past its turn in the same transaction. */
    if (r->news == SINK_MOVED || r->news == SINK_SET_ASIDE)
        move_cursor(e, c, r->sequence);
    if (r->news == SINK_MOVED)
        sink_report_free(r);
    else
        list_append(&e->refusals, r);
}

void engine_forget_refusals(struct engine *e)
{
    struct sink_report *r;

    while ((r = list_take_first(&e->refusals)))
        sink_report_free(r);
}

static int write_report(struct engine *e, const struct sink_report *r, struct error **err)
{
    const char *reason = r->reason ? r->reason : "";

    if (r->news == SINK_SET_ASIDE)
        return journal_put_dead_letter(e->journal, r->sink, r->sequence, reason, e->now.realtime,
                                       err);
    if (r->news == SINK_REFUSED_AGAIN)
        return journal_refuse_dead_letter(e->journal, r->sink, r->sequence, reason, e->now.realtime,
                                          err);
    return journal_deliver_dead_letter(e->journal, r->sink, r->sequence, err);
}

/* --- Wishes ---------------------------------------------------------------------------------- */

static bool is_of_letters(const struct request *r)
{
    return r->kind == REQUEST_REPLAY_LETTERS || r->kind == REQUEST_DROP_LETTERS;
}

/* A wish stands in the turn as the reply to it. */
static const struct request *wish_of(const struct staged_reply *s)
{
    const struct request *r = s->request;

    return s->is_of_commit && (r->kind == REQUEST_REWIND_SINK || is_of_letters(r)) ? r : NULL;
}

/* Where the sink stands once this turn's earlier wishes have come about: what one puts back, the
 * next may not put forward past. */
static uint64_t position_of(const struct engine *e, const struct cursor *c)
{
    uint64_t position = c->sequence;

    for (const struct staged_reply *s = e->replies.first; s; s = s->next) {
        const struct request *r = wish_of(s);

        if (r && r->kind == REQUEST_REWIND_SINK && text_equal(r->sink, c->sink))
            position = r->after;
    }
    return position;
}

static int check_letter(struct engine *e, const struct request *r, struct error **err)
{
    int found = r->after > 0 ? journal_has_dead_letter(e->journal, r->sink, r->after, err) : 1;

    return found == 0 ? error_set(err, ERROR_DEAD_LETTER_NOT_FOUND, NULL) : found;
}

/* Of a sink that is no longer configured, dead letters can still be dropped. */
static int check_wish(struct engine *e, const struct request *r, struct error **err)
{
    const struct cursor *c = find_cursor(e, r->sink);
    json_object *counts = c ? NULL : engine_letter_counts(e);

    if (!c && !json_object_object_get_ex(counts, r->sink, NULL))
        return error_set(err, ERROR_SINK_NOT_FOUND, NULL);
    if (!c && r->kind != REQUEST_DROP_LETTERS)
        return error_set(err, ERROR_CONFLICT,
                         "The sink %s is not configured any more; its dead letters can only be "
                         "dropped.",
                         r->sink);
    if (is_of_letters(r))
        return check_letter(e, r, err);
    if (r->after > position_of(e, c))
        return error_set(err, ERROR_INVALID_PARAMETER,
                         "The member after must not be more than %" PRIu64
                         ": the sink has not got what is behind it.",
                         position_of(e, c));
    return 0;
}

int engine_command_sink(struct engine *e, struct request *r, struct answer *a, struct error **err)
{
    int result = check_wish(e, r, err);

    if (result < 0)
        return result;
    a->body = json_object_new_object();
    if (!a->body || json_add_string(a->body, "sink", r->sink) ||
        (!is_of_letters(r) && json_add_number(a->body, "after", r->after)))
        return error_no_memory(err);
    return 0;
}

static int write_wish(struct engine *e, const struct request *r, struct answer *a,
                      struct error **err)
{
    unsigned n = 0;
    int result;

    if (r->kind == REQUEST_REWIND_SINK)
        return journal_rewind(e->journal, r->sink, r->after, err);
    result = r->kind == REQUEST_REPLAY_LETTERS
                 ? journal_mark_dead_letters(e->journal, r->sink, r->after, ++e->mark, LETTERS_MOST,
                                             &n, err)
                 : journal_drop_dead_letters(e->journal, r->sink, r->after, LETTERS_MOST, &n, err);
    if (result == 0 && json_add_number(a->body, "deadLetters", n) < 0)
        return error_no_memory(err);
    return result;
}

static void log_wish(const struct request *r)
{
    static const char *const what[REQUEST_KIND_MAX] = {
        [REQUEST_REWIND_SINK] = "the events behind a sequence are sent again",
        [REQUEST_REPLAY_LETTERS] = "dead letters are sent again",
        [REQUEST_DROP_LETTERS] = "dead letters are dropped"};

    log_notice("sink %s: %s (%" PRIu64 "), as %s wants", r->sink, what[r->kind], r->after,
               r->principal.name);
}

static void act_on_wish(struct engine *e, const struct request *r)
{
    struct cursor *c = find_cursor(e, r->sink);
    const struct engine_sinks *sinks = &e->host.sinks;

    log_wish(r);
    if (c && r->kind == REQUEST_REWIND_SINK) {
        c->sequence = r->after;
        c->rewinds++;
    }
    if (!c || !sinks->describe)
        return;
    if (r->kind == REQUEST_REWIND_SINK)
        sinks->rewind(sinks->userdata, (size_t)(c - e->cursors), r->after, c->rewinds);
    else if (r->kind == REQUEST_REPLAY_LETTERS)
        sinks->replay_letters(sinks->userdata, (size_t)(c - e->cursors), e->mark);
}

/* --- The turn -------------------------------------------------------------------------------- */

bool engine_has_sink_news(const struct engine *e)
{
    if (e->refusals.first)
        return true;
    for (const struct staged_reply *s = e->replies.first; s; s = s->next)
        if (wish_of(s))
            return true;
    return false;
}

int engine_write_sinks(struct engine *e, struct error **err)
{
    int r = 0;

    for (const struct sink_report *each = e->refusals.first; each && r == 0; each = each->next)
        r = write_report(e, each, err);
    for (size_t i = 0; i < e->n_cursors && r == 0; i++)
        if (e->cursors[i].changed)
            r = journal_put_cursor(e->journal, e->cursors[i].sink, e->cursors[i].sequence, err);
    for (struct staged_reply *s = e->replies.first; s && r == 0; s = s->next)
        if (wish_of(s))
            r = write_wish(e, wish_of(s), s->answer, err);
    return r;
}

void engine_act_on_sinks(struct engine *e)
{
    if (engine_has_sink_news(e)) {
        json_object_put(e->letter_counts);
        e->letter_counts = NULL;
    }
    engine_forget_refusals(e);
    for (const struct staged_reply *s = e->replies.first; s; s = s->next)
        if (wish_of(s))
            act_on_wish(e, wish_of(s));
}

/* --- How they fare --------------------------------------------------------------------------- */

static int add_count(void *userdata, const char *sink, uint64_t n)
{
    return json_add_number(userdata, sink, n) < 0 ? -ENOMEM : 0;
}

json_object *engine_letter_counts(struct engine *e)
{
    json_object *counts;

    if (e->letter_counts)
        return e->letter_counts;
    counts = json_object_new_object();
    if (counts && journal_count_dead_letters(e->journal, add_count, counts, NULL) == 0)
        e->letter_counts = counts;
    else
        json_object_put(counts);
    return e->letter_counts;
}

static int add_sink(json_object *array, json_object *sink, json_object *counts, const char *name)
{
    uint64_t n = 0;

    (void)json_get_number(counts, name, &n);
    if (sink && json_add_number(sink, "deadLetters", n) == 0)
        return json_append(array, sink);
    json_object_put(sink);
    return -ENOMEM;
}

/* One that is no longer configured, and has left dead letters. */
static json_object *describe_former(const char *name)
{
    _cleanup_(json) json_object *o = json_object_new_object();

    if (!o || json_add_string(o, "name", name) || json_add_string(o, "type", NULL))
        return NULL;
    return take(o);
}

static int describe_all(struct engine *e, const char *only, json_object *array, json_object *counts)
{
    const struct engine_sinks *sinks = &e->host.sinks;
    int r = 0;

    for (size_t i = 0; i < e->n_cursors && sinks->describe && r == 0; i++)
        if (!only || text_equal(only, e->cursors[i].sink))
            r = add_sink(array, sinks->describe(sinks->userdata, i), counts, e->cursors[i].sink);
    json_object_object_foreach(counts, name, count)
    {
        (void)count;
        if (r == 0 && !find_cursor(e, name) && (!only || text_equal(only, name)))
            r = add_sink(array, describe_former(name), counts, name);
    }
    return r;
}

int engine_describe_sinks(struct engine *e, const char *sink, json_object **ret, struct error **err)
{
    _cleanup_(json) json_object *body = json_object_new_object();
    json_object *array = json_object_new_array(), *counts = engine_letter_counts(e);

    if (!counts) {
        json_object_put(array);
        return error_set(err, ERROR_UNAVAILABLE, "The journal cannot be read.");
    }
    if (!body || json_add(body, "sinks", array) < 0 || describe_all(e, sink, array, counts) < 0)
        return error_no_memory(err);
    if (sink && json_object_array_length(array) == 0)
        return error_set(err, ERROR_SINK_NOT_FOUND, NULL);
    *ret = take(body);
    return 0;
}
