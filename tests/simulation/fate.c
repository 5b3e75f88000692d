/* fate.c - numbers and dice for whatever may happen, and lists of what did */
#include "simulation/fate.h"

#include "simulation/life.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

DEFINE_ENUM_WORDS(enum fate_kind, fate_kind, FATE_MAX, "guest", "manners", "command", "weather",
                  "call", "hint", "crash", "helper", "sink", "luck");

void fates_add(struct fates *f, struct fate fate)
{
    if (f->n == f->room) {
        f->room = f->room ? 2 * f->room : 64;
        f->items = realloc(f->items, f->room * sizeof(*f->items));
        if (!f->items)
            abort();
    }
    f->items[f->n++] = fate;
}

void fates_clear(struct fates *f)
{
    free(f->items);
    *f = (struct fates){0};
}

int fates_parse(const char *text, struct fates *ret)
{
    char word[16];
    struct fate fate;
    int length;

    while (*text) {
        if (sscanf(text, "%15[a-z].%" SCNu64 "%n", word, &fate.number, &length) != 2 ||
            fate_kind_from_string(word, &fate.kind) < 0)
            return -1;
        fates_add(ret, fate);
        text += length;
        if (*text && *text++ != ',')
            return -1;
    }
    return 0;
}

void fates_print(const struct fates *f)
{
    for (size_t i = 0; i < f->n; i++)
        printf("%s%s.%" PRIu64, i ? "," : "", fate_kind_to_string(f->items[i].kind),
               f->items[i].number);
}

void fate_draw(struct life *life, enum fate_kind kind, uint64_t number)
{
    dice_seed(&life->dice, life->seed * FATE_MAX + kind + (number + 1) * 0xd1342543de82ef95);
}

static bool is_among(const struct fates *f, enum fate_kind kind, uint64_t number)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->items[i].kind == kind && f->items[i].number == number)
            return true;
    return false;
}

bool fate_happens(struct life *life, enum fate_kind kind, uint64_t number)
{
    if (life->only && !is_among(life->only, kind, number))
        return false;
    fates_add(&life->happened, (struct fate){kind, number});
    return true;
}

uint64_t fate_number(struct life *life, enum fate_kind kind, const struct simulated_domain *d,
                     unsigned sort)
{
    unsigned place = 0;

    for (unsigned i = 0; d && i < LIFE_DOMAINS_MOST; i++)
        if (life->guests[i] == d)
            place = i + 1;
    return place * 100000 + sort * 1000 + life->n_fates[kind][place][sort]++;
}
