/* place.c - the journal's folder, its file and its lock
 *
 * Theory of operation. Two writers of one journal would be two stopds that stop the same guests, so
 * the first thing that a writer does is to lock PATH.lock. The lock belongs to the open file, not
 * to its name or content: the kernel drops it with the process, however that ends, and a lock file
 * left behind means nothing. The pid in it is for the message that the second one gets.
 *
 * The journal's own file is not locked, and once SQLite has it open it is not opened here either:
 * closing any descriptor of a file drops the POSIX locks that SQLite holds on it in this process.
 * That is why the file is made before, and its mode is changed by name.
 */
#include "journal/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The folder of a path: "." for a bare name. NULL when out of memory. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

/* A new name is on the disk once its folder is. */
static int sync_folder_of(const char *path, struct error **err)
{
    _cleanup_(freep) char *folder = folder_of(path);
    _cleanup_(close) int fd = -1;

    if (!folder)
        return error_no_memory(err);
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return error_set_errno(err, ERROR_JOURNAL, errno, "writing the folder %s to the disk",
                               folder);
    return 0;
}

static int make_folder(const char *path, struct error **err)
{
    _cleanup_(freep) char *folder = folder_of(path);

    if (!folder)
        return error_no_memory(err);
    if (mkdir(folder, 0700) == 0)
        return sync_folder_of(folder, err);
    if (errno == EEXIST)
        return 0;
    if (errno == ENOENT)
        return error_set(err, ERROR_JOURNAL,
                         "the folder %s of the journal cannot be made, for the one above it is "
                         "missing too; make it, or set journal.path",
                         folder);
    return error_set_errno(err, ERROR_JOURNAL, errno, "the folder %s of the journal cannot be made",
                           folder);
}

/* The pid that the lock's holder wrote, or 0. */
static int holder(int lock)
{
    char line[16] = "";

    if (pread(lock, line, sizeof(line) - 1, 0) <= 0)
        return 0;
    return atoi(line);
}

static int refuse(const char *path, int lock, struct error **err)
{
    int pid = holder(lock);

    if (pid <= 0)
        return error_set(err, ERROR_JOURNAL_LOCKED,
                         "another process uses the journal %s; end it first", path);
    return error_set(err, ERROR_JOURNAL_LOCKED,
                     "process %d uses the journal %s; end it first, or talk to it over its socket",
                     pid, path);
}

int place_claim(const char *path, int *ret, struct error **err)
{
    _cleanup_(freep) char *name = NULL;
    _cleanup_(close) int lock = -1;
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (make_folder(path, err) < 0)
        return -error_errno(ERROR_JOURNAL);
    if (asprintf(&name, "%s.lock", path) < 0) {
        name = NULL;
        return error_no_memory(err);
    }
    lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0)
        return error_set_errno(err, ERROR_JOURNAL, errno,
                               "the lock file %s of the journal cannot be opened for writing",
                               name);
    if (fcntl(lock, F_OFD_SETLK, &whole) < 0) {
        if (errno == EAGAIN || errno == EACCES)
            return refuse(path, lock, err);
        return error_set_errno(err, ERROR_JOURNAL, errno, "locking %s", name);
    }
    /* A disk that is too full for it does not matter to the lock. */
    if (ftruncate(lock, 0) == 0)
        dprintf(lock, "%d\n", (int)getpid());
    *ret = lock;
    lock = -1;
    return 0;
}

/* An older file may have been left readable by others; its companions take their mode from it. */
static void tighten(const char *path, const char *suffix)
{
    char name[4096];
    struct stat st;

    if (snprintf(name, sizeof(name), "%s%s", path, suffix) < (int)sizeof(name) &&
        stat(name, &st) == 0 && (st.st_mode & 0077))
        (void)!chmod(name, 0600);
}

int place_make_file(const char *path, struct error **err)
{
    _cleanup_(close) int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd >= 0)
        return sync_folder_of(path, err);
    if (errno != EEXIST)
        return error_set_errno(err, ERROR_JOURNAL, errno, "the journal %s cannot be made", path);
    tighten(path, "");
    tighten(path, "-wal");
    tighten(path, "-shm");
    return 0;
}
