/* file-tail.h - the end of a file of events, as a crash may have left it */
#ifndef STOPD_UPSTREAM_FILE_TAIL_H
#define STOPD_UPSTREAM_FILE_TAIL_H

#include "stopd/error.h"

#include <sys/types.h>

/* A crash leaves at most the last chunk in pieces, for a chunk is on the disk before the next one
 * is written. A chunk is not larger than this, save one that is a single event. */
#define FILE_CHUNK_MAX ((size_t)1024 * 1024)

/* Cuts off what is no whole line, makes sure that the rest is on the disk, and gives the id of the
 * last event in it ("": none is found) and the size that is left. */
int file_tail_mend(int fd, const char *path, char last_id[static UUID_TEXT_SIZE], off_t *end,
                   struct error **err);

#endif
