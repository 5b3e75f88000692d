/* slow-sync.c - a disk whose sync takes at least so long: for LD_PRELOAD
 *
 * What SYNC_US says, in microseconds. So that a figure that stands and falls with the disk can be
 * had on a faster one.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

int fdatasync(int fd);
int fsync(int fd);

static int slowed(const char *name, int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    const char *least = getenv("SYNC_US");
    struct timespec until;
    int r;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (least ? strtol(least, NULL, 10) : 0) * 1000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    r = real(fd);
    prctl(PR_SET_TIMERSLACK, 1UL); /* the thread's own: it wakes when it is time */
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
        ;
    return r;
}

int fdatasync(int fd)
{
    return slowed("fdatasync", fd);
}

int fsync(int fd)
{
    return slowed("fsync", fd);
}
