/* nvme.h - NVMe namespaces: the block driver with what only NVMe knows on top */
#ifndef STOPD_STORAGE_NVME_H
#define STOPD_STORAGE_NVME_H

#include "block.h"

struct nvme_device {
    struct block_device block;
    uint32_t nsid;
    struct nvme_id_ctrl controller;
    struct nvme_id_ns ns;
};

/* Is this a whole namespace? Asked through the descriptor. */
bool nvme_is_namespace(int fd, const struct storage_seam *seam, uint32_t *ret_nsid);
int nvme_open_device(const char *path, int fd, const struct storage_seam *seam,
                     struct storage_device **ret, struct error **err);

static inline struct nvme_device *nvme_of(struct storage_device *d)
{
    return (struct nvme_device *)d;
}

/* The descriptor that commands go through: the claimed one, once there is one. */
static inline int nvme_fd(const struct nvme_device *n)
{
    return n->block.base.fd >= 0 ? n->block.base.fd : n->block.base.look_fd;
}

/* --- nvme-command.c: one admin command ------------------------------------------------------- */

/* Sends it with its own time-out. record may be NULL; name is what it is called there and in
 * errors. A status other than success is an error. *status, where asked for: as the seam returned
 * it. */
int nvme_command(struct nvme_device *n, const char *name, struct nvme_passthru_cmd *command,
                 struct storage_record *record, int *status, struct error **err);
/* Identify with CNS `cns` into 4096 bytes. */
int nvme_identify_raw(struct nvme_device *n, uint8_t cns, uint32_t nsid, void *data,
                      struct error **err);
/* Holds whatever else of ours would freeze the same controller off; free with close_cleanup().
 * Waits, pacing. */
int nvme_lock_controller(struct nvme_device *n, const struct storage_pace *pace, int *ret_fd,
                         struct error **err);

/* --- nvme-identify.c ------------------------------------------------------------------------- */

/* Asks the namespace behind the descriptor again who it is, into n and *ret. */
int nvme_identify_device(struct storage_device *d, struct storage_identity *ret,
                         struct error **err);
int nvme_facts(struct storage_device *d, struct storage_facts *ret, struct error **err);
int nvme_neighbours(struct storage_device *d, struct storage_neighbours *ret, struct error **err);

/* --- nvme-format.c, nvme-sanitize.c ---------------------------------------------------------- */

void nvme_format_offer(const struct nvme_device *n, enum clear_method method,
                       struct storage_offer *ret);
int nvme_format(struct nvme_device *n, enum clear_method method, const struct storage_pace *pace,
                struct storage_record *record, struct error **err);
/* Command dword 10 that keeps the layout which the namespace has. */
uint32_t nvme_format_dword(const struct nvme_id_ns *ns, uint32_t secure_erase);

void nvme_sanitize_offer(const struct nvme_device *n, enum clear_method method,
                         struct storage_offer *ret);
int nvme_sanitize(struct nvme_device *n, enum clear_method method, bool may_exit,
                  const struct storage_pace *pace, struct storage_record *record,
                  struct error **err);

#endif
