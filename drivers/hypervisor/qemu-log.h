/* qemu-log.h - how a domain's last run ended and what ran since, by libvirt's log of the domain */
#ifndef STOPD_QEMU_LOG_H
#define STOPD_QEMU_LOG_H

#include "stopd/hypervisor.h"

/* Where the driver that keeps its pid files there keeps its logs: 0, then *ret is the directory,
 * the caller's, or NULL where that is not known; or -ENOMEM. */
int qemu_log_directory(const char *pid_directory, char **ret);

/* END_MIGRATED or END_SAVED where the last that libvirt wrote of this domain's runs is that the
 * last one ended so; else, and where it cannot be read, END_UNKNOWN. domain_name NULL: it is not
 * known any more, and every log is read. */
enum end_cause qemu_log_end(const char *directory, const char *domain_name, const uuid_t domain);

/* Has another run of this domain begun since the one that began then (by the wall clock), and was
 * no start that failed? False also where the log does not tell: that run's own beginning is not in
 * it, or the clock was set since. domain_name as above. */
bool qemu_log_has_run_since(const char *directory, const char *domain_name, const uuid_t domain,
                            usec_t began_at);

#endif
