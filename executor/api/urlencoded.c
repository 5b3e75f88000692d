/* urlencoded.c - application/x-www-form-urlencoded, read strictly
 *
 * Theory of operation. What this parses decides which machine loses its power, so nothing is
 * repaired: an escape that is none, a byte that is no UTF-8, a NUL, at which everything behind us
 * would see the text end, make the parameter invalid, and the request with it.
 */
#include "api/urlencoded.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* How many bytes the UTF-8 sequence at s has (RFC 3629); 0: it is none. */
static size_t utf8_sequence(const unsigned char *s, size_t size)
{
    size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

    if (n == 0 || n > size || s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    /* Overlong, a surrogate, past U+10FFFF. */
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

static bool is_text(const char *s, size_t size)
{
    for (size_t i = 0, n; i < size; i += n) {
        n = s[i] ? utf8_sequence((const unsigned char *)s + i, size - i) : 0;
        if (n == 0)
            return false;
    }
    return true;
}

int urlencoded_decode(const char *text, size_t size, bool plus_is_space, char **ret)
{
    _cleanup_(freep) char *decoded = malloc(size + 1);
    size_t n = 0;

    if (!decoded)
        return -ENOMEM;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '%') {
            int high = size - i > 2 ? hex_digit(text[i + 1]) : -1;
            int low = size - i > 2 ? hex_digit(text[i + 2]) : -1;

            if (high < 0 || low < 0)
                return -EINVAL;
            decoded[n++] = (char)(high * 16 + low);
            i += 2;
        } else if (text[i] == ' ') {
            return -EINVAL; /* of a request line that was put together without encoding */
        } else {
            decoded[n++] = text[i] == '+' && plus_is_space ? ' ' : text[i];
        }
    }
    decoded[n] = '\0';
    if (!is_text(decoded, n))
        return -EINVAL;
    *ret = take(decoded);
    return 0;
}

/* As it stands, for a part that cannot be decoded; a NUL ends it. */
static int decode_or_keep(const char *text, size_t size, char **ret)
{
    int r = urlencoded_decode(text, size, true, ret);

    if (r == -EINVAL)
        *ret = strndup(text, size);
    return r < 0 && !*ret ? -ENOMEM : r;
}

/* For an error's message: what can be shown of a name. */
static void make_printable(char *name)
{
    for (; *name; name++)
        if (*name < 0x20 || *name > 0x7e)
            *name = '?';
}

static int add_pair(const char *pair, size_t size, struct parameters *ret, struct error **err)
{
    _cleanup_(freep) char *name = NULL;
    _cleanup_(freep) char *value = NULL;
    const char *equals = memchr(pair, '=', size);
    size_t name_size = equals ? (size_t)(equals - pair) : size;
    int r_name, r_value;

    r_name = decode_or_keep(pair, name_size, &name);
    r_value = decode_or_keep(equals ? equals + 1 : "", equals ? size - name_size - 1 : 0, &value);
    if (!name || !value || parameters_add(ret, name, value) < 0)
        return error_no_memory(err);
    if (r_name == 0 && r_value == 0)
        return 0;
    make_printable(name);
    return error_set(err, ERROR_INVALID_PARAMETER,
                     "The parameter %.64s is not valid percent-encoded UTF-8 text.", name);
}

int urlencoded_parse(const char *text, size_t size, struct parameters *ret, struct error **err)
{
    _cleanup_(error_free) struct error *first = NULL;

    for (const char *end = text + size, *next; text < end; text = next + 1) {
        next = memchr(text, '&', (size_t)(end - text));
        next = next ? next : end;
        if (next == text)
            continue;
        if (ret->n >= PARAMETERS_MOST)
            return error_set(err, ERROR_INVALID_PARAMETER,
                             "The request has more than %d parameters.", PARAMETERS_MOST);
        add_pair(text, (size_t)(next - text), ret, first ? NULL : &first);
    }
    return first ? error_move(err, &first) : 0;
}

int urlencoded_check_names(const struct parameters *p,
                           bool (*is_known)(const void *userdata, const char *name),
                           const void *userdata, struct error **err)
{
    for (size_t i = 0; i < p->n; i++) {
        const char *name = p->items[i].name;

        if (!is_known(userdata, name))
            return error_set(err, ERROR_INVALID_PARAMETER, "The parameter %.64s is not known.",
                             name);
        for (size_t k = 0; k < i; k++)
            if (text_equal(p->items[k].name, name))
                return error_set(err, ERROR_INVALID_PARAMETER,
                                 "The parameter %.64s is given twice.", name);
    }
    return 0;
}
