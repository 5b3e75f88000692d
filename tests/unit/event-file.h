/* event-file.h - what a file of events has to be */
#ifndef STOPD_TESTS_EVENT_FILE_H
#define STOPD_TESTS_EVENT_FILE_H

#include "scratch.h"

#include <json-c/json.h>

/* The file is the events from first to last, each once, a line each, in their order, and nothing
 * else. */
static inline void assert_lines(const char *path, uint64_t first, uint64_t last)
{
    _cleanup_(freep) char *bytes = scratch_read(path, NULL);
    char *rest = bytes, *line;
    uint64_t n = first;

    assert_non_null(bytes);
    assert_true(bytes[0] == '\0' || bytes[strlen(bytes) - 1] == '\n');
    while ((line = strsep(&rest, "\n")) && rest) {
        json_object *o = json_tokener_parse(line), *sequence = NULL;

        assert_true(json_object_object_get_ex(o, "sequence", &sequence));
        assert_int_equal(strtoull(json_object_get_string(sequence), NULL, 10), n);
        json_object_put(o);
        n++;
    }
    assert_int_equal(n, last + 1);
}

#endif
