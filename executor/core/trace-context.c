/* trace-context.c - W3C trace context: which trace a command belongs to */
#include "core/command.h"

#include <string.h>

static bool is_lower_hex(const char *s, size_t n)
{
    return strspn(s, "0123456789abcdef") >= n;
}

static bool is_all_zero(const char *s, size_t n)
{
    return strspn(s, "0") >= n;
}

/* version-traceid-parentid-flags: 2, 32, 16 and 2 hexadecimal digits. A later version than 00 may
 * go on behind a further dash. */
bool traceparent_is_valid(const char *t)
{
    if (strlen(t) < 55 || strlen(t) > 256)
        return false;
    if (!is_lower_hex(t, 2) || t[2] != '-' || !is_lower_hex(t + 3, 32) || t[35] != '-' ||
        !is_lower_hex(t + 36, 16) || t[52] != '-' || !is_lower_hex(t + 53, 2))
        return false;
    if (is_all_zero(t + 3, 32) || is_all_zero(t + 36, 16) || strncmp(t, "ff", 2) == 0)
        return false;
    return !t[55] || (strncmp(t, "00", 2) != 0 && t[55] == '-');
}
