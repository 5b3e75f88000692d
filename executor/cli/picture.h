/* picture.h - operations on their way as lines of progress */
#ifndef STOPD_CLI_PICTURE_H
#define STOPD_CLI_PICTURE_H

#include "cli/operation-view.h"
#include "cli/progress.h"
#include "cli/text.h"

struct picture {
    struct progress_line *lines;
    char (*clocks)[ELAPSED_TEXT_SIZE + 8];
    size_t n, most;
};

/* For at most so many operations; without memory it stays empty. */
void picture_begin(struct picture *p, size_t most);
/* operation NULL: nothing is known of it yet. grace_left: in place of the document's, which is of
 * the moment that it was asked for; USEC_NEVER: none. What is drawn points into the operation. */
void picture_add(struct picture *p, const char *name, json_object *operation, usec_t grace_left);
void picture_cleanup(struct picture *p);

#endif
