/* file.h - the sink that appends events to a file, or to standard output */
#ifndef STOPD_UPSTREAM_FILE_H
#define STOPD_UPSTREAM_FILE_H

#include "stopd/upstream.h"

/* path: of a regular file, made where it is missing; or "-": standard output, which cannot tell
 * what it has got. Nothing is opened yet. */
int upstream_file_new(const char *path, struct upstream **ret, struct error **err);

#endif
