/* guard-open.h - what a process's open files, rings and mappings say; for the guard and its
 * tests */
#ifndef STOPD_WIPE_GUARD_OPEN_H
#define STOPD_WIPE_GUARD_OPEN_H

#include "wipe/guard.h"

#include <stdio.h>

/* A line of /proc/PID/maps that maps a file, cut into pieces. */
struct mapping {
    const char *range; /* "7f01…-7f02…", its name in map_files */
    dev_t device;
    ino_t inode;
};
bool maps_parse(char *line, struct mapping *ret);

/* An io_uring's fdinfo: its registered files one after the other. */
enum uring_line {
    URING_OTHER, /* a line about something else */
    URING_COUNT, /* "UserFiles:", how many slots there are */
    URING_FILE,  /* one slot, with a file's name or path in it */
    URING_EMPTY, /* one slot, shown to be empty */
};
/* in_files: a state of the caller's, false at the beginning. *ret: the name, within the line. */
enum uring_line uring_parse(char *line, bool *in_files, unsigned long *count, char **ret);

/* What the running kernel shows of a ring with only empty slots: those, or nothing. */
bool uring_shows_empty_slots(void);

#endif
