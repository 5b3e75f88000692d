/* flight.c - the order in which a batch of events may go out
 *
 * Theory of operation. An event must not be stored before an earlier one of its instance, also
 * where that one fails or nobody knows what became of it. So an instance has one event out at a
 * time, and its next one follows when that has arrived; since instances are many, as many events
 * are out as the sender likes. The events of an instance form a chain through the batch, and the
 * first of each chain that has not been sent waits in one row, in the order of the batch.
 *
 * What arrived behind a gap is not delivered for the relay, which only knows one number. It is
 * remembered, so that it is not sent again with the next batch, which begins at the gap.
 */
#include "flight.h"

#include <string.h>

static size_t table_size_for(size_t n)
{
    size_t size = 16;

    while (size < 2 * n)
        size *= 2;
    return size;
}

static int make_room(struct flight *f, size_t n, struct error **err)
{
    if (n <= f->room)
        return 0;
    free(f->arrived);
    free(f->next);
    free(f->ready);
    free(f->table);
    f->arrived = calloc(n, sizeof(*f->arrived));
    f->next = calloc(n, sizeof(*f->next));
    f->ready = calloc(n, sizeof(*f->ready));
    f->table = calloc(table_size_for(n), sizeof(*f->table));
    f->room = f->arrived && f->next && f->ready && f->table ? n : 0;
    return f->room ? 0 : error_no_memory(err);
}

/* FNV-1a */
static size_t hash(const char *text)
{
    uint64_t h = 0xcbf29ce484222325;

    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        h = (h ^ *c) * 0x100000001b3;
    return (size_t)(h ^ h >> 32);
}

/* Where the instance's last event so far stands in the table, or is to stand. */
static size_t *find_instance(struct flight *f, const char *instance_id)
{
    size_t i = hash(instance_id) & (f->table_size - 1);

    while (f->table[i] < f->n && strcmp(f->events[f->table[i]].instance_id, instance_id) != 0)
        i = (i + 1) & (f->table_size - 1);
    return &f->table[i];
}

int flight_begin(struct flight *f, const struct upstream_event *events, size_t n,
                 struct error **err)
{
    int r = make_room(f, n, err);
    size_t known = 0;

    if (r < 0)
        return r;
    f->events = events;
    f->n = n;
    f->first = f->last = f->n_arrived = 0;
    f->table_size = table_size_for(n);
    for (size_t i = 0; i < f->table_size; i++)
        f->table[i] = n;
    for (size_t i = 0; i < n; i++) {
        size_t *instance;

        f->next[i] = n;
        while (known < f->n_ahead && f->ahead[known] < events[i].sequence)
            known++;
        f->arrived[i] = known < f->n_ahead && f->ahead[known] == events[i].sequence;
        if (f->arrived[i]) {
            f->n_arrived++;
            continue;
        }
        instance = find_instance(f, events[i].instance_id);
        if (*instance < n)
            f->next[*instance] = i;
        else
            f->ready[f->last++] = i;
        *instance = i;
    }
    return 0;
}

void flight_clear(struct flight *f)
{
    free(f->arrived);
    free(f->next);
    free(f->ready);
    free(f->table);
    free(f->ahead);
    *f = (struct flight){0};
}

bool flight_depart(struct flight *f, size_t *ret)
{
    if (f->first == f->last)
        return false;
    *ret = f->ready[f->first++];
    return true;
}

size_t flight_ready(const struct flight *f)
{
    return f->last - f->first;
}

void flight_arrive(struct flight *f, size_t i)
{
    f->arrived[i] = true;
    f->n_arrived++;
    if (f->next[i] < f->n)
        f->ready[f->last++] = f->next[i];
}

size_t flight_prefix(const struct flight *f)
{
    size_t n = 0;

    while (n < f->n && f->arrived[n])
        n++;
    return n;
}

int flight_remember(struct flight *f, struct error **err)
{
    size_t prefix = flight_prefix(f), n = 0;
    uint64_t *ahead = NULL;

    if (f->n_arrived > prefix) {
        ahead = calloc(f->n_arrived - prefix, sizeof(*ahead));
        if (!ahead)
            return error_no_memory(err);
    }
    for (size_t i = prefix; i < f->n; i++)
        if (f->arrived[i])
            ahead[n++] = f->events[i].sequence;
    free(f->ahead);
    f->ahead = ahead;
    f->n_ahead = n;
    return 0;
}
