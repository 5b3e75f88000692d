/* zeros.c - is all of this memory zero?
 *
 * Asked of every byte of a device at the device's speed. If the first bytes are zero, and each byte
 * is what the one so many places before it is, all are zero; and to compare two stretches of memory
 * is what a C library does with the best instructions that the processor at hand has. */
#include "wipe/zeros.h"

#include <string.h>

/* Far enough apart for both stretches to be aligned alike, whatever the instructions. */
#define SHIFT 64

static size_t first_other(const unsigned char *bytes, size_t n)
{
    size_t i = 0;

    while (i < n && bytes[i] == 0)
        i++;
    return i;
}

size_t zeros_first_other(const void *data, size_t n)
{
    const unsigned char *bytes = data;

    if (n > SHIFT && first_other(bytes, SHIFT) == SHIFT &&
        memcmp(bytes, bytes + SHIFT, n - SHIFT) == 0)
        return n;
    return first_other(bytes, n);
}
