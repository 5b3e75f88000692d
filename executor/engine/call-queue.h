/* call-queue.h - calls that wait for a worker, in the order in which they came
 *
 * Questions, acts and power cuts stand in a line each, so that whoever may make only some of them
 * finds the first of those without walking past all the others. */
#ifndef STOPD_ENGINE_CALL_QUEUE_H
#define STOPD_ENGINE_CALL_QUEUE_H

#include "engine/call.h"

enum call_class { CALL_ASKS, CALL_ACTS, CALL_CUTS, CALL_CLASS_MAX };

struct call_queue {
    struct {
        struct call *first, **end;
    } lines[CALL_CLASS_MAX];
    uint64_t last_place;
};

void call_queue_init(struct call_queue *q);
enum call_class call_class_of(const struct call *c);
void call_queue_add(struct call_queue *q, struct call *c);
/* The first of those classes that may be made now; NULL: there is none. */
struct call *call_queue_first(const struct call_queue *q, const bool may[static CALL_CLASS_MAX]);
struct call *call_queue_take(struct call_queue *q, const bool may[static CALL_CLASS_MAX]);
bool call_queue_is_empty(const struct call_queue *q);

#endif
