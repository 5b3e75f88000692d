/* thread.c - see thread.h */
#include "stopd/thread.h"

#include <signal.h>

int thread_start(pthread_t *ret, const char *name, void *(*run)(void *userdata), void *userdata)
{
    sigset_t all, former;
    pthread_t thread;
    int r;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &former);
    r = pthread_create(&thread, NULL, run, userdata);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    if (r != 0)
        return -r;
    pthread_setname_np(thread, name);
    if (ret)
        *ret = thread;
    else
        pthread_detach(thread);
    return 0;
}

void condition_init(pthread_cond_t *ret)
{
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(ret, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

struct timespec timespec_of(usec_t usec)
{
    return (struct timespec){.tv_sec = (time_t)(usec / USEC_PER_SEC),
                             .tv_nsec = (long)(usec % USEC_PER_SEC * 1000)};
}
