/* qemu-log.c - how a domain's last run ended and what ran since, by libvirt's log of the domain
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
 * after the last end makes the end one of a former run.
 *
 * QEMU may also have said much since its run began. The log is read backwards, further and further,
 * also in what virtlogd or logrotate have put aside, until the beginning of the last run is found
 * or an end that decides. Where no beginning is left at all, an end in the file of the domain's own
 * name is its own: each run begins with a line there.
 *
 * A start that fails ("reason=failed") ran nothing, whether it got as far as the line of its
 * beginning or not, and libvirt remembers its end in the place of the one before. It is looked
 * past: an image that was saved, and a guest that has migrated, still go on with the disks.
 *
 * Of a run that came and went unseen behind the one that a stop is for, libvirt tells the end
 * alone, as if it were that one's. But the run that is meant has a beginning of its own here,
 * written just before its process began, which is known: where another one follows it, the disks
 * have the data of that one. Without the first nothing is concluded from what else there is.
 */
#include "drivers/hypervisor/qemu-log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYSTEM_PID_DIRECTORY "/run/libvirt/qemu"
#define SYSTEM_LOG_DIRECTORY "/var/log/libvirt/qemu"
#define EMBEDDED_PID_DIRECTORY "/run/qemu"
#define EMBEDDED_LOG_DIRECTORY "/log/qemu"
#define SESSION_PID_DIRECTORY "/libvirt/qemu/run"

/* A command line and what a healthy QEMU says; and all that is looked at, four times as much each
 * time: virtlogd keeps 2 MiB in each of four files, unless it is told otherwise. */
#define TAIL_MIN ((size_t)64 << 10)
#define TAIL_MAX ((size_t)16 << 20)

#define BEGUN ": starting up libvirt version: "
#define ENDED ": shutting down, reason="
#define OWNER "-uuid "

/* "2026-11-24 18:12:49.000+0000", in front of either. */
#define STAMP_LENGTH 28

/* So long before its process a run's beginning is written, at the most; and so much later it may
 * seem to be, for the process's time is counted in ticks and on another clock. */
#define BEGUN_BEFORE (30 * USEC_PER_SEC)
#define BEGUN_AFTER (USEC_PER_SEC / 2)

static bool ends_with(const char *text, const char *end)
{
    size_t n = text ? strlen(text) : 0, m = strlen(end);

    return n > m && text_equal(text + n - m, end);
}

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

/* A user's logs are in his cache, wherever his pid files are. */
static int session_directory(char **ret)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

    if (is_set(cache))
        return say(ret, "%s/libvirt/qemu/log", cache);
    return is_set(home) ? say(ret, "%s/.cache/libvirt/qemu/log", home) : 0;
}

int qemu_log_directory(const char *pid_directory, char **ret)
{
    *ret = NULL;
    if (text_equal(pid_directory, SYSTEM_PID_DIRECTORY))
        return text_replace(ret, SYSTEM_LOG_DIRECTORY);
    if (ends_with(pid_directory, SESSION_PID_DIRECTORY))
        return session_directory(ret);
    if (!ends_with(pid_directory, EMBEDDED_PID_DIRECTORY))
        return 0;
    return say(ret, "%.*s" EMBEDDED_LOG_DIRECTORY,
               (int)(strlen(pid_directory) - strlen(EMBEDDED_PID_DIRECTORY)), pid_directory);
}

/* --- What is read ---------------------------------------------------------------------------- */

/* The file's last bytes; *n: how many, up to what it says before. *is_whole: there are no others.
 */
static char *read_tail(const char *path, size_t *n, bool *is_whole)
{
    _cleanup_(close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    _cleanup_(freep) char *text = NULL;
    struct stat st;
    size_t size, length = 0;
    ssize_t got;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return NULL;
    *is_whole = (uint64_t)st.st_size <= *n;
    size = *is_whole ? (size_t)st.st_size : *n;
    text = malloc(size + 1);
    while (text && length < size &&
           (got = pread(fd, text + length, size - length,
                        st.st_size - (off_t)size + (off_t)length)) > 0)
        length += (size_t)got;
    *n = length;
    return take(text);
}

/* Puts text before what is there, which may be NULL. 0 or -ENOMEM. */
static int prepend(char **to, const char *text, size_t n)
{
    size_t there = *to ? strlen(*to) : 0;
    char *joined = malloc(n + there + 1);

    if (!joined)
        return -ENOMEM;
    memcpy(joined, text, n);
    for (size_t i = 0; i < n; i++) /* a zero ends nothing */
        if (!joined[i])
            joined[i] = ' ';
    memcpy(joined + n, *to ? *to : "", there + 1);
    free(*to);
    *to = joined;
    return 0;
}

/* The last `most` bytes of a domain's log, what was put aside included, as text; or NULL.
 * *is_all: there is no more. */
static char *read_back(const char *path, size_t most, bool *is_all)
{
    static const char *const asides[] = {"", ".0", ".1", ".2"};
    _cleanup_(freep) char *all = NULL;
    bool is_whole = true;

    for (size_t i = 0; i < ELEMENTSOF(asides) && is_whole && most > 0; i++) {
        _cleanup_(freep) char *name = NULL;
        _cleanup_(freep) char *text = NULL;
        size_t n = most;

        if (say(&name, "%s%s", path, asides[i]) < 0)
            return NULL;
        text = read_tail(name, &n, &is_whole);
        if (!text && i == 0)
            return NULL;
        if (!text)
            continue;
        if (prepend(&all, text, n) < 0)
            return NULL;
        most -= n;
    }
    *is_all = is_whole && most > 0;
    return take(all);
}

/* --- What it says ---------------------------------------------------------------------------- */

/* The first place of this in the text, which stands in one line, or NULL. By lines, so that what is
 * looked through is no more than what there is up to it, also where memory is checked. */
static const char *find(const char *text, const char *words)
{
    for (const char *line = text, *end; *line; line = *end ? end + 1 : end) {
        const char *found;

        end = strchrnul(line, '\n');
        found = memmem(line, (size_t)(end - line), words, strlen(words));
        if (found)
            return found;
    }
    return NULL;
}

static bool begins_with(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

/* Where a run begins and ends; NULL: further back than the text, or not there. */
struct run {
    const char *begun, *ended;
};

/* The last that was one: starts that have failed are looked past. Once through the text, for
 * whoever tries to start a domain again and again leaves very many of those. */
static struct run last_run(const char *text)
{
    const char *begun = find(text, BEGUN), *ended = find(text, ENDED);
    struct run run = {0}, before = {0};

    while (begun || ended) {
        if (begun && (!ended || begun < ended)) {
            before = run;
            run = (struct run){.begun = begun};
            begun = find(begun + 1, BEGUN);
            continue;
        }
        if (!begins_with(ended + strlen(ENDED), "failed\n"))
            run.ended = ended;
        else if (run.begun && !run.ended) /* it is its own beginning */
            run = before;
        ended = find(ended + 1, ENDED);
    }
    return run;
}

static enum end_cause end_at(const char *ended)
{
    ended += strlen(ENDED);
    if (begins_with(ended, "migrated\n"))
        return END_MIGRATED;
    return begins_with(ended, "saved\n") ? END_SAVED : END_UNKNOWN;
}

/* The command line of a run tells whose it was. */
static bool is_owner(const char *begun, const char *ended, const char *uuid)
{
    const char *owner = memmem(begun, (size_t)(ended - begun), OWNER, strlen(OWNER));

    return owner && begins_with(owner + strlen(OWNER), uuid);
}

/* The time in front of a beginning; 0 where there is none that can be read. */
static usec_t time_of(const char *text, const char *begun)
{
    struct tm tm = {0};
    char stamp[STAMP_LENGTH + 1];
    const char *rest;

    if (begun - text < STAMP_LENGTH)
        return 0;
    snprintf(stamp, sizeof(stamp), "%.*s", STAMP_LENGTH, begun - STAMP_LENGTH);
    rest = strptime(stamp, "%Y-%m-%d %H:%M:%S.", &tm);
    if (!rest || !begins_with(rest + strspn(rest, "0123456789"), "+0000"))
        return 0;
    return (usec_t)timegm(&tm) * USEC_PER_SEC + strtoul(rest, NULL, 10) * (USEC_PER_SEC / 1000);
}

/* Looks for the beginning of the run that began then, the last that can be it. Returns whether it
 * is there; *is_followed: and another one of the domain behind it. *is_far: what is further back
 * than the text is older. */
static bool find_run(const char *text, const char *uuid, usec_t began_at, bool *is_followed,
                     bool *is_far)
{
    bool is_found = false;
    const char *last = last_run(text).begun, *next;

    for (const char *begun = find(text, BEGUN); last && begun && begun <= last; begun = next) {
        usec_t at = time_of(text, begun);

        *is_far |= at > 0 && at + BEGUN_BEFORE < began_at;
        next = find(begun + strlen(BEGUN), BEGUN);
        if (!is_owner(begun, next ? next : begun + strlen(begun), uuid))
            continue;
        *is_followed = is_found;
        if (at + BEGUN_BEFORE >= began_at && at <= began_at + BEGUN_AFTER) {
            is_found = true;
            *is_followed = false;
        }
    }
    return is_found;
}

static bool is_followed_in(const char *directory, const char *file, const char *uuid,
                           usec_t began_at)
{
    _cleanup_(freep) char *path = NULL;
    bool is_all = false, is_far = false, is_followed = false;

    if (say(&path, "%s/%s", directory, file) < 0)
        return false;
    for (size_t most = TAIL_MIN; most <= TAIL_MAX && !is_all && !is_far; most *= 4) {
        _cleanup_(freep) char *text = read_back(path, most, &is_all);

        if (!text)
            return false;
        if (find_run(text, uuid, began_at, &is_followed, &is_far))
            return is_followed;
    }
    return false;
}

/* is_own: the file has the domain's name. */
static enum end_cause read_end(const char *directory, const char *file, const char *uuid,
                               bool is_own)
{
    _cleanup_(freep) char *path = NULL;
    bool is_all = false;

    if (say(&path, "%s/%s", directory, file) < 0)
        return END_UNKNOWN;
    for (size_t most = TAIL_MIN; most <= TAIL_MAX; most *= 4) {
        _cleanup_(freep) char *text = read_back(path, most, &is_all);
        struct run run;
        enum end_cause cause;

        if (!text)
            return END_UNKNOWN;
        run = last_run(text);
        cause = run.ended ? end_at(run.ended) : END_UNKNOWN;
        if (run.ended && cause == END_UNKNOWN)
            return END_UNKNOWN;
        if (run.begun)
            return run.ended && is_owner(run.begun, run.ended, uuid) ? cause : END_UNKNOWN;
        if (is_all || most == TAIL_MAX)
            return is_own ? cause : END_UNKNOWN;
    }
    return END_UNKNOWN;
}

static void directory_close(DIR *d)
{
    if (d)
        closedir(d);
}
DEFINE_CLEANUP(DIR *, directory_close);

enum end_cause qemu_log_end(const char *directory, const char *domain_name, const uuid_t domain)
{
    _cleanup_(directory_close) DIR *logs = NULL;
    const struct dirent *entry;
    enum end_cause found = END_UNKNOWN;
    char uuid[UUID_TEXT_SIZE], file[NAME_MAX + 1];

    uuid_unparse_lower(domain, uuid);
    if (domain_name) {
        snprintf(file, sizeof(file), "%s.log", domain_name);
        return read_end(directory, file, uuid, true);
    }
    logs = opendir(directory);
    while (logs && found == END_UNKNOWN && (entry = readdir(logs)))
        if (ends_with(entry->d_name, ".log"))
            found = read_end(directory, entry->d_name, uuid, false);
    return found;
}

bool qemu_log_has_run_since(const char *directory, const char *domain_name, const uuid_t domain,
                            usec_t began_at)
{
    _cleanup_(directory_close) DIR *logs = NULL;
    const struct dirent *entry;
    bool found = false;
    char uuid[UUID_TEXT_SIZE], file[NAME_MAX + 1];

    uuid_unparse_lower(domain, uuid);
    if (domain_name) {
        snprintf(file, sizeof(file), "%s.log", domain_name);
        return is_followed_in(directory, file, uuid, began_at);
    }
    logs = opendir(directory);
    while (logs && !found && (entry = readdir(logs)))
        if (ends_with(entry->d_name, ".log"))
            found = is_followed_in(directory, entry->d_name, uuid, began_at);
    return found;
}
