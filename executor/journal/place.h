/* place.h - where a journal lives: its folder, its file, and the lock that makes one process its
 * writer */
#ifndef STOPD_JOURNAL_PLACE_H
#define STOPD_JOURNAL_PLACE_H

#include "stopd/error.h"

/* Makes the folder of path (0700) where its parent exists, and takes the lock PATH.lock. *lock: the
 * descriptor that holds it until it is closed or the process ends. */
int place_claim(const char *path, int *lock, struct error **err);

/* Makes the file where it is missing; either way nobody but its owner may read it. */
int place_make_file(const char *path, struct error **err);

#endif
