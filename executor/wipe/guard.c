/* guard.c - the guards, in the order in which they are asked
 *
 * Theory of operation. A guard is a question with three answers: nothing against it, something and
 * what, or it could not be found out. The last refuses like the second: who cannot see must not
 * erase. Each compares numbers, not names, with the footprint of the device. Those that somebody
 * could come to break while we work are asked again before every chunk. Who has the device open for
 * reading only is waited for, for a moment: disks are looked at by many programs, and none of them
 * should undo hours of work. Who could write ends it at once, except before anything was touched.
 *
 * What they cannot see: a descriptor that is under way in a socket and open nowhere, and an
 * io_uring whose own descriptor was closed after it was registered with itself.
 */
#include "wipe/guard.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAUSE_US 100000

const struct guard guards[] = {
    {"allowed", GUARD_BEFORE, guard_allowed},
    {"identity", GUARD_BEFORE, guard_identity},
    {"read-only", GUARD_BEFORE, guard_read_only},
    {"root-chain", GUARD_BEFORE, guard_root_chain},
    {"other-domain", GUARD_BEFORE, guard_other_domain},
    {"shared-namespace", GUARD_BEFORE, guard_shared_namespace},
    {"mounted", GUARD_THROUGHOUT, guard_mounted},
    {"swap", GUARD_THROUGHOUT, guard_swap},
    {"held", GUARD_THROUGHOUT, guard_held},
    {"loop", GUARD_THROUGHOUT, guard_loop},
    {"target", GUARD_THROUGHOUT, guard_target},
    {"open", GUARD_THROUGHOUT, guard_open},
};
const size_t n_guards = ELEMENTSOF(guards);

int refuse(struct refusal *ret, const char *culprit, const char *format, ...)
{
    va_list ap;

    snprintf(ret->culprit, sizeof(ret->culprit), "%s", culprit);
    va_start(ap, format);
    vsnprintf(ret->message, sizeof(ret->message), format, ap);
    va_end(ap);
    return 1;
}

int refuse_node(struct refusal *ret, const struct scene *s, const struct node *node,
                const char *culprit, const char *use)
{
    if (!node || node->role == NODE_SELF)
        return refuse(ret, culprit, "%s %s", s->device->path, use);
    if (node->role == NODE_SIBLING) {
        ret->guard = "partition-in-use";
        return refuse(ret, culprit, "%s is a partition of a disk of which another one, %s, %s",
                      s->device->path, node->name, use);
    }
    return refuse(ret, culprit, "%s, through which %s can be reached, %s", node->name,
                  s->device->path, use);
}

static bool is_named_like(const struct scene *s, const char *path, const struct node **node)
{
    const char *slash = strrchr(path, '/'), *own = strrchr(s->device->path, '/');
    const char *name = slash ? slash + 1 : path;

    *node = footprint_find_name(&s->footprint, name);
    return *node || (s->footprint.is_file && text_equal(name, own ? own + 1 : s->device->path));
}

int scene_resolves(const struct scene *s, const char *path, const struct node **node, bool *is_ours,
                   struct error **err)
{
    struct stat st;

    *node = NULL;
    if (stat(path, &st) < 0) {
        *is_ours = is_named_like(s, path, node);
        if (*is_ours)
            return 0;
        return error_set_errno(err, ERROR_IO, errno, "resolving %s", path);
    }
    if (S_ISBLK(st.st_mode) || S_ISCHR(st.st_mode))
        *node = footprint_find(&s->footprint, S_ISBLK(st.st_mode), st.st_rdev);
    *is_ours =
        *node || (S_ISREG(st.st_mode) && footprint_is_file(&s->footprint, st.st_dev, st.st_ino));
    return 0;
}

bool guard_ask(const struct guard *g, const struct scene *s, struct refusal *ret)
{
    _cleanup_(error_free) struct error *error = NULL;
    int r = g->look(s, ret, &error);

    if (r == 0)
        return false;
    if (r < 0)
        refuse(ret, "", "it cannot be told whether anything stands against it: %s",
               error_message(error));
    if (!ret->guard)
        ret->guard = g->name;
    return true;
}

bool guards_refuse(const struct scene *s, enum guard_time when, struct refusal *ret)
{
    for (size_t i = 0; i < n_guards; i++)
        if (guards[i].when >= when && guard_ask(&guards[i], s, ret))
            return true;
    return false;
}

bool guards_wait(struct refusal *refusal, bool is_touched, usec_t since, usec_t patience)
{
    bool may_pass = is_touched ? refusal->may_pass : text_equal(refusal->guard, "open");

    if (!may_pass || moment_now().monotonic - since > patience)
        return false;
    *refusal = (struct refusal){0};
    usleep(PAUSE_US);
    return true;
}
