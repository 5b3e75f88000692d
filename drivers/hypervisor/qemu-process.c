/* qemu-process.c - which process of this host is a libvirt domain's QEMU
 *
 * Theory of operation. libvirt tells nobody a domain's pid, but writes it to a file before QEMU
 * begins: NAME.pid in the run directory of the driver. A file can be stale, and a number in it can
 * by then be somebody else's; a stop that watched the wrong process would prove the wrong death. So
 * the file is believed only with a second witness:
 *
 *   - The lock. QEMU inherits the file from libvirt, locked, and keeps it so for all its life. The
 *     kernel tells who holds a lock (F_GETLK), and nobody can claim somebody else's. It tells it as
 *     a pid of *our* pid namespace, and 0 for a process that is not in it: a stopd in a container
 *     of its own learns here that it cannot see what it would have to prove. The driver of the
 *     daemon holds its own driver.pid in the same way, which is asked when a connection is opened.
 *   - Without any lock, for a libvirt that does not leave one, the command line: libvirt always
 *     starts QEMU with "-uuid" and the domain's UUID. Reading it takes a lock of the process's
 *     memory and can block where the process hangs, so it comes second, and is left out for an
 *     incarnation that was found before.
 */
#include "drivers/hypervisor/qemu-process.h"

#include "drivers/hypervisor/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <libxml/uri.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SYSTEM_PID_DIRECTORY "/run/libvirt/qemu"
#define COMMAND_LINE_MAX (1024 * 1024)

static void uri_free(xmlURI *uri)
{
    xmlFreeURI(uri);
}
DEFINE_CLEANUP(xmlURI *, uri_free);

_printf_(2, 3) static int say(char **ret, const char *format, ...)
{
    va_list ap;
    int n;

    va_start(ap, format);
    n = vasprintf(ret, format, ap);
    va_end(ap);
    if (n >= 0)
        return 0;
    *ret = NULL;
    return -ENOMEM;
}

/* The value of root= in "a=b&root=/dir": as libvirt reads it, %XX and all. */
static char *root_parameter(const char *query)
{
    for (const char *p = query; is_set(p);) {
        size_t length = strcspn(p, "&;");

        if (length > 5 && strncmp(p, "root=", 5) == 0)
            return xmlURIUnescapeString(p + 5, (int)length - 5, NULL);
        p += length;
        p += strspn(p, "&;");
    }
    return NULL;
}

/* libvirt's run directory for a user: $XDG_RUNTIME_DIR/libvirt, or in the user's cache where there
 * is none. */
static int session_directory(char **ret, char **ret_why)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");

    if (is_set(runtime))
        return say(ret, "%s/libvirt/qemu/run", runtime);
    if (is_set(cache))
        return say(ret, "%s/libvirt/qemu/run", cache);
    if (is_set(home))
        return say(ret, "%s/.cache/libvirt/qemu/run", home);
    return say(ret_why, "neither XDG_RUNTIME_DIR nor HOME says where the session's pid files are");
}

int qemu_pid_directory(const char *uri, bool privileged, char **ret, char **ret_why)
{
    _cleanup_(uri_free) xmlURI *parsed = xmlParseURI(uri);

    *ret = *ret_why = NULL;
    if (!parsed || !parsed->scheme || !parsed->path)
        return say(ret_why, "where %s keeps its pid files is not known", uri);
    if (is_set(parsed->server))
        return say(ret_why, "%s is another host, whose processes cannot be seen from here", uri);
    if (!text_equal(parsed->scheme, "qemu") && !text_equal(parsed->scheme, "qemu+unix"))
        return say(ret_why, "the processes of %s cannot be told from here", uri);

    if (text_equal(parsed->path, "/embed")) {
        _cleanup_(freep) char *root = root_parameter(parsed->query_raw);

        if (is_set(root))
            return say(ret, "%s/run/qemu", root);
        return say(ret_why, "%s names no root", uri);
    }
    if (text_equal(parsed->path, "/session") && !privileged)
        return session_directory(ret, ret_why);
    /* For root libvirt takes qemu:///session for the system's. */
    if (text_equal(parsed->path, "/session") || text_equal(parsed->path, "/system"))
        return say(ret, "%s", SYSTEM_PID_DIRECTORY);
    return say(ret_why, "where %s keeps its pid files is not known", uri);
}

/* A file's beginning is at once there or never. */
static int read_pid(int fd, pid_t *ret)
{
    char text[32], *end;
    ssize_t n = read_up_to(fd, text, sizeof(text) - 1);
    long pid;

    if (n < 0)
        return (int)n;
    text[n] = '\0';
    errno = 0;
    pid = strtol(text, &end, 10);
    if (errno || end == text || (*end && *end != '\n') || pid <= 0 || pid > INT_MAX)
        return -EBADMSG;
    *ret = (pid_t)pid;
    return 0;
}

enum witness { WITNESS_NONE, WITNESS_CONFIRMS, WITNESS_DENIES };

/* Who holds the lock on this file? Returns his pid, 0 for one that has no pid here, or -1 where
 * there is no lock (but our own). */
static pid_t lock_holder(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK || lock.l_pid < 0)
        return -1;
    return lock.l_pid;
}

/* Does the process's command line have "-uuid" and this UUID behind it? */
static enum witness ask_command_line(pid_t pid, const uuid_t domain)
{
    char path[64], uuid[UUID_TEXT_SIZE];
    _cleanup_(close) int fd = -1;
    _cleanup_(freep) char *line = malloc(COMMAND_LINE_MAX + 1);
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (!line || fd < 0)
        return WITNESS_NONE;
    n = read_up_to(fd, line, COMMAND_LINE_MAX);
    if (n <= 0)
        return WITNESS_NONE;
    line[n] = '\0';
    uuid_unparse_lower(domain, uuid);
    for (const char *p = line, *last = ""; p < line + n; last = p, p += strlen(p) + 1)
        if (text_equal(last, "-uuid"))
            return text_equal_case(p, uuid) ? WITNESS_CONFIRMS : WITNESS_DENIES;
    return WITNESS_DENIES;
}

static int check_lock(int fd, const char *path, pid_t pid, bool *ret_confirmed, char **ret_why)
{
    pid_t holder = lock_holder(fd);

    *ret_confirmed = holder == pid;
    if (holder < 0 || holder == pid)
        return 0;
    if (holder == 0)
        say(ret_why, "%s is held by a process of another pid namespace", path);
    else
        say(ret_why, "%s says pid %d, but pid %d holds it", path, pid, holder);
    return -ESTALE;
}

static int check_command_line(const char *path, pid_t pid, const uuid_t domain, char **ret_why)
{
    enum witness witness = ask_command_line(pid, domain);

    if (witness == WITNESS_CONFIRMS)
        return 0;
    say(ret_why, "%s says pid %d, which %s", path, pid,
        witness == WITNESS_DENIES ? "is not this domain's" : "cannot be shown to be this domain's");
    return -ESTALE;
}

int qemu_find_process(const char *pid_directory, const char *domain_name, const uuid_t domain,
                      const struct incarnation *known, struct incarnation *ret, int *ret_pidfd,
                      char **ret_why)
{
    _cleanup_(freep) char *path = NULL;
    _cleanup_(close) int fd = -1;
    _cleanup_(close) int pidfd = -1;
    struct incarnation found;
    bool is_confirmed;
    pid_t pid = 0;
    int identified, r;

    *ret_why = NULL;
    *ret_pidfd = -1;
    if (asprintf(&path, "%s/%s.pid", pid_directory, domain_name) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    r = fd < 0 ? -errno : read_pid(fd, &pid);
    if (r < 0) {
        say(ret_why, "%s cannot be read: %s", path, strerror(-r));
        return r;
    }
    identified = process_identify(pid, &found, &pidfd);
    r = check_lock(fd, path, pid, &is_confirmed, ret_why);
    if (r == 0 && identified < 0) {
        say(ret_why, "%s says pid %d, which cannot be looked at: %s", path, pid,
            strerror(-identified));
        r = identified;
    }
    if (r == 0 && !is_confirmed && !(known && incarnation_equal(known, &found)))
        r = check_command_line(path, pid, domain, ret_why);
    if (r < 0)
        return r;
    *ret = found;
    *ret_pidfd = fd_take(&pidfd);
    return 0;
}

int qemu_check_visible(const char *pid_directory, char **ret_why)
{
    _cleanup_(freep) char *path = NULL;
    _cleanup_(close) int fd = -1;

    *ret_why = NULL;
    if (asprintf(&path, "%s/driver.pid", pid_directory) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0 && lock_holder(fd) == 0)
        return say(ret_why, "libvirt runs in another pid namespace (%s): processes cannot be seen",
                   path);
    return 0;
}
