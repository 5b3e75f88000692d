/* uring-info.c - which files an io_uring holds
 *
 * Theory of operation. A file that is registered with a ring can be closed and still be written to:
 * it is in no process's table of descriptors, only in the ring's own, which the ring's fdinfo shows
 * under "UserFiles:". Kernels differ. Up to 6.12 a slot is the last component of the file's name
 * and empty slots are shown as "<none>"; when the ring is busy just then all slots are left out.
 * Later ones write whole paths, leave out empty slots, and when the ring is busy the whole section.
 * So a section without any slot is complete or not depending on the kernel, which is found out by
 * looking at a ring of our own.
 */
#include "wipe/guard-open.h"

#include <ctype.h>
#include <liburing.h>
#include <string.h>

#include "wipe/text.h"

static const char section[] = "UserFiles:";

enum uring_line uring_parse(char *line, bool *in_files, unsigned long *count, char **ret)
{
    char *s = line;

    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, section, sizeof(section) - 1) == 0) {
        *in_files = true;
        *count = strtoul(line + sizeof(section) - 1, NULL, 10);
        return URING_COUNT;
    }
    while (*s == ' ')
        s++;
    /* "    0: /dev/nvme0n1"; the next section begins with a letter. */
    if (!*in_files || !isdigit((unsigned char)*s)) {
        *in_files = false;
        return URING_OTHER;
    }
    s += strspn(s, "0123456789");
    if (s[0] != ':' || s[1] != ' ') {
        *in_files = false;
        return URING_OTHER;
    }
    s += 2;
    if (text_equal(s, "<none>"))
        return URING_EMPTY;
    text_unescape(s);
    *ret = s;
    return URING_FILE;
}

static void ring_cleanup(struct io_uring *ring)
{
    io_uring_queue_exit(ring);
}

static bool look_at_own_ring(void)
{
    _cleanup_(ring) struct io_uring ring;
    _cleanup_(fclose) FILE *f = NULL;
    _cleanup_(freep) char *line = NULL;
    char path[64], *name;
    bool in_files = false;
    unsigned long count;
    size_t size = 0;

    if (io_uring_queue_init(1, &ring, 0) < 0) {
        memset(&ring, 0, sizeof(ring));
        ring.ring_fd = -1;
        return true;
    }
    if (io_uring_register_files_sparse(&ring, 1) < 0)
        return true;
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", ring.ring_fd);
    f = fopen(path, "re");
    while (f && getline(&line, &size, f) >= 0)
        if (uring_parse(line, &in_files, &count, &name) == URING_EMPTY)
            return true;
    return false;
}

/* When in doubt it is said that empty slots are shown: then their absence is taken for a busy ring,
 * which refuses. */
bool uring_shows_empty_slots(void)
{
    static int known = -1;

    if (known < 0)
        known = look_at_own_ring();
    return known;
}
