/* call-queue.c - see call-queue.h */
#include "engine/call-queue.h"

void call_queue_init(struct call_queue *q)
{
    *q = (struct call_queue){0};
    for (int i = 0; i < CALL_CLASS_MAX; i++)
        q->lines[i].end = &q->lines[i].first;
}

enum call_class call_class_of(const struct call *c)
{
    return !call_acts(c) ? CALL_ASKS : c->kind == CALL_CUT ? CALL_CUTS : CALL_ACTS;
}

void call_queue_add(struct call_queue *q, struct call *c)
{
    enum call_class class = call_class_of(c);

    c->place = ++q->last_place;
    c->next = NULL;
    *q->lines[class].end = c;
    q->lines[class].end = &c->next;
}

struct call *call_queue_first(const struct call_queue *q, const bool may[static CALL_CLASS_MAX])
{
    struct call *first = NULL;

    for (int i = 0; i < CALL_CLASS_MAX; i++) {
        struct call *c = q->lines[i].first;

        if (c && may[i] && (!first || c->place < first->place))
            first = c;
    }
    return first;
}

struct call *call_queue_take(struct call_queue *q, const bool may[static CALL_CLASS_MAX])
{
    struct call *c = call_queue_first(q, may);
    enum call_class class;

    if (!c)
        return NULL;
    class = call_class_of(c);
    q->lines[class].first = c->next;
    if (!c->next)
        q->lines[class].end = &q->lines[class].first;
    c->next = NULL;
    return c;
}

bool call_queue_is_empty(const struct call_queue *q)
{
    for (int i = 0; i < CALL_CLASS_MAX; i++)
        if (q->lines[i].first)
            return false;
    return true;
}
