/* thread.h - threads that leave signals to the program's loop, and waits by the monotonic clock */
#ifndef STOPD_THREAD_H
#define STOPD_THREAD_H

#include "stopd/base.h"

#include <pthread.h>
#include <time.h>

/* Starts a thread under a name of at most 15 characters. It takes no signals: those are the loop's
 * business, SIGPIPE least of all. ret NULL: nobody joins it. Returns 0 or a negative errno. */
int thread_start(pthread_t *ret, const char *name, void *(*run)(void *userdata), void *userdata);

/* A condition whose timed waits end by CLOCK_MONOTONIC. */
void condition_init(pthread_cond_t *ret);

struct timespec timespec_of(usec_t usec);

#endif
