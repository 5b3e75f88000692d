/* uuid.c - identifiers of requests and events
 *
 * Theory of operation. Version 7 (RFC 9562): the milliseconds first, then 74 bits of chance. So
 * what was made together stands together in every index by id, the journal's above all: with ids
 * that are chance alone each row would change a page of its own there.
 */
#include "stopd/base.h"

#include <errno.h>
#include <sys/random.h>
#include <unistd.h>

/* Chance for so many at once: asking the kernel for each would take longer than all the rest. */
#define POOL 16

static void draw(uuid_t ret)
{
    static _Thread_local uuid_t pool[POOL];
    static _Thread_local unsigned left;

    if (left == 0) {
        /* Early in a boot it waits for the kernel's first random numbers, and a signal interrupts
         * that. */
        if (TEMP_FAILURE_RETRY(getrandom(pool, sizeof(pool), 0)) != (ssize_t)sizeof(pool))
            abort(); /* not for so few bytes */
        left = POOL;
    }
    uuid_copy(ret, pool[--left]);
}

static void uuid_new(uuid_t ret)
{
    uint64_t milliseconds = moment_now().realtime / USEC_PER_MSEC;

    draw(ret);
    for (int i = 5; i >= 0; i--, milliseconds >>= 8)
        ret[i] = (unsigned char)milliseconds;
    ret[6] = (unsigned char)((ret[6] & 0x0f) | 0x70);
    ret[8] = (unsigned char)((ret[8] & 0x3f) | 0x80);
}

void uuid_new_upper(char ret[static UUID_TEXT_SIZE])
{
    uuid_t u = {0};

    uuid_new(u);
    uuid_unparse_upper(u, ret);
}

void uuid_new_lower(char ret[static UUID_TEXT_SIZE])
{
    uuid_t u = {0};

    uuid_new(u);
    uuid_unparse_lower(u, ret);
}
