/* nvme-command.c - one admin command, and one at a time for those that freeze the controller
 *
 * Theory of operation. Every command goes through the seam with a time-out of its own, because
 * after the kernel's default of a minute it is not the command that is given up but the controller
 * that is reset. While a controller is reset, commands come back with EINTR or are turned down for
 * its path; a question is then asked again, a command that changes something never is.
 */
#include "nvme.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

#define IDENTIFY_TIMEOUT_MS 30000
#define ASK_TRIES 10
#define ASK_PAUSE USEC_PER_SEC
#define LOCK_PAUSE (500 * USEC_PER_MSEC)

int nvme_command(struct nvme_device *n, const char *name, struct nvme_passthru_cmd *command,
                 struct storage_record *record, int *status, struct error **err)
{
    uint32_t result = 0;
    int r = n->block.seam->nvme_admin(nvme_fd(n), command, &result);
    struct storage_command c = {.is_admin = true,
                                .opcode = command->opcode,
                                .nsid = command->nsid,
                                .cdw10 = command->cdw10,
                                .cdw11 = command->cdw11,
                                .status = r};

    snprintf(c.name, sizeof(c.name), "%s", name);
    if (record)
        storage_record_command(record, &c);
    if (status)
        *status = r;
    if (r > 0)
        return error_set(err, ERROR_IO, "%s: the controller says %s (status 0x%x)", name,
                         nvme_status_to_string(r, false), (unsigned)r);
    return r < 0 ? error_set_errno(err, ERROR_IO, r, "%s", name) : 0;
}

int nvme_identify_raw(struct nvme_device *n, uint8_t cns, uint32_t nsid, void *data,
                      struct error **err)
{
    struct nvme_passthru_cmd command = {
        .opcode = nvme_admin_identify,
        .nsid = nsid,
        .addr = (uintptr_t)data,
        .data_len = NVME_IDENTIFY_DATA_SIZE,
        .cdw10 = cns,
        .timeout_ms = IDENTIFY_TIMEOUT_MS,
    };

    for (int i = 0;; i++) {
        _cleanup_(error_free) struct error *error = NULL;
        int status, r = nvme_command(n, "Identify", &command, NULL, &status, &error);

        if (r >= 0)
            return r;
        if (i == ASK_TRIES || (status != -EINTR && status != -EAGAIN))
            return error_move(err, &error);
        n->block.seam->sleep(ASK_PAUSE);
    }
}

/* The lock is on the controller's own folder in sysfs (with multipath: the subsystem's): every
 * stopd-wipe can open it, nobody else has a reason to, and it is not the controller's node, which
 * other guards take for an intruder's. */
int nvme_lock_controller(struct nvme_device *n, const struct storage_pace *pace, int *ret_fd,
                         struct error **err)
{
    _cleanup_(close) int fd = -1;
    char path[PATH_MAX + 16];
    int r;

    snprintf(path, sizeof(path), "%s/device/.", n->block.sysfs.disk);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, ERROR_IO, errno, "opening %s", path);
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return error_set_errno(err, ERROR_IO, errno, "locking %s", path);
        r = pace->step(pace->context, 0, 1, 0, err);
        if (r < 0)
            return r;
        n->block.seam->sleep(LOCK_PAUSE);
    }
    *ret_fd = fd;
    fd = -1;
    return 0;
}
