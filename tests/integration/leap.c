/* leap.c - a real-time clock that is set: preloaded into a stopd, it adds to the kernel's the
 * seconds that stand in the file STOPD_TEST_LEAP, eight bytes, which may change at any time */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *map_leap(void)
{
    const char *path = getenv("STOPD_TEST_LEAP");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *leap = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);

    if (fd >= 0)
        close(fd);
    if (leap == MAP_FAILED)
        abort();
    return leap;
}

static int64_t leap_now(void)
{
    static const volatile int64_t *leap;

    if (!leap)
        leap = map_leap();
    return *leap;
}

/* Not by the next library's function: a sanitizer's asks for the time before it is ready. */
int clock_gettime(clockid_t clock, struct timespec *ts)
{
    int r = (int)syscall(SYS_clock_gettime, clock, ts);

    if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        ts->tv_sec += leap_now();
    return r;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    *tv = (struct timeval){.tv_sec = ts.tv_sec, .tv_usec = ts.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *ret)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    if (ret)
        *ret = ts.tv_sec;
    return ts.tv_sec;
}
