/* operation-kit.h - an operation as the journal keeps it, for the tests that look into that */
#ifndef STOPD_TESTS_OPERATION_KIT_H
#define STOPD_TESTS_OPERATION_KIT_H

#include "core/operation.h"

#include <string.h>

/* The text; the caller frees it. */
static inline char *journalled_text(const struct operation *op)
{
    _cleanup_(json_writer) struct json_writer w = {0};

    if (!operation_write(op, true, &w))
        abort();
    return json_writer_take(&w);
}

/* The document; the caller's. */
static inline json_object *journalled(const struct operation *op)
{
    _cleanup_(freep) char *text = journalled_text(op);
    json_object *document = json_tokener_parse(text);

    if (!document)
        abort();
    return document;
}

#endif
