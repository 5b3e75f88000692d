/* seam.h - every command that a driver gives to a device, in one small table
 *
 * The real one is the kernel's ioctls, NVMe's through libnvme. A test puts a scripted one in its
 * place and so plays devices that nobody has on a desk: a Sanitize that stalls, a Format that fails
 * half-way. */
#ifndef STOPD_STORAGE_SEAM_H
#define STOPD_STORAGE_SEAM_H

#include "stopd/base.h"

#include <libnvme.h>

struct storage_seam {
    /* The namespace behind this very descriptor (NVME_IOCTL_ID). 0 or a negative errno. */
    int (*nvme_nsid)(int fd, uint32_t *ret);
    /* 0, an NVMe status (positive), or a negative errno. */
    int (*nvme_admin)(int fd, struct nvme_passthru_cmd *command, uint32_t *result);
    /* A block device's ioctl. 0 or a negative errno. */
    int (*block)(int fd, unsigned long request, void *argument);
    void (*sleep)(usec_t duration);
    usec_t (*now)(void); /* CLOCK_MONOTONIC */
    const char *sys;     /* "/sys" */
};

extern const struct storage_seam storage_seam_kernel;

#endif
