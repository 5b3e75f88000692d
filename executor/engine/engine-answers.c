/* engine-answers.c - what goes back to those who asked: at once, or when it has happened
 *
 * Theory of operation. Whoever waits for the end of an operation or for events is parked until that
 * has come or the time is up. overdue_at says when the first of them has to be answered, so that no
 * turn has to look through them all.
 */
#include "engine/engine-internal.h"

#include <string.h>

struct answer *answer_new(const struct request *r)
{
    struct answer *a = calloc(1, sizeof(*a));

    if (a)
        memcpy(a->request_id, r->request_id, sizeof(a->request_id));
    return a;
}

void engine_reply(struct request *r, struct answer *a)
{
    r->reply(r, a);
}

void engine_reply_error(struct request *r, const struct error *error)
{
    struct answer *a = answer_new(r);

    if (a) {
        a->code = error_code_of(error);
        (void)text_replace(&a->message, error_message(error));
    }
    engine_reply(r, a);
}

void engine_reply_body(struct request *r, json_object *body)
{
    struct answer *a = answer_new(r);

    if (a && !body)
        a->code = ERROR_NO_MEMORY;
    if (a)
        a->body = body;
    else
        json_object_put(body);
    engine_reply(r, a);
}

/* --- Waiting --------------------------------------------------------------------------------- */

void engine_answer_waiting(struct engine *e, struct domain *d)
{
    struct request *r = take(d->waiting), *next;

    for (; r; r = next) {
        next = r->next;
        engine_reply(r, answer_new(r));
    }
}

void engine_answer_event_waiters(struct engine *e)
{
    LIST_OF(struct request) waiters = {0};
    struct request *r;

    waiters.first = e->event_waiters.first;
    list_init(&e->event_waiters);
    while ((r = waiters.first)) {
        waiters.first = r->next;
        if (e->last_sequence > r->after)
            engine_reply(r, answer_new(r));
        else
            list_append(&e->event_waiters, r);
    }
}

/* Answers those of a list whose time is up and gives back the others. */
static struct request *sift(struct engine *e, struct request *list, bool all)
{
    struct request *kept = NULL, **end = &kept, *next;

    for (struct request *r = list; r; r = next) {
        next = r->next;
        if (all || r->deadline <= e->now.monotonic) {
            engine_reply(r, answer_new(r));
            continue;
        }
        if (r->deadline < e->overdue_at)
            e->overdue_at = r->deadline;
        *end = r;
        end = &r->next;
    }
    *end = NULL;
    return kept;
}

void engine_answer_overdue(struct engine *e, bool all)
{
    struct domain *d;

    if (!all && e->overdue_at > e->now.monotonic)
        return;
    e->overdue_at = USEC_NEVER;
    inventory_foreach(&e->inventory, d) d->waiting = sift(e, d->waiting, all);
    e->event_waiters.first = sift(e, e->event_waiters.first, all);
    e->event_waiters.end = &e->event_waiters.first;
    while (*e->event_waiters.end)
        e->event_waiters.end = &(*e->event_waiters.end)->next;
}

usec_t engine_next_overdue(const struct engine *e)
{
    return e->overdue_at;
}
