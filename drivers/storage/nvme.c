/* nvme.c - the driver for whole NVMe namespaces
 *
 * Theory of operation. A namespace is a block device that can be asked more and told more. It is
 * opened, claimed, read and written as one; what only NVMe has is put on top: its identity
 * (nvme-identify.c), Format (nvme-format.c) and Sanitize (nvme-sanitize.c). A partition of a
 * namespace is no namespace: a command would reach all of it, so it gets the block driver alone.
 */
#include "nvme.h"

#include <errno.h>
#include <stdio.h>

bool nvme_is_namespace(int fd, const struct storage_seam *seam, uint32_t *ret_nsid)
{
    return seam->nvme_nsid(fd, ret_nsid) >= 0;
}

static int nvme_offer(struct storage_device *d, enum clear_method method, struct storage_offer *ret,
                      struct error **err)
{
    struct nvme_device *n = nvme_of(d);

    if (n->block.is_zoned)
        return block_offer(d, method, ret, err);
    switch (method) {
    case CLEAR_NVME_FORMAT_CRYPTO:
    case CLEAR_NVME_FORMAT_USER_DATA:
        nvme_format_offer(n, method, ret);
        return 0;
    case CLEAR_NVME_SANITIZE_CRYPTO:
    case CLEAR_NVME_SANITIZE_BLOCK:
        nvme_sanitize_offer(n, method, ret);
        return 0;
    default:
        return block_offer(d, method, ret, err);
    }
}

static int nvme_clear(struct storage_device *d, enum clear_method method, struct storage_span span,
                      bool may_exit, const struct storage_pace *pace, struct storage_record *record,
                      struct error **err)
{
    struct nvme_device *n = nvme_of(d);

    switch (method) {
    case CLEAR_NVME_FORMAT_CRYPTO:
    case CLEAR_NVME_FORMAT_USER_DATA:
        return nvme_format(n, method, pace, record, err);
    case CLEAR_NVME_SANITIZE_CRYPTO:
    case CLEAR_NVME_SANITIZE_BLOCK:
        return nvme_sanitize(n, method, may_exit, pace, record, err);
    default:
        return block_clear(d, method, span, may_exit, pace, record, err);
    }
}

static const struct storage_ops nvme_ops = {
    .name = "nvme",
    .identify = nvme_identify_device,
    .facts = nvme_facts,
    .offer = nvme_offer,
    .neighbours = nvme_neighbours,
    .claim = block_claim,
    .clear = nvme_clear,
    .flush = block_flush,
    .read = block_read,
    .write = block_write,
    .close = block_close,
};

int nvme_open_device(const char *path, int fd, const struct storage_seam *seam,
                     struct storage_device **ret, struct error **err)
{
    struct nvme_device *n = calloc(1, sizeof(*n));
    int r;

    if (!n)
        return error_no_memory(err);
    r = block_init(&n->block, path, fd, seam, err);
    if (r < 0) {
        free(n->block.base.path);
        free(n);
        return r;
    }
    n->block.base.ops = &nvme_ops;
    *ret = &n->block.base;
    return 0;
}
