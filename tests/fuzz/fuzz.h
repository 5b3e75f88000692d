/* fuzz.h - what the fuzz targets share: an entry, and an assertion that is a finding */
#ifndef STOPD_TESTS_FUZZ_H
#define STOPD_TESTS_FUZZ_H

#include "base/json.h"
#include "stopd/base.h"

#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition)                                                             \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                \
        }                                                                           \
    } while (0)

/* The input as a text with its NUL, and nothing readable behind it. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    must(text);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/* Does the journal's parser, which knows a member that is there twice, have it too? It also refuses
 * names in single quotes, and half a letter, which are not asked about here. */
static inline bool fuzz_says_nothing_twice(const char *text, size_t size)
{
    _cleanup_(json) json_object *o = NULL;
    size_t begin = strspn(text, " \t\r\n");

    while (size > begin && strchr(" \t\r\n", text[size - 1]))
        size--;
    return memchr(text, '\'', size) || memchr(text, '\\', size) ||
           json_parse_object(text + begin, size - begin, &o) == 0;
}

#endif
