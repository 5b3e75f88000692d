/* shrink.c - a bad life told as briefly as it can be
 *
 * Theory of operation. Delta debugging after Zeller: of the list of what happened a part is left
 * out and the life is lived again; if the same rule breaks, that part did not matter. Parts begin
 * at a half and are halved until nothing can be spared. Since each thing has its own dice and its
 * own number, what is left stays what it was. A life with some things left out can make fewer
 * happen, never other ones, so the list only shrinks and the search ends.
 */
#include "simulation/shrink.h"

#include "simulation/life.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* "rule 4.1 consent: …": the words before the second colon's sentence. */
static bool is_same_rule(const char *a, const char *b)
{
    size_t n = strcspn(a, ":");

    return a[n] == b[n] && strncmp(a, b, n) == 0;
}

/* Whether the rule breaks with only this; if so *ret is what happened of it. */
static bool still_breaks(uint64_t seed, const struct fates *only, const char *broken,
                         struct fates *ret)
{
    static struct life life;
    bool breaks = !life_run(&life, seed, only, false) && is_same_rule(life.broken, broken);

    if (breaks) {
        *ret = life.happened;
        life.happened = (struct fates){0};
    }
    life_clear(&life);
    return breaks;
}

/* Leaves out as many as stand from `at` on, if that can be. */
static bool leave_out(uint64_t seed, struct fates *kept, size_t at, size_t n, const char *broken)
{
    struct fates rest = {0}, happened;
    bool is_spared;

    for (size_t i = 0; i < kept->n; i++)
        if (i < at || i >= at + n)
            fates_add(&rest, kept->items[i]);
    is_spared = still_breaks(seed, &rest, broken, &happened);
    fates_clear(&rest);
    if (is_spared) {
        fates_clear(kept);
        *kept = happened;
    }
    return is_spared;
}

static void leave_out_all_that_can_be(uint64_t seed, struct fates *kept, const char *broken)
{
    bool has_shrunk;

    do {
        has_shrunk = false;
        for (size_t n = (kept->n + 1) / 2; n > 0; n /= 2)
            for (size_t end = kept->n; end > 0; end = end > n ? end - n : 0) {
                size_t at = end > n ? end - n : 0;

                if (end <= kept->n && leave_out(seed, kept, at, end - at, broken))
                    has_shrunk = true;
            }
    } while (has_shrunk);
}

void shrink(uint64_t seed, const struct fates *happened, const char *broken)
{
    static struct life life;
    struct fates kept = {0};

    for (size_t i = 0; i < happened->n; i++)
        fates_add(&kept, happened->items[i]);
    leave_out_all_that_can_be(seed, &kept, broken);
    printf("shrunk: %zu of the %zu things that happened are enough\n", kept.n, happened->n);
    life_run(&life, seed, &kept, true);
    printf("reproduce: %s --seed %" PRIu64 " --trace --only %s", program_invocation_name, seed,
           kept.n ? "" : "''");
    fates_print(&kept);
    putchar('\n');
    life_clear(&life);
    fates_clear(&kept);
}
