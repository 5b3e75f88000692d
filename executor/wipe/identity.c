/* identity.c - by what one device is told from another, and when two writings of it are the same */
#include "stopd/storage.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

DEFINE_ENUM_WORDS(enum identity_key, identity_key, IDENTITY_KEY_MAX, "size", "serial", "model",
                  "firmware", "nsid", "eui64", "nguid", "uuid", "wwn", "devno", "device", "inode",
                  "partition", "volume", "sequence");
DEFINE_ENUM_WORDS(enum storage_kind, storage_kind, STORAGE_KIND_MAX, "block", "file");
DEFINE_ENUM_WORDS(enum clear_method, clear_method, CLEAR_METHOD_MAX, "nvme-sanitize-crypto",
                  "nvme-sanitize-block", "nvme-format-crypto", "nvme-format-user-data",
                  "write-zeroes", "overwrite", "punch-hole", "discard");
DEFINE_ENUM_WORDS(enum clear_level, clear_level, LEVEL_MAX, "none", "clear", "purge");

void identity_set(struct storage_identity *i, enum identity_key key, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(i->value[key], IDENTITY_VALUE_SIZE, format, ap);
    va_end(ap);
}

static bool is_hexadecimal(enum identity_key key)
{
    return key == IDENTITY_EUI64 || key == IDENTITY_NGUID || key == IDENTITY_UUID ||
           key == IDENTITY_WWN;
}

static const char *skip_prefixes(const char *s)
{
    static const char *const prefixes[] = {"eui.", "naa.", "uuid.", "0x"};

    for (size_t i = 0; i < ELEMENTSOF(prefixes); i++)
        if (strncasecmp(s, prefixes[i], strlen(prefixes[i])) == 0)
            s += strlen(prefixes[i]);
    return s;
}

void identity_normalize(enum identity_key key, const char *value,
                        char ret[static IDENTITY_VALUE_SIZE])
{
    bool hexadecimal = is_hexadecimal(key);
    size_t n = 0;

    while (isspace((unsigned char)*value))
        value++;
    if (hexadecimal)
        value = skip_prefixes(value);
    for (; *value && n < IDENTITY_VALUE_SIZE - 1; value++) {
        if (hexadecimal && strchr("-:. ", *value))
            continue;
        ret[n++] = hexadecimal ? (char)tolower((unsigned char)*value) : *value;
    }
    while (n > 0 && isspace((unsigned char)ret[n - 1]))
        n--;
    ret[n] = '\0';
}

enum identity_key identity_mismatch(const struct storage_identity *i,
                                    const struct identity_expected *expected)
{
    for (int key = 0; key < IDENTITY_KEY_MAX; key++) {
        char wanted[IDENTITY_VALUE_SIZE], found[IDENTITY_VALUE_SIZE];

        if (!expected->value[key])
            continue;
        /* What is longer than any value that a device has is not this device's, cut off or not. */
        if (strlen(expected->value[key]) >= IDENTITY_VALUE_SIZE)
            return (enum identity_key)key;
        identity_normalize((enum identity_key)key, expected->value[key], wanted);
        identity_normalize((enum identity_key)key, i->value[key], found);
        if (!*wanted || !text_equal(wanted, found))
            return (enum identity_key)key;
    }
    return IDENTITY_KEY_MAX;
}

enum identity_key identity_difference(const struct storage_identity *a,
                                      const struct storage_identity *b)
{
    for (int key = 0; key < IDENTITY_KEY_MAX; key++)
        if (!text_equal(a->value[key], b->value[key]))
            return (enum identity_key)key;
    return IDENTITY_KEY_MAX;
}

bool identity_is_enough(const struct identity_expected *expected)
{
    char *const *v = expected->value;

    return v[IDENTITY_SIZE] || v[IDENTITY_SERIAL] || v[IDENTITY_EUI64] || v[IDENTITY_NGUID] ||
           v[IDENTITY_UUID] || v[IDENTITY_WWN] || (v[IDENTITY_DEVICE] && v[IDENTITY_INODE]);
}

void identity_expected_clear(struct identity_expected *expected)
{
    for (int key = 0; key < IDENTITY_KEY_MAX; key++)
        free(take(expected->value[key]));
}
