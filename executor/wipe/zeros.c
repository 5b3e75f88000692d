/* zeros.c - is all of this memory zero?
 *
 * Asked of every byte of a device at the device's speed: many words are or-ed together before one
 * branch, in a loop that a compiler makes vector instructions of. */
#include "wipe/zeros.h"

#include <stdint.h>
#include <string.h>

#define STRIDE 128

size_t zeros_first_other(const void *data, size_t n)
{
    const unsigned char *bytes = data;
    size_t i = 0;

    for (; n - i >= STRIDE; i += STRIDE) {
        uint64_t words[STRIDE / sizeof(uint64_t)], any = 0;

        memcpy(words, bytes + i, STRIDE);
        for (size_t k = 0; k < STRIDE / sizeof(uint64_t); k++)
            any |= words[k];
        if (any)
            break;
    }
    while (i < n && bytes[i] == 0)
        i++;
    return i;
}
