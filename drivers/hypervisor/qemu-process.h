/* qemu-process.h - which process of this host is a libvirt domain's QEMU */
#ifndef STOPD_QEMU_PROCESS_H
#define STOPD_QEMU_PROCESS_H

#include "stopd/hypervisor.h"

/* Where the QEMU driver behind this libvirt URI keeps its pid files. Returns 0, then *ret is the
 * directory, or NULL where the processes are not this host's, with the reason in *ret_why; both the
 * caller's. Or -ENOMEM. */
int qemu_pid_directory(const char *uri, bool privileged, char **ret, char **ret_why);

/* Are the processes of the driver that keeps its files there in our pid namespace? Returns 0 with
 * the reason in *ret_why, the caller's, where they are known not to be; or -ENOMEM. */
int qemu_check_visible(const char *pid_directory, char **ret_why);

/* The incarnation of the domain that runs now, and a pidfd of it, which is the caller's. `known`
 * (or NULL) is an incarnation of this domain that was found here before: finding it again needs
 * fewer proofs. Returns 0, or a negative errno with a sentence in *ret_why, the caller's. */
int qemu_find_process(const char *pid_directory, const char *domain_name, const uuid_t domain,
                      const struct incarnation *known, struct incarnation *ret, int *ret_pidfd,
                      char **ret_why);

#endif
