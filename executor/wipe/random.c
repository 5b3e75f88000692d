/* random.c - numbers that a seed gives again and again */
#include "wipe/random.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

int random_new_seed(char ret[static WIPE_SEED_SIZE])
{
    unsigned char bytes[(WIPE_SEED_SIZE - 1) / 2];

    if (TEMP_FAILURE_RETRY(getrandom(bytes, sizeof(bytes), 0)) != (ssize_t)sizeof(bytes))
        return -errno;
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

struct random random_of_seed(const char *seed, uint64_t stream)
{
    struct random r = {{0, stream}};
    unsigned long long high = 0, low = 0;

    sscanf(seed, "%16llx%16llx", &high, &low);
    r.key[0] = mix(high + stream * UINT64_C(0x9e3779b97f4a7c15));
    r.key[1] = low;
    return r;
}

uint64_t random_at(const struct random *r, uint64_t index)
{
    return mix(mix(r->key[0] + (index + 1) * UINT64_C(0x9e3779b97f4a7c15)) ^ r->key[1]);
}

uint64_t random_below(const struct random *r, uint64_t index, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)random_at(r, index) * n) >> 64);
}
