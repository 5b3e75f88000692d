/* domain-values.c - what an attribute of the instance's metadata may be, and what it is kept as */
#include "drivers/hypervisor/domain-values.h"

#include "stopd/instance.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#define GRACE_SECONDS_MAX 86400
#define PRIORITY_MAX 1000000

/* A name or number of somebody's: printable ASCII, at most VALUE_MAX, no blank at either end. */
int value_set_text(void *field, const char *value)
{
    size_t length = strlen(value);

    if (length == 0 || length > VALUE_MAX || value[0] == ' ' || value[length - 1] == ' ')
        return -EINVAL;
    for (const char *p = value; *p; p++)
        if (!isascii(*p) || !isprint(*p))
            return -EINVAL;
    return text_replace(field, value);
}

/* The same without any blank. */
int value_set_word(void *field, const char *value)
{
    return strchr(value, ' ') ? -EINVAL : value_set_text(field, value);
}

int value_set_network(void *field, const char *value)
{
    return network_kind_from_string(value, field);
}

int value_set_charge(void *field, const char *value)
{
    return charge_kind_from_string(value, field);
}

int value_set_account(void *field, const char *value)
{
    return account_status_from_string(value, field);
}

int value_set_bool(void *field, const char *value)
{
    if (!text_equal(value, "yes") && !text_equal(value, "no"))
        return -EINVAL;
    *(bool *)field = text_equal(value, "yes");
    return 0;
}

int value_set_tristate(void *field, const char *value)
{
    bool yes;

    if (value_set_bool(&yes, value) < 0)
        return -EINVAL;
    *(enum tristate *)field = yes ? TRISTATE_YES : TRISTATE_NO;
    return 0;
}

int value_set_address(void *field, const char *value)
{
    struct in6_addr address;

    if (inet_pton(AF_INET, value, &address) != 1 && inet_pton(AF_INET6, value, &address) != 1)
        return -EINVAL;
    return text_replace(field, value);
}

static int parse_number(const char *value, long least, long most, long *ret)
{
    const char *digits = value[0] == '-' ? value + 1 : value;
    long number;

    if (!*digits || digits[strspn(digits, "0123456789")])
        return -EINVAL;
    errno = 0;
    number = strtol(value, NULL, 10);
    if (errno || number < least || number > most)
        return -EINVAL;
    *ret = number;
    return 0;
}

int value_set_grace(void *field, const char *value)
{
    long seconds;

    if (parse_number(value, 1, GRACE_SECONDS_MAX, &seconds) < 0)
        return -EINVAL;
    *(usec_t *)field = (usec_t)seconds * USEC_PER_SEC;
    return 0;
}

int value_set_priority(void *field, const char *value)
{
    long priority;

    if (parse_number(value, -PRIORITY_MAX, PRIORITY_MAX, &priority) < 0)
        return -EINVAL;
    *(int *)field = (int)priority;
    return 0;
}

int value_set_method(void *field, const char *value)
{
    return *value ? stop_method_from_string(value, field) : -EINVAL;
}

int value_set_timeout_action(void *field, const char *value)
{
    return *value ? timeout_action_from_string(value, field) : -EINVAL;
}

/* An identifier in hexadecimal of so many digits, kept in lower case without 0x and separators, so
 * that it can be compared as text. All zeros is what a device reports that has none. */
static int set_hex(void *field, const char *value, size_t digits)
{
    char kept[VALUE_MAX + 1];
    size_t n = 0;

    if (strncasecmp(value, "0x", 2) == 0)
        value += 2;
    for (; *value; value++) {
        if (n > 0 && (*value == '-' || *value == ':'))
            continue;
        if (!isxdigit((unsigned char)*value) || n == digits)
            return -EINVAL;
        kept[n++] = (char)tolower((unsigned char)*value);
    }
    kept[n] = '\0';
    if (n != digits || strspn(kept, "0") == n)
        return -EINVAL;
    return text_replace(field, kept);
}

int value_set_eui64(void *field, const char *value)
{
    return set_hex(field, value, 16);
}

int value_set_nguid(void *field, const char *value)
{
    return set_hex(field, value, 32);
}
