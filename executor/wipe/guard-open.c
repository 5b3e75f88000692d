/* guard-open.c - has any process the device open?
 *
 * Theory of operation. Neither O_EXCL nor a lock says whether a program has a block device open;
 * QEMU takes neither. So every process there is gets looked at, at all that can hold a file: its
 * descriptors, the files that its io_urings hold, its mappings. What is compared is the device
 * number behind each (libvirt gives a QEMU nodes of its own in a /dev of its own), for a file its
 * device and inode. The attributes are asked for as they are cached, so that a descriptor on a file
 * server that hangs does not hang us.
 *
 * Threads share their process's descriptors and mappings, save that each may have made descriptors
 * of its own (unshare CLONE_FILES), and that a first thread which has ended shows neither while the
 * others still have them. The kernel tells whether two threads have one table (kcmp), so that no
 * table is gone through twice; where it does not tell, it is.
 *
 * It only counts if nothing is hidden (sight.c).
 */
#include "wipe/guard-open.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kcmp.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "wipe/inode-set.h"
#include "wipe/sight.h"
#include "wipe/text.h"

#define RING_TRIES 50
#define RING_PAUSE_US 2000

struct search {
    const struct scene *scene;
    struct refusal *refusal;
    dev_t anonymous;              /* the file system of rings, eventfds and the like */
    struct inode_set harmless;    /* mapped files that are known not to be ours */
    char process[PATH_MAX];       /* "/proc/123", which it is named by … */
    char thread[PATH_MAX + 512];  /* … and what is looked at: the same, or "/proc/123/task/124" */
    char thread_id[NAME_MAX + 1]; /* "124" */
    char culprit[384];            /* "process 123 (qemu-system-x86)", once somebody wants to know */
};

static void search_cleanup(struct search *q)
{
    inode_set_clear(&q->harmless);
}

/* A process that ends while it is looked at holds nothing any more. */
static bool is_gone(int errnum)
{
    return errnum == ENOENT || errnum == ESRCH;
}

static const char *culprit(struct search *q)
{
    process_name(q->process, q->culprit, sizeof(q->culprit));
    return q->culprit;
}

static int refuse_open(struct search *q, const struct node *node, const char *how)
{
    char use[512];

    snprintf(use, sizeof(use), "%s by %s", how, culprit(q));
    return refuse_node(q->refusal, q->scene, node, q->culprit, use);
}

static int stat_cached(int folder, const char *name, struct statx *ret)
{
    return statx(folder, name, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, ret) <
                   0
               ? -errno
               : 0;
}

/* Is this the device, or one of its nodes? *node NULL and true: it is the file. */
static bool is_ours(const struct scene *s, const struct statx *st, const struct node **node)
{
    dev_t number = makedev(st->stx_rdev_major, st->stx_rdev_minor);

    *node = NULL;
    if (S_ISBLK(st->stx_mode) || S_ISCHR(st->stx_mode)) {
        *node = footprint_find(&s->footprint, S_ISBLK(st->stx_mode), number);
        return *node;
    }
    return footprint_is_file(&s->footprint, makedev(st->stx_dev_major, st->stx_dev_minor),
                             (ino_t)st->stx_ino);
}

/* --- io_uring -------------------------------------------------------------------------------- */

/* A name from a ring: a path as that process sees it, or only the last component. */
static bool is_ours_by_name(const struct search *q, char *name, const struct node **node)
{
    char path[3 * PATH_MAX];
    struct statx st;
    const char *own = strrchr(q->scene->device->path, '/'), *base = strrchr(name, '/');

    *node = NULL;
    if (name[0] == '/') {
        snprintf(path, sizeof(path), "%s/root%s", q->thread, name);
        if (stat_cached(AT_FDCWD, path, &st) >= 0 && is_ours(q->scene, &st, node))
            return true;
    }
    base = base ? base + 1 : name;
    *node = footprint_find_name(&q->scene->footprint, base);
    /* A short name is all that there is: a file elsewhere that is called like ours refuses too. */
    return *node ||
           (q->scene->footprint.is_file && name[0] != '/' && own && text_equal(base, own + 1));
}

/* 1: refused. 0: nothing. -EAGAIN: the ring was busy and did not show everything. */
static int look_at_ring_once(struct search *q, const char *path)
{
    _cleanup_(fclose) FILE *f = fopen(path, "re");
    _cleanup_(freep) char *line = NULL;
    bool in_files = false, has_section = false;
    unsigned long slots = 0, shown = 0;
    size_t size = 0;
    char *name;

    if (!f)
        return -errno;
    while (errno = 0, getline(&line, &size, f) >= 0) {
        enum uring_line kind = uring_parse(line, &in_files, &slots, &name);
        const struct node *node;

        has_section |= kind == URING_COUNT;
        shown += kind == URING_FILE || kind == URING_EMPTY;
        if (kind == URING_FILE && is_ours_by_name(q, name, &node))
            return refuse_open(q, node, "is registered with an io_uring");
    }
    if (errno)
        return -errno;
    if (!has_section || (slots > 0 && shown == 0 && uring_shows_empty_slots()))
        return -EAGAIN;
    return 0;
}

static int look_at_ring(struct search *q, const char *fd, struct error **err)
{
    char path[PATH_MAX + 1024];
    int r = 0;

    snprintf(path, sizeof(path), "%s/fdinfo/%s", q->thread, fd);
    for (int i = 0; i < RING_TRIES; i++) {
        r = look_at_ring_once(q, path);
        if (r != -EAGAIN)
            break;
        usleep(RING_PAUSE_US);
    }
    if (r >= 0 || is_gone(-r))
        return r > 0;
    if (r == -EAGAIN)
        return error_set(err, ERROR_IO, "an io_uring of %s does not show its files", culprit(q));
    return error_set_errno(err, ERROR_IO, r, "reading %s", path);
}

static bool is_ring(int folder, const char *fd)
{
    char target[64];
    ssize_t n = readlinkat(folder, fd, target, sizeof(target) - 1);

    target[n < 0 ? 0 : n] = '\0';
    return text_equal(target, "anon_inode:[io_uring]");
}

/* --- Descriptors ----------------------------------------------------------------------------- */

/* Opened for reading only? When it cannot be told, no. */
static bool is_reader(const struct search *q, const char *fd)
{
    char folder[PATH_MAX + 520], text[512], *flags;

    snprintf(folder, sizeof(folder), "%s/fdinfo", q->thread);
    sysfs_text(folder, fd, text, sizeof(text));
    flags = strstr(text, "flags:");
    return flags && (strtoul(flags + strlen("flags:"), NULL, 8) & O_ACCMODE) == O_RDONLY;
}

/* Those of the thread at hand. */
static int look_at_descriptors(struct search *q, struct error **err)
{
    char folder[PATH_MAX + 520];
    _cleanup_(closedir) DIR *d = NULL;
    struct dirent *e;

    snprintf(folder, sizeof(folder), "%s/fd", q->thread);
    d = opendir(folder);
    if (!d)
        return is_gone(errno) ? 0
                              : error_set_errno(err, ERROR_FORBIDDEN, errno,
                                                "%s does not show its open files", culprit(q));
    while (errno = 0, (e = readdir(d))) {
        const struct node *node;
        struct statx st;
        int r;

        if (e->d_name[0] == '.')
            continue;
        r = stat_cached(dirfd(d), e->d_name, &st);
        if (r < 0 && !is_gone(-r))
            return error_set_errno(err, ERROR_FORBIDDEN, r, "%s does not show its open files",
                                   culprit(q));
        if (r < 0)
            continue;
        if (is_ours(q->scene, &st, &node)) {
            q->refusal->may_pass = is_reader(q, e->d_name);
            return refuse_open(q, node, "is open");
        }
        if (makedev(st.stx_dev_major, st.stx_dev_minor) == q->anonymous &&
            is_ring(dirfd(d), e->d_name)) {
            r = look_at_ring(q, e->d_name, err);
            if (r)
                return r;
        }
    }
    return errno && !is_gone(errno) ? error_set_errno(err, ERROR_IO, errno, "reading %s", folder)
                                    : 0;
}

/* --- Mappings -------------------------------------------------------------------------------- */

/* By hand: of all that is read here, most is this. */
bool maps_parse(char *line, struct mapping *ret)
{
    char *rest = line, *device, *end;
    unsigned long major, minor;

    /* range permissions offset major:minor inode path */
    ret->range = strsep(&rest, " ");
    strsep(&rest, " ");
    strsep(&rest, " ");
    device = strsep(&rest, " ");
    if (!device || !rest)
        return false;
    major = strtoul(device, &end, 16);
    if (*end != ':')
        return false;
    minor = strtoul(end + 1, NULL, 16);
    ret->device = makedev((unsigned)major, (unsigned)minor);
    ret->inode = (ino_t)strtoull(rest, NULL, 10);
    return ret->inode != 0;
}

static int look_at_mapping(struct search *q, const struct mapping *m, struct error **err)
{
    const struct node *node = NULL;
    char path[PATH_MAX + 512];
    struct statx st;
    int r;

    if (footprint_is_file(&q->scene->footprint, m->device, m->inode))
        return refuse_open(q, NULL, "is mapped into memory");
    if (inode_set_has(&q->harmless, m->device, m->inode))
        return 0;
    /* A thread has such a folder by its own number only. */
    snprintf(path, sizeof(path), "%s/%s/map_files/%s", q->scene->proc, q->thread_id, m->range);
    r = stat_cached(AT_FDCWD, path, &st);
    if (r < 0 && !is_gone(-r)) /* gone: unmapped since */
        return error_set_errno(err, ERROR_IO, r, "looking at %s", path);
    if (r >= 0 && is_ours(q->scene, &st, &node))
        return refuse_open(q, node, "is mapped into memory");
    if (r >= 0 && inode_set_add(&q->harmless, m->device, m->inode) < 0)
        return error_no_memory(err);
    return 0;
}

/* Those of the thread at hand. *n: how many there were, of files or not. */
static int look_at_mappings(struct search *q, size_t *n, struct error **err)
{
    char path[PATH_MAX + 520];
    _cleanup_(fclose) FILE *f = NULL;
    _cleanup_(freep) char *line = NULL;
    size_t size = 0;

    *n = 0;
    snprintf(path, sizeof(path), "%s/maps", q->thread);
    f = fopen(path, "re");
    if (!f)
        return is_gone(errno) ? 0 : error_set_errno(err, ERROR_IO, errno, "opening %s", path);
    while (errno = 0, getline(&line, &size, f) >= 0) {
        struct mapping m;
        int r = maps_parse(line, &m) ? look_at_mapping(q, &m, err) : 0;

        ++*n;
        if (r)
            return r;
    }
    return errno && !is_gone(errno) ? error_set_errno(err, ERROR_IO, errno, "reading %s", path) : 0;
}

/* --- Threads --------------------------------------------------------------------------------- */

/* What the threads that have been looked at have shown. */
struct shown {
    pid_t first, last; /* whose descriptors were looked at; 0: nobody's since the first thread */
    bool has_mappings;
};

/* When it cannot be told, no. */
static bool share_descriptors(pid_t a, pid_t b)
{
    return syscall(SYS_kcmp, a, b, KCMP_FILES, 0, 0) == 0;
}

static int look_at_thread(struct search *q, const char *id, struct shown *shown, struct error **err)
{
    pid_t thread = (pid_t)strtol(id, NULL, 10);
    size_t n;
    int r = 0;

    snprintf(q->thread, sizeof(q->thread), "%s/task/%s", q->process, id);
    snprintf(q->thread_id, sizeof(q->thread_id), "%s", id);
    if (!share_descriptors(shown->first, thread) &&
        !(shown->last && share_descriptors(shown->last, thread))) {
        r = look_at_descriptors(q, err);
        shown->last = thread;
    }
    if (r == 0 && !shown->has_mappings) {
        r = look_at_mappings(q, &n, err);
        shown->has_mappings = n > 0;
    }
    return r;
}

static int look_at_other_threads(struct search *q, const char *pid, struct shown *shown,
                                 struct error **err)
{
    char folder[PATH_MAX + 16];
    _cleanup_(closedir) DIR *d = NULL;
    struct dirent *e;
    int r = 0;

    snprintf(folder, sizeof(folder), "%s/task", q->process);
    d = opendir(folder);
    while (d && r == 0 && (e = readdir(d)))
        if (e->d_name[0] != '.' && !text_equal(e->d_name, pid))
            r = look_at_thread(q, e->d_name, shown, err);
    return r;
}

/* The folder of its threads has a link more for each. */
static bool has_one_thread(const struct search *q)
{
    char folder[PATH_MAX + 16];
    struct stat st;

    snprintf(folder, sizeof(folder), "%s/task", q->process);
    return stat(folder, &st) == 0 && st.st_nlink == 3;
}

/* --- All processes --------------------------------------------------------------------------- */

static int look_at_process(struct search *q, const char *pid, struct error **err)
{
    struct shown shown = {.first = (pid_t)strtol(pid, NULL, 10)};
    size_t n;
    int r;

    snprintf(q->process, sizeof(q->process), "%s/%s", q->scene->proc, pid);
    snprintf(q->thread, sizeof(q->thread), "%s", q->process);
    snprintf(q->thread_id, sizeof(q->thread_id), "%s", pid);
    r = look_at_descriptors(q, err);
    if (r == 0)
        r = look_at_mappings(q, &n, err);
    if (r || has_one_thread(q))
        return r;
    shown.has_mappings = n > 0;
    return look_at_other_threads(q, pid, &shown, err);
}

static int find_anonymous(dev_t *ret, struct error **err)
{
    _cleanup_(close) int fd = eventfd(0, EFD_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return error_set_errno(err, ERROR_IO, errno, "making an eventfd");
    *ret = st.st_dev;
    return 0;
}

int guard_open(const struct scene *s, struct refusal *ret, struct error **err)
{
    _cleanup_(search) struct search q = {.scene = s, .refusal = ret};
    _cleanup_(closedir) DIR *d = NULL;
    char self[32];
    struct dirent *e;
    int r = sight_is_whole(s->proc, err);

    if (r >= 0)
        r = find_anonymous(&q.anonymous, err);
    if (r < 0)
        return r;
    snprintf(self, sizeof(self), "%d", getpid());
    d = opendir(s->proc);
    if (!d)
        return error_set_errno(err, ERROR_IO, errno, "reading %s", s->proc);
    while (r == 0 && (errno = 0, e = readdir(d)))
        if (isdigit((unsigned char)e->d_name[0]) && !text_equal(e->d_name, self))
            r = look_at_process(&q, e->d_name, err);
    return r == 0 && errno ? error_set_errno(err, ERROR_IO, errno, "reading %s", s->proc) : r;
}
