/* progress.h - what is going on, on a terminal: one line for each instance, and below it a bar for
 * each disk that is being cleared, redrawn in place
 *
 * On standard error, and only where that is a terminal. One that cannot move its cursor (TERM=dumb)
 * gets a line for each change instead. */
#ifndef STOPD_CLI_PROGRESS_H
#define STOPD_CLI_PROGRESS_H

#include "cli/disk-view.h"

struct progress_line {
    const char *id;
    const char *phase;       /* "" while nothing is known yet */
    int percent;             /* -1: there is none */
    const char *clock;       /* time gone or left, as text */
    struct disk_view *disks; /* a bar each */
    size_t n_disks;
};

struct progress;
/* NULL, which every function takes for no terminal, where there is none or no memory. */
struct progress *progress_new(void);
void progress_free(struct progress *p); /* leaves a clean line behind */
DEFINE_CLEANUP(struct progress *, progress_free);
/* Draws these lines over the former ones. */
void progress_draw(struct progress *p, const struct progress_line *lines, size_t n);
/* Takes the lines away, before something else is printed; the next draw brings them back. */
void progress_clear(struct progress *p);

#endif
