/* block.h - the block driver, for the NVMe driver that is built upon it */
#ifndef STOPD_STORAGE_BLOCK_H
#define STOPD_STORAGE_BLOCK_H

#include "seam.h"
#include "stopd/storage.h"
#include "sysfs.h"

struct block_device {
    struct storage_device base;
    const struct storage_seam *seam;
    dev_t devno;
    struct sysfs_block sysfs;
    int lock_fd; /* the whole disk, under flock; -1 until claimed */
    bool is_zoned;
};

/* Takes fd, open for reading. The object is the caller's to make (a driver may have a larger one)
 * and, on success, ours to free with base.ops->close. */
int block_init(struct block_device *b, const char *path, int fd, const struct storage_seam *seam,
               struct error **err);
int block_open(const char *path, int fd, const struct storage_seam *seam,
               struct storage_device **ret, struct error **err);

int block_identify(struct storage_device *d, struct storage_identity *ret, struct error **err);
int block_facts(struct storage_device *d, struct storage_facts *ret, struct error **err);
int block_offer(struct storage_device *d, enum clear_method method, struct storage_offer *ret,
                struct error **err);
int block_claim(struct storage_device *d, struct error **err);
int block_clear(struct storage_device *d, enum clear_method method, struct storage_span span,
                bool may_exit, const struct storage_pace *pace, struct storage_record *record,
                struct error **err);
int block_flush(struct storage_device *d, struct error **err);
int block_read(struct storage_device *d, const struct storage_reading *reading, struct error **err);
int block_write(struct storage_device *d, const struct storage_writing *writing,
                struct error **err);
void block_close(struct storage_device *d);

#endif
