/* relay-batch.c - copies of some events, so that a slow sink does not keep a query open */
#include "engine/relay-batch.h"

#include <errno.h>
#include <string.h>

/* Copies a text to *to and moves *to behind it. */
static const char *put(char **to, const char *s, size_t size)
{
    const char *copy = *to;

    memcpy(*to, s, size);
    (*to)[size] = '\0';
    *to += size + 1;
    return copy;
}

/* An event's texts are one allocation, which begins with its id. */
static int copy_event(struct upstream_event *to, const struct upstream_event *e)
{
    size_t id = strlen(e->id), instance = strlen(e->instance_id), type = strlen(e->type);
    char *texts = malloc(id + instance + type + e->body_size + 4);

    if (!texts)
        return -ENOMEM;
    *to = *e;
    to->id = put(&texts, e->id, id);
    to->instance_id = put(&texts, e->instance_id, instance);
    to->type = put(&texts, e->type, type);
    to->body = put(&texts, e->body, e->body_size);
    return 0;
}

static int add(void *userdata, const struct upstream_event *e)
{
    struct batch *b = userdata;

    if (copy_event(&b->events[b->n], e) < 0)
        return -ENOMEM;
    b->n++;
    b->bytes += e->body_size;
    return b->bytes >= BATCH_BYTES ? 1 : 0;
}

int batch_init(struct batch *b, size_t most)
{
    b->most = most > 0 ? most : BATCH_EVENTS;
    b->events = calloc(b->most, sizeof(*b->events));
    return b->events ? 0 : -ENOMEM;
}

void batch_free(struct batch *b)
{
    batch_clear(b);
    free(b->events);
}

int batch_read(struct batch *b, struct journal_reader *reader, uint64_t after, struct error **err)
{
    return journal_read_events(reader, after, (unsigned)b->most, add, b, err);
}

static int add_letter(void *userdata, const struct dead_letter *letter)
{
    return add(userdata, &letter->event);
}

int batch_read_letters(struct batch *b, struct journal_reader *reader, const char *sink,
                       uint64_t done, uint64_t last, uint64_t after, struct error **err)
{
    return journal_read_marked_letters(reader, sink, done, last, after, (unsigned)b->most,
                                       add_letter, b, err);
}

void batch_clear(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        free((char *)b->events[i].id);
    b->n = 0;
    b->bytes = 0;
}
