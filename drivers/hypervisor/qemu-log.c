/* qemu-log.c - how a domain's last run ended, as libvirt wrote it in the domain's log
 *
 * Theory of operation. Why a domain is off libvirt knows until it restarts, or until it forgets the
 * domain: a transient one is gone with its run, and so is one whose migration undefines it here. A
 * stop whose end nobody saw would then take a guest that runs on elsewhere for one that has
 * stopped, and clear its disks. But libvirt writes a line into the domain's log whenever a run
 * begins ("starting up libvirt version: …") and ends ("shutting down, reason=migrated").
 *
 * libvirt names the file after the domain. Of a domain that is gone only the UUID is left, and the
 * command line that follows a beginning has that: then all logs are searched, which happens once
 * for each domain that went unseen.
 *
 * QEMU writes into the same file and may say anything, so the log is believed only where it says
 * that nothing was stopped: a guest that forged that would keep its own disks. A run that began
 * after the last end makes the end one of a former run; a file that was rotated or cannot be read
 * says nothing.
 *
 * A start that fails ("reason=failed") ran nothing, whether it got as far as the line of its
 * beginning or not, and libvirt remembers its end in the place of the one before. It is looked
 * past: an image that was saved, and a guest that has migrated, still go on with the disks.
 */
#include "drivers/hypervisor/qemu-log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYSTEM_PID_DIRECTORY "/run/libvirt/qemu"
#define SYSTEM_LOG_DIRECTORY "/var/log/libvirt/qemu"
#define EMBEDDED_PID_DIRECTORY "/run/qemu"
#define EMBEDDED_LOG_DIRECTORY "/log/qemu"

/* A command line and what a healthy QEMU says. */
#define TAIL_MAX (64 * 1024)

#define BEGUN ": starting up libvirt version: "
#define ENDED ": shutting down, reason="
#define OWNER "-uuid "

int qemu_log_directory(const char *pid_directory, char **ret)
{
    size_t length = pid_directory ? strlen(pid_directory) : 0;
    size_t end = strlen(EMBEDDED_PID_DIRECTORY);

    *ret = NULL;
    if (text_equal(pid_directory, SYSTEM_PID_DIRECTORY))
        return text_replace(ret, SYSTEM_LOG_DIRECTORY);
    if (length <= end || !text_equal(pid_directory + length - end, EMBEDDED_PID_DIRECTORY))
        return 0;
    if (asprintf(ret, "%.*s" EMBEDDED_LOG_DIRECTORY, (int)(length - end), pid_directory) >= 0)
        return 0;
    *ret = NULL;
    return -ENOMEM;
}

/* The file's last TAIL_MAX bytes, as text. */
static char *read_tail(const char *path)
{
    _cleanup_(close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    _cleanup_(freep) char *text = malloc(TAIL_MAX + 1);
    struct stat st;
    off_t from;
    size_t length = 0;
    ssize_t n;

    if (!text || fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return NULL;
    from = st.st_size > TAIL_MAX ? st.st_size - TAIL_MAX : 0;
    while (length < TAIL_MAX &&
           (n = pread(fd, text + length, TAIL_MAX - length, from + (off_t)length)) > 0)
        length += (size_t)n;
    for (char *zero = text; (zero = memchr(zero, '\0', length - (size_t)(zero - text)));)
        *zero = ' ';
    text[length] = '\0';
    return take(text);
}

/* The last place of this in the text, or NULL. */
static const char *find_last(const char *text, const char *needle)
{
    const char *last = NULL;

    for (const char *p = text; (p = strstr(p, needle)); p++)
        last = p;
    return last;
}

static bool begins_with(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

/* Cuts off what starts that have failed left behind the last run. */
static void cut_failed_starts(char *text)
{
    const char *begun, *ended;

    while ((begun = find_last(text, BEGUN)) && (ended = find_last(begun, ENDED)) &&
           begins_with(ended + strlen(ENDED), "failed\n")) {
        text[ended - text] = '\0';
        if (!strstr(begun, ENDED)) /* it is its own beginning */
            text[begun - text] = '\0';
    }
}

/* The command line of the run that ended last tells whose it was. */
static enum end_cause read_end(const char *directory, const char *file, const char *uuid)
{
    _cleanup_(freep) char *path = NULL;
    _cleanup_(freep) char *text = NULL;
    const char *begun, *ended, *owner;

    if (asprintf(&path, "%s/%s", directory, file) < 0) {
        path = NULL;
        return END_UNKNOWN;
    }
    text = read_tail(path);
    if (text)
        cut_failed_starts(text);
    begun = text ? find_last(text, BEGUN) : NULL;
    ended = begun ? find_last(begun, ENDED) : NULL;
    owner = ended ? strstr(begun, OWNER) : NULL;
    if (!owner || owner > ended || !begins_with(owner + strlen(OWNER), uuid))
        return END_UNKNOWN;
    ended += strlen(ENDED);
    if (begins_with(ended, "migrated\n"))
        return END_MIGRATED;
    return begins_with(ended, "saved\n") ? END_SAVED : END_UNKNOWN;
}

static void directory_close(DIR *d)
{
    if (d)
        closedir(d);
}
DEFINE_CLEANUP(DIR *, directory_close);

/* What was rotated away (NAME.log.0) tells of runs before the last one. */
static bool is_current(const char *file)
{
    size_t n = strlen(file);

    return n > 4 && text_equal(file + n - 4, ".log");
}

enum end_cause qemu_log_end(const char *directory, const char *domain_name, const uuid_t domain)
{
    _cleanup_(directory_close) DIR *logs = NULL;
    const struct dirent *entry;
    enum end_cause found = END_UNKNOWN;
    char uuid[UUID_TEXT_SIZE], file[NAME_MAX + 1];

    uuid_unparse_lower(domain, uuid);
    if (domain_name) {
        snprintf(file, sizeof(file), "%s.log", domain_name);
        return read_end(directory, file, uuid);
    }
    logs = opendir(directory);
    while (logs && found == END_UNKNOWN && (entry = readdir(logs)))
        if (is_current(entry->d_name))
            found = read_end(directory, entry->d_name, uuid);
    return found;
}
