/* subject.c - the names of subjects, and of what else is called after a host */
#include "subject.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static char *put_token(char *to, const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c < 0x80 && (isalnum(*c) || *c == '_' || *c == '-'))
            *to++ = (char)*c;
        else
            to += sprintf(to, "%%%02X", *c);
    return to;
}

char *subject_with_token(const char *before, const char *text, const char *behind)
{
    char *ret = malloc(strlen(before) + 3 * strlen(text) + strlen(behind) + 1);

    if (ret)
        strcpy(put_token(stpcpy(ret, before), text), behind);
    return ret;
}

const char *subject_ending(const char *type)
{
    static const struct {
        const char *type, *ending;
    } endings[] = {
        {"stopd.instance.state.v1", ".state"},
        {"stopd.operation.failed.v1", ".failed"},
        {"stopd.storage.cleared.v1", ".cleared"},
        {"stopd.storage.failed.v1", ".uncleared"},
    };

    for (size_t i = 0; i < ELEMENTSOF(endings); i++)
        if (text_equal(endings[i].type, type))
            return endings[i].ending;
    return NULL;
}
