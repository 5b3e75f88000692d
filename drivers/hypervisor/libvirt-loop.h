/* libvirt-loop.h - the one thread of this process that runs libvirt's event loop */
#ifndef STOPD_LIBVIRT_LOOP_H
#define STOPD_LIBVIRT_LOOP_H

#include "stopd/error.h"

/* Makes sure that the loop runs, until as many releases. To be called before a connection is
 * opened. */
int event_loop_acquire(struct error **err);

/* When it returns, no callback that was removed before is being run any more. The last release ends
 * the thread. Not to be called from a callback. */
void event_loop_release(void);

#endif
