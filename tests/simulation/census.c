/* census.c - how often what was exercised, so that what never was is seen
 *
 * Theory of operation. The rows of the stop's table and the pairs of stage and input that no row
 * takes are counted where the engine steps an operation, by way of --wrap; everything else by name
 * where it happens. A row that is never reached is printed too, with 0;
 * tests/simulation/coverage.py reads this.
 */
#include "simulation/census.h"

#include "core/stop.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define ROWS_MOST 256
#define NAMES_MOST 512

struct census {
    _Atomic(bool) is_locked;
    uint64_t rows[ROWS_MOST];
    uint64_t ignored[STAGE_MAX][IN_MAX];
    struct counted {
        char group[16], name[64];
        uint64_t n;
    } names[NAMES_MOST];
    size_t n_names;
};

static struct census own;

static void count(struct census *c, const char *group, const char *name, uint64_t n)
{
    struct counted *each = c->names;

    for (; each < c->names + c->n_names; each++)
        if (text_equal(each->name, name) && text_equal(each->group, group)) {
            each->n += n;
            return;
        }
    if (c->n_names == NAMES_MOST)
        abort();
    c->n_names++;
    each->n = n;
    snprintf(each->group, sizeof(each->group), "%s", group);
    snprintf(each->name, sizeof(each->name), "%s", name);
}

void census_count(const char *group, const char *name)
{
    count(&own, group, name, 1);
}

void __real_step(struct operation *op, const struct input *in, struct moment now,
                 struct reaction *ret);
void __wrap_step(struct operation *op, const struct input *in, struct moment now,
                 struct reaction *ret);

void __wrap_step(struct operation *op, const struct input *in, struct moment now,
                 struct reaction *ret)
{
    enum stage stage = op->stage;

    __real_step(op, in, now, ret);
    if (ret->rule < ROWS_MOST)
        own.rows[ret->rule]++;
    else
        own.ignored[stage][in->kind]++;
}

struct census *census_shared(void)
{
    void *at = mmap(NULL, sizeof(struct census), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                    -1, 0);

    return at == MAP_FAILED ? NULL : at;
}

void census_add(struct census *all)
{
    while (all->is_locked || __atomic_exchange_n((bool *)&all->is_locked, true, __ATOMIC_ACQUIRE))
        ;
    for (size_t i = 0; i < ROWS_MOST; i++)
        all->rows[i] += own.rows[i];
    for (size_t s = 0; s < STAGE_MAX; s++)
        for (size_t i = 0; i < IN_MAX; i++)
            all->ignored[s][i] += own.ignored[s][i];
    for (size_t i = 0; i < own.n_names; i++)
        count(all, own.names[i].group, own.names[i].name, own.names[i].n);
    all->is_locked = false;
}

static int compare(const void *a, const void *b)
{
    const struct counted *left = a, *right = b;
    int order = strcmp(left->group, right->group);

    return order ? order : strcmp(left->name, right->name);
}

static const char *stage_word(enum stage stage)
{
    return stage == STAGE_MAX ? "any" : stage_to_string(stage);
}

void census_print(const struct census *all)
{
    struct counted names[NAMES_MOST];
    const struct rule_view *rules;
    size_t n = stop_rules(&rules);

    for (size_t i = 0; i < n && i < ROWS_MOST; i++)
        printf("%10" PRIu64 "  row %s %s %s %s\n", all->rows[i], stage_word(rules[i].stage),
               input_kind_to_string(rules[i].input), rules[i].guard, rules[i].action);
    for (size_t s = 0; s < STAGE_DONE; s++)
        for (size_t i = 0; i < IN_MAX; i++)
            if (all->ignored[s][i] > 0)
                printf("%10" PRIu64 "  ignored %s %s\n", all->ignored[s][i],
                       stage_word((enum stage)s), input_kind_to_string((enum input_kind)i));
    memcpy(names, all->names, sizeof(names));
    qsort(names, all->n_names, sizeof(*names), compare);
    for (size_t i = 0; i < all->n_names; i++)
        printf("%10" PRIu64 "  %s %s\n", names[i].n, names[i].group, names[i].name);
}
