/* process.c - proof of death: which process an incarnation is, and whether that process has ended
 *
 * Theory of operation. A disk may be cleared only when the process that had it open is gone, and
 * the hypervisor's word is not enough for that: libvirt can report success while QEMU sits in
 * uninterruptible sleep with writes in flight. So the kernel is asked.
 *
 * A pid alone names nobody for long. Together with the start time of its process (field 22 of
 * /proc/PID/stat) and the boot id it names one process for ever: an incarnation, which can be
 * written to a journal and asked about after a restart. These are proofs of its end, each enough by
 * itself:
 *
 *   - another boot id: everything that ran then has ended;
 *   - no process has the pid;
 *   - the process that has the pid started at another time: the pid was given to somebody else;
 *   - a pidfd of the process polls readable: all its threads have exited. It may still be a zombie,
 *     which holds no file open.
 *
 * State Z in /proc/PID/stat is *not* among them. It speaks of the first thread only: a QEMU that
 * was killed while one of its I/O threads hangs in the kernel shows Z, and the I/O is still out.
 * The pidfd of such a process does not become readable.
 *
 * The order makes it free of races: first the pidfd, which holds on to whoever has the pid now,
 * then the start time by pid, and at last the poll. If the start time is the one we look for, and
 * the pidfd has not ended afterwards, then the pid cannot have changed hands in between, and the
 * one that lives is the one that was meant.
 *
 * What cannot be read is PROCESS_UNKNOWN, never an end. Nothing here takes a lock of the process
 * (/proc/PID/cmdline would, and blocks where the process hangs), so none of it waits.
 */
#include "drivers/hypervisor/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A QEMU has some dozens of threads. The search for the one that hangs ends here. */
#define THREADS_MAX 512

/* glibc has no pidfd_open() before 2.36. */
static int open_pidfd(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0U);

    return fd < 0 ? -errno : fd;
}

static bool pidfd_has_ended(int pidfd)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    int r;

    do
        r = poll(&p, 1, 0);
    while (r < 0 && errno == EINTR);
    return r == 1 && (p.revents & POLLIN);
}

/* Reads a small file of /proc whole. Returns its length, or a negative errno. */
static ssize_t read_small(const char *path, char *buffer, size_t size)
{
    _cleanup_(close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -errno : read_up_to(fd, buffer, size - 1);

    if (length >= 0)
        buffer[length] = '\0';
    return length;
}

struct thread_stat {
    char state;
    uint64_t start_time;
};

/* "PID (COMM) STATE PPID …": COMM is the program's to choose and may hold spaces and parentheses,
 * so the fields are counted from the last parenthesis on. */
static int parse_stat(const char *text, struct thread_stat *ret)
{
    const char *field = strrchr(text, ')');
    char *end;

    if (!field || field[1] != ' ' || !field[2])
        return -EBADMSG;
    field += 2;
    ret->state = *field;
    for (int i = 3; i < 22; i++) {
        field = strchr(field, ' ');
        if (!field)
            return -EBADMSG;
        field++;
    }
    errno = 0;
    ret->start_time = strtoull(field, &end, 10);
    return errno || end == field ? -EBADMSG : 0;
}

static int read_stat(const char *path, struct thread_stat *ret)
{
    char text[4096];
    ssize_t n = read_small(path, text, sizeof(text));

    return n < 0 ? (int)n : parse_stat(text, ret);
}

static int read_process_stat(pid_t pid, struct thread_stat *ret)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    return read_stat(path, ret);
}

int process_boot_id(char ret[static UUID_TEXT_SIZE])
{
    char text[64];
    uuid_t parsed;
    ssize_t n = read_small("/proc/sys/kernel/random/boot_id", text, sizeof(text));

    if (n < 0)
        return (int)n;
    text[strcspn(text, "\n")] = '\0';
    if (uuid_parse(text, parsed) < 0)
        return -EBADMSG;
    uuid_unparse_lower(parsed, ret);
    return 0;
}

int process_identify(pid_t pid, struct incarnation *ret, int *ret_pidfd)
{
    struct incarnation found = {.pid = pid};
    struct thread_stat stat;
    _cleanup_(close) int pidfd = -1;
    int r;

    if (pid <= 0)
        return -EINVAL;
    r = process_boot_id(found.boot_id);
    if (r < 0)
        return r;
    pidfd = open_pidfd(pid);
    if (pidfd < 0)
        return pidfd;
    r = read_process_stat(pid, &stat);
    if (pidfd_has_ended(pidfd))
        return -ESRCH;
    if (r < 0)
        return r == -ENOENT ? -EACCES : r; /* alive and not to be seen: /proc hides it from us */
    found.start_time = stat.start_time;
    *ret = found;
    *ret_pidfd = fd_take(&pidfd);
    return 0;
}

static usec_t since_boot(void)
{
    struct timespec t;

    clock_gettime(CLOCK_BOOTTIME, &t);
    return (usec_t)t.tv_sec * USEC_PER_SEC + (usec_t)t.tv_nsec / 1000;
}

int process_began_at(const struct incarnation *who, usec_t *ret)
{
    char boot_id[UUID_TEXT_SIZE];
    usec_t began = who->start_time * USEC_PER_SEC / (usec_t)sysconf(_SC_CLK_TCK);
    int r = process_boot_id(boot_id);

    if (r < 0)
        return r;
    if (strcmp(boot_id, who->boot_id) != 0)
        return -ESTALE;
    *ret = moment_now().realtime - since_boot() + began;
    return 0;
}

_printf_(1, 2) static char *sentence(const char *format, ...)
{
    char *s;
    va_list ap;

    va_start(ap, format);
    s = text_vformat(format, ap);
    va_end(ap);
    return s;
}

/* Where in the kernel a thread waits, as ", wchan NAME"; "" where we may not know. */
static const char *wchan_of(pid_t pid, pid_t tid, char *buffer, size_t size)
{
    char path[64], name[64];

    snprintf(path, sizeof(path), "/proc/%d/task/%d/wchan", pid, tid);
    if (read_small(path, name, sizeof(name)) <= 0 || strcmp(name, "0") == 0)
        return "";
    snprintf(buffer, size, ", wchan %s", name);
    return buffer;
}

static bool is_gone(char state)
{
    return state == 'Z' || state == 'X' || state == 'x';
}

/* The thread that tells most about why a process is still there: one in uninterruptible sleep,
 * else, where the first thread has exited, another one that has not. The first thread itself where
 * nothing is more telling. */
static pid_t telling_thread(pid_t pid, char first_state, char *ret_state)
{
    char path[320];
    pid_t found = pid;
    DIR *tasks;
    const struct dirent *e;

    *ret_state = first_state;
    if (first_state == 'D')
        return pid;
    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    tasks = opendir(path);
    if (!tasks)
        return pid;
    for (int n = 0; n < THREADS_MAX && *ret_state != 'D' && (e = readdir(tasks)); n++) {
        pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);
        struct thread_stat stat;

        snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
        if (tid <= 0 || tid == pid || read_stat(path, &stat) < 0)
            continue;
        if (stat.state == 'D' || (is_gone(*ret_state) && !is_gone(stat.state))) {
            found = tid;
            *ret_state = stat.state;
        }
    }
    closedir(tasks);
    return found;
}

static char *describe(pid_t pid, char first_state)
{
    char wchan[80], state;
    pid_t tid = telling_thread(pid, first_state, &state);

    if (tid == pid)
        return sentence("pid %d, state %c%s", pid, first_state,
                        wchan_of(pid, pid, wchan, sizeof(wchan)));
    return sentence("pid %d, state %c, its thread %d in state %c%s", pid, first_state, tid, state,
                    wchan_of(pid, tid, wchan, sizeof(wchan)));
}

enum process_fate process_fate(const struct incarnation *who, int *ret_pidfd, char **ret_detail)
{
    char boot_id[UUID_TEXT_SIZE];
    struct thread_stat stat;
    _cleanup_(close) int pidfd = -1;
    int stat_result;
    int r;

    *ret_pidfd = -1;
    *ret_detail = NULL;
    if (who->pid <= 0)
        return PROCESS_NONE;
    r = process_boot_id(boot_id);
    if (r < 0) {
        *ret_detail = sentence("the host's boot id cannot be read: %s", strerror(-r));
        return PROCESS_UNKNOWN;
    }
    if (strcmp(boot_id, who->boot_id) != 0)
        return PROCESS_ENDED;

    pidfd = open_pidfd(who->pid);
    if (pidfd == -ESRCH)
        return PROCESS_ENDED;
    stat_result = read_process_stat(who->pid, &stat);
    if (stat_result == 0 && stat.start_time != who->start_time)
        return PROCESS_ENDED;
    if (pidfd >= 0 && pidfd_has_ended(pidfd))
        return PROCESS_ENDED;
    /* A pid whose process has been reaped, but which still names a group or a session, or is now a
     * thread's. */
    if ((pidfd == -EINVAL || pidfd == -ENOENT) && (stat_result == -ENOENT || stat_result == -ESRCH))
        return PROCESS_ENDED;
    if (stat_result < 0) {
        *ret_detail = sentence("pid %d cannot be looked at: %s", who->pid, strerror(-stat_result));
        return PROCESS_UNKNOWN;
    }
    if (pidfd < 0 && is_gone(stat.state)) {
        *ret_detail = sentence("pid %d, state %c, and its other threads cannot be told: %s",
                               who->pid, stat.state, strerror(-pidfd));
        return PROCESS_UNKNOWN;
    }
    *ret_detail = describe(who->pid, stat.state);
    if (pidfd >= 0)
        *ret_pidfd = fd_take(&pidfd);
    return PROCESS_ALIVE;
}
