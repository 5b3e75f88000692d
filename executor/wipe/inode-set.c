/* inode-set.c - a set of (device, inode) pairs: a table with open addressing, never more than half
 * full */
#include "wipe/inode-set.h"

#include <errno.h>

#define FIRST_SIZE 256

static size_t place_of(const struct inode_set *s, dev_t device, ino_t inode)
{
    uint64_t hash = (inode ^ device << 40) * UINT64_C(0x9e3779b97f4a7c15);
    size_t i = (size_t)(hash >> 32) & (s->n_places - 1);

    while (s->places[i].inode && (s->places[i].inode != inode || s->places[i].device != device))
        i = (i + 1) & (s->n_places - 1);
    return i;
}

bool inode_set_has(const struct inode_set *s, dev_t device, ino_t inode)
{
    return s->n_places > 0 && inode != 0 && s->places[place_of(s, device, inode)].inode != 0;
}

static int grow(struct inode_set *s)
{
    struct inode_set larger = {.n_places = s->n_places ? 2 * s->n_places : FIRST_SIZE, .n = s->n};

    larger.places = calloc(larger.n_places, sizeof(*larger.places));
    if (!larger.places)
        return -ENOMEM;
    for (size_t i = 0; i < s->n_places; i++)
        if (s->places[i].inode)
            larger.places[place_of(&larger, s->places[i].device, s->places[i].inode)] =
                s->places[i];
    free(s->places);
    *s = larger;
    return 0;
}

int inode_set_add(struct inode_set *s, dev_t device, ino_t inode)
{
    size_t i;

    if (2 * (s->n + 1) > s->n_places && grow(s) < 0)
        return -ENOMEM;
    i = place_of(s, device, inode);
    s->n += s->places[i].inode == 0;
    s->places[i] = (struct inode_key){device, inode};
    return 0;
}

void inode_set_clear(struct inode_set *s)
{
    free(s->places);
    *s = (struct inode_set){0};
}
