/* kill-at-write.c - preloaded into a stopd, it counts what that writes to its journal's files, and
 * kills it at the writes that it is told
 *
 * Theory of operation. A write is whatever changes a file of the journal or puts it on the disk:
 * pwrite, write, ftruncate, fsync, fdatasync and unlink of STOPD_TEST_JOURNAL itself, its -wal and
 * its -journal. Each is appended to the file STOPD_TEST_WRITES before it is made, as a line "NUMBER
 * CALL FILE OFFSET SIZE", and counting goes on there in the next process: one file is one life,
 * however many processes that has.
 *
 * STOPD_TEST_KILLS is a list like "17 before,40 odd": which writes have an end of the process by
 * SIGKILL, and when.
 *
 *   before  before the write is made
 *   after   when it has been made, and nobody has been told
 *   sector  when the first part of it has been made, up to a multiple of 512 in the file
 *   odd     ... up to an odd length
 *   lost    before it is made, and with all that was written since the last sync of each file: as
 *           if the disk had lost power. A file that was unlinked stays unlinked
 *
 * But for after, the disk is slow first, so that other threads get done what should have waited for
 * the write. What has no parts is not made at all for sector and odd. Files are known by the
 * descriptor's link in /proc and never opened here: closing a descriptor drops the locks that
 * SQLite holds.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512
#define DAWDLE_US 30000

/* What was in the file before a write that is not on the disk yet. */
struct undo {
    struct undo *next;
    int fd;
    char path[4096];
    off64_t offset, file_size;
    size_t size;
    char bytes[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *journal, *kills;
static int record = -1;
static unsigned long number;
static struct undo *undos; /* the newest first */

static ssize_t (*real_pwrite64)(int, const void *, size_t, off64_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_ftruncate64)(int, off64_t);
static int (*real_fdatasync)(int);
static int (*real_fsync)(int);
static int (*real_unlink)(const char *);

/* Another library's beginning may write something before ours. */
__attribute__((constructor)) static void set_up(void)
{
    const char *writes = getenv("STOPD_TEST_WRITES");
    char byte;

    if (real_unlink)
        return;
    *(void **)&real_pwrite64 = dlsym(RTLD_NEXT, "pwrite64");
    *(void **)&real_write = dlsym(RTLD_NEXT, "write");
    *(void **)&real_ftruncate64 = dlsym(RTLD_NEXT, "ftruncate64");
    *(void **)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    *(void **)&real_fsync = dlsym(RTLD_NEXT, "fsync");
    *(void **)&real_unlink = dlsym(RTLD_NEXT, "unlink");
    unsetenv("LD_PRELOAD"); /* not in its children */
    journal = getenv("STOPD_TEST_JOURNAL");
    kills = getenv("STOPD_TEST_KILLS");
    if (writes)
        record = open(writes, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    while (record >= 0 && read(record, &byte, 1) == 1)
        number += byte == '\n';
}

/* --- Which file, which way ------------------------------------------------------------------- */

static bool is_of_journal(const char *path)
{
    const char *suffix;
    size_t n;

    set_up();
    n = journal ? strlen(journal) : 0;
    suffix = path + n;
    return n > 0 && record >= 0 && strncmp(path, journal, n) == 0 &&
           (!*suffix || strcmp(suffix, "-wal") == 0 || strcmp(suffix, "-journal") == 0);
}

static bool find(int fd, char path[static 4096])
{
    char link[64];
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, 4095);
    path[n > 0 ? n : 0] = '\0';
    return is_of_journal(path);
}

/* The word behind this number in the list, or "". */
static void way_of(unsigned long n, char ret[static 16])
{
    const char *next = kills;

    *ret = '\0';
    while (next && *next) {
        unsigned long at;
        char way[16];

        if (sscanf(next, "%lu %15[a-z]", &at, way) == 2 && at == n)
            strcpy(ret, way);
        next = strchr(next, ',');
        next += next ? 1 : 0;
    }
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* --- What the disk would not have ------------------------------------------------------------ */

/* Before size bytes from this offset on are written, or with to_end all behind it is cut off. */
static void remember(int fd, const char *path, off64_t offset, size_t size, bool to_end)
{
    struct stat st;
    struct undo *u;
    ssize_t n;

    if (fstat(fd, &st) < 0)
        return;
    if (to_end)
        size = st.st_size > offset ? (size_t)(st.st_size - offset) : 0;
    u = calloc(1, sizeof(*u) + size);
    if (!u)
        abort();
    n = pread64(fd, u->bytes, size, offset);
    *u = (struct undo){.next = undos,
                       .fd = fd,
                       .offset = offset,
                       .file_size = st.st_size,
                       .size = n > 0 ? (size_t)n : 0};
    strcpy(u->path, path);
    undos = u;
}

/* It is on the disk, or gone. */
static void forget(const char *path)
{
    struct undo **at = &undos;

    while (*at) {
        struct undo *u = *at;

        if (strcmp(u->path, path) != 0) {
            at = &u->next;
            continue;
        }
        *at = u->next;
        free(u);
    }
}

static void lose_power(void)
{
    for (const struct undo *u = undos; u; u = u->next) {
        char path[4096];

        if (find(u->fd, path) && strcmp(path, u->path) == 0 &&
            (real_pwrite64(u->fd, u->bytes, u->size, u->offset) != (ssize_t)u->size ||
             real_ftruncate64(u->fd, u->file_size) < 0))
            abort();
    }
    die();
}

/* --- A write, begun and ended ---------------------------------------------------------------- */

static void begin(const char *call, const char *path, off64_t offset, size_t size,
                  char way[static 16])
{
    char line[4200];
    int n;

    pthread_mutex_lock(&lock);
    number++;
    n = snprintf(line, sizeof(line), "%lu %s %s %lld %zu\n", number, call, strrchr(path, '/') + 1,
                 (long long)offset, size);
    if (real_write(record, line, (size_t)n) != n)
        abort();
    way_of(number, way);
    if (*way && strcmp(way, "after") != 0)
        usleep(DAWDLE_US);
    if (strcmp(way, "lost") == 0)
        lose_power();
    if (strcmp(way, "before") == 0 ||
        (size == 0 && (strcmp(way, "sector") == 0 || strcmp(way, "odd") == 0)))
        die();
}

static void end(const char *way)
{
    if (strcmp(way, "after") == 0)
        die();
    pthread_mutex_unlock(&lock);
}

/* How much of it is still written; all of it where it is not to be torn. */
static size_t part(const char *way, off64_t offset, size_t size)
{
    off64_t middle = offset + (off64_t)(size / 2);

    if (strcmp(way, "odd") == 0)
        return size / 2 - (size / 2 % 2 == 0 && size > 1 ? 1 : 0);
    if (strcmp(way, "sector") == 0)
        return middle / SECTOR * SECTOR > offset ? (size_t)(middle / SECTOR * SECTOR - offset) : 0;
    return size;
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset)
{
    char path[4096], way[16];
    size_t first;
    ssize_t r;

    if (!find(fd, path))
        return real_pwrite64(fd, bytes, size, offset);
    begin("write", path, offset, size, way);
    first = part(way, offset, size);
    remember(fd, path, offset, size, false);
    r = real_pwrite64(fd, bytes, first, offset);
    if (first < size)
        die();
    end(way);
    return r;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    return pwrite64(fd, bytes, size, offset);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    char path[4096];
    off64_t offset;
    ssize_t r;

    if (!find(fd, path))
        return real_write(fd, bytes, size);
    offset = lseek64(fd, 0, SEEK_CUR);
    r = pwrite64(fd, bytes, size, offset);
    if (r > 0)
        lseek64(fd, r, SEEK_CUR);
    return r;
}

int ftruncate64(int fd, off64_t size)
{
    char path[4096], way[16];
    int r;

    if (!find(fd, path))
        return real_ftruncate64(fd, size);
    begin("truncate", path, size, 0, way);
    remember(fd, path, size, 0, true);
    r = real_ftruncate64(fd, size);
    end(way);
    return r;
}

int ftruncate(int fd, off_t size)
{
    return ftruncate64(fd, size);
}

static int sync_by(int (*real)(int), int fd)
{
    char path[4096], way[16];
    int r;

    if (!find(fd, path))
        return real(fd);
    begin("sync", path, 0, 0, way);
    r = real(fd);
    if (r == 0)
        forget(path);
    end(way);
    return r;
}

int fdatasync(int fd)
{
    return sync_by(real_fdatasync, fd);
}

int fsync(int fd)
{
    return sync_by(real_fsync, fd);
}

int unlink(const char *path)
{
    char way[16];
    int r;

    if (!is_of_journal(path))
        return real_unlink(path);
    begin("unlink", path, 0, 0, way);
    r = real_unlink(path);
    if (r == 0)
        forget(path);
    end(way);
    return r;
}
