/* markers.c - the folder of what is owed a clear
 *
 * Theory of operation. A marker is the one thing that stands between a disk with a tenant's data
 * and the next domain that names it, when no daemon runs: so it has to be on the disk before the
 * clear begins, whole, and may go only after it is known for good that nothing is owed. A file is
 * written under another name, synced, renamed, and then the folder is synced, for a name is durable
 * only with its folder. Readers see the old file or the new one and never a half.
 *
 * A file's name says whose it is (the domain's UUID and the disk's target), so that markers are
 * found and removed without reading them. What lies in the folder under names of another form is
 * nobody's business here, save temporary files that a crash left.
 *
 * Whoever finds one that he cannot read does not know which disk it keeps, and has to take it for
 * any.
 */
#include "engine/markers.h"

#include "base/json.h"
#include "engine/disk-sysfs.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define SUFFIX ".json"
#define TEMPORARY ".new-" /* before the name */
/* A marker is a fraction of this. */
#define MARKER_BYTES_MAX ((size_t)64 << 10)
/* Where this is free a marker does not want for blocks. */
#define ROOM_FOR_MARKERS ((uint64_t)1 << 20)

/* --- Names ----------------------------------------------------------------------------------- */

int marker_name(const uuid_t domain, const char *target, char ret[static MARKER_NAME_SIZE],
                struct error **err)
{
    const size_t most = MARKER_NAME_SIZE - sizeof(TEMPORARY) - sizeof(SUFFIX);
    size_t n = UUID_TEXT_SIZE - 1;

    uuid_unparse_lower(domain, ret);
    ret[n++] = '.';
    for (const char *c = target; *c; c++) {
        if (n + 3 > most)
            return error_set(err, ERROR_UNSUPPORTED, "the target '%s' is too long a name", target);
        if (isalnum((unsigned char)*c) || *c == '-' || *c == '_')
            ret[n++] = *c;
        else
            n += (size_t)snprintf(ret + n, 4, "%%%02X", (unsigned char)*c);
    }
    strcpy(ret + n, SUFFIX);
    return 0;
}

/* Is it the name of a marker, and of which domain? */
static bool is_marker(const char *name, uuid_t domain)
{
    char text[UUID_TEXT_SIZE];
    size_t n = strlen(name);

    if (n <= UUID_TEXT_SIZE + strlen(SUFFIX) || name[UUID_TEXT_SIZE - 1] != '.' ||
        strcmp(name + n - strlen(SUFFIX), SUFFIX) != 0)
        return false;
    memcpy(text, name, UUID_TEXT_SIZE - 1);
    text[UUID_TEXT_SIZE - 1] = '\0';
    return uuid_parse(text, domain) == 0;
}

/* --- The folder ------------------------------------------------------------------------------ */

static int sync_parent_of(const char *folder)
{
    _cleanup_(freep) char *parent = NULL;
    _cleanup_(close) int fd = -1;

    if (asprintf(&parent, "%s/..", folder) < 0) {
        parent = NULL;
        return -ENOMEM;
    }
    fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* What a crash left half written. */
static void remove_temporary(const char *folder)
{
    _cleanup_(closedir) DIR *d = opendir(folder);
    const struct dirent *e;

    while (d && (e = readdir(d)))
        if (strncmp(e->d_name, TEMPORARY, strlen(TEMPORARY)) == 0)
            unlinkat(dirfd(d), e->d_name, 0);
}

int markers_make_folder(const char *folder, struct error **err)
{
    int r = mkdir(folder, 0700) < 0 ? -errno : sync_parent_of(folder);

    if (r == -EEXIST)
        remove_temporary(folder);
    else if (r < 0)
        return error_set_errno(err, ERROR_IO, r, "making the folder %s of what is owed a clear",
                               folder);
    return 0;
}

static int open_markers(const char *folder, struct error **err)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return error_set_errno(err, ERROR_IO, errno, "opening %s", folder);
    return fd;
}

static int sync_folder(int fd, const char *folder, struct error **err)
{
    if (fsync(fd) < 0)
        return error_set_errno(err, ERROR_IO, errno, "writing the folder %s to the disk", folder);
    return 0;
}

/* --- Writing --------------------------------------------------------------------------------- */

static int read_file(int folder, const char *name, char **ret, size_t *ret_n)
{
    _cleanup_(close) int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    _cleanup_(freep) char *text = malloc(MARKER_BYTES_MAX);
    size_t n = 0;

    if (fd < 0)
        return -errno;
    if (!text)
        return -ENOMEM;
    while (n < MARKER_BYTES_MAX) {
        ssize_t got = read(fd, text + n, MARKER_BYTES_MAX - n);

        if (got < 0)
            return -errno;
        if (got == 0) {
            *ret = take(text);
            *ret_n = n;
            return 0;
        }
        n += (size_t)got;
    }
    return -EFBIG;
}

static bool holds_already(int folder, const char *name, const char *text, size_t n)
{
    _cleanup_(freep) char *there = NULL;
    size_t n_there = 0;

    return read_file(folder, name, &there, &n_there) == 0 && n_there == n &&
           memcmp(there, text, n) == 0;
}

static int write_all(int fd, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, text, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        text += done;
        n -= (size_t)done;
    }
    return 0;
}

static int write_file(int folder, const char *name, const char *text, size_t n)
{
    _cleanup_(close) int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : write_all(fd, text, n);

    return r == 0 && fsync(fd) < 0 ? -errno : r;
}

static int replace_file(int folder, const char *name, const char *text, size_t n)
{
    char temporary[MARKER_NAME_SIZE + sizeof(TEMPORARY)];
    int r;

    snprintf(temporary, sizeof(temporary), TEMPORARY "%s", name);
    r = write_file(folder, temporary, text, n);
    if (r == 0 && renameat(folder, temporary, folder, name) < 0)
        r = -errno;
    if (r < 0)
        unlinkat(folder, temporary, 0);
    return r;
}

static bool has_blocks(int folder)
{
    struct statvfs v;

    return fstatvfs(folder, &v) == 0 && (uint64_t)v.f_bavail * v.f_frsize >= ROOM_FOR_MARKERS;
}

/* Room that somebody makes helps only against want of room. Of a quota the look says nothing. */
static int not_written(int fd, const char *folder, const char *name, int r, struct error **err)
{
    if (r == -ENOSPC && has_blocks(fd))
        return error_set_errno(err, ERROR_IO, r,
                               "writing %s/%s (not for want of blocks, which are free; see whether "
                               "inodes are: df -i)",
                               folder, name);
    return error_set_errno(err, r == -ENOSPC || r == -EDQUOT ? ERROR_NO_ROOM : ERROR_IO, r,
                           "writing %s/%s", folder, name);
}

int marker_write(const char *folder, const struct marker *m, struct error **err)
{
    _cleanup_(json) json_object *o = marker_to_json(m);
    _cleanup_(close) int fd = open_markers(folder, err);
    char name[MARKER_NAME_SIZE];
    const char *text;
    size_t n = 0;
    int r;

    if (fd < 0)
        return fd;
    text = o ? json_object_to_json_string_length(
                   o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &n)
             : NULL;
    if (!text)
        return error_no_memory(err);
    r = marker_name(m->domain, m->target, name, err);
    if (r < 0)
        return r;
    if (!holds_already(fd, name, text, n)) {
        r = replace_file(fd, name, text, n);
        if (r < 0)
            return not_written(fd, folder, name, r, err);
    }
    return sync_folder(fd, folder, err);
}

/* --- Reading --------------------------------------------------------------------------------- */

void marker_list_clear(struct marker_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        marker_clear(&l->items[i]);
    free(l->items);
    *l = (struct marker_list){0};
}

static void list_cleanup(struct marker_list *l)
{
    marker_list_clear(l);
}

static int parse(const char *text, size_t n, struct marker *ret)
{
    _cleanup_(json) json_object *o = NULL;
    int r = json_parse_object(text, n, &o);

    return r < 0 ? r : marker_from_json(o, ret);
}

/* 1; 0: it was removed just now; negative names what is wrong. */
static int read_marker(int fd, const char *folder, const char *name, struct marker *ret,
                       struct error **err)
{
    _cleanup_(freep) char *text = NULL;
    size_t n = 0;
    int r = read_file(fd, name, &text, &n);

    if (r == -ENOENT)
        return 0;
    if (r == 0)
        r = parse(text, n, ret);
    if (r == -EINVAL)
        return error_set(err, ERROR_IO, "%s/%s is no marker of an owed clear", folder, name);
    if (r < 0)
        return error_set_errno(err, ERROR_IO, r, "reading %s/%s", folder, name);
    return 1;
}

static int add_marker(struct marker_list *l, struct marker *m, struct error **err)
{
    struct marker *items = reallocarray(l->items, l->n + 1, sizeof(*items));

    if (!items) {
        marker_clear(m);
        return error_no_memory(err);
    }
    l->items = items;
    items[l->n++] = *m;
    return 0;
}

int markers_read(const char *folder, struct marker_list *ret, struct error **err)
{
    _cleanup_(closedir) DIR *d = opendir(folder);
    _cleanup_(list) struct marker_list l = {0};
    const struct dirent *e;
    uuid_t domain = {0};

    if (!d && errno == ENOENT)
        return 0;
    if (!d)
        return error_set_errno(err, ERROR_IO, errno, "opening %s", folder);
    while (errno = 0, (e = readdir(d))) {
        struct marker m = {0};
        int r = 0;

        if (is_marker(e->d_name, domain))
            r = read_marker(dirfd(d), folder, e->d_name, &m, err);
        if (r > 0)
            r = add_marker(&l, &m, err);
        if (r < 0)
            return r;
    }
    if (errno)
        return error_set_errno(err, ERROR_IO, errno, "listing %s", folder);
    *ret = l;
    l = (struct marker_list){0};
    return 0;
}

/* --- Removing -------------------------------------------------------------------------------- */

static int remove_marker(int fd, const char *folder, const char *name, struct error **err)
{
    if (unlinkat(fd, name, 0) < 0 && errno != ENOENT)
        return error_set_errno(err, ERROR_IO, errno, "removing %s/%s", folder, name);
    return 0;
}

int markers_remove(const char *folder,
                   bool (*is_over)(void *userdata, const uuid_t domain, const char *name),
                   void *userdata, struct error **err)
{
    _cleanup_(closedir) DIR *d = opendir(folder);
    const struct dirent *e;
    bool any = false;
    uuid_t domain = {0};

    if (!d && errno == ENOENT)
        return 0;
    if (!d)
        return error_set_errno(err, ERROR_IO, errno, "opening %s", folder);
    while (errno = 0, (e = readdir(d))) {
        if (!is_marker(e->d_name, domain) || !is_over(userdata, domain, e->d_name))
            continue;
        if (remove_marker(dirfd(d), folder, e->d_name, err) < 0)
            return -EIO;
        any = true;
    }
    if (errno)
        return error_set_errno(err, ERROR_IO, errno, "listing %s", folder);
    return any ? sync_folder(dirfd(d), folder, err) : 0;
}

/* --- At the start ---------------------------------------------------------------------------- */

/* What is owed by one that cannot be read nobody knows: it stays, and the hook refuses by it. */
static bool is_settled(int fd, const char *folder, const char *name,
                       const struct marker_reconciler *r)
{
    _cleanup_(error_free) struct error *error = NULL;
    _cleanup_(marker) struct marker m = {0};
    int there = read_marker(fd, folder, name, &m, &error);

    if (there < 0)
        r->unreadable(r->userdata, error);
    return there > 0 && !r->is_owed(r->userdata, &m);
}

int markers_reconcile(const char *folder, const struct marker_reconciler *reconciler,
                      struct error **err)
{
    _cleanup_(closedir) DIR *d = opendir(folder);
    const struct dirent *e;
    uuid_t domain = {0};
    int r = 0;

    if (!d && errno == ENOENT)
        return 0;
    if (!d)
        return error_set_errno(err, ERROR_IO, errno, "opening %s", folder);
    while (r == 0 && (errno = 0, e = readdir(d))) {
        if (is_marker(e->d_name, domain) && is_settled(dirfd(d), folder, e->d_name, reconciler))
            r = remove_marker(dirfd(d), folder, e->d_name, err);
    }
    if (r == 0 && errno)
        r = error_set_errno(err, ERROR_IO, errno, "listing %s", folder);
    return r < 0 ? r : sync_folder(dirfd(d), folder, err);
}
