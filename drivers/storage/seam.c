/* seam.c - the real seam: commands go to the kernel */
#include "seam.h"
#include "stopd/thread.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <time.h>

static int nvme_nsid(int fd, uint32_t *ret)
{
    __u32 nsid = 0;

    if (nvme_get_nsid(fd, &nsid) < 0)
        return -errno;
    *ret = nsid;
    return 0;
}

static int nvme_admin(int fd, struct nvme_passthru_cmd *command, uint32_t *result)
{
    __u32 value = 0;
    int r = nvme_submit_admin_passthru(fd, command, &value);

    if (r < 0)
        return -errno;
    *result = value;
    return r;
}

static int block(int fd, unsigned long request, void *argument)
{
    return ioctl(fd, request, argument) < 0 ? -errno : 0;
}

static void seam_sleep(usec_t duration)
{
    struct timespec left = timespec_of(duration);

    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
        ;
}

static usec_t seam_now(void)
{
    return moment_now().monotonic;
}

const struct storage_seam storage_seam_kernel = {
    .nvme_nsid = nvme_nsid,
    .nvme_admin = nvme_admin,
    .block = block,
    .sleep = seam_sleep,
    .now = seam_now,
    .sys = "/sys",
};
