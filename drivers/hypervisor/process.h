/* process.h - proof of death: which process an incarnation is, and whether it has ended */
#ifndef STOPD_PROCESS_H
#define STOPD_PROCESS_H

#include "stopd/hypervisor.h"

/* Hands on the descriptor that a _cleanup_(close) variable holds. */
static inline int fd_take(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

/* The boot id of this host's present run. Returns 0 or a negative errno. */
int process_boot_id(char ret[static UUID_TEXT_SIZE]);

/* The incarnation that process `pid` is right now, and a pidfd of it, which is the caller's.
 * Returns 0, -ESRCH where no such process is there any more, or another negative errno where it
 * could not be told. */
int process_identify(pid_t pid, struct incarnation *ret, int *ret_pidfd);

/* When an incarnation of this boot began, by the wall clock as it is set now. Returns 0 or a
 * negative errno: -ESTALE where it is of another boot. */
int process_began_at(const struct incarnation *who, usec_t *ret);

/* What became of an incarnation's process. Where it is alive, *ret_pidfd is a descriptor of it (or
 * -1 where none could be had), the caller's; otherwise -1. *ret_detail, the caller's, says how it
 * stands with a process that is alive ("pid 4711, state D, wchan io_schedule"), or why it could not
 * be told; otherwise NULL. */
enum process_fate process_fate(const struct incarnation *who, int *ret_pidfd, char **ret_detail);

#endif
