/* utf8.c - see utf8.h */
#include "base/utf8.h"

#include <stdint.h>

/* The length of the sequence that begins here, or 0 where it is none. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
    size_t length = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    uint32_t c = s[0] & (0xffU >> length);

    if (length == 1)
        return 1;
    if (length > n || s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3fU);
    }
    /* Overlong writings, surrogates, and what is beyond Unicode. */
    if ((length == 3 && c < 0x800) || (length == 4 && (c < 0x10000 || c > 0x10ffff)) ||
        (c >= 0xd800 && c < 0xe000))
        return 0;
    return length;
}

void utf8_repair(char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t length = utf8_length((unsigned char *)text + i, n - i);

        if (length == 0)
            text[i] = '?';
        i += length ? length : 1;
    }
}
