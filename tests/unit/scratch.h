/* scratch.h - a folder of a test's own, a small disk in it, and children that are killed */
#ifndef STOPD_TESTS_SCRATCH_H
#define STOPD_TESTS_SCRATCH_H

#include "stopd/base.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct scratch {
    char folder[64];
    char path[128]; /* the last scratch_path() */
    bool is_mounted;
};

static inline int scratch_setup(void **state)
{
    struct scratch *s = calloc(1, sizeof(*s));

    snprintf(s->folder, sizeof(s->folder), "/tmp/stopd-test-XXXXXX");
    if (!mkdtemp(s->folder))
        return -1;
    *state = s;
    return 0;
}

static inline int scratch_remove_one(const char *path, const struct stat *st, int kind,
                                     struct FTW *ftw)
{
    return remove(path);
}

static inline int scratch_teardown(void **state)
{
    struct scratch *s = *state;

    if (s->is_mounted)
        umount2(s->folder, MNT_DETACH);
    nftw(s->folder, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    free(s);
    return 0;
}

static inline const char *scratch_path(struct scratch *s, const char *name)
{
    snprintf(s->path, sizeof(s->path), "%s/%s", s->folder, name);
    return s->path;
}

/* Makes the folder a disk of this size, seen by this process only, where that is possible. */
static inline bool scratch_mount(struct scratch *s, const char *options)
{
    if (geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("tmpfs", s->folder, "tmpfs", 0, options) == 0) {
        s->is_mounted = true;
        return true;
    }
    return false;
}

/* The same for a test that cannot do without: false, with the reason printed. */
static inline bool scratch_small_disk(struct scratch *s, const char *options)
{
    if (scratch_mount(s, options))
        return true;
    if (geteuid() != 0)
        errno = EPERM;
    print_message("skipped: a small tmpfs needs root with CAP_SYS_ADMIN (%s)\n", strerror(errno));
    return false;
}

/* Fills the disk to the last byte with a file, or gives the room back. */
static inline void scratch_fill(struct scratch *s)
{
    char name[128], block[4096] = {1};
    int fd;

    snprintf(name, sizeof(name), "%s/filler", s->folder);
    fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    for (size_t size = sizeof(block); size > 0; size /= 2)
        while (write(fd, block, size) == (ssize_t)size)
            ;
    close(fd);
}

static inline void scratch_make_room(struct scratch *s)
{
    char name[128];

    snprintf(name, sizeof(name), "%s/filler", s->folder);
    unlink(name);
}

static inline void scratch_write(const char *path, const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (write(fd, bytes, size) != (ssize_t)size)
        abort();
    close(fd);
}

/* The whole file with a NUL behind it; NULL where it cannot be read. */
static inline char *scratch_read(const char *path, size_t *size)
{
    _cleanup_(close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    char *bytes;

    if (size)
        *size = 0;
    if (fd < 0 || fstat(fd, &st) < 0)
        return NULL;
    bytes = calloc(1, (size_t)st.st_size + 1);
    if (read(fd, bytes, (size_t)st.st_size) != st.st_size)
        abort();
    if (size)
        *size = (size_t)st.st_size;
    return bytes;
}

static inline void scratch_copy(const char *from, const char *to)
{
    size_t size;
    _cleanup_(freep) char *bytes = scratch_read(from, &size);

    if (bytes)
        scratch_write(to, bytes, size);
}

/* A child process with a pipe for what it reports. It must end by _exit(). */
struct child {
    pid_t pid;
    int reports; /* ours to read, in the child to write */
};

static inline bool child_fork(struct child *c)
{
    int ends[2];

    fflush(NULL);
    if (pipe2(ends, O_CLOEXEC) < 0)
        abort();
    c->pid = fork();
    if (c->pid < 0)
        abort();
    if (c->pid == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(ends[c->pid == 0 ? 0 : 1]);
    c->reports = ends[c->pid == 0 ? 1 : 0];
    return c->pid == 0;
}

static inline void child_report(const struct child *c, uint64_t n)
{
    if (write(c->reports, &n, sizeof(n)) != sizeof(n))
        _exit(3);
}

/* The next report; false: the child is gone. */
static inline bool child_hear(const struct child *c, uint64_t *ret)
{
    return read(c->reports, ret, sizeof(*ret)) == sizeof(*ret);
}

/* Kills it and gives the last that it reported. */
static inline uint64_t child_kill(struct child *c, uint64_t last)
{
    uint64_t n;

    kill(c->pid, SIGKILL);
    waitpid(c->pid, NULL, 0);
    while (child_hear(c, &n))
        last = n;
    close(c->reports);
    return last;
}

static inline int child_wait(struct child *c)
{
    int status;

    waitpid(c->pid, &status, 0);
    close(c->reports);
    return status;
}

#endif
