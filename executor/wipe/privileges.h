/* privileges.h - giving up what clearing a disk does not need */
#ifndef STOPD_WIPE_PRIVILEGES_H
#define STOPD_WIPE_PRIVILEGES_H

/* Best effort: what cannot be given up is kept. */
void privileges_drop(void);

#endif
