/* stall.c - a disk whose sync does not return: preloaded into a stopd, it holds back what puts the
 * journal's log on the disk for as long as the file STOPD_TEST_STALL is there, and makes
 * STOPD_TEST_STALL.held when it does */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int fdatasync(int fd);

static int is_log(int fd)
{
    char link[64], path[4096];
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof(path) - 1);
    if (n < 4)
        return 0;
    path[n] = '\0';
    return strcmp(path + n - 4, "-wal") == 0;
}

static void hold(void)
{
    const char *stall = getenv("STOPD_TEST_STALL");
    char held[4096];

    if (!stall || access(stall, F_OK) != 0)
        return;
    snprintf(held, sizeof(held), "%s.held", stall);
    close(open(held, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    while (access(stall, F_OK) == 0)
        usleep(1000);
}

int fdatasync(int fd)
{
    static int (*real)(int);

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
    if (is_log(fd))
        hold();
    return real(fd);
}
