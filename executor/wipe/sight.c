/* sight.c - can we see every process, and all that it has open?
 *
 * Theory of operation. A process in another pid namespace than ours, or above it, is not in our
 * /proc; the open files of one with more rights than ours are not shown to us. Both would look like
 * a process that has nothing open. So we have to be in the first pid and user namespaces and to
 * have CAP_SYS_PTRACE. Where something else still hides a process (a security module), reading its
 * files fails, and that refuses too. */
#include "wipe/sight.h"

#include <limits.h>
#include <stdio.h>
#include <sys/capability.h>

#include "stopd/storage.h"

/* Their inodes are fixed (PROC_PID_INIT_INO, PROC_USER_INIT_INO). */
#define FIRST_PID_NAMESPACE "pid:[4026531836]"
#define FIRST_USER_NAMESPACE "user:[4026531837]"

static bool has_ptrace(void)
{
    cap_t caps = cap_get_proc();
    cap_flag_value_t value = CAP_CLEAR;

    if (caps)
        cap_get_flag(caps, CAP_SYS_PTRACE, CAP_EFFECTIVE, &value);
    cap_free(caps);
    return value == CAP_SET;
}

int sight_is_whole(const char *proc, struct error **err)
{
    char folder[PATH_MAX], pid[64], user[64];

    snprintf(folder, sizeof(folder), "%s/self/ns", proc);
    sysfs_link(folder, "pid", pid, sizeof(pid));
    sysfs_link(folder, "user", user, sizeof(user));
    if (!text_equal(pid, FIRST_PID_NAMESPACE) || !text_equal(user, FIRST_USER_NAMESPACE))
        return error_set(err, ERROR_FORBIDDEN,
                         "other processes cannot be seen from inside a pid or user namespace");
    if (!has_ptrace())
        return error_set(err, ERROR_FORBIDDEN,
                         "other processes' open files cannot be seen without CAP_SYS_PTRACE");
    return 0;
}
