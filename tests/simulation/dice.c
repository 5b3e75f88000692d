/* dice.c - xoshiro256** by Blackman and Vigna, seeded by splitmix64 as they advise */
#include "simulation/dice.h"

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

void dice_seed(struct dice *d, uint64_t seed)
{
    for (size_t i = 0; i < ELEMENTSOF(d->state); i++)
        d->state[i] = splitmix(&seed);
}

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

uint64_t dice_next(struct dice *d)
{
    uint64_t *s = d->state, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

/* The bias of a remainder is far below what a simulation could notice. */
uint32_t dice_below(struct dice *d, uint32_t n)
{
    return n ? (uint32_t)(dice_next(d) % n) : 0;
}

bool dice_percent(struct dice *d, uint32_t percent)
{
    return dice_below(d, 100) < percent;
}

usec_t dice_between(struct dice *d, usec_t least, usec_t most)
{
    return least + dice_next(d) % (most - least + 1);
}
